//! Trials that aren't about cost: delay with ten in a room, and sound when packets get lost.

use std::{ops::Range, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Outcome,
    delay::Delays,
    folder::Folder,
    load::{Load, Part, Script},
    quality::{Pair, Sent},
    server::Codec,
    speech::Sounds,
    track::Track,
    window::Peer,
};

/// Between two looks at the sockets: how exactly arrivals are known.
const LOOK: Duration = Duration::from_micros(100);

/// Both codecs, each in the room of its place.
const CODECS: [Codec; 2] = [Codec::Pcmu, Codec::Opus];

/// Frames of 20 ms: a stall, the time in which its traces have to be gone, and how long is listened then.
const STALL: usize = 10;
const RECOVERY: usize = 100;
const AFTER: usize = 100;

/// How somebody speaks after the other in a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) people: usize,
    /// Frames of 20 ms.
    pub(crate) length: usize,
}

/// Milliseconds from arrival to departure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    /// How much more, if above 0, two seconds after a stall of 200 ms.
    pub(crate) after_stall: f64,
}

impl Turns {
    /// All but the first speak in turn; the last one goes on, stalls, and goes on.
    fn turn(&self, n: usize) -> Range<usize> {
        let begin = (n - 1) * self.length;
        let length = if n + 1 == self.people {
            self.length + STALL + RECOVERY + AFTER
        } else {
            self.length
        };
        begin..begin + length
    }

    fn stall(&self) -> Range<usize> {
        let begin = (self.people - 1) * self.length;
        begin..begin + STALL
    }

    fn parts(&self) -> Vec<Part> {
        let part = |room: usize, n: usize| Part {
            room,
            codec: CODECS[room],
            script: Script {
                voice: n,
                speaks: if n == 0 { 0..0 } else { self.turn(n) },
                stall: if n + 1 == self.people { self.stall() } else { 0..0 },
                ..Script::default()
            },
            records: n == 0,
        };
        (0..CODECS.len())
            .flat_map(|room| (0..self.people).map(move |n| part(room, n)))
            .collect()
    }

    /// Lets them speak in a room for each codec at the same time; gives what was found for each.
    pub(crate) fn measure(self, peer: Peer, sounds: &Sounds) -> Outcome<[Option<Delay>; 2]> {
        let folder = Folder::new(peer.name());
        let mut server = peer.start(&folder, &CODECS, 0)?;
        let mut load = Load::join(&mut *server, &self.parts(), LOOK, sounds)?;
        let end = self.turn(self.people - 1).end;
        load.run(Duration::from_millis(20 * end as u64));
        drop(server);
        let (stall, last) = (self.stall(), self.turn(self.people - 1));
        let of = |room: usize| -> Outcome<Option<Delay>> {
            let delays = Delays::new(&load, CODECS[room], room)?;
            let all = delays.sorted(|frame| frame < stall.start);
            let before = quantile(&delays.sorted(|f| last.contains(&f) && f < stall.start), 0.5);
            let after = quantile(&delays.sorted(|f| f >= stall.end + RECOVERY), 0.5);
            Ok(quantile(&all, 0.5).zip(quantile(&all, 0.99)).map(|(median, p99)| Delay {
                median,
                p99,
                after_stall: before.zip(after).map_or(f64::NAN, |(before, after)| after - before),
            }))
        };
        Ok([of(0)?, of(1)?])
    }
}

/// Of values in rising order.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    sorted.get(((sorted.len().checked_sub(1)?) as f64 * part).round() as usize).copied()
}

/// Packets that get lost between a talker and the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) name: &'static str,
    pub(crate) codec: Codec,
    /// How many packets in a row.
    run: usize,
}

/// 5 % in all of them.
pub(crate) const LOSSES: [Loss; 4] = [
    Loss {
        name: "PCMU, 5 % random",
        codec: Codec::Pcmu,
        run: 1,
    },
    Loss {
        name: "PCMU, 5 % in bursts of 60 ms",
        codec: Codec::Pcmu,
        run: 3,
    },
    Loss {
        name: "Opus with FEC, 5 % random",
        codec: Codec::Opus,
        run: 1,
    },
    Loss {
        name: "Opus with FEC, 5 % in bursts of 60 ms",
        codec: Codec::Opus,
        run: 3,
    },
];
const LOST: f64 = 0.05;
/// The same packets get lost in each run.
const SEED: u64 = 7;

/// Lets one speak and one listen in a room for each kind of loss; gives what each listener heard.
pub(crate) fn losses(peer: Peer, sounds: &Sounds, settle: Duration, length: Duration) -> Outcome<Vec<Pair>> {
    let frames = (length.as_millis() / 20) as usize;
    let mut parts = Vec::new();
    for (room, loss) in LOSSES.iter().enumerate() {
        let mut rng = StdRng::seed_from_u64(SEED);
        let lost = (0..frames.div_ceil(loss.run)).flat_map(|_| std::iter::repeat_n(rng.random_bool(LOST), loss.run));
        let talker = Part {
            room,
            codec: loss.codec,
            script: Script {
                speaks: 0..usize::MAX,
                fec: true,
                lost: lost.collect(),
                ..Script::default()
            },
            records: false,
        };
        let listener = Part {
            script: Script::default(),
            records: true,
            ..talker.clone()
        };
        parts.extend([talker, listener]);
    }
    let folder = Folder::new(peer.name());
    let mut server = peer.start(&folder, &LOSSES.map(|l| l.codec), 0)?;
    let mut load = Load::join(&mut *server, &parts, LOOK, sounds)?;
    load.run(settle);
    load.reset();
    load.run(length);
    drop(server);
    let pairs = load.people.chunks_exact(2).map(|room| {
        let (talker, listener) = (&room[0], &room[1]);
        let track = Track::new(listener.part.codec, &listener.heard)?;
        Pair::new(listener.part.codec, &track, &[Sent::new(&load, talker)], load.start).ok_or_else(|| "nothing was heard".into())
    });
    pairs.collect()
}
