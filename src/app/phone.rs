//! One phone without a head: places a call, sends a sound, records what it hears, ends when told by either side.
//!
//! Takes no calls, registers nowhere and resolves no names: whom to call and where to send that are both given.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use mixer::Rate;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep_until, timeout},
};

use crate::{
    io::sip::{SipTransport, Tls},
    media::softphone::{Softphone, SoftphoneConfig, Source},
    model::{CallId, LegMedia, media::Codec, srtp::Policy},
    sip::{
        auth::Credentials,
        endpoint::{
            Body, CommandError, EndCause, Endpoint, EndpointConfig, Event, Flow, Inbound, InviteArgs, Listener, OptionsAnswer,
            Presentation, Rejection, Target, Transport,
        },
        locate::Way,
        msg::{BadUri, Uri},
        sdp::{LocalMedia, Negotiation, Terms, Unacceptable},
    },
};

/// Whom a phone calls, as whom, and what it says.
#[derive(Debug, Clone)]
pub struct CallArgs {
    /// Whom: a SIP URI.
    pub to: String,
    /// Where calls to there are sent.
    pub server: SocketAddr,
    /// How the server proves who it is, for calls over TLS; none: they go by UDP.
    pub proof: Option<Proof>,
    /// Who calls: a SIP URI.
    pub from: String,
    /// How the caller is shown.
    pub name: String,
    /// What a challenge is answered with.
    pub credentials: Option<Credentials>,
    /// What is offered, best first; not empty.
    pub codecs: Vec<Codec>,
    /// What is sent at first.
    pub source: Source,
    /// Whether voice is encrypted: where that is allowed, it is asked for at first, and done without if they can't (rule R72).
    pub srtp: Policy,
}

/// What a server has to prove before it is told anything.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Whom we trust to vouch for it.
    pub tls: Tls,
    /// Whom its certificate has to name (RFC 5922 section 7.2); none: its address.
    pub name: Option<String>,
}

/// Why there is no call, or none of the kind that was waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// An address of ours or theirs.
    #[error("{0:?} is no SIP address")]
    Address(String, #[source] BadUri),
    /// The system refuses a socket.
    #[error("no socket")]
    Socket(#[from] io::Error),
    /// The INVITE could not be sent.
    #[error("the call can't be placed")]
    Invite(#[from] CommandError),
    /// It ended before it was answered.
    #[error("the call was not taken: {0}")]
    NotTaken(Ended),
    /// It did not come this far in time.
    #[error("not within {0:?}")]
    Late(Duration),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The other side hung up.
    TheyHungUp {
        /// Their `Reason` header field as given, if any (RFC 3326).
        reason: Option<String>,
    },
    /// This side did.
    WeHungUp,
    /// The call was refused with this status.
    Refused(u16),
    /// It broke off, or never came about.
    Failed(String),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TheyHungUp { reason: None } => f.write_str("they hung up"),
            Self::TheyHungUp { reason: Some(reason) } => write!(f, "they hung up, {reason}"),
            Self::WeHungUp => f.write_str("we hung up"),
            Self::Refused(status) => write!(f, "refused with {status}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl From<EndCause> for Ended {
    fn from(cause: EndCause) -> Self {
        match cause {
            EndCause::TheyHungUp { reason } | EndCause::Cancelled { reason } => Self::TheyHungUp { reason },
            EndCause::WeHungUp | EndCause::WeCancelled | EndCause::Rejected => Self::WeHungUp,
            EndCause::Refused { response } => Self::Refused(response.status),
            EndCause::Unreachable(why) => Self::Failed(why.to_owned()),
            EndCause::Unanswered | EndCause::NoAck | EndCause::Expired | EndCause::Lost => Self::Failed("the call was lost".to_owned()),
        }
    }
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Calling,
    Up,
    Ended(Ended),
}

/// A call under way; hangs up when dropped.
#[derive(Debug)]
pub struct Phone {
    state: watch::Receiver<State>,
    /// There since the call was answered.
    media: Arc<OnceLock<Softphone>>,
    hang_up: mpsc::Sender<()>,
}

impl Phone {
    /// Places a call; to be called inside of a tokio runtime.
    pub fn call(args: CallArgs) -> Result<Self, PhoneError> {
        let mut rng = StdRng::from_os_rng();
        let local = local_towards(args.server)?;
        let how = args.proof.as_ref().map_or(Transport::Udp, |_| Transport::Tls);
        let (name, tls) = args.proof.map(|proof| (proof.name, proof.tls)).unzip();
        let (transport, inbound) = SipTransport::bind(&[(how, local)], tls, &[])?;
        let listeners: Vec<Listener> = transport.listening().iter().map(|(t, at)| Listener::plain(*t, *at)).collect();
        let bound = listeners.first().map_or(local, |l| l.local);
        let socket = UdpSocket::bind(local)?;
        let rtp = socket.local_addr()?;
        let local = LocalMedia {
            rtp,
            rtcp: rtp,
            session: u64::from(rng.random::<u32>()),
            codecs: args.codecs,
            comfort_noise: false,
            dtls: None,
            ice: None,
            terms: Terms {
                policy: args.srtp,
                signalling_protected: how.is_protected(),
            },
        };
        let mut negotiation = Negotiation::new(local, StdRng::from_rng(&mut rng));
        let mut endpoint = Endpoint::new(
            EndpointConfig {
                packages: Vec::new(),
                accept: vec!["application/sdp".to_owned()],
                ..EndpointConfig::new(listeners)
            },
            rng.random(),
        );
        let uri = |text: &str| Uri::parse(text).map_err(|e| PhoneError::Address(text.to_owned(), e));
        let from = uri(&args.from)?;
        let invite = InviteArgs {
            to: uri(&args.to)?,
            presentation: Presentation {
                user: from.aor().map(|aor| aor.user().to_owned()),
                focus: false,
            },
            from,
            name: Some(args.name),
            offer: Body::sdp(negotiation.dial()),
            credentials: args.credentials,
            via: Some(Way::To(match name {
                None => Target::Flow(Flow {
                    transport: how,
                    local: bound,
                    remote: args.server,
                    connection: None,
                }),
                Some(name) => Target::Connect {
                    transport: how,
                    local: bound,
                    remote: args.server,
                    name: name.map(Arc::from),
                },
            })),
            headers: Vec::new(),
        };
        let id = endpoint.invite(Instant::now(), invite.clone())?;
        let (told, state) = watch::channel(State::Calling);
        let (hang_up, orders) = mpsc::channel(1);
        let media = Arc::new(OnceLock::new());
        let line = Line {
            endpoint,
            id,
            invite,
            transport,
            negotiation,
            socket,
            source: args.source,
            ssrc: rng.random(),
            agreed: None,
            media: Arc::clone(&media),
            state: told,
        };
        tokio::spawn(line.run(inbound, orders));
        Ok(Self { state, media, hang_up })
    }

    /// Waits until the call is answered.
    pub async fn wait_answered(&mut self, limit: Duration) -> Result<(), PhoneError> {
        match self.wait(limit, |state| *state != State::Calling).await? {
            State::Ended(ended) => Err(PhoneError::NotTaken(ended)),
            State::Calling | State::Up => Ok(()),
        }
    }

    /// Waits until the call is over, and tells how it ended.
    pub async fn wait_ended(&mut self, limit: Duration) -> Result<Ended, PhoneError> {
        match self.wait(limit, |state| matches!(state, State::Ended(_))).await? {
            State::Ended(ended) => Ok(ended),
            State::Calling | State::Up => Err(PhoneError::Late(limit)),
        }
    }

    /// Ends the call, or the attempt; [`wait_ended`](Self::wait_ended) tells when that is through.
    pub fn hang_up(&self) {
        // Full: it was said before. Closed: the call is over.
        let _ = self.hang_up.try_send(());
    }

    /// Says something else from now on. Before the call is answered this changes nothing.
    pub fn play(&self, source: Source) {
        if let Some(media) = self.media.get() {
            media.play(source);
        }
    }

    /// Samples a second of what is heard; 8000 while nothing is.
    pub fn rate(&self) -> u32 {
        self.media.get().map_or(Rate::Narrow.hz(), Softphone::rate)
    }

    /// How many samples were heard so far: a mark for [`heard_since`](Self::heard_since).
    pub fn mark(&self) -> usize {
        self.media.get().map_or(0, Softphone::mark)
    }

    /// What was heard since a mark; all with mark 0.
    pub fn heard_since(&self, mark: usize) -> Vec<i16> {
        self.media.get().map_or_else(Vec::new, |media| media.heard_since(mark))
    }

    async fn wait(&mut self, limit: Duration, reached: impl FnMut(&State) -> bool) -> Result<State, PhoneError> {
        match timeout(limit, self.state.wait_for(reached)).await {
            Ok(Ok(state)) => Ok(state.clone()),
            // The task is gone without a word: the runtime goes down.
            Ok(Err(_)) => Ok(State::Ended(Ended::Failed("the phone was switched off".to_owned()))),
            Err(_) => Err(PhoneError::Late(limit)),
        }
    }
}

/// An address of ours, any port, from which a server can be reached.
fn local_towards(server: SocketAddr) -> io::Result<SocketAddr> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    // Connecting a datagram socket sends nothing, but makes the kernel choose.
    let probe = UdpSocket::bind(any)?;
    probe.connect(server)?;
    Ok(SocketAddr::new(probe.local_addr()?.ip(), 0))
}

/// The phone's side that runs.
struct Line {
    endpoint: Endpoint,
    id: CallId,
    /// As it was sent first.
    invite: InviteArgs,
    transport: SipTransport,
    negotiation: Negotiation,
    socket: UdpSocket,
    source: Source,
    ssrc: u32,
    agreed: Option<LegMedia>,
    media: Arc<OnceLock<Softphone>>,
    state: watch::Sender<State>,
}

impl Line {
    /// Runs until the call is over.
    async fn run(mut self, mut inbound: mpsc::Receiver<Inbound>, mut orders: mpsc::Receiver<()>) {
        let mut ending = false;
        self.drain();
        while !matches!(*self.state.borrow(), State::Ended(_)) {
            let due = self.endpoint.poll_timeout();
            tokio::select! {
                message = inbound.recv() => match message {
                    Some(message) => self.endpoint.handle_inbound(Instant::now(), message),
                    None => return,
                },
                // `None`: the phone was dropped, which hangs up too.
                _ = orders.recv(), if !ending => {
                    ending = true;
                    // It may have ended this moment.
                    let _ = self.endpoint.hang_up(Instant::now(), self.id, None);
                }
                () = async { match due { Some((at, _)) => sleep_until(at.into()).await, None => std::future::pending().await } } => {
                    self.endpoint.handle_timeout(Instant::now());
                }
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.handle(event);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transport.send(transmit);
        }
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Answered { flow, answer, .. } => {
                if let Err(why) = self.take_answer(flow, answer.as_ref()) {
                    self.give_up(now, why);
                } else {
                    self.state.send_replace(State::Up);
                }
            }
            Event::Reoffer { call, offer, .. } => {
                // What became of the call meanwhile comes as an event of its own.
                let _ = match self.answer_offer(offer.as_ref()) {
                    Ok(body) => self.endpoint.accept_reoffer(now, call, body),
                    Err(why) => self.endpoint.reject_reoffer(now, call, Rejection::new(why.status())),
                };
            }
            Event::Confirmed { answer: Some(answer), .. } => {
                // The answer to an offer that they had asked us for.
                if let Err(why) = self.read_answer(&answer) {
                    self.give_up(now, why.to_string());
                }
            }
            Event::Ended {
                call,
                cause: EndCause::Refused { response },
            } if call == self.id && self.fall_back(now, response.status) => {}
            Event::Ended { call, cause } if call == self.id => {
                if let Some(media) = self.media.get() {
                    media.send(false);
                }
                // What was given up has its reason already.
                self.state.send_if_modified(|state| {
                    let open = !matches!(state, State::Ended(_));
                    if open {
                        *state = State::Ended(cause.into());
                    }
                    open
                });
            }
            Event::Invite { call, .. } => {
                let _ = self.endpoint.reject(now, call, Rejection::new(486));
            }
            Event::Refer { refer, .. } => {
                let _ = self.endpoint.reject_refer(now, refer, Rejection::new(603));
            }
            Event::Options { options, .. } => {
                let able = OptionsAnswer::Capabilities(Presentation::default());
                let _ = self.endpoint.answer_options(now, options, able);
            }
            Event::Confirmed { answer: None, .. }
            | Event::ReofferWithdrawn { .. }
            | Event::ReofferAnswered { .. }
            | Event::ReofferFailed { .. }
            | Event::Info { .. }
            | Event::Progress { .. }
            | Event::Ended { .. }
            | Event::Subscribe { .. }
            | Event::Refreshed { .. }
            | Event::Notified { .. }
            | Event::SubscriptionEnded { .. }
            | Event::EarlyAnswer { .. }
            | Event::ReferProgress { .. }
            | Event::ReferFailed { .. }
            | Event::Registration { .. }
            | Event::Pinged { .. } => {}
        }
    }

    /// Calls once more without encryption, if that is what the first call was refused for (rule R72).
    fn fall_back(&mut self, now: Instant, status: u16) -> bool {
        let Some(offer) = self.negotiation.fall_back(status) else {
            return false;
        };
        let again = InviteArgs {
            offer: Body::sdp(offer),
            ..self.invite.clone()
        };
        match self.endpoint.invite(now, again) {
            Ok(id) => {
                self.id = id;
                true
            }
            Err(_) => false,
        }
    }

    /// Hangs up a call whose media can't be had; its end tells why.
    fn give_up(&mut self, now: Instant, why: String) {
        let _ = self.endpoint.hang_up(now, self.id, None);
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transport.send(transmit);
        }
        self.state.send_replace(State::Ended(Ended::Failed(why)));
    }

    fn take_answer(&mut self, flow: Flow, answer: Option<&Body>) -> Result<(), String> {
        let answer = answer.ok_or("an answer without a description")?;
        let agreed = self
            .negotiation
            .read_answer(&answer.bytes, flow.remote.ip())
            .map_err(|e| e.to_string())?;
        let softphone = Softphone::start(SoftphoneConfig {
            socket: self.socket.try_clone().map_err(|e| e.to_string())?,
            remote: agreed.rtp,
            codec: agreed.codec,
            payload_type: agreed.payload_type_out,
            rate: Rate::Wide,
            source: self.source.clone(),
            ssrc: self.ssrc,
            security: agreed.security.clone(),
        });
        let softphone = softphone.map_err(|e| e.to_string())?;
        softphone.send(sends(&agreed));
        // Answered comes once.
        let _ = self.media.set(softphone);
        self.agreed = Some(agreed);
        Ok(())
    }

    /// Our answer to an offer of theirs, or our offer if they made none. An offer that can't be met changes nothing.
    fn answer_offer(&mut self, offer: Option<&Body>) -> Result<Body, Unacceptable> {
        let Some(offer) = offer else {
            return Ok(Body::sdp(self.negotiation.offer()));
        };
        let from = self.agreed.as_ref().ok_or(Unacceptable::Mismatch)?.signalled_from;
        let mut next = self.negotiation.clone();
        let (answer, media) = next.answer(&offer.bytes, from)?;
        self.change(media)?;
        self.negotiation = next;
        Ok(Body::sdp(answer))
    }

    fn read_answer(&mut self, answer: &Body) -> Result<(), Unacceptable> {
        let from = self.agreed.as_ref().ok_or(Unacceptable::Mismatch)?.signalled_from;
        let media = self.negotiation.read_answer(&answer.bytes, from)?;
        self.change(media)
    }

    /// Goes on under new terms; the codec and its number stay for the life of a softphone.
    fn change(&mut self, media: LegMedia) -> Result<(), Unacceptable> {
        let (Some(agreed), Some(softphone)) = (&mut self.agreed, self.media.get()) else {
            return Err(Unacceptable::Mismatch);
        };
        if (media.codec, media.payload_type_out) != (agreed.codec, agreed.payload_type_out) {
            return Err(Unacceptable::NoCodec);
        }
        softphone.redirect(media.rtp);
        softphone.send(sends(&media));
        softphone.secure(&media.security);
        *agreed = media;
        Ok(())
    }
}

fn sends(media: &LegMedia) -> bool {
    use crate::model::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    match media.direction {
        SendRecv | SendOnly => true,
        RecvOnly | Inactive => false,
    }
}

#[cfg(test)]
mod tests;
