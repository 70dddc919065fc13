//! What is sent while nobody speaks.

use std::sync::OnceLock;

use crate::{
    CodecFailed, OpusClass, Rate,
    codec::{
        BYTES_PER_TICK, Law, g722,
        opus::{self, MAX_ENCODED},
    },
    settings::Stream,
};

/// Frames of silence, ready to be sent (rule R62).
pub(crate) struct Silence {
    bytes: [[u8; BYTES_PER_TICK]; 3],
    opus: [([u8; MAX_ENCODED], usize); OpusClass::ALL.len()],
}

impl Silence {
    /// As encoders of that band make it: encoded once, since a new room shall not cost 30 frames of Opus.
    pub(crate) fn of(band: Rate) -> Result<&'static Self, CodecFailed> {
        static ALL: [OnceLock<Silence>; 3] = [const { OnceLock::new() }; 3];
        let known = &ALL[band as usize];
        if let Some(silence) = known.get() {
            return Ok(silence);
        }
        // Whoever comes second made the same.
        let made = Self::new(band)?;
        Ok(known.get_or_init(|| made))
    }

    fn new(band: Rate) -> Result<Self, CodecFailed> {
        let mut opus = [([0; MAX_ENCODED], 0); OpusClass::ALL.len()];
        for ((bytes, length), class) in opus.iter_mut().zip(OpusClass::ALL) {
            *length = opus::silence(band, class, bytes)?;
        }
        let bytes = [Law::Mu.silence(), Law::A.silence(), g722::SILENCE].map(|byte| [byte; BYTES_PER_TICK]);
        Ok(Self { bytes, opus })
    }

    pub(crate) fn frame(&self, stream: Stream) -> &[u8] {
        match stream {
            Stream::Law(_) | Stream::G722 => &self.bytes[stream.index()],
            Stream::Opus(class) => {
                let (bytes, length) = &self.opus[class as usize];
                &bytes[..*length]
            }
        }
    }
}
