//! Codec states for the mixers of one thread: made and dropped outside the tick, used in it by whoever needs one at the moment.

use std::fmt;

use crate::{Codec, CodecFailed, codec::opus::Encoder, ear::Works};

/// States of a kind that are on the shelf when it is full, and when it is to be filled up: a tick in which more people begin to speak than
/// that is rare, and costs the last of them 20 ms.
const FULL: usize = 32;
const LOW: usize = 16;

/// States that find a place on the shelf when they come back; more stay with their leg until that is dropped.
const PLACES: usize = 4096;

/// Codec states that nobody uses at the moment. In the tick they are taken and given back, which doesn't touch the heap (rule R71);
/// between ticks the shelves are filled with what was made elsewhere.
#[derive(Debug)]
pub struct Stock {
    encoders: Shelf<Encoder>,
    works: Shelf<Works>,
}

/// States that a shelf lacks, to be made where there is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    encoders: usize,
    works: usize,
}

/// States on the way to a shelf, or to where they are dropped.
pub struct Supply {
    encoders: Vec<Encoder>,
    works: Vec<Works>,
}

impl Stock {
    /// Sets up a stock with full shelves.
    pub fn new() -> Result<Self, CodecFailed> {
        let mut stock = Self::empty();
        if let Some(lack) = stock.lack() {
            stock.fill(lack.make()?);
        }
        Ok(stock)
    }

    /// Sets up a stock with nothing on the shelves yet.
    pub fn empty() -> Self {
        Self {
            encoders: Shelf::new(),
            works: Shelf::new(),
        }
    }

    /// What is to be made, if a shelf runs low.
    pub fn lack(&self) -> Option<Lack> {
        let (encoders, works) = (self.encoders.lack(), self.works.lack());
        (encoders + works > 0).then_some(Lack { encoders, works })
    }

    /// Puts states on the shelves.
    pub fn fill(&mut self, supply: Supply) {
        self.encoders.fill(supply.encoders);
        self.works.fill(supply.works);
    }

    /// Takes off the shelves what is far more than is needed, to be dropped elsewhere.
    pub fn surplus(&mut self) -> Option<Supply> {
        let (encoders, works) = (self.encoders.surplus(), self.works.surplus());
        (encoders.len() + works.len() > 0).then_some(Supply { encoders, works })
    }

    /// How often somebody had to wait for a tick since a state of the needed kind wasn't there.
    pub fn waits(&self) -> u64 {
        self.encoders.waits + self.works.waits
    }

    /// What encodes Opus.
    pub(crate) fn encoders(&mut self) -> &mut Shelf<Encoder> {
        &mut self.encoders
    }

    /// What decodes Opus.
    pub(crate) fn works(&mut self) -> &mut Shelf<Works> {
        &mut self.works
    }
}

impl Lack {
    /// Makes what lacks.
    pub fn make(self) -> Result<Supply, CodecFailed> {
        let encoder = |_| Encoder::new(Codec::Opus.rate());
        Ok(Supply {
            encoders: (0..self.encoders).map(encoder).collect::<Result<_, _>>()?,
            works: (0..self.works).map(|_| Works::new()).collect::<Result<_, _>>()?,
        })
    }
}

/// States of one kind.
pub(crate) struct Shelf<T> {
    items: Vec<T>,
    waits: u64,
}

impl<T> Shelf<T> {
    fn new() -> Self {
        Self {
            items: Vec::with_capacity(PLACES),
            waits: 0,
        }
    }

    /// Gives a state to one who has none yet.
    pub(crate) fn lend(&mut self, to: &mut Option<T>) {
        if to.is_none() {
            *to = self.items.pop();
            self.waits += u64::from(to.is_none());
        }
    }

    /// Gives a state for a moment, if one is there: nobody waits for it.
    pub(crate) fn spare(&mut self) -> Option<T> {
        self.items.pop()
    }

    /// Takes a state back from one who needs it no longer.
    pub(crate) fn take_back(&mut self, from: &mut Option<T>) {
        if self.items.len() < self.items.capacity()
            && let Some(item) = from.take()
        {
            self.items.push(item);
        }
    }

    fn lack(&self) -> usize {
        let count = self.items.len();
        if count < LOW { FULL - count } else { 0 }
    }

    fn fill(&mut self, items: Vec<T>) {
        let room = self.items.capacity() - self.items.len();
        self.items.extend(items.into_iter().take(room));
    }

    fn surplus(&mut self) -> Vec<T> {
        if self.items.len() > 4 * FULL {
            self.items.split_off(2 * FULL)
        } else {
            Vec::new()
        }
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.items.len())
    }
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.encoders.len() + self.works.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_an_empty_shelf_waits_and_is_counted() {
        let mut shelf = Shelf::new();
        shelf.fill((0..20).collect());
        assert_eq!(shelf.lack(), 0);
        let mut users: [Option<i32>; 21] = [None; 21];
        users.iter_mut().for_each(|user| shelf.lend(user));
        assert_eq!((users[19].is_some(), users[20], shelf.waits), (true, None, 1));
        assert_eq!(shelf.lack(), FULL);
        // One who has a state keeps it.
        shelf.lend(&mut users[0]);
        assert_eq!((users[0], shelf.waits), (Some(19), 1));
        shelf.take_back(&mut users[0]);
        shelf.lend(&mut users[20]);
        assert_eq!((users[0], users[20]), (None, Some(19)));
    }

    #[test]
    fn a_shelf_never_grows_and_gives_its_surplus_away() {
        let mut shelf = Shelf::new();
        shelf.fill((0..PLACES + 5).collect());
        assert_eq!(shelf.items.len(), PLACES);
        let mut state = Some(7);
        shelf.take_back(&mut state);
        assert_eq!(state, Some(7), "it stays where it is");
        assert_eq!(shelf.surplus().len(), PLACES - 2 * FULL);
        assert!(shelf.surplus().is_empty());
    }
}
