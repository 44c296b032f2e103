//! The rungs of a run, from noise down to a picture: one for each evaluation of the denoiser.

use super::prediction::shares;

/// What a run visits, and what latents are there.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    /// What the denoiser is told at each rung.
    pub timesteps: Vec<f64>,
    /// The shares of the picture and of the noise in a latent, at each rung.
    pub levels: Vec<(f64, f64)>,
    /// What a latent is multiplied by before the denoiser sees it; 1 where there is none.
    pub scales: Vec<f64>,
    /// The standard deviation that a run from nothing but noise begins with.
    pub start: f64,
    /// Steps as a reader counts them.
    pub steps: usize,
    /// Rungs of a step; the last may have one less, and the first more.
    pub order: usize,
}

impl Ladder {
    /// One rung a step, with latents of variance 1.
    pub fn of_shares(timesteps: Vec<f64>, levels: Vec<(f64, f64)>) -> Self {
        Self { steps: timesteps.len(), timesteps, levels, scales: vec![], start: 1.0, order: 1 }
    }

    /// The same of the cumulative alphas.
    pub fn of_alphas(timesteps: Vec<f64>, alphas: impl Iterator<Item = f64>) -> Self {
        Self::of_shares(timesteps, alphas.map(|alpha| (alpha.sqrt(), (1.0 - alpha).sqrt())).collect())
    }

    /// Latents are a picture and `sigma` times noise beside it, and the denoiser sees them with variance 1.
    pub fn of_sigmas(timesteps: Vec<f64>, sigmas: &[f64], start: f64) -> Self {
        let scales = sigmas[..timesteps.len()].iter().map(|sigma| shares(*sigma).0).collect();
        let levels = sigmas.iter().map(|sigma| (1.0, *sigma)).collect();
        Self { scales, start, ..Self::of_shares(timesteps, levels) }
    }

    /// The rung where a run begins that goes over `strength` of the way, in whole steps; none where that is less than one.
    pub fn begin(&self, strength: f64) -> Option<usize> {
        let again = ((self.steps as f64 * strength) as usize).min(self.steps);
        (again > 0).then(|| (self.steps - again) * self.order)
    }

    /// Steps of a run that begins at rung `begin`.
    pub fn steps_from(&self, begin: usize) -> usize {
        self.steps - begin / self.order
    }

    /// Whether a step ends with rung `i` of a run that began at `begin`. What a method needs to get going belongs to the first step.
    pub fn ends_step(&self, begin: usize, i: usize) -> bool {
        let first = (self.timesteps.len() - begin).saturating_sub(self.steps_from(begin) * self.order);
        let done = i + 1 - begin;
        i + 1 == self.timesteps.len() || (done > first && (done - first).is_multiple_of(self.order))
    }
}
