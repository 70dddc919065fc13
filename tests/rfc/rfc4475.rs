//! RFC 4475: SIP torture test messages. The table is shared: what the parser owes is tested here, what the endpoint answers beside it.

use cusax::sip::msg::{Contacts, Message, Method, Name, Request, Response, StreamDecoder, Uri, parse_datagram};

use super::specs;

/// What has to become of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is read.
    Read,
    /// It is refused, and its sender is answered with this code.
    Refused(u16),
    /// It is refused without an answer, as responses are.
    Dropped,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The file, without `.dat`.
    pub(crate) name: &'static str,
    /// At the parser.
    pub(crate) fate: Fate,
    /// What an endpoint that is no registrar may answer to a message that was read, where the RFC names codes.
    pub(crate) answers: &'static [u16],
}

const fn read(name: &'static str) -> Case {
    Case {
        name,
        fate: Fate::Read,
        answers: &[],
    }
}

const fn answered(name: &'static str, answers: &'static [u16]) -> Case {
    Case {
        name,
        fate: Fate::Read,
        answers,
    }
}

const fn refused(name: &'static str, code: u16) -> Case {
    Case {
        name,
        fate: Fate::Refused(code),
        answers: &[],
    }
}

const fn dropped(name: &'static str) -> Case {
    Case {
        name,
        fate: Fate::Dropped,
        answers: &[],
    }
}

/// Every file, in the order of the RFC.
pub(crate) const TABLE: &[Case] = &[
    // 3.1.1: valid.
    read("wsinv"),
    answered("intmeth", &[501]),
    read("esc01"),
    answered("escnull", &[405]),
    answered("esc02", &[501]),
    read("lwsdisp"),
    read("longreq"),
    answered("dblreq", &[405]),
    read("semiuri"),
    read("transports"),
    read("mpart01"),
    read("unreason"),
    read("noreason"),
    // 3.1.2: invalid.
    refused("badinv01", 400),
    refused("clerr", 400),
    refused("ncl", 400),
    refused("scalar02", 400),
    dropped("scalarlg"),
    refused("quotbal", 400),
    refused("ltgtruri", 400),
    refused("lwsruri", 400),
    refused("lwsstart", 400),
    refused("trws", 400),
    refused("escruri", 400),
    // "shouldn't do that unless the contents of the Date header field were actually important".
    read("baddate"),
    // Only its Contact is malformed.
    answered("regbadct", &[400, 405]),
    // "Elements attempting to be liberal may ignore the spaces."
    read("badaspec"),
    refused("baddn", 400),
    refused("badvers", 505),
    refused("mismatch01", 400),
    refused("mismatch02", 400),
    dropped("bigcode"),
    // 3.2: the transaction layer may fall back to RFC 2543.
    read("badbranch"),
    // 3.3: the application.
    refused("insuf", 400),
    answered("unkscm", &[416]),
    answered("novelsc", &[416]),
    answered("unksm2", &[400, 405]),
    answered("bext01", &[420]),
    answered("invut", &[415]),
    answered("regaut01", &[401, 405]),
    refused("multi01", 400),
    refused("mcl01", 400),
    read("bcast"),
    read("zeromf"),
    answered("cparam01", &[405]),
    answered("cparam02", &[405]),
    answered("regescrt", &[405]),
    answered("sdp01", &[400, 406]),
    // 3.4.
    read("inv2543"),
    // In the archive, not in the text: a Request-Line without a version, and no Via to answer to.
    dropped("test"),
];

/// The bytes of one message.
pub(crate) fn load(name: &str) -> Option<Vec<u8>> {
    let path = specs("torture")?.join(format!("{name}.dat"));
    Some(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn request(name: &str) -> Option<Request> {
    match parse_datagram(&load(name)?) {
        Ok(Message::Request(request)) => Some(request),
        other => panic!("{name}: {other:?}"),
    }
}

fn response(name: &str) -> Option<Response> {
    match parse_datagram(&load(name)?) {
        Ok(Message::Response(response)) => Some(response),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn s3_each_message_gets_what_the_text_asks_for() {
    let Some(folder) = specs("torture") else { return };
    for case in TABLE {
        let bytes = load(case.name).expect("the folder is there");
        let fate = match parse_datagram(&bytes) {
            Ok(_) => Fate::Read,
            Err(bad) => bad.reply.map_or(Fate::Dropped, |reply| {
                reply.headers.top_via().unwrap_or_else(|e| panic!("{}: {e}", case.name));
                Fate::Refused(reply.status)
            }),
        };
        assert_eq!(fate, case.fate, "{}", case.name);
    }
    let files = std::fs::read_dir(folder)
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "dat"));
    assert_eq!(files.count(), TABLE.len(), "every file is in the table");
}

#[test]
fn s3_what_is_read_is_printed_and_read_again() {
    for case in TABLE.iter().filter(|c| c.fate == Fate::Read) {
        let Some(bytes) = load(case.name) else { return };
        let first = parse_datagram(&bytes).unwrap();
        let printed = first.to_bytes();
        let again = parse_datagram(&printed).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(again.to_bytes(), printed, "{}", case.name);
        let fields = |m: &Message| {
            (
                m.headers().vias().unwrap(),
                m.headers().from().unwrap(),
                m.headers().to().unwrap(),
                m.headers().cseq().unwrap(),
            )
        };
        assert_eq!(fields(&first), fields(&again), "{}", case.name);
    }
}

#[test]
fn s3_1_1_1_white_space_and_folds() {
    let Some(r) = request("wsinv") else { return };
    assert_eq!(r.uri.to_string(), "sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(r.headers.to().unwrap().tag(), Some("1918181833n"));
    let from = r.headers.from().unwrap();
    assert_eq!((from.display.as_deref(), from.tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!((r.headers.max_forwards().unwrap(), r.headers.cseq().unwrap().number), (Some(68), 9));
    let vias = r.headers.vias().unwrap();
    let hops: Vec<_> = vias
        .iter()
        .map(|v| (&*v.transport, v.host.to_string(), v.branch().unwrap()))
        .collect();
    assert_eq!(
        hops,
        [
            ("UDP", "192.0.2.2".to_owned(), "390skdjuw"),
            ("TCP", "spindle.example.com".to_owned(), "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111".to_owned(), "z9hG4bK30239"),
        ]
    );
    assert_eq!(r.headers.first(Name::Subject), Some(&b""[..]));
    assert_eq!(
        r.headers.first("NewFangledHeader"),
        Some(&b"newfangled value continued newfangled value"[..])
    );
    let contact = r.headers.contact().unwrap();
    assert_eq!(
        (contact.display.as_deref(), contact.params.get("q"), contact.params.get("newparam")),
        (Some("Quoted string \"\""), Some("0.33"), Some("newvalue"))
    );
    assert!(r.headers.route().unwrap()[0].uri.as_sip().unwrap().is_loose_router());
    assert_eq!(r.body.len(), 150);
}

#[test]
fn s3_1_1_2_any_character_that_is_valid() {
    let Some(r) = request("intmeth") else { return };
    assert_eq!(r.method, Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into()));
    assert_eq!(r.uri.as_sip().unwrap().host.to_string(), "example.com");
    assert_eq!(r.headers.to().unwrap().display.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    let from = r.headers.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(from.params.text("fromParam''~+*_!.-%").as_deref(), Some("работающий"));
    assert_eq!(r.headers.call_id().unwrap(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
}

#[test]
fn s3_1_1_3_to_5_escapes() {
    let Some(r) = request("esc01") else { return };
    let user = r.uri.as_sip().unwrap().user.clone().unwrap();
    assert_eq!(user, "sips%3Auser%40example.com");
    assert_eq!(r.headers.to().unwrap().uri.aor().unwrap().as_str(), "sip:user@example.com");
    assert!(
        r.headers
            .contact()
            .unwrap()
            .uri
            .equivalent(&Uri::parse("sip:caller@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31").unwrap())
    );
    let Some(r) = request("esc02") else { return };
    assert_eq!(r.method.as_str(), "RE%47IST%45R");
    assert!(!r.method.eq(&Method::Register));
    assert_eq!(r.headers.first("C%6Fntact"), Some(&b"<sip:alias2@host2.example.com>"[..]));
    let Ok(Contacts::List(list)) = r.headers.contacts() else { panic!() };
    assert_eq!(list.len(), 2);
    let Some(r) = request("escnull") else { return };
    let Ok(Contacts::List(list)) = r.headers.contacts() else { panic!() };
    assert!(!list[0].uri.equivalent(&list[1].uri), "%00 and %00%00 differ");
}

#[test]
fn s3_1_1_6_to_13_long_doubled_and_odd() {
    let Some(r) = request("longreq") else { return };
    assert_eq!(r.headers.vias().unwrap().len(), 34);
    assert_eq!(
        request("lwsdisp").unwrap().headers.from().unwrap().display.as_deref(),
        Some("caller")
    );
    let r = request("dblreq").unwrap();
    assert_eq!((r.method, r.body.len()), (Method::Register, 0));
    assert_eq!(
        request("semiuri").unwrap().uri.as_sip().unwrap().user.as_deref(),
        Some("user;par=u%40example.net")
    );
    assert_eq!(request("semiuri").unwrap().headers.accept().unwrap().unwrap().len(), 6);
    let transports: Vec<_> = request("transports")
        .unwrap()
        .headers
        .vias()
        .unwrap()
        .into_iter()
        .map(|v| v.transport.into_owned())
        .collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(request("mpart01").unwrap().body.len(), 553);
    assert_eq!(
        response("unreason").unwrap().reason,
        "= 2**3 * 5**2 но сто девяносто девять - простое"
    );
    assert_eq!(response("noreason").unwrap().reason, "");
}

#[test]
fn s3_1_2_2_and_3_on_a_stream() {
    let Some(bytes) = load("clerr") else { return };
    let mut stream = StreamDecoder::new();
    stream.push(&bytes);
    assert_eq!(stream.next(), None, "there's not much to do but wait");
    for name in ["ncl", "mcl01"] {
        let mut stream = StreamDecoder::new();
        stream.push(&load(name).unwrap());
        let lost = stream.next().expect("an end").expect_err(name);
        assert_eq!(lost.0.reply.map(|r| r.status), Some(400), "{name}");
    }
}

#[test]
fn s3_3_12_and_13_where_parameters_belong() {
    let Some(r) = request("cparam01") else { return };
    let contact = r.headers.contact().unwrap();
    assert!(contact.params.has("unknownparam") && contact.uri.as_sip().unwrap().params.is_empty());
    let contact = request("cparam02").unwrap().headers.contact().unwrap();
    assert!(contact.params.is_empty() && contact.uri.as_sip().unwrap().params.has("unknownparam"));
    let contact = request("regescrt").unwrap().headers.contact().unwrap();
    assert_eq!(
        contact.uri.as_sip().unwrap().headers.as_deref(),
        Some("Route=%3Csip:sip.example.com%3E")
    );
    assert!(request("regbadct").unwrap().headers.contacts().is_err());
    let r = request("unksm2").unwrap();
    assert_eq!(
        (r.headers.to().unwrap().uri.scheme(), r.headers.from().unwrap().uri.scheme()),
        ("isbn", "http")
    );
    assert!(request("inv2543").unwrap().headers.from().unwrap().tag().is_none());
    assert_eq!(request("badbranch").unwrap().headers.top_via().unwrap().branch(), Some("z9hG4bK"));
}
