//! How much noise each step of the training added: the schedules of betas, and what they multiply up to.

use serde::Deserialize;

use super::SchedulerConfig;

/// From `beta_start` to `beta_end` over the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Betas {
    /// DDPM, arXiv 2006.11239.
    #[serde(rename = "linear")]
    Linear,
    /// Linear in the square root: latent diffusion.
    #[serde(rename = "scaled_linear")]
    ScaledLinear,
    /// By the cosine of improved DDPM, arXiv 2102.09672, capped at 0.999.
    #[serde(rename = "squaredcos_cap_v2")]
    Cosine,
}

/// For every step of the training, the product of `1 − beta` up to it; `range` and `schedule` where the configuration leaves them out.
pub fn cumulative_alphas(config: &SchedulerConfig, range: (f64, f64), schedule: Betas) -> Vec<f64> {
    let n = config.train_steps();
    let (start, end) = (config.beta_start.unwrap_or(range.0), config.beta_end.unwrap_or(range.1));
    let between = |from: f64, to: f64, i: usize| from + (to - from) * i as f64 / (n - 1) as f64;
    let cosine = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let beta = |i: usize| match (&config.trained_betas, config.beta_schedule.unwrap_or(schedule)) {
        (Some(betas), _) => betas[i],
        (None, Betas::Linear) => between(start, end, i),
        (None, Betas::ScaledLinear) => between(start.sqrt(), end.sqrt(), i).powi(2),
        (None, Betas::Cosine) => (1.0 - cosine((i + 1) as f64 / n as f64) / cosine(i as f64 / n as f64)).min(0.999),
    };
    let mut product = 1.0;
    let mut alphas: Vec<f64> = (0..n)
        .map(|i| {
            product *= 1.0 - beta(i);
            product
        })
        .collect();
    if config.zero_snr() {
        to_zero_snr(&mut alphas);
    }
    alphas
}

/// Shifts and stretches the square roots so that the last is 0 and the first stays (arXiv 2305.08891, algorithm 1).
fn to_zero_snr(alphas: &mut [f64]) {
    let (first, last) = (alphas[0].sqrt(), alphas[alphas.len() - 1].sqrt());
    for alpha in alphas {
        *alpha = ((alpha.sqrt() - last) * first / (first - last)).powi(2);
    }
}
