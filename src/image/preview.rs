//! A picture of a latent for next to nothing: each of its pixels becomes a colour by a linear map that was fitted to the decoder itself.
//!
//! A decoder of latent diffusion is nearly linear in large: what it adds are edges and textures. So one small decoding of a
//! smooth random latent tells the map by least squares, and a preview costs a few additions a pixel where a decoding costs seconds.

/// Sides of the latent that is decoded for the fit.
pub const SAMPLE_SIDE: usize = 8;
/// Keeps the fit sane where channels do the same.
const RIDGE: f64 = 1e-3;

/// From the channels of a latent's pixel, and 1, to red, green and blue.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    map: Vec<[f64; 3]>,
}

/// A latent `[SAMPLE_SIDE², channels]` of soft blotches, drawn from `numbers` of variance 1.
pub fn sample(channels: usize, numbers: &mut dyn FnMut() -> f32) -> Vec<f32> {
    const CORNERS: usize = SAMPLE_SIDE / 2 + 1;
    let corners: Vec<f32> = (0..CORNERS * CORNERS * channels).map(|_| 1.5 * numbers()).collect();
    let at = |y: usize, x: usize, c: usize| corners[(y * CORNERS + x) * channels + c];
    let pixels = (0..SAMPLE_SIDE * SAMPLE_SIDE).map(|i| (i / SAMPLE_SIDE, i % SAMPLE_SIDE));
    pixels
        .flat_map(|(y, x)| {
            let (top, left) = (y / 2, x / 2);
            let (down, right) = ((y % 2) as f32 / 2.0, (x % 2) as f32 / 2.0);
            (0..channels).map(move |c| (top, left, down, right, c))
        })
        .map(|(top, left, down, right, c)| {
            let row = |y: usize| at(y, left, c) * (1.0 - right) + at(y, left + 1, c) * right;
            row(top) * (1.0 - down) + row(top + 1) * down
        })
        .collect()
}

impl Preview {
    /// Fits the map: rows of `latent` `[n, channels]` to rows of `colours` `[n, 3]`.
    pub fn fit(latent: &[f32], channels: usize, colours: &[[f64; 3]]) -> Self {
        let n = channels + 1;
        // The normal equations, their right sides behind them.
        let mut rows = vec![vec![0.0f64; n + 3]; n];
        for (pixel, colour) in latent.chunks_exact(channels).zip(colours) {
            let x: Vec<f64> = pixel.iter().map(|v| f64::from(*v)).chain([1.0]).collect();
            for (i, row) in rows.iter_mut().enumerate() {
                for (sum, v) in row.iter_mut().zip(x.iter().chain(colour)) {
                    *sum += x[i] * v;
                }
            }
        }
        for (i, row) in rows.iter_mut().enumerate() {
            row[i] += RIDGE * colours.len() as f64;
        }
        // The matrix is positive definite, so elimination needs no exchange of rows.
        for i in 0..n {
            let pivot = rows[i].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(j, _)| *j != i) {
                let factor = row[i] / pivot[i];
                row.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
            }
        }
        let map = rows.iter().enumerate().map(|(i, row)| [0, 1, 2].map(|c| row[n + c] / row[i])).collect();
        Self { map }
    }

    /// Rows `[pixels, 3]` of a latent's rows.
    pub fn colours(&self, latent: &[f32]) -> Vec<f32> {
        let channels = self.map.len() - 1;
        let colour = |pixel: &[f32]| {
            let x = pixel.iter().map(|v| f64::from(*v)).chain([1.0]);
            x.zip(&self.map).fold([0.0; 3], |sum, (v, to)| [0, 1, 2].map(|c| sum[c] + v * to[c]))
        };
        latent.chunks_exact(channels).flat_map(|pixel| colour(pixel).map(|v| v as f32)).collect()
    }
}

/// The mean colour of each square of `factor` by `factor` pixels of a picture's rows `[(side · factor)², 3]`.
pub fn means(rows: &[f32], side: usize, factor: usize) -> Vec<[f64; 3]> {
    let mut sums = vec![[0.0; 3]; side * side];
    for (i, pixel) in rows.as_chunks::<3>().0.iter().enumerate() {
        let (y, x) = (i / (side * factor) / factor, i % (side * factor) / factor);
        for (sum, v) in sums[y * side + x].iter_mut().zip(pixel) {
            *sum += f64::from(*v) / (factor * factor) as f64;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Noise;

    #[test]
    fn a_decoder_that_is_linear_is_found_exactly() {
        let mut noise = Noise::new(3, 0);
        let latent = sample(4, &mut || noise.next_number());
        let truth = |z: &[f32]| {
            let z: Vec<f64> = z.iter().map(|v| f64::from(*v)).collect();
            [0.3 * z[0] - 0.2 * z[3] + 0.1, 0.5 * z[1], -0.4 * z[2] + 0.2 * z[0] - 0.3]
        };
        let colours: Vec<_> = latent.chunks_exact(4).map(truth).collect();
        let preview = Preview::fit(&latent, 4, &colours);
        let found = preview.colours(&latent);
        for (found, wanted) in found.as_chunks::<3>().0.iter().zip(&colours) {
            for (f, w) in found.iter().zip(wanted) {
                assert!((f64::from(*f) - w).abs() < 0.01, "{found:?} for {wanted:?}");
            }
        }
    }

    #[test]
    fn squares_become_their_mean() {
        let rows: Vec<f32> = (0..16).flat_map(|i| [(i / 2 % 2) as f32, (i / 8) as f32, 1.0]).collect();
        assert_eq!(means(&rows, 2, 2), [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
    }
}
