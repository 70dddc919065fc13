//! Peers with DTLS: on a shared port, found by ICE, as browsers are, and on a port of their own.

use std::sync::Arc;

use is::{
    DefaultSha1HmacProvider, Sha1HmacProvider,
    stun::{StunMessage, TransId},
};
use mixer::{Coder, Rate};

use super::{
    super::{
        identity,
        tone::{Tone, tone_level_db},
    },
    voice::{ANN, Caller, call},
    wire::assert_unbroken,
    *,
};
use crate::{
    model::{
        dtls::{DtlsMedia, DtlsRole},
        ice::{IceCredentials, IceMedia},
        media::MediaFailure,
        srtp::{Profile, Protection},
    },
    rtp::{
        Kind,
        dtls::{BUFFER, Identity, Next, Session},
        srtp::{self, MAX_OVERHEAD},
    },
};

/// What browsers say.
const WEB: f64 = 1500.0;

/// One that doesn't run by itself: [`Peer::step`] does what is due.
struct Peer {
    leg: LegId,
    socket: UdpSocket,
    server: SocketAddr,
    ice: Option<IceMedia>,
    nominates: bool,
    identity: Arc<Identity>,
    dtls: Option<Session>,
    srtp: Option<srtp::Session>,
    profile: Option<Profile>,
    checked: bool,
    check_at: Instant,
    speak_at: Instant,
    sequence: u16,
    coder: Coder,
    tone: Tone,
    heard: Vec<i16>,
    headers: Vec<Header>,
    media: LegMedia,
    buffer: Box<[u8; BUFFER]>,
}

pub(super) fn credentials(name: &str) -> IceCredentials {
    IceCredentials {
        ufrag: name.into(),
        password: format!("the-password-of-{name}-is-long"),
    }
}

/// The plane's own fingerprint is right unless `deceived`.
fn peer(world: &mut World, kind: PortKind, deceived: bool) -> Peer {
    world.legs += 1;
    let leg = LegId(world.legs);
    let opening = Opening {
        leg,
        correlation: Correlation(world.legs),
        peer: Ipv4Addr::LOCALHOST.into(),
        port: kind,
        room: Some(name("any")),
    };
    let open = world.plane.open(&opening).expect("a port");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("set");
    let identity = Arc::new(identity::generate().expect("a certificate"));
    let shown = if deceived {
        identity::generate().expect("a certificate").fingerprint().clone()
    } else {
        identity.fingerprint().clone()
    };
    let ice = (kind == PortKind::Shared).then(|| IceMedia {
        local: credentials(&format!("srv{}", leg.0)),
        remote: credentials(&format!("web{}", leg.0)),
    });
    let media = LegMedia {
        rtcp_mux: true,
        security: Security::Dtls(DtlsMedia {
            role: Some(DtlsRole::Passive),
            fingerprints: vec![shown],
        }),
        ice: ice.clone(),
        ..media(socket.local_addr().expect("address"), Codec::Pcmu)
    };
    world.plane.order(MediaOrder::Configure(leg, Box::new(media.clone())));
    let mut peer = Peer {
        leg,
        socket,
        server: open.rtp,
        ice,
        nominates: true,
        dtls: None,
        srtp: None,
        profile: None,
        checked: false,
        check_at: Instant::now(),
        speak_at: Instant::now(),
        sequence: 1,
        coder: Coder::new(Codec::Pcmu, Rate::Narrow).expect("a coder"),
        tone: Tone::new(WEB, -12.0, 8000),
        heard: Vec::new(),
        headers: Vec::new(),
        media,
        identity,
        buffer: Box::new([0; BUFFER]),
    };
    if kind == PortKind::Own {
        peer.shake_hands(world);
    }
    peer
}

/// A connectivity check of theirs.
pub(super) fn check(ice: &IceMedia, nominates: bool) -> Vec<u8> {
    let user = format!("{}:{}", ice.local.ufrag, ice.remote.ufrag);
    let message = StunMessage::binding_request(&user, TransId::new(), true, 1, 1, nominates);
    let mut bytes = vec![0; 256];
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let len = message
        .to_bytes(Some(ice.local.password.as_bytes()), &mut bytes, hmac)
        .expect("space");
    bytes.truncate(len);
    bytes
}

impl Peer {
    /// Begins a handshake.
    fn shake_hands(&mut self, world: &World) {
        let server = vec![world.plane.fingerprint().clone()];
        self.dtls = Some(Session::new(
            Instant::now(),
            Arc::clone(&self.identity),
            DtlsRole::Active,
            server,
            true,
        ));
    }

    fn step(&mut self) {
        let now = Instant::now();
        if self.ice.is_some() && now >= self.check_at {
            self.check_at = now + Duration::from_millis(100);
            let check = self.check(self.nominates);
            self.say(&check);
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.drain();
        }
        if self.srtp.is_some() && now >= self.speak_at {
            self.speak_at = now.max(self.speak_at + Duration::from_millis(20));
            self.speak();
        }
        let mut bytes = [0; 2048];
        if let Ok(len) = self.socket.recv(&mut bytes) {
            self.hear(now, &mut bytes[..len]);
        }
    }

    fn check(&self, nominates: bool) -> Vec<u8> {
        check(self.ice.as_ref().expect("ICE"), nominates)
    }

    fn say(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sent");
    }

    fn drain(&mut self) {
        while let Some(dtls) = &mut self.dtls {
            match dtls.poll(&mut self.buffer) {
                Next::Send(len) => self.say(&self.buffer[..len]),
                Next::Agreed(agreed) => {
                    self.profile = Some(agreed.ours.profile);
                    self.srtp = Some(srtp::Session::new(agreed.ours, agreed.theirs));
                }
                Next::Ended(_) => self.dtls = None,
                Next::Wait(_) => return,
            }
        }
    }

    fn speak(&mut self) {
        let mut pcm = [0; 160];
        self.tone.fill(&mut pcm);
        let payload = self.coder.encode(&pcm);
        self.send(&payload);
    }

    /// Sends one packet, protected if there are keys.
    fn send(&mut self, payload: &[u8]) {
        let mut packet = [0; HEADER_LEN + 160 + MAX_OVERHEAD];
        let header = Header {
            payload_type: 0,
            marker: false,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 77,
        };
        self.sequence += 1;
        header.write(packet.first_chunk_mut().expect("long enough"));
        packet[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
        let mut len = HEADER_LEN + payload.len();
        if let Some(srtp) = &mut self.srtp {
            len = srtp.protect(&mut packet, len).expect("protected");
        }
        self.say(&packet[..len]);
    }

    fn hear(&mut self, now: Instant, bytes: &mut [u8]) {
        match Kind::of(bytes) {
            Kind::Stun => {
                let answer = StunMessage::parse(bytes).expect("a STUN message");
                assert_eq!(answer.mapped_address(), self.socket.local_addr().ok());
                self.checked = true;
            }
            Kind::Dtls => {
                if let Some(dtls) = &mut self.dtls {
                    dtls.handle(now, bytes);
                    self.drain();
                }
            }
            Kind::Rtp => {
                let srtp = self.srtp.as_mut().expect("nothing comes before the keys");
                let len = srtp.unprotect(now, bytes).expect("authentic");
                let packet = Packet::parse(&bytes[..len]).expect("RTP");
                self.heard.extend(self.coder.decode(packet.payload));
                self.headers.push(packet.header);
            }
            Kind::Rtcp => {
                let srtp = self.srtp.as_mut().expect("nothing comes before the keys");
                srtp.unprotect_rtcp(now, bytes).expect("authentic");
            }
            Kind::Other => panic!("garbage from the server"),
        }
    }

    /// Goes on until something is so.
    fn until(&mut self, what: &str, mut met: impl FnMut(&Self) -> bool) {
        wait_for(what, || {
            self.step();
            met(self)
        });
    }

    fn connect(&mut self, world: &World) {
        if self.ice.is_some() {
            self.until("an answered check", |p| p.checked);
            self.shake_hands(world);
        }
        self.until("keys", |p| p.srtp.is_some());
    }

    fn hears(&mut self, hz: f64) {
        self.until("a tone at the browser", |p| {
            let from = p.heard.len().saturating_sub(1600);
            p.heard.len() > 1600 && tone_level_db(&p.heard[from..], 8000, hz) > -20.0
        });
    }

    fn is_heard_by(&mut self, phone: &Caller) {
        self.until("the browser's tone", |_| phone.level(WEB).is_some_and(|level| level > -20.0));
    }
}

/// A browser, or a phone with DTLS, and a plain phone in one room.
fn meet(world: &mut World, kind: PortKind) -> (Peer, Caller) {
    let (mut web, ann) = (peer(world, kind, false), call(world, Codec::Pcmu, ANN));
    web.connect(world);
    world.place(web.leg, "blue", 8000);
    world.place(ann.leg, "blue", 8000);
    web.hears(ANN);
    web.is_heard_by(&ann);
    (web, ann)
}

#[test]
fn a_browser_and_a_phone_hear_each_other() {
    let mut world = World::new(1);
    let (web, _ann) = meet(&mut world, PortKind::Shared);
    let stats = world.plane.stats();
    assert_eq!((stats.handshakes, stats.checks_refused, stats.dtls_refused), (1, 0, 0));
    assert!(stats.checks > 0 && matches!(web.profile, Some(Profile::AeadAes128Gcm | Profile::AeadAes256Gcm)));
    let closed = world.close(web.leg);
    assert!(closed.received > 8 && closed.forged == 0, "{closed:?}");
}

#[test]
fn a_phone_with_dtls_on_a_port_of_its_own_and_a_plain_one_hear_each_other() {
    let mut world = World::new(1);
    meet(&mut world, PortKind::Own);
}

#[test]
fn two_browsers_on_one_port_hear_each_other() {
    let mut world = World::new(1);
    let (mut web, _ann) = meet(&mut world, PortKind::Shared);
    let mut other = peer(&mut world, PortKind::Shared, false);
    assert_eq!(other.server, web.server, "one port for all");
    other.connect(&world);
    world.place(other.leg, "blue", 8000);
    wait_for("the other one's tone", || {
        web.step();
        other.step();
        let from = other.heard.len().saturating_sub(1600);
        other.heard.len() > 1600 && tone_level_db(&other.heard[from..], 8000, WEB) > -20.0
    });
}

#[test]
fn r72_another_certificate_ends_the_leg_before_anything_flows() {
    let mut world = World::new(1);
    let mut web = peer(&mut world, PortKind::Shared, true);
    web.until("an answered check", |p| p.checked);
    web.shake_hands(&world);
    let leg = web.leg;
    wait_for("the end", || {
        web.step();
        world.has_seen(|r| *r == MediaReport::Failed(leg, MediaFailure::Fingerprint))
    });
    assert!(web.headers.is_empty());
    assert_eq!((world.plane.stats().fingerprints, world.plane.stats().handshakes), (1, 0));
    let closed = world.close(leg);
    assert_eq!((closed.received, closed.sent), (0, 0));
}

#[test]
fn r72_before_the_keys_nothing_is_sent_and_nothing_believed() {
    let mut world = World::new(1);
    let mut web = peer(&mut world, PortKind::Shared, false);
    world.place(web.leg, "blue", 8000);
    web.until("an answered check", |p| p.checked);
    (0..20).for_each(|_| web.send(&[0x10; 160]));
    let start = Instant::now();
    web.until("a quarter of a second", |_| start.elapsed() > Duration::from_millis(250));
    assert!(web.headers.is_empty());
    let closed = world.close(web.leg);
    assert_eq!((closed.received, closed.sent, closed.rejected), (0, 0, 20));
}

#[test]
fn without_a_valid_check_a_source_gets_nothing_and_each_kind_of_garbage_is_counted() {
    let mut world = World::new(1);
    let mut web = peer(&mut world, PortKind::Shared, false);
    web.until("an answered check", |p| p.checked);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    stranger.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    let mut forged = web.check(true);
    let last = forged.len() - 9;
    forged[last] ^= 1;
    let unknown = {
        let mut other = web.check(true);
        other[24] ^= 1;
        other
    };
    let hello = [&[22, 0xfe, 0xfd][..], &[0; 40]].concat();
    let rtp = [&[0x80, 0, 0, 1][..], &[0; 168]].concat();
    for _ in 0..100 {
        for bytes in [&forged, &unknown, &hello, &rtp, &vec![200; 30], &vec![]] {
            stranger.send_to(bytes, web.server).expect("sent");
        }
    }
    web.until("all counted", |_| {
        let stats = world.plane.stats();
        // Unknown names, media and other garbage are for nobody.
        (stats.checks_refused, stats.dtls_refused, stats.strays) == (100, 100, 400)
    });
    assert!(stranger.recv(&mut [0; 2000]).is_err(), "no answer");
    web.connect(&world);
}

#[test]
fn a_source_that_consents_is_not_taken_by_another_leg() {
    let mut world = World::new(1);
    let (mut web, mut thief) = (peer(&mut world, PortKind::Shared, false), peer(&mut world, PortKind::Shared, false));
    web.until("an answered check", |p| p.checked);
    // Its own name and password, sent from the other's address.
    let check = thief.check(true);
    web.say(&check);
    web.until("the refusal", |_| world.plane.stats().checks_refused == 1);
    thief.until("an answered check", |p| p.checked);
    web.connect(&world);
}

#[test]
fn the_latest_nomination_moves_the_media() {
    let mut world = World::new(1);
    let (mut web, ann) = meet(&mut world, PortKind::Shared);
    let moved = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    moved.set_read_timeout(Some(Duration::from_millis(2))).expect("set");
    web.socket = moved;
    web.check_at = Instant::now();
    let before = web.headers.len();
    web.until("media at the new place", |p| p.headers.len() > before + 10);
    web.heard.clear();
    web.hears(ANN);
    web.is_heard_by(&ann);
    assert_eq!(world.plane.stats().handshakes, 1, "the keys go on");
}

#[test]
fn r60_a_browser_moves_a_hundred_times_between_threads_and_its_port_stays() {
    let mut world = World::new(2);
    let mut web = peer(&mut world, PortKind::Shared, false);
    web.connect(&world);
    world.place(web.leg, "blue", 8000);
    web.until("packets", |p| p.headers.len() > 5);
    web.headers.clear();
    for turn in 0..100usize {
        world.plane.move_room(&name("blue"), turn % 2);
        let before = web.headers.len();
        web.until("a packet", |p| p.headers.len() > before);
    }
    let late = world.plane.stats();
    let most = if late.late_ticks + late.skipped_ticks == 0 { 2 } else { 50 };
    assert_unbroken(&web.headers, most);
    let stats = world.close(web.leg);
    assert!(stats.received > 50, "{stats:?}");
    assert_eq!(
        (stats.lost, world.plane.stats().misrouted),
        (0, 0),
        "what meets the leg on its way follows it: {stats:?}"
    );
}

#[test]
fn a_restart_of_ice_keeps_keys_and_sound() {
    let mut world = World::new(1);
    let (mut web, ann) = meet(&mut world, PortKind::Shared);
    let anew = IceMedia {
        local: credentials("srv-anew"),
        remote: credentials("web-anew"),
    };
    web.media.ice = Some(anew.clone());
    world.plane.order(MediaOrder::Configure(web.leg, Box::new(web.media.clone())));
    web.ice = Some(anew);
    web.checked = false;
    web.until("an answered check", |p| p.checked);
    web.heard.clear();
    web.hears(ANN);
    web.is_heard_by(&ann);
    assert_eq!(world.plane.stats().handshakes, 1);
}

#[test]
fn a_flood_of_dtls_from_a_checked_source_is_bounded_and_others_get_their_keys() {
    let mut world = World::new(1);
    let (mut flooder, mut web) = (peer(&mut world, PortKind::Shared, false), peer(&mut world, PortKind::Shared, false));
    flooder.until("an answered check", |p| p.checked);
    let nonsense = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0x04, 0x00, 1][..], &[7; 1023]].concat();
    (0..5000).for_each(|_| flooder.say(&nonsense));
    web.connect(&world);
}

#[test]
fn another_agreement_needs_another_handshake_and_one_for_plain_rtp_none() {
    let mut world = World::new(1);
    let (mut web, ann) = meet(&mut world, PortKind::Own);
    // Another device takes the call over: another certificate.
    web.identity = Arc::new(identity::generate().expect("a certificate"));
    web.media.security = Security::Dtls(DtlsMedia {
        role: Some(DtlsRole::Passive),
        fingerprints: vec![web.identity.fingerprint().clone()],
    });
    world.plane.order(MediaOrder::Configure(web.leg, Box::new(web.media.clone())));
    web.srtp = None;
    web.shake_hands(&world);
    // What is still on its way is under the keys of before.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        let _ = web.socket.recv(&mut [0; 2048]);
    }
    web.until("keys", |p| p.srtp.is_some());
    web.heard.clear();
    web.hears(ANN);
    web.is_heard_by(&ann);
    assert_eq!(world.plane.stats().handshakes, 2);
    let plain = LegMedia {
        security: Security::Plain,
        ..web.media.clone()
    };
    world.plane.order(MediaOrder::Configure(web.leg, Box::new(plain)));
    // The old association's end is no longer the leg's.
    web.dtls.as_mut().expect("up").close();
    web.drain();
    let mut bytes = [0; 2048];
    // With one talker named, but without a tag.
    wait_for(
        "plain packets",
        || matches!(web.socket.recv(&mut bytes), Ok(len) if len == HEADER_LEN + 4 + 160),
    );
    let leg = web.leg;
    assert!(!world.has_seen(|r| matches!(r, MediaReport::Failed(l, _) if *l == leg)));
    assert_eq!(world.close(leg).protection, Protection::None);
}

#[test]
fn whoever_closes_tells_the_other_side() {
    let mut world = World::new(1);
    let (mut web, _ann) = meet(&mut world, PortKind::Shared);
    world.plane.order(MediaOrder::Close(web.leg));
    web.until("our farewell", |p| p.dtls.is_none());
    let (mut web, _ann) = meet(&mut world, PortKind::Own);
    web.dtls.as_mut().expect("up").close();
    web.drain();
    let leg = web.leg;
    world.expect("theirs", |r| *r == MediaReport::Failed(leg, MediaFailure::Closed));
}
