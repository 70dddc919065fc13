//! Which thread has which room: placed by measured time, moved when one thread has much more to do than another.

use std::{sync::Arc, sync::atomic::Ordering};

use mixer::Rate;

use super::{
    super::{
        counters::Cost,
        order::{Order, RoomKey, Spot},
        room::Room,
    },
    Crew, Plane,
};
use crate::model::RoomName;

/// Thousandths of a thread's time that make no difference to where a room is placed: a leg more doesn't change it.
const BUSY_STEP: u32 = 100;

/// Thousandths of a thread's time below which no room need move.
const CROWDED: u32 = 600;

/// Difference in thousandths from which threads count as unevenly busy.
const UNEVEN: u32 = 200;

/// Calls of [`Plane::balance`] after a move until the figures are again of one second.
const SETTLING: u32 = 3;

impl Crew {
    /// Whether it takes new legs.
    pub(super) fn opens(&self) -> bool {
        !self.gauge.full.load(Ordering::Relaxed)
    }

    fn busy(&self) -> u32 {
        self.gauge.busy.load(Ordering::Relaxed)
    }
}

impl Plane {
    /// Where a new room or leg goes.
    pub(super) fn idlest(&self) -> usize {
        idlest(self.workers.iter().map(|crew| (crew.opens(), crew.busy(), crew.legs)))
    }

    /// Moves a room from the busiest thread to the idlest if that evens them out. To be called about once a second: figures are as old.
    pub fn balance(&mut self) {
        self.settle();
        self.settling = self.settling.saturating_sub(1);
        if self.settling > 0 {
            return;
        }
        let busy: Vec<u32> = self.workers.iter().map(Crew::busy).collect();
        let rooms: Vec<_> = self.rooms.iter().collect();
        let costs = rooms.iter().map(|(_, room)| (room.worker, room.cost.thousandths()));
        if let Some((index, to)) = choose_move(&busy, self.idlest(), costs) {
            let name = rooms[index].0.clone();
            tracing::info!(room = %name, ?busy, to, "the room moves to another media thread");
            self.move_room(&name, to);
            self.settling = SETTLING;
        }
    }

    /// Moves a room with all its legs to another thread; each goes on sending within a tick (rule R60).
    pub(in crate::media) fn move_room(&mut self, name: &RoomName, worker: usize) {
        let Some(cap) = self.rooms.get(name).map(|room| room.cap) else {
            return;
        };
        let Some((key, cost)) = self.start_room(name, worker, cap) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.cost = cost;
        let before = Spot {
            worker: std::mem::replace(&mut room.worker, worker),
            room: Some(std::mem::replace(&mut room.key, key)),
        };
        let spot = Spot { worker, room: Some(key) };
        let sitting = self.legs.iter().filter(|(_, known)| known.spot == before);
        for leg in sitting.map(|(leg, _)| *leg).collect::<Vec<_>>() {
            self.seat(leg, spot);
        }
        if let Some(room) = self.rooms.get(name) {
            self.furnish(name, room);
        }
        if let Some(old) = before.room {
            self.workers[before.worker].line.send(Order::End(old));
        }
        self.moves += 1;
    }

    /// Starts a mixer on a thread.
    pub(super) fn start_room(&mut self, name: &RoomName, worker: usize, cap: Rate) -> Option<(RoomKey, Arc<Cost>)> {
        let (key, cost) = (RoomKey(self.next_room), Arc::new(Cost::default()));
        match Room::new(key, name.clone(), cap, Arc::clone(&cost)) {
            Ok(room) => {
                self.next_room += 1;
                self.workers[worker].line.send(Order::Start(Box::new(room)));
                Some((key, cost))
            }
            Err(error) => {
                tracing::error!(room = %name, %error, "the room can't be mixed");
                None
            }
        }
    }
}

/// The thread that had least to do in the last second; among equals the one with the fewest legs, which tells of those that came since.
/// Each is told as whether it takes new legs, its busy share in thousandths, and its legs.
fn idlest(threads: impl Iterator<Item = (bool, u32, usize)>) -> usize {
    let burden = |(opens, busy, legs): (bool, u32, usize)| (!opens, busy / BUSY_STEP, legs);
    threads
        .map(burden)
        .enumerate()
        .min_by_key(|(_, burden)| *burden)
        .map_or(0, |(index, _)| index)
}

/// Which room is to move to the thread `to`, if one is: the one on the busiest thread whose cost comes nearest to half of what that is
/// busier. A room that costs the whole difference would only carry it over. Rooms are told as their thread and cost.
fn choose_move(busy: &[u32], to: usize, rooms: impl Iterator<Item = (usize, u32)>) -> Option<(usize, usize)> {
    let (from, most) = busy.iter().copied().enumerate().max_by_key(|(_, busy)| *busy)?;
    let gap = most.saturating_sub(*busy.get(to)?);
    if most < CROWDED || gap < UNEVEN {
        return None;
    }
    let movable = rooms
        .enumerate()
        .filter(|(_, (worker, cost))| *worker == from && (1..gap).contains(cost));
    movable
        .min_by_key(|(_, (_, cost))| cost.abs_diff(gap / 2))
        .map(|(index, _)| (index, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_room_goes_where_least_is_to_do() {
        let place = |threads: &[(bool, u32, usize)]| idlest(threads.iter().copied());
        assert_eq!(place(&[(true, 500, 1), (true, 100, 900)]), 1, "time counts, not legs");
        assert_eq!(place(&[(true, 130, 9), (true, 170, 4)]), 1, "about the same time: legs count");
        assert_eq!(
            place(&[(false, 0, 0), (true, 700, 9)]),
            1,
            "one that takes no new legs is the last choice"
        );
        assert_eq!(place(&[(true, 0, 3)]), 0);
    }

    #[test]
    fn a_room_moves_only_where_that_evens_threads_out() {
        let rooms = [(0, 300), (0, 150), (0, 450), (1, 100)];
        let choose = |busy: &[u32]| choose_move(busy, 1, rooms.iter().copied()).map(|(room, _)| room);
        assert_eq!(choose(&[900, 100]), Some(2), "half of 800 is nearest to 450");
        assert_eq!(choose(&[900, 600]), Some(1), "half of 300 is nearest to 150");
        assert_eq!(choose(&[900, 750]), None, "about even");
        assert_eq!(choose(&[500, 0]), None, "nobody is crowded");
        assert_eq!(choose(&[100, 900]), None, "it is the busiest itself");
        let alone = choose_move(&[900, 0], 1, [(0, 900)].into_iter());
        assert_eq!(alone, None, "a lone room would carry everything over");
    }
}
