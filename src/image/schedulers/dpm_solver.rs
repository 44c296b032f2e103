//! DPM-Solver++ (2M): a step looks back on the picture that the step before predicted (arXiv 2211.01095).

use super::{
    Draw, Prediction, Scheduler, SchedulerConfig, Stepped,
    prediction::mix,
    sigmas::{Sigmas, karras, shares},
};

#[derive(Debug, Clone)]
pub struct DpmSolver {
    timesteps: Vec<f64>,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    prediction: Prediction,
    /// Whether the last step looks at nothing but itself.
    lower_at_end: bool,
    order: usize,
    /// The picture that the step before predicted.
    before: Option<Vec<f32>>,
}

impl DpmSolver {
    pub fn new(config: &SchedulerConfig, steps: usize, by_karras: bool) -> Self {
        let all = Sigmas::of(config);
        let last = config.lambda_min_clipped.map_or(config.train_steps(), |lambda| all.steps_above(lambda).max(2));
        let mut timesteps = config.solver_timesteps(steps, last);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| all.at(*t)).collect();
        if by_karras {
            sigmas = karras(all.most(), all.least(), steps);
            timesteps = sigmas.iter().map(|s| all.timestep(*s).round_ties_even()).collect();
        }
        sigmas.push(all.last(config));
        let lower_at_end = sigmas[steps] == 0.0 || (config.lower_order_final.unwrap_or(true) && steps < 15);
        let order = config.solver_order.unwrap_or(2);
        Self { timesteps, sigmas, prediction: config.prediction(), lower_at_end, order, before: None }
    }
}

impl Scheduler for DpmSolver {
    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, i: usize) -> f32 {
        self.timesteps[i] as f32
    }

    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let (a, s) = shares(self.sigmas[i]);
        mix(&[(a, clean), (s, noise)])
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let (now, next) = (self.sigmas[i], self.sigmas[i + 1]);
        let clean = self.prediction.clean(shares(now), prediction, latent);
        // Half the logarithm of the signal-to-noise ratio is −ln sigma.
        let h = now.ln() - next.ln();
        let grown = -shares(next).0 * (-h).exp_m1();
        let kept = shares(next).1 / shares(now).1;
        let at_end = i + 1 == self.steps() && self.lower_at_end;
        let latent = match &self.before {
            Some(before) if !at_end && self.order > 1 => {
                let ratio = (self.sigmas[i - 1].ln() - now.ln()) / h;
                let slope = 0.5 * grown / ratio;
                mix(&[(kept, latent), (grown + slope, &clean), (-slope, before)])
            }
            _ => mix(&[(kept, latent), (grown, &clean)]),
        };
        self.before = Some(clean.clone());
        Stepped { latent, clean }
    }
}
