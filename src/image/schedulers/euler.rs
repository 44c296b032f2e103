//! Euler steps along the probability flow, and ancestral ones that add noise again (arXiv 2206.00364 and k-diffusion).
//!
//! Latents are a picture plus `sigma` times noise; the denoiser sees them brought to variance 1.

use super::{
    ladder::Ladder,
    names::SchedulerName,
    prediction::{Reading, mix, shares},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

#[derive(Debug, Clone)]
pub struct Euler {
    ladder: Ladder,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    reading: Reading,
    /// Whether noise is added on the way.
    ancestral: bool,
}

/// The rungs of a run between sigmas of EDM's kind.
pub fn edm_ladder(timesteps: Vec<f64>, sigmas: &[f64], reading: &Reading) -> Ladder {
    let (data, _) = reading.edm.unwrap_or((1.0, 1.0));
    let start = (sigmas[0] * sigmas[0] + 1.0).sqrt();
    let scales = sigmas.iter().map(|sigma| shares(sigma / data).0 / data).collect();
    Ladder { scales, ..Ladder::of_sigmas(timesteps, sigmas, start) }
}

/// How far down an ancestral step goes, and how much noise it adds then.
pub fn ancestral(from: f64, to: f64) -> (f64, f64) {
    let up = to.min(to * ((from * from - to * to) / (from * from)).max(0.0).sqrt());
    ((to * to - up * up).max(0.0).sqrt(), up)
}

impl Euler {
    pub fn new(setup: &Setup) -> Self {
        let ancestral = setup.name == SchedulerName::EulerAncestral;
        if setup.name == SchedulerName::EdmEuler {
            let (timesteps, sigmas, reading) = setup.edm();
            return Self { ladder: edm_ladder(timesteps, &sigmas, &reading), sigmas, reading, ancestral };
        }
        let (mut timesteps, sigmas) = setup.discrete();
        let velocity = setup.file.prediction() == super::Prediction::Velocity;
        let continuous =
            setup.name == SchedulerName::Euler && setup.file.timestep_type.as_deref() == Some("continuous") && velocity;
        if continuous {
            timesteps = sigmas[..timesteps.len()].iter().map(|sigma| 0.25 * sigma.ln()).collect();
        }
        let ladder = Ladder::of_sigmas(timesteps, &sigmas, setup.start(&sigmas));
        Self { ladder, sigmas, reading: setup.reading(), ancestral }
    }
}

impl Scheduler for Euler {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (from, to) = (self.sigmas[i], self.sigmas[i + 1]);
        let clean = self.reading.clean(from, prediction, latent);
        let (down, up) = if self.ancestral { ancestral(from, to) } else { (to, 0.0) };
        let share = down / from;
        let mut latent = mix(&[(share, latent), (1.0 - share, &clean)]);
        if self.ancestral {
            latent = mix(&[(1.0, &latent), (up, &draw())]);
        }
        Stepped { latent, clean }
    }
}
