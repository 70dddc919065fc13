//! What a leg is sent in a tick: packet length, gaps in silence, RTP time.

use crate::{Codec, Leg, LegSettings, Unbuildable, pack::Pack};

/// Ticks of silence that are sent before a gap may begin: the peer's decoder comes to rest.
const SILENT_RUN: u32 = 10;
/// Ticks between packets in a gap: 400 ms, so that nobody on the way takes the leg for dead (rule R62).
const KEEP_ALIVE: u32 = 20;

/// Comfort noise: a level of -127 dBov, which is none (RFC 3389 section 3).
const NO_NOISE: [u8; 1] = [127];

/// One packet to send to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// What the payload is, and so its payload type.
    pub kind: OutputKind,
    /// The codec's bytes.
    pub payload: &'a [u8],
    /// When the packet's first sample is due, in units of the codec's RTP clock since the leg's audio was built; wraps. The caller adds
    /// its random offset (RFC 3550 section 5.1).
    pub timestamp: u32,
    /// The packet is the first one, or the first after a gap (rule R62).
    pub marker: bool,
    /// Whose voices are in it, never the leg's own: for CSRC (RFC 3550 section 5.1) and RFC 6465 (rule R69). Of a packet of several ticks
    /// those of the last.
    pub talkers: &'a [Talker],
}

/// A voice that is in what a leg is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talker {
    /// Whose it is.
    pub leg: Leg,
    /// How loud it is in this tick, in -dBov (RFC 6465): 0 is the loudest, 127 silence.
    pub level: u8,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// The leg's codec.
    Audio,
    /// Comfort noise (RFC 3389), payload type 13.
    ComfortNoise,
}

/// Where the audio of a tick comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A prepared frame.
    Silence,
    /// What everybody hears who has no voice in it.
    Shared,
    /// What only this leg hears.
    Own,
}

/// One leg's way out.
pub(crate) struct Outlet {
    codec: Codec,
    /// What silence may become.
    gap: Gap,
    cut: Cut,
    /// RTP time of the next tick.
    clock: u32,
    /// Ticks of silence so far.
    silent: u32,
    /// Nothing was sent, or not everything.
    broken: bool,
    due: Option<Due>,
}

/// How a tick's frame becomes packets.
enum Cut {
    /// Each is one.
    Frame,
    /// Each is two, of 10 ms.
    Halves,
    /// Longer ones are collected here.
    Pack(Pack),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Silence is sent as audio.
    Never,
    /// Nothing but a frame now and then: Opus DTX.
    Empty,
    /// Nothing but comfort noise now and then.
    Noise,
}

/// What this tick sends.
#[derive(Debug, Clone, Copy)]
struct Due {
    what: What,
    timestamp: u32,
    marker: bool,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Frame(Source),
    Halves(Source),
    Pack,
    Noise,
}

impl Outlet {
    pub(crate) fn new(settings: LegSettings) -> Result<Self, Unbuildable> {
        settings.check()?;
        let gap = match settings.codec {
            Codec::Opus if settings.dtx => Gap::Empty,
            Codec::Pcmu | Codec::Pcma if settings.comfort_noise => Gap::Noise,
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => Gap::Never,
        };
        let cut = match settings.ptime_ms {
            10 => Cut::Halves,
            20 => Cut::Frame,
            longer => Cut::Pack(Pack::new(settings.codec, longer)),
        };
        Ok(Self {
            codec: settings.codec,
            gap,
            cut,
            clock: 0,
            silent: 0,
            broken: true,
            due: None,
        })
    }

    /// Goes on with another outlet's time.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.clock = other.clock;
    }

    /// Lets ticks pass without sending.
    pub(crate) fn pause(&mut self, ticks: u32) {
        if let Cut::Pack(pack) = &mut self.cut {
            pack.clear();
        }
        self.due = None;
        self.broken = true;
        self.silent = 0;
        self.clock = self.clock.wrapping_add(self.codec.clock_step().wrapping_mul(ticks));
    }

    /// Takes this tick's frame, and decides what is sent.
    pub(crate) fn send(&mut self, source: Source, frame: &[u8]) {
        let now = self.clock;
        self.clock = now.wrapping_add(self.codec.clock_step());
        self.silent = if source == Source::Silence {
            self.silent.saturating_add(1)
        } else {
            0
        };
        let marker = self.broken;
        let due = |what, timestamp| Due { what, timestamp, marker };
        if self.gap == Gap::Never || self.silent <= SILENT_RUN {
            self.due = match &mut self.cut {
                Cut::Frame => Some(due(What::Frame(source), now)),
                Cut::Halves => Some(due(What::Halves(source), now)),
                Cut::Pack(pack) => pack.add(frame, now).map(|begin| due(What::Pack, begin)),
            };
            self.broken &= self.due.is_none();
        } else {
            let rest = match &mut self.cut {
                Cut::Frame | Cut::Halves => None,
                Cut::Pack(pack) => pack.flush(),
            };
            self.due = rest.map(|begin| due(What::Pack, begin)).or_else(|| self.in_gap(now));
            self.broken = true;
        }
    }

    fn in_gap(&self, now: u32) -> Option<Due> {
        let ticks = self.silent - SILENT_RUN;
        let (what, marker, when) = match self.gap {
            Gap::Never => return None,
            Gap::Empty => (What::Frame(Source::Silence), true, ticks.is_multiple_of(KEEP_ALIVE)),
            Gap::Noise => (What::Noise, false, ticks % KEEP_ALIVE == 1),
        };
        when.then_some(Due {
            what,
            timestamp: now,
            marker,
        })
    }

    /// Shows what is sent in this tick, with those voices in it; `frame` finds the bytes.
    pub(crate) fn outputs<'a>(&'a self, talkers: &'a [Talker], frame: impl FnOnce(Source) -> &'a [u8], mut send: impl FnMut(Output<'a>)) {
        let Some(Due { what, timestamp, marker }) = self.due else { return };
        let audio = |payload, timestamp, marker| Output {
            kind: OutputKind::Audio,
            payload,
            timestamp,
            marker,
            talkers,
        };
        match (what, &self.cut) {
            (What::Frame(source), _) => send(audio(frame(source), timestamp, marker)),
            (What::Halves(source), _) => {
                let frame = frame(source);
                let (first, second) = frame.split_at(frame.len() / 2);
                send(audio(first, timestamp, marker));
                send(audio(second, timestamp.wrapping_add(self.codec.clock_step() / 2), false));
            }
            (What::Pack, Cut::Pack(pack)) => send(audio(pack.done(), timestamp, marker)),
            (What::Pack, Cut::Frame | Cut::Halves) => {}
            (What::Noise, _) => send(Output {
                kind: OutputKind::ComfortNoise,
                ..audio(&NO_NOISE, timestamp, marker)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet(settings: LegSettings) -> Outlet {
        Outlet::new(settings).expect("good settings")
    }

    /// Sends those sources, gives tick, kind, timestamp and marker of every packet.
    fn run(outlet: &mut Outlet, sources: impl IntoIterator<Item = Source>) -> Vec<(usize, OutputKind, u32, bool)> {
        let mut sent = Vec::new();
        for (tick, source) in sources.into_iter().enumerate() {
            let frame: &[u8] = if outlet.codec == Codec::Opus { &[0xf8, 1, 2] } else { &[1; 160] };
            outlet.send(source, frame);
            outlet.outputs(&[], |_| frame, |o| sent.push((tick, o.kind, o.timestamp, o.marker)));
        }
        sent
    }

    #[test]
    fn r62_g711_is_sent_in_silence_too() {
        let mut phone = outlet(LegSettings {
            dtx: true,
            ..LegSettings::plain(Codec::Pcmu)
        });
        let sent = run(&mut phone, [Source::Silence; 100]);
        assert_eq!(sent.len(), 100);
        assert!(
            sent.iter()
                .enumerate()
                .all(|(n, packet)| *packet == (n, OutputKind::Audio, 160 * n as u32, n == 0))
        );
    }

    #[test]
    fn r62_opus_pauses_only_with_usedtx_and_never_longer_than_400_ms() {
        let mut plain = outlet(LegSettings::plain(Codec::Opus));
        assert_eq!(run(&mut plain, [Source::Silence; 100]).len(), 100);
        let mut dtx = outlet(LegSettings {
            dtx: true,
            ..LegSettings::plain(Codec::Opus)
        });
        let sent = run(&mut dtx, [Source::Silence; 100].into_iter().chain([Source::Shared; 5]));
        assert!(sent.len() < 25, "{sent:?}");
        for pair in sent.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap <= 20);
            assert_eq!(pair[1].2 - pair[0].2, 960 * gap as u32, "time goes on");
            assert_eq!(pair[1].3, gap > 1, "marker after a gap only: {sent:?}");
        }
        assert_eq!(sent.last().map(|packet| packet.0), Some(104));
    }

    #[test]
    fn r62_comfort_noise_only_where_negotiated() {
        let mut phone = outlet(LegSettings {
            comfort_noise: true,
            ..LegSettings::plain(Codec::Pcma)
        });
        let sent = run(&mut phone, [Source::Silence; 60].into_iter().chain([Source::Own; 2]));
        let noise: Vec<usize> = sent
            .iter()
            .filter(|packet| packet.1 == OutputKind::ComfortNoise)
            .map(|packet| packet.0)
            .collect();
        assert_eq!(noise, [10, 30, 50]);
        let after = sent.iter().find(|packet| packet.0 == 60).expect("voice is sent");
        assert_eq!((after.1, after.3), (OutputKind::Audio, true));
    }

    #[test]
    fn longer_packets_collect_frames() {
        for (codec, step) in [(Codec::Pcmu, 160), (Codec::G722, 160), (Codec::Opus, 960)] {
            for (ptime_ms, frames) in [(40, 2), (60, 3)] {
                let mut leg = outlet(LegSettings {
                    ptime_ms,
                    ..LegSettings::plain(codec)
                });
                let sent = run(&mut leg, [Source::Shared; 12]);
                assert_eq!(sent.len(), 12 / frames);
                assert!(
                    sent.iter()
                        .enumerate()
                        .all(|(n, packet)| packet.2 == (n * frames * step) as u32 && packet.3 == (n == 0))
                );
            }
        }
    }

    #[test]
    fn a_tick_may_be_two_packets() {
        for codec in [Codec::Pcma, Codec::G722] {
            let mut leg = outlet(LegSettings {
                ptime_ms: 10,
                ..LegSettings::plain(codec)
            });
            let frame: Vec<u8> = (0..160).collect();
            let mut sent = Vec::new();
            for _ in 0..2 {
                leg.send(Source::Shared, &frame);
                leg.outputs(
                    &[],
                    |_| &frame,
                    |o| sent.push((o.timestamp, o.marker, o.payload[0], o.payload.len())),
                );
            }
            assert_eq!(
                sent,
                [(0, true, 0, 80), (80, false, 80, 80), (160, false, 0, 80), (240, false, 80, 80)]
            );
        }
    }

    #[test]
    fn a_pause_keeps_the_time_and_sets_the_marker() {
        let mut leg = outlet(LegSettings {
            ptime_ms: 40,
            ..LegSettings::plain(Codec::Pcmu)
        });
        run(&mut leg, [Source::Shared; 3]);
        leg.pause(1);
        leg.pause(6);
        leg.outputs(&[], |_| &[], |output| panic!("{output:?}"));
        assert_eq!(run(&mut leg, [Source::Shared; 2]), [(1, OutputKind::Audio, 1600, true)]);
    }
}
