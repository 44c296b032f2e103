//! What a denoiser predicts, and the picture and the noise that follow from it.

use serde::Deserialize;

/// For a latent `x = a · picture + s · noise` with `a² + s² = 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Prediction {
    /// The noise (arXiv 2006.11239).
    #[serde(rename = "epsilon")]
    Epsilon,
    /// `a · noise − s · picture` (arXiv 2202.00512).
    #[serde(rename = "v_prediction")]
    Velocity,
    /// The picture.
    #[serde(rename = "sample", alias = "original_sample")]
    Sample,
    /// `noise − picture` on the straight line between them; schedulers of flows take it as it is (arXiv 2209.03003).
    #[serde(rename = "flow_prediction")]
    Flow,
}

impl Prediction {
    /// The picture.
    pub fn clean(self, (a, s): (f64, f64), prediction: &[f32], x: &[f32]) -> Vec<f32> {
        match self {
            Self::Epsilon => mix(&[(1.0 / a, x), (-s / a, prediction)]),
            Self::Velocity => mix(&[(a, x), (-s, prediction)]),
            Self::Sample => prediction.to_vec(),
            Self::Flow => mix(&[(1.0, x), (-s, prediction)]),
        }
    }

    /// The noise.
    pub fn noise(self, (a, s): (f64, f64), prediction: &[f32], x: &[f32]) -> Vec<f32> {
        match self {
            Self::Epsilon => prediction.to_vec(),
            Self::Velocity => mix(&[(s, x), (a, prediction)]),
            Self::Sample => mix(&[(1.0 / s, x), (-a / s, prediction)]),
            Self::Flow => mix(&[(1.0, x), (a, prediction)]),
        }
    }
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
