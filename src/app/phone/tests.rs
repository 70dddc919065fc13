//! The phone against an endpoint that answers, changes its mind, and hangs up.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one event and steps over the rest")]

use tokio_rustls::rustls::{crypto::ring, sign::CertifiedKey};

use super::*;
use crate::{media::tone::tone_level_db, sip::endpoint::Reason};

const LIMIT: Duration = Duration::from_secs(10);

/// Takes calls on loopback.
struct Callee {
    endpoint: Endpoint,
    transport: SipTransport,
    inbound: mpsc::Receiver<Inbound>,
    address: SocketAddr,
    negotiation: Negotiation,
    /// Where voice comes to.
    voice: UdpSocket,
}

impl Callee {
    fn new() -> Self {
        Self::by(Transport::Udp, None)
    }

    fn by(how: Transport, tls: Option<Tls>) -> Self {
        let (transport, inbound) = SipTransport::bind(&[(how, ([127, 0, 0, 1], 0).into())], tls, &[]).expect("a port");
        let (_, address) = transport.listening()[0];
        let voice = UdpSocket::bind("127.0.0.1:0").expect("a port");
        Self {
            endpoint: Endpoint::new(EndpointConfig::new(vec![Listener::plain(how, address)]), 7),
            transport,
            inbound,
            address,
            negotiation: negotiation(&voice),
            voice,
        }
    }

    fn called(&self) -> Phone {
        self.called_with(None)
    }

    fn called_with(&self, proof: Option<Proof>) -> Phone {
        self.called_by(proof, Policy::Never)
    }

    fn called_by(&self, proof: Option<Proof>, srtp: Policy) -> Phone {
        Phone::call(CallArgs {
            srtp,
            to: format!("sip:room@{}", self.address),
            server: self.address,
            proof,
            from: "sip:bob@127.0.0.1".to_owned(),
            name: "Bob".to_owned(),
            credentials: None,
            codecs: vec![Codec::Opus, Codec::Pcmu],
            source: Source::Tone { hz: 440.0, level_db: -6.0 },
        })
        .expect("the call goes out")
    }

    fn send(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transport.send(transmit);
        }
    }

    /// Handles messages until an event is what is waited for.
    async fn until<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            self.send();
            while let Some(event) = self.endpoint.poll_event() {
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
            let message = tokio::time::timeout_at(deadline, self.inbound.recv()).await;
            let message = message.unwrap_or_else(|_| panic!("no {what}")).expect("the socket lives");
            self.endpoint.handle_inbound(Instant::now(), message);
        }
    }

    async fn rings(&mut self) -> (CallId, Vec<u8>) {
        let invited = |event| match event {
            Event::Invite { call, offer, .. } => Some((call, offer.expect("an offer").bytes)),
            _ => None,
        };
        self.until("INVITE", invited).await
    }

    async fn accepts(&mut self) -> CallId {
        let (call, offer) = self.rings().await;
        let (answer, _) = self.negotiation.answer(&offer, self.address.ip()).expect("a codec in common");
        self.endpoint
            .accept(Instant::now(), call, Presentation::default(), Body::sdp(answer))
            .expect("it rings");
        let acknowledged = |event| matches!(event, Event::Confirmed { .. }).then_some(());
        self.until("ACK", acknowledged).await;
        call
    }

    /// Offers anew, and gives the status that this is answered with.
    async fn reoffers(&mut self, call: CallId, offer: String) -> Result<Vec<u8>, u16> {
        self.endpoint.reinvite(Instant::now(), call, Body::sdp(offer)).expect("it is up");
        self.until("answer", |event| match event {
            Event::ReofferAnswered { answer, .. } => Some(Ok(answer.expect("an answer").bytes)),
            Event::ReofferFailed { status, .. } => Some(Err(status)),
            _ => None,
        })
        .await
    }
}

fn negotiation(voice: &UdpSocket) -> Negotiation {
    let rtp = voice.local_addr().expect("bound");
    let local = LocalMedia {
        rtp,
        rtcp: rtp,
        session: 1,
        codecs: vec![Codec::Pcmu],
        comfort_noise: false,
        dtls: None,
        ice: None,
        terms: Terms::default(),
    };
    Negotiation::new(local, StdRng::seed_from_u64(1))
}

/// Waits for a packet.
fn speaks_to(socket: &UdpSocket) {
    socket.set_read_timeout(Some(LIMIT)).expect("a socket option");
    let mut bytes = [0; 2048];
    let length = socket.recv(&mut bytes).expect("a packet in time");
    assert_eq!(length, 12 + 160, "20 ms of G.711");
}

#[tokio::test]
async fn r43_a_call_is_answered_moved_held_and_ended_by_them() {
    let mut callee = Callee::new();
    let mut phone = callee.called();
    assert!(matches!(
        phone.wait_answered(Duration::from_millis(1)).await,
        Err(PhoneError::Late(_))
    ));
    let call = callee.accepts().await;
    phone.wait_answered(LIMIT).await.expect("answered");
    speaks_to(&callee.voice);

    assert_eq!((phone.rate(), phone.mark()), (8000, 0), "nothing was said to it");

    let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a port");
    callee.negotiation = negotiation(&elsewhere);
    let offer = callee.negotiation.offer();
    let answer = callee.reoffers(call, offer).await.expect("taken");
    callee.negotiation.read_answer(&answer, callee.address.ip()).expect("it fits");
    speaks_to(&elsewhere);

    let no_codec = "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9\r\n";
    assert_eq!(callee.reoffers(call, no_codec.to_owned()).await, Err(488));
    speaks_to(&elsewhere);

    let hold = callee.negotiation.offer().replace("sendrecv", "inactive");
    let held = callee.reoffers(call, hold).await.expect("taken");
    assert!(String::from_utf8_lossy(&held).contains("a=inactive"));
    let silent = || {
        elsewhere
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket option");
        elsewhere.recv(&mut [0; 2048]).is_err()
    };
    assert!((0..100).any(|_| silent()), "it goes on while on hold");

    let reason = Reason {
        cause: 603,
        text: "enough".to_owned(),
    };
    callee.endpoint.hang_up(Instant::now(), call, Some(reason)).expect("it is up");
    callee.send();
    let Ok(Ended::TheyHungUp { reason: Some(reason) }) = phone.wait_ended(LIMIT).await else {
        panic!("not hung up by them with a reason")
    };
    assert_eq!(reason, "SIP;cause=603;text=\"enough\"");
}

#[tokio::test]
async fn a_phone_that_is_dropped_hangs_up() {
    let mut callee = Callee::new();
    let mut phone = callee.called();
    callee.accepts().await;
    phone.wait_answered(LIMIT).await.expect("answered");
    drop(phone);
    let cause = callee
        .until("BYE", |event| match event {
            Event::Ended { cause, .. } => Some(cause),
            _ => None,
        })
        .await;
    assert_eq!(cause, EndCause::TheyHungUp { reason: None });
}

#[tokio::test]
async fn a_refused_call_says_so() {
    let mut callee = Callee::new();
    let mut phone = callee.called();
    let (call, _) = callee.rings().await;
    callee.endpoint.reject(Instant::now(), call, Rejection::new(486)).expect("it rings");
    callee.send();
    let answered = phone.wait_answered(LIMIT).await;
    assert!(matches!(answered, Err(PhoneError::NotTaken(Ended::Refused(486)))), "{answered:?}");
    assert_eq!(phone.wait_ended(LIMIT).await.expect("over"), Ended::Refused(486));
}

#[tokio::test]
async fn we_hang_up_and_what_was_heard_stays() {
    let mut callee = Callee::new();
    let mut phone = callee.called();
    let call = callee.accepts().await;
    phone.wait_answered(LIMIT).await.expect("answered");
    phone.play(Source::Silence);
    let mut bytes = [0; 2048];
    callee.voice.set_read_timeout(Some(LIMIT)).expect("a socket option");
    // Its own voice back to it, for want of another one, until a tenth of a second of it is silence.
    let turned_silent = (0..500).any(|_| {
        let (length, from) = callee.voice.recv_from(&mut bytes).expect("a packet in time");
        callee.voice.send_to(&bytes[..length], from).expect("sent");
        let mark = phone.mark().checked_sub(800);
        mark.is_some_and(|mark| tone_level_db(&phone.heard_since(mark), phone.rate(), 440.0) < -40.0)
    });
    assert!(turned_silent, "it was told to be silent");
    let heard = phone.mark();
    phone.hang_up();
    callee
        .until("BYE", |event| matches!(event, Event::Ended { .. }).then_some(()))
        .await;
    callee.send();
    let ended = phone.wait_ended(LIMIT).await;
    assert_eq!(ended.expect("over"), Ended::WeHungUp);
    assert!(callee.endpoint.calls().all(|c| c != call));
    assert!(phone.mark() >= heard);
}

#[tokio::test]
async fn a_call_over_tls_goes_to_who_proves_their_name() {
    let made = rcgen::generate_simple_self_signed(vec!["conf.example.com".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let identity = CertifiedKey::from_der(vec![certificate.clone()], made.signing_key.into(), &ring::default_provider());
    let tls = Tls::new(Some(identity.expect("they fit")), Some(Vec::new()), None).expect("usable");
    let mut callee = Callee::by(Transport::Tls, Some(tls));
    let proof = |name: &str| Proof {
        tls: Tls::new(None, Some(vec![certificate.clone()]), None).expect("usable"),
        name: Some(name.to_owned()),
    };
    let mut misled = callee.called_with(Some(proof("conf.example.net")));
    let ended = misled.wait_ended(LIMIT).await.expect("in time");
    assert!(matches!(ended, Ended::Failed(_)), "{ended}");

    let mut phone = callee.called_with(Some(proof("conf.example.com")));
    let call = callee.accepts().await;
    phone.wait_answered(LIMIT).await.expect("in time");
    callee.endpoint.hang_up(Instant::now(), call, None).expect("it is up");
    callee.send();
    let ended = phone.wait_ended(LIMIT).await.expect("in time");
    assert_eq!(ended, Ended::TheyHungUp { reason: None });
}

#[tokio::test]
async fn r72_a_phone_asks_for_srtp_and_falls_back_once_if_it_may() {
    // Who can, does.
    let mut callee = Callee::new();
    let mut phone = callee.called_by(None, Policy::Allowed);
    callee.accepts().await;
    phone.wait_answered(LIMIT).await.expect("answered");
    callee.voice.set_read_timeout(Some(LIMIT)).expect("a socket option");
    let length = callee.voice.recv(&mut [0; 2048]).expect("a packet in time");
    assert_eq!(length, 12 + 160 + 16, "20 ms of G.711 and a tag");

    // Who can't, refuses once, and is called once more.
    for (policy, again) in [(Policy::Allowed, true), (Policy::Required, false)] {
        let mut callee = Callee::new();
        let mut phone = callee.called_by(None, policy);
        let (call, offer) = callee.rings().await;
        assert!(String::from_utf8_lossy(&offer).contains("RTP/SAVP"));
        callee.endpoint.reject(Instant::now(), call, Rejection::new(488)).expect("it rings");
        callee.send();
        if again {
            callee.accepts().await;
            phone.wait_answered(LIMIT).await.expect("answered");
            speaks_to(&callee.voice);
        } else {
            let answered = phone.wait_answered(LIMIT).await;
            assert!(matches!(answered, Err(PhoneError::NotTaken(Ended::Refused(488)))), "{answered:?}");
        }
    }
}
