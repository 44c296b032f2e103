//! Noise as a standard deviation beside a picture of variance 1: `sigma² = (1 − alpha) / alpha` for a cumulative alpha.

/// What stands in for an alpha of 0, whose sigma would be infinite.
const LEAST_ALPHA: f64 = 1.0 / 16_777_216.0;

/// The sigmas of the training, least first.
pub struct Sigmas(Vec<f64>);

impl Sigmas {
    /// With `zero_snr`, the last alpha is 0.
    pub fn of(alphas: &[f64], zero_snr: bool) -> Self {
        let least = if zero_snr { LEAST_ALPHA } else { 0.0 };
        let sigma = |alpha: f32| f64::from(((1.0 - alpha) / alpha).sqrt());
        Self(alphas.iter().map(|alpha| sigma(alpha.max(least) as f32)).collect())
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

    /// The timestep of a sigma, found between the logarithms of its neighbours (in 32 bits, as in diffusers).
    pub fn timestep(&self, sigma: f64) -> f64 {
        let log = |s: f64| f64::from(s.ln() as f32);
        let s = sigma.ln();
        let high = self.0.partition_point(|each| log(*each) <= s).clamp(1, self.0.len() - 1);
        let (a, b) = (log(self.0[high - 1]), log(self.0[high]));
        (high - 1) as f64 + ((s - a) / (b - a)).clamp(0.0, 1.0)
    }

    /// How many steps of the training have at least this half logarithm of the signal-to-noise ratio.
    pub fn steps_above(&self, lambda: f64) -> usize {
        self.0.partition_point(|s| -s.ln() >= lambda)
    }
}

/// How sigmas lie between the most and the least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Equally far apart in their roots of this degree, 7 as a rule (arXiv 2206.00364, equation 5).
    Karras(f64),
    /// Equally far apart in their logarithms: Lu's lambdas (DPM-Solver, arXiv 2206.00927) are the same.
    Exponential,
    /// By the quantiles of the beta distribution with both parameters 0.6 (arXiv 2407.12173).
    Beta,
}

impl Spread {
    /// `steps` sigmas from `most` to `least`.
    pub fn sigmas(self, (most, least): (f64, f64), steps: usize) -> Vec<f64> {
        let share = |i: usize| if steps == 1 { 0.0 } else { i as f64 / (steps - 1) as f64 };
        let between = |from: f64, to: f64, i: usize| from + share(i) * (to - from);
        let sigma = |i: usize| match self {
            Self::Karras(rho) => between(most.powf(1.0 / rho), least.powf(1.0 / rho), i).powf(rho),
            Self::Exponential => between(most.ln(), least.ln(), i).exp(),
            Self::Beta => least + quantile(1.0 - share(i)) * (most - least),
        };
        (0..steps).map(sigma).collect()
    }
}

/// Of the beta distribution with both parameters 0.6, by halving.
fn quantile(p: f64) -> f64 {
    const A: f64 = 0.6;
    // Up to a factor, the incomplete beta function below the middle: x^a · Σ (1 − a)_k xᵏ / (k! · (a + k)).
    let below = |x: f64| {
        let (mut sum, mut term) = (0.0, x.powf(A));
        for k in 0..64 {
            let k = f64::from(k);
            sum += term / (A + k);
            term *= (1.0 - A + k) / (k + 1.0) * x;
        }
        sum
    };
    if p > 0.5 {
        return 1.0 - quantile(1.0 - p);
    }
    let wanted = 2.0 * p * below(0.5);
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if below(middle) < wanted { low = middle } else { high = middle }
    }
    low
}
