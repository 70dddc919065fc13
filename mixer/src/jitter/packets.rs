//! Store for codecs whose packets are opaque: Opus.

use super::Store;
use crate::{Codec, codec::opus};

/// Packets that fit: 320 ms of the shortest usual ones, 10 ms.
const PLACES: usize = 32;
/// Bytes that fit: 200 ms at 250 kbit/s, or a whole packet of the longest with many short ones.
const BYTES: usize = 6 * 1024;
/// Longest packet accepted, in bytes: RFC 6716 section 3.2.1's longest frame, and about what a network carries unfragmented.
const LONGEST: usize = 1275;
/// Packets that stay when they were passed over undecoded: three to be heard, or to tell how loud they are, and two by which a decoder
/// comes to itself before (rule R65).
const PAST: usize = 5;
/// Packets that tell how loud a leg is.
const NEWEST: usize = 3;

const TICK: i32 = Codec::Opus.clock_step() as i32;

/// Packets in order of time, each with its distance to the next turn; their bytes lie side by side in the same order.
#[derive(Debug)]
pub(crate) struct Packets {
    places: [Place; PLACES],
    count: usize,
    bytes: [u8; BYTES],
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    offset: i32,
    /// Units.
    duration: i32,
    length: usize,
}

impl Packets {
    pub(crate) fn new() -> Self {
        Self {
            places: [Place::default(); PLACES],
            count: 0,
            bytes: [0; BYTES],
        }
    }

    /// The first packet, with the distance of its beginning to the next turn's.
    pub(crate) fn first(&self) -> Option<(i32, &[u8])> {
        let first = self.places[..self.count].first()?;
        Some((first.offset, &self.bytes[..first.length]))
    }

    /// The first packet, if the next turn begins after it.
    pub(crate) fn past(&self) -> Option<&[u8]> {
        let first = self.places[..self.count].first()?;
        (first.offset + first.duration <= 0).then(|| &self.bytes[..first.length])
    }

    /// Takes the first packet out.
    pub(crate) fn drop_first(&mut self) {
        self.remove(1);
    }

    /// Removes the first packets.
    fn remove(&mut self, count: usize) {
        let count = count.min(self.count);
        let bytes: usize = self.places[..count].iter().map(|place| place.length).sum();
        let all: usize = self.places[..self.count].iter().map(|place| place.length).sum();
        self.bytes.copy_within(bytes..all, 0);
        self.places.copy_within(count..self.count, 0);
        self.count -= count;
    }

    /// The last three packets in order, whether their turn was or not.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &[u8]> {
        let places = &self.places[..self.count];
        let (before, last) = places.split_at(self.count.saturating_sub(NEWEST));
        let mut at: usize = before.iter().map(|place| place.length).sum();
        last.iter().map(move |place| {
            at += place.length;
            &self.bytes[at - place.length..at]
        })
    }
}

impl Store for Packets {
    /// 320 ms.
    const ROOM: u32 = 16 * TICK as u32;

    fn duration(payload: &[u8]) -> Option<u32> {
        if payload.len() > LONGEST { None } else { opus::duration(payload) }
    }

    fn repeats(payload: &[u8]) -> bool {
        opus::repeats(payload)
    }

    fn put(&mut self, offset: i32, payload: &[u8]) -> bool {
        let Some(duration) = Self::duration(payload) else {
            return false;
        };
        let at = self.places[..self.count].partition_point(|place| place.offset <= offset);
        let begin: usize = self.places[..at].iter().map(|place| place.length).sum();
        let end: usize = begin + self.places[at..self.count].iter().map(|place| place.length).sum::<usize>();
        if self.count == PLACES || end + payload.len() > BYTES {
            return false;
        }
        self.bytes.copy_within(begin..end, begin + payload.len());
        self.bytes[begin..begin + payload.len()].copy_from_slice(payload);
        self.places.copy_within(at..self.count, at + 1);
        self.places[at] = Place {
            offset,
            duration: duration as i32,
            length: payload.len(),
        };
        self.count += 1;
        true
    }

    fn pass(&mut self, units: u32) {
        for place in &mut self.places[..self.count] {
            place.offset = place.offset.saturating_sub_unsigned(units);
        }
        let past = self.places[..self.count]
            .iter()
            .take_while(|place| place.offset + place.duration <= 0)
            .count();
        if past > PAST {
            self.remove(past - PAST);
        }
    }

    fn rewind(&mut self, units: u32) -> u32 {
        let places = &mut self.places[..self.count];
        let within = |place: &&Place| place.offset < 0 && place.offset.unsigned_abs() <= units;
        let back = places.iter().find(within).map_or(0, |place| place.offset.unsigned_abs());
        places
            .iter_mut()
            .for_each(|place| place.offset = place.offset.saturating_add_unsigned(back));
        back
    }

    fn clear(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 20 ms with a number in it.
    fn packet(number: i32, length: usize) -> Vec<u8> {
        let mut packet = vec![0xf8; length.max(5)];
        packet[1..5].copy_from_slice(&number.to_be_bytes());
        packet
    }

    fn take(store: &mut Packets) -> Option<(i32, Vec<u8>)> {
        let first = store.first().map(|(offset, packet)| (offset, packet.to_vec()));
        store.drop_first();
        first
    }

    #[test]
    fn packets_come_out_in_order_of_time() {
        let mut store = Packets::new();
        for (n, offset) in (0..).zip([960, 0, 2880, 1920, 480]) {
            assert!(store.put(offset, &packet(offset, 10 + 50 * n)));
        }
        for (offset, length) in [(0, 60), (480, 210), (960, 10)] {
            assert_eq!(take(&mut store), Some((offset, packet(offset, length))));
        }
        store.pass(960);
        assert_eq!(take(&mut store), Some((960, packet(1920, 160))));
        store.pass(960);
        assert_eq!(take(&mut store), Some((960, packet(2880, 110))));
        assert_eq!(take(&mut store), None);
    }

    #[test]
    fn r65_the_last_undecoded_packets_stay_and_can_be_gone_back_to() {
        let mut store = Packets::new();
        for n in 0..8 {
            assert!(store.put(960 * n, &packet(n, 40)));
        }
        store.pass(7 * 960);
        assert_eq!(take(&mut store), Some((-5 * 960, packet(2, 40))));
        assert_eq!(store.count, 5);
        store.pass(u32::MAX);
        assert_eq!(store.count, PAST);
        assert_eq!(store.rewind(3 * 960), 0, "long ago");
    }

    #[test]
    fn r65_packets_that_were_passed_over_can_be_gone_back_to() {
        let mut store = Packets::new();
        for n in 0..8 {
            assert!(store.put(960 * n, &packet(n, 40)));
        }
        assert_eq!(store.rewind(960), 0, "nothing was passed over");
        store.pass(6 * 960 + 480);
        // Not further than asked for, and to where a packet begins.
        assert_eq!(store.rewind(3 * 960), 2 * 960 + 480);
        assert_eq!(store.past(), Some(&packet(1, 40)[..]));
        while store.past().is_some() {
            store.drop_first();
        }
        assert_eq!(take(&mut store), Some((0, packet(4, 40))));
    }

    #[test]
    fn too_many_and_too_long_are_refused() {
        let mut store = Packets::new();
        for n in 0..PLACES as i32 {
            assert!(store.put(n, &packet(n, 5)));
        }
        assert!(!store.put(0, &packet(0, 5)));
        store.clear();
        assert!(!store.put(0, &[0; LONGEST + 1]));
        assert_eq!(Packets::duration(&[0; LONGEST + 1]), None);
        let fit = (0..9).take_while(|&n| store.put(n, &packet(n, LONGEST))).count();
        assert_eq!(fit, BYTES / LONGEST);
        for n in 0..fit as i32 {
            assert_eq!(take(&mut store), Some((n, packet(n, LONGEST))));
        }
    }
}
