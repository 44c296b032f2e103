//! What every scheduler is: steps from noise to a picture along a ladder.

use super::{ladder::Ladder, prediction::mix};

/// What a step makes of a latent.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    pub latent: Vec<f32>,
    /// The picture's latent as the denoiser now takes it to be.
    pub clean: Vec<f32>,
}

/// Fresh noise, as much as a latent has numbers.
pub type Draw<'a> = &'a mut dyn FnMut() -> Vec<f32>;

/// A way from noise to a picture, over a fixed number of evaluations of the denoiser.
pub trait Scheduler {
    fn ladder(&self) -> &Ladder;

    /// Takes rung `i` with what the denoiser predicts for `latent`. Rungs are taken in order, from any that begins a step; schedulers that need
    /// noise on the way draw it, once a rung at most.
    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped;
}

impl dyn Scheduler {
    /// Evaluations of the denoiser in a whole run.
    pub fn steps(&self) -> usize {
        self.ladder().timesteps.len()
    }

    /// What the denoiser is told at rung `i`.
    pub fn timestep(&self, i: usize) -> f32 {
        self.ladder().timesteps[i] as f32
    }

    /// What the latent is multiplied by before the denoiser sees it.
    pub fn input_scale(&self, i: usize) -> f32 {
        self.ladder().scales.get(i).map_or(1.0, |scale| *scale as f32)
    }

    /// What a run from nothing but noise begins with.
    pub fn initial(&self, noise: &[f32]) -> Vec<f32> {
        mix(&[(self.ladder().start, noise)])
    }

    /// A clean latent with as much noise as there is at rung `i`.
    pub fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let (a, s) = self.ladder().levels[i];
        mix(&[(a, clean), (s, noise)])
    }
}
