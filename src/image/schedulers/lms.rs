//! Linear multistep of order 4 along the probability flow (k-diffusion): Adams and Bashforth's, for steps of any length.

use super::{
    ladder::Ladder,
    prediction::{Reading, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

const ORDER: usize = 4;

#[derive(Debug, Clone)]
pub struct Lms {
    ladder: Ladder,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    reading: Reading,
    /// The slopes of the latest steps, the latest first.
    slopes: Vec<Vec<f32>>,
}

impl Lms {
    pub fn new(setup: &Setup) -> Self {
        let (timesteps, sigmas) = setup.discrete();
        let ladder = Ladder::of_sigmas(timesteps, &sigmas, setup.start(&sigmas));
        Self { ladder, sigmas, reading: setup.reading(), slopes: vec![] }
    }

    /// What the slope of `back` steps ago counts in step `i`: the integral over the step of the polynomial that is 1 at its sigma and 0 at the
    /// others'.
    fn weight(&self, i: usize, order: usize, back: usize) -> f64 {
        let own = self.sigmas[i - back];
        let others = (0..order).filter(|k| *k != back).map(|k| self.sigmas[i - k]);
        let at = |tau: f64| others.clone().map(|sigma| (tau - sigma) / (own - sigma)).product::<f64>();
        let (from, to) = (self.sigmas[i], self.sigmas[i + 1]);
        // Simpson's rule is exact for cubics.
        (to - from) / 6.0 * (at(from) + 4.0 * at((from + to) / 2.0) + at(to))
    }
}

impl Scheduler for Lms {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let sigma = self.sigmas[i];
        let clean = self.reading.clean(sigma, prediction, latent);
        self.slopes.insert(0, mix(&[(1.0 / sigma, latent), (-1.0 / sigma, &clean)]));
        self.slopes.truncate(ORDER);
        // The order goes by the place in the whole run, so one that begins later leans on slopes that it has not: diffusers leaves them out.
        let order = ORDER.min(i + 1);
        let mut terms = vec![(1.0, latent)];
        terms.extend(
            self.slopes.iter().take(order).enumerate().map(|(back, slope)| (self.weight(i, order, back), &slope[..])),
        );
        Stepped { latent: mix(&terms), clean }
    }
}
