//! What goes over the wire: headers, sources, reports.

use super::*;

/// A phone that only knows packets.
pub(super) struct Wire {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) to: OpenLeg,
    sequence: u16,
}

impl Wire {
    pub(super) fn new(to: OpenLeg) -> Self {
        // Two ports side by side.
        let (rtp, rtcp) = (0..100)
            .find_map(|_| {
                let rtp = bind(to.rtp.ip(), 0)?;
                let rtcp = bind(to.rtp.ip(), rtp.local_addr().ok()?.port().checked_add(1)?)?;
                Some((rtp, rtcp))
            })
            .expect("two ports side by side");
        Self {
            rtp,
            rtcp,
            to,
            sequence: 0,
        }
    }

    pub(super) fn media(&self) -> LegMedia {
        media(self.rtp.local_addr().expect("address"), Codec::Pcmu)
    }

    /// Loses a packet on the way.
    pub(super) fn skip(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
    }

    pub(super) fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let from = self.rtp.try_clone().expect("cloned");
        self.send_from(&from, payload_type, timestamp, payload);
    }

    fn send_from(&mut self, from: &UdpSocket, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut head = [0; HEADER_LEN];
        Header {
            payload_type,
            marker: false,
            sequence: self.sequence,
            timestamp,
            ssrc: 5,
        }
        .write(&mut head);
        self.sequence = self.sequence.wrapping_add(1);
        from.send_to(&[&head[..], payload].concat(), self.to.rtp).expect("sent");
    }

    /// The next packet's header.
    pub(super) fn next(&self) -> Header {
        let mut bytes = [0; 2048];
        let len = self.rtp.recv(&mut bytes).expect("a packet in time");
        Packet::parse(&bytes[..len]).expect("RTP").header
    }

    /// The next packet's bytes.
    pub(super) fn next_bytes(&self) -> Vec<u8> {
        let mut bytes = [0; 2048];
        let len = self.rtp.recv(&mut bytes).expect("a packet in time");
        bytes[..len].to_vec()
    }

    /// The next packet's payload.
    pub(super) fn next_payload(&self) -> Vec<u8> {
        Packet::parse(&self.next_bytes()).expect("RTP").payload.to_vec()
    }

    pub(super) fn take(&self, count: usize) -> Vec<Header> {
        (0..count).map(|_| self.next()).collect()
    }
}

pub(super) fn bind(ip: IpAddr, port: u16) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((ip, port)).ok()?;
    socket.set_read_timeout(Some(DEADLINE)).ok()?;
    Some(socket)
}

/// A configured leg and its phone.
pub(super) fn phone(world: &mut World) -> (LegId, Wire) {
    let (leg, open) = world.open();
    let wire = Wire::new(open);
    world.plane.order(MediaOrder::Configure(leg, Box::new(wire.media())));
    (leg, wire)
}

/// Asserts that one stream goes on: same source, no sequence number left out, time in whole ticks.
pub(super) fn assert_unbroken(headers: &[Header], max_ticks: u32) {
    for pair in headers.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        assert_eq!(a.ssrc, b.ssrc);
        assert_eq!(a.sequence.wrapping_add(1), b.sequence);
        let step = b.timestamp.wrapping_sub(a.timestamp);
        assert!(step > 0 && step.is_multiple_of(160) && step <= 160 * max_ticks, "{a:?} {b:?}");
        assert_eq!(b.marker, step > 160, "the marker tells a gap");
    }
}

#[test]
fn r60_a_leg_in_the_vestibule_gets_silence_from_its_own_ssrc() {
    let mut world = World::new(1);
    let (_, wire) = phone(&mut world);
    let headers = wire.take(10);
    assert!(headers[0].marker);
    assert_eq!((headers[0].ssrc, headers[0].payload_type), (wire.to.ssrc, 0));
    assert_unbroken(&headers, 10);
}

#[test]
fn r46_a_leg_to_an_ipv6_peer_has_an_ipv6_address() {
    let mut world = World::new(1);
    let (leg, open) = world.open_towards(Ipv6Addr::LOCALHOST.into());
    assert_eq!(
        (open.rtp.ip(), open.rtcp.port()),
        (IpAddr::from(Ipv6Addr::LOCALHOST), open.rtp.port() + 1)
    );
    let mut wire = Wire::new(open);
    world.plane.order(MediaOrder::Configure(leg, Box::new(wire.media())));
    wire.take(2);
    wire.send(101, 800, &[1, 10, 0, 160]);
    world.expect("a key", |r| *r == MediaReport::Digit(leg, '1'));
}

#[test]
fn r60_moves_between_rooms_rates_and_threads_break_nothing() {
    let mut world = World::new(2);
    let (leg, wire) = phone(&mut world);
    // Another leg loads the first thread, so that the rooms spread.
    let (other, _keep) = phone(&mut world);
    world.place(other, "blue", 16_000);
    let (mut headers, mut threads) = (wire.take(5), vec![world.plane.thread_of(leg)]);
    for (room, rate) in [
        (Some("red"), 8000),
        (Some("blue"), 16_000),
        (None, 0),
        (Some("green"), 48_000),
        (Some("red"), 16_000),
        (None, 0),
    ] {
        match room {
            Some(room) => world.place(leg, room, rate),
            None => world.plane.order(MediaOrder::Place(leg, None)),
        }
        threads.push(world.plane.thread_of(leg));
        headers.extend(wire.take(5));
    }
    threads.dedup();
    assert!(threads.len() > 1, "no move went to another thread: {threads:?}");
    // No gap over 40 ms, unless the machine itself stood still.
    let late = world.plane.stats();
    assert_unbroken(&headers, if late.late_ticks + late.skipped_ticks == 0 { 2 } else { 50 });
    assert_eq!(headers[0].ssrc, wire.to.ssrc);
}

#[test]
fn r60_orders_given_while_a_leg_moves_are_carried_out_in_order() {
    let mut world = World::new(2);
    let (leg, wire) = phone(&mut world);
    wire.take(1);
    for i in 0..20 {
        world.place(leg, ["one", "two", "three"][i % 3], [8000, 16_000, 48_000][i % 3]);
        world.plane.order(MediaOrder::Mute(leg, i % 2 == 0));
    }
    world.expect("the mutes", |r| *r == MediaReport::Applied(leg));
    wire.take(3);
    assert!(world.close(leg).sent >= 4);
}

#[test]
fn r61_rtp_bleed_is_refused_and_counted() {
    let mut world = World::new(1);
    let (leg, mut wire) = phone(&mut world);
    world.place(leg, "blue", 8000);
    let stranger = bind("127.0.0.66".parse().expect("an address"), 0).expect("bound");
    for i in 0..10 {
        wire.send_from(&stranger, 0, i * 160, &[0; 160]);
    }
    for i in 10..20 {
        wire.send(0, i * 160, &[0xff; 160]);
    }
    for i in 20..30 {
        wire.send_from(&stranger, 0, i * 160, &[0; 160]);
    }
    // Ours still come; the key press shows that all before it was read.
    wire.send(101, 4800, &[5, 10, 0, 160]);
    world.expect("the key", |r| *r == MediaReport::Digit(leg, '5'));
    wire.take(3);
    let stats = world.close(leg);
    assert_eq!((stats.rejected, stats.received), (20, 11));
    stranger.set_nonblocking(true).expect("set");
    assert!(stranger.recv(&mut [0; 2048]).is_err(), "nothing was sent to the stranger");
}

#[test]
fn r61_the_answer_goes_where_the_latched_packets_come_from() {
    let mut world = World::new(1);
    let (_, mut wire) = phone(&mut world);
    wire.take(1);
    let translated = bind(Ipv4Addr::LOCALHOST.into(), 0).expect("bound");
    // The SDP's own port is silent; another one of the same host proves itself.
    for i in 0..3 {
        wire.send_from(&translated, 0, i * 160, &[0xff; 160]);
    }
    let len = translated.recv(&mut [0; 2048]).expect("a packet in time");
    assert_eq!(len, 172);
}

#[test]
fn r70_keys_are_told_once_and_never_mixed() {
    let mut world = World::new(1);
    let (leg, mut wire) = phone(&mut world);
    world.place(leg, "blue", 8000);
    for (timestamp, key) in [(800, 10), (4000, 6)] {
        for end in [0, 0, 0x80, 0x80, 0x80] {
            wire.send(101, timestamp, &[key, 10 | end, 1, 0x40]);
        }
    }
    world.expect("the second key", |r| *r == MediaReport::Digit(leg, '6'));
    let stats = world.close(leg);
    assert_eq!(stats.received, 10);
    let keys: Vec<_> = world.seen.iter().filter(|r| matches!(r, MediaReport::Digit(..))).cloned().collect();
    assert_eq!(keys, [MediaReport::Digit(leg, '*'), MediaReport::Digit(leg, '6')]);
    assert!(!world.seen.iter().any(|r| matches!(r, MediaReport::Speaking(..))));
}

#[test]
fn closing_says_bye_and_tells_when_the_voice_is_gone() {
    let mut world = World::new(1);
    let (leg, wire) = phone(&mut world);
    world.place(leg, "blue", 8000);
    wire.take(2);
    let stats = world.close(leg);
    assert!(stats.sent >= 2, "{stats:?}");
    let place = |wanted: &dyn Fn(&MediaReport) -> bool| world.seen.iter().position(wanted);
    let applied = place(&|r| *r == MediaReport::Applied(leg));
    assert!(applied.is_some() && applied < place(&|r| matches!(r, MediaReport::Closed(..))));
    let mut bytes = [0; 2048];
    let len = wire.rtcp.recv(&mut bytes).expect("a report in time");
    let said: Vec<_> = parts(&bytes[..len]).collect();
    assert!(
        is_rtcp(&bytes[..len]) && said.contains(&Part::Bye { ssrc: wire.to.ssrc }),
        "{said:?}"
    );
    // Its ports are free again: orders to it are ignored.
    world.plane.order(MediaOrder::Mute(leg, true));
    world.plane.order(MediaOrder::Close(leg));
}

#[test]
fn rtcp_is_multiplexed_if_negotiated() {
    let mut world = World::new(1);
    let (leg, open) = world.open();
    let wire = Wire::new(open);
    let media = LegMedia {
        rtcp_mux: true,
        ..wire.media()
    };
    world.plane.order(MediaOrder::Configure(leg, Box::new(media)));
    wire.take(1);
    world.plane.order(MediaOrder::Close(leg));
    let mut bytes = [0; 2048];
    wait_for("RTCP on the RTP port", || {
        wire.rtp.recv(&mut bytes).is_ok_and(|len| is_rtcp(&bytes[..len]))
    });
    world.closed(leg);
}

#[test]
fn a_mute_is_applied_wherever_the_leg_is() {
    let mut world = World::new(1);
    let (unconfigured, _) = world.open();
    let (leg, _wire) = phone(&mut world);
    for leg in [unconfigured, leg] {
        world.plane.order(MediaOrder::Mute(leg, true));
        world.expect("a mute", |r| *r == MediaReport::Applied(leg));
    }
}

#[test]
fn an_unspecified_address_is_sent_nothing() {
    let mut world = World::new(1);
    let (leg, open) = world.open();
    let wire = Wire::new(open);
    let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), wire.rtp.local_addr().expect("address").port());
    world.plane.order(MediaOrder::Configure(
        leg,
        Box::new(LegMedia {
            rtp: nowhere,
            ..wire.media()
        }),
    ));
    world.plane.order(MediaOrder::Mute(leg, true));
    world.expect("a tick", |r| *r == MediaReport::Applied(leg));
    assert_eq!(world.close(leg).sent, 0);
}

/// The contributing sources that a packet names, and their levels by the extension's number.
fn contributing(bytes: &[u8], levels: u8) -> (Vec<u32>, Option<Vec<u8>>) {
    let count = usize::from(bytes[0] & 0x0f);
    let sources = bytes[HEADER_LEN..][..4 * count].chunks_exact(4);
    let sources = sources.map(|source| u32::from_be_bytes(source.try_into().expect("four bytes")));
    let packet = Packet::parse(bytes).expect("RTP");
    (sources.collect(), packet.extension.element(levels).map(<[u8]>::to_vec))
}

#[test]
fn r69_packets_name_who_talks_in_them_and_never_the_listener() {
    let mut world = World::new(1);
    let mut talkers: Vec<_> = (0..2).map(|_| phone(&mut world)).collect();
    let (leg, listener) = phone(&mut world);
    let levels = Levels { own: None, mixed: Some(5) };
    let media = LegMedia {
        levels,
        ..listener.media()
    };
    world.plane.order(MediaOrder::Configure(leg, Box::new(media)));
    for leg in talkers.iter().map(|(leg, _)| *leg).chain([leg]) {
        world.place(leg, "blue", 8000);
    }
    let both: Vec<u32> = talkers.iter().map(|(_, wire)| wire.to.ssrc).collect();
    let mut timestamp = 0;
    wait_for("both talkers", || {
        timestamp += 160;
        // Full scale and a sixteenth of it.
        talkers[0].1.send(0, timestamp, &[[0x00, 0x80]; 80].concat());
        talkers[1].1.send(0, timestamp, &[[0x40, 0xc0]; 80].concat());
        let (mut sources, levels) = contributing(&listener.next_bytes(), 5);
        assert_eq!(levels.as_ref().map_or(0, Vec::len), sources.len(), "a level for each");
        let loudest_first = levels.is_some_and(|l| l.len() == 2 && l[0].abs_diff(l[1]) >= 12);
        sources.sort_unstable();
        let mut wanted = both.clone();
        wanted.sort_unstable();
        sources == wanted && loudest_first
    });
    for (own, other) in [(0, 1), (1, 0)] {
        wait_for("the other talker alone", || {
            timestamp += 160;
            talkers[0].1.send(0, timestamp, &[[0x00, 0x80]; 80].concat());
            talkers[1].1.send(0, timestamp, &[[0x40, 0xc0]; 80].concat());
            let (sources, levels) = contributing(&talkers[own].1.next_bytes(), 5);
            assert!(!sources.contains(&both[own]), "nobody is told of themselves");
            assert_eq!(levels, None, "not negotiated");
            sources == [both[other]]
        });
    }
}

#[test]
fn a_panic_costs_one_room() {
    let mut world = World::new(1);
    let (victim, _wire) = phone(&mut world);
    let (waiting, waiting_wire) = phone(&mut world);
    let (survivor, wire) = phone(&mut world);
    world.place(victim, "red", 16_000);
    world.place(survivor, "blue", 16_000);
    let mut headers = wire.take(3);
    world.plane.panic_in(&name("red"));
    world.expect("the failure", |r| *r == MediaReport::RoomFailed(name("red")));
    world.closed(victim);
    headers.extend(wire.take(5));
    assert_unbroken(&headers, 4);
    waiting_wire.take(1);
    // The name is free for a new room.
    world.place(waiting, "red", 16_000);
    waiting_wire.take(3);
    assert_eq!(world.plane.stats().panics, 1);
    assert!(world.close(waiting).sent > 3);
    assert!(
        !world
            .seen
            .iter()
            .any(|r| matches!(r, MediaReport::Closed(leg, _) if *leg == survivor))
    );
}

#[test]
fn dropping_the_plane_says_bye_on_every_leg() {
    let mut world = World::new(2);
    let phones: Vec<_> = (0..4).map(|_| phone(&mut world)).collect();
    phones.iter().for_each(|(_, wire)| drop(wire.take(1)));
    let World { plane, mut reports, .. } = world;
    drop(plane);
    let mut closed = 0;
    while let Some(report) = reports.blocking_recv() {
        closed += usize::from(matches!(report, MediaReport::Closed(..)));
    }
    assert_eq!(closed, phones.len());
    let mut bytes = [0; 2048];
    for (_, wire) in &phones {
        let len = wire.rtcp.recv(&mut bytes).expect("a report");
        assert!(parts(&bytes[..len]).any(|p| matches!(p, Part::Bye { .. })));
    }
}
