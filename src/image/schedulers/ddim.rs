//! DDIM: the same pictures as DDPM's, without chance and in fewer steps (arXiv 2010.02502, eta = 0).

use super::{
    Draw, Prediction, Scheduler, SchedulerConfig, Spacing, Stepped,
    prediction::{clip, mix},
};

#[derive(Debug, Clone)]
pub struct Ddim {
    timesteps: Vec<f64>,
    /// Of each step: at its timestep, and at the one it goes to.
    alphas: Vec<(f64, f64)>,
    prediction: Prediction,
    clip: Option<f32>,
}

impl Ddim {
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let timesteps = config.timesteps(steps, Spacing::Leading, true);
        let all = config.alphas();
        let stride = config.train_steps() / steps;
        let before = |t: usize| t.checked_sub(stride).map_or(config.final_alpha(&all), |t| all[t]);
        let alphas = timesteps.iter().map(|t| (all[*t as usize], before(*t as usize))).collect();
        Self { timesteps, alphas, prediction: config.prediction(), clip: config.clip(true) }
    }
}

impl Scheduler for Ddim {
    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, i: usize) -> f32 {
        self.timesteps[i] as f32
    }

    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let (alpha, _) = self.alphas[i];
        mix(&[(alpha.sqrt(), clean), ((1.0 - alpha).sqrt(), noise)])
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let (now, next) = self.alphas[i];
        let shares = (now.sqrt(), (1.0 - now).sqrt());
        // The noise is the denoiser's own, whatever is clipped off the picture.
        let noise = self.prediction.noise(shares, prediction, latent);
        let clean = clip(self.prediction.clean(shares, prediction, latent), self.clip);
        Stepped { latent: mix(&[(next.sqrt(), &clean), ((1.0 - next).sqrt(), &noise)]), clean }
    }
}
