//! PNDM: linear multistep over the noise that was predicted, with Runge-Kutta steps before it or without (arXiv 2202.09778).

use super::{
    ladder::Ladder,
    prediction::{Prediction, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

/// Steps that Runge-Kutta takes, with four evaluations each.
const FIRST: usize = 3;

#[derive(Debug, Clone)]
pub struct Pndm {
    ladder: Ladder,
    /// Of the training, and behind the last step.
    alphas: Vec<f64>,
    final_alpha: f64,
    prediction: Prediction,
    /// Steps of the training from one of ours to the next.
    stride: isize,
    runge_kutta: bool,
    /// Evaluations of this run, from wherever it began.
    taken: usize,
    /// What the denoiser predicted, the latest last; four at most.
    before: Vec<Vec<f32>>,
    /// The latent that a step of several evaluations began with, and their weighted sum.
    held: Vec<f32>,
    sum: Vec<f32>,
}

impl Pndm {
    pub fn new(setup: &Setup) -> Self {
        let (alphas, all) = (setup.alphas(), setup.file.train_steps());
        let base = setup.spacing("leading").timesteps(setup.steps, true);
        let stride = all / setup.steps;
        let runge_kutta = setup.file.skip_prk_steps != Some(true);
        let mut timesteps = vec![];
        if runge_kutta {
            for step in 0..FIRST {
                let half = base[step + 1] + (stride / 2) as f64;
                timesteps.extend([base[step], half, half, base[step + 1]]);
            }
            timesteps.extend(&base[FIRST..]);
        } else {
            timesteps.extend(&base);
            if let Some(second) = base.get(1) {
                timesteps.insert(1, *second);
            }
        }
        let at = |t: &f64| alphas[(*t as usize).min(all - 1)];
        let mut ladder = Ladder::of_alphas(timesteps.clone(), timesteps.iter().map(at));
        ladder.steps = setup.steps;
        Self {
            ladder,
            final_alpha: setup.final_alpha(&alphas, false),
            alphas,
            prediction: setup.file.prediction(),
            stride: stride as isize,
            runge_kutta,
            taken: 0,
            before: vec![],
            held: vec![],
            sum: vec![],
        }
    }

    fn alpha(&self, timestep: isize) -> f64 {
        match usize::try_from(timestep) {
            Ok(t) => self.alphas[t.min(self.alphas.len() - 1)],
            Err(_) => self.final_alpha,
        }
    }

    /// Keeps a prediction among the four latest.
    fn keep(&mut self, prediction: &[f32]) {
        let earlier = self.before.len().saturating_sub(3);
        self.before.drain(..earlier);
        self.before.push(prediction.to_vec());
    }

    /// The share of each of the four latest predictions, the latest first.
    fn blend(&self, weights: &[f64], of: f64) -> Vec<f32> {
        let terms: Vec<_> = weights.iter().zip(self.before.iter().rev()).map(|(w, m)| (w / of, m.as_slice())).collect();
        mix(&terms)
    }
}

impl Scheduler for Pndm {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let timestep = self.ladder.timesteps[i] as isize;
        let (mut from, mut to) = (timestep, timestep - self.stride);
        let taken = self.taken;
        self.taken += 1;
        let output = if self.runge_kutta && taken < 4 * FIRST {
            // A run that begins later takes these steps' coefficients from the beginning all the same, as diffusers does.
            from = self.ladder.timesteps[taken / 4 * 4] as isize;
            to = if taken % 2 == 1 { timestep } else { timestep - self.stride / 2 };
            if taken.is_multiple_of(4) {
                self.keep(prediction);
                self.held = latent.to_vec();
                self.sum = vec![0.0; latent.len()];
            }
            let share = if matches!(taken % 4, 1 | 2) { 1.0 / 3.0 } else { 1.0 / 6.0 };
            self.sum = mix(&[(1.0, &self.sum), (share, prediction)]);
            if taken % 4 == 3 { self.sum.clone() } else { prediction.to_vec() }
        } else {
            if taken == 1 {
                // The first step again, with the mean of what is predicted at both its ends.
                (from, to) = (timestep + self.stride, timestep);
            } else {
                self.keep(prediction);
                self.held = latent.to_vec();
            }
            match (self.before.len(), taken) {
                (1, 1) => mix(&[(0.5, prediction), (0.5, &self.before[0])]),
                (1, _) => prediction.to_vec(),
                (2, _) => self.blend(&[3.0, -1.0], 2.0),
                (3, _) => self.blend(&[23.0, -16.0, 5.0], 12.0),
                _ => self.blend(&[55.0, -59.0, 37.0, -9.0], 24.0),
            }
        };
        let (now, next) = (self.alpha(from), self.alpha(to));
        let shares = (now.sqrt(), (1.0 - now).sqrt());
        let noise = self.prediction.noise(shares, &output, &self.held);
        let below = now * (1.0 - next).sqrt() + (now * (1.0 - now) * next).sqrt();
        Stepped {
            latent: mix(&[((next / now).sqrt(), &self.held), ((now - next) / below, &noise)]),
            clean: Prediction::Epsilon.clean(shares, &noise, &self.held),
        }
    }
}
