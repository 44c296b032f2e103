//! Noise as a standard deviation beside a picture of variance 1: `sigma² = (1 − alpha) / alpha` for a cumulative alpha.

use super::SchedulerConfig;

/// What stands in for an alpha of 0, whose sigma would be infinite.
const LEAST_ALPHA: f64 = 1.0 / 16_777_216.0;

/// The sigmas of the training, least first.
pub struct Sigmas(Vec<f64>);

impl Sigmas {
    pub fn of(config: &SchedulerConfig) -> Self {
        let least = if config.zero_snr() { LEAST_ALPHA } else { f64::MIN_POSITIVE };
        Self(config.alphas().into_iter().map(|a| a.max(least)).map(|a| ((1.0 - a) / a).sqrt()).collect())
    }

    /// At a timestep, between two of the training where it is not whole.
    pub fn at(&self, timestep: f64) -> f64 {
        let low = (timestep.max(0.0) as usize).min(self.0.len() - 1);
        let high = (low + 1).min(self.0.len() - 1);
        self.0[low] + (self.0[high] - self.0[low]) * (timestep - low as f64)
    }

    pub fn least(&self) -> f64 {
        self.0[0]
    }

    pub fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The timestep of a sigma, found between the logarithms of its neighbours.
    pub fn timestep(&self, sigma: f64) -> f64 {
        let high = self.0.partition_point(|s| *s <= sigma).clamp(1, self.0.len() - 1);
        let (a, b, s) = (self.0[high - 1].ln(), self.0[high].ln(), sigma.ln());
        (high - 1) as f64 + ((s - a) / (b - a)).clamp(0.0, 1.0)
    }

    /// How many steps of the training have at least this half logarithm of the signal-to-noise ratio.
    pub fn steps_above(&self, lambda: f64) -> usize {
        self.0.partition_point(|s| -s.ln() >= lambda)
    }

    /// What follows the last step.
    pub fn last(&self, config: &SchedulerConfig) -> f64 {
        if config.final_sigmas_type.as_deref() == Some("sigma_min") { self.least() } else { 0.0 }
    }
}

/// `steps` sigmas from `most` to `least`, equally far apart in their seventh roots (arXiv 2206.00364, equation 5).
pub fn karras(most: f64, least: f64, steps: usize) -> Vec<f64> {
    let (from, to) = (most.powf(1.0 / 7.0), least.powf(1.0 / 7.0));
    let share = |i: usize| if steps == 1 { 0.0 } else { i as f64 / (steps - 1) as f64 };
    (0..steps).map(|i| (from + share(i) * (to - from)).powi(7)).collect()
}

/// The share of the picture and of the noise in a latent of variance 1.
pub fn shares(sigma: f64) -> (f64, f64) {
    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
    (alpha, sigma * alpha)
}
