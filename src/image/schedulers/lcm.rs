//! Latent consistency: every step predicts the whole picture, and noise is added again between them (arXiv 2310.04378).

use super::{
    Betas, Draw, Prediction, Scheduler, SchedulerConfig, Stepped,
    betas::cumulative_alphas,
    prediction::{clip, mix},
};

/// The standard deviation of the data in the boundary condition.
const SIGMA_DATA: f64 = 0.5;

#[derive(Debug, Clone)]
pub struct Lcm {
    timesteps: Vec<f64>,
    alphas: Vec<f64>,
    prediction: Prediction,
    clip: Option<f32>,
    scaling: f64,
}

impl Lcm {
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let taught = config.original_inference_steps.unwrap_or(50);
        let stride = config.train_steps() / taught;
        // Of the steps that the model was taught, the latest first, every so many.
        let at = |i: usize| (taught - i * taught / steps) * stride - 1;
        let timesteps: Vec<usize> = (0..steps).map(at).collect();
        let all = cumulative_alphas(config, (0.00085, 0.012), Betas::ScaledLinear);
        Self {
            alphas: timesteps.iter().map(|t| all[*t]).collect(),
            timesteps: timesteps.into_iter().map(|t| t as f64).collect(),
            prediction: config.prediction(),
            clip: config.clip(false),
            scaling: config.timestep_scaling.unwrap_or(10.0),
        }
    }
}

impl Scheduler for Lcm {
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
        let alpha = self.alphas[i];
        let clean = self.prediction.clean((alpha.sqrt(), (1.0 - alpha).sqrt()), prediction, latent);
        let clean = clip(clean, self.clip);
        let time = self.timesteps[i] * self.scaling;
        let length = (time * time + SIGMA_DATA * SIGMA_DATA).sqrt();
        let clean = mix(&[(time / length, &clean), ((SIGMA_DATA / length).powi(2), latent)]);
        let latent = if i + 1 < self.steps() { self.noised(i + 1, &clean, &draw()) } else { clean.clone() };
        Stepped { latent, clean }
    }
}
