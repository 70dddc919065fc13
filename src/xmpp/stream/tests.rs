//! The whole stream against scripted servers.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::xmpp::border::{Excess, MAX_DEPTH, MAX_ELEMENTS, MAX_SENT_BYTES, MAX_SKIPPED_BYTES, MAX_STANZA_BYTES, MAX_TOKEN_BYTES};

const NS_CLIENT: &str = stanza::NS;

/// As Prosody sends it: without a version.
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns='jabber:component:accept' id='3BF96D32' from='rooms.example'>";

const HELLO: &str = "<message from='ann@a.example/x' to='blue@rooms.example' type='groupchat' id='m1'><body>hello</body></message>";

fn settings() -> Settings {
    Settings {
        domain: "rooms.example".into(),
        secret: Pii("test".into()),
        told: Told::Everybody,
        keep_alive: KeepAlive::default(),
    }
}

/// A component, what it sent, and what happened.
struct Bench {
    component: Component,
    now: Instant,
    sent: String,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            component: Component::new(settings, now),
            now,
            sent: String::new(),
            events: Vec::new(),
        };
        bench.drain();
        bench
    }

    fn online() -> Self {
        Self::online_with(settings())
    }

    fn online_with(settings: Settings) -> Self {
        let mut bench = Self::with(settings);
        bench.feed(HEADER);
        bench.feed("<handshake/>");
        assert_eq!(bench.events, [Event::Online]);
        bench.events.clear();
        bench.sent.clear();
        bench
    }

    fn feed(&mut self, xml: impl AsRef<[u8]>) {
        self.component.handle_bytes(self.now, xml.as_ref());
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.component.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(bytes) = self.component.poll_transmit() {
            self.sent.push_str(&String::from_utf8(bytes).expect("we write UTF-8"));
        }
        while let Some(event) = self.component.poll_event() {
            self.events.push(event);
        }
    }

    fn ending(&self) -> Option<&Ending> {
        match self.events.last() {
            Some(Event::Ended(ending)) => Some(ending),
            _ => None,
        }
    }

    fn stanzas(&self) -> Vec<&Element> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Stanza(s) = e { Some(s) } else { None })
            .collect()
    }

    fn refusals(&self) -> Vec<&Refused> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Refused(r) = e { Some(r) } else { None })
            .collect()
    }

    /// The stream still carries stanzas.
    fn assert_alive(&mut self) {
        let before = self.stanzas().len();
        self.feed(HELLO);
        assert_eq!(self.stanzas().len(), before + 1, "{:?}", self.events.last());
    }
}

#[test]
fn opens_with_the_handshake_of_xep_0114() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.sent,
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' to='rooms.example'>"
    );
    bench.sent.clear();
    bench.feed(HEADER);
    // SHA-1 of 3BF96D32test: examples 2 and 3.
    assert_eq!(bench.sent, "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>");
    assert!(!bench.component.is_online());
    bench.feed("<handshake/>");
    assert_eq!(bench.events, [Event::Online]);
    assert!(bench.component.is_online());
}

#[test]
fn the_secret_is_in_no_debug_output() {
    let mut settings = settings();
    settings.secret = Pii("s3cr3t".into());
    let component = Component::new(settings.clone(), Instant::now());
    assert!(!format!("{component:?}{settings:?}").contains("s3cr3t"));
}

#[test]
fn nothing_is_sent_before_the_handshake() {
    let mut bench = Bench::new();
    bench.sent.clear();
    let stanza = stanza::element("presence", NS_CLIENT, &[("from", Some("rooms.example")), ("to", Some("a.example"))]);
    assert_eq!(bench.component.send(&stanza), Ok(()));
    bench.drain();
    assert_eq!(bench.sent, "");
}

#[test]
fn reads_are_the_same_however_they_are_split() {
    let session = format!(
        "{HEADER}<handshake/> \n{HELLO}<presence from='größe@a.example/🎤' to='blue@rooms.example/ä'>\
         <x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='3'/></x><status>a &lt;&amp;&#x1F3A4; <![CDATA[<b>]]>\r\nc</status>\
         </presence><iq type='get' id='1' from='a.example' to='rooms.example' xml:lang='de'><q:query xmlns:q='urn:q' q:a='1' a='2'/></iq>\
         <message from='a@b' to='rooms.example' id='{}'/><iq type='result' id='2' from='a@b/c' to='rooms.example'/></stream:stream>",
        "x".repeat(MAX_TOKEN_BYTES + 1)
    );
    let session = session.as_bytes();
    let now = Instant::now();
    let run = |parts: &[&[u8]]| {
        let mut bench = Bench { now, ..Bench::new() };
        for part in parts {
            bench.feed(part);
        }
        (bench.sent, bench.events)
    };
    let whole = run(&[session]);
    assert_eq!(whole.1.len(), 7, "{:?}", whole.1);
    assert_eq!(whole.1.last(), Some(&Event::Ended(Ending::Closed)));
    let singly: Vec<&[u8]> = session.chunks(1).collect();
    assert_eq!(run(&singly), whole);
    for at in 0..session.len() {
        let (head, tail) = session.split_at(at);
        assert_eq!(run(&[head, tail]), whole, "split at {at}");
    }
}

#[test]
fn text_cut_by_references_is_one_node() {
    let mut bench = Bench::online();
    bench.feed("<message from='a@b' to='rooms.example'><body>a&amp;b&lt;<![CDATA[c]]>d</body></message>");
    let body = bench.stanzas()[0].get_child("body", NS_CLIENT).expect("a body");
    assert_eq!(body.nodes().count(), 1);
    assert_eq!(body.text(), "a&b<cd");
}

#[test]
fn what_does_not_fit_a_schema_comes_through_and_the_stream_lives() {
    let mut bench = Bench::online();
    let odd = [
        "<presence from='a@b/c' to='blue@rooms.example/a'><priority>999</priority></presence>",
        "<presence from='a@b/c' to='blue@rooms.example/a'><show>bogus</show></presence>",
        "<message type='weird' from='a@b/c' to='blue@rooms.example'/>",
        "<iq from='@@' to=''/>",
        "<presence from='a@b/c' to='blue@rooms.example'><x xmlns='http://jabber.org/protocol/muc#user'><item jid='a@b'/><status code='174'/></x></presence>",
    ];
    for xml in odd {
        bench.feed(xml);
    }
    assert_eq!(bench.stanzas().len(), odd.len());
    bench.feed("<unknown/><route xmlns='urn:odd'><a/></route><stream:features/>text");
    assert_eq!(bench.stanzas().len(), odd.len(), "what is no stanza is left out");
    bench.assert_alive();
}

#[test]
fn r22_the_streams_namespace_becomes_ours_along_the_chain_only() {
    let mut bench = Bench::online();
    bench.feed(
        "<message from='a@b/c' to='rooms.example'><body>x</body><sent xmlns='urn:xmpp:carbons:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>y</body></message>\
         <message xmlns='jabber:component:accept'/></forwarded></sent><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         </error></message><message xmlns='jabber:client' from='a@b/c' to='rooms.example'><body>z</body></message>",
    );
    let first = bench.stanzas()[0];
    assert!(first.is("message", NS_CLIENT) && first.has_child("body", NS_CLIENT) && first.has_child("error", NS_CLIENT));
    let forwarded = first
        .get_child("sent", "urn:xmpp:carbons:2")
        .and_then(|s| s.get_child("forwarded", "urn:xmpp:forward:0"));
    let forwarded = forwarded.expect("the forwarded part");
    let body = forwarded
        .get_child("message", NS_CLIENT)
        .and_then(|m| m.get_child("body", NS_CLIENT));
    assert_eq!(body.map(Element::text).as_deref(), Some("y"));
    assert!(
        forwarded.has_child("message", NS_COMPONENT),
        "below another namespace nothing changes"
    );
    assert!(
        bench.stanzas()[1].has_child("body", NS_CLIENT),
        "servers that already say jabber:client are right too"
    );
}

#[test]
fn r22_there_and_back_is_the_same() {
    let mut bench = Bench::online();
    bench.feed(
        "<message from='rooms.example' to='rooms.example' xml:lang='de'><body>&lt;&#13;'&quot;</body><x xmlns='urn:x' a='&#10;&apos;'>\
         <y xmlns='jabber:client'/><z xmlns=''/></x><p:q xmlns:p='urn:p' p:r='1'/></message>",
    );
    let stanza = bench.stanzas()[0].clone();
    bench.component.send(&stanza).expect("within our domain");
    bench.drain();
    let sent = mem::take(&mut bench.sent);
    bench.feed(&sent);
    assert_eq!(bench.stanzas()[1], &stanza, "{sent}");
}

/// A stanza over a limit, and which.
fn excesses() -> Vec<(String, Excess)> {
    let iq = |inner: &str| format!("<iq type='get' id='7' from='ann@a.example/x' to='rooms.example'>{inner}</iq>");
    let nested = |depth: usize| iq(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)));
    vec![
        (iq(&format!("<q xmlns='urn:q'>{}</q>", "x".repeat(MAX_STANZA_BYTES))), Excess::Bytes),
        (
            iq(&format!("<q xmlns='urn:q'>{}</q>", "&lt;".repeat(MAX_STANZA_BYTES / 4))),
            Excess::Bytes,
        ),
        (iq(&"<a b='c'/>".repeat(MAX_ELEMENTS)), Excess::Elements),
        (nested(MAX_DEPTH), Excess::Depth),
        (nested(5_000), Excess::Depth),
        (nested(20_000), Excess::Depth),
        (iq(&format!("<a b='{}'/>", "x".repeat(9_000))), Excess::Token),
        (iq(&format!("<a b='{}'/>", "&quot;".repeat(100_000))), Excess::Bytes),
        (iq(&format!("<{}/>", "n".repeat(9_000))), Excess::Token),
        (iq(&format!("<a {}='1'/>", "n".repeat(9_000))), Excess::Token),
        (
            iq(&format!("<a {}/>", (0..300).map(|n| format!(" a{n}='{n}'")).collect::<String>())),
            Excess::Attributes,
        ),
        (
            iq(&format!(
                "{}{}",
                (0..60)
                    .map(|n| format!("<a {}>", (0..9).map(|m| format!(" xmlns:p{n}q{m}='u'")).collect::<String>()))
                    .collect::<String>(),
                "</a>".repeat(60)
            )),
            Excess::Namespaces,
        ),
        (
            format!(
                "<iq b='{}' type='get' id='7' from='ann@a.example/x' to='rooms.example'/>",
                "x".repeat(9_000)
            ),
            Excess::Token,
        ),
        (
            format!(
                "<iq type='get' id='7' from='ann@a.example/x' to='rooms.example' b='{}'/>",
                "x".repeat(600_000)
            ),
            Excess::Bytes,
        ),
    ]
}

#[test]
fn r21_a_stanza_over_a_limit_costs_its_sender_an_error_and_the_stream_lives() {
    for (xml, why) in excesses() {
        let start: String = xml.chars().take(60).collect();
        let mut bench = Bench::online();
        // As a socket would: in parts.
        for part in xml.as_bytes().chunks(16 * 1024) {
            bench.feed(part);
        }
        let header = stanza::element(
            "iq",
            NS_CLIENT,
            &[
                ("type", Some("get")),
                ("id", Some("7")),
                ("from", Some("ann@a.example/x")),
                ("to", Some("rooms.example")),
            ],
        );
        assert_eq!(bench.refusals(), [&Refused { header, why }], "{start}");
        assert_eq!(
            bench.sent,
            format!(
                "<iq from='rooms.example' id='7' to='ann@a.example/x' type='error'><error type='modify'>\
                 <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>{why}</text></error></iq>"
            ),
            "{start}"
        );
        bench.assert_alive();
    }
}

#[test]
fn r21_what_is_just_within_the_limits_is_let_in() {
    let mut bench = Bench::online();
    let depth = MAX_DEPTH - 1;
    bench.feed(format!("<iq id='1'>{}{}</iq>", "<a>".repeat(depth), "</a>".repeat(depth)));
    bench.feed(format!("<iq id='1'>{}</iq>", "<a/>".repeat(MAX_ELEMENTS - 1)));
    bench.feed(format!("<iq id='{}'/>", "x".repeat(MAX_TOKEN_BYTES)));
    bench.feed(format!(
        "<iq id='1'>{}</iq>",
        "x".repeat(MAX_STANZA_BYTES - "<iq id='1'></iq>".len())
    ));
    assert_eq!((bench.stanzas().len(), bench.refusals().len()), (4, 0));
}

#[test]
fn r23_who_is_told_of_a_refused_stanza() {
    let long = "x".repeat(9_000);
    for (told, xml, answered) in [
        (
            Told::Everybody,
            "<message type='groupchat' id='1' from='a@b/c' to='blue@rooms.example'>",
            true,
        ),
        (
            Told::Askers,
            "<message type='groupchat' id='1' from='a@b/c' to='blue@rooms.example'>",
            false,
        ),
        (Told::Askers, "<presence from='a@b/c' to='blue@rooms.example'>", false),
        (Told::Askers, "<iq type='set' id='1' from='a@b/c' to='blue@rooms.example'>", true),
        (
            Told::Everybody,
            "<message type='error' from='a@b/c' to='blue@rooms.example'>",
            false,
        ),
        (
            Told::Everybody,
            "<iq type='result' id='1' from='a@b/c' to='blue@rooms.example'>",
            false,
        ),
        (Told::Everybody, "<message from='a@b/c' to='blue@elsewhere.example'>", false),
        (Told::Everybody, "<odd from='a@b/c' to='blue@rooms.example'>", false),
    ] {
        let mut bench = Bench::online_with(Settings { told, ..settings() });
        let name = xml[1..].split(' ').next().expect("a name");
        bench.feed(format!("{xml}<a b='{long}'/></{name}>"));
        assert_eq!(bench.refusals().len(), 1, "{xml}");
        assert_eq!(bench.sent.contains("policy-violation"), answered, "{told:?} {xml}");
        bench.assert_alive();
    }
}

#[test]
fn a_stanza_beyond_all_measure_ends_the_stream() {
    for endless in ["<a>", "<a b='c'>text", "<a/>"] {
        let mut bench = Bench::online();
        bench.feed("<message>");
        let part = endless.repeat(16 * 1024 / endless.len());
        for _ in 0..=MAX_SKIPPED_BYTES / part.len() {
            bench.feed(&part);
        }
        assert_eq!(bench.ending(), Some(&Ending::Unreadable(ReadError::Endless)), "{endless}");
        assert!(bench.sent.ends_with("</stream:error></stream:stream>"), "{}", bench.sent);
    }
}

#[test]
fn forbidden_and_broken_xml_ends_the_stream_with_its_reason() {
    let laughs = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol1 '&lol;&lol;'>]><stream:stream>&lol1;";
    let mut bench = Bench::new();
    bench.feed(laughs);
    assert!(
        matches!(bench.ending(), Some(Ending::Unreadable(ReadError::Xml(_)))),
        "{:?}",
        bench.ending()
    );
    for xml in [
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
        "<?xml-stylesheet href='x'?>",
        "<?php exit ?>",
        "<!-- a comment -->",
        "<message>&lol;</message>",
        "<message>&#0;</message>",
        "<message>\u{1}</message>",
        "<message></presence>",
        "<message a='1' a='2'/>",
        "<message xmlns:a='u' xmlns:b='u' a:c='1' b:c='2'/>",
        "<message xmlns:a='u' xmlns:a='v'/>",
        "<a:message/>",
        "<message a:b='c'/>",
        "<message a='<'/>",
        "</stream:stream><message/>",
    ] {
        let mut bench = Bench::online();
        bench.feed(xml);
        assert!(bench.ending().is_some(), "{xml}");
        assert_eq!(bench.stanzas().len(), 0, "{xml}");
        assert!(bench.sent.ends_with("</stream:stream>"), "{xml}: {}", bench.sent);
        assert_eq!(bench.component.poll_timeout(), None);
        bench.feed(HELLO);
        assert_eq!(bench.stanzas().len(), 0, "nothing comes after the end");
    }
    let mut bench = Bench::online();
    bench.feed(b"<message>\xff\xfe</message>");
    assert!(bench.ending().is_some());
}

#[test]
fn stream_errors_say_what_to_mend() {
    let error = |condition: &str| {
        format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
    };
    let mut refused = Bench::new();
    refused.feed(format!("{HEADER}{}", error("not-authorized")));
    assert!(
        refused.ending().is_some_and(|e| e.to_string().contains("secret")),
        "{:?}",
        refused.ending()
    );
    assert_eq!(refused.events.len(), 1);
    let mut unknown = Bench::new();
    unknown.feed(format!("{}{}", HEADER.replace("id='3BF96D32'", ""), error("host-unknown")));
    assert!(
        unknown
            .ending()
            .is_some_and(|e| e.to_string().contains("no component of this name")),
        "{:?}",
        unknown.ending()
    );
    let mut online = Bench::online();
    online.feed(error("conflict"));
    assert!(
        online.ending().is_some_and(|e| e.to_string().contains("another program")),
        "{:?}",
        online.ending()
    );
}

#[test]
fn what_is_no_component_port_is_told() {
    for answer in ["<html><body/></html>", "<stream xmlns='urn:x'>"] {
        let mut bench = Bench::new();
        bench.feed(answer);
        assert!(
            matches!(bench.ending(), Some(Ending::NotAStream(_))),
            "{answer}: {:?}",
            bench.ending()
        );
    }
    let mut bench = Bench::new();
    bench.feed("HTTP/1.1 400 Bad Request\r\n\r\n<html>");
    assert!(matches!(bench.ending(), Some(Ending::Unreadable(_))), "{:?}", bench.ending());
    let mut bench = Bench::new();
    bench.feed(format!("<stream:stream a='{}'>", "x".repeat(9_000)));
    assert_eq!(bench.ending(), Some(&Ending::Unreadable(ReadError::Header(Excess::Token))));
}

#[test]
fn a_silent_server_is_asked_then_given_up() {
    let KeepAlive { silence, patience } = KeepAlive::default();
    let mut bench = Bench::online();
    bench.pass(silence - Duration::from_millis(1));
    assert_eq!(bench.sent, "");
    bench.pass(Duration::from_millis(1));
    let ping = mem::take(&mut bench.sent);
    assert_eq!(
        ping,
        "<iq from='rooms.example' id='keep-alive-1' to='rooms.example' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    // The server brings it back: a sign of life, and nobody's business.
    bench.feed(&ping);
    assert_eq!(bench.events, []);
    bench.pass(silence);
    assert!(bench.sent.contains("keep-alive-2"), "{}", bench.sent);
    bench.pass(patience - Duration::from_millis(1));
    assert_eq!(bench.ending(), None);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.ending(), Some(&Ending::Silent(silence + patience)));
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let KeepAlive { silence, patience } = KeepAlive::default();
    let mut bench = Bench::online();
    for _ in 0..5 {
        bench.pass(silence);
        bench.pass(patience - Duration::from_millis(1));
        bench.feed(" ");
    }
    assert_eq!(bench.ending(), None);
    assert_eq!(bench.component.poll_timeout(), Some((bench.now + silence, "silence")));
}

#[test]
fn a_server_that_does_not_let_us_in_is_given_up() {
    let patience = KeepAlive::default().patience;
    let mut mute = Bench::new();
    mute.pass(patience);
    assert_eq!(mute.ending(), Some(&Ending::Silent(patience)));
    let mut slow = Bench::new();
    slow.feed(HEADER);
    slow.pass(patience);
    assert_eq!(slow.ending(), Some(&Ending::Silent(patience)));
}

#[test]
fn closing_sends_what_is_due_and_waits_for_the_server() {
    let mut bench = Bench::online();
    let stanza = stanza::element("presence", NS_CLIENT, &[("from", Some("rooms.example")), ("to", Some("a.example"))]);
    bench.component.send(&stanza).expect("within our domain");
    bench.component.close(bench.now);
    bench.component.send(&stanza).expect("within our domain");
    bench.drain();
    assert_eq!(bench.sent, "<presence from='rooms.example' to='a.example'/></stream:stream>");
    bench.feed(format!("{HELLO}</stream:stream>"));
    assert_eq!(bench.stanzas().len(), 1, "what was on its way still counts");
    assert_eq!(bench.ending(), Some(&Ending::Closed));
    assert_eq!(bench.sent.matches("</stream:stream>").count(), 1);
}

/// One random change to some bytes.
fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    const PIECES: [&str; 16] = [
        "<",
        ">",
        "</",
        "/>",
        "&",
        "&#",
        "&lt;",
        "]]>",
        "<![CDATA[",
        "<!DOCTYPE x [",
        "<?",
        "'",
        "\"",
        " xmlns='u'",
        " xmlns:a='b'",
        "\u{0}",
    ];
    let at = rng.random_range(0..=bytes.len());
    let end = (at + rng.random_range(0..12usize)).min(bytes.len());
    match rng.random_range(0..12u8) {
        0 => drop(bytes.drain(at..end)),
        1 => {
            let copy = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
        2 => drop(bytes.splice(at..end, PIECES[rng.random_range(0..PIECES.len())].bytes())),
        3 => bytes[at..end].iter_mut().for_each(|b| *b ^= 1 << rng.random_range(0..8u8)),
        4 => bytes[at..end].fill_with(|| rng.random()),
        5 => bytes.truncate(at.max(1)),
        // Often still well-formed: other letters.
        _ => bytes[at..end]
            .iter_mut()
            .filter(|b| b.is_ascii_alphabetic())
            .for_each(|b| *b = rng.random_range(b'a'..=b'z')),
    }
}

#[test]
fn two_hundred_thousand_mutated_stanzas_end_the_stream_clearly_or_not_at_all() {
    const STANZAS: [&str; 4] = [
        HELLO,
        "<presence from='a@b/c' to='r@rooms.example/n'><x xmlns='http://jabber.org/protocol/muc'><history since='x'/></x></presence>",
        "<iq type='set' id='1' from='a@b/c' to='r@rooms.example'><p:q xmlns:p='urn:p' p:a='1'><p:i>&amp;<![CDATA[x]]></p:i></p:q></iq>",
        "<message from='ü@b' to='rooms.example' xml:lang='en'><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></f></message>",
    ];
    /// Stanzas on one stream, so that leftovers of one meet the next.
    const PER_STREAM: usize = 5;
    let mut rng = StdRng::seed_from_u64(21);
    let (mut done, mut lived, mut ended) = (0, 0, 0);
    while done < 200_000 {
        let mut bench = Bench::online();
        for _ in 0..PER_STREAM {
            let mut bytes = STANZAS[rng.random_range(0..STANZAS.len())].as_bytes().to_vec();
            for _ in 0..rng.random_range(0..3u8) {
                mutate(&mut rng, &mut bytes);
            }
            done += 1;
            bench.feed(&bytes);
            if bench.ending().is_some() {
                break;
            }
        }
        let endings = bench.events.iter().filter(|e| matches!(e, Event::Ended(_))).count();
        match bench.ending() {
            Some(ending) => {
                assert_eq!(endings, 1);
                assert!(!ending.to_string().is_empty());
                assert!(bench.sent.ends_with("</stream:stream>"));
                ended += 1;
            }
            None => {
                assert_eq!(endings, 0);
                assert!(bench.component.poll_timeout().is_some());
                lived += 1;
            }
        }
        for stanza in bench.stanzas() {
            let mut ours = stanza.clone();
            stanza::set(&mut ours, "from", "rooms.example");
            stanza::set(&mut ours, "to", "rooms.example");
            let wire = Writer::new("rooms.example").write(&ours).expect("what was let in can be sent on");
            assert!(wire.len() <= MAX_SENT_BYTES);
        }
    }
    assert!(lived > 0 && ended > 0, "{lived} lived, {ended} ended");
}
