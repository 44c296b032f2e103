//! Latent consistency: every step predicts the whole picture, and noise is added again between them (arXiv 2310.04378).

use super::{
    ladder::Ladder,
    prediction::{Prediction, clip, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

/// The standard deviation of the data in the boundary condition.
const SIGMA_DATA: f64 = 0.5;

/// Of the steps that the model was taught, the latest first, every so many; those of the last `strength` of the way.
pub fn taught_timesteps(setup: &Setup, strength: f64) -> Vec<f64> {
    let taught = setup.file.original_inference_steps.unwrap_or(50);
    let stride = setup.file.train_steps() / taught;
    let within = (taught as f64 * strength) as usize;
    let at = |i: usize| ((within - i * within / setup.steps) * stride - 1) as f64;
    (0..setup.steps).map(at).collect()
}

#[derive(Debug, Clone)]
pub struct Lcm {
    ladder: Ladder,
    prediction: Prediction,
    clip: Option<f32>,
    scaling: f64,
}

impl Lcm {
    pub fn new(setup: &Setup, strength: f64) -> Self {
        let timesteps = taught_timesteps(setup, strength);
        let all = setup.alphas();
        let alphas: Vec<f64> = timesteps.iter().map(|t| all[*t as usize]).collect();
        Self {
            ladder: Ladder::of_alphas(timesteps, alphas.into_iter()),
            prediction: setup.file.prediction(),
            clip: setup.file.clip(false),
            scaling: setup.file.timestep_scaling.unwrap_or(10.0),
        }
    }
}

impl Scheduler for Lcm {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let clean = clip(self.prediction.clean(self.ladder.levels[i], prediction, latent), self.clip);
        let time = self.ladder.timesteps[i] * self.scaling;
        let length = (time * time + SIGMA_DATA * SIGMA_DATA).sqrt();
        let clean = mix(&[(time / length, &clean), ((SIGMA_DATA / length).powi(2), latent)]);
        let latent = match self.ladder.levels.get(i + 1) {
            Some((a, s)) => mix(&[(*a, &clean), (*s, &draw())]),
            None => clean.clone(),
        };
        Stepped { latent, clean }
    }
}
