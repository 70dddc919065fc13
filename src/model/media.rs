//! What the signalling side orders of the media plane, and what that reports back.

use std::net::{IpAddr, SocketAddr};

pub use mixer::{Codec, OpusClass};
use serde::{Deserialize, Serialize};

use super::{
    Correlation, LegId, Phrase, RoomName,
    ice::IceMedia,
    srtp::{Protection, Security},
};

/// Which way audio flows, from our point of view (RFC 3264).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// We send only.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// Numbers of the header extensions that tell levels, where they were negotiated (RFC 8285): 1 to 14.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels {
    /// In packets that we receive: how loud they are (RFC 6464).
    pub own: Option<u8>,
    /// In packets that we send: how loud each mixed talker is (RFC 6465).
    pub mixed: Option<u8>,
}

/// The result of one offer/answer exchange for one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegMedia {
    /// What is sent and received.
    pub codec: Codec,
    /// Payload type that we put on packets we send: the peer's number.
    pub payload_type_out: u8,
    /// Payload type that we expect: our number (equal unless asymmetric).
    pub payload_type_in: u8,
    /// Packet length that we send, in ms: a multiple of 10, at most 60; with Opus 10, 20, 40 or 60.
    pub ptime_ms: u8,
    /// telephone-event payload type that we expect, if negotiated, at the codec's clock (rule R70).
    pub dtmf_in: Option<u8>,
    /// Whether comfort noise (PT 13) was negotiated.
    pub comfort_noise: bool,
    /// The peer negotiated `usedtx=1` (Opus).
    pub dtx: bool,
    /// The peer negotiated `useinbandfec=1` (Opus).
    pub fec: bool,
    /// The kind of Opus stream that the peer wants; means nothing with other codecs.
    pub opus: OpusClass,
    /// Which packets tell levels, and where.
    pub levels: Levels,
    /// Where the SDP says to send RTP.
    pub rtp: SocketAddr,
    /// Where the SDP says to send RTCP; equal to `rtp` with rtcp-mux.
    pub rtcp: SocketAddr,
    /// rtcp-mux was negotiated (RFC 5761).
    pub rtcp_mux: bool,
    /// How packets are protected, both ways (rule R72).
    pub security: Security,
    /// Where the signalling came from: a candidate for latching (rule R61).
    pub signalled_from: IpAddr,
    /// Which way audio flows, from our point of view.
    pub direction: Direction,
    /// The peer put us on hold (rule R44): it isn't mixed and is exempt from the RTP time-out.
    pub on_hold: bool,
    /// Where media goes is found by ICE; with this, `rtp` and `rtcp` say nothing.
    pub ice: Option<IceMedia>,
}

/// On which kind of port a leg gets its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// A pair of its own, for RTP and RTCP.
    Own,
    /// One that it shares with others, which ICE tells apart.
    Shared,
}

/// A place in a room's mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The room.
    pub room: RoomName,
    /// The room's highest mixing rate in Hz (rule R67); the first leg to enter an empty room decides it until the room is empty again.
    pub rate: u32,
}

/// An order to the media plane. Orders to one leg are carried out in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaOrder {
    /// Sets or changes what was negotiated. The leg starts in the vestibule: it gets silence and isn't heard (rule R60).
    Configure(LegId, Box<LegMedia>),
    /// Moves the leg into a room, or (`None`) back to the vestibule; SSRC, sequence and timestamp go on.
    Place(LegId, Option<Seat>),
    /// Silences the leg in the mix, from the next tick on, or lets it be heard again.
    Mute(LegId, bool),
    /// Sends RTCP BYE, closes the sockets, answers with a last [`MediaReport::Closed`].
    Close(LegId),
    /// Writes the room's mix into a file, until that is taken back or the room's last leg has left it.
    /// Each recording ends with one [`MediaReport::RecordingEnded`], also one that could not begin.
    Record {
        /// The room.
        room: RoomName,
        /// Begin, or end.
        on: bool,
    },
    /// Plays something to everybody in the room.
    Prompt(RoomName, Prompt),
    /// Plays music to the caller who is alone in the room, or stops it.
    Music(RoomName, bool),
    /// Says something to this leg alone, in the vestibule or over what it hears of its room, which is 12 dB lower meanwhile. What was being
    /// said before ends; nothing to say ends it only.
    Say(LegId, Vec<Phrase>),
    /// Plays music to a leg in the vestibule that has to wait, or stops it. It ends by itself when the leg is placed in a room.
    Wait(LegId, bool),
    /// How loud the leg hears, and is heard.
    Volume(LegId, Volume),
    /// Whether keys are to be found in the sound of a leg in the vestibule; without effect while telephone-event is negotiated (rule R70).
    InBandKeys(LegId, bool),
}

/// Volumes that one chooses for oneself, in steps of 3 dB (rule R63).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Of what one hears: -2 to 2.
    pub hear: i8,
    /// Of one's own voice for the others: -2 to 2.
    pub speak: i8,
}

/// What a room is told by sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prompt {
    /// The room is being recorded (rule R82).
    RecordingStarted,
    /// It is no longer.
    RecordingStopped,
    /// Somebody came in.
    Joined,
    /// Somebody left.
    Left,
}

/// A fact from the media plane.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaReport {
    /// The leg began or stopped to speak (level over the floor, with hang-over).
    Speaking(LegId, bool),
    /// A key was pressed, once per press: by telephone-event (RFC 4733), or in-band if [`MediaOrder::InBandKeys`] asked for that.
    Digit(LegId, char),
    /// Neither RTP nor RTCP arrived for this many seconds (rule R45): 30, then 60.
    Quiet(LegId, u32),
    /// The leg's media can't begin or go on; nothing flows.
    Failed(LegId, MediaFailure),
    /// Packets arrive again after [`MediaReport::Quiet`].
    Resumed(LegId),
    /// The first mixed tick with (or without) the leg's voice after a [`MediaOrder::Mute`] or [`MediaOrder::Close`].
    Applied(LegId),
    /// The leg is gone; its numbers.
    Closed(LegId, Box<LegStats>),
    /// The mixer of this room panicked: every leg in it is closed.
    RoomFailed(RoomName),
    /// A file is open and being written to.
    RecordingStarted {
        /// The room.
        room: RoomName,
        /// The file's path.
        file: String,
    },
    /// A recording is over, because that was ordered, or the room ended, or it failed.
    RecordingEnded {
        /// The room.
        room: RoomName,
        /// Sound that is missing in the file, since the disk was too slow, in ms.
        lost_ms: u64,
        /// Why the file could not be opened or written.
        error: Option<String>,
    },
    /// What was to be said by [`MediaOrder::Say`] was said to its end.
    Said(LegId),
}

/// Why a leg's media can't begin or go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaFailure {
    /// The peer's certificate is none that its description names (rule R72).
    Fingerprint,
    /// The DTLS handshake came to nothing.
    Handshake,
    /// The peer has closed the DTLS association.
    Closed,
}

/// What one leg sent, received and lost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LegStats {
    /// Packets accepted.
    pub received: u64,
    /// Packets missing by sequence number.
    pub lost: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that were no RTP of this leg: wrong version, payload type, source.
    pub rejected: u64,
    /// Packets without a valid SRTP tag: forged, damaged, or under another key.
    pub forged: u64,
    /// SRTP packets that came again, or too late to tell.
    pub replayed: u64,
    /// Packets sent.
    pub sent: u64,
    /// How packets are protected, as last agreed on (rule R72).
    pub protection: Protection,
    /// Interarrival jitter (RFC 3550 section 6.4.1), in ms.
    pub jitter_ms: f32,
    /// Round trip by RTCP, in ms, if the peer reports.
    pub round_trip_ms: Option<f32>,
    /// How the room hears the leg: mean opinion score, 1 to 4.5, by the E-model (ITU-T G.107); none before anything was heard.
    pub mos: Option<f32>,
    /// Packets of ours that the peer missed, by its last report.
    pub peer_lost: Option<u32>,
    /// Interarrival jitter of our packets there, in ms, by its last report.
    pub peer_jitter_ms: Option<f32>,
    /// How the peer hears the room, by its last report.
    pub peer_mos: Option<f32>,
}

/// A leg's sockets, just opened, in the vestibule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLeg {
    /// Advertised address for RTP.
    pub rtp: SocketAddr,
    /// Advertised address for RTCP when it isn't multiplexed: the next port.
    pub rtcp: SocketAddr,
    /// The SSRC of what we send on this leg.
    pub ssrc: u32,
}

/// Why no leg can be opened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// No port is free in the configured range, or no file descriptor.
    #[error("no media port is free")]
    NoPorts,
    /// The media threads have no time for another leg.
    #[error("the media threads are busy")]
    Overloaded,
}

/// What a leg is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its number, never used before.
    pub leg: LegId,
    /// Follows the person through all logs.
    pub correlation: Correlation,
    /// Where the peer is, which tells address family and interface.
    pub peer: IpAddr,
    /// The room that it will enter if it is let in, if that is known.
    pub room: Option<RoomName>,
    /// What its offer asks for.
    pub port: PortKind,
}

/// Opens and drives legs. The real one is `media::Plane`; simulations have their own.
pub trait MediaPlane: std::fmt::Debug {
    /// Opens sockets for a leg, or finds it a place at a shared one, at once, without waiting.
    fn open(&mut self, opening: &Opening) -> Result<OpenLeg, Unopened>;
    /// Passes an order on; never waits.
    fn order(&mut self, order: MediaOrder);
}
