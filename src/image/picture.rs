//! A picture as people and browsers have it, and its way to and from a graph's rows.

use crate::{Error, Result};

/// RGBA, eight bits each, row by row from the top left (what a canvas holds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<u8>,
}

/// The largest side that is taken in.
const LARGEST: usize = 16_384;

impl Picture {
    /// Errors: `bad-argument` where the sides and the bytes do not fit.
    pub fn new(width: usize, height: usize, rgba: Vec<u8>) -> Result<Self> {
        let sides = 1..=LARGEST;
        if !sides.contains(&width) || !sides.contains(&height) || rgba.len() != 4 * width * height {
            return Err(Error::bad_argument(format!(
                "a picture of {width}×{height} pixels and {} bytes cannot be; give RGBA with sides from 1 to {LARGEST}",
                rgba.len()
            )));
        }
        Ok(Self { width, height, rgba })
    }

    /// From rows `[pixels, 3]` where `low … high` is black to white; what lies outside is clipped.
    pub fn from_rows(width: usize, height: usize, rows: &[f32], low: f32, high: f32) -> Self {
        let byte = |v: f32| ((v - low) / (high - low) * 255.0).round().clamp(0.0, 255.0) as u8;
        let rgba = rows.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [byte(*r), byte(*g), byte(*b), 255]).collect();
        Self { width, height, rgba }
    }

    /// Rows `[pixels, 3]`, black at `low` and white at `high`. Transparent pixels stand on white.
    pub fn rows(&self, low: f32, high: f32) -> Vec<f32> {
        let number = |v: u8, alpha: u8| {
            let (v, alpha) = (f32::from(v) / 255.0, f32::from(alpha) / 255.0);
            (v * alpha + 1.0 - alpha) * (high - low) + low
        };
        let pixels = self.rgba.as_chunks::<4>().0.iter();
        pixels.flat_map(|[r, g, b, a]| [r, g, b].map(|v| number(*v, *a))).collect()
    }

    /// How bright and opaque each pixel is, 0 … 1: a mask as readers paint it.
    pub fn mask(&self) -> Vec<f32> {
        let pixels = self.rgba.as_chunks::<4>().0.iter();
        pixels
            .map(|[r, g, b, a]| {
                let light = [r, g, b].map(|v| f32::from(*v)).iter().sum::<f32>() / 765.0;
                light * f32::from(*a) / 255.0
            })
            .collect()
    }

    /// Brought to `width` by `height`: the largest part of that shape from the middle, each pixel the mean of what it covers. Colours count by how
    /// opaque they are, so that what is transparent lends its colour to nothing.
    pub fn fitted(&self, width: usize, height: usize) -> Self {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let scale = (self.width as f64 / width as f64).min(self.height as f64 / height as f64);
        let left = (self.width as f64 - width as f64 * scale) / 2.0;
        let top = (self.height as f64 - height as f64 * scale) / 2.0;
        let mut rgba = Vec::with_capacity(4 * width * height);
        for y in 0..height {
            let rows = span(top + y as f64 * scale, scale, self.height);
            for x in 0..width {
                let columns = span(left + x as f64 * scale, scale, self.width);
                rgba.extend(self.mean(&rows, &columns));
            }
        }
        Self { width, height, rgba }
    }

    fn mean(&self, rows: &[(usize, f64)], columns: &[(usize, f64)]) -> [u8; 4] {
        // Of the colours times their alpha, and of alpha.
        let (mut sums, mut total) = ([0.0; 4], 0.0);
        for (y, wy) in rows {
            for (x, wx) in columns {
                let [r, g, b, a] = self.rgba.as_chunks::<4>().0[y * self.width + x].map(f64::from);
                for (sum, v) in sums.iter_mut().zip([r * a, g * a, b * a, a]) {
                    *sum += v * wy * wx;
                }
                total += wy * wx;
            }
        }
        let [r, g, b, alpha] = sums;
        if alpha == 0.0 {
            return [0; 4];
        }
        [r / alpha, g / alpha, b / alpha, alpha / total].map(|v| v.round() as u8)
    }
}

/// Pixels that `start .. start + length` covers, each with its share; where a pixel becomes larger, its two neighbours are mixed.
fn span(start: f64, length: f64, side: usize) -> Vec<(usize, f64)> {
    let (start, end) = if length < 1.0 {
        let middle = start + length / 2.0;
        (middle - 0.5, middle + 0.5)
    } else {
        (start, start + length)
    };
    let first = start.floor();
    let mut pixels = vec![];
    let mut at = first;
    while at < end {
        let share = (at + 1.0).min(end) - at.max(start);
        if share > 1e-9 {
            pixels.push(((at.max(0.0) as usize).min(side - 1), share));
        }
        at += 1.0;
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn striped(width: usize, height: usize) -> Picture {
        let pixel = |i: usize| [(i % width * 255 / width) as u8, (i / width * 255 / height) as u8, 40, 255];
        Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn rows_and_pictures_go_both_ways() {
        let picture = striped(5, 3);
        assert_eq!(Picture::from_rows(5, 3, &picture.rows(-1.0, 1.0), -1.0, 1.0), picture);
        assert_eq!(Picture::from_rows(1, 1, &[-9.0, 0.5, 9.0], 0.0, 1.0).rgba, [0, 128, 255, 255]);
    }

    #[test]
    fn a_picture_is_fitted_from_its_middle() {
        let wide = striped(8, 4).fitted(4, 4);
        assert_eq!((wide.width, wide.height), (4, 4));
        assert_eq!(wide.rgba[0], striped(8, 4).rgba[4 * 2]);
        let flat = Picture::new(3, 3, vec![77; 36]).unwrap();
        for side in [1, 2, 5, 9] {
            assert!(flat.fitted(side, side).rgba.iter().all(|v| *v == 77));
        }
        let half = Picture::new(2, 1, vec![0, 0, 0, 255, 200, 200, 200, 255]).unwrap();
        assert_eq!(half.fitted(1, 1).rgba.len(), 4);
    }

    /// Pillow's `resize(.., Image.BOX)` of RGBA.
    #[test]
    fn colours_count_by_how_opaque_they_are() {
        let rgba = |pixels: &[[u8; 4]]| pixels.concat();
        let four = [[255, 0, 0, 255], [0, 255, 0, 0], [0, 0, 255, 128], [9, 9, 9, 0]];
        for (pixels, wanted) in [
            (four, [170, 0, 85, 96]),
            ([[200, 100, 50, 255], [0, 0, 0, 0], [255, 255, 255, 0], [0, 0, 0, 0]], [199, 99, 51, 64]),
            ([[1, 2, 3, 0]; 4], [0, 0, 0, 0]),
            ([[10, 20, 30, 40], [50, 60, 70, 80], [90, 100, 110, 120], [130, 140, 150, 160]], [91, 102, 112, 100]),
            ([[255, 0, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255], [0, 0, 0, 255]], [128, 64, 128, 255]),
        ] {
            let picture = Picture::new(2, 2, rgba(&pixels)).unwrap().fitted(1, 1);
            let far = picture.rgba.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
            // Pillow keeps eight bits on the way.
            assert!(far <= Some(2), "{pixels:?}: {:?}, not {wanted:?}", picture.rgba);
        }
        assert_eq!(Picture::new(2, 2, rgba(&four)).unwrap().fitted(2, 2).rgba, rgba(&four));
    }

    #[test]
    fn a_mask_is_white_and_opaque() {
        let picture = Picture::new(3, 1, vec![255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 255]).unwrap();
        assert_eq!(picture.mask(), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn sides_that_do_not_fit_the_bytes_are_refused() {
        for (width, height, bytes) in [(0, 4, 0), (2, 2, 15), (LARGEST + 1, 1, 4 * (LARGEST + 1))] {
            assert!(Picture::new(width, height, vec![0; bytes]).is_err());
        }
    }
}
