//! How a call sounds, as one number: the E-model (ITU-T G.107) from loss, its burstiness, and delay.
//!
//! A planning model, not a measurement: no noise, echo or loudness is known here, so their terms keep G.107's defaults. Opus and G.722 are
//! put on the narrowband scale too, so that one number means one thing; what they gain in bandwidth isn't told.

use std::time::Duration;

/// `R0 - Is` with all defaults of G.107 table 2, rounded as G.107 gives R itself.
const BEST: f32 = 93.2;

/// What a codec loses by itself, and how well it bears loss (G.113 appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Robustness {
    /// `Ie`: impairment without loss.
    impairment: f32,
    /// `Bpl`: loss in percent at which half of what is left of the quality is gone.
    bears: f32,
}

impl Robustness {
    /// G.711 with concealment (G.113 table I.4).
    pub const G711: Self = Self {
        impairment: 0.0,
        bears: 25.1,
    };
    /// G.722 at 64 kbit/s on the narrowband scale: concealed like G.711.
    pub const G722: Self = Self {
        impairment: 0.0,
        bears: 25.1,
    };
    /// Opus, for which G.113 has no row: taken to bear half as much as G.711, which errs on the dark side.
    pub const OPUS: Self = Self {
        impairment: 0.0,
        bears: 12.5,
    };
}

/// What a listener suffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairments {
    /// Packets that weren't there when their turn came, of all: 0 to 1.
    pub loss: f32,
    /// Mean length of a run of such packets, in packets; 1 or more.
    pub run: f32,
    /// From mouth to ear.
    pub delay: Duration,
}

/// The mean opinion score, 1 to 4.5 (G.107 annex B).
pub fn mos(codec: Robustness, impairments: Impairments) -> f32 {
    let r = (BEST - delay_impairment(impairments.delay) - loss_impairment(codec, impairments)).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// `Idd` (G.107 equation 7-27).
fn delay_impairment(delay: Duration) -> f32 {
    let ms = delay.as_secs_f32() * 1000.0;
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    let root = |base: f32| (1.0 + base.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// `Ie-eff` (G.107 equation 7-29).
fn loss_impairment(codec: Robustness, impairments: Impairments) -> f32 {
    let loss = impairments.loss.clamp(0.0, 1.0);
    // How much longer the runs are than those of random loss, which have 1/(1 - loss) packets.
    let burst = (impairments.run.max(1.0) * (1.0 - loss)).max(1.0);
    let percent = loss * 100.0;
    codec.impairment + (95.0 - codec.impairment) * percent / (percent / burst + codec.bears)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codec: Robustness, loss: f32, run: f32, ms: u64) -> f32 {
        mos(
            codec,
            Impairments {
                loss,
                run,
                delay: Duration::from_millis(ms),
            },
        )
    }

    #[test]
    fn a_clean_call_has_the_default_of_g107() {
        assert!((score(Robustness::G711, 0.0, 1.0, 20) - 4.41).abs() < 0.01);
    }

    #[test]
    fn random_loss_costs_what_g113_says() {
        // Ie-eff of 1, 2, 5, 10 %: 3.6, 7.0, 15.8, 27.1.
        for (percent, impairment) in [(1.0, 3.64), (2.0, 7.01), (5.0, 15.78), (10.0, 27.07)] {
            let loss = percent / 100.0;
            let found = loss_impairment(
                Robustness::G711,
                Impairments {
                    loss,
                    run: 1.0,
                    delay: Duration::ZERO,
                },
            );
            assert!((found - impairment).abs() < 0.02, "{percent} %: {found}");
        }
    }

    #[test]
    fn delay_costs_nothing_up_to_100_ms_and_much_at_400() {
        assert_eq!(delay_impairment(Duration::from_millis(100)), 0.0);
        // Equation 7-27 by hand, at X = 1 and X = 2.
        for (ms, impairment) in [(200, 3.044), (400, 24.07)] {
            let found = delay_impairment(Duration::from_millis(ms));
            assert!((found - impairment).abs() < 0.01, "{ms} ms: {found}");
        }
    }

    #[test]
    fn more_loss_longer_runs_and_more_delay_are_never_better() {
        for codec in [Robustness::G711, Robustness::OPUS, Robustness::G722] {
            for step in 0..20 {
                let (loss, run, ms) = (step as f32 / 20.0, 1.0 + step as f32 / 4.0, 40 * step);
                assert!(score(codec, loss, 1.0, 50) >= score(codec, loss + 0.05, 1.0, 50));
                assert!(score(codec, 0.1, run, 50) >= score(codec, 0.1, run + 0.25, 50));
                assert!(score(codec, 0.0, 1.0, ms) >= score(codec, 0.0, 1.0, ms + 40));
            }
        }
    }

    #[test]
    fn nonsense_stays_within_the_scale() {
        for (loss, run) in [(2.0, 0.0), (-1.0, -5.0), (1.0, 1e9), (0.5, f32::INFINITY)] {
            let score = score(Robustness::G711, loss, run, u64::from(u32::MAX));
            assert!((1.0..=4.5).contains(&score), "{loss} {run}: {score}");
        }
    }
}
