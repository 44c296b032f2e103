//! How rotary frequencies are stretched for texts that are longer than those a model was first trained on.

use std::f64::consts::TAU;

use super::config::{Long, Rotary, linear_scale};
use crate::{Error, Result};

/// A kind of scaling. `original` is the context, in tokens, that the model was first trained on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scaling {
    /// Every frequency by `factor` (arXiv 2306.15595).
    Linear { factor: f64 },
    /// Long wavelengths are stretched by `factor`, those shorter than `original / high` tokens stay, those between are blended (arXiv 2407.21783).
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
    /// The same by pairs: those that turn `beta_fast` times in `original` tokens stay, those that turn `beta_slow` times are stretched (arXiv 2309.00071).
    Yarn { factor: f64, original: f64, beta_fast: f64, beta_slow: f64, truncate: bool, magnitude: f64 },
    /// A divisor for each pair, other ones for texts that are longer than `original` (arXiv 2402.13753).
    LongRope { long: Long, magnitude: f64 },
}

/// What YaRN lengthens heads by, unless a file says another.
pub(super) fn yarn_magnitude(factor: f64, mscale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 }
}

/// What LongRoPE lengthens heads by, unless a file says another.
pub(super) fn long_magnitude(factor: f64, original: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() }
}

impl Rotary {
    /// The same, stretched.
    ///
    /// Errors: `corrupt-file` with the numbers that cannot be.
    pub(super) fn scaled(mut self, scaling: Scaling) -> Result<Self> {
        let wrong = || {
            let why = format!("the rotary scaling is {scaling:?} of {} numbers a head", self.dim);
            Err(Error::corrupt_file(format!("{why}, which cannot be; the file's configuration is damaged")))
        };
        let sane = |numbers: &[f64]| numbers.iter().all(|n| n.is_finite() && *n > 0.0);
        let (dim, base) = (self.dim as f64, f64::from(self.base));
        let pairs = self.dim / 2;
        match &scaling {
            Scaling::Linear { factor } => self.frequency_scale = linear_scale("the factor of rotary scaling", *factor)?,
            &Scaling::Llama3 { factor, low, high, original } => {
                if !sane(&[factor, low, high, original]) || high <= low {
                    return wrong();
                }
                let kept = |i: usize| {
                    let turns = original / (TAU * base.powf(2.0 * i as f64 / dim));
                    ((turns - low) / (high - low)).clamp(0.0, 1.0)
                };
                self.factors = Some((0..pairs).map(|i| blended(factor, kept(i))).collect());
            }
            &Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, magnitude } => {
                if !sane(&[factor, original, beta_fast, beta_slow, magnitude]) || base <= 1.0 {
                    return wrong();
                }
                // The pair that turns so often in the original context.
                let pair = |turns: f64| dim * (original / (turns * TAU)).ln() / (2.0 * base.ln());
                let (mut first, mut last) = (pair(beta_fast), pair(beta_slow));
                if truncate {
                    (first, last) = (first.floor(), last.ceil());
                }
                (first, last) = (first.max(0.0), last.min(dim - 1.0));
                if first == last {
                    last += 0.001;
                }
                let kept = |i: usize| 1.0 - ((i as f64 - first) / (last - first)).clamp(0.0, 1.0);
                self.factors = Some((0..pairs).map(|i| blended(factor, kept(i))).collect());
                self.magnitude = magnitude as f32;
            }
            Scaling::LongRope { long, magnitude } => {
                let lists = long.factors.iter().flatten();
                let fit = |list: &Vec<f32>| list.len() == pairs && list.iter().all(|n| n.is_finite() && *n > 0.0);
                if !sane(&[*magnitude]) || !lists.clone().all(fit) {
                    return wrong();
                }
                self.magnitude = *magnitude as f32;
                self.long = Some(long.clone());
            }
        }
        Ok(self)
    }
}

/// The divisor of a frequency of which so much is kept and the rest divided by `factor`.
fn blended(factor: f64, kept: f64) -> f32 {
    (1.0 / ((1.0 - kept) / factor + kept)) as f32
}
