//! One window of a row: a server started anew, everybody let in, and what that costs once it runs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    floor::Floor,
    folder::Folder,
    janus::Janus,
    load::{Load, Part, Script},
    machine::{self, Reading, Usage},
    ours::Ours,
    quality::{Pair, Sent},
    server::{Codec, Server},
    speech::Sounds,
    track::Track,
};

/// Between two looks at the sockets. What comes in that time fits into their buffers.
const LOOK: Duration = Duration::from_millis(1);

/// Frames by which one participant's speech is ahead of the one's before with the same voice.
const AHEAD: usize = 137;

/// Frames by which each round is ahead of the one before.
const NEXT: usize = 500;

/// A participant who gets fewer packets a second isn't served.
const HELD: f64 = 49.5;

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Ours,
    Janus,
    Floor,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "cusax",
            Self::Janus => "janus",
            Self::Floor => "floor",
        }
    }

    /// Starts it with these rooms.
    pub(crate) fn start(self, folder: &Path, rooms: &[Codec], people: usize) -> Outcome<Box<dyn Server>> {
        let server: Box<dyn Server> = match self {
            Self::Ours => Box::new(Ours::start(folder, rooms)?),
            Self::Janus => Box::new(Janus::start(folder, rooms)?),
            Self::Floor => Box::new(Floor::start(people)?),
        };
        machine::prefer(server.id());
        Ok(server)
    }
}

/// Who is in the one room of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast {
    pub(crate) codec: Codec,
    pub(crate) people: usize,
    /// The first ones; the others send silence.
    pub(crate) talkers: usize,
}

impl Cast {
    /// In each round they say something else.
    fn parts(&self, voices: usize, round: usize) -> Vec<Part> {
        let part = |n: usize| Part {
            room: 0,
            codec: self.codec,
            script: Script {
                voice: n % voices,
                from: n / voices * AHEAD + round * NEXT,
                speaks: 0..if n < self.talkers { usize::MAX } else { 0 },
                ..Script::default()
            },
            records: n + 1 == self.people && n >= self.talkers,
        };
        (0..self.people).map(part).collect()
    }
}

/// What was measured.
pub(crate) struct Window {
    pub(crate) usage: Usage,
    /// Packets a second of who got least, and of all on average.
    pub(crate) least: f64,
    pub(crate) mean: f64,
    /// Why it doesn't count, if so.
    pub(crate) void: Option<&'static str>,
    /// What a listener heard, if there was one, beside what was said.
    pub(crate) pair: Option<Pair>,
}

impl Window {
    /// Starts a server, lets everybody in, and measures once they have settled.
    pub(crate) fn measure(peer: Peer, cast: Cast, round: usize, sounds: &Sounds, settle: Duration, length: Duration) -> Outcome<Self> {
        let folder = Folder::new(peer.name());
        let mut server = peer.start(&folder, &[cast.codec], cast.people)?;
        let mut load = Load::join(&mut *server, &cast.parts(sounds.voices.len(), round), LOOK, sounds)?;
        load.run(settle);
        load.reset();
        let (before, began) = (Reading::take(server.id())?, Instant::now());
        load.run(length);
        let seconds = began.elapsed().as_secs_f64();
        let usage = Reading::take(server.id())?.since(&before, seconds);
        // No longer needed, and its last words would be heard.
        drop(server);
        Ok(Self {
            usage,
            least: load.least_heard(seconds),
            mean: load.mean_heard(seconds),
            void: void(usage, load.unsent()),
            pair: if peer == Peer::Floor { None } else { listened(&load)? },
        })
    }

    /// Whether everybody was served.
    pub(crate) fn held(&self) -> bool {
        self.least >= HELD
    }
}

fn void(usage: Usage, unsent: u64) -> Option<&'static str> {
    if usage.steal > 2.0 {
        Some("the hypervisor took more than 2 %")
    } else if usage.load_core > 85.0 {
        Some("the generator's core was over 85 % busy")
    } else {
        (unsent > 0).then_some("the generator couldn't send all")
    }
}

/// What the listener of a room of three talkers heard.
fn listened(load: &Load<'_>) -> Outcome<Option<Pair>> {
    let Some(listener) = load.people.iter().find(|p| p.part.records) else {
        return Ok(None);
    };
    let track = Track::new(listener.part.codec, &listener.heard)?;
    let talkers = load.people.iter().filter(|p| p.part.script.speaks.contains(&0));
    let voices: Vec<Sent> = talkers.map(|p| Sent::new(load, p)).collect();
    Ok(Pair::new(listener.part.codec, &track, &voices, load.start))
}
