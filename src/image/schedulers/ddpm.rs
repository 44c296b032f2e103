//! DDPM: every step draws the latent before it (arXiv 2006.11239).

use super::{
    Draw, Prediction, Scheduler, SchedulerConfig, Spacing, Stepped,
    prediction::{clip, mix},
};

#[derive(Debug, Clone)]
pub struct Ddpm {
    timesteps: Vec<f64>,
    /// Of each step, and behind the last.
    alphas: Vec<f64>,
    prediction: Prediction,
    clip: Option<f32>,
    /// The noise that a step of the training added, in place of the least that explains it.
    large: bool,
}

impl Ddpm {
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let timesteps = config.timesteps(steps, Spacing::Leading, true);
        let all = config.alphas();
        let alphas = timesteps.iter().map(|t| all[*t as usize]).chain([1.0]).collect();
        let large = config.variance_type.as_deref() == Some("fixed_large");
        Self { timesteps, alphas, prediction: config.prediction(), clip: config.clip(true), large }
    }
}

impl Scheduler for Ddpm {
    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, i: usize) -> f32 {
        self.timesteps[i] as f32
    }

    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        mix(&[(self.alphas[i].sqrt(), clean), ((1.0 - self.alphas[i]).sqrt(), noise)])
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (now, next) = (self.alphas[i], self.alphas[i + 1]);
        let clean = self.prediction.clean((now.sqrt(), (1.0 - now).sqrt()), prediction, latent);
        let clean = clip(clean, self.clip);
        let alpha = now / next;
        let of_clean = next.sqrt() * (1.0 - alpha) / (1.0 - now);
        let of_latent = alpha.sqrt() * (1.0 - next) / (1.0 - now);
        let mut before = mix(&[(of_clean, &clean), (of_latent, latent)]);
        if self.timesteps[i] > 0.0 {
            let variance = if self.large { 1.0 - alpha } else { (1.0 - next) / (1.0 - now) * (1.0 - alpha) };
            before = mix(&[(1.0, &before), (variance.sqrt(), &draw())]);
        }
        Stepped { latent: before, clean }
    }
}
