//! Offer and answer (RFC 3264) for one audio stream: both roles, over the life of one call. Sends nothing; time plays no part.

use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use crate::model::{
    Direction, LegMedia,
    dtls::DtlsRole,
    ice::IceCredentials,
    media::{Codec, Levels, OpusClass, PortKind},
    srtp::{Policy, Security},
};

use super::{
    crypto::{BadCrypto, Crypto},
    extmap,
    formats::{Format, Numbers, OpusWishes, known, write},
    sdes::{self, KeyRing},
    text::{Attribute, BadSdp, Connection, MediaLine, Origin, Sdp, find, rtcp_attribute},
    transport::{self, Carriage, DTLS_PROTOCOL, IceSeed, LocalDtls, OurSetup},
};

/// Our end of a call's media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive RTP, as advertised.
    pub rtp: SocketAddr,
    /// Where we receive RTCP when it isn't multiplexed.
    pub rtcp: SocketAddr,
    /// Session id of `o=`, by chance.
    pub session: u64,
    /// Codecs, best first; not empty.
    pub codecs: Vec<Codec>,
    /// Comfort noise may be used (rule R62).
    pub comfort_noise: bool,
    /// DTLS-SRTP, if it may be used.
    pub dtls: Option<LocalDtls>,
    /// `rtp` is a port that many legs share: there is media only by ICE.
    pub ice: Option<IceSeed>,
    /// Protection of the media.
    pub terms: Terms,
}

/// What a call's media has to be protected with (rule R72).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether it has to be.
    pub policy: Policy,
    /// Nobody on the way reads the signalling, and with it the keys.
    pub signalling_protected: bool,
}

/// Why a description can't be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unacceptable {
    /// It can't be read.
    #[error(transparent)]
    Bad(#[from] BadSdp),
    /// No audio, or audio with port 0.
    #[error("no audio stream")]
    NoAudio,
    /// Audio over something else than RTP, or over SRTP where that isn't wanted.
    #[error("audio over a protocol that is not supported")]
    Protocol,
    /// SRTP without usable keys.
    #[error("SRTP: {0}")]
    Crypto(#[from] BadCrypto),
    /// Plain RTP, or keys that others can read, where protection is required (rule R72).
    #[error("encrypted media is required, with keys that others cannot read")]
    Unprotected,
    /// No codec in common.
    #[error("no codec in common")]
    NoCodec,
    /// IPv6 against IPv4.
    #[error("another address family")]
    Family,
    /// A multicast address.
    #[error("multicast is not supported")]
    Multicast,
    /// An answer that doesn't fit our offer.
    #[error("the answer does not fit the offer")]
    Mismatch,
}

impl Unacceptable {
    /// The response to an offer that can't be met (rule R40).
    pub fn status(self) -> u16 {
        match self {
            Self::Bad(_) => 400,
            Self::NoAudio
            | Self::Protocol
            | Self::Crypto(_)
            | Self::Unprotected
            | Self::NoCodec
            | Self::Family
            | Self::Multicast
            | Self::Mismatch => 488,
        }
    }

    /// The value of the `Warning` header that says why (RFC 3261 section 20.43); `agent` is our host name.
    pub fn warning(self, agent: &str) -> String {
        let code = match self {
            Self::Family => 301,
            Self::Protocol => 302,
            Self::NoAudio => 304,
            Self::NoCodec => 305,
            Self::Multicast => 330,
            Self::Bad(_) | Self::Crypto(_) | Self::Unprotected | Self::Mismatch => 399,
        };
        format!("{code} {agent} \"{self}\"")
    }
}

/// Offers and answers of one call.
#[derive(Debug, Clone)]
pub struct Negotiation {
    local: LocalMedia,
    /// What we sent last; `o=` counts from here (rule R43).
    said: Option<Sdp>,
    /// Our audio line's place.
    audio: usize,
    numbers: Numbers,
    agreed: Option<Agreed>,
    keys: KeyRing,
    /// How often ICE has restarted.
    restarts: u32,
}

#[derive(Debug, Clone)]
struct Agreed {
    codec: Codec,
    /// The peer has once been willing to hear us and be heard: from then on sendonly means hold (rule R44).
    two_way: bool,
    /// With DTLS.
    carriage: Option<Carriage>,
    /// Ours in the DTLS association, once there was to be one.
    role: Option<DtlsRole>,
}

/// What limits the choice of their audio line.
#[derive(Debug, Clone, Copy)]
struct Limits<'a> {
    codecs: &'a [Codec],
    /// An address of the family that we have.
    family: IpAddr,
    /// Where the signalling came from.
    from: IpAddr,
    terms: Terms,
    dtls: bool,
    /// Nothing but ICE.
    ice: bool,
}

/// What a peer's audio line says, checked.
struct Theirs<'a> {
    index: usize,
    line: &'a MediaLine,
    formats: Vec<(u8, Format)>,
    /// `None`: a name, or nothing usable to send to.
    ip: IpAddr,
    direction: Direction,
    /// Keys, if the media is SRTP.
    crypto: Option<Crypto>,
    /// With DTLS.
    carriage: Option<Carriage>,
}

impl Theirs<'_> {
    fn ice(&self) -> Option<&IceCredentials> {
        self.carriage.as_ref().and_then(Carriage::ice)
    }
}

/// Whether an offer could be met, before anything is opened for it, and on which kind of port. `dtls`: DTLS-SRTP may be used.
pub fn check(offer: &[u8], codecs: &[Codec], family: IpAddr, terms: Terms, dtls: bool) -> Result<PortKind, Unacceptable> {
    let offer = Sdp::parse(offer)?;
    let limits = Limits {
        codecs,
        family,
        from: family,
        terms,
        dtls,
        ice: false,
    };
    let theirs = pick(&offer, limits)?;
    choose(&theirs, codecs, None)?;
    Ok(if theirs.ice().is_some() { PortKind::Shared } else { PortKind::Own })
}

impl Negotiation {
    /// Nothing was said yet. Keys come from `rng`, whose seed nobody may guess.
    pub fn new(local: LocalMedia, rng: StdRng) -> Self {
        Self {
            keys: KeyRing::new(local.terms, rng),
            local,
            said: None,
            audio: 0,
            numbers: Numbers::default(),
            agreed: None,
            restarts: 0,
        }
    }

    /// The call goes on over signalling that others can read: what keys it has brings, others have too, for good (rule R72).
    pub fn expose(&mut self) {
        self.keys.expose();
    }

    fn limits(&self, from: IpAddr) -> Limits<'_> {
        Limits {
            codecs: &self.local.codecs,
            family: self.local.rtp.ip(),
            from,
            terms: self.keys.terms(),
            dtls: self.local.dtls.is_some(),
            ice: self.local.ice.is_some(),
        }
    }

    /// Answers an offer. `from` is where the signalling came from. An offer that can't be met changes nothing (rule R43).
    pub fn answer(&mut self, offer: &[u8], from: IpAddr) -> Result<(String, LegMedia), Unacceptable> {
        let offer = Sdp::parse(offer)?;
        let theirs = pick(&offer, self.limits(from))?;
        let sticky = self.agreed.as_ref().map(|a| a.codec);
        let (number, codec) = choose(&theirs, &self.local.codecs, sticky)?;
        let keys = keys_for(&theirs.formats, codec);
        let noise = self.local.comfort_noise && has_noise(codec) && theirs.formats.iter().any(|(_, f)| *f == Format::ComfortNoise);
        let restarts = self.restarts + u32::from(self.restarted_by(&theirs));
        let mut media = self.media(&theirs, codec, number, from, restarts);
        media.payload_type_in = number;
        media.dtmf_in = keys.map(|(n, _)| n);
        media.comfort_noise = noise;

        let mut formats = vec![(number, Format::Voice(codec))];
        formats.extend(theirs.formats.iter().find(|(_, f)| noise && *f == Format::ComfortNoise));
        formats.extend(keys);
        let mut line = self.line(&theirs.line.protocol, &formats, media.direction, media.ptime_ms);
        media.levels = extmap::read(theirs.line, &offer.attributes);
        extmap::write(&mut line, media.levels);
        self.add_rtcp(&mut line, media.rtcp_mux);
        let mut session = Vec::new();
        if let Some(carriage) = &theirs.carriage {
            self.keys.retire();
            media.security = Security::Dtls(carriage.dtls(self.role(carriage)));
            session = self.carry(&mut line, carriage, OurSetup::Answer(self.role(carriage)), restarts);
        } else {
            media.security = self.keys.answer(theirs.crypto, &mut line);
        }
        let mut lines: Vec<MediaLine> = offer.media.iter().map(MediaLine::refused).collect();
        lines[theirs.index] = line;

        self.numbers.learn(&theirs.formats);
        self.audio = theirs.index;
        self.restarts = restarts;
        self.agree(codec, &theirs);
        Ok((self.say(session, lines), media))
    }

    /// Makes the offer of a call of ours: where SRTP is allowed it insists on it (rule R72).
    pub fn dial(&mut self) -> String {
        self.make_offer(true)
    }

    /// Makes the offer of a second try, if the first was refused with this status for its protection; `None`: it was not.
    pub fn fall_back(&mut self, status: u16) -> Option<String> {
        let offered = self.said.as_ref().filter(|_| self.agreed.is_none())?.media.get(self.audio)?;
        self.keys.falls_back(status, offered).then(|| self.make_offer(true))
    }

    /// Makes an offer of all that we have, when the peer asks for one by an INVITE without a body, or for a change.
    pub fn offer(&mut self) -> String {
        self.make_offer(false)
    }

    fn make_offer(&mut self, dials: bool) -> String {
        let codecs = self.local.codecs.clone();
        let mut wanted: Vec<Format> = codecs.iter().map(|c| Format::Voice(*c)).collect();
        if self.local.comfort_noise && codecs.iter().any(|c| has_noise(*c)) {
            wanted.push(Format::ComfortNoise);
        }
        // Key presses have the clock of the codec in use, whichever that will be (rule R70).
        for rate in [8000, 48_000] {
            if codecs.iter().any(|c| c.clock_hz() == rate) {
                wanted.push(Format::Keys(rate));
            }
        }
        let formats: Vec<(u8, Format)> = wanted.into_iter().filter_map(|f| self.numbers.of(f).map(|n| (n, f))).collect();
        let before = self.said.as_ref().filter(|_| self.agreed.is_some());
        let before = before.and_then(|said| said.media.get(self.audio));
        let protocol = match &self.agreed {
            None if self.offers_dtls() => DTLS_PROTOCOL.to_owned(),
            _ => self.keys.protocol(before.map(|line| line.protocol.as_str()), dials),
        };
        let mut line = self.line(&protocol, &formats, Direction::SendRecv, PTIME_MS);
        extmap::offer(&mut line);
        line.attributes.push(Attribute::flag("rtcp-mux"));
        line.attributes.push(Attribute::new("rtcp", self.local.rtcp.port()));
        let mut session = Vec::new();
        if transport::is_dtls(&protocol) {
            let before = self.agreed.as_ref().and_then(|a| a.carriage.clone());
            session = self.carry(&mut line, &before.unwrap_or_else(Carriage::first), OurSetup::Offer, self.restarts);
        } else {
            self.keys.offer(&mut line);
        }
        // Lines never vanish (rule R43): those beside the audio stay refused.
        let mut lines: Vec<MediaLine> = self.said.iter().flat_map(|s| s.media.iter()).map(MediaLine::refused).collect();
        match lines.get_mut(self.audio) {
            Some(place) => *place = line,
            None => lines.push(line),
        }
        self.say(session, lines)
    }

    /// Whether our first offer is for DTLS.
    fn offers_dtls(&self) -> bool {
        self.local.ice.is_some() || self.local.dtls.as_ref().is_some_and(|d| d.offer)
    }

    /// Reads the answer to our last [`offer`](Self::offer).
    pub fn read_answer(&mut self, answer: &[u8], from: IpAddr) -> Result<LegMedia, Unacceptable> {
        let answer = Sdp::parse(answer)?;
        let offered = self.said.as_ref().ok_or(Unacceptable::Mismatch)?;
        let our_line = offered.media.get(self.audio).ok_or(Unacceptable::Mismatch)?;
        if answer.media.len() != offered.media.len() {
            return Err(Unacceptable::Mismatch);
        }
        let ours = known(our_line);
        let theirs = usable(&answer, self.audio, self.limits(from))?;
        if theirs.carriage.is_some() != transport::is_dtls(&our_line.protocol) {
            return Err(Unacceptable::Mismatch);
        }
        let our_number = |format: Format| ours.iter().find(|(_, f)| *f == format).map(|(n, _)| *n);
        // The first codec of the answer is the one that its sender prefers (RFC 3264 section 7). The numbers may differ: each side names
        // those that it wants to receive.
        let voice = |(number, format): &(u8, Format)| match format {
            Format::Voice(codec) => our_number(*format).map(|ours| (*number, ours, *codec)),
            Format::Keys(_) | Format::ComfortNoise => None,
        };
        let (number, our_voice, codec) = theirs.formats.iter().find_map(voice).ok_or(Unacceptable::NoCodec)?;
        let mut media = self.media(&theirs, codec, number, from, self.restarts);
        media.payload_type_in = our_voice;
        media.dtmf_in = keys_for(&theirs.formats, codec).and_then(|(_, format)| our_number(format));
        media.comfort_noise = has_noise(codec)
            && theirs.formats.iter().any(|(_, f)| *f == Format::ComfortNoise)
            && our_number(Format::ComfortNoise).is_some();
        media.security = match &theirs.carriage {
            Some(carriage) => Security::Dtls(carriage.dtls(self.role(carriage))),
            None => self.keys.read_answer(our_line, theirs.line, theirs.crypto)?,
        };
        media.levels = extmap::agreed(extmap::read(theirs.line, &answer.attributes));
        self.agree(codec, &theirs);
        Ok(media)
    }

    /// What follows from the peer's description, whichever role it has.
    fn media(&self, theirs: &Theirs<'_>, codec: Codec, number: u8, from: IpAddr, restarts: u32) -> LegMedia {
        let rtp = SocketAddr::new(theirs.ip, theirs.line.port);
        let rtcp_mux = match &theirs.carriage {
            Some(carriage) => carriage.mux,
            None => theirs.line.attribute("rtcp-mux").is_some(),
        };
        let local_ice = self.local.ice.as_ref().map(|seed| seed.credentials(restarts));
        let apart = || theirs.line.attribute("rtcp").and_then(|value| rtcp_attribute(value, theirs.ip));
        let rtcp = if rtcp_mux {
            rtp
        } else {
            apart().unwrap_or_else(|| SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)))
        };
        // Nothing can be sent to the unspecified address: the hold of RFC 2543 (rule R44).
        let nowhere = theirs.ip.is_unspecified();
        let direction = match theirs.direction {
            Direction::SendRecv if nowhere => Direction::RecvOnly,
            Direction::RecvOnly if nowhere => Direction::Inactive,
            Direction::SendRecv => Direction::SendRecv,
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            Direction::Inactive => Direction::Inactive,
        };
        let two_way = self.agreed.as_ref().is_some_and(|a| a.two_way);
        let on_hold = match theirs.direction {
            Direction::Inactive => true,
            Direction::SendOnly => two_way || nowhere,
            Direction::SendRecv | Direction::RecvOnly => nowhere,
        };
        let wishes = (codec == Codec::Opus).then(|| OpusWishes::read(theirs.line, number));
        LegMedia {
            codec,
            payload_type_out: number,
            payload_type_in: number,
            ptime_ms: ptime(theirs.line, codec),
            dtmf_in: None,
            comfort_noise: false,
            dtx: wishes.is_some_and(|w| w.dtx),
            fec: wishes.is_some_and(|w| w.fec),
            opus: wishes.map_or(OpusClass::Full, OpusWishes::class),
            levels: Levels::default(),
            rtp,
            rtcp,
            rtcp_mux,
            security: Security::Plain,
            signalled_from: from,
            direction,
            on_hold,
            ice: theirs.carriage.as_ref().and_then(|c| c.ice_media(local_ice)),
        }
    }

    /// Our role in the association that a peer's description asks for.
    fn role(&self, carriage: &Carriage) -> Option<DtlsRole> {
        carriage.role(self.agreed.as_ref().and_then(|a| a.role))
    }

    /// Whether an offer restarts ICE: by other credentials than before (RFC 8839 section 4.4.3.1.1).
    fn restarted_by(&self, theirs: &Theirs<'_>) -> bool {
        let before = self.agreed.as_ref().and_then(|a| a.carriage.as_ref()?.ice());
        before.is_some() && before != theirs.ice()
    }

    /// Writes into our line how it is carried; gives what is to be said for the session.
    fn carry(&self, line: &mut MediaLine, like: &Carriage, setup: OurSetup, restarts: u32) -> Vec<Attribute> {
        let Some(dtls) = &self.local.dtls else { return Vec::new() };
        let ours = transport::Ours {
            fingerprint: &dtls.fingerprint,
            setup,
            ice: self.local.ice.as_ref().map(|seed| (seed.credentials(restarts), self.local.rtp)),
            mid: like.mid(),
            bundled: like.bundled(),
        };
        ours.write(line);
        ours.session()
    }

    fn agree(&mut self, codec: Codec, theirs: &Theirs<'_>) {
        let now = theirs.direction == Direction::SendRecv && !theirs.ip.is_unspecified();
        let two_way = now || self.agreed.as_ref().is_some_and(|a| a.two_way);
        let before = self.agreed.as_ref().and_then(|a| a.role);
        self.agreed = Some(Agreed {
            codec,
            two_way,
            carriage: theirs.carriage.clone(),
            role: theirs.carriage.as_ref().and_then(|c| self.role(c)).or(before),
        });
    }

    fn line(&self, protocol: &str, formats: &[(u8, Format)], direction: Direction, ptime_ms: u8) -> MediaLine {
        let mut line = MediaLine {
            kind: "audio".to_owned(),
            port: self.local.rtp.port(),
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            connection: None,
            attributes: Vec::new(),
        };
        write(&mut line, formats);
        line.attributes.push(Attribute::new("ptime", ptime_ms));
        line.attributes.push(Attribute::new("maxptime", MAX_PTIME_MS));
        line.attributes.push(Attribute::flag(direction_name(direction)));
        line
    }

    fn add_rtcp(&self, line: &mut MediaLine, mux: bool) {
        if mux {
            line.attributes.push(Attribute::flag("rtcp-mux"));
        } else if Some(self.local.rtcp.port()) != self.local.rtp.port().checked_add(1) {
            line.attributes.push(Attribute::new("rtcp", self.local.rtcp.port()));
        }
    }

    /// Writes a description: the version goes up by one if anything else changed (rule R43).
    fn say(&mut self, attributes: Vec<Attribute>, media: Vec<MediaLine>) -> String {
        let address = Connection::Ip(self.local.rtp.ip());
        let version = self.said.as_ref().map_or(FIRST_VERSION, |s| s.origin.version);
        let origin = Origin {
            user: "-".to_owned(),
            session: self.local.session,
            version,
            address: address.clone(),
        };
        let mut sdp = Sdp {
            origin,
            connection: Some(address),
            attributes,
            media,
        };
        if self.said.as_ref().is_some_and(|said| *said != sdp) {
            sdp.origin.version += 1;
        }
        let text = sdp.to_string();
        self.said = Some(sdp);
        text
    }
}

const FIRST_VERSION: u64 = 1;

/// What we send unless the peer asks for another (RFC 3551 section 4.2).
const PTIME_MS: u8 = 20;
/// The longest packets that we make.
const MAX_PTIME_MS: u8 = 60;

/// The packet length that the peer wants, no longer than it allows, as far as we have it: any multiple of 10 ms, with Opus of 20 ms (rule
/// R70).
fn ptime(line: &MediaLine, codec: Codec) -> u8 {
    let number = |name| line.attribute(name).and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    let wanted = number("ptime")
        .unwrap_or_else(|| PTIME_MS.into())
        .min(number("maxptime").unwrap_or(u32::MAX));
    let lengths: &[u8] = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => &[60, 50, 40, 30, 20, 10],
        Codec::Opus => &[60, 40, 20],
    };
    let fitting = lengths.iter().find(|ms| u32::from(**ms) <= wanted);
    fitting.or_else(|| lengths.last()).copied().unwrap_or(PTIME_MS)
}

/// Comfort noise has 8000 Hz (RFC 3389 section 4), and Opus its own.
fn has_noise(codec: Codec) -> bool {
    match codec {
        Codec::Pcmu | Codec::Pcma => true,
        Codec::G722 | Codec::Opus => false,
    }
}

/// The first audio line that we can use. The error is that of the line that came nearest.
fn pick<'a>(offer: &'a Sdp, limits: Limits<'_>) -> Result<Theirs<'a>, Unacceptable> {
    let audio = offer.media.iter().enumerate().filter(|(_, line)| is_audio(line));
    let mut why = Unacceptable::NoAudio;
    for (index, _) in audio {
        match usable(offer, index, limits) {
            Ok(theirs) => return Ok(theirs),
            Err(flaw) => why = flaw,
        }
    }
    Err(why)
}

fn usable<'a>(sdp: &'a Sdp, index: usize, limits: Limits<'_>) -> Result<Theirs<'a>, Unacceptable> {
    let Limits {
        codecs,
        family,
        from,
        terms,
        ..
    } = limits;
    let line = sdp.media.get(index).filter(|line| is_audio(line)).ok_or(Unacceptable::NoAudio)?;
    let carriage = transport::is_dtls(&line.protocol).then(|| Carriage::read(sdp, line));
    let by_ice = carriage.as_ref().is_some_and(|c| c.ice().is_some());
    let crypto = match &carriage {
        Some(carriage) if limits.dtls && terms.policy != Policy::Never && carriage.has_fingerprint() => None,
        Some(_) => return Err(Unacceptable::Protocol),
        None => sdes::read(line, terms)?,
    };
    if limits.ice && !by_ice {
        return Err(Unacceptable::Protocol);
    }
    let formats = known(line);
    if !formats.iter().any(|(_, f)| codecs.iter().any(|c| *f == Format::Voice(*c))) {
        return Err(Unacceptable::NoCodec);
    }
    let ip = match line.connection.as_ref().or(sdp.connection.as_ref()) {
        Some(Connection::Ip(ip)) => *ip,
        // Nobody here looks names up: the signalling's source is the best guess, and latching corrects it (rule R61).
        Some(Connection::Name(_)) => from,
        None => return Err(BadSdp("no c= line").into()),
    };
    // With ICE the address is one of several, or none yet: who sends valid checks is the peer.
    let ip = if by_ice { from } else { ip };
    if ip.is_multicast() {
        return Err(Unacceptable::Multicast);
    }
    if ip.is_ipv4() != family.is_ipv4() {
        return Err(Unacceptable::Family);
    }
    let direction = direction(&line.attributes)
        .or_else(|| direction(&sdp.attributes))
        .unwrap_or(Direction::SendRecv);
    Ok(Theirs {
        index,
        line,
        formats,
        ip,
        direction,
        crypto,
        carriage,
    })
}

/// An audio line that is in use: on a port of its own, or on that of another line (RFC 9143 section 6).
fn is_audio(line: &MediaLine) -> bool {
    line.kind == "audio" && (line.port != 0 || line.attribute("bundle-only").is_some())
}

/// Number and codec: what is in use already, if it is still offered, else the best of ours.
fn choose(theirs: &Theirs<'_>, codecs: &[Codec], sticky: Option<Codec>) -> Result<(u8, Codec), Unacceptable> {
    let offered = |codec: &Codec| {
        theirs
            .formats
            .iter()
            .find(|(_, f)| *f == Format::Voice(*codec))
            .map(|(n, _)| (*n, *codec))
    };
    sticky.iter().chain(codecs).find_map(offered).ok_or(Unacceptable::NoCodec)
}

/// Key presses at the codec's clock (rule R70), else at any: many phones offer Opus with `telephone-event/8000` alone.
fn keys_for(formats: &[(u8, Format)], codec: Codec) -> Option<(u8, Format)> {
    let fitting = formats.iter().find(|(_, f)| *f == Format::Keys(codec.clock_hz()));
    fitting
        .or_else(|| formats.iter().find(|(_, f)| matches!(f, Format::Keys(_))))
        .copied()
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    DIRECTIONS.into_iter().find(|d| find(attributes, direction_name(*d)).is_some())
}

const DIRECTIONS: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}
