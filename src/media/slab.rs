//! The legs of one thread by small numbers, which sockets and mixer know them by: no lookup on the packet path.

use super::leg::Leg;

/// Legs, and which of them have something to tell.
#[derive(Debug, Default)]
pub(super) struct Slab {
    legs: Vec<Option<Box<Leg>>>,
    free: Vec<usize>,
    /// Indices with something to tell, each once; has room for all, so that telling doesn't allocate.
    telling: Vec<usize>,
}

impl Slab {
    pub(super) fn insert(&mut self, leg: Box<Leg>) -> usize {
        let index = self.free.pop().unwrap_or(self.legs.len());
        match self.legs.get_mut(index) {
            Some(slot) => *slot = Some(leg),
            None => self.legs.push(Some(leg)),
        }
        self.telling.reserve(self.legs.len() - self.telling.len());
        // It may bring along what it couldn't tell elsewhere.
        self.tell(index);
        index
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<Box<Leg>> {
        let mut leg = self.legs.get_mut(index)?.take()?;
        self.free.push(index);
        if std::mem::take(&mut leg.pending.listed) {
            self.telling.retain(|&i| i != index);
        }
        Some(leg)
    }

    pub(super) fn at(&self, index: usize) -> Option<&Leg> {
        self.legs.get(index)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Leg> {
        self.legs.get_mut(index)?.as_deref_mut()
    }

    /// One more than the highest index that is or was in use.
    pub(super) fn end(&self) -> usize {
        self.legs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.legs.len()
    }

    /// Notes that a leg has something to tell.
    pub(super) fn tell(&mut self, index: usize) {
        let Some(Some(leg)) = self.legs.get_mut(index) else { return };
        if !std::mem::replace(&mut leg.pending.listed, true) {
            self.telling.push(index);
        }
    }

    /// A leg that has something to tell; the same until it has told all.
    pub(super) fn telling(&mut self) -> Option<&mut Leg> {
        while let Some(&index) = self.telling.last() {
            match self.legs.get_mut(index) {
                Some(Some(leg)) if leg.pending.waits() => break,
                Some(Some(leg)) => leg.pending.listed = false,
                Some(None) | None => {}
            }
            self.telling.pop();
        }
        self.at_mut(*self.telling.last()?)
    }
}
