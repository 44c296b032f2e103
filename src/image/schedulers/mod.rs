//! Schedulers: the way from noise to a picture, in steps. Each file is one, named as its paper is.
//!
//! All work on plain numbers, on the host (factors and sums in f64, latents in f32); a latent is a few thousand of them. [`SchedulerConfig`] reads
//! diffusers' `scheduler_config.json`; from the same noise they give diffusers' latents (tests/schedulers.rs). What a denoiser predicts is told by
//! [`Prediction`].

mod betas;
mod config;
mod ddim;
mod ddpm;
mod dpm_solver;
mod euler;
mod flow;
mod lcm;
mod prediction;
mod sigmas;
mod spacing;
mod unipc;

pub use betas::Betas;
pub use config::SchedulerConfig;
pub use ddim::Ddim;
pub use ddpm::Ddpm;
pub use dpm_solver::DpmSolver;
pub use euler::{Churn, Euler};
pub use flow::FlowEuler;
pub use lcm::Lcm;
pub use prediction::Prediction;
pub use spacing::Spacing;
pub use unipc::UniPc;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The published names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerName {
    #[serde(rename = "ddpm")]
    Ddpm,
    #[serde(rename = "ddim")]
    Ddim,
    #[serde(rename = "euler")]
    Euler,
    #[serde(rename = "euler-ancestral")]
    EulerAncestral,
    #[serde(rename = "dpm++-2m")]
    DpmSolver,
    #[serde(rename = "dpm++-2m-karras")]
    DpmSolverKarras,
    #[serde(rename = "unipc")]
    UniPc,
    #[serde(rename = "lcm")]
    Lcm,
    #[serde(rename = "flow-euler")]
    FlowEuler,
}

impl SchedulerName {
    /// Those that take noise out of a picture of variance 1: any of them runs a model that was trained so.
    pub const DIFFUSION: [Self; 8] = [
        Self::Ddpm,
        Self::Ddim,
        Self::Euler,
        Self::EulerAncestral,
        Self::DpmSolver,
        Self::DpmSolverKarras,
        Self::UniPc,
        Self::Lcm,
    ];

    /// Errors: `bad-argument` that names those that are known.
    pub fn parse(name: &str, known: &[Self]) -> Result<Self> {
        known.iter().copied().find(|each| each.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|each| each.as_str()).collect();
            Error::bad_argument(format!("scheduler is {name:?}, but this model takes {}", names.join(", ")))
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim => "ddim",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-ancestral",
            Self::DpmSolver => "dpm++-2m",
            Self::DpmSolverKarras => "dpm++-2m-karras",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
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

/// Fresh noise, as much as a latent has numbers.
pub type Draw<'a> = &'a mut dyn FnMut() -> Vec<f32>;

/// A way from noise to a picture, over a fixed number of steps.
pub trait Scheduler {
    fn steps(&self) -> usize;

    /// What the denoiser is told before step `i`.
    fn timestep(&self, i: usize) -> f32;

    /// What the latent is multiplied by before the denoiser sees it.
    fn input_scale(&self, _i: usize) -> f32 {
        1.0
    }

    /// What a run from nothing but noise begins with.
    fn initial(&self, noise: &[f32]) -> Vec<f32> {
        noise.to_vec()
    }

    /// A clean latent with as much noise as there is before step `i`.
    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32>;

    /// Takes step `i` with what the denoiser predicts for `latent`. Steps are taken in order, from any on; schedulers that need noise on the way draw
    /// it, once a step at most.
    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped;
}
