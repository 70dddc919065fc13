//! How long an INVITE of 1,250 bytes takes to be read, with typed Via, From, To, CSeq and Contact.
//!
//! `cargo bench --bench sip_parse`. The last line is for machines: microseconds of processor time per message, the median of many batches.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;

use cusax::sip::msg::{Message, parse_datagram};

const SIZE: usize = 1250;

/// Messages timed together, so that reading the clock doesn't count.
const BATCH: u32 = 1000;

fn main() {
    // `cargo bench` says so; as a test one batch is enough.
    let batches = if std::env::args().any(|argument| argument == "--bench") {
        100
    } else {
        1
    };
    let bytes = invite();
    assert_eq!(bytes.len(), SIZE);
    let mut times: Vec<f64> = (0..batches).map(|_| batch(&bytes)).collect();
    times.sort_by(f64::total_cmp);
    println!("invite_us={:.3}", times[times.len() / 2]);
}

fn batch(bytes: &[u8]) -> f64 {
    let start = on_cpu();
    for _ in 0..BATCH {
        let Ok(Message::Request(request)) = parse_datagram(black_box(bytes)) else {
            panic!("the INVITE is well-formed");
        };
        let headers = &request.headers;
        black_box((headers.top_via(), headers.from(), headers.to(), headers.cseq(), headers.contact()))
            .4
            .expect("a contact");
    }
    (on_cpu() - start) / 1000.0 / f64::from(BATCH)
}

/// Nanoseconds that this thread has run: on a shared machine the clock tells mostly what others do.
fn on_cpu() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells every thread its schedule");
    schedule
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .expect("its first figure is the time on a processor")
}

/// An INVITE as phones send it, behind one proxy; the session name fills it up.
fn invite() -> Vec<u8> {
    let body = "v=0\r\no=- 3724394400 3724394405 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
        m=audio 49170 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n";
    let head = "INVITE sip:standup@conf.example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP proxy.example.com:5060;branch=z9hG4bK4b43c2ff8.1;rport=5060;received=198.51.100.7\r\n\
        Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKnashds8;rport\r\nMax-Forwards: 69\r\n\
        Record-Route: <sip:proxy.example.com;lr;ftag=1928301774>\r\nFrom: \"Alice Liddell\" <sip:alice@example.com>;tag=1928301774\r\n\
        To: <sip:standup@conf.example.com>\r\nCall-ID: a84b4c76e66710@192.0.2.10\r\nCSeq: 314159 INVITE\r\n\
        Contact: <sip:alice@192.0.2.10:5062;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"\r\n\
        Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE\r\nSupported: timer, replaces, outbound\r\nSession-Expires: 1800\r\n\
        User-Agent: ExamplePhone/1.0\r\nContent-Type: application/sdp\r\n";
    let fill = |n| format!("{head}Subject: {}\r\nContent-Length: {}\r\n\r\n{body}", "x".repeat(n), body.len()).into_bytes();
    fill(SIZE - fill(0).len())
}
