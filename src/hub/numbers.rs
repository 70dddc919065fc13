//! The book of room numbers. Short, held for a look-up, and never while anything waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{RoomName, entry::RoomNumbers};

/// Which room has which number.
#[derive(Debug, Default)]
pub struct NumberBook(Mutex<BTreeMap<String, RoomName>>);

impl NumberBook {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, RoomName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomNumbers for NumberBook {
    fn claim(&self, room: &RoomName, number: Option<&str>) -> bool {
        let mut book = self.lock();
        if number.and_then(|n| book.get(n)).is_some_and(|holder| holder != room) {
            return false;
        }
        book.retain(|_, holder| holder != room);
        if let Some(number) = number {
            book.insert(number.to_owned(), room.clone());
        }
        true
    }

    fn find(&self, number: &str) -> Option<RoomName> {
        self.lock().get(number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_a_number_is_of_one_room() {
        let book = NumberBook::default();
        let [blue, red] = ["blue", "red"].map(|name| RoomName::new(name).expect("a name"));
        assert!(book.claim(&blue, Some("1234")));
        assert!(!book.claim(&red, Some("1234")));
        assert_eq!(book.find("1234"), Some(blue.clone()));
        assert!(book.claim(&blue, Some("5678")), "a room changes its number");
        assert!(book.claim(&red, Some("1234")), "and gives the old one free");
        assert!(book.claim(&blue, None));
        assert_eq!(book.find("5678"), None);
    }
}
