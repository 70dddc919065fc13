//! Opus: packets of 2.5 to 120 ms become ticks of 20 ms.

use super::line::{Line, Made};
use crate::{
    Codec, CodecFailed, Rate, Stock,
    codec::opus::{self, Decoder, GRAIN, MAX_DURATION},
    jitter::{Jitter, Packets, Turn},
    level::{Gate, Level, mean_square},
    mix::{fade_in, join},
};

const RATE: Rate = Codec::Opus.rate();
/// Samples of a tick, each of which is a unit of the RTP clock too.
const TICK: usize = Codec::Opus.clock_step() as usize;
const GRAIN_SAMPLES: usize = GRAIN as usize;

/// Jitter buffer of an Opus leg, and what decodes from it while the leg is heard.
pub(crate) struct OpusEar {
    pub(super) jitter: Jitter<Packets>,
    works: Option<Works>,
    /// The last tick's last sample, if it had a voice, and this one's goes on from there.
    last: Option<i16>,
    /// The decoder knows nothing of the packets before.
    stale: bool,
}

/// What decoding takes.
pub(crate) struct Works {
    decoder: Decoder,
    line: Line,
}

impl OpusEar {
    pub(super) fn new() -> Self {
        Self {
            jitter: Jitter::new(TICK as u32, Packets::new()),
            works: None,
            last: None,
            stale: true,
        }
    }

    pub(super) fn skim(&mut self) {
        self.jitter.skim();
        self.stop();
        self.stale = true;
    }

    pub(super) fn pull(&mut self, stock: &mut Stock, gate: &mut Gate, out: &mut [i16]) -> bool {
        let Turn::Play { excess, jumped } = self.jitter.turn() else {
            self.stop();
            gate.hear(0);
            return false;
        };
        stock.works().lend(&mut self.works);
        let Some(works) = &mut self.works else {
            self.jitter.pass(TICK as u32);
            self.stale = true;
            gate.hear(0);
            return false;
        };
        if jumped {
            works.line.clear();
        }
        if std::mem::take(&mut self.stale) {
            works.wake(self.jitter.store());
        }
        let most = works.line.reach(TICK, excess);
        let made = works.decode(&mut self.jitter, most, gate.is_open());
        let taken = works.line.take_mended(made, excess, out);
        if made.any {
            self.jitter.count_concealed();
        }
        self.jitter.pass(taken as u32);
        let voice = gate.hear(mean_square(out));
        match (voice, self.last) {
            (true, None) => fade_in(out, RATE),
            (true, Some(last)) if jumped => join(last, out, RATE),
            _ => {}
        }
        self.last = out.last().copied().filter(|_| voice);
        voice
    }

    /// How loud the newest packets are, if there is a decoder in stock to tell.
    pub(super) fn probe(&mut self, stock: &mut Stock) -> Option<Level> {
        let mut works = stock.works().spare();
        let level = works.as_mut().map(|works| works.level(self.jitter.store().newest()));
        stock.works().take_back(&mut works);
        level
    }

    /// Gives back what decodes, if nobody hears the leg in this tick.
    pub(super) fn rest(&mut self, stock: &mut Stock) {
        if self.stale {
            stock.works().take_back(&mut self.works);
        }
    }

    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn stop(&mut self) {
        self.forget();
        if let Some(works) = &mut self.works {
            works.line.clear();
        }
    }
}

impl Works {
    pub(crate) fn new() -> Result<Self, CodecFailed> {
        Ok(Self {
            decoder: Decoder::new(RATE)?,
            // Less than a tick is there; up to a tick may be concealed; then comes the longest packet.
            line: Line::new(RATE, 1, 2 * TICK + MAX_DURATION as usize),
        })
    }

    /// The level of the loudest of some packets in a row. A decoder that begins with a packet takes it for softer than it is, by 5 to 10 dB as
    /// a rule; that halves with each packet at least.
    fn level<'a>(&mut self, packets: impl Iterator<Item = &'a [u8]>) -> Level {
        self.decoder.restart();
        let mut samples = [0; MAX_DURATION as usize];
        let levels = packets.map(|packet| {
            let count = self.decoder.decode(packet, &mut samples).unwrap_or(0);
            // The binding takes C's shorts as u16.
            let squares = samples[..count].iter().map(|&sample| i64::from(sample as i16).pow(2) as u64);
            Level::of_square(squares.sum::<u64>() / count.max(1) as u64)
        });
        levels.max().unwrap_or_default()
    }

    /// Decodes up to so many samples, a tick at least; tells what of the tick was made up.
    fn decode(&mut self, jitter: &mut Jitter<Packets>, most: usize, audible: bool) -> Made {
        let mut made = Made::default();
        while self.line.len() < most {
            let at = self.line.len();
            let first = jitter.store().first();
            match first.map(|(offset, packet)| (offset - at as i32, packet)) {
                Some((gap, packet)) if gap < GRAIN as i32 => {
                    let mut samples = [0; MAX_DURATION as usize];
                    let count = self.decoder.decode(packet, &mut samples).unwrap_or(0);
                    // What overlaps with what was already decoded, or made up because it wasn't there in time.
                    let overlap = gap.min(0).unsigned_abs() as usize;
                    self.line.push(samples.get(overlap..count).unwrap_or_default());
                    jitter.store().drop_first();
                    made.at_end = 0;
                }
                Some((gap, packet)) if at < TICK => {
                    // The packet after a gap may hold the last frame before it once more (RFC 6716 section 2.1.7).
                    let (gap, again) = (gap as usize, opus::frame(packet) as usize);
                    if gap < again + GRAIN_SAMPLES {
                        let mut samples = [0; MAX_DURATION as usize];
                        let samples = &mut samples[..whole_grains(gap)];
                        let repeats = opus::repeats(packet);
                        self.decoder.recover(packet, samples);
                        self.line.push(samples);
                        if repeats {
                            jitter.count_repaired();
                        }
                        made.any |= !repeats;
                        made.at_end = 0;
                    } else {
                        self.conceal((gap - again).min(TICK - at), audible, &mut made);
                    }
                }
                None if at < TICK => self.conceal(TICK - at, audible, &mut made),
                Some(_) | None => break,
            }
        }
        made
    }

    /// Makes up so many samples.
    fn conceal(&mut self, count: usize, audible: bool, made: &mut Made) {
        let mut samples = [0; TICK];
        let samples = &mut samples[..count.next_multiple_of(GRAIN_SAMPLES).min(TICK)];
        if audible {
            self.decoder.conceal(samples);
        }
        self.line.push(samples);
        made.any = true;
        made.at_end += count;
    }

    /// Forgets what was decoded for somebody else, and lets the decoder hear what was passed over last, so that it doesn't begin a word with
    /// its mouth shut (rule R65).
    fn wake(&mut self, packets: &mut Packets) {
        self.line.clear();
        self.decoder.restart();
        let mut samples = [0; MAX_DURATION as usize];
        while let Some(packet) = packets.past() {
            self.decoder.decode(packet, &mut samples);
            packets.drop_first();
        }
    }
}

/// The most whole grains that are no longer.
fn whole_grains(samples: usize) -> usize {
    samples / GRAIN_SAMPLES * GRAIN_SAMPLES
}

#[cfg(test)]
mod tests {
    use opusic_c::{Application, Bitrate, Channels, Encoder, InbandFec, SampleRate};

    use super::*;
    use crate::Packet;

    /// A minute of a buzz like a voice, with forward error correction.
    fn packets() -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).expect("libopus works");
        encoder.set_bitrate(Bitrate::Value(32_000)).expect("a usual rate");
        encoder.set_complexity(0).expect("the least");
        encoder.set_inband_fec(InbandFec::Mode1).expect("it has that");
        encoder.set_packet_loss(10).expect("a percentage");
        let sample = |n: usize| {
            let time = n as f64 / 48_000.0;
            let buzz: f64 = (1..20).map(|k| (f64::from(k) * 800.0 * time).sin() / f64::from(k)).sum();
            (6000.0 * buzz * (25.0 * time).sin().abs()) as i16 as u16
        };
        let encode = |tick: usize| {
            let pcm: Vec<u16> = (0..TICK).map(|n| sample(tick % 50 * TICK + n)).collect();
            let mut packet = vec![0; 1275];
            let length = encoder.encode_to_slice(&pcm, &mut packet).expect("it encodes");
            packet.truncate(length);
            packet
        };
        (0..3000).map(encode).collect()
    }

    #[test]
    fn r66_the_next_packet_is_waited_for_where_losses_make_that_worth_while() {
        let (mut ear, mut gate) = (OpusEar::new(), Gate::default());
        let mut stock = Stock::new().expect("libopus works");
        let packets = packets();
        let mut stats = Vec::new();
        for (n, payload) in packets.iter().enumerate() {
            // From the tenth second to the thirtieth every 20th is lost.
            if !(500..1500).contains(&n) || n % 20 > 0 {
                ear.jitter.push(&Packet {
                    ssrc: 1,
                    sequence: n as u16,
                    timestamp: (n * TICK) as u32,
                    marker: false,
                    level: None,
                    since_tick_us: 10_000,
                    payload,
                });
            }
            ear.pull(&mut stock, &mut gate, &mut [0; TICK]);
            stats.push(ear.jitter.stats());
        }
        let (before, learning, during, end) = (stats[499], stats[600], stats[1499], stats[2999]);
        assert_eq!((before.delay_us, before.concealed), (10_000, 0));
        assert_eq!(during.delay_us, 30_000, "the next packet is there");
        assert_eq!(during.concealed, learning.concealed, "{learning:?} {during:?}");
        assert_eq!(during.repaired - learning.repaired, 45, "{learning:?} {during:?}");
        assert!(end.delay_us < 15_000, "there is nothing to wait for any more: {end:?}");
        assert_eq!((end.late, end.early, end.invalid), (0, 0, 0));
    }

    #[test]
    fn packets_that_overlap_or_are_broken_leave_no_hole() {
        let (mut ear, mut gate) = (OpusEar::new(), Gate::default());
        let mut stock = Stock::new().expect("libopus works");
        for (n, payload) in packets().iter().take(100).enumerate() {
            let broken = [0xff, 0xff, 0xff];
            ear.jitter.push(&Packet {
                ssrc: 1,
                sequence: n as u16,
                // Every tenth begins 5 ms too early.
                timestamp: (n * TICK) as u32 - if n % 10 == 5 { 240 } else { 0 },
                marker: false,
                level: None,
                since_tick_us: 10_000,
                payload: if n % 10 == 7 { &broken } else { payload },
            });
            let mut out = [0; TICK];
            assert!(n < 5 || ear.pull(&mut stock, &mut gate, &mut out));
        }
        assert_eq!(ear.jitter.stats().invalid, 10);
    }
}
