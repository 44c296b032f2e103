//! UniPC: a predictor, and a corrector that uses each prediction once more; of order 2 at most (arXiv 2302.04867).

use super::{
    Draw, Prediction, Scheduler, SchedulerConfig, Stepped,
    prediction::mix,
    sigmas::{Sigmas, karras, shares},
};

#[derive(Debug, Clone)]
pub struct UniPc {
    timesteps: Vec<f64>,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    prediction: Prediction,
    /// Whether B(h) is h (`bh1`), not e^h − 1 (`bh2`).
    plain: bool,
    order: usize,
    lower_at_end: bool,
    /// The pictures that earlier steps predicted, the latest last.
    before: Vec<Vec<f32>>,
    /// The latent that the step before began with, and its order.
    last: Option<(Vec<f32>, usize)>,
}

/// The numbers of an update from one sigma to another, of order 1 or 2.
struct Update {
    kept: f64,
    grown: f64,
    /// alpha · B(h)
    weight: f64,
    /// Where the picture before that stands, in units of the step; order 2 has one.
    ratio: Option<f64>,
    b: [f64; 2],
}

impl UniPc {
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let all = Sigmas::of(config);
        let mut timesteps = config.solver_timesteps(steps, config.train_steps());
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| all.at(*t)).collect();
        let mut last = all.last(config);
        if config.use_karras_sigmas == Some(true) {
            sigmas = karras(all.most(), all.least(), steps);
            timesteps = sigmas.iter().map(|s| all.timestep(*s).round_ties_even()).collect();
            last = if last > 0.0 { sigmas[steps - 1] } else { 0.0 };
        }
        sigmas.push(last);
        Self {
            timesteps,
            prediction: config.prediction(),
            plain: config.solver_type.as_deref() == Some("bh1"),
            order: config.solver_order.unwrap_or(2).clamp(1, 2),
            lower_at_end: config.lower_order_final.unwrap_or(true) || last == 0.0,
            sigmas,
            before: vec![],
            last: None,
        }
    }

    /// From step `from` to the one behind it.
    fn update(&self, from: usize, order: usize) -> Update {
        let (now, next) = (self.sigmas[from], self.sigmas[from + 1]);
        let h = now.ln() - next.ln();
        let grown = (-h).exp_m1();
        let weight = if self.plain { -h } else { grown };
        let ratio = (order > 1).then(|| (now.ln() - self.sigmas[from - 1].ln()) / h);
        let first = grown / -h - 1.0;
        let b = [first / weight, (first / -h - 0.5) * 2.0 / weight];
        let alpha = shares(next).0;
        Update { kept: shares(next).1 / shares(now).1, grown: -alpha * grown, weight: alpha * weight, ratio, b }
    }

    /// The latent at step `i` again, now that the picture predicted there is known.
    fn corrected(&self, i: usize, clean: &[f32], last: &[f32], order: usize) -> Vec<f32> {
        let Update { kept, grown, weight, ratio, b } = self.update(i - 1, order);
        let [.., latest] = self.before.as_slice() else { return last.to_vec() };
        let start = [(kept, last), (grown, latest.as_slice())];
        match (ratio, self.before.as_slice()) {
            (Some(r), [.., earlier, latest]) => {
                let first = (b[0] - b[1]) / (1.0 - r);
                let second = b[0] - first;
                let (back, ahead) = (-weight * first / r, -weight * second);
                mix(&[start[0], start[1], (back, earlier), (-back - ahead, latest), (ahead, clean)])
            }
            _ => mix(&[start[0], start[1], (-0.5 * weight, clean), (0.5 * weight, latest)]),
        }
    }
}

impl Scheduler for UniPc {
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
        let clean = self.prediction.clean(shares(self.sigmas[i]), prediction, latent);
        let latent = match &self.last {
            Some((last, order)) => self.corrected(i, &clean, last, *order),
            None => latent.to_vec(),
        };
        self.before.push(clean.clone());
        let earlier = self.before.len().saturating_sub(2);
        self.before.drain(..earlier);
        let left = if self.lower_at_end { self.steps() - i } else { self.order };
        let order = self.order.min(left).min(self.before.len());
        let Update { kept, grown, weight, ratio, .. } = self.update(i, order);
        let start = [(kept, latent.as_slice()), (grown, clean.as_slice())];
        let next = match (ratio, self.before.as_slice()) {
            (Some(r), [earlier, latest]) => {
                let slope = -0.5 * weight / r;
                mix(&[start[0], start[1], (slope, earlier), (-slope, latest)])
            }
            _ => mix(&start),
        };
        self.last = Some((latent, order));
        Stepped { latent: next, clean }
    }
}
