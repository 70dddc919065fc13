//! G.711: µ-law and A-law, one byte a sample at 8000 Hz.

/// Which of the two companding laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    Mu,
    A,
}

impl Law {
    /// The byte of silence.
    pub(crate) const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }

    pub(crate) fn encode(self, pcm: &[i16], out: &mut [u8]) {
        match self {
            Self::Mu => out.iter_mut().zip(pcm).for_each(|(byte, &sample)| *byte = mu_byte(sample)),
            Self::A => out.iter_mut().zip(pcm).for_each(|(byte, &sample)| *byte = a_byte(sample)),
        }
    }

    pub(crate) fn decode(self, bytes: &[u8], out: &mut [i16]) {
        let table = self.table();
        out.iter_mut()
            .zip(bytes)
            .for_each(|(sample, &byte)| *sample = table[usize::from(byte)]);
    }

    /// The greatest amplitude among the bytes, found without decoding them: without its sign, a byte of either law grows with the amplitude.
    pub(crate) fn peak(self, bytes: &[u8]) -> u16 {
        let (flip, sign) = match self {
            Self::Mu => (0x7f, 0x80),
            Self::A => (0x55, 0x80),
        };
        let code = bytes.iter().fold(0, |peak: u8, &byte| peak.max((byte ^ flip) & 0x7f));
        self.table()[usize::from((code ^ flip & 0x7f) | sign)].unsigned_abs()
    }

    /// The mean square of the samples that the bytes stand for.
    pub(crate) fn mean_square(self, bytes: &[u8]) -> u64 {
        let table = self.table();
        let square = |&byte: &u8| i64::from(table[usize::from(byte)]).pow(2) as u64;
        bytes.iter().map(square).sum::<u64>() / bytes.len().max(1) as u64
    }

    fn table(self) -> &'static [i16; 256] {
        match self {
            Self::Mu => &MU,
            Self::A => &A,
        }
    }
}

static MU: [i16; 256] = table(Law::Mu);
static A: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        samples[byte] = match law {
            Law::Mu => mu_sample(byte as u8),
            Law::A => a_sample(byte as u8),
        };
        byte += 1;
    }
    samples
}

/// Half a quantisation step below the first segment, in 16-bit samples: what makes µ-law's segments double.
const MU_BIAS: i32 = 132;

const fn mu_sample(byte: u8) -> i16 {
    let code = !byte as i32;
    let (segment, step) = ((code >> 4) & 7, code & 0xf);
    let magnitude = (((step << 3) + MU_BIAS) << segment) - MU_BIAS;
    (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

fn mu_byte(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    // A negative sample's ones' complement keeps the decision values of ITU-T G.191's reference.
    let magnitude = (i32::from(if sample < 0 { !sample } else { sample }) + MU_BIAS).min(0x7fff);
    let segment = 24 - magnitude.leading_zeros() as i32;
    let step = (magnitude >> (segment + 3)) & 0xf;
    !(sign | (segment << 4) as u8 | step as u8)
}

const fn a_sample(byte: u8) -> i16 {
    let code = (byte ^ 0x55) as i32;
    let (segment, step) = ((code >> 4) & 7, code & 0xf);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

fn a_byte(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 4;
    let segment = (28 - magnitude.leading_zeros() as i32).max(0);
    let step = (magnitude >> (segment - 1).max(0)) & 0xf;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(law: Law, sample: i16) -> u8 {
        let mut byte = [0];
        law.encode(&[sample], &mut byte);
        byte[0]
    }

    fn decode(law: Law, byte: u8) -> i16 {
        law.table()[usize::from(byte)]
    }

    #[test]
    fn known_values_of_mu_law() {
        // ITU-T G.711 table 2a: decoder output values of 14 bits, here times 4.
        for (byte, sample) in [
            (0x80, 8031 * 4),
            (0x8f, 4191 * 4),
            (0x9f, 2079 * 4),
            (0xaf, 1023 * 4),
            (0xbf, 495 * 4),
            (0xcf, 231 * 4),
        ] {
            assert_eq!(decode(Law::Mu, byte), sample);
            assert_eq!(decode(Law::Mu, byte & 0x7f), -sample);
            assert_eq!(encode(Law::Mu, sample), byte);
        }
        for (byte, sample) in [(0xdf, 99 * 4), (0xef, 33 * 4), (0xfe, 2 * 4), (0xff, 0)] {
            assert_eq!(decode(Law::Mu, byte), sample);
        }
        assert_eq!(encode(Law::Mu, 0), 0xff);
        assert_eq!((encode(Law::Mu, i16::MAX), encode(Law::Mu, i16::MIN)), (0x80, 0x00));
    }

    #[test]
    fn known_values_of_a_law() {
        // ITU-T G.711 table 1a: decoder output values of 13 bits, here times 8; bits as sent, even ones inverted.
        for (code, sample) in [
            (0xff, 4032 * 8),
            (0xf0, 2112 * 8),
            (0xe0, 1056 * 8),
            (0xd0, 528 * 8),
            (0xc0, 264 * 8),
            (0xb0, 132 * 8),
        ] {
            assert_eq!(decode(Law::A, code ^ 0x55), sample);
            assert_eq!(decode(Law::A, (code ^ 0x55) & 0x7f), -sample);
            assert_eq!(encode(Law::A, sample), code ^ 0x55);
        }
        assert_eq!((decode(Law::A, 0xd5), decode(Law::A, 0x55)), (8, -8));
        assert_eq!((encode(Law::A, 0), encode(Law::A, -1)), (0xd5, 0x55));
        assert_eq!((encode(Law::A, i16::MAX), encode(Law::A, i16::MIN)), (0xaa, 0x2a));
    }

    #[test]
    fn every_byte_comes_back() {
        for law in [Law::Mu, Law::A] {
            for byte in 0..=255u8 {
                let again = encode(law, decode(law, byte));
                // µ-law has two zeros.
                assert!(
                    again == byte || (law == Law::Mu && byte == 0x7f && again == 0xff),
                    "{law:?} {byte:#x} {again:#x}"
                );
            }
        }
    }

    #[test]
    fn every_sample_comes_back_within_half_a_step() {
        for law in [Law::Mu, Law::A] {
            // A segment has 16 steps, so half of one is a 32nd of where it starts.
            let (bias, least) = if law == Law::Mu { (MU_BIAS, 4) } else { (0, 16) };
            for sample in i16::MIN..=i16::MAX {
                let (got, sample) = (i32::from(decode(law, encode(law, sample))), i32::from(sample));
                assert!(
                    (got - sample).abs() <= (sample.abs() + bias) / 32 + least,
                    "{law:?} {sample} -> {got}"
                );
            }
        }
    }

    #[test]
    fn encoding_never_turns_back() {
        for law in [Law::Mu, Law::A] {
            let heard: Vec<i16> = (i16::MIN..=i16::MAX).map(|sample| decode(law, encode(law, sample))).collect();
            assert!(heard.windows(2).all(|pair| pair[0] <= pair[1]), "{law:?}");
            assert!(heard.iter().zip(heard.iter().rev()).all(|(up, down)| *up == -*down), "{law:?}");
        }
    }

    #[test]
    fn peak_is_the_greatest_amplitude() {
        for law in [Law::Mu, Law::A] {
            for byte in 0..=255u8 {
                assert_eq!(
                    law.peak(&[law.silence(), byte, law.silence()]),
                    decode(law, byte).unsigned_abs().max(decode(law, law.silence()).unsigned_abs())
                );
            }
        }
    }
}
