//! One leg on its media thread: two sockets and the RTP core between them and the mixer.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use mixer::{Codec, JitterStats, Keys, LegAudio, Output, OutputKind, Player};

use super::{
    batch::Outbox,
    guard::Guard,
    order::{News, Spot},
    pending::Pending,
    ports::Slot,
    whereabouts::Whereabouts,
};
use crate::{
    model::{Direction, LegId, LegMedia, LegStats, Volume, media::MediaFailure, srtp::Security},
    rtp::{
        Candidates, Header, Heard, Keypad, Outgoing, Packet, Path, Receiver, Sender, Verdict, Watch,
        dtls::End,
        extension::{MAX_HEADER, write_header},
        packet::is_rtcp,
        quality::{Impairments, Robustness, mos},
        rtcp::{MAX_BUILT, NtpClock, Report, Reports},
        srtp::Refused,
    },
};

/// Static payload type of comfort noise (RFC 3551 table 4).
const COMFORT_NOISE: u8 = 13;

/// What a leg sends from, and perhaps is read at.
#[derive(Debug)]
pub(super) enum Sockets {
    /// Two of its own.
    Own { rtp: Arc<UdpSocket>, rtcp: UdpSocket, slot: Slot },
    /// One of many legs, which its thread reads for them.
    Shared(Arc<UdpSocket>),
}

impl Sockets {
    /// For RTP, and RTCP on the same port.
    pub(super) fn rtp(&self) -> &Arc<UdpSocket> {
        match self {
            Self::Own { rtp, .. } | Self::Shared(rtp) => rtp,
        }
    }

    /// For RTCP on its own port.
    pub(super) fn rtcp(&self) -> &UdpSocket {
        match self {
            Self::Own { rtcp, .. } => rtcp,
            Self::Shared(rtp) => rtp,
        }
    }

    /// What is free again when it closes.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Own { slot, .. } => Some(*slot),
            Self::Shared(_) => None,
        }
    }
}

/// One leg. Boxed, since it moves between threads.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) sockets: Sockets,
    pub(super) whereabouts: Arc<Whereabouts>,
    /// Where it is to sit.
    pub(super) spot: Spot,
    /// Which of its thread's rooms it sits in.
    pub(super) room: Option<usize>,
    /// Its audio while it sits nowhere.
    pub(super) audio: Option<Box<LegAudio>>,
    pub(super) pending: Pending,
    pub(super) muted: bool,
    /// A mute was ordered of which no tick has told yet.
    pub(super) awaits_tick: bool,
    /// Closed; stays until its room's next tick.
    pub(super) closing: bool,
    /// What is said once the first packet can be sent.
    pub(super) speech: Option<Box<Player>>,
    /// Hears music while it is in the vestibule.
    pub(super) waits: bool,
    pub(super) volume: Volume,
    /// Keys are to be found in its sound, unless they come as events.
    pub(super) wants_keys: bool,
    /// What finds them, while no mixer uses it.
    pub(super) keys: Option<Box<Keys>>,
    cname: String,
    terms: Option<Terms>,
    sender: Sender,
    receiver: Receiver,
    reports: Reports,
    watch: Watch,
    keypad: Keypad,
    refused: RefusedCounts,
    /// How many of them the plane's counters have.
    refused_told: RefusedCounts,
    lost_digits: u64,
}

/// What was negotiated, and what became of it.
#[derive(Debug)]
struct Terms {
    media: LegMedia,
    path: Path,
    /// Where RTCP came from, which is where it goes.
    rtcp_source: Option<SocketAddr>,
    guard: Guard,
}

/// Datagrams that weren't believed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RefusedCounts {
    /// No packets of this call.
    pub(super) rejected: u64,
    /// Without a valid tag.
    pub(super) forged: u64,
    /// Under a valid tag, but again.
    pub(super) replayed: u64,
    /// Under a valid tag, from one source too many.
    pub(super) crowded: u64,
}

impl RefusedCounts {
    fn count(&mut self, why: Refused) {
        match why {
            Refused::Forged => self.forged += 1,
            Refused::Replayed => self.replayed += 1,
            Refused::Crowded => self.crowded += 1,
            Refused::Malformed | Refused::Reused | Refused::Exhausted => self.rejected += 1,
        }
    }
}

/// What a new leg is made of.
#[derive(Debug)]
pub(super) struct NewLeg {
    pub(super) id: LegId,
    pub(super) sockets: Sockets,
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) spot: Spot,
    pub(super) sender: Sender,
    pub(super) cname: String,
    pub(super) dice: u16,
    /// Rule R45.
    pub(super) silence_limit: Duration,
}

impl Leg {
    pub(super) fn new(now: Instant, new: NewLeg) -> Self {
        Self {
            id: new.id,
            whereabouts: new.whereabouts,
            sockets: new.sockets,
            spot: new.spot,
            room: None,
            audio: None,
            pending: Pending::default(),
            muted: false,
            awaits_tick: false,
            closing: false,
            speech: None,
            waits: false,
            volume: Volume::default(),
            wants_keys: false,
            keys: None,
            cname: new.cname,
            terms: None,
            sender: new.sender,
            receiver: Receiver::default(),
            reports: Reports::new(now, new.dice),
            watch: Watch::new(now, new.silence_limit),
            keypad: Keypad::default(),
            refused: RefusedCounts::default(),
            refused_told: RefusedCounts::default(),
            lost_digits: 0,
        }
    }

    /// Takes the result of an offer and answer.
    pub(super) fn configure(&mut self, now: Instant, media: LegMedia) {
        let candidates = Candidates {
            sdp: media.rtp,
            signalled_from: media.signalled_from,
        };
        if let Some(terms) = &mut self.terms {
            terms.path.renew(candidates);
            if media.rtcp != terms.media.rtcp {
                terms.rtcp_source = None;
            }
            // A handshake that still fits isn't done again, and its keys are still good.
            if media.security != terms.media.security {
                terms.guard.agree(&media.security);
            }
            terms.media = media;
        } else {
            let mut guard = Guard::default();
            guard.agree(&media.security);
            let path = if media.ice.is_some() {
                Path::Ice(None)
            } else {
                Path::latched(candidates)
            };
            self.terms = Some(Terms {
                media,
                path,
                rtcp_source: None,
                guard,
            });
        }
        self.watch.excuse(now);
    }

    /// Per cent of our packets that got lost on the way before the peer's last report (RFC 3550 section 6.4.1); the least loss is one.
    pub(super) fn loss_there(&self) -> u8 {
        let fraction = self.reports.peer().map_or(0, |peer| u32::from(peer.fraction_lost));
        (fraction * 100).div_ceil(256) as u8
    }

    /// Whether their voice may enter a mix (rule R44).
    pub(super) fn hears(&self) -> bool {
        self.terms.as_ref().is_some_and(|t| {
            let receives = match t.media.direction {
                Direction::SendRecv | Direction::RecvOnly => true,
                Direction::SendOnly | Direction::Inactive => false,
            };
            receives && !t.media.on_hold
        })
    }

    /// Whether anything is sent to them.
    pub(super) fn sends(&self) -> bool {
        self.terms.as_ref().is_some_and(|t| match t.media.direction {
            Direction::SendRecv | Direction::SendOnly => true,
            Direction::RecvOnly | Direction::Inactive => false,
        })
    }

    /// Whether a datagram that claims to be DTLS is for its handshake: from whom its packets may come.
    pub(super) fn admits_dtls(&self, source: SocketAddr) -> bool {
        let Some(terms) = &self.terms else { return false };
        matches!(terms.media.security, Security::Dtls(_)) && terms.path.admits(source)
    }

    /// Takes what its port or its handshake has found out.
    pub(super) fn handle_news(&mut self, news: News) {
        let Some(terms) = &mut self.terms else { return };
        match news {
            News::Path(to) => terms.path = Path::Ice(to),
            // Something else may have been agreed on meanwhile.
            News::Keys(ref media, _) | News::Ended(ref media, _) if !terms.media.security.is_dtls(media) => {}
            News::Keys(_, session) => terms.guard.enter(session),
            News::Ended(_, end) => {
                terms.guard.shut();
                self.pending.failed(match end {
                    End::Fingerprint => MediaFailure::Fingerprint,
                    End::Failed => MediaFailure::Handshake,
                    End::Closed => MediaFailure::Closed,
                });
            }
        }
    }

    /// Whether a packet could be sent to it now.
    pub(super) fn is_ready(&self) -> bool {
        let terms = self.terms.as_ref();
        terms.is_some_and(|terms| !terms.guard.is_shut() && terms.path.target().is_some())
    }

    /// Whether keys are to be found in its sound now (rule R70).
    pub(super) fn finds_keys(&self) -> bool {
        let by_events = self.terms.as_ref().is_some_and(|terms| terms.media.dtmf_in.is_some());
        self.wants_keys && !by_events
    }

    /// Takes a key press.
    pub(super) fn press(&mut self, key: char) {
        self.lost_digits += u64::from(!self.pending.digit(key));
    }

    /// Notes that another mixer sends from now on.
    pub(super) fn handle_move(&mut self) {
        self.sender.handle_move();
    }

    /// Takes a datagram from the RTP socket; gives what is for the mixer.
    pub(super) fn handle_rtp<'a>(
        &mut self,
        now: Instant,
        clock: &NtpClock,
        source: SocketAddr,
        bytes: &'a mut [u8],
    ) -> Option<mixer::Packet<'a>> {
        if is_rtcp(bytes) && self.terms.as_ref().is_some_and(|t| t.media.rtcp_mux) {
            self.handle_rtcp(now, clock, source, bytes);
            return None;
        }
        let packet = match self.judge(now, source, bytes) {
            Ok(packet) => packet,
            Err(why) => {
                self.refused.count(why);
                return None;
            }
        };
        let (header, terms) = (packet.header, self.terms.as_ref()?);
        if self.watch.handle_packet(now) {
            self.pending.resumed();
        }
        match self.receiver.handle(&header) {
            Heard::Next | Heard::Late | Heard::Start => {}
            Heard::Copy | Heard::Doubtful => return None,
        }
        if terms.media.dtmf_in == Some(header.payload_type) {
            if let Some(key) = self.keypad.handle(now, header.timestamp, packet.payload) {
                self.press(key);
            }
            return None;
        }
        if header.payload_type != terms.media.payload_type_in {
            return None;
        }
        self.receiver.handle_arrival(now, header.timestamp, terms.media.codec.clock_hz());
        Some(mixer::Packet {
            ssrc: header.ssrc,
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            level: terms.media.levels.own.and_then(|id| packet.extension.level(id)),
            // The room knows when its tick was.
            since_tick_us: 0,
            payload: packet.payload,
        })
    }

    /// Whether a datagram is a packet of this leg: form, negotiated payload type, source, and with SRTP its tag.
    fn judge<'a>(&mut self, now: Instant, source: SocketAddr, bytes: &'a mut [u8]) -> Result<Packet<'a>, Refused> {
        let terms = self.terms.as_mut().ok_or(Refused::Malformed)?;
        let header = Header::parse(bytes).ok_or(Refused::Malformed)?;
        let kind = header.payload_type;
        let noise = terms.media.comfort_noise && kind == COMFORT_NOISE;
        if kind != terms.media.payload_type_in && terms.media.dtmf_in != Some(kind) && !noise {
            return Err(Refused::Malformed);
        }
        if !terms.path.might_be(now, source, &header) {
            return Err(Refused::Malformed);
        }
        let len = terms.guard.open(now, bytes)?;
        let packet = Packet::parse(&bytes[..len]).map_err(|_| Refused::Malformed)?;
        match terms.path.handle(now, source, &packet.header) {
            Verdict::Accept => Ok(packet),
            Verdict::Hold | Verdict::Refuse => Err(Refused::Malformed),
        }
    }

    /// Takes a datagram from the RTCP socket, or RTCP from the RTP socket.
    pub(super) fn handle_rtcp(&mut self, now: Instant, clock: &NtpClock, source: SocketAddr, bytes: &mut [u8]) {
        let Some(terms) = self.terms.as_mut().filter(|t| t.path.admits(source)) else {
            self.refused.rejected += 1;
            return;
        };
        let len = match terms.guard.open_rtcp(now, bytes) {
            Ok(len) => len,
            Err(why) => return self.refused.count(why),
        };
        if !self.reports.handle(now, clock.at(now), self.sender.ssrc(), &bytes[..len]) {
            self.refused.rejected += 1;
            return;
        }
        terms.rtcp_source = Some(source);
        if self.watch.handle_packet(now) {
            self.pending.resumed();
        }
    }

    /// What stands for the leg as a source in what others are sent: unique in the server, and its `src-id` in conference-info (rule R69).
    pub(super) fn source(&self) -> u32 {
        self.sender.ssrc()
    }

    /// Sends what the mixer made for this leg; `talkers` are the sources in it, with their levels in -dBov.
    pub(super) fn send(&mut self, now: Instant, output: Output<'_>, talkers: &[(u32, u8)], outbox: &mut Outbox) {
        let Some(terms) = self.terms.as_mut().filter(|t| !t.guard.is_shut()) else {
            return;
        };
        let Some(to) = terms.path.target() else { return };
        let octets = output.payload.len();
        let payload_type = match output.kind {
            OutputKind::Audio => terms.media.payload_type_out,
            OutputKind::ComfortNoise => COMFORT_NOISE,
        };
        let clock = terms.media.codec.clock_hz();
        let header = self.sender.next(
            now,
            Outgoing {
                payload_type,
                timestamp: output.timestamp,
                marker: output.marker,
                clock,
                octets,
            },
        );
        outbox.push(self.sockets.rtp(), to, |slot| {
            // Payloads are at most 1275 octets (RFC 6716 section 3.4), so both fit; a longer one would be cut to nothing.
            let Some(head) = slot.first_chunk_mut::<MAX_HEADER>() else {
                return 0;
            };
            let start = write_header(&header, talkers.iter().copied(), terms.media.levels.mixed, head);
            let Some(body) = slot.get_mut(start..start + octets) else {
                return 0;
            };
            body.copy_from_slice(output.payload);
            terms.guard.seal(slot, start + octets)
        });
    }

    /// What comes round about once a second: reports that are due, and whether the peer is quiet.
    pub(super) fn handle_timeout(&mut self, now: Instant, clock: &NtpClock, dice: u16, outbox: &mut Outbox) {
        let Some(terms) = &self.terms else {
            // Nothing is expected before the call is answered.
            self.watch.excuse(now);
            return;
        };
        if terms.media.on_hold {
            self.watch.excuse(now);
        } else if let Some(seconds) = self.watch.handle_timeout(now) {
            self.pending.quiet(seconds);
        }
        if now >= self.reports.due() {
            self.report(now, clock, dice, false, outbox);
        }
    }

    /// Sends a report, with BYE at the end (RFC 3550 section 6.6).
    pub(super) fn report(&mut self, now: Instant, clock: &NtpClock, dice: u16, bye: bool, outbox: &mut Outbox) {
        let Some(terms) = &mut self.terms else { return };
        let (socket, to): (&UdpSocket, _) = if terms.media.rtcp_mux {
            (self.sockets.rtp(), terms.path.target())
        } else if let Security::Dtls(_) = terms.media.security {
            // On a port of its own it would need an association of its own.
            return;
        } else {
            let to = terms.rtcp_source.unwrap_or(terms.media.rtcp);
            (self.sockets.rtcp(), (!to.ip().is_unspecified() && to.port() != 0).then_some(to))
        };
        let Some(to) = to else { return };
        let (sender, cname, reception) = (&self.sender, self.cname.as_str(), self.receiver.report());
        let report = Report {
            now,
            ntp: clock.at(now),
            sender,
            reception,
            cname,
            bye,
        };
        outbox.push(socket, to, |slot| {
            let Some(into) = slot.first_chunk_mut::<MAX_BUILT>() else {
                return 0;
            };
            let len = self.reports.write(report, dice, into);
            terms.guard.seal_rtcp(slot, len)
        });
    }

    /// Key presses since the last call that found no room.
    pub(super) fn take_lost_digits(&mut self) -> u64 {
        std::mem::take(&mut self.lost_digits) + self.keypad.take_refused()
    }

    /// Datagrams since the last call that weren't believed.
    pub(super) fn take_refused(&mut self) -> RefusedCounts {
        let told = std::mem::replace(&mut self.refused_told, self.refused);
        RefusedCounts {
            rejected: self.refused.rejected - told.rejected,
            forged: self.refused.forged - told.forged,
            replayed: self.refused.replayed - told.replayed,
            crowded: self.refused.crowded - told.crowded,
        }
    }

    /// Its numbers so far; `seated` are those of its jitter buffer while a mixer has it.
    pub(super) fn stats(&self, seated: Option<JitterStats>) -> LegStats {
        let jitter = seated
            .or_else(|| self.audio.as_ref().map(|audio| audio.jitter()))
            .unwrap_or_default();
        let mut stats = LegStats {
            received: self.receiver.received(),
            lost: self.receiver.lost(),
            late: jitter.late,
            rejected: self.refused.rejected + self.refused.crowded,
            forged: self.refused.forged,
            replayed: self.refused.replayed,
            sent: self.sender.packets(),
            protection: self.terms.as_ref().map(|t| t.media.security.protection()).unwrap_or_default(),
            jitter_ms: self.receiver.jitter_ms(),
            round_trip_ms: self.reports.round_trip().map(|d| d.as_secs_f32() * 1000.0),
            ..LegStats::default()
        };
        if let Some(terms) = &self.terms {
            let buffered = Duration::from_micros(jitter.delay_us.into());
            self.judge_quality(&terms.media, buffered, &mut stats);
        }
        stats
    }

    /// How both sides hear each other (ITU-T G.107), by what is lost and how long it takes.
    fn judge_quality(&self, media: &LegMedia, buffered: Duration, stats: &mut LegStats) {
        let codec = match media.codec {
            Codec::Pcmu | Codec::Pcma => Robustness::G711,
            Codec::G722 => Robustness::G722,
            Codec::Opus => Robustness::OPUS,
        };
        let packet = Duration::from_millis(media.ptime_ms.into());
        let delay = self.reports.round_trip().unwrap_or_default() / 2 + packet;
        let expected = stats.received + stats.lost;
        stats.mos = (expected > 0).then(|| {
            let missing = stats.lost + stats.late;
            let impairments = Impairments {
                loss: missing as f32 / expected as f32,
                run: self.receiver.loss_run(),
                delay: delay + buffered,
            };
            mos(codec, impairments)
        });
        if let Some(peer) = self.reports.peer() {
            let lost = peer.lost.max(0).unsigned_abs();
            stats.peer_lost = Some(lost);
            stats.peer_jitter_ms = Some(peer.jitter as f32 * 1000.0 / media.codec.clock_hz() as f32);
            stats.peer_mos = Some(mos(
                codec,
                Impairments {
                    loss: lost as f32 / stats.sent.max(1) as f32,
                    run: 1.0,
                    // Its buffer isn't told: that it waits for twice the jitter is the usual guess.
                    delay: delay + Duration::from_secs_f32(peer.jitter as f32 * 2.0 / media.codec.clock_hz() as f32),
                },
            ));
        }
    }
}
