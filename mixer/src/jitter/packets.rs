//! Store for codecs whose packets are opaque: Opus.

use super::Store;
use crate::{Codec, codec::opus};

/// Packets that fit: 160 ms of the shortest usual ones, 10 ms.
const PLACES: usize = 16;
/// Longest packet accepted, in bytes: RFC 6716 section 3.2.1's longest frame, and about what a network carries unfragmented.
const LONGEST: usize = 1275;

const TICK: i32 = Codec::Opus.clock_step() as i32;

/// Packets, each with its distance to the next turn.
#[derive(Debug)]
pub(crate) struct Packets {
    places: [Option<Place>; PLACES],
    bytes: Box<[[u8; LONGEST]; PLACES]>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: i32,
    length: usize,
}

impl Packets {
    pub(crate) fn new() -> Self {
        Self {
            places: [None; PLACES],
            bytes: Box::new([[0; LONGEST]; PLACES]),
        }
    }

    /// Takes out the first packet that begins before the next turn's end, with the distance of its beginning to that of the turn.
    pub(crate) fn take(&mut self) -> Option<(i32, &[u8])> {
        let begins = |n: &usize| self.places[*n].map_or(i32::MAX, |place| place.offset);
        let first = (0..PLACES).min_by_key(begins)?;
        let place = self.places[first].take_if(|place| place.offset < TICK)?;
        Some((place.offset, &self.bytes[first][..place.length]))
    }

    /// The last two packets, whether their turn was or not, in order.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &[u8]> {
        let begins = |n: usize| self.places[n].map(|place| place.offset);
        let last = (0..PLACES).max_by_key(|&n| begins(n));
        let before = last.and_then(|last| (0..PLACES).filter(|&n| n != last).max_by_key(|&n| begins(n)));
        [before, last]
            .into_iter()
            .flatten()
            .filter_map(|n| Some(&self.bytes[n][..self.places[n]?.length]))
    }
}

impl Store for Packets {
    /// Offsets must stay clear of those that count as late; 240 ms.
    const ROOM: u32 = 12 * TICK as u32;

    fn duration(payload: &[u8]) -> Option<u32> {
        if payload.len() > LONGEST { None } else { opus::duration(payload) }
    }

    fn put(&mut self, offset: i32, payload: &[u8]) -> bool {
        let Some(free) = self.places.iter().position(Option::is_none) else {
            return false;
        };
        let Some(bytes) = self.bytes[free].get_mut(..payload.len()) else {
            return false;
        };
        bytes.copy_from_slice(payload);
        self.places[free] = Some(Place {
            offset,
            length: payload.len(),
        });
        true
    }

    fn pass(&mut self) {
        for place in &mut self.places {
            if let Some(place) = place {
                place.offset -= TICK;
            }
            // Longer ago than any packet lasts.
            place.take_if(|place| place.offset < -(opus::MAX_DURATION as i32));
        }
    }

    fn clear(&mut self) {
        self.places = [None; PLACES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_in_order_when_their_turn_is() {
        let mut store = Packets::new();
        for offset in [960, 0, 2880, 1920, 480] {
            assert!(store.put(offset, &offset.to_be_bytes()));
        }
        assert_eq!(store.take(), Some((0, &0i32.to_be_bytes()[..])));
        assert_eq!(store.take(), Some((480, &480i32.to_be_bytes()[..])));
        assert_eq!(store.take(), None);
        store.pass();
        assert_eq!(store.take(), Some((0, &960i32.to_be_bytes()[..])));
        store.pass();
        store.pass();
        assert_eq!(store.take(), Some((-960, &1920i32.to_be_bytes()[..])));
        assert_eq!(store.take(), Some((0, &2880i32.to_be_bytes()[..])));
    }

    #[test]
    fn too_many_and_too_long_are_refused() {
        let mut store = Packets::new();
        for n in 0..PLACES as i32 {
            assert!(store.put(n, &[0]));
        }
        assert!(!store.put(0, &[0]));
        store.clear();
        assert!(!store.put(0, &[0; LONGEST + 1]));
        assert_eq!(Packets::duration(&[0; LONGEST + 1]), None);
        assert!(store.put(0, &[0]));
        for _ in 0..7 {
            store.pass();
        }
        assert_eq!(store.take(), None, "packets nobody took don't stay");
    }
}
