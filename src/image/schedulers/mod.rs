//! Schedulers: the way from noise to a picture, in steps. Each file is a family, named as its paper is.
//!
//! All work on plain numbers, on the host (factors and sums in f64, latents in f32); a latent is a few thousand of them. [`SchedulerConfig`] reads
//! diffusers' `scheduler_config.json`; from the same noise they give diffusers' latents (tests/models/diffusion/schedulers.rs). What a denoiser predicts is told by
//! [`Prediction`]; what a run visits, by its [`Ladder`].

mod betas;
mod choose;
mod config;
mod ddim;
mod ddpm;
mod dpm_solver;
mod euler;
mod flow;
mod ladder;
mod lcm;
mod lms;
mod names;
mod pndm;
mod prediction;
mod scheduler;
mod second_order;
mod setup;
mod sigmas;
mod solver;
mod spacing;
mod tcd;
mod unipc;

pub use config::SchedulerConfig;
pub use ladder::Ladder;
pub use names::SchedulerName;
pub use prediction::Prediction;
pub use scheduler::{Draw, Scheduler, Stepped};
