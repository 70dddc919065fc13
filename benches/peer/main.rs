//! Our server beside Debian's Janus AudioBridge, and beside a bare sender and receiver of the same packets: cost, delay and sound.
//!
//! `benches/peer/run`. Servers are pinned to one core and started anew for each window, the load generator to another one. The last line
//! is for machines: costs of Janus as multiples of ours, ours as a multiple of the floor, delays in ms, SNR in dB, PESQ.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints what it measured"
)]

#[path = "../../tests/interop/peers/caller.rs"]
#[expect(dead_code, reason = "these calls end with the server")]
mod caller;
mod delay;
mod floor;
#[path = "../../tests/interop/peers/folder.rs"]
mod folder;
mod janus;
mod load;
mod machine;
mod ours;
mod quality;
mod report;
mod server;
mod speech;
mod strain;
mod track;
mod trial;
mod window;

use std::{error::Error, time::Duration};

use cusax::app::child;

use folder::Folder;
use report::{Row, Trial};
use server::{Codec, OPUS_RATE};
use speech::Sounds;
use trial::Turns;
use window::{Cast, Peer, Window};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long and how large it all is.
#[derive(Debug)]
struct Plan {
    rounds: usize,
    /// Whether windows with a reason against them are left out.
    strict: bool,
    settle: Duration,
    window: Duration,
    /// People in the rows: PCMU, Opus with us, Opus with Janus, everybody talking.
    people: [usize; 4],
    turns: Turns,
    loss: Duration,
    voices: usize,
    /// Rooms of four who all talk: one number for each trial.
    strain: &'static [usize],
    /// Seconds that a voice speaks before it begins again.
    speech: usize,
}

/// Some ten minutes.
const FULL: Plan = Plan {
    rounds: 5,
    strict: true,
    settle: Duration::from_secs(2),
    window: Duration::from_secs(10),
    people: [300, 400, 48, 48],
    turns: Turns { people: 10, length: 175 },
    loss: Duration::from_secs(21),
    voices: 12,
    strain: &[8, 16, 32],
    speech: 25,
};

/// Half a minute, to see that it works.
const QUICK: Plan = Plan {
    rounds: 1,
    strict: false,
    settle: Duration::from_millis(500),
    window: Duration::from_millis(2000),
    people: [12, 12, 6, 6],
    turns: Turns { people: 4, length: 75 },
    loss: Duration::from_secs(3),
    voices: 3,
    strain: &[2],
    speech: 8,
};

const TALKERS: usize = 3;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    if let [kind, legs, ..] = &arguments[..]
        && kind == floor::ARGUMENT
    {
        return floor::serve(legs.parse()?);
    }
    // `cargo bench` says so, `cargo test` doesn't.
    let is_test = !has("--bench");
    let plan = if is_test || has("--quick") { QUICK } else { FULL };
    let only = arguments.iter().skip_while(|a| *a != "--only").nth(1);
    if let Some(missing) = ["espeak-ng", "sox"].into_iter().find(|p| !child::is_installed(p)) {
        if is_test {
            eprintln!("skipped: {missing} is not installed, which ./check and benches/peer/run do");
            return Ok(());
        }
        return Err(format!("{missing} is not installed (Debian: apt-get install {missing})").into());
    }
    let wanted = |part: &str| only.is_none_or(|o| o == part);
    let sounds = Sounds::new(&Folder::new("voices"), plan.voices, plan.speech)?;
    let (rows, trials) = run(&plan, &sounds, wanted)?;
    let strains = plan.strain.iter().filter(|_| wanted("strain"));
    let strains = strains.filter_map(|&rooms| told("strain", strain::measure(rooms, &sounds, plan.settle * 2, plan.window)));
    report::print_strains(&strains.collect::<Vec<_>>());
    let figures = report::print(&rows, &trials);
    // These need nothing but us.
    let own = ["floor", "snr_db", "delay_pcmu_ms", "delay_opus_ms"];
    match figures.iter().find(|(name, value)| own.contains(name) && value.is_none()) {
        Some((name, _)) if only.is_none() => Err(format!("no {name}").into()),
        Some(_) | None => Ok(()),
    }
}

/// Measures the parts that are wanted, of `pcmu`, `opus`, `talk`, `delay` and `loss`. What fails is told, and missing.
fn run(plan: &Plan, sounds: &Sounds, wanted: impl Fn(&str) -> bool) -> Outcome<(Vec<Row>, Vec<Trial>)> {
    machine::pin(std::process::id(), machine::load_core())?;
    let mut peers = vec![Peer::Ours];
    if janus::is_installed() {
        peers.push(Peer::Janus);
    } else {
        println!("without Janus: it is not installed (Debian: apt-get install janus)");
    }
    describe();
    let mut rows = rows(plan, &peers, &wanted);
    for round in 1..=plan.rounds {
        for row in &mut rows {
            let name = format!("round {round} {} {} {}", row.peer.name(), row.cast.codec.name(), row.cast.people);
            let window = Window::measure(row.peer, row.cast, round, sounds, plan.settle, plan.window);
            let Some(mut window) = told(&name, window) else { continue };
            if !plan.strict {
                window.void = None;
            }
            eprintln!("{name}: {:.2} % of a core", window.usage.server);
            row.windows.push(window);
        }
    }
    for row in &mut rows {
        let valid = row.windows.iter().filter(|w| w.void.is_none());
        row.pesq = quality::pesq(&valid.filter_map(|w| w.pair.as_ref()).collect::<Vec<_>>());
    }
    let mut trials = Vec::new();
    for &peer in &peers {
        let mut trial = Trial {
            peer,
            delays: [None; 2],
            loss_pesq: Vec::new(),
        };
        if wanted("delay") {
            trial.delays = told("delays", plan.turns.measure(peer, sounds)).unwrap_or_default();
        }
        if wanted("loss") {
            let pairs = told("losses", trial::losses(peer, sounds, plan.settle, plan.loss)).unwrap_or_default();
            trial.loss_pesq = quality::pesq(&pairs.iter().collect::<Vec<_>>());
        }
        trials.push(trial);
    }
    Ok((rows, trials))
}

/// What came out, or nothing once the error is told.
fn told<T>(name: &str, outcome: Outcome<T>) -> Option<T> {
    outcome.inspect_err(|error| eprintln!("{name}: {error}")).ok()
}

fn describe() {
    let first = if machine::prefer(std::process::id()) {
        "yes"
    } else {
        "not permitted"
    };
    println!("machine: {}", machine::describe());
    println!("processes before those of other sessions: {first}");
    println!("rooms: PCMU at 8000 Hz, Opus at 48000 Hz");
    println!("cusax: as shipped; Opus {OPUS_RATE} b/s asked for by maxaveragebitrate, complexity as it chooses");
    println!("janus: as shipped but bitrate {OPUS_RATE}; complexity 4, prebuffer 6 packets are its defaults");
    println!(
        "participants: espeak-ng at -6 dBFS; Opus {OPUS_RATE} b/s, complexity {}",
        speech::EFFORT
    );
}

fn rows(plan: &Plan, peers: &[Peer], wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let [pcmu, opus, opus_janus, talk] = plan.people;
    let mut rows = Vec::new();
    let mut row = |peer, codec, people, talkers| {
        let cast = Cast { codec, people, talkers };
        rows.push(Row {
            peer,
            cast,
            windows: Vec::new(),
            pesq: Vec::new(),
        });
    };
    for &peer in peers.iter().chain(&[Peer::Floor]).filter(|_| wanted("pcmu")) {
        row(peer, Codec::Pcmu, pcmu, TALKERS);
    }
    for &peer in peers.iter().filter(|_| wanted("opus")) {
        row(peer, Codec::Opus, if peer == Peer::Janus { opus_janus } else { opus }, TALKERS);
    }
    for &peer in peers.iter().filter(|_| wanted("talk")) {
        row(peer, Codec::Opus, talk, talk);
    }
    rows
}
