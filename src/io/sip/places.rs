//! Places among the TLS handshakes under way, so dealt out that nobody can keep others from theirs.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use tokio::sync::oneshot;

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Under way at a time.
    pub(super) in_all: usize,
    /// Of them from one source.
    pub(super) per_source: usize,
}

/// Who is under way. When all places are taken, a newcomer gets the oldest one of whoever has most, if that is more than the newcomer would have:
/// a few hosts that take all they can get lose to everybody else.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    in_all: usize,
    by_source: BTreeMap<IpAddr, VecDeque<Holder>>,
}

/// Whoever holds a place learns that it is gone by the end of this.
#[derive(Debug)]
struct Holder {
    number: u64,
    _place: oneshot::Sender<()>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place<'p> {
    places: &'p Places,
    source: IpAddr,
    number: u64,
}

impl Places {
    /// Takes a place, and what resolves when somebody else gets it; none if there is none to be had.
    pub(super) fn take(&self, source: IpAddr, room: Room) -> Option<(Place<'_>, oneshot::Receiver<()>)> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_source.get(&source).map_or(0, VecDeque::len);
        if own >= room.per_source || (taken.in_all >= room.in_all && !taken.make_room(own)) {
            return None;
        }
        taken.next += 1;
        taken.in_all += 1;
        let number = taken.next;
        let (place, lost) = oneshot::channel();
        taken
            .by_source
            .entry(source)
            .or_default()
            .push_back(Holder { number, _place: place });
        let place = Place {
            places: self,
            source,
            number,
        };
        Some((place, lost))
    }
}

impl Taken {
    /// Takes a place from whoever has most, for somebody who has this many.
    fn make_room(&mut self, own: usize) -> bool {
        let most = self.by_source.iter_mut().max_by_key(|(_, holders)| holders.len());
        let Some((_, holders)) = most.filter(|(_, holders)| holders.len() > own + 1) else {
            return false;
        };
        holders.pop_front();
        self.in_all -= 1;
        true
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(holders) = taken.by_source.get_mut(&self.source) else {
            return;
        };
        let before = holders.len();
        holders.retain(|holder| holder.number != self.number);
        let given_back = before - holders.len();
        if holders.is_empty() {
            taken.by_source.remove(&self.source);
        }
        taken.in_all -= given_back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { in_all: 8, per_source: 4 };

    fn host(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    #[test]
    fn a_few_hosts_cannot_keep_the_others_out() {
        let places = Places::default();
        let take = |source| places.take(source, ROOM);
        let mut greedy: Vec<_> = [1, 2]
            .iter()
            .flat_map(|n| [*n; 4])
            .map(|n| take(host(n)).expect("there is room"))
            .collect();
        assert!(take(host(1)).is_none(), "four are all that one may have");
        let honest: Vec<_> = (3..=8).map(|n| take(host(n)).expect("a greedy one's place")).collect();
        let pushed_out = |held: &mut (Place<'_>, oneshot::Receiver<()>)| held.1.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert_eq!(
            greedy.iter_mut().map(pushed_out).collect::<Vec<_>>(),
            [true, true, true, false, true, true, true, false]
        );
        assert!(take(host(9)).is_none(), "everybody has one");
        assert!(take(host(3)).is_none(), "nobody has more than one");
        drop(greedy);
        assert_eq!(places.0.lock().expect("sound").in_all, honest.len());
        drop(honest);
        let taken = places.0.lock().expect("sound");
        assert!(taken.in_all == 0 && taken.by_source.is_empty());
    }
}
