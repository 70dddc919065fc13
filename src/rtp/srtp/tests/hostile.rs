//! What must be refused: damage, replays, forgeries, floods of sources, indices used twice.

use rand::seq::SliceRandom;

use super::*;

#[test]
fn any_flipped_bit_and_any_cut_is_refused_and_changes_nothing() {
    let mut rng = StdRng::seed_from_u64(3);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut send, mut receive) = (SendContext::new(&keys), ReceiveContext::new(&keys));
        let (packet, report) = (rtp(9, 1, &mut rng), rtcp(9));
        let (sealed, sealed_report) = (protected(&mut send, &packet), protected_rtcp(&mut send, &report));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(opened(&mut receive, &bad).is_err(), "{profile:?} bit {bit}");
        }
        for bit in 0..sealed_report.len() * 8 {
            let mut bad = sealed_report.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(opened_rtcp(&mut receive, &bad).is_err(), "{profile:?} bit {bit} of RTCP");
        }
        for len in 0..sealed.len() {
            assert!(opened(&mut receive, &sealed[..len]).is_err(), "{profile:?} {len} bytes");
        }
        for len in 0..sealed_report.len() {
            assert!(
                opened_rtcp(&mut receive, &sealed_report[..len]).is_err(),
                "{profile:?} {len} bytes of RTCP"
            );
        }
        assert_eq!(opened(&mut receive, &sealed), Ok(packet));
        assert_eq!(opened_rtcp(&mut receive, &sealed_report), Ok(report));
    }
}

#[test]
fn noise_is_refused() {
    let mut rng = StdRng::seed_from_u64(4);
    for profile in PROFILES {
        let mut receive = ReceiveContext::new(&keys(profile, &mut rng));
        for _ in 0..20_000 {
            let mut noise = vec![0; rng.random_range(0..120)];
            rng.fill_bytes(&mut noise);
            if let Some(first) = noise.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            // A tag of 32 bits is guessed once in 2^32; the seed is fixed.
            assert!(receive.unprotect(&mut noise.clone()).is_err());
            assert!(receive.unprotect_rtcp(&mut noise).is_err());
        }
    }
}

#[test]
fn r72_a_report_is_believed_by_its_tag_whatever_its_e_bit() {
    let mut rng = StdRng::seed_from_u64(5);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut send, mut receive) = (SendContext::new(&keys), ReceiveContext::new(&keys));
        let sealed = protected_rtcp(&mut send, &rtcp(9));
        // A plain BYE with a high index, as one who has no key would send it.
        let forged = [rtcp(9), vec![0; sealed.len() - rtcp(9).len()]].concat();
        for index in [0x7fff_ffff_u32, 0xffff_ffff] {
            let mut forged = forged.clone();
            let at = if matches!(profile, Profile::AeadAes128Gcm | Profile::AeadAes256Gcm) {
                forged.len() - 4
            } else {
                forged.len() - 14
            };
            forged[at..at + 4].copy_from_slice(&index.to_be_bytes());
            assert_eq!(opened_rtcp(&mut receive, &forged), Err(Refused::Forged), "{profile:?}");
        }
        // And the real one isn't shut out by it.
        assert!(opened_rtcp(&mut receive, &sealed).is_ok(), "{profile:?}");
    }
}

#[test]
fn replays_and_old_packets_are_refused_out_of_order_ones_are_not() {
    let mut rng = StdRng::seed_from_u64(6);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut send, mut receive) = (SendContext::new(&keys), ReceiveContext::new(&keys));
        let sealed: Vec<_> = (0..300)
            .map(|n| protected(&mut send, &rtp(9, 65_400u16.wrapping_add(n), &mut rng)))
            .collect();
        assert!(opened(&mut receive, &sealed[0]).is_ok());
        // Across the wrap, each hundred backwards.
        for hundred in sealed[1..].chunks(100) {
            assert!(hundred.iter().rev().all(|p| opened(&mut receive, p).is_ok()), "{profile:?}");
        }
        assert!(
            sealed.iter().all(|p| opened(&mut receive, p) == Err(Refused::Replayed)),
            "{profile:?}"
        );
        let reports: Vec<_> = (0..10).map(|_| protected_rtcp(&mut send, &rtcp(9))).collect();
        assert!(reports.iter().rev().all(|p| opened_rtcp(&mut receive, p).is_ok()));
        assert!(reports.iter().all(|p| opened_rtcp(&mut receive, p) == Err(Refused::Replayed)));
    }
}

#[test]
fn whatever_is_lost_or_late_each_packet_opens_exactly_once() {
    let mut rng = StdRng::seed_from_u64(11);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut send, mut receive) = (SendContext::new(&keys), ReceiveContext::new(&keys));
        let (mut sequence, mut opened_once) = (rng.random::<u16>() >> 1, 0);
        for _ in 0..40 {
            // A gap of nearly half a round, then a burst in any order, some of it twice.
            sequence = sequence.wrapping_add(rng.random_range(1..32_000));
            let mut burst: Vec<_> = (0..60)
                .map(|_| {
                    sequence = sequence.wrapping_add(rng.random_range(1..3));
                    protected(&mut send, &rtp(9, sequence, &mut rng))
                })
                .collect();
            burst.extend_from_within(..20);
            burst.shuffle(&mut rng);
            let results: Vec<_> = burst.iter().map(|p| receive.unprotect(&mut p.clone())).collect();
            opened_once += results.iter().filter(|r| r.is_ok()).count();
            assert_eq!(results.iter().filter(|r| **r == Err(Refused::Replayed)).count(), 20, "{profile:?}");
        }
        assert_eq!(opened_once, 40 * 60, "{profile:?}");
    }
}

#[test]
fn forged_sources_take_no_place() {
    let mut rng = StdRng::seed_from_u64(7);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let mut receive = ReceiveContext::new(&keys);
        for ssrc in 0..1000 {
            let forged = [rtp(ssrc, 1, &mut rng), vec![0; 16]].concat();
            assert_eq!(opened(&mut receive, &forged), Err(Refused::Forged));
        }
        // Real ones are bounded, each with a context of its own at the other end.
        let taken = |ssrc| opened(&mut receive, &protected(&mut SendContext::new(&keys), &rtp(ssrc, 1, &mut rng)));
        let results: Vec<_> = (0..20).map(taken).collect();
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 16);
        assert_eq!(results[16], Err(Refused::Crowded));
    }
}

#[test]
fn the_wrong_key_opens_nothing() {
    let mut rng = StdRng::seed_from_u64(8);
    for profile in PROFILES {
        let mut send = SendContext::new(&keys(profile, &mut rng));
        let mut receive = ReceiveContext::new(&keys(profile, &mut rng));
        assert_eq!(
            opened(&mut receive, &protected(&mut send, &rtp(1, 1, &mut rng))),
            Err(Refused::Forged)
        );
        assert_eq!(
            opened_rtcp(&mut receive, &protected_rtcp(&mut send, &rtcp(1))),
            Err(Refused::Forged)
        );
    }
}

#[test]
fn no_index_is_used_twice_and_no_room_is_no_panic() {
    let mut rng = StdRng::seed_from_u64(9);
    for profile in PROFILES {
        let mut send = SendContext::new(&keys(profile, &mut rng));
        let packet = rtp(1, 100, &mut rng);
        let mut tight = packet.clone();
        assert_eq!(send.protect(&mut tight, packet.len()), Err(Refused::Malformed));
        assert_eq!(tight, packet, "nothing is half done");
        assert_eq!(send.protect(&mut tight, packet.len() + 1), Err(Refused::Malformed));
        let mut report = rtcp(1);
        let len = report.len();
        assert_eq!(send.protect_rtcp(&mut report, len), Err(Refused::Malformed));
        protected(&mut send, &packet);
        for (ssrc, sequence, refused) in [(1, 100, Refused::Reused), (1, 99, Refused::Reused), (2, 101, Refused::Crowded)] {
            let mut buffer = [rtp(ssrc, sequence, &mut rng), vec![0; MAX_OVERHEAD]].concat();
            let len = buffer.len() - MAX_OVERHEAD;
            assert_eq!(send.protect(&mut buffer, len), Err(refused));
        }
    }
}
