//! Encrypted voice with a real phone whose keys come by `a=crypto` or by DTLS, and who is let in without (rule R72).

use std::time::Duration;

use cusax::{
    app::{
        child,
        phone::{self, CallArgs},
        prosody::Prosody,
    },
    media::{softphone::Source, tone::tone_level_db},
    model::{media::Codec, srtp::Policy},
};
use serde_json::Value;

use super::peers::{self, Folder, Phone, PhoneSetup, Server, events::LIMIT, server::Special};

/// Long enough for a frequency to be told from its neighbours.
const WINDOW: Duration = Duration::from_millis(300);

fn bridge(test: &str, policy: &str) -> (Folder, Prosody, Server) {
    let folder = Folder::new(test);
    let prosody = peers::prosody(&folder, &["ann"]);
    let special = Special {
        media: &format!("srtp = '{policy}'"),
        ..Special::default()
    };
    let server = Server::start_with(&prosody, &folder, &special);
    (folder, prosody, server)
}

fn encrypted(user: &str, tone: u32, transport: &'static str, encryption: &'static str) -> PhoneSetup {
    PhoneSetup {
        transport,
        encryption: Some(encryption),
        ..PhoneSetup::new(user, tone)
    }
}

/// What the operator is told of the voice of this person's call.
fn voice(server: &Server, name: &str) -> Value {
    let is_up = |people: &[Value]| people.iter().any(|p| p["name"] == name && p["legs"][0]["voice"].is_object());
    let people = server.wait_people("standup", name, is_up);
    let person = people.iter().find(|p| p["name"] == name).expect("just seen");
    person["legs"][0]["voice"].clone()
}

/// An encrypting phone and a plain one in a room hear each other; gives how the call of the first is protected.
fn heard(test: &str, transport: &'static str, encryption: &'static str) -> Value {
    let (folder, _prosody, server) = bridge(test, "allowed");
    let mut zoe = Phone::start(&folder, encrypted("zoe", 440, transport, encryption));
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    zoe.call(&server.room_uri("standup", transport));
    max.call(&server.room_uri("standup", "udp"));
    zoe.hears(1000, true, WINDOW);
    max.hears(440, true, WINDOW);
    assert_eq!(voice(&server, "max")["protection"], "none");
    let voice = voice(&server, "zoe");
    assert_eq!((&voice["forged"], &voice["replayed"]), (&0.into(), &0.into()), "{voice}");
    // A hold and its end keep the keys going.
    zoe.order("hold", "");
    max.hears(440, false, WINDOW);
    zoe.order("resume", "");
    max.hears(440, true, WINDOW);
    zoe.hears(1000, true, WINDOW);
    voice["protection"].clone()
}

#[test]
fn r72_a_phone_that_offers_keys_beside_plain_rtp_gets_them_used() {
    assert_eq!(heard("keys-beside", "udp", "srtp"), "sdes-in-the-open");
}

#[test]
fn r72_srtp_over_tls_is_protected() {
    assert_eq!(heard("keys-hidden", "tls", "srtp-mand"), "sdes");
}

#[test]
fn r72_a_phone_that_shakes_hands_hears_and_is_heard() {
    assert_eq!(heard("dtls", "udp", "dtls_srtp"), "dtls");
}

#[test]
fn r72_required_lets_nobody_in_whose_voice_others_can_hear() {
    let (folder, _prosody, server) = bridge("keys-required", "required");
    let refused = |phone: PhoneSetup, transport: &str| {
        let mut phone = Phone::start(&folder, phone);
        phone.events.forget();
        phone.order("dial", &server.room_uri("standup", transport));
        let closed = phone.closed().event;
        assert!(closed["param"].as_str().is_some_and(|p| p.contains("488")), "{closed}");
    };
    refused(PhoneSetup::new("plain", 440), "udp");
    refused(encrypted("open", 440, "udp", "srtp-mand"), "udp");
    let mut zoe = Phone::start(&folder, encrypted("zoe", 440, "tls", "srtp-mand"));
    let mut max = Phone::start(&folder, encrypted("max", 1000, "tls", "srtp"));
    zoe.call(&server.room_uri("standup", "tls"));
    max.call(&server.room_uri("standup", "tls"));
    zoe.hears(1000, true, WINDOW);
    max.hears(440, true, WINDOW);
    assert_eq!(
        (&voice(&server, "zoe")["protection"], &voice(&server, "max")["protection"]),
        (&"sdes".into(), &"sdes".into())
    );
    server.wait_counter("calls.not_acceptable", 2);
}

/// Our own phone calls a real one; both have to hear each other.
fn calls(setup: PhoneSetup, policy: Policy) {
    let folder = Folder::new(&format!("dials-{}", setup.user));
    let mut max = Phone::start(&folder, setup);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let call = async {
        let mut own = phone::Phone::call(CallArgs {
            to: max.uri(),
            server: max.address(),
            proof: None,
            from: "sip:zoe@127.0.0.1".to_owned(),
            name: "Zoe".to_owned(),
            credentials: None,
            codecs: vec![Codec::Pcmu],
            source: Source::Tone {
                hz: 440.0,
                level_db: -12.0,
            },
            srtp: policy,
        })
        .expect("the call goes out");
        own.wait_answered(LIMIT).await.map(|()| own)
    };
    let own = runtime.block_on(call).expect("answered");
    max.established();
    max.hears(440, true, WINDOW);
    let window = own.rate() as usize * 3 / 10;
    let hears = || {
        let from = own.mark().checked_sub(window)?;
        (tone_level_db(&own.heard_since(from), own.rate(), 1000.0) > -26.0).then_some(())
    };
    child::wait_until(LIMIT, hears).expect("we hear it");
}

#[test]
fn r72_we_offer_aes_gcm_first_and_a_real_phone_takes_it() {
    calls(encrypted("mandatory", 1000, "udp", "srtp-mand"), Policy::Allowed);
}

#[test]
fn r72_a_real_phone_that_knows_no_srtp_is_called_once_more_without() {
    calls(PhoneSetup::new("unable", 1000), Policy::Allowed);
}
