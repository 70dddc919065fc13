//! rsip 0.4 as a second opinion: what it can parse of our messages, we parse to the same fields. It knows neither IPv6 nor compact forms.

use cusax::sip::msg::{CSeq, Headers, Host, Message, Method, Name, NameAddr, Request, Response, Uri, Via, parse_datagram};
use rsip::{headers::ToTypedHeader, message::HeadersExt, prelude::UntypedHeader};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// rsip writes transports in capitals.
fn same(theirs: &rsip::Uri, ours: &Uri) -> bool {
    uri(&theirs.to_string()).equivalent(ours)
}

fn fill(headers: &mut Headers, number: u32, method: &Method) {
    headers.push(
        Name::Via,
        Via::new("UDP", Host::Name("pc33.example.com".into()), Some(5066), "z9hG4bK776asdhds"),
    );
    headers.push(
        Name::Via,
        Via::new("TCP", Host::Ip("192.0.2.1".parse().unwrap()), None, "z9hG4bKouter"),
    );
    let mut from = NameAddr::new(uri("sip:alice@example.com:5070")).with_tag("1928301774");
    from.display = Some("Alice \"A.\" Liddell".into());
    headers.push(Name::From, from);
    headers.push(Name::To, NameAddr::new(uri("sips:bob@example.org;transport=tcp")));
    headers.push(Name::CallId, "a84b4c76e66710@pc33.example.com");
    headers.push(Name::CSeq, CSeq::new(number, method.clone()));
    headers.push(Name::Contact, "<sip:alice@192.0.2.4:5062>");
    headers.push(Name::MaxForwards, "70");
    headers.push(Name::ContentType, "application/sdp");
}

fn requests() -> Vec<Request> {
    let methods = [
        Method::Invite,
        Method::Options,
        Method::Bye,
        Method::Subscribe,
        Method::Register,
        Method::Info,
    ];
    let made = methods.into_iter().zip(1..).map(|(method, number)| {
        let mut request = Request::new(method, uri("sip:standup@conf.example.com;transport=udp"));
        fill(&mut request.headers, number, &request.method);
        request.body = b"v=0\r\n".to_vec();
        request
    });
    made.collect()
}

/// Both readings of the fields that rsip has types for.
fn compare(ours: &Headers, theirs: &impl HeadersExt) {
    let via = theirs.via_header().unwrap().typed().unwrap();
    let top = ours.top_via().unwrap();
    assert_eq!(via.transport.to_string(), top.transport);
    assert_eq!(via.uri.host_with_port.host.to_string(), top.host.to_string());
    assert_eq!(via.uri.host_with_port.port.map(|p| *p.value()), top.port);
    assert_eq!(via.branch().map(|b| b.value().to_owned()).as_deref(), top.branch());

    let from = theirs.from_header().unwrap().typed().unwrap();
    let our_from = ours.from().unwrap();
    assert_eq!(from.tag().map(|t| t.value().to_owned()).as_deref(), our_from.tag());
    assert!(same(&from.uri, &our_from.uri));
    let to = theirs.to_header().unwrap().typed().unwrap();
    assert!(same(&to.uri, &ours.to().unwrap().uri));
    assert_eq!(to.tag().map(|t| t.value().to_owned()).as_deref(), ours.to().unwrap().tag());

    let cseq = theirs.cseq_header().unwrap().typed().unwrap();
    assert_eq!(
        (cseq.seq, cseq.method.to_string()),
        (ours.cseq().unwrap().number, ours.cseq().unwrap().method.to_string())
    );
    assert_eq!(theirs.call_id_header().unwrap().value(), ours.call_id().unwrap());
    let contact = theirs.contact_header().unwrap().typed().unwrap();
    assert!(same(&contact.uri, &ours.contact().unwrap().uri));
    let forwards = theirs.max_forwards_header().ok().map(|m| m.num().unwrap());
    assert_eq!(forwards, ours.max_forwards().unwrap().map(u32::from));
}

#[test]
fn rsip_reads_our_requests_as_we_do() {
    for request in requests() {
        let bytes = request.to_bytes();
        let theirs = rsip::Request::try_from(bytes.clone()).unwrap();
        let Ok(Message::Request(ours)) = parse_datagram(&bytes) else {
            panic!()
        };
        assert_eq!(theirs.method.to_string(), ours.method.as_str());
        assert!(same(&theirs.uri, &ours.uri));
        assert_eq!(theirs.body, ours.body);
        compare(&ours.headers, &theirs);
    }
}

#[test]
fn rsip_reads_our_responses_as_we_do() {
    for (request, status) in requests().iter().zip([100, 200, 302, 404, 503, 603]) {
        let mut response = Response::to_request(request, status);
        response.headers.push(Name::Contact, "<sip:alice@192.0.2.4:5062>");
        let bytes = response.to_bytes();
        let theirs = rsip::Response::try_from(bytes.clone()).unwrap();
        let Ok(Message::Response(ours)) = parse_datagram(&bytes) else {
            panic!()
        };
        assert_eq!(theirs.status_code.code(), ours.status);
        compare(&ours.headers, &theirs);
    }
}

#[test]
fn we_read_what_rsip_writes() {
    for request in requests() {
        let theirs = rsip::Request::try_from(request.to_bytes()).unwrap();
        let written = Vec::<u8>::from(theirs.clone());
        let Ok(Message::Request(ours)) = parse_datagram(&written) else {
            panic!()
        };
        compare(&ours.headers, &theirs);
        assert_eq!((&ours.method, &ours.body), (&request.method, &request.body));
    }
}
