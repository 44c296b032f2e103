//! Steps of two evaluations (k-diffusion): Heun's, the midpoint's of DPM-Solver-2 and its ancestral kin (arXiv 2206.00364, 2206.00927), and
//! DPM-Solver++ of a stochastic differential equation (arXiv 2211.01095). The last step of a run has one: it goes to the picture.

use super::{
    euler::ancestral,
    ladder::Ladder,
    names::SchedulerName,
    prediction::{Reading, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
    sigmas::Spread,
};

#[derive(Debug, Clone)]
pub struct SecondOrder {
    ladder: Ladder,
    name: SchedulerName,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    /// Where each step is evaluated a second time.
    middles: Vec<f64>,
    reading: Reading,
    /// The latent that the step began with.
    held: Vec<f32>,
    /// Heun's slope there, or the noise that was drawn for the first half.
    first: Vec<f32>,
}

impl SecondOrder {
    pub fn new(setup: &Setup) -> Self {
        let (mut timesteps, sigmas) = setup.discrete();
        let (name, steps) = (setup.name, timesteps.len());
        let midpoint = matches!(name, SchedulerName::Kdpm2 | SchedulerName::Kdpm2Ancestral);
        if midpoint && matches!(setup.spread(), Some(Spread::Karras(_))) {
            timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        }
        let middle = |now: f64, next: f64| match name {
            SchedulerName::Heun => next,
            SchedulerName::Kdpm2Ancestral => (now * ancestral(now, next).0).sqrt(),
            _ => (now * next).sqrt(),
        };
        let middles: Vec<f64> = sigmas.windows(2).map(|pair| middle(pair[0], pair[1])).collect();
        let all = setup.sigmas();
        let (mut rungs, mut seen, mut levels) = (vec![], vec![], vec![]);
        for k in 0..steps {
            rungs.push(timesteps[k]);
            seen.push(sigmas[k]);
            levels.push((1.0, sigmas[k]));
            if k + 1 < steps {
                rungs.push(if name == SchedulerName::Heun { timesteps[k + 1] } else { all.timestep(middles[k]) });
                seen.push(middles[k]);
                levels.push((1.0, sigmas[k + 1]));
            }
        }
        let ladder = Ladder::of_sigmas(rungs, &seen, setup.start(&sigmas));
        let ladder = Ladder { levels, steps, order: 2, ..ladder };
        let heun = name == SchedulerName::Heun;
        let clip = setup.file.clip(false).filter(|_| heun);
        let reading = Reading { clip, ..setup.reading() };
        Self { ladder, name, sigmas, middles, reading, held: vec![], first: vec![] }
    }
}

impl Scheduler for SecondOrder {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (k, first) = (i / 2, i.is_multiple_of(2));
        let (now, next, middle) = (self.sigmas[k], self.sigmas[k + 1], self.middles[k]);
        let seen = if first { now } else { middle };
        let clean = self.reading.clean(seen, prediction, latent);
        if next == 0.0 {
            return Stepped { latent: clean.clone(), clean };
        }
        let slope = || mix(&[(1.0 / seen, latent), (-1.0 / seen, &clean)]);
        if first {
            self.held = latent.to_vec();
        }
        let held = self.held.as_slice();
        let latent = match (self.name, first) {
            (SchedulerName::Heun, true) => {
                self.first = slope();
                mix(&[(1.0, latent), (next - now, &self.first)])
            }
            (SchedulerName::Heun, false) => {
                let half = (next - now) / 2.0;
                mix(&[(1.0, held), (half, &self.first), (half, &slope())])
            }
            (SchedulerName::DpmSde, _) => {
                let to = if first { middle } else { next };
                let (down, up) = ancestral(now, to);
                let drawn = draw();
                // Both halves are of one path of noise: the whole step's is the first half's and what comes after.
                let noise = match first {
                    true => drawn.clone(),
                    false => {
                        let share = (now - middle) / (now - next);
                        mix(&[(share.sqrt(), &self.first), ((1.0 - share).sqrt(), &drawn)])
                    }
                };
                let share = down / now;
                let latent = mix(&[(share, held), (1.0 - share, &clean), (up, &noise)]);
                self.first = drawn;
                latent
            }
            (_, true) => mix(&[(1.0, latent), (middle - now, &slope())]),
            (SchedulerName::Kdpm2Ancestral, false) => {
                let (down, up) = ancestral(now, next);
                mix(&[(1.0, held), (down - now, &slope()), (up, &draw())])
            }
            (_, false) => mix(&[(1.0, held), (next - now, &slope())]),
        };
        Stepped { latent, clean }
    }
}
