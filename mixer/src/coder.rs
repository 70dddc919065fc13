//! One codec, both ways, outside of any mixer: for phones at the far end of a leg, in demonstrations and tests.

use std::fmt;

use crate::{
    Codec, CodecFailed, Rate,
    codec::{
        Law, g722,
        opus::{Decoder, Encoder, MAX_DURATION, MAX_ENCODED},
    },
};

/// Encodes frames of 20 ms and decodes packets, without any notion of time or loss.
pub struct Coder {
    rate: Rate,
    kind: Kind,
}

enum Kind {
    Law(Law),
    G722(Box<(g722::Encoder, g722::Decoder)>),
    Opus { encoder: Encoder, decoder: Decoder },
}

impl Coder {
    /// Sets a codec up. G.711 works at 8000 Hz and G.722 at 16000, whatever rate is wished for; see [`Self::rate`].
    pub fn new(codec: Codec, rate: Rate) -> Result<Self, CodecFailed> {
        Ok(match codec {
            Codec::Pcmu => Self {
                rate: Rate::Narrow,
                kind: Kind::Law(Law::Mu),
            },
            Codec::Pcma => Self {
                rate: Rate::Narrow,
                kind: Kind::Law(Law::A),
            },
            Codec::G722 => Self {
                rate: Rate::Wide,
                kind: Kind::G722(Box::new((g722::Encoder::new(), g722::Decoder::new()))),
            },
            Codec::Opus => {
                let (encoder, decoder) = (Encoder::new(rate)?, Decoder::new(rate)?);
                Self {
                    rate,
                    kind: Kind::Opus { encoder, decoder },
                }
            }
        })
    }

    /// The rate of samples on both sides.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Encodes 20 ms of samples; an Opus frame of another length gives nothing.
    pub fn encode(&mut self, pcm: &[i16]) -> Vec<u8> {
        match &mut self.kind {
            Kind::Law(law) => {
                let mut out = vec![0; pcm.len()];
                law.encode(pcm, &mut out);
                out
            }
            Kind::G722(both) => {
                let mut out = vec![0; pcm.len() / 2];
                both.0.encode(pcm, &mut out);
                out
            }
            Kind::Opus { encoder, .. } if pcm.len() == self.rate.frame() => {
                let mut out = [0; MAX_ENCODED];
                let length = encoder.encode(pcm, &mut out);
                out[..length].to_vec()
            }
            Kind::Opus { .. } => Vec::new(),
        }
    }

    /// Decodes a packet; a broken one gives nothing.
    pub fn decode(&mut self, payload: &[u8]) -> Vec<i16> {
        match &mut self.kind {
            Kind::Law(law) => {
                let mut out = vec![0; payload.len()];
                law.decode(payload, &mut out);
                out
            }
            Kind::G722(both) => {
                let mut out = vec![0; 2 * payload.len()];
                both.1.decode(payload, &mut out);
                out
            }
            Kind::Opus { decoder, .. } => {
                let mut out = vec![0; MAX_DURATION as usize * self.rate.ratio() / Rate::Full.ratio()];
                let length = decoder.decode(payload, &mut out).unwrap_or(0);
                // The binding takes C's shorts as u16.
                out[..length].iter().map(|&sample| sample as i16).collect()
            }
        }
    }
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coder").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_heard() {
        for (codec, rate) in [
            (Codec::Pcmu, Rate::Narrow),
            (Codec::Pcma, Rate::Narrow),
            (Codec::G722, Rate::Wide),
            (Codec::Opus, Rate::Narrow),
            (Codec::Opus, Rate::Full),
        ] {
            let (mut near, mut far) = (Coder::new(codec, rate).expect("set up"), Coder::new(codec, rate).expect("set up"));
            let frame: Vec<i16> = (0..rate.frame())
                .map(|n| if n / (rate.frame() / 20) % 2 == 0 { 8000 } else { -8000 })
                .collect();
            let heard: Vec<i16> = (0..10).flat_map(|_| far.decode(&near.encode(&frame))).collect();
            assert_eq!(heard.len(), 10 * rate.frame());
            let loud = heard[heard.len() / 2..].iter().map(|s| f64::from(s.abs())).sum::<f64>() / heard.len() as f64 * 2.0;
            assert!((5000.0..11_000.0).contains(&loud), "{codec:?} {rate:?}: {loud}");
        }
    }

    #[test]
    fn broken_packets_and_odd_frames_give_nothing() {
        let mut coder = Coder::new(Codec::Opus, Rate::Wide).expect("set up");
        assert!(coder.decode(&[]).is_empty());
        assert!(coder.decode(&[0xff; 3]).is_empty());
        assert!(coder.encode(&[0; 7]).is_empty());
    }
}
