//! Finds out how loud a leg is that nobody hears.

use crate::{
    CodecFailed, Rate,
    codec::opus::{Decoder, MAX_DURATION},
    level::Level,
};

/// A decoder for one leg's last packets, and then for another's. Voice is heard well enough at 8000 Hz.
pub(crate) struct Prober(Decoder);

/// Samples of the longest packet.
const LONGEST: usize = MAX_DURATION as usize * Rate::Narrow.ratio() / Rate::Full.ratio();

impl Prober {
    pub(crate) fn new() -> Result<Self, CodecFailed> {
        Ok(Self(Decoder::new(Rate::Narrow)?))
    }

    /// The level of the loudest of some packets in a row. A decoder that begins with a packet takes it for softer than it is, by 5 to 10 dB as
    /// a rule; that halves with each packet at least.
    pub(super) fn level<'a>(&mut self, packets: impl Iterator<Item = &'a [u8]>) -> Level {
        self.0.restart();
        let mut samples = [0; LONGEST];
        let levels = packets.map(|packet| {
            let count = self.0.decode(packet, &mut samples).unwrap_or(0);
            // The binding takes C's shorts as u16.
            let squares = samples[..count].iter().map(|&sample| i64::from(sample as i16).pow(2) as u64);
            Level::of_square(squares.sum::<u64>() / count.max(1) as u64)
        });
        levels.max().unwrap_or_default()
    }
}
