//! Names, and hops that fail (RFC 3263).

use super::*;
use crate::sip::{
    auth::{Authenticator, Credentials},
    locate::{Hop, Lookup, LookupAnswer, LookupError, Way},
    msg::Uri,
};

const HOPS: [&str; 3] = ["192.0.2.11:5060", "192.0.2.12:5060", "192.0.2.13:5060"];

fn hop(transport: Transport, address: &str) -> Hop {
    Hop {
        transport,
        address: address.parse().expect("an address"),
        name: Some("example.com".into()),
    }
}

fn udp_hops(count: usize) -> Vec<Hop> {
    HOPS.iter().take(count).map(|address| hop(Transport::Udp, address)).collect()
}

fn args() -> InviteArgs {
    InviteArgs {
        to: Uri::parse("sip:bob@example.com").expect("a URI"),
        from: Uri::parse("sip:bot@conf.example.com").expect("a URI"),
        name: None,
        presentation: Presentation {
            user: Some("bot".to_owned()),
            focus: true,
        },
        offer: Body::sdp("offer"),
        credentials: None,
        via: None,
        headers: Vec::new(),
    }
}

/// An INVITE to a name that is being looked up.
fn asking() -> (Lab, CallId, Lookup) {
    let mut lab = Lab::new();
    let call = lab.endpoint.invite(lab.now, args()).expect("a name can be asked for");
    assert!(lab.sent().is_empty(), "it isn't known yet where to");
    let lookup = lab.lookup();
    (lab, call, lookup)
}

/// An INVITE at the first of several hops.
fn roaming(count: usize) -> (Lab, CallId, Request) {
    let (mut lab, call, lookup) = asking();
    lab.found(&lookup, Ok(udp_hops(count)));
    let invite = lab.request_at(HOPS[0]);
    (lab, call, invite)
}

impl Lab {
    fn found(&mut self, lookup: &Lookup, found: Result<Vec<Hop>, LookupError>) {
        self.endpoint.handle_lookup(self.now, &LookupAnswer { id: lookup.id, found });
    }

    /// The one name that is to be looked up.
    fn lookup(&mut self) -> Lookup {
        let lookup = self.endpoint.poll_lookup().expect("a question");
        assert_eq!(self.endpoint.poll_lookup(), None, "one");
        lookup
    }

    /// The one request that went out, which went there.
    fn request_at(&mut self, address: &str) -> Request {
        let mut out = self.transmits();
        let (Some(transmit), true) = (out.pop(), out.is_empty()) else {
            panic!("one request, not {out:?}")
        };
        assert_eq!(transmit.target.remote().to_string(), address);
        match parse_datagram(&transmit.bytes) {
            Ok(Message::Request(request)) => request,
            other => panic!("a request, not {other:?}"),
        }
    }
}

fn branch(request: &Request) -> String {
    request.headers.top_via().expect("Via").branch().expect("a branch").to_owned()
}

const CONTACT: &str = "Contact: <sip:bob@192.0.2.1:5070>\r\nContent-Type: application/sdp\r\n\r\nanswer";

#[test]
fn rfc3263_4_a_name_is_asked_for_and_the_answer_is_gone_to() {
    let (mut lab, _, lookup) = asking();
    assert_eq!((&*lookup.question.host, lookup.question.port), ("example.com", None));
    assert_eq!(lookup.usable, [Transport::Udp, Transport::Tcp, Transport::Tls]);
    let found = Ok(vec![hop(Transport::Tls, "192.0.2.11:5061")]);
    lab.found(&lookup, found);
    let sent = lab.transmits().pop().expect("an INVITE");
    assert!(
        matches!(&sent.target, Target::Connect { transport: Transport::Tls, name: Some(name), .. } if &**name == "example.com"),
        "the certificate has to name what was asked for (RFC 5922)"
    );
    let Ok(Message::Request(invite)) = parse_datagram(&sent.bytes) else {
        panic!("an INVITE")
    };
    assert_eq!(
        invite.headers.contact().expect("Contact").to_string(),
        "<sip:bot@198.51.100.1:5061;transport=tls>;isfocus",
        "as the hop can reach us"
    );
    assert_eq!(lab.endpoint.counters().lookups, 1);
}

#[test]
fn rfc3261_8_1_2_the_topmost_route_is_looked_up_instead_of_the_uri() {
    let mut lab = Lab::new();
    let headers = vec![("Route".to_owned(), "<sip:edge.example.net;lr>".to_owned())];
    lab.endpoint.invite(lab.now, InviteArgs { headers, ..args() }).expect("a name");
    assert_eq!(&*lab.lookup().question.host, "edge.example.net");
    let via = Some(Way::By(Uri::parse("sip:trunk.example.org:5080").expect("a URI")));
    lab.endpoint.invite(lab.now, InviteArgs { via, ..args() }).expect("a name");
    let question = lab.lookup().question;
    assert_eq!((&*question.host, question.port), ("trunk.example.org", Some(5080)));
}

#[test]
fn many_who_ask_for_one_name_ask_once() {
    let mut lab = Lab::new();
    for _ in 0..10 {
        lab.endpoint.invite(lab.now, args()).expect("a name");
    }
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(udp_hops(1)));
    assert_eq!(lab.brief(), ["INVITE"; 10]);
}

#[test]
fn names_under_way_are_limited() {
    let mut lab = Lab::new();
    let ask = |lab: &mut Lab, n: usize| {
        let to = Uri::parse(&format!("sip:bob@{n}.example.com")).expect("a URI");
        lab.endpoint.invite(lab.now, InviteArgs { to, ..args() })
    };
    for n in 0..256 {
        ask(&mut lab, n).expect("there is room");
    }
    assert!(matches!(ask(&mut lab, 256), Err(CommandError::Unreachable(why)) if why.contains("too many")));
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.endpoint.population().lookups, 0, "nobody waits any longer");
    assert!(ask(&mut lab, 256).is_ok());
    while lab.endpoint.poll_lookup().is_some() {}
    lab.assert_settles();
}

#[test]
fn a_name_that_leads_nowhere_ends_the_call() {
    for error in [LookupError::Nothing, LookupError::NoAnswer, LookupError::TooMany] {
        let (mut lab, _, lookup) = asking();
        lab.found(&lookup, Err(error));
        assert_eq!(lab.ended(), EndCause::Unreachable("the name leads nowhere"));
        lab.assert_settles();
    }
    // Only by a transport or an address family that we don't have.
    let (mut lab, _, lookup) = asking();
    lab.found(&lookup, Ok(vec![hop(Transport::Tcp, "[2001:db8::1]:5060")]));
    assert_eq!(lab.ended(), EndCause::Unreachable("the name leads nowhere"));
    lab.assert_settles();
}

#[test]
fn a_lookup_that_is_never_answered_ends_the_call_and_a_late_answer_changes_nothing() {
    let (mut lab, _, lookup) = asking();
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.ended(), EndCause::Unreachable("the name leads nowhere"));
    lab.found(&lookup, Ok(udp_hops(1)));
    assert!(lab.sent().is_empty());
    lab.assert_settles();
}

#[test]
fn a_call_hung_up_while_its_name_is_looked_up_is_over_at_once() {
    let (mut lab, call, lookup) = asking();
    lab.endpoint.hang_up(lab.now, call, None).expect("it calls");
    assert_eq!(lab.ended(), EndCause::WeCancelled);
    lab.found(&lookup, Ok(udp_hops(1)));
    assert!(lab.sent().is_empty());
    lab.assert_settles();
}

#[test]
fn rfc3263_4_3_a_silent_hop_is_left_for_the_next() {
    let (mut lab, _, first) = roaming(2);
    lab.pass(Duration::from_millis(3_999));
    assert_eq!(lab.brief(), ["INVITE"; 3], "again and again, to the same");
    lab.pass(Duration::from_millis(1));
    let second = lab.request_at(HOPS[1]);
    assert_ne!(branch(&first), branch(&second), "a new transaction (RFC 3263 section 4.3)");
    assert_eq!(first.headers.cseq(), second.headers.cseq());
    assert_eq!(lab.endpoint.counters().failed_over, 1);
    lab.answer(&second, 200, "bob", CONTACT);
    assert_eq!(lab.request_at("192.0.2.1:5070").method, Method::Ack);
    assert!(matches!(lab.event(), Event::Answered { .. }));
}

#[test]
fn the_last_hop_has_all_the_time_that_there_is() {
    let (mut lab, _, _) = roaming(2);
    lab.pass(Duration::from_secs(4 + 31));
    assert!(lab.events().is_empty());
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.ended(), EndCause::Unreachable("no answer"));
    lab.assert_settles();
}

#[test]
fn a_hop_that_speaks_is_not_left() {
    let (mut lab, _, first) = roaming(2);
    lab.answer(&first, 100, "", "");
    lab.pass(Duration::from_secs(120));
    assert!(lab.sent().is_empty());
    assert!(lab.events().is_empty());
    lab.answer(&first, 486, "bob", "");
    assert_eq!(lab.request_at(HOPS[0]).method, Method::Ack);
    assert!(matches!(lab.ended(), EndCause::Refused { response } if response.status == 486));
}

#[test]
fn rfc3263_4_3_a_hop_without_room_is_left_and_acknowledged() {
    let (mut lab, _, first) = roaming(2);
    lab.answer(&first, 503, "one", "");
    let out = lab.transmits();
    let brief: Vec<String> = out
        .iter()
        .map(|t| {
            format!(
                "{} {}",
                t.target.remote(),
                String::from_utf8_lossy(&t.bytes).split(' ').next().expect("a method")
            )
        })
        .collect();
    assert_eq!(brief, [format!("{} ACK", HOPS[0]), format!("{} INVITE", HOPS[1])]);
    assert!(lab.events().is_empty(), "the caller sees one outcome");
    // It missed our ACK.
    lab.answer(&first, 503, "one", "");
    assert_eq!(lab.request_at(HOPS[0]).method, Method::Ack);
    lab.pass(Duration::from_secs(32));
    lab.transmits();
    let EndCause::Unreachable("no answer") = lab.ended() else {
        panic!("what happened at the last hop counts")
    };
    lab.assert_settles();
}

#[test]
fn a_503_of_the_last_hop_is_told() {
    let (mut lab, _, first) = roaming(1);
    lab.answer(&first, 503, "one", "");
    assert!(matches!(lab.ended(), EndCause::Refused { response } if response.status == 503));
    assert_eq!(lab.brief(), ["ACK"]);
    lab.assert_settles();
}

#[test]
fn r41_a_hop_that_rings_after_it_was_left_is_cancelled() {
    let (mut lab, _, first) = roaming(2);
    lab.pass(Duration::from_secs(4));
    let second = lab.sent().pop();
    assert!(matches!(second, Some(Message::Request(_))));
    lab.answer(&first, 180, "late", "");
    let cancel = lab.request_at(HOPS[0]);
    assert_eq!((cancel.method.clone(), branch(&cancel)), (Method::Cancel, branch(&first)));
    assert!(lab.events().is_empty());
    lab.answer(&first, 180, "late", "");
    assert!(lab.sent().is_empty(), "once");
    lab.answer(&first, 487, "late", "");
    assert_eq!(lab.request_at(HOPS[0]).method, Method::Ack);
    lab.pass(Duration::from_secs(32));
    assert_eq!(lab.ended(), EndCause::Unreachable("no answer"));
    lab.assert_settles();
}

#[test]
fn r41_a_hop_that_answers_after_it_was_left_is_acknowledged_and_hung_up() {
    let (mut lab, _, first) = roaming(2);
    lab.pass(Duration::from_secs(4));
    lab.transmits();
    lab.answer(&first, 200, "late", CONTACT);
    assert_eq!(lab.brief(), ["ACK", "BYE"]);
    assert!(lab.events().is_empty());
}

#[test]
fn a_call_hung_up_at_a_silent_hop_goes_to_no_other() {
    let (mut lab, call, first) = roaming(3);
    lab.endpoint.hang_up(lab.now, call, None).expect("it calls");
    lab.pass(Duration::from_secs(20));
    assert!(lab.transmits().iter().all(|t| t.target.remote().to_string() == HOPS[0]));
    lab.answer(&first, 200, "late", CONTACT);
    assert_eq!(lab.brief(), ["ACK", "BYE"], "and is still heard");
}

#[test]
fn a_hop_that_refuses_the_connection_is_left_at_once() {
    let (mut lab, _, lookup) = asking();
    let hops = vec![hop(Transport::Tcp, HOPS[0]), hop(Transport::Udp, HOPS[1])];
    lab.found(&lookup, Ok(hops));
    let target = lab.transmits().pop().expect("an INVITE").target;
    lab.endpoint.handle_inbound(lab.now, Inbound::Unreachable(target));
    let second = lab.request_at(HOPS[1]);
    assert_eq!(
        second.headers.contact().expect("Contact").to_string(),
        "<sip:bot@198.51.100.1:5060>;isfocus",
        "by UDP now"
    );
    assert_eq!(second.headers.all(Name::Via).count(), 1);
    assert_eq!(second.headers.all(Name::Contact).count(), 1);
}

#[test]
fn a_flow_that_is_gone_falls_back_to_the_name() {
    let mut lab = Lab::new();
    let flow = Flow {
        transport: Transport::Tcp,
        connection: Some(ConnectionId(9)),
        ..udp_from("192.0.2.1:40000")
    };
    let via = Some(Way::First(Target::Flow(flow), Uri::parse("sip:edge.example.net").expect("a URI")));
    lab.endpoint.invite(lab.now, InviteArgs { via, ..args() }).expect("a way");
    lab.request_at("192.0.2.1:40000");
    assert_eq!(lab.endpoint.poll_lookup(), None, "nothing is asked while the flow works");
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(flow));
    let lookup = lab.lookup();
    assert_eq!(&*lookup.question.host, "edge.example.net");
    lab.found(&lookup, Ok(udp_hops(1)));
    lab.request_at(HOPS[0]);
}

#[test]
fn credentials_go_to_the_hop_that_asked_for_them() {
    let mut lab = Lab::new();
    let credentials = Some(Credentials::new("bot", "secret"));
    lab.endpoint.invite(lab.now, InviteArgs { credentials, ..args() }).expect("a name");
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(udp_hops(2)));
    lab.pass(Duration::from_secs(4));
    let second = match lab.sent().pop() {
        Some(Message::Request(request)) => request,
        other => panic!("an INVITE, not {other:?}"),
    };
    let challenges = Authenticator::new("example.com", [7; 32], lab.now).challenges(lab.now, false);
    let fields: String = challenges.iter().map(|c| format!("WWW-Authenticate: {c}\r\n")).collect();
    lab.answer(&second, 401, "bob", &fields);
    let out = lab.transmits();
    assert!(out.iter().all(|t| t.target.remote().to_string() == HOPS[1]), "ACK and INVITE");
    assert_eq!(out.len(), 2);
}

const PROXIED: &str = "Record-Route: <sip:edge.example.net;lr>\r\n";

#[test]
fn the_route_of_a_dialog_is_looked_up_and_then_kept() {
    let mut lab = Lab::new();
    lab.hear(&Ask::invite().with(PROXIED).text());
    let Event::Invite { call, .. } = lab.event() else {
        panic!("a call")
    };
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.events();
    lab.endpoint.reinvite(lab.now, call, Body::sdp("offer")).expect("it is up");
    let lookup = lab.lookup();
    assert_eq!(&*lookup.question.host, "edge.example.net");
    lab.found(&lookup, Ok(udp_hops(2)));
    let reinvite = lab.request_at(HOPS[0]);
    lab.answer(&reinvite, 200, "", CONTACT);
    // The ACK is a request of its own, and asks once more; the cache of whoever looks up makes that cheap.
    if let Some(lookup) = lab.endpoint.poll_lookup() {
        lab.found(&lookup, Ok(udp_hops(2)));
    }
    assert_eq!(lab.request_at(HOPS[0]).method, Method::Ack);
    lab.events();
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.request_at(HOPS[0]);
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(lab.endpoint.poll_lookup(), None);
    // That proxy is gone since: the other one knows the way too.
    lab.pass(Duration::from_secs(32));
    lab.transmits();
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(udp_hops(2)));
    let bye = lab.request_at(HOPS[1]);
    lab.answer(&bye, 200, "", "");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn the_ack_waits_for_the_name_in_the_route_and_comes_again_with_the_2xx() {
    let (mut lab, _, first) = roaming(1);
    let answer = format!("{PROXIED}{CONTACT}");
    lab.answer(&first, 200, "bob", &answer);
    assert!(lab.sent().is_empty());
    let lookup = lab.lookup();
    // They miss it meanwhile; that asks nothing more.
    lab.answer(&first, 200, "bob", &answer);
    assert_eq!(lab.endpoint.poll_lookup(), None);
    lab.found(&lookup, Ok(udp_hops(3)));
    let ack = lab.request_at(HOPS[0]);
    assert_eq!(ack.method, Method::Ack);
    lab.answer(&first, 200, "bob", &answer);
    assert_eq!(lab.request_at(HOPS[0]), ack, "again, for it was lost");
}

#[test]
fn rfc3261_12_2_1_1_a_proxy_that_does_not_stay_in_the_path_is_left_out_of_the_dialog() {
    let mut lab = Lab::new().over_tcp();
    lab.flow.remote = address(HOPS[0]);
    lab.endpoint.invite(lab.now, args()).expect("a name");
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(vec![hop(Transport::Tcp, HOPS[0])]));
    let invite = lab.request_at(HOPS[0]);
    lab.answer(&invite, 200, "bob", CONTACT);
    assert_eq!(lab.request_at("192.0.2.1:5070").method, Method::Ack, "to the Contact");
}

#[test]
fn a_name_in_a_contact_is_not_asked_for_where_the_peer_is_reached_directly() {
    let mut lab = Lab::new();
    lab.hear(
        &Ask::invite()
            .only("Contact: <sip:ann@phone.home.invalid>\r\nContent-Type: application/sdp\r\n")
            .text(),
    );
    let Event::Invite { call, .. } = lab.event() else {
        panic!("a call")
    };
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.endpoint.poll_lookup(), None);
    assert_eq!(lab.request_at(PEER).method, Method::Bye);
}

/// One more call, whose name leads to two hops: its INVITE, and where that went.
fn call_again(lab: &mut Lab) -> (Request, String) {
    lab.transmits();
    lab.events();
    lab.endpoint.invite(lab.now, args()).expect("a name");
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(udp_hops(2)));
    let mut out = lab.transmits();
    let (Some(transmit), true) = (out.pop(), out.is_empty()) else {
        panic!("one INVITE")
    };
    let Ok(Message::Request(invite)) = parse_datagram(&transmit.bytes) else {
        panic!("an INVITE")
    };
    (invite, transmit.target.remote().to_string())
}

#[test]
fn rfc3263_4_3_a_hop_that_was_silent_comes_last_for_a_while() {
    let (mut lab, _, _) = roaming(2);
    lab.pass(Duration::from_secs(4));
    assert_eq!(call_again(&mut lab).1, HOPS[1]);
    lab.pass(Duration::from_secs(4));
    let last = lab.transmits().pop().expect("an INVITE").target.remote().to_string();
    assert_eq!(last, HOPS[0], "it is still better than nothing");
    lab.pass(Duration::from_secs(27 + 4));
    assert_eq!(call_again(&mut lab).1, HOPS[0], "another chance");
}

#[test]
fn a_hop_that_speaks_again_is_first_again() {
    let (mut lab, _, first) = roaming(2);
    lab.pass(Duration::from_secs(4));
    lab.answer(&first, 404, "late", "");
    assert_eq!(call_again(&mut lab).1, HOPS[0]);
}

#[test]
fn rfc3261_21_5_4_a_hop_that_asks_for_a_rest_gets_it() {
    let (mut lab, _, first) = roaming(2);
    lab.answer(&first, 503, "one", "Retry-After: 60\r\n");
    let (second, at) = call_again(&mut lab);
    assert_eq!(at, HOPS[1]);
    lab.answer(&second, 503, "two", "");
    assert_eq!(lab.brief(), ["ACK"], "there is no other hop");
    assert!(matches!(lab.ended(), EndCause::Refused { response } if response.status == 503));
    lab.pass(Duration::from_secs(60));
    assert_eq!(call_again(&mut lab).1, HOPS[0]);
    // Alone it is asked all the same.
    let (mut lab, _, first) = roaming(1);
    lab.answer(&first, 503, "one", "Retry-After: 60\r\n");
    lab.transmits();
    lab.events();
    lab.endpoint.invite(lab.now, args()).expect("a name");
    let lookup = lab.lookup();
    lab.found(&lookup, Ok(udp_hops(1)));
    lab.request_at(HOPS[0]);
}
