//! DDPM: every step draws the latent before it (arXiv 2006.11239).

use super::{
    ladder::Ladder,
    prediction::{Prediction, clip, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

#[derive(Debug, Clone)]
pub struct Ddpm {
    ladder: Ladder,
    /// Of each step, and behind the last.
    alphas: Vec<f64>,
    prediction: Prediction,
    clip: Option<f32>,
    /// The noise that a step of the training added, in place of the least that explains it.
    large: bool,
}

impl Ddpm {
    pub fn new(setup: &Setup) -> Self {
        let timesteps = setup.spacing("leading").timesteps(setup.steps, true);
        let all = setup.alphas();
        let alphas: Vec<f64> = timesteps.iter().map(|t| all[*t as usize]).chain([1.0]).collect();
        let large = setup.file.variance_type.as_deref() == Some("fixed_large");
        let (prediction, clip) = (setup.file.prediction(), setup.file.clip(true));
        Self { ladder: Ladder::of_alphas(timesteps, alphas.iter().copied()), alphas, prediction, clip, large }
    }
}

impl Scheduler for Ddpm {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (now, next) = (self.alphas[i], self.alphas[i + 1]);
        let clean = clip(self.prediction.clean(self.ladder.levels[i], prediction, latent), self.clip);
        let alpha = now / next;
        let of_clean = next.sqrt() * (1.0 - alpha) / (1.0 - now);
        let of_latent = alpha.sqrt() * (1.0 - next) / (1.0 - now);
        let mut before = mix(&[(of_clean, &clean), (of_latent, latent)]);
        if self.ladder.timesteps[i] > 0.0 {
            let variance = if self.large { 1.0 - alpha } else { (1.0 - next) / (1.0 - now) * (1.0 - alpha) };
            before = mix(&[(1.0, &before), (variance.sqrt(), &draw())]);
        }
        Stepped { latent: before, clean }
    }
}
