//! One leg's session over changes of keys (RFC 4568 section 7.1.4).

use std::time::{Duration, Instant};

use super::*;

struct Pair {
    now: Instant,
    ours: Session,
    theirs: SendContext,
    their_keys: Keys,
    our_keys: Keys,
    sequence: u16,
    rng: StdRng,
}

impl Pair {
    fn new(profile: Profile) -> Self {
        let mut rng = StdRng::seed_from_u64(10);
        let (our_keys, their_keys) = (keys(profile, &mut rng), keys(profile, &mut rng));
        Self {
            now: Instant::now(),
            ours: Session::new(our_keys, their_keys),
            theirs: SendContext::new(&their_keys),
            their_keys,
            our_keys,
            sequence: 65_530,
            rng,
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let packet = rtp(3, self.sequence, &mut self.rng);
        protected(&mut self.theirs, &packet)
    }

    fn hear(&mut self, packet: &[u8]) -> Result<usize, Refused> {
        self.ours.unprotect(self.now, &mut packet.to_vec())
    }
}

#[test]
fn keys_that_stay_keep_their_counters() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let first: Vec<_> = (0..10).map(|_| pair.packet()).collect();
        assert!(first.iter().all(|p| pair.hear(p).is_ok()));
        let mut buffer = [rtp(1, 7, &mut pair.rng), vec![0; MAX_OVERHEAD]].concat();
        let len = buffer.len() - MAX_OVERHEAD;
        assert!(pair.ours.protect(&mut buffer, len).is_ok());
        pair.ours.renew(pair.our_keys, pair.their_keys);
        // The sequence number has wrapped, which only the old counters know.
        let next = pair.packet();
        assert!(pair.hear(&next).is_ok(), "{profile:?}");
        assert_eq!(pair.hear(&first[9]), Err(Refused::Replayed), "{profile:?}");
        assert_eq!(pair.ours.protect(&mut buffer, len), Err(Refused::Reused), "{profile:?}");
    }
}

#[test]
fn late_packets_under_the_old_key_are_heard_until_the_new_one_has_come() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let first = pair.packet();
        assert!(pair.hear(&first).is_ok());
        let late: Vec<_> = (0..5).map(|_| pair.packet()).collect();
        let fresh = keys(Profile::AeadAes128Gcm, &mut pair.rng);
        pair.ours.renew(fresh, fresh);
        // However long the answer takes.
        pair.now += Duration::from_secs(30);
        assert!(pair.hear(&late[0]).is_ok(), "{profile:?}");
        assert_eq!(pair.hear(&late[0]).err(), Some(Refused::Forged), "neither key takes it twice");
        pair.theirs = SendContext::new(&fresh);
        let new = pair.packet();
        assert!(pair.hear(&new).is_ok());
        assert!(pair.hear(&late[1]).is_ok());
        pair.now += Duration::from_secs(3);
        assert_eq!(pair.hear(&late[2]), Err(Refused::Forged), "{profile:?}");
        assert_eq!(pair.hear(&new), Err(Refused::Replayed));
    }
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 5 * 1024, "{}", size_of::<Session>());
}
