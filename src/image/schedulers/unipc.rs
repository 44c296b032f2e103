//! UniPC: a predictor, and a corrector that uses each prediction once more (arXiv 2302.04867).

use super::{
    ladder::Ladder,
    prediction::{Reading, mix, shares},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
    solver::{Algorithm, Leap},
};

#[derive(Debug, Clone)]
pub struct UniPc {
    ladder: Ladder,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    reading: Reading,
    algorithm: Algorithm,
    /// Whether B(h) is h (`bh1`), not e^h − 1 (`bh2`).
    plain: bool,
    order: usize,
    lower_at_end: bool,
    /// Steps that the next one does not correct.
    uncorrected: Vec<usize>,
    /// What earlier steps predicted, the latest first.
    before: Vec<Vec<f32>>,
    /// The latent that the step before began with, and its order.
    last: Option<(Vec<f32>, usize)>,
}

impl UniPc {
    pub fn new(setup: &Setup) -> Self {
        let file = setup.file;
        let (timesteps, sigmas) = setup.solved();
        let levels = sigmas.iter().map(|sigma| shares(*sigma)).collect();
        let to_zero = sigmas[timesteps.len()] == 0.0;
        Self {
            ladder: Ladder::of_shares(timesteps, levels),
            sigmas,
            reading: setup.reading(),
            algorithm: if file.predict_x0 == Some(false) { Algorithm::Noise } else { Algorithm::Picture },
            plain: file.solver_type.as_deref() == Some("bh1"),
            order: file.solver_order.unwrap_or(2),
            lower_at_end: file.lower_order_final.unwrap_or(true) || to_zero,
            uncorrected: file.disable_corrector.clone().unwrap_or_default(),
            before: vec![],
            last: None,
        }
    }

    /// The latent after the step from `from`, of an order, with the predictions `seen` of it and the steps before it, the latest first; and with
    /// `ahead`, the prediction at its end, where it is known.
    fn updated(&self, from: usize, order: usize, latent: &[f32], seen: &[Vec<f32>], ahead: Option<&[f32]>) -> Vec<f32> {
        let leap = Leap::new(self.algorithm, self.sigmas[from], self.sigmas[from + 1], false);
        let mut ratios: Vec<f64> =
            (1..order).map(|k| (self.sigmas[from].ln() - self.sigmas[from - k].ln()) / leap.h).collect();
        ratios.extend(ahead.map(|_| 1.0));
        let b = if self.plain { leap.z } else { leap.z.exp_m1() };
        let shares = match (order, ahead) {
            // What the paper sets for the lowest.
            (2, None) | (1, Some(_)) => vec![0.5],
            _ => self.shares(&ratios, leap.z, b),
        };
        let mut terms = vec![(leap.kept, latent)];
        let mut constant = leap.constant();
        if leap.h != 0.0 {
            let others = seen.iter().skip(1).take(order - 1).map(Vec::as_slice).chain(ahead);
            for ((ratio, share), other) in ratios.iter().zip(shares).zip(others) {
                let weight = -leap.scale * b * share / ratio;
                constant -= weight;
                terms.push((weight, other));
            }
        }
        terms.push((constant, &seen[0]));
        mix(&terms)
    }

    /// Solves the equations of the order: powers of the ratios, times the shares, are what the exponential's series leaves.
    fn shares(&self, ratios: &[f64], z: f64, b: f64) -> Vec<f64> {
        let n = ratios.len();
        let (mut left, mut factorial) = (z.exp_m1() / z - 1.0, 1.0);
        let mut rows: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let row = ratios.iter().map(|ratio| ratio.powi(i as i32)).chain([left * factorial / b]).collect();
                factorial *= (i + 2) as f64;
                left = left / z - 1.0 / factorial;
                row
            })
            .collect();
        // Elimination; the ratios differ, so no pivot is 0.
        for k in 0..n {
            for i in 0..n {
                if i != k {
                    let times = rows[i][k] / rows[k][k];
                    for j in k..=n {
                        rows[i][j] -= times * rows[k][j];
                    }
                }
            }
        }
        (0..n).map(|k| rows[k][n] / rows[k][k]).collect()
    }
}

impl Scheduler for UniPc {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let shares = shares(self.sigmas[i]);
        let clean = self.reading.prediction.clean(shares, prediction, latent);
        let noise = self.algorithm.of_noise();
        let seen = if noise { self.reading.prediction.noise(shares, prediction, latent) } else { clean.clone() };
        let latent = match &self.last {
            Some((last, order)) if !self.uncorrected.contains(&(i - 1)) => {
                self.updated(i - 1, *order, last, &self.before, Some(&seen))
            }
            _ => latent.to_vec(),
        };
        self.before.insert(0, seen);
        self.before.truncate(self.order);
        let left = if self.lower_at_end { self.ladder.steps - i } else { self.order };
        let order = self.order.min(left).min(self.before.len());
        let next = self.updated(i, order, &latent, &self.before, None);
        self.last = Some((latent, order));
        Stepped { latent: next, clean }
    }
}
