//! What may be done to a talker's voice before it is mixed, where it is asked for: taking noise away, and bringing it to the usual level.

mod agc;
mod denoise;

use crate::{LegSettings, resample::Filters};

use agc::Agc;
use denoise::Denoise;

/// What is done to one leg's voice.
pub(crate) struct Polish {
    denoise: Option<Denoise>,
    agc: Option<Agc>,
}

impl Polish {
    /// Prepares what the settings ask for, if anything.
    pub(crate) fn new(settings: LegSettings) -> Option<Box<Self>> {
        let polish = Self {
            denoise: settings.denoise.then(Denoise::new),
            agc: settings.agc.then(Agc::new),
        };
        (settings.denoise || settings.agc).then(|| Box::new(polish))
    }

    /// Changes a tick of a voice that is heard.
    pub(crate) fn apply(&mut self, filters: &Filters, pcm: &mut [i16]) {
        if let Some(denoise) = &mut self.denoise {
            denoise.apply(filters, pcm);
        }
        if let Some(agc) = &mut self.agc {
            agc.apply(pcm);
        }
    }
}
