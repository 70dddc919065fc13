//! Opus (RFC 6716) through libopus, mono.

use opusic_c::{Application, Bandwidth, Bitrate, Channels, InbandFec, SampleRate, Signal};

use super::CodecFailed;
use crate::{Effort, OpusClass, Rate, settings::MAX_FRAME};

/// Longest 20 ms frame that an encoder may make, in bytes: 120 kbit/s, four times the rate that is asked of it.
pub(crate) const MAX_ENCODED: usize = 300;

/// Longest packet that RFC 6716 section 3.2 allows, in units of 48000 Hz: 120 ms.
pub(crate) const MAX_DURATION: u32 = 5760;

/// Least duration that a decoder can conceal, in units of 48000 Hz: 2.5 ms.
pub(crate) const GRAIN: u32 = 120;

/// Makes frames of 20 ms.
pub(crate) struct Encoder {
    encoder: opusic_c::Encoder,
    manner: Manner,
}

/// How frames are made. What has changed is told to libopus with the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// May change after a restart only, like the band, since decoders hear that.
    pub(crate) class: OpusClass,
    /// How much of its input is encoded: what a signal of that rate can hold, and the class allows.
    pub(crate) band: Rate,
    /// From 0 to 10. At 5 a frame costs about two thirds of 10.
    pub(crate) complexity: u8,
    /// Per cent of packets that are lost on the way to those who can make use of what later packets say of lost ones (in-band FEC).
    pub(crate) loss: u8,
    /// Frames may be decoded by one who didn't hear those before.
    pub(crate) alone: bool,
}

impl Encoder {
    pub(crate) fn new(rate: Rate) -> Result<Self, CodecFailed> {
        let manner = Manner {
            class: OpusClass::Full,
            band: rate,
            complexity: Effort::default().complexity,
            loss: 0,
            alone: false,
        };
        let mut encoder = opusic_c::Encoder::new(Channels::Mono, sample_rate(rate), Application::Voip)?;
        encoder.set_signal(Signal::Voice)?;
        encoder.set_bandwidth(bandwidth(rate))?;
        encoder.set_bitrate(Bitrate::Value(bits_a_second(manner)))?;
        encoder.set_complexity(manner.complexity)?;
        Ok(Self { encoder, manner })
    }

    /// Forgets what was encoded before.
    pub(crate) fn restart(&mut self) {
        // Can't fail on an encoder that was set up.
        let _ = self.encoder.reset();
    }

    /// Frames are made so from now on.
    pub(crate) fn set(&mut self, manner: Manner) {
        let before = std::mem::replace(&mut self.manner, manner);
        // Each can't fail on an encoder that was set up.
        if (manner.class, manner.band) != (before.class, before.band) {
            let _ = self.encoder.set_bandwidth(bandwidth(manner.band.min(manner.class.rate())));
            let _ = self.encoder.set_bitrate(Bitrate::Value(bits_a_second(manner)));
            let _ = self.encoder.set_vbr(manner.class != OpusClass::Constant);
        }
        if manner.complexity != before.complexity {
            let _ = self.encoder.set_complexity(manner.complexity);
        }
        if manner.loss != before.loss {
            let fec = if manner.loss > 0 { InbandFec::Mode1 } else { InbandFec::Off };
            let _ = self.encoder.set_inband_fec(fec);
            let _ = self.encoder.set_packet_loss(manner.loss);
        }
        if manner.alone != before.alone {
            let _ = self.encoder.set_prediction_disabled(manner.alone);
        }
    }

    /// Encodes one frame, gives its length; 0 if libopus refuses.
    pub(crate) fn encode(&mut self, pcm: &[i16], out: &mut [u8; MAX_ENCODED]) -> usize {
        let mut unsigned = [0; MAX_FRAME];
        let unsigned = &mut unsigned[..pcm.len()];
        // The binding takes C's shorts as u16.
        unsigned.iter_mut().zip(pcm).for_each(|(to, &from)| *to = from as u16);
        self.encoder.encode_to_slice(unsigned, out).unwrap_or(0)
    }
}

/// Turns packets of any legal duration into samples.
pub(crate) struct Decoder(opusic_c::Decoder);

impl Decoder {
    pub(crate) fn new(rate: Rate) -> Result<Self, CodecFailed> {
        Ok(Self(opusic_c::Decoder::new(Channels::Mono, sample_rate(rate))?))
    }

    pub(crate) fn restart(&mut self) {
        // Can't fail on a decoder that was set up.
        let _ = self.0.reset();
    }

    /// Decodes a packet into the front of `out`, gives the number of samples; `None` if the packet is broken.
    pub(crate) fn decode(&mut self, packet: &[u8], out: &mut [u16]) -> Option<usize> {
        // An empty packet would mean a lost one to libopus.
        if packet.is_empty() {
            None
        } else {
            self.0.decode_to_slice(packet, out, false).ok()
        }
    }

    /// Fills `out`, a multiple of 2.5 ms, with what was lost before a packet: from its forward error correction, if that is there.
    pub(crate) fn recover(&mut self, packet: &[u8], out: &mut [u16]) {
        if packet.is_empty() || self.0.decode_to_slice(packet, out, true).is_err() {
            out.fill(0);
        }
    }

    /// Makes up as many samples as `out` holds, a multiple of 2.5 ms, for what was lost.
    pub(crate) fn conceal(&mut self, out: &mut [u16]) {
        if self.0.decode_to_slice(&[], out, false).is_err() {
            out.fill(0);
        }
    }
}

/// The first byte of a packet's first frame, and how many times 20 ms of SILK it begins with; `None` if that isn't SILK or hybrid.
pub(crate) fn silk_head(packet: &[u8]) -> Option<(u8, u32)> {
    let frames = match packet.first()? >> 3 {
        config @ 0..=11 => [1, 1, 2, 3][usize::from(config & 3)],
        12..=15 => 1,
        _ => return None,
    };
    Some((*packet.get(head(packet)?)?, frames))
}

/// Whether a packet holds the frame before it once more: in-band forward error correction (RFC 6716 section 2.1.7).
pub(crate) fn repeats(packet: &[u8]) -> bool {
    // A bit for each SILK frame that is speech, then this one. The first bits of a frame are as probable as not, so that the range coder
    // writes them as they are (RFC 6716 section 4.2.3).
    silk_head(packet).is_some_and(|(first, frames)| first >> (7 - frames) & 1 == 1)
}

/// Bytes before a packet's first frame (RFC 6716 section 3.2).
pub(crate) fn head(packet: &[u8]) -> Option<usize> {
    const LONG: u8 = 252;
    let length_at = |at: usize| Some(if *packet.get(at)? < LONG { 1 } else { 2 });
    match *packet.first()? & 3 {
        0 | 1 => Some(1),
        2 => Some(1 + length_at(1)?),
        _ => {
            let count = *packet.get(1)?;
            let (varied, padded, frames) = (count & 0x80 != 0, count & 0x40 != 0, count & 0x3f);
            let mut at = 2;
            if padded {
                at += packet[2..].iter().take_while(|&&length| length == 255).count() + 1;
            }
            for _ in 1..if varied { frames } else { 1 } {
                at += length_at(at)?;
            }
            Some(at)
        }
    }
}

/// How long each frame of a packet lasts, in units of 48000 Hz (RFC 6716 table 2).
pub(crate) fn frame(packet: &[u8]) -> u32 {
    match packet.first().map_or(0, |toc| toc >> 3) {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

/// How long a packet lasts, in units of 48000 Hz, by its first bytes (RFC 6716 section 3.1); `None` if it can't be one.
pub(crate) fn duration(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = frame(packet);
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let duration = frame * frames;
    (1..=MAX_DURATION).contains(&duration).then_some(duration)
}

/// A 20 ms packet of silence as an encoder of that band makes it.
pub(crate) fn silence(band: Rate, class: OpusClass, out: &mut [u8; MAX_ENCODED]) -> Result<usize, CodecFailed> {
    let mut encoder = Encoder::new(Rate::Full)?;
    encoder.set(Manner {
        class,
        band,
        ..encoder.manner
    });
    // The first frames still adapt to their input.
    let length = (0..8).map(|_| encoder.encode(&[0; MAX_FRAME], out)).last();
    length.filter(|&length| length > 0).ok_or(CodecFailed)
}

/// A bit rate at which speech of that bandwidth sounds clear, or what the class may have at most.
fn bits_a_second(manner: Manner) -> u32 {
    let clear = match manner.band {
        Rate::Narrow => 16_000,
        Rate::Wide => 24_000,
        Rate::Full => 32_000,
    };
    clear.min(limit(manner.class))
}

/// What a class may have at most, in bit/s.
const fn limit(class: OpusClass) -> u32 {
    match class {
        OpusClass::Narrow => 12_000,
        OpusClass::Wide => 20_000,
        OpusClass::Full | OpusClass::Constant => 32_000,
    }
}

const fn bandwidth(rate: Rate) -> Bandwidth {
    match rate {
        Rate::Narrow => Bandwidth::Narrow,
        Rate::Wide => Bandwidth::Wide,
        Rate::Full => Bandwidth::Full,
    }
}

const fn sample_rate(rate: Rate) -> SampleRate {
    match rate {
        Rate::Narrow => SampleRate::Hz8000,
        Rate::Wide => SampleRate::Hz16000,
        Rate::Full => SampleRate::Hz48000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_libopus() {
        for toc in 0..=255u8 {
            for second in [0, 1, 2, 3, 6, 12, 48, 49, 63, 0x80 | 3] {
                let packet = [toc, second, 0, 0];
                let theirs = opusic_c::utils::get_nb_samples(&packet, SampleRate::Hz48000)
                    .ok()
                    .filter(|&samples| samples > 0);
                assert_eq!(duration(&packet), theirs.map(|samples| samples as u32), "{packet:?}");
            }
        }
        assert_eq!((duration(&[]), duration(&[3])), (None, None));
    }

    #[test]
    fn silence_is_short_and_silent() {
        for rate in [Rate::Narrow, Rate::Wide, Rate::Full] {
            let mut packet = [0; MAX_ENCODED];
            let length = silence(rate, OpusClass::Full, &mut packet).expect("libopus works");
            assert!(length < 80, "{length}");
            assert_eq!(duration(&packet[..length]), Some(960));
            let mut pcm = vec![0; rate.frame()];
            let mut decoder = Decoder::new(rate).expect("libopus works");
            for _ in 0..5 {
                assert_eq!(decoder.decode(&packet[..length], &mut pcm), Some(rate.frame()));
            }
            assert!(pcm.iter().all(|&sample| (sample as i16).abs() < 4), "{rate:?}");
        }
    }

    #[test]
    fn r63_classes_keep_to_their_limits() {
        let pcm = |n: usize| (9000.0 * (n as f64 * (0.03 + 0.01 * (n as f64 / 4000.0).sin())).sin()) as i16;
        for class in OpusClass::ALL {
            let mut encoder = Encoder::new(Rate::Full).expect("libopus works");
            encoder.set(Manner { class, ..encoder.manner });
            let mut out = [0; MAX_ENCODED];
            let lengths: Vec<usize> = (0..250)
                .map(|tick| {
                    let frame: Vec<i16> = (tick * 960..(tick + 1) * 960).map(pcm).collect();
                    let length = encoder.encode(&frame, &mut out);
                    let widest = match class.rate() {
                        Rate::Narrow => 0,
                        Rate::Wide => 8,
                        Rate::Full => 31,
                    };
                    // Configurations of RFC 6716 table 2: SILK at 8000 Hz up to 3, and up to 16000 Hz until 11; hybrid until 15, where
                    // CELT begins with 8000 Hz.
                    assert!(
                        out[0] >> 3 <= widest + 3 || (16..24).contains(&(out[0] >> 3)),
                        "{class:?} {:x}",
                        out[0]
                    );
                    length
                })
                .collect();
            let rate = lengths.iter().sum::<usize>() * 8 / 5;
            assert!(rate <= limit(class) as usize * 11 / 10, "{class:?}: {rate} bit/s");
            let constant = lengths[1..].iter().all(|&length| length == lengths[1]);
            assert_eq!(constant, class == OpusClass::Constant, "{class:?}");
        }
    }

    #[test]
    fn stereo_is_mixed_down_and_does_not_clip() {
        let (mut encoder, mut decoder) = (
            opusic_c::Encoder::new(Channels::Stereo, SampleRate::Hz48000, Application::Audio).expect("libopus works"),
            Decoder::new(Rate::Full).expect("libopus works"),
        );
        encoder.set_bitrate(Bitrate::Value(96_000)).expect("legal");
        let tone = |n: usize, hz: f64| (n as f64 * hz / 48_000.0 * std::f64::consts::TAU).sin();
        let mut heard = Vec::new();
        for tick in 0..50 {
            // Left and right at full scale: their sum would be twice as much.
            let frame: Vec<u16> = (tick * 960..(tick + 1) * 960)
                .flat_map(|n| [tone(n, 500.0) * 32_000.0, tone(n, 500.0) * 30_000.0].map(|s| s as i16 as u16))
                .collect();
            let (mut packet, mut pcm) = ([0; 1275], [0; 960]);
            let length = encoder.encode_to_slice(&frame, &mut packet).expect("20 ms can be encoded");
            assert!(packet[0] & 4 != 0, "stereo by its first byte (RFC 6716 section 3.1)");
            assert_eq!(decoder.decode(&packet[..length], &mut pcm), Some(960));
            heard.extend(pcm.map(|sample| sample as i16));
        }
        let heard = &heard[24_000..];
        let loudest = heard.iter().map(|s| s.unsigned_abs()).max();
        assert!((29_000..32_767).contains(&loudest.expect("samples")), "{loudest:?}");
        let steepest = heard.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
        assert!(steepest < Some(2300), "a sine as it was: {steepest:?}");
    }
}
