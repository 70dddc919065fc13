//! G.722 at 64 kbit/s (ITU-T G.722 (09/2012)): 16000 Hz in two bands of adaptive differences. A byte is two samples, and the RTP clock runs at
//! 8000 Hz (RFC 3551 section 4.5.2).
//!
//! Bit-exact with the ITU's reference, saturation included. What both ends know of the voice follows from the bytes alone, which is why an
//! encoder can take another's place: its copy.

/// The byte of silence: the smallest difference in both bands, which is none at all once the steps are small.
pub(crate) const SILENCE: u8 = 0xfd;

/// Taps of the filters that split and join the bands (table 11).
pub(crate) const TAPS: usize = 24;
const SPLIT: [i32; TAPS] = {
    const HALF: [i32; TAPS / 2] = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876];
    let mut taps = [0; TAPS];
    let mut n = 0;
    while n < TAPS / 2 {
        (taps[n], taps[TAPS - 1 - n]) = (HALF[n], HALF[n]);
        n += 1;
    }
    taps
};

/// Samples that are filtered at once.
const BLOCK: usize = 320;

/// Makes a byte of every two samples.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    bands: Bands,
    /// The samples before, oldest first.
    before: [i16; TAPS - 2],
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            bands: Bands::new(),
            before: [0; TAPS - 2],
        }
    }

    /// As a listener's decoder is that has heard silence for a while.
    pub(crate) fn at_rest() -> Self {
        let mut encoder = Self::new();
        for _ in 0..2 * BLOCK {
            encoder.bands.low.adapt(SILENCE & 0x3f);
            encoder.bands.high.adapt(SILENCE >> 6);
        }
        encoder
    }

    /// Lets samples pass that the listener heard from elsewhere, so that what is encoded next follows them.
    pub(crate) fn pass(&mut self, pcm: &[i16]) {
        if let Some((_, last)) = pcm.split_last_chunk() {
            self.before = *last;
        }
    }

    /// Encodes an even number of samples; `out` is half as long.
    pub(crate) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) {
        let mut line = [0; TAPS - 2 + BLOCK];
        for (pcm, out) in pcm.chunks(BLOCK).zip(out.chunks_mut(BLOCK / 2)) {
            let line = &mut line[..TAPS - 2 + pcm.len()];
            line[..TAPS - 2].copy_from_slice(&self.before);
            line[TAPS - 2..].copy_from_slice(pcm);
            for (byte, around) in out.iter_mut().zip(line.windows(TAPS).step_by(2)) {
                let (even, odd) = filter(around);
                let band = |sum: i32| limit(sum >> 14);
                *byte = self.bands.low.encode(band(even + odd)) | self.bands.high.encode(band(odd - even)) << 6;
            }
            self.before.copy_from_slice(&line[pcm.len()..]);
        }
    }
}

/// Makes two samples of every byte.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    bands: Bands,
    /// Differences and sums of the bands before, oldest first.
    before: [i16; TAPS - 2],
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            bands: Bands::new(),
            before: [0; TAPS - 2],
        }
    }

    /// Decodes; `out` is twice as long as the bytes.
    pub(crate) fn decode(&mut self, bytes: &[u8], out: &mut [i16]) {
        let mut line = [0; TAPS - 2 + BLOCK];
        for (bytes, out) in bytes.chunks(BLOCK / 2).zip(out.chunks_mut(BLOCK)) {
            let line = &mut line[..TAPS - 2 + 2 * bytes.len()];
            line[..TAPS - 2].copy_from_slice(&self.before);
            for (pair, &byte) in line[TAPS - 2..].chunks_exact_mut(2).zip(bytes) {
                let (low, high) = (self.bands.low.decode(byte & 0x3f), self.bands.high.decode(byte >> 6));
                // Both fit 15 bits. The older of the two places holds the sum.
                (pair[0], pair[1]) = (low + high, low - high);
            }
            for (pair, around) in out.chunks_exact_mut(2).zip(line.windows(TAPS).step_by(2)) {
                let (even, odd) = filter(around);
                (pair[0], pair[1]) = (saturate(odd >> 11), saturate(even >> 11));
            }
            self.before.copy_from_slice(&line[2 * bytes.len()..]);
        }
    }

    /// Learns what those bytes tell of the voice, without making samples.
    pub(crate) fn skim(&mut self, bytes: &[u8]) {
        let (first, last) = bytes.split_at(bytes.len().saturating_sub(TAPS / 2 - 1));
        for byte in first {
            self.bands.low.adapt(byte & 0x3f);
            self.bands.high.adapt(byte >> 6);
        }
        // The filter remembers no more than these.
        self.decode(last, &mut [0; TAPS - 2][..2 * last.len()]);
    }
}

/// Follows the lower band of a voice, for its loudness alone.
#[derive(Debug, Clone)]
pub(crate) struct Scout(Band<6>);

impl Scout {
    pub(crate) fn new() -> Self {
        Self(Band::new(32))
    }

    /// Mean square of what the lower band holds in those bytes, in 16-bit samples.
    pub(crate) fn mean_square(&mut self, bytes: &[u8]) -> u64 {
        let square = |byte: &u8| (2 * i64::from(self.0.decode(byte & 0x3f))).pow(2) as u64;
        bytes.iter().map(square).sum::<u64>() / bytes.len().max(1) as u64
    }
}

/// About how loud a packet is, in dB under 0 dBov, by itself: the step that its codes would have if they went on like this. Noise is taken
/// for louder, and what can be foretold well, such as a tone, for softer than it is.
pub(crate) fn dbov(bytes: &[u8]) -> u8 {
    // The step's logarithm moves by a 128th of itself and by what each code says, so that it settles where both are equal.
    let paces: i32 = bytes.iter().map(|byte| i32::from(LOW_PACE[usize::from(byte >> 2 & 0xf)])).sum();
    let log = 128 * paces / bytes.len().max(1) as i32;
    // An octave is 2048. The steps of an encoder that hears nothing flutter about the least, up to this.
    match 66 - log.clamp(0, 18_432) * 6 / 2048 {
        55.. => 127,
        below => below as u8,
    }
}

/// Both bands of one direction.
#[derive(Debug, Clone)]
struct Bands {
    low: Band<6>,
    high: Band<2>,
}

impl Bands {
    fn new() -> Self {
        Self {
            low: Band::new(32),
            high: Band::new(8),
        }
    }
}

/// What both ends know of one band, whose codes have that many bits.
#[derive(Debug, Clone)]
struct Band<const BITS: u32> {
    predictor: Predictor,
    /// Logarithm of the step, and the step.
    log: i16,
    step: i16,
}

impl<const BITS: u32> Band<BITS> {
    fn new(step: i16) -> Self {
        Self {
            predictor: Predictor::default(),
            log: 0,
            step,
        }
    }
}

impl Band<6> {
    fn encode(&mut self, sample: i16) -> u8 {
        let difference = sample.saturating_sub(self.predictor.next);
        let code = quantize_low(difference, self.step);
        self.adapt(code);
        code
    }

    fn decode(&mut self, code: u8) -> i16 {
        let sample = self.predictor.next.saturating_add(scale(LOW_FINE[usize::from(code)], self.step));
        self.adapt(code);
        limit(sample.into())
    }

    /// The predictor hears four of the six bits only, so that two may be taken away on the wire.
    fn adapt(&mut self, code: u8) {
        self.predictor.adapt(scale(LOW_COARSE[usize::from(code >> 2)], self.step));
        self.pace(code);
    }

    fn pace(&mut self, code: u8) {
        self.log = (leak(self.log, 32_512) + LOW_PACE[usize::from(code >> 2)]).clamp(0, 18_432);
        self.step = step(self.log, 9);
    }
}

impl Band<2> {
    fn encode(&mut self, sample: i16) -> u8 {
        let difference = sample.saturating_sub(self.predictor.next);
        let far = i32::from(magnitude(difference)) >= (564 * i32::from(self.step)) >> 12;
        let code = match (difference < 0, far) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.adapt(code);
        code
    }

    fn decode(&mut self, code: u8) -> i16 {
        let sample = self.predictor.next.saturating_add(scale(HIGH[usize::from(code)], self.step));
        self.adapt(code);
        limit(sample.into())
    }

    fn adapt(&mut self, code: u8) {
        self.predictor.adapt(scale(HIGH[usize::from(code)], self.step));
        self.pace(code);
    }

    fn pace(&mut self, code: u8) {
        self.log = (leak(self.log, 32_512) + HIGH_PACE[usize::from(code)]).clamp(0, 22_528);
        self.step = step(self.log, 11);
    }
}

/// There are six zeros; two more, which foretell nothing, let the compiler work on all at once.
const ZEROS: usize = 6;
const LANES: usize = 8;

/// Foretells the next sample from the last two (poles) and the last six differences (zeros): block 4 of the Recommendation.
#[derive(Debug, Clone, Default)]
struct Predictor {
    /// What is foretold, and the part that the zeros have in it.
    next: i16,
    next_by_zeros: i16,
    poles: [i16; 2],
    zeros: [i16; LANES],
    /// Newest first: differences, and those plus what the zeros foretold.
    differences: [i16; LANES],
    partial: [i16; 2],
    /// The last sample as the decoder knows it.
    sample: i16,
}

impl Predictor {
    fn adapt(&mut self, difference: i16) {
        let partial = difference.saturating_add(self.next_by_zeros);
        let sample = self.next.saturating_add(difference);

        let pull = if difference == 0 { 0 } else { 128 };
        for (zero, &before) in self.zeros.iter_mut().zip(&self.differences) {
            // All ones where the signs differ; then the pull is negative.
            let unlike = (before ^ difference) >> 15;
            *zero = leak_slowly(*zero).saturating_add((pull ^ unlike) - unlike);
        }
        self.differences.copy_within(..ZEROS - 1, 1);
        self.differences[0] = difference;

        let alike = self.partial.map(|before| (before < 0) == (partial < 0));
        let [first, second] = self.poles;
        let pull = saturate(i32::from(first) * 4);
        let pull = if alike[0] { pull.saturating_neg() } else { pull } >> 7;
        let second = (pull + if alike[1] { 128 } else { -128 } + leak(second, 32_512)).clamp(-12_288, 12_288);
        let most = 15_360 - second;
        let first = leak(first, 32_640)
            .saturating_add(if alike[0] { 192 } else { -192 })
            .clamp(-most, most);
        self.poles = [first, second];
        self.partial = [partial, self.partial[0]];

        let part = |weight: i16, value: i16| leak(weight, value.saturating_add(value));
        let mut parts = [0; LANES];
        for ((to, &zero), &difference) in parts.iter_mut().zip(&self.zeros).zip(&self.differences) {
            *to = part(zero, difference);
        }
        self.next_by_zeros = parts[..ZEROS].iter().rev().fold(0i16, |sum, &part| sum.saturating_add(part));
        let by_poles = part(first, sample).saturating_add(part(second, self.sample));
        self.sample = sample;
        self.next = by_poles.saturating_add(self.next_by_zeros);
    }
}

/// Sums of the samples at even and at odd places, each with its weight.
fn filter(around: &[i16]) -> (i32, i32) {
    let weigh = |n: usize| SPLIT[n] * i32::from(around[n]);
    (0..TAPS)
        .step_by(2)
        .fold((0, 0), |(even, odd), n| (even + weigh(n), odd + weigh(n + 1)))
}

/// A product of two fractions of 15 bits.
fn leak(value: i16, by: i16) -> i16 {
    saturate((i32::from(value) * i32::from(by)) >> 15)
}

/// The same by 32640, without a product.
fn leak_slowly(value: i16) -> i16 {
    let up = i16::from(value & 0xff != 0);
    value - (value >> 8) - up
}

fn scale(level: i16, step: i16) -> i16 {
    leak(level, step)
}

fn saturate(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// A band has 15 bits.
fn limit(value: i32) -> i16 {
    value.clamp(-16_384, 16_383) as i16
}

/// The amplitude, by ones' complement.
fn magnitude(value: i16) -> i16 {
    if value < 0 { !value } else { value }
}

/// A step from its logarithm, of 11 bits behind the point; bands differ in `shift`.
fn step(log: i16, shift: i16) -> i16 {
    let fraction = i32::from(EXP[usize::from((log >> 6 & 31) as u16)]);
    (((2 * fraction) >> (shift - (log >> 11))) << 2) as i16
}

/// The code of a difference in the low band: its sign, and how many of the thresholds it reaches.
fn quantize_low(difference: i16, step: i16) -> u8 {
    let (magnitude, step) = (i32::from(magnitude(difference)), i32::from(step));
    let mut reached = 0;
    for half in [16, 8, 4, 2, 1] {
        let at = LOW_THRESHOLDS[reached + half - 1];
        reached += if (at * step) >> 12 <= magnitude { half } else { 0 };
    }
    let reached = reached.min(29) as u8;
    match (difference < 0, reached) {
        (false, _) => 61 - reached,
        (true, 0 | 1) => 63 - reached,
        (true, _) => 33 - reached,
    }
}

/// Thresholds of the low band: table 6 without its beginning; the last two are never told apart from the one before.
#[rustfmt::skip]
const LOW_THRESHOLDS: [i32; 31] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980,
    2195, 2557, 2919, 3200, 3200,
];

/// Levels by six bits, by their upper four, and by the two of the high band; in eighths of the Recommendation's units.
#[rustfmt::skip]
const LOW_FINE: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
    24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const LOW_COARSE: [i16; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
];
const HIGH: [i16; 4] = [-7408, -1616, 7408, 1616];

/// How the step grows with each code.
const LOW_PACE: [i16; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const HIGH_PACE: [i16; 4] = [798, -214, 798, -214];

/// Powers of two with fractions of a 32nd, of 11 bits behind the point.
const EXP: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228,
    3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    /// Two seconds of each: noise as loud as can be, noise of changing loudness, a square wave over the whole range, a sweep.
    fn signals() -> [Vec<i16>; 4] {
        let mut dice = 1u64;
        let mut noise = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 48) as i16
        };
        let loud = (0..32_000).map(|_| noise()).collect();
        let changing = (0..32_000).map(|n| noise() >> (n / 1600 % 15)).collect();
        let square = (0..32_000).map(|n| if n / 37 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut phase = 0u16;
        let sweep = (0..32_000u16).map(|n| {
            phase = phase.wrapping_add(50 + n / 4);
            (phase as i16).saturating_abs().wrapping_sub(16_384)
        });
        [loud, changing, square, sweep.collect()]
    }

    /// FNV-1a.
    fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }

    fn encoded(pcm: &[i16], frame: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::new(), vec![0; pcm.len() / 2]);
        pcm.chunks(frame)
            .zip(out.chunks_mut(frame / 2))
            .for_each(|(pcm, out)| encoder.encode(pcm, out));
        out
    }

    fn decoded(bytes: &[u8], frame: usize) -> Vec<i16> {
        let (mut decoder, mut out) = (Decoder::new(), vec![0; bytes.len() * 2]);
        bytes
            .chunks(frame)
            .zip(out.chunks_mut(frame * 2))
            .for_each(|(bytes, out)| decoder.decode(bytes, out));
        out
    }

    /// The numbers are of what the ITU's own program makes of these signals: module g722 of the Software Tool Library 2009 (Recommendation
    /// G.191), built from its source, in mode 1.
    #[test]
    fn every_bit_is_as_in_the_reference() {
        let reference = [
            (0x866e_2968_6715_aaad, 0x3f43_27e4_e087_0537),
            (0xdc75_8ee1_073f_895f, 0x685f_4f8d_74a1_73ab),
            (0xcef1_0be8_e618_ac32, 0x2194_b88f_b004_66bd),
            (0xa6fb_ec2a_39f1_86be, 0x475a_d28c_18ee_f688),
        ];
        for (n, (pcm, reference)) in signals().iter().zip(reference).enumerate() {
            let bytes = encoded(pcm, 320);
            let heard = hash(decoded(&bytes, 160).iter().flat_map(|sample| sample.to_le_bytes()));
            let found = (hash(bytes.iter().copied()), heard);
            assert_eq!(found, reference, "signal {n}: {found:#x?}");
        }
        // Any byte is a legal one.
        let noise: Vec<u8> = signals()[0].iter().map(|&sample| (sample >> 8) as u8).collect();
        let heard = hash(decoded(&noise, 160).iter().flat_map(|sample| sample.to_le_bytes()));
        assert_eq!(heard, 0x3a02_9bfc_df2e_b00b, "{heard:#x}");
    }

    #[test]
    fn frames_of_any_length_join_without_a_seam() {
        let pcm = &signals()[1];
        let (bytes, heard) = (encoded(pcm, 320), decoded(&encoded(pcm, 320), 160));
        for frame in [2, 14, 160, 640, 1920] {
            assert!(encoded(pcm, frame) == bytes && decoded(&bytes, frame / 2) == heard, "{frame}");
        }
    }

    #[test]
    fn silence_is_silent_after_any_voice() {
        for pcm in signals() {
            let mut decoder = Decoder::new();
            decoder.decode(&encoded(&pcm, 320), &mut vec![0; pcm.len()]);
            let mut heard = vec![0; 320 * 50];
            decoder.decode(&[SILENCE; 160 * 50], &mut heard);
            // After full scale a loop may stand still in either band: 0 and 8000 Hz at -54 dB, which nobody hears.
            let heard = &heard[3200..];
            assert!(heard.iter().all(|sample| sample.abs() < 64));
            assert!(heard.windows(3).all(|w| (w[0] - w[2]).abs() < 2));
        }
    }

    #[test]
    fn an_encoder_may_take_anothers_place() {
        let pcm = &signals()[1];
        let (first, second) = pcm.split_at(16_000);
        let mut one = Encoder::new();
        one.encode(first, &mut [0; 8000]);
        let mut other = one.clone();
        let (mut by_one, mut by_other) = (vec![0; 8000], vec![0; 8000]);
        one.encode(second, &mut by_one);
        other.encode(second, &mut by_other);
        assert_eq!(by_one, by_other);
        // One at rest is where a decoder of silence comes to.
        let mut decoder = Decoder::new();
        decoder.decode(&[SILENCE; 1600], &mut [0; 3200]);
        let rest = Encoder::at_rest();
        assert_eq!(format!("{:?}", rest.bands), format!("{:?}", decoder.bands));
    }

    #[test]
    fn all_is_known_of_a_skimmed_voice() {
        let bytes = encoded(&signals()[1], 320);
        let (mut decoding, mut skimming) = (Decoder::new(), Decoder::new());
        decoding.decode(&bytes, &mut vec![0; 32_000]);
        skimming.skim(&bytes);
        let (mut decoded, mut skimmed) = ([0; 320], [0; 320]);
        decoding.decode(&bytes[..160], &mut decoded);
        skimming.decode(&bytes[..160], &mut skimmed);
        assert_eq!(decoded, skimmed);
    }

    #[test]
    fn r65_bytes_tell_about_how_loud_they_are() {
        let noise = &signals()[0][..9600];
        let buzz: Vec<f64> = (0..9600)
            .map(|n| f64::from(n) / 16_000.0 * std::f64::consts::TAU)
            .map(|t| (1..20).map(|k| (t * 130.0 * f64::from(k)).sin() / f64::from(k)).sum())
            .collect();
        for below in [10, 20, 30, 40, 50] {
            let amplitude = 32_768.0 * 10f64.powf(-f64::from(below) / 20.0);
            let hiss: Vec<i16> = noise.iter().map(|&s| (f64::from(s) / 18_900.0 * amplitude) as i16).collect();
            let voice: Vec<i16> = buzz.iter().map(|s| (s / 0.89 * amplitude) as i16).collect();
            let mut scout = Scout::new();
            let exact = Level::of_square(scout.mean_square(&encoded(&voice, 320))).dbov();
            assert!(exact.abs_diff(below) <= 1, "-{below}: -{exact}");
            let [hiss, voice] = [hiss, voice].map(|pcm| dbov(&encoded(&pcm, 320)[1600..1760]));
            assert!(hiss.abs_diff(below) < 8 && voice.abs_diff(below) < 8, "-{below}: -{hiss} -{voice}");
        }
        let silence = encoded(&[0; 32_000], 320);
        assert!(silence.chunks(160).all(|packet| dbov(packet) == 127));
        assert_eq!(dbov(&[SILENCE; 160]), 127);
    }

    #[test]
    fn leaking_slowly_is_leaking() {
        for value in i16::MIN..=i16::MAX {
            assert_eq!(leak_slowly(value), leak(value, 32_640));
        }
    }
}
