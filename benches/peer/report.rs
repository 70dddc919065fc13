//! The tables, and the last line for machines.

use crate::{
    server::Codec,
    strain::Strain,
    trial::{Delay, LOSSES, quantile},
    window::{Cast, Peer, Window},
};

/// The windows of one server with one cast.
pub(crate) struct Row {
    pub(crate) peer: Peer,
    pub(crate) cast: Cast,
    pub(crate) windows: Vec<Window>,
    /// Of each window in which there was a listener, if PESQ is to be had.
    pub(crate) pesq: Vec<f64>,
}

/// Delay and sound with losses of one server.
pub(crate) struct Trial {
    pub(crate) peer: Peer,
    pub(crate) delays: [Option<Delay>; 2],
    pub(crate) loss_pesq: Vec<f64>,
}

/// What our server gave up to keep its ticks in time.
pub(crate) fn print_strains(strains: &[Strain]) {
    for strain in strains {
        println!(
            "strain: {} rooms of four who all talk Opus: {:.0} % of a core, {} steps of service given up, {:.3} % of ticks late, \
             {:.1} packets a second at least",
            strain.rooms, strain.server, strain.shed, strain.late, strain.least
        );
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
}

impl Row {
    fn valid(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(|w| w.void.is_none())
    }

    fn median(&self, of: impl Fn(&Window) -> f64) -> Option<f64> {
        median(self.valid().map(of).collect())
    }

    /// Per cent of a core that each participant costs.
    fn cost(&self) -> Option<f64> {
        self.median(|w| w.usage.server / self.cast.people as f64)
    }

    /// Of all seconds of all windows.
    fn snr(&self) -> Option<f64> {
        median(self.valid().filter_map(|w| w.pair.as_ref()).flat_map(|p| p.snr.clone()).collect())
    }

    fn print(&self) {
        let Cast { codec, people, talkers } = self.cast;
        println!(
            "{:6} {:5} {people:5} {talkers:8} {:>5}/{} {:>5}/{} {:>9} {:>12} {:>10} {:>8} {:>8} {:>7} {:>6} {:>6}",
            self.peer.name(),
            codec.name(),
            self.valid().count(),
            self.windows.len(),
            self.valid().filter(|w| w.held()).count(),
            self.valid().count(),
            show(self.median(|w| w.usage.server), 2),
            show(self.cost(), 4),
            show(self.cost().map(|percent| percent * 200.0), 2),
            show(self.median(|w| w.usage.load_core), 0),
            show(self.median(|w| w.usage.others), 0),
            show(self.median(|w| w.usage.steal), 1),
            show(self.snr(), 1),
            show(median(self.pesq.clone()), 2),
        );
        for (number, window) in self.windows.iter().enumerate() {
            if let Some(why) = window.void {
                println!("       window {number} doesn't count: {why}");
            } else if !window.held() {
                println!(
                    "       window {number}: not held, {:.1} packets a second at least, {:.1} on average",
                    window.least, window.mean
                );
            }
        }
    }
}

/// A figure of the last line by name, if there is one.
pub(crate) type Figure = (&'static str, Option<f64>);

/// Prints everything; gives the figures of the last line.
pub(crate) fn print(rows: &[Row], trials: &[Trial]) -> Vec<Figure> {
    println!("\nserver codec people talkers  valid    held  core_%    %_per_person  us_per_20ms load_%  others_%  steal_%    snr   pesq");
    rows.iter().for_each(Row::print);
    println!(
        "\nvalid: windows that count; held: every listener got 49.5 packets a second. core_%: of the server's core, all threads, kernel"
    );
    println!(
        "included. load_%: use of the generator's core. others_%: of both cores, by neither. steal_%: by the hypervisor's other guests."
    );
    println!("Where everybody talks, cusax mixes the loudest few and Janus all: no RFC 6464 levels are sent.");

    println!("\nserver codec delay_ms: median    p99  change after a stall of 200 ms and 2 s");
    for trial in trials {
        for (codec, delay) in [Codec::Pcmu, Codec::Opus].iter().zip(&trial.delays) {
            println!(
                "{:6} {:5} {:>16} {:>6} {:>6}",
                trial.peer.name(),
                codec.name(),
                show(delay.map(|d| d.median), 1),
                show(delay.map(|d| d.p99), 1),
                show(delay.map(|d| d.after_stall), 1),
            );
        }
    }
    println!("\nserver PESQ with losses on the way to it");
    for trial in trials {
        for (number, loss) in LOSSES.iter().enumerate() {
            println!(
                "{:6} {:40} {:>5}",
                trial.peer.name(),
                loss.name,
                show(trial.loss_pesq.get(number).copied(), 2)
            );
        }
    }
    last_line(rows, trials)
}

fn last_line(rows: &[Row], trials: &[Trial]) -> Vec<Figure> {
    let row = |peer: Peer, codec: Codec, all: bool| {
        rows.iter()
            .find(|r| (r.peer, r.cast.codec, r.cast.talkers == r.cast.people) == (peer, codec, all))
    };
    let cost = |peer, codec, all| row(peer, codec, all).and_then(Row::cost);
    let ratio = |codec, all| Some(cost(Peer::Janus, codec, all)? / cost(Peer::Ours, codec, all)?);
    let ours = trials.iter().find(|t| t.peer == Peer::Ours);
    let delay = |n: usize| ours.and_then(|t| t.delays[n]).map(|d| d.median);
    let pesq = |codec| row(Peer::Ours, codec, false).and_then(|r| median(r.pesq.clone()));
    let floor = cost(Peer::Ours, Codec::Pcmu, false).zip(cost(Peer::Floor, Codec::Pcmu, false));
    let figures = [
        ("pcmu_ratio", ratio(Codec::Pcmu, false), 1),
        ("opus_ratio", ratio(Codec::Opus, false), 1),
        ("talk_ratio", ratio(Codec::Opus, true), 1),
        ("floor", floor.map(|(ours, floor)| ours / floor), 2),
        ("delay_pcmu_ms", delay(0), 1),
        ("delay_opus_ms", delay(1), 1),
        ("snr_db", row(Peer::Ours, Codec::Pcmu, false).and_then(Row::snr), 1),
        ("pesq_pcmu", pesq(Codec::Pcmu), 2),
        ("pesq_opus", pesq(Codec::Opus), 2),
    ];
    let line: Vec<String> = figures
        .iter()
        .map(|(name, value, digits)| format!("{name}={}", show(*value, *digits)))
        .collect();
    println!("\n{}", line.join(" "));
    figures.iter().map(|(name, value, _)| (*name, *value)).collect()
}
