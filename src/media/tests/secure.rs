//! SRTP on the wire: both ways, under either cipher, and what is not believed.

use super::{
    wire::{Wire, bind},
    *,
};
use crate::{
    model::srtp::{Protection, Sdes},
    rtp::{
        Sender,
        rtcp::{MAX_BUILT, NtpClock, Report, Reports},
        srtp::{Keys, MAX_KEY_LEN, MAX_OVERHEAD, Profile, Session},
    },
};

const PROFILES: [Profile; 3] = [Profile::Aes128CmSha1_80, Profile::Aes128CmSha1_32, Profile::AeadAes128Gcm];

pub(super) fn test_keys(profile: Profile, seed: u8) -> Keys {
    Keys {
        profile,
        key: [seed; MAX_KEY_LEN],
        salt: [seed.wrapping_add(1); 14],
    }
}

/// What our end of a leg is told.
pub(super) fn sdes(local: Keys, remote: Keys) -> Security {
    Security::Sdes(Sdes {
        local,
        remote,
        signalling_protected: true,
    })
}

/// A phone that encrypts.
struct Phone {
    leg: LegId,
    wire: Wire,
    far: Session,
    sequence: u16,
}

impl Phone {
    fn new(world: &mut World, profile: Profile) -> Self {
        let (leg, open) = world.open();
        let wire = Wire::new(open);
        let phone = Self {
            leg,
            wire,
            far: Session::new(test_keys(profile, 2), test_keys(profile, 1)),
            sequence: 65_500,
        };
        phone.agree(world, test_keys(profile, 1), test_keys(profile, 2));
        phone
    }

    fn agree(&self, world: &mut World, local: Keys, remote: Keys) {
        let media = LegMedia {
            security: sdes(local, remote),
            ..self.wire.media()
        };
        world.plane.order(MediaOrder::Configure(self.leg, Box::new(media)));
    }

    /// The next packet, protected by whom it is given.
    fn packet(&mut self, with: Option<&mut Session>, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER_LEN];
        let header = Header {
            payload_type: 0,
            marker: false,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 5,
        };
        header.write(packet.first_chunk_mut().expect("long enough"));
        self.sequence = self.sequence.wrapping_add(1);
        packet.extend(payload);
        let len = packet.len();
        packet.extend([0; MAX_OVERHEAD]);
        let len = with.unwrap_or(&mut self.far).protect(&mut packet, len).expect("protected");
        packet.truncate(len);
        packet
    }

    fn talk(&mut self, packets: usize) -> Vec<Vec<u8>> {
        let payload: Vec<u8> = (0..160).map(|n| (n * 7 % 128) as u8).collect();
        let sent: Vec<_> = (0..packets).map(|_| self.packet(None, &payload)).collect();
        sent.iter().for_each(|p| self.send(p));
        sent
    }

    fn send(&self, packet: &[u8]) {
        self.wire.rtp.send_to(packet, self.wire.to.rtp).expect("sent");
    }

    fn send_report(&self, packet: &[u8]) {
        self.wire.rtcp.send_to(packet, self.wire.to.rtcp).expect("sent");
    }

    /// The next packet, opened.
    fn hear(&mut self) -> (Header, Vec<u8>) {
        let mut bytes = [0; 2048];
        let len = self.wire.rtp.recv(&mut bytes).expect("a packet in time");
        assert!(
            Packet::parse(&bytes[..len]).is_ok_and(|p| p.payload.len() > 160),
            "a tag is behind it"
        );
        let len = self.far.unprotect(Instant::now(), &mut bytes[..len]).expect("authentic");
        let packet = Packet::parse(&bytes[..len]).expect("RTP");
        (packet.header, packet.payload.to_vec())
    }

    /// Waits until the leg's numbers are as wanted.
    fn wait(&self, world: &World, what: &str, wanted: impl Fn(&LegStats) -> bool) -> LegStats {
        let mut stats = LegStats::default();
        wait_for(what, || {
            stats = world.plane.measure(self.leg).blocking_recv().expect("the leg is there");
            wanted(&stats)
        });
        stats
    }
}

/// A report with a BYE behind it, and room for protection.
fn goodbye() -> (usize, Vec<u8>) {
    let (now, sender, mut buffer) = (Instant::now(), Sender::new(5, 0, 0), [0; MAX_BUILT]);
    let report = Report {
        now,
        ntp: NtpClock::new(now, Duration::ZERO).at(now),
        sender: &sender,
        reception: None,
        cname: "x",
        bye: true,
    };
    let len = Reports::new(now, 0).write(report, 0, &mut buffer);
    (len, [&buffer[..len], &[0; MAX_OVERHEAD]].concat())
}

#[test]
fn voice_goes_both_ways_under_every_profile() {
    for profile in PROFILES {
        let mut world = World::new(1);
        // Another profile at the other end.
        let (mut ann, mut bob) = (Phone::new(&mut world, profile), Phone::new(&mut world, Profile::AeadAes128Gcm));
        world.place(ann.leg, "blue", 8000);
        world.place(bob.leg, "blue", 8000);
        let mut loud = 0;
        for _ in 0..50 {
            ann.talk(1);
            let (header, payload) = bob.hear();
            assert_eq!((header.ssrc, payload.len()), (bob.wire.to.ssrc, 160));
            loud += usize::from(payload.iter().any(|byte| !matches!(byte, 0xff | 0x7f)));
        }
        assert!(loud > 20, "{profile:?}: {loud} of 50 packets carry voice");
        // The sequence number has wrapped meanwhile.
        let stats = ann.wait(&world, "all packets", |s| s.received == 50);
        assert_eq!((stats.forged, stats.replayed, stats.rejected), (0, 0, 0), "{profile:?}");
        assert_eq!(stats.protection, Protection::Sdes);
        ann.hear();
    }
}

#[test]
fn r72_what_is_not_authentic_is_neither_heard_nor_followed() {
    for profile in PROFILES {
        let mut world = World::new(1);
        let mut ann = Phone::new(&mut world, profile);
        let sent = ann.talk(5);
        ann.wait(&world, "her packets", |s| s.received == 5);
        // Again; under another key; cut; plain; from a source that proves itself by sequence alone (rule R61).
        ann.send(&sent[2]);
        let mut stranger = Session::new(test_keys(profile, 7), test_keys(profile, 7));
        let forged = ann.packet(Some(&mut stranger), &[0; 160]);
        ann.send(&forged);
        ann.send(&sent[4][..40]);
        let elsewhere = bind(Ipv4Addr::LOCALHOST.into(), 0).expect("bound");
        let plain = |sequence: u16| {
            let mut packet = sent[4][..HEADER_LEN + 160].to_vec();
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet
        };
        ann.send(&plain(4));
        for n in 5..10 {
            elsewhere.send_to(&plain(n), ann.wire.to.rtp).expect("sent");
        }
        let stats = ann.wait(&world, "the counts", |s| s.forged + s.replayed + s.rejected == 9);
        assert_eq!((stats.received, stats.rejected), (5, 5), "{profile:?}: strangers cost no cipher");
        assert!(stats.replayed >= 1 && stats.forged >= 2, "{profile:?}: {stats:?}");
        // Still hers.
        ann.talk(1);
        ann.wait(&world, "her next packet", |s| s.received == 6);
        ann.hear();
        elsewhere.set_nonblocking(true).expect("set");
        assert!(elsewhere.recv(&mut [0; 2048]).is_err(), "nothing was sent elsewhere");
        assert!(world.close(ann.leg).protection.is_protected());
    }
}

#[test]
fn r72_a_forged_goodbye_is_dropped_whatever_it_claims() {
    for profile in PROFILES {
        let mut world = World::new(1);
        let mut ann = Phone::new(&mut world, profile);
        ann.talk(3);
        let before = ann.wait(&world, "her packets", |s| s.received == 3);
        let (len, mut report) = goodbye();
        // Plain; plain with an index and a tag of zeros, E clear and set.
        ann.send_report(&report[..len]);
        let behind = if profile == Profile::AeadAes128Gcm { 0 } else { 10 };
        for index in [0x7fff_ffff_u32, 0xffff_ffff] {
            let mut forged = report[..len + 14].to_vec();
            let at = forged.len() - behind - 4;
            forged[at..at + 4].copy_from_slice(&index.to_be_bytes());
            ann.send_report(&forged);
        }
        let stats = ann.wait(&world, "the forgeries", |s| s.forged + s.rejected == 3);
        assert!(stats.forged >= 2, "{stats:?}");
        // The true one is believed, once: no forgery has used its index up.
        let len = ann.far.protect_rtcp(&mut report, len).expect("protected");
        ann.send_report(&report[..len]);
        ann.send_report(&report[..len]);
        let stats = ann.wait(&world, "the replay", |s| s.replayed == 1);
        assert_eq!(stats.forged + stats.rejected, 3 + before.forged + before.rejected, "{profile:?}");
        // Ours are protected too.
        world.close(ann.leg);
        let mut bytes = [0; 2048];
        let len = ann.wire.rtcp.recv(&mut bytes).expect("a report in time");
        let len = ann.far.unprotect_rtcp(Instant::now(), &mut bytes[..len]).expect("authentic");
        assert!(
            parts(&bytes[..len]).any(|p| p == Part::Bye { ssrc: ann.wire.to.ssrc }),
            "{profile:?}"
        );
    }
}

#[test]
fn new_keys_take_over_without_a_gap() {
    let mut world = World::new(1);
    let mut ann = Phone::new(&mut world, Profile::Aes128CmSha1_80);
    ann.talk(3);
    let late = ann.packet(None, &[0xff; 160]);
    ann.wait(&world, "the first", |s| s.received == 3);
    let (near, far) = (test_keys(Profile::AeadAes128Gcm, 3), test_keys(Profile::AeadAes128Gcm, 4));
    ann.agree(&mut world, near, far);
    ann.send(&late);
    ann.wait(&world, "a late one", |s| s.received == 4);
    ann.far.renew(far, near);
    ann.talk(3);
    let stats = ann.wait(&world, "the new ones", |s| s.received == 7);
    assert_eq!(stats.forged, 0);
    let mut last = ann.hear().0.sequence;
    for _ in 0..5 {
        let next = ann.hear().0.sequence;
        assert_eq!(next, last.wrapping_add(1));
        last = next;
    }
    // Without keys the call goes on in the clear.
    world.plane.order(MediaOrder::Configure(ann.leg, Box::new(ann.wire.media())));
    let stats = ann.wait(&world, "plain RTP", |s| s.protection == Protection::None);
    assert!(!stats.protection.is_protected());
}
