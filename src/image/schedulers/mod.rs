//! Schedulers: the way from noise to a picture, in steps. Each file is one, named as its paper is.
//!
//! All work on plain numbers, on the host; a latent is a few thousand of them. What a denoiser predicts is told by [`Prediction`].

mod flow;

pub use flow::FlowEuler;

use serde::{Deserialize, Serialize};

use super::Noise;
use crate::{Error, Result};

/// The published names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerName {
    #[serde(rename = "flow-euler")]
    FlowEuler,
}

impl SchedulerName {
    /// Errors: `bad-argument` that names those that are known.
    pub fn parse(name: &str, known: &[Self]) -> Result<Self> {
        known.iter().copied().find(|each| each.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|each| each.as_str()).collect();
            Error::bad_argument(format!("scheduler is {name:?}, but this model takes {}", names.join(", ")))
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlowEuler => "flow-euler",
        }
    }
}

/// What a step makes of a latent.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    pub latent: Vec<f32>,
    /// The picture's latent as the denoiser now takes it to be.
    pub clean: Vec<f32>,
}

/// A way from noise to a picture, over a fixed number of steps.
pub trait Scheduler {
    fn steps(&self) -> usize;

    /// What the denoiser is told before step `i`.
    fn timestep(&self, i: usize) -> f32;

    /// What the latent is multiplied by before the denoiser sees it.
    fn input_scale(&self, i: usize) -> f32;

    /// A clean latent with as much noise as there is before step `i`; before step 0 of a whole run, noise alone comes to the same as a clean
    /// latent of zeros.
    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32>;

    /// Takes step `i` with what the denoiser predicts for `latent`. Schedulers that draw noise on the way take it from `noise`.
    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], noise: &mut Noise) -> Stepped;
}
