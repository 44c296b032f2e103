//! What a denoiser predicts, and the picture and the noise that follow from it.

/// For a latent `x = a · picture + s · noise` with `a² + s² = 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise (arXiv 2006.11239).
    Epsilon,
    /// `a · noise − s · picture` (arXiv 2202.00512).
    Velocity,
    /// The picture.
    Sample,
}

impl Prediction {
    /// As diffusers' files name it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "epsilon" => Some(Self::Epsilon),
            "v_prediction" => Some(Self::Velocity),
            "sample" => Some(Self::Sample),
            _ => None,
        }
    }

    /// The picture.
    pub fn clean(self, (a, s): (f64, f64), prediction: &[f32], x: &[f32]) -> Vec<f32> {
        match self {
            Self::Epsilon => mix(&[(1.0 / a, x), (-s / a, prediction)]),
            Self::Velocity => mix(&[(a, x), (-s, prediction)]),
            Self::Sample => prediction.to_vec(),
        }
    }

    /// The noise.
    pub fn noise(self, (a, s): (f64, f64), prediction: &[f32], x: &[f32]) -> Vec<f32> {
        match self {
            Self::Epsilon => prediction.to_vec(),
            Self::Velocity => mix(&[(s, x), (a, prediction)]),
            Self::Sample => mix(&[(1.0 / s, x), (-a / s, prediction)]),
        }
    }
}

/// How the picture is read out of a latent that is it and `sigma` times noise.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub prediction: Prediction,
    /// Where the picture is clipped.
    pub clip: Option<f32>,
    /// The standard deviation of the data and the factor of the network's output, where it is preconditioned as EDM's are (arXiv 2206.00364,
    /// table 1): that is velocity for data of variance 1.
    pub edm: Option<(f64, f64)>,
}

impl Reading {
    pub fn clean(&self, sigma: f64, prediction: &[f32], latent: &[f32]) -> Vec<f32> {
        let (data, gain) = self.edm.unwrap_or((1.0, 1.0));
        let (a, s) = shares(sigma / data);
        let scaled = mix(&[(gain, prediction)]);
        clip(self.prediction.clean((a, s), &scaled, &mix(&[(a, latent)])), self.clip)
    }
}

/// The share of the picture and of the noise in a latent of variance 1.
pub fn shares(sigma: f64) -> (f64, f64) {
    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
    (alpha, sigma * alpha)
}

/// The sum of vectors, each times its factor. Sums are f64, so that no order of terms matters.
pub fn mix(terms: &[(f64, &[f32])]) -> Vec<f32> {
    let length = terms.first().map_or(0, |(_, values)| values.len());
    (0..length)
        .map(|i| terms.iter().map(|(factor, values)| factor * f64::from(values[i])).sum::<f64>() as f32)
        .collect()
}

pub fn clip(mut values: Vec<f32>, range: Option<f32>) -> Vec<f32> {
    if let Some(range) = range {
        values.iter_mut().for_each(|v| *v = v.clamp(-range, range));
    }
    values
}
