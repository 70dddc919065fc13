//! What our server does when it has too little time: small rooms in which everybody talks, which is all encoding.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use cusax::app::child;
use serde_json::Value;

use crate::{
    Outcome,
    folder::Folder,
    load::{Load, Part, Script},
    machine::Reading,
    server::Codec,
    speech::Sounds,
    window::Peer,
};

/// Everybody in a room hears another mix, as many as are heard together.
const PEOPLE: usize = 4;

/// Between two looks at the sockets.
const LOOK: Duration = Duration::from_millis(1);

/// Ticks of a media thread in a second.
const TICKS: f64 = 50.0;

/// What it came to.
#[derive(Debug)]
pub(crate) struct Strain {
    pub(crate) rooms: usize,
    /// Per cent of a core.
    pub(crate) server: f64,
    /// Steps of service that the thread has given up.
    pub(crate) shed: u64,
    /// Ticks that came late or not at all, in per cent.
    pub(crate) late: f64,
    /// Packets a second of who got least.
    pub(crate) least: f64,
}

/// Fills so many rooms, waits until the server has found its balance, and measures.
pub(crate) fn measure(rooms: usize, sounds: &Sounds, settle: Duration, length: Duration) -> Outcome<Strain> {
    let folder = Folder::new("strain");
    let mut server = Peer::Ours.start(&folder, &vec![Codec::Opus; rooms], 0)?;
    let part = |n: usize| Part {
        room: n / PEOPLE,
        codec: Codec::Opus,
        script: Script {
            voice: n % sounds.voices.len(),
            from: 137 * n,
            speaks: 0..usize::MAX,
            ..Script::default()
        },
        records: false,
    };
    let parts: Vec<Part> = (0..rooms * PEOPLE).map(part).collect();
    let mut load = Load::join(&mut *server, &parts, LOOK, sounds)?;
    load.run(settle);
    load.reset();
    let (stats, before, began) = (stats(&folder)?, Reading::take(server.id())?, Instant::now());
    load.run(length);
    let seconds = began.elapsed().as_secs_f64();
    let usage = Reading::take(server.id())?.since(&before, seconds);
    let after = self::stats(&folder)?;
    let more = |name: &str| count(&after, name) - count(&stats, name);
    let late = more("media.late_ticks") + more("media.skipped_ticks");
    Ok(Strain {
        rooms,
        server: usage.server,
        shed: count(&after, "media.thread0.shed_steps"),
        late: 100.0 * late as f64 / (TICKS * seconds),
        least: load.least_heard(seconds),
    })
}

fn stats(folder: &Path) -> Outcome<Value> {
    let mut command = child::command(env!("CARGO_BIN_EXE_cusax"), "")?;
    let output = command
        .args(["stats", "--json", "--socket", "control.sock"])
        .current_dir(folder)
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn count(stats: &Value, name: &str) -> u64 {
    stats["counters"][name].as_u64().unwrap_or(0)
}
