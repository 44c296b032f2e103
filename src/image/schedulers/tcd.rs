//! Trajectory consistency distillation: every step goes to a picture with a little noise, and some is added again (arXiv 2402.19159).

use super::{
    ladder::Ladder,
    lcm::taught_timesteps,
    prediction::{Prediction, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

/// How much chance there is in a step; diffusers' and the paper's.
const ETA: f32 = 0.3;

#[derive(Debug, Clone)]
pub struct Tcd {
    ladder: Ladder,
    /// The alpha that each step jumps to before noise is added.
    jumps: Vec<f64>,
    prediction: Prediction,
}

impl Tcd {
    pub fn new(setup: &Setup) -> Self {
        let timesteps = taught_timesteps(setup, 1.0);
        let all = setup.alphas();
        let alphas: Vec<f64> = timesteps.iter().map(|t| all[*t as usize]).collect();
        let next = timesteps.iter().skip(1).copied().chain([0.0]);
        // In 32 bits, as diffusers reckons it.
        let jumps = next.map(|t| all[((1.0 - ETA) * t as f32) as usize]).collect();
        Self { ladder: Ladder::of_alphas(timesteps, alphas.into_iter()), jumps, prediction: setup.file.prediction() }
    }
}

impl Scheduler for Tcd {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (shares, jump) = (self.ladder.levels[i], self.jumps[i]);
        let clean = self.prediction.clean(shares, prediction, latent);
        let noise = self.prediction.noise(shares, prediction, latent);
        let mut latent = mix(&[(jump.sqrt(), &clean), ((1.0 - jump).sqrt(), &noise)]);
        if let Some((a, _)) = self.ladder.levels.get(i + 1) {
            let kept = a * a / jump;
            latent = mix(&[(kept.sqrt(), &latent), ((1.0 - kept).sqrt(), &draw())]);
        }
        Stepped { latent, clean }
    }
}
