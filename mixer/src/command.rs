//! What a mixer is told between ticks.

use std::{error, fmt};

use crate::{Leg, LegAudio, Step};

/// A change to one leg, in force from the next tick on.
#[derive(Debug)]
pub enum Command {
    /// Brings a leg in, with all that it carries (rule R60).
    Add(Leg, Box<LegAudio>),
    /// Changes what was negotiated; mute, hold and RTP time are taken over from the audio that goes.
    Replace(Leg, Box<LegAudio>),
    /// Takes a leg out.
    Remove(Leg),
    /// Silences the leg's voice, or lets it be heard again.
    Mute(Leg, bool),
    /// Whether the leg's voice may enter the mix at all: `false` while the peer holds the call (rule R44).
    Hear(Leg, bool),
    /// Whether anything is sent to the leg.
    Send(Leg, bool),
    /// How many per cent of the packets to the leg are lost on the way: an Opus peer that can make use of in-band FEC is sent as much of it.
    Lose(Leg, u8),
    /// How loud the leg hears the others, and how loud they hear it.
    Volume {
        /// Which leg.
        leg: Leg,
        /// Of what it hears.
        hear: Step,
        /// Of what it says.
        speak: Step,
    },
    /// Whether the leg hears what plays in a mixer in which nobody hears anybody. Ends when the leg comes into another one.
    Wait(Leg, bool),
}

/// Why a command changed nothing. Audio that came with it comes back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refused {
    /// The leg is there already.
    Present(Leg, Box<LegAudio>),
    /// The mixer has as many legs as it was made for.
    Full(Leg, Box<LegAudio>),
    /// No such leg to replace.
    Absent(Leg, Box<LegAudio>),
    /// No such leg.
    Unknown(Leg),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(leg, _) => write!(f, "leg {} is already in this mixer", leg.0),
            Self::Full(leg, _) => write!(f, "no room for leg {}", leg.0),
            Self::Absent(leg, _) | Self::Unknown(leg) => write!(f, "leg {} isn't in this mixer", leg.0),
        }
    }
}

impl error::Error for Refused {}
