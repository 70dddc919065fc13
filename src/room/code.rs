//! Join codes (rule R2): somebody in the chat proves by phone that the call is theirs too.

use std::time::{Duration, Instant};

use rand::{Rng, rngs::StdRng};

use crate::model::{Now, OccupantId, PersonId};

use super::{Accepted, Event, Refusal, Room};

/// Digits of a code.
pub(super) const DIGITS: usize = 8;
/// How long a code is good for.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);
/// Codes of one room that are good at once; the oldest makes room.
const MAX_CODES: usize = 1_000;
/// Wrong entries that a room lets pass before it takes no code for a while: nobody guesses one of 1,000 among 100,000,000 by that many.
const FREE_FAILURES: u32 = 30;
/// That while.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// A room's codes.
#[derive(Debug, Default)]
pub(super) struct Codes {
    issued: Vec<Issued>,
    failures: u32,
    /// When the last of them was, or no code is taken until then plus a pause.
    failed: Option<Instant>,
}

struct Issued {
    code: String,
    person: PersonId,
    until: Instant,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issued(***, {:?})", self.person)
    }
}

impl Codes {
    /// A fresh code for somebody; one that they had before is good no more.
    fn issue(&mut self, now: Instant, person: PersonId, rng: &mut StdRng) -> (String, Instant) {
        self.issued.retain(|i| i.until > now && i.person != person);
        if self.issued.len() >= MAX_CODES {
            self.issued.remove(0);
        }
        let code = loop {
            let code = format!("{:0DIGITS$}", rng.random_range(0..10_u32.pow(DIGITS as u32)));
            if self.issued.iter().all(|i| i.code != code) {
                break code;
            }
        };
        let until = now + GOOD_FOR;
        self.issued.push(Issued {
            code: code.clone(),
            person,
            until,
        });
        (code, until)
    }

    /// Whose code this is. It stays good.
    pub(super) fn owner(&self, now: Instant, typed: &str) -> Option<PersonId> {
        if self.is_paused(now) {
            return None;
        }
        self.issued.iter().find(|i| i.until > now && i.code == typed).map(|i| i.person)
    }

    /// The code was used.
    pub(super) fn consume(&mut self, typed: &str) {
        self.issued.retain(|i| i.code != typed);
    }

    /// Something was typed that is no code of this room's.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.failed.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(now);
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.failures > FREE_FAILURES && self.failed.is_some_and(|at| now.saturating_duration_since(at) < PAUSE)
    }
}

impl Room {
    /// Gives somebody in the chat a code for their phone.
    pub(super) fn issue_code(&mut self, now: Now, occupant: OccupantId) -> Result<Accepted, Refusal> {
        let person = self.occupant_person(occupant)?;
        if self.config.audio == crate::model::AudioAccess::Off {
            return Err(Refusal::AudioOff);
        }
        let (code, until) = loop {
            let (code, until) = self.codes.issue(now.at, person, &mut self.rng);
            // What is a room's number would lead there.
            if self.settings.numbers.as_ref().is_none_or(|numbers| numbers.find(&code).is_none()) {
                break (code, until);
            }
        };
        let code = crate::model::Pii(code);
        self.out.tell(Event::CodeIssued {
            room: self.name.clone(),
            code: code.clone(),
            until,
        });
        Ok(Accepted::Code(code))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn r02_a_code_has_eight_digits_is_good_for_five_minutes_and_once() {
        let (mut codes, mut rng, now) = (Codes::default(), StdRng::seed_from_u64(1), Instant::now());
        let (code, until) = codes.issue(now, PersonId(1), &mut rng);
        assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
        assert_eq!(until, now + Duration::from_secs(300));
        assert_eq!(codes.owner(now + Duration::from_secs(299), &code), Some(PersonId(1)));
        assert_eq!(codes.owner(now + Duration::from_secs(300), &code), None);
        let (second, _) = codes.issue(now, PersonId(1), &mut rng);
        assert_eq!(codes.owner(now, &code), None, "the newer one replaces it");
        codes.consume(&second);
        assert_eq!(codes.owner(now, &second), None);
    }

    #[test]
    fn r02_failures_are_limited_per_room() {
        let (mut codes, mut rng, now) = (Codes::default(), StdRng::seed_from_u64(1), Instant::now());
        let (code, _) = codes.issue(now, PersonId(1), &mut rng);
        for _ in 0..FREE_FAILURES {
            codes.failed(now);
        }
        assert_eq!(codes.owner(now, &code), Some(PersonId(1)));
        codes.failed(now);
        assert_eq!(codes.owner(now, &code), None);
        let later = now + PAUSE;
        let (code, _) = codes.issue(later, PersonId(1), &mut rng);
        assert_eq!(codes.owner(later, &code), Some(PersonId(1)));
    }

    #[test]
    fn r02_codes_are_bounded() {
        let (mut codes, mut rng, now) = (Codes::default(), StdRng::seed_from_u64(1), Instant::now());
        for person in 0..MAX_CODES as u32 + 10 {
            codes.issue(now, PersonId(person), &mut rng);
        }
        assert_eq!(codes.issued.len(), MAX_CODES);
    }
}
