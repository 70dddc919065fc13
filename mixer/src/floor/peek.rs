//! What a packet's bytes tell of its audio without decoding it.

use crate::{
    Codec,
    codec::{Law, g722, opus},
    level::{Level, QUIET_PEAK},
};

/// What is known without decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peek {
    /// The bytes tell the level.
    Level(Level),
    /// G.722: the bytes tell about how loud it is, but don't prove it.
    About(Level),
    /// Opus: there is audio, of whatever level.
    Opus {
        /// Whether its encoder took it for a voice, if it tells.
        voice: Option<bool>,
        /// Bytes in a tick.
        size: u16,
    },
    /// Nothing is sent but that there is nothing: discontinuous transmission.
    Silence,
}

/// An Opus frame of so few bytes holds no audio: DTX (RFC 6716 section 2.1.9).
const DTX_BYTES: usize = 2;

/// How many ticks a packet's audio begins to fill; `None` if it can't be one. None is trusted to last longer than Opus' longest.
pub(super) fn ticks(codec: Codec, payload: &[u8]) -> Option<u8> {
    let units = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => payload.len().min(u16::MAX.into()) as u32,
        Codec::Opus => opus::duration(payload)?,
    };
    (units > 0).then(|| units.div_ceil(codec.clock_step()).min(6) as u8)
}

/// Looks at a packet.
pub(super) fn peek(codec: Codec, payload: &[u8]) -> Peek {
    match codec {
        Codec::Pcmu => Peek::Level(level(Law::Mu, payload)),
        Codec::Pcma => Peek::Level(level(Law::A, payload)),
        Codec::G722 => Peek::About(Level::from_dbov(g722::dbov(payload))),
        Codec::Opus if payload.len() <= DTX_BYTES => Peek::Silence,
        Codec::Opus => Peek::Opus {
            voice: voice(payload),
            size: (payload.len() / usize::from(ticks(codec, payload).unwrap_or(1))).min(u16::MAX.into()) as u16,
        },
    }
}

fn level(law: Law, payload: &[u8]) -> Level {
    // Most legs of a large room are silent: that is seen at a glance.
    if law.peak(payload) < QUIET_PEAK {
        Level::SILENCE
    } else {
        Level::of_square(law.mean_square(payload))
    }
}

/// Whether the encoder took an Opus packet's first frame for speech; `None` if it doesn't tell, which CELT never does.
fn voice(packet: &[u8]) -> Option<bool> {
    // The bits of the channel's frames come first, those of the middle one if there are two (RFC 6716 section 4.2.3).
    let (first, frames) = opus::silk_head(packet)?;
    Some(first >> (8 - frames) != 0)
}

#[cfg(test)]
mod tests {
    use opusic_c::{Application, Bitrate, Channels, Encoder, SampleRate};

    use super::*;
    use crate::level::mean_square;

    /// The packets of an encoder that hears a second of silence, one of a buzz like a voice, and one of silence.
    fn packets(application: Application, channels: Channels, ms: usize) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(channels, SampleRate::Hz48000, application).expect("libopus works");
        encoder.set_bitrate(Bitrate::Value(24_000)).expect("a usual rate");
        let channels = if matches!(channels, Channels::Mono) { 1 } else { 2 };
        let sample = |n: usize| {
            let time = n as f64 / 48_000.0;
            let buzz: f64 = (1..20).map(|k| (f64::from(k) * 800.0 * time).sin() / f64::from(k)).sum();
            let syllables = (25.0 * time).sin().abs();
            (if (48_000..96_000).contains(&n) {
                6000.0 * buzz * syllables
            } else {
                0.0
            }) as i16 as u16
        };
        let pcm: Vec<u16> = (0..144_000).flat_map(|n| vec![sample(n); channels]).collect();
        let encode = |pcm: &[u16]| {
            let mut packet = vec![0; 1275];
            let length = encoder.encode_to_slice(pcm, &mut packet).expect("it encodes");
            packet.truncate(length);
            packet
        };
        pcm.chunks_exact(48 * ms * channels).map(encode).collect()
    }

    #[test]
    fn r65_the_voice_bit_is_where_the_encoder_puts_it() {
        for ms in [10, 20, 40, 60] {
            for channels in [Channels::Mono, Channels::Stereo] {
                let packets = packets(Application::Voip, channels, ms);
                let voiced = |from: usize, to: usize| {
                    let part = &packets[from / ms..to / ms];
                    part.iter().filter(|packet| voice(packet) == Some(true)).count() as f64 / part.len() as f64
                };
                assert!(
                    voiced(300, 950) == 0.0 && voiced(2400, 3000) == 0.0,
                    "{ms} ms {} {}",
                    voiced(300, 950),
                    voiced(2400, 3000)
                );
                assert!(voiced(1100, 1900) > 0.9, "{ms} ms: {}", voiced(1100, 1900));
            }
        }
        assert!(
            packets(Application::LowDelay, Channels::Mono, 20)
                .iter()
                .all(|packet| voice(packet).is_none())
        );
    }

    #[test]
    fn the_first_frame_is_found_behind_lengths_and_padding() {
        for (packet, at) in [
            (&[0x08, 0x80][..], 1),
            (&[0x09, 0x80], 1),
            (&[0x0a, 1, 0x80, 0x80], 2),
            (&[0x0a, 252, 0, 0x80], 3),
            (&[0x0b, 2, 0x80, 0x80], 2),
            (&[0x0b, 0x83, 1, 252, 0, 0x80], 5),
            (&[0x0b, 0x41, 2, 0x80, 0, 0], 3),
            (&[0x0b, 0xc2, 255, 1, 9, 0x80], 5),
        ] {
            assert_eq!((opus::head(packet), voice(packet)), (Some(at), Some(true)), "{packet:?}");
        }
        // Cut anywhere, or endless padding: nothing is found, and nothing breaks.
        for packet in [&[][..], &[0x0b], &[0x0a], &[0x0a, 252], &[0x0b, 0xc3, 255, 255], &[0x0b, 0xbf, 1]] {
            assert_eq!(voice(packet), None, "{packet:?}");
        }
    }

    #[test]
    fn r65_g711_levels_are_those_of_the_samples() {
        for (codec, law) in [(Codec::Pcmu, Law::Mu), (Codec::Pcma, Law::A)] {
            for amplitude in [100, 1000, 10_000, 32_000] {
                let pcm: Vec<i16> = (0..160).map(|n| if n % 8 < 4 { amplitude } else { -amplitude }).collect();
                let mut bytes = [0; 160];
                law.encode(&pcm, &mut bytes);
                let Peek::Level(level) = peek(codec, &bytes) else {
                    panic!("G.711 has a level");
                };
                assert!(
                    level.dbov().abs_diff(Level::of_square(mean_square(&pcm)).dbov()) <= 1,
                    "{codec:?} {amplitude}"
                );
            }
            assert_eq!(peek(codec, &[law.silence(); 480]), Peek::Level(Level::SILENCE));
            assert_eq!(
                [0, 1, 80, 160, 480, 9000].map(|n| ticks(codec, &vec![0; n])),
                [None, Some(1), Some(1), Some(1), Some(3), Some(6)]
            );
        }
    }

    #[test]
    fn r65_opus_tells_silence_by_its_length() {
        for silence in [&[0x78][..], &[0x18, 0]] {
            assert_eq!(peek(Codec::Opus, silence), Peek::Silence);
        }
        for (packet, voice, size) in [
            ([0x78, 0x80, 0, 0], Some(true), 4),
            ([0xf8, 0, 0, 0], None, 4),
            ([0x78, 0, 0, 0], Some(false), 4),
            ([0x18, 0x20, 0, 0], Some(true), 1),
            ([0x18, 0x10, 0, 0], Some(false), 1),
        ] {
            assert_eq!(peek(Codec::Opus, &packet), Peek::Opus { voice, size }, "{packet:?}");
        }
        assert_eq!(
            [&[][..], &[3], &[0x78, 0x80], &[0x18, 0]].map(|packet| ticks(Codec::Opus, packet)),
            [None, None, Some(1), Some(3)]
        );
    }
}
