//! Steps of solvers that reckon in lambda, half the logarithm of the signal-to-noise ratio, where the linear part of the equation is solved exactly
//! (DPM-Solver, arXiv 2206.00927; DPM-Solver++, arXiv 2211.01095).

use super::prediction::shares;

/// What the polynomial goes through, and whether noise is added on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The picture: DPM-Solver++.
    Picture,
    /// The noise: DPM-Solver.
    Noise,
    /// The picture, with fresh noise.
    PictureSde,
    /// The noise, with fresh noise.
    NoiseSde,
}

impl Algorithm {
    pub fn of_noise(self) -> bool {
        matches!(self, Self::Noise | Self::NoiseSde)
    }
}

/// A step from one sigma to another: `kept · latent − scale · (e^z − 1) · prediction + …`.
#[derive(Debug, Clone, Copy)]
pub struct Leap {
    pub kept: f64,
    pub scale: f64,
    /// The length, for the exponential.
    pub z: f64,
    /// The length in lambda.
    pub h: f64,
    /// The standard deviation of fresh noise.
    pub fresh: f64,
}

impl Leap {
    /// `beside`: latents are a picture and noise beside it, not of variance 1.
    pub fn new(algorithm: Algorithm, now: f64, next: f64, beside: bool) -> Self {
        let shares = |sigma: f64| if beside { (1.0, sigma) } else { shares(sigma) };
        let ((a0, s0), (a1, s1)) = (shares(now), shares(next));
        let h = now.ln() - next.ln();
        match algorithm {
            Algorithm::Picture => Self { kept: s1 / s0, scale: a1, z: -h, h, fresh: 0.0 },
            Algorithm::Noise => Self { kept: a1 / a0, scale: s1, z: h, h, fresh: 0.0 },
            Algorithm::PictureSde => Self {
                kept: s1 / s0 * (-h).exp(),
                scale: a1,
                z: -2.0 * h,
                h,
                fresh: s1 * (-(-2.0 * h).exp_m1()).sqrt(),
            },
            Algorithm::NoiseSde => {
                Self { kept: a1 / a0, scale: 2.0 * s1, z: h, h, fresh: s1 * (2.0 * h).exp_m1().sqrt() }
            }
        }
    }

    /// The factor of what is constant over the step.
    pub fn constant(&self) -> f64 {
        -self.scale * self.z.exp_m1()
    }

    /// Of what grows evenly over it.
    pub fn slope(&self) -> f64 {
        -self.scale * (self.z.exp_m1() / self.z - 1.0)
    }

    /// Of what bends. diffusers turns the sign of the one half where noise is added; so do we.
    pub fn bend(&self) -> f64 {
        let half = if self.fresh > 0.0 { -0.5 } else { 0.5 };
        -self.scale * ((self.z.exp_m1() - self.z) / (self.z * self.z) - half)
    }
}
