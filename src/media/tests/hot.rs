//! The hot path: what a media thread does for every packet and every tick.

use std::sync::{Arc, mpsc};

use mixer::{LegAudio, LegSettings, Rate, Stock};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    super::{
        batch::{Outbox, READ_BUDGET},
        counters::Counters,
        leg::{Leg, NewLeg, Sockets},
        order::{LegOrder, Line, Order, RoomKey, Spot},
        pace::{PHASE, PHASES},
        ports::{Ports, Slot},
        room::Room,
        sounds::Sounds,
        sys::{Epoll, Ticker, Wake, memory},
        voice::Voice,
        whereabouts::Whereabouts,
        worker::{Carried, Setup, Worker},
    },
    browser::{check, credentials},
    secure::{sdes, test_keys},
    *,
};
use crate::model::ice::IceMedia;
use crate::rtp::{
    Sender,
    rtcp::NtpClock,
    srtp::{MAX_OVERHEAD, Profile, Session},
};

/// The first media thread by itself, not running, with the ways to others; and the way to it.
fn lone_worker(others: Vec<Line>) -> (Worker, Line) {
    let wake = Arc::new(Wake::new().expect("eventfd"));
    let (line, mailbox) = Line::new(Arc::clone(&wake));
    let waiting = Sounds::new(None, Voice::built_in()).waiting();
    let worker = Worker::new(Setup {
        own: 0,
        lines: std::iter::once(line.clone()).chain(others).collect(),
        mailbox,
        handshakes: mpsc::channel().0,
        wake,
        epoll: Epoll::new().expect("epoll"),
        ticker: Ticker::new(PHASE).expect("timerfd"),
        tasks: mpsc::channel().0,
        reports: channel(16).0,
        counters: Arc::new(Counters::default()),
        gauge: Arc::default(),
        clock: NtpClock::new(Instant::now(), Duration::ZERO),
        rng: StdRng::seed_from_u64(1),
        vestibule: Room::vestibule(&waiting).expect("a vestibule"),
        waiting,
        stock: Stock::new().expect("codec states"),
    })
    .expect("a worker");
    (worker, line)
}

#[test]
fn r71_a_shared_port_is_read_and_passes_on_without_allocating() {
    let (elsewhere, mailbox) = Line::new(Arc::new(Wake::new().expect("eventfd")));
    let (mut worker, line) = lone_worker(vec![elsewhere]);
    let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound"));
    let port = socket.local_addr().expect("bound");
    line.send(Order::Share(0, Arc::clone(&socket)));
    let now = Instant::now();
    // One leg is on this thread, the other one has moved.
    let phones: Vec<_> = (0..2u64)
        .map(|n| {
            let id = LegId(n);
            let whereabouts = Arc::new(Whereabouts::new(id, n as usize));
            let ice = IceMedia {
                local: credentials(&format!("srv{n}")),
                remote: credentials(&format!("web{n}")),
            };
            let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
            if n == 0 {
                let new = NewLeg {
                    id,
                    sockets: Sockets::Shared(Arc::clone(&socket)),
                    whereabouts: Arc::clone(&whereabouts),
                    spot: Spot { worker: 0, room: None },
                    sender: Sender::new(1, 1, 1),
                    cname: "c".into(),
                    dice: 0,
                    silence_limit: Duration::from_secs(60),
                };
                line.send(Order::Open(Box::new(Leg::new(now, new))));
                let media = LegMedia {
                    ice: Some(ice.clone()),
                    ..media(phone.local_addr().expect("bound"), Codec::Pcmu)
                };
                let audio = LegAudio::new(LegSettings::plain(Codec::Pcmu)).expect("audio");
                line.send(Order::Leg(id, LegOrder::Configure(Box::new(media), Some(audio))));
            }
            line.send(Order::Admit(0, whereabouts, Box::new(ice.clone())));
            phone.send_to(&check(&ice, true), port).expect("sent");
            phone
        })
        .collect();
    while worker.carry_out(now) == Carried::Some {}
    worker.read_shared(now, 0);
    let mut touched = 0;
    for sequence in 0..100u16 {
        let mut packet = [0x55; HEADER_LEN + 160];
        let header = Header {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 9,
        };
        header.write(packet.first_chunk_mut().expect("long enough"));
        for phone in &phones {
            phone.send_to(&packet, port).expect("sent");
        }
        let slot = u64::from(sequence) * PHASES;
        touched += memory::calls(|| {
            worker.read_shared(Instant::now(), 0);
            worker.tick(Instant::now(), slot..slot + PHASES);
        });
    }
    assert_eq!(touched, 0);
    assert_eq!(mailbox.parcels.try_iter().count(), 100, "of the leg that has moved");
    phones[0].set_nonblocking(true).expect("set");
    let mut bytes = [0; 2048];
    let heard = std::iter::from_fn(|| phones[0].recv(&mut bytes).ok()).count();
    assert!(heard >= 100, "an answered check, and silence in the vestibule: {heard}");
}

#[test]
fn r71_neither_reading_nor_ticking_allocates_or_frees() {
    let (mut worker, line) = lone_worker(Vec::new());
    let spot = Spot {
        worker: 0,
        room: Some(RoomKey(1)),
    };
    line.send(Order::Start(Box::new(
        Room::new(RoomKey(1), name("blue"), Rate::Wide, Arc::default()).expect("a room"),
    )));
    let interface = Interface {
        listen: Ipv4Addr::LOCALHOST.into(),
        advertise: None,
    };
    let (mut ports, mut rng) = (
        Ports::new(vec![interface], &(16_384..=32_767)),
        StdRng::seed_from_u64(std::process::id().into()),
    );
    let mut phones: Vec<_> = [Codec::Pcmu, Codec::Pcma, Codec::Opus, Codec::Pcmu]
        .into_iter()
        .enumerate()
        .map(|(i, codec)| {
            let pair = ports.open(Ipv4Addr::LOCALHOST.into(), &mut rng).expect("a pair");
            let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
            let (id, sockets) = (
                LegId(i as u64),
                Sockets::Own {
                    rtp: pair.rtp,
                    rtcp: pair.rtcp,
                    slot: pair.slot,
                },
            );
            let new = NewLeg {
                id,
                sockets,
                whereabouts: Arc::new(Whereabouts::new(id, 0)),
                spot,
                sender: Sender::new(1, 1, 1),
                cname: "c".into(),
                dice: 0,
                silence_limit: Duration::from_secs(60),
            };
            line.send(Order::Open(Box::new(Leg::new(Instant::now(), new))));
            let audio = LegAudio::new(LegSettings::plain(codec)).expect("audio");
            let mut media = media(phone.local_addr().expect("address"), codec);
            // Plain, and with either cipher.
            let secured = [
                None,
                Some(Profile::Aes128CmSha1_80),
                Some(Profile::AeadAes128Gcm),
                Some(Profile::AeadAes128Gcm),
            ][i];
            let far = secured.map(|profile| {
                let (near, far) = (test_keys(profile, 1), test_keys(profile, 2));
                media.security = sdes(near, far);
                Session::new(far, near)
            });
            line.send(Order::Leg(id, LegOrder::Configure(Box::new(media), Some(audio))));
            (phone, pair.advertised, far)
        })
        .collect();
    while worker.carry_out(Instant::now()) == Carried::Some {}
    let mut touched = 0;
    for tick in 0..200u16 {
        for (i, (phone, to, far)) in phones.iter_mut().enumerate() {
            // The third one listens only.
            if let Some(payload_type) = [Some(0), Some(8), None, Some(0)][i] {
                let mut packet = [0; HEADER_LEN + 160 + MAX_OVERHEAD];
                let header = Header {
                    payload_type,
                    marker: false,
                    sequence: tick,
                    timestamp: u32::from(tick) * 160,
                    ssrc: 9,
                };
                header.write(packet.first_chunk_mut().expect("long enough"));
                let mut len = HEADER_LEN + 160;
                packet[HEADER_LEN..len]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(n, byte)| *byte = (n * 7 % 128) as u8);
                if let Some(far) = far {
                    len = far.protect(&mut packet, len).expect("protected");
                }
                phone.send_to(&packet[..len], *to).expect("sent");
            }
        }
        let slot = u64::from(tick) * PHASES;
        touched += memory::calls(|| {
            (0..8).for_each(|token| worker.read(Instant::now(), token, READ_BUDGET));
            worker.tick(Instant::now(), slot..slot + PHASES);
        });
    }
    assert_eq!(touched, 0);
    assert_eq!(memory::calls(|| drop(vec![0u8])), 2, "what is counted");
    phones[2].0.set_nonblocking(true).expect("set");
    let mut bytes = [0; 2048];
    let heard = std::iter::from_fn(|| phones[2].0.recv(&mut bytes).ok()).count();
    assert!(heard >= 100, "the listener is sent packets: {heard}");
}

#[test]
fn r71_protecting_and_opening_allocate_nothing() {
    for profile in [Profile::Aes128CmSha1_80, Profile::Aes128CmSha1_32, Profile::AeadAes128Gcm] {
        let keys = |seed| test_keys(profile, seed);
        let (mut near, mut far) = (Session::new(keys(1), keys(2)), Session::new(keys(2), keys(1)));
        // A change of keys, so that some packets are tried under two.
        let mut renewed = near.clone();
        renewed.renew(keys(3), keys(3));
        let now = Instant::now();
        let touched = memory::calls(|| {
            for sequence in 0..200 {
                let mut packet = [0; HEADER_LEN + 160 + MAX_OVERHEAD];
                let header = Header {
                    payload_type: 0,
                    marker: false,
                    sequence,
                    timestamp: 0,
                    ssrc: 9,
                };
                header.write(packet.first_chunk_mut().expect("long enough"));
                let mut report = [0; 8 + MAX_OVERHEAD];
                report[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
                let sealed = far.protect(&mut packet, HEADER_LEN + 160).expect("protected");
                let sealed_report = far.protect_rtcp(&mut report, 8).expect("protected");
                let receiver = if sequence < 100 { &mut near } else { &mut renewed };
                assert_eq!(receiver.unprotect(now, &mut packet[..sealed]), Ok(HEADER_LEN + 160));
                assert_eq!(receiver.unprotect_rtcp(now, &mut report[..sealed_report]), Ok(8));
                assert!(receiver.unprotect(now, &mut packet).is_err());
            }
        });
        assert_eq!(touched, 0, "{profile:?}");
    }
}

/// A configured leg by itself, and a socket at its other end.
fn lone_leg(now: Instant, change: impl FnOnce(&mut LegMedia)) -> (Leg, UdpSocket) {
    let (rtp, rtcp) = (
        UdpSocket::bind("127.0.0.1:0").expect("bound"),
        UdpSocket::bind("127.0.0.1:0").expect("bound"),
    );
    let far = UdpSocket::bind("127.0.0.1:0").expect("bound");
    far.set_read_timeout(Some(DEADLINE)).expect("set");
    let sockets = Sockets::Own {
        rtp: Arc::new(rtp),
        rtcp,
        slot: Slot::default(),
    };
    let spot = Spot { worker: 0, room: None };
    let mut leg = Leg::new(
        now,
        NewLeg {
            id: LegId(1),
            sockets,
            whereabouts: Arc::new(Whereabouts::new(LegId(1), 0)),
            spot,
            sender: Sender::new(7, 1, 1),
            cname: "c".into(),
            dice: 0,
            silence_limit: Duration::from_secs(60),
        },
    );
    let mut media = media(far.local_addr().expect("address"), Codec::Pcmu);
    media.rtcp_mux = true;
    change(&mut media);
    leg.configure(now, media);
    (leg, far)
}

/// Lets seconds pass, and gathers what the leg has to tell.
fn pass(leg: &mut Leg, start: Instant, seconds: std::ops::RangeInclusive<u64>, outbox: &mut Outbox) -> Vec<MediaReport> {
    let clock = NtpClock::new(start, Duration::ZERO);
    let mut told = Vec::new();
    for second in seconds {
        leg.handle_timeout(start + Duration::from_secs(second), &clock, u16::MAX / 2, outbox);
        told.extend(std::iter::from_fn(|| leg.pending.next(leg.id)));
    }
    outbox.flush();
    told
}

#[test]
fn r45_a_quiet_leg_is_told_at_30_and_60_seconds_and_when_it_resumes() {
    let (start, mut outbox) = (Instant::now(), Outbox::new());
    let (mut leg, far) = lone_leg(start, |_| {});
    assert_eq!(pass(&mut leg, start, 0..=29, &mut outbox), []);
    assert_eq!(pass(&mut leg, start, 30..=59, &mut outbox), [MediaReport::Quiet(leg.id, 30)]);
    assert_eq!(pass(&mut leg, start, 60..=90, &mut outbox), [MediaReport::Quiet(leg.id, 60)]);
    let mut packet = [0; HEADER_LEN + 1];
    Header {
        payload_type: 0,
        marker: true,
        sequence: 1,
        timestamp: 1,
        ssrc: 9,
    }
    .write(packet.first_chunk_mut().expect("long enough"));
    let (now, from) = (start + Duration::from_secs(91), far.local_addr().expect("address"));
    assert!(
        leg.handle_rtp(now, &NtpClock::new(start, Duration::ZERO), from, &mut packet)
            .is_some()
    );
    assert_eq!(pass(&mut leg, start, 92..=100, &mut outbox), [MediaReport::Resumed(leg.id)]);
}

#[test]
fn r44_a_leg_on_hold_is_never_quiet() {
    let (start, mut outbox) = (Instant::now(), Outbox::new());
    let (mut leg, _far) = lone_leg(start, |media| media.on_hold = true);
    assert_eq!(pass(&mut leg, start, 0..=600, &mut outbox), []);
}

#[test]
fn reports_go_out_about_every_five_seconds() {
    let (start, mut outbox) = (Instant::now(), Outbox::new());
    let (mut leg, far) = lone_leg(start, |_| {});
    pass(&mut leg, start, 0..=61, &mut outbox);
    far.set_nonblocking(true).expect("set");
    let mut bytes = [0; 2048];
    let lengths: Vec<_> = std::iter::from_fn(|| far.recv(&mut bytes).ok()).collect();
    assert!((10..=13).contains(&lengths.len()), "{lengths:?}");
    assert!(is_rtcp(&bytes));
}

#[test]
fn a_leg_is_small() {
    // Sockets, streams, latch and reports; codecs and jitter buffer come on top (the whole is to stay under 32 KiB).
    assert!(size_of::<Leg>() < 2048, "{}", size_of::<Leg>());
}
