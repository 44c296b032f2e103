//! Euler steps along the probability flow, and ancestral ones that add noise again (arXiv 2206.00364 and k-diffusion).
//!
//! Latents are a picture plus `sigma` times noise; the denoiser sees them brought to variance 1.

use super::{
    Draw, Prediction, Scheduler, SchedulerConfig, Spacing, Stepped,
    prediction::mix,
    sigmas::{Sigmas, karras, shares},
};

/// Whether noise is added on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Churn {
    None,
    Ancestral,
}

#[derive(Debug, Clone)]
pub struct Euler {
    timesteps: Vec<f64>,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    /// The standard deviation that a run begins with.
    start: f64,
    prediction: Prediction,
    churn: Churn,
}

impl Euler {
    pub fn new(config: &SchedulerConfig, steps: usize, churn: Churn) -> Self {
        let all = Sigmas::of(config);
        let mut timesteps = config.timesteps(steps, Spacing::Linspace, false);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| all.at(*t)).collect();
        if churn == Churn::None && config.use_karras_sigmas == Some(true) {
            sigmas = karras(sigmas[0], sigmas[steps - 1], steps);
            timesteps = sigmas.iter().map(|s| all.timestep(*s)).collect();
        }
        sigmas.push(if churn == Churn::None { all.last(config) } else { 0.0 });
        let most = sigmas[0];
        let leading = config.timestep_spacing == Some(Spacing::Leading);
        let start = if leading { (most * most + 1.0).sqrt() } else { most };
        Self { timesteps, sigmas, start, prediction: config.prediction(), churn }
    }
}

impl Scheduler for Euler {
    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, i: usize) -> f32 {
        self.timesteps[i] as f32
    }

    fn input_scale(&self, i: usize) -> f32 {
        shares(self.sigmas[i]).0 as f32
    }

    fn initial(&self, noise: &[f32]) -> Vec<f32> {
        mix(&[(self.start, noise)])
    }

    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        mix(&[(1.0, clean), (self.sigmas[i], noise)])
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (from, to) = (self.sigmas[i], self.sigmas[i + 1]);
        let (a, s) = shares(from);
        let clean = self.prediction.clean((a, s), prediction, &mix(&[(a, latent)]));
        let (up, down) = match self.churn {
            Churn::None => (0.0, to),
            Churn::Ancestral => {
                let up = to * ((from * from - to * to) / (from * from)).max(0.0).sqrt();
                (up, (to * to - up * up).max(0.0).sqrt())
            }
        };
        let share = down / from;
        let mut latent = mix(&[(share, latent), (1.0 - share, &clean)]);
        if self.churn == Churn::Ancestral {
            latent = mix(&[(1.0, &latent), (up, &draw())]);
        }
        Stepped { latent, clean }
    }
}
