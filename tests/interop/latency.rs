//! How long a moderator's word takes through a real chat server (rule R12): printed, and checked only against getting stuck.

use std::{
    net::UdpSocket,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use cusax::{
    media::{
        softphone::{Softphone, SoftphoneConfig, Source},
        tone::tone_level_db,
    },
    model::{media::Codec, srtp::Security},
    rtp::Packet,
};
use mixer::{Coder, Rate};

use super::peers::{self, Caller, Chat, Folder, Server, events::LIMIT, server::ROOM};

const ROUNDS: usize = 20;
const TONE: f64 = 440.0;
/// The tone is sent at -12 dB.
const PRESENT_DB: f64 = -20.0;
const ABSENT_DB: f64 = -46.0;
/// Packets in a row that have to agree: one alone may have been made up for a lost one.
const SURE: usize = 3;

/// Hears packet by packet whether there is the tone.
struct Ear(mpsc::Receiver<(Instant, Option<bool>)>);

impl Ear {
    fn new(socket: UdpSocket) -> Self {
        let (tell, told) = mpsc::channel();
        let mut coder = Coder::new(Codec::Pcmu, Rate::Narrow).expect("G.711 needs nothing");
        socket.set_read_timeout(Some(LIMIT)).expect("a socket option");
        thread::spawn(move || {
            let mut bytes = [0; 2048];
            while let Ok(length) = socket.recv(&mut bytes) {
                let at = Instant::now();
                let Ok(packet) = Packet::parse(&bytes[..length]) else { continue };
                let level = tone_level_db(&coder.decode(packet.payload), 8000, TONE);
                let heard = (level > PRESENT_DB)
                    .then_some(true)
                    .or_else(|| (level < ABSENT_DB).then_some(false));
                if tell.send((at, heard)).is_err() {
                    return;
                }
            }
        });
        Self(told)
    }

    /// The first packet since then that has, or has not, the tone, as the following ones do.
    fn first(&self, since: Instant, present: bool) -> Instant {
        let mut alike: Vec<Instant> = Vec::new();
        while alike.len() < SURE {
            let (at, heard) = self.0.recv_timeout(LIMIT).expect("packets go on");
            if at >= since && heard == Some(present) {
                alike.push(at);
            } else {
                alike.clear();
            }
            assert!(at < since + LIMIT, "the tone never came to be {present}");
        }
        alike[0]
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |share: usize| times[(times.len() * share).div_ceil(100) - 1].as_secs_f64() * 1000.0;
    eprintln!(
        "r12 {what}: median {:.0} ms, p95 {:.0} ms, longest {:.0} ms",
        ms(50),
        ms(95),
        ms(100)
    );
}

#[test]
fn r12_a_moderators_word_is_quick() {
    let folder = Folder::new("latency");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let address = server.line("x", "udp").server;
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");

    let mut talker = Caller::new(address).expect("sockets");
    let talk = talker.call("standup", "tom").expect("a call");
    let _voice = Softphone::start(SoftphoneConfig {
        socket: talker.media().try_clone().expect("a descriptor"),
        remote: talk.media,
        codec: Codec::Pcmu,
        payload_type: 0,
        rate: Rate::Narrow,
        source: Source::Tone { hz: TONE, level_db: -12.0 },
        ssrc: 12,
        security: Security::Plain,
    })
    .expect("a thread");
    let mut listener = Caller::new(address).expect("sockets");
    listener.call("standup", "lea").expect("a call");
    let ear = Ear::new(listener.media().try_clone().expect("a descriptor"));
    ear.first(Instant::now(), true);

    let [mut mutes, mut grants, mut kicks] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (role, present, times) in [("visitor", false, &mut mutes), ("participant", true, &mut grants)] {
            let sent = Instant::now();
            ann.set_role(ROOM, "tom (phone)", role).expect("an owner may");
            times.push(ear.first(sent, present) - sent);
        }
    }
    for round in 0..ROUNDS {
        let mut caller = Caller::new(address).expect("sockets");
        caller.call("standup", &format!("guest{round}")).expect("a call");
        let nick = format!("guest{round} (phone)");
        ann.presence(&format!("{ROOM}/{nick}"), |p| p["type"] == "available");
        server.wait_people("standup", "a guest whose call is up", |people| {
            people
                .iter()
                .any(|p| p["nicks"][0] == nick.as_str() && p["legs"][0]["state"] == "up")
        });
        let waits = thread::spawn(move || caller.ended());
        let sent = Instant::now();
        ann.set_role(ROOM, &nick, "none").expect("an owner may");
        kicks.push(waits.join().expect("no panic").expect("a BYE") - sent);
    }
    print("mute to the first packet without the voice", mutes);
    print("grant of voice to the first packet with it", grants);
    print("kick to BYE", kicks);
}
