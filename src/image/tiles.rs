//! Decoding a large latent in tiles that overlap, so that memory is a tile's and not the picture's.
//!
//! One plan of a tile's size serves all tiles. Where tiles overlap they are blended: a tile counts from nothing near its own edge, where
//! the decoder saw zeros instead of the neighbour, to fully where the neighbour counts nothing.

use crate::{
    Error, ErrorCode, Result,
    backend::Plan,
    cancel::Cancel,
    graph::{self, Grid, StepParams},
};

/// How a latent is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// The whole latent: one picture.
    whole: Grid,
    tile: Grid,
    /// Pixels of the latent that neighbours share at least.
    overlap: usize,
}

/// Sides of the tiles that latents are decoded in, so that memory stays that of one; a latent no larger than the first is decoded whole.
/// The second is for devices that cannot: with it 256 channels of Stable Diffusion's decoder, enlarged, are less than the 128 MiB
/// that every WebGPU device binds.
pub const SIDES: [usize; 2] = [64, 40];
/// What neighbouring tiles share.
pub const OVERLAP: usize = 16;

/// Whether a decoding in tiles of the first side that ended in `error` may go better in those of the second.
pub fn may_fit_smaller(error: &Error, height: usize, width: usize) -> bool {
    error.code() == ErrorCode::OutOfMemory && height.max(width) > SIDES[1]
}

impl Tiles {
    /// Tiles of at most `side` by `side` pixels of a latent of `height` by `width`.
    ///
    /// Errors: `bad-argument` where a tile is no more than twice what it shares with its neighbours.
    pub fn new(height: usize, width: usize, side: usize, overlap: usize) -> Result<Self> {
        if side <= 2 * overlap {
            return Err(Error::bad_argument(format!(
                "tiles of {side} pixels cannot share {overlap} with each neighbour; make them larger"
            )));
        }
        let whole = graph::pictures(1, height, width)?;
        Ok(Self { whole, tile: Grid::new(1, height.min(side), width.min(side)), overlap })
    }

    /// The sides of the latent that a plan must take.
    pub fn tile(&self) -> Grid {
        self.tile
    }

    /// The top left corners, row by row.
    pub fn corners(&self) -> Vec<(usize, usize)> {
        let (rows, columns) =
            (self.begins(self.whole.height, self.tile.height), self.begins(self.whole.width, self.tile.width));
        rows.iter().flat_map(|y| columns.iter().map(|x| (*y, *x))).collect()
    }

    /// As few as will do, evenly spread.
    fn begins(&self, whole: usize, tile: usize) -> Vec<usize> {
        if tile >= whole {
            return vec![0];
        }
        let steps = (whole - tile).div_ceil(tile - self.overlap);
        (0..=steps).map(|i| i * (whole - tile) / steps).collect()
    }

    /// Decodes `latent` `[height · width, channels]` with a plan from `latent` to `picture` that was compiled for [`Self::tile`]; gives
    /// `[height · width · factor², 3]`. `progress` is told the tiles done and the tiles in all.
    ///
    /// Errors: `bad-argument` where the latent has another size, `aborted`, and the plan's own.
    pub async fn decode(
        &self,
        plan: &mut Plan,
        latent: &[f32],
        channels: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        if Some(latent.len()) != self.whole.rows().checked_mul(channels) {
            let Grid { height, width, .. } = self.whole;
            let numbers = latent.len();
            return Err(Error::bad_argument(format!(
                "{numbers} numbers are no latent of {channels} channels and {height}×{width} pixels"
            )));
        }
        let corners = self.corners();
        let mut blend = None;
        for (done, corner) in corners.iter().enumerate() {
            progress(done, corners.len());
            plan.write_input("latent", bytemuck::cast_slice(&self.cut(latent, channels, *corner)))?;
            let outputs = cancel.race(plan.step(&StepParams::default(), &["picture"])?).await?;
            let picture: &[f32] = outputs.first().map_or(&[], |words| bytemuck::cast_slice(words));
            let blend = match &mut blend {
                Some(blend) => blend,
                None => blend.insert(Blend::new(self, picture.len())?),
            };
            blend.add(*corner, picture);
        }
        progress(corners.len(), corners.len());
        Ok(blend.map(Blend::finish).unwrap_or_default())
    }

    fn cut(&self, latent: &[f32], channels: usize, (top, left): (usize, usize)) -> Vec<f32> {
        let row = |y: usize| {
            let first = (y * self.whole.width + left) * channels;
            latent[first..first + self.tile.width * channels].iter().copied()
        };
        (top..top + self.tile.height).flat_map(row).collect()
    }
}

/// A picture in the making: sums, and how much went into each pixel.
struct Blend {
    tiles: Tiles,
    /// Pixels of the picture's side for one of the latent's.
    factor: usize,
    sums: Vec<[f32; 3]>,
    weights: Vec<f32>,
}

impl Blend {
    fn new(tiles: &Tiles, numbers: usize) -> Result<Self> {
        let factor = (1..=64).find(|factor| 3 * tiles.tile.times(*factor).rows() == numbers);
        let factor = factor.ok_or_else(|| Error::internal(format!("a tile gave {numbers} numbers")))?;
        let pixels = tiles.whole.times(factor).rows();
        Ok(Self { tiles: *tiles, factor, sums: vec![[0.0; 3]; pixels], weights: vec![0.0; pixels] })
    }

    fn add(&mut self, (top, left): (usize, usize), picture: &[f32]) {
        let (whole, tile) = (self.tiles.whole.times(self.factor), self.tiles.tile.times(self.factor));
        let (top, left) = (top * self.factor, left * self.factor);
        let (down, across) = (self.ramp(top, tile.height, whole.height), self.ramp(left, tile.width, whole.width));
        for (y, row) in picture.as_chunks::<3>().0.chunks_exact(tile.width).enumerate() {
            let first = (top + y) * whole.width + left;
            let sums = self.sums[first..first + tile.width].iter_mut();
            let weights = self.weights[first..first + tile.width].iter_mut();
            for (x, ((sum, weight), pixel)) in sums.zip(weights).zip(row).enumerate() {
                let w = down[y] * across[x];
                *weight += w;
                sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += w * v);
            }
        }
    }

    /// What each pixel along a side counts: nothing in the outer quarter of the overlap, then more and more; all of it at the picture's own
    /// edges.
    fn ramp(&self, first: usize, tile: usize, whole: usize) -> Vec<f32> {
        let overlap = (self.tiles.overlap * self.factor) as f32;
        let margin = (overlap / 4.0).floor();
        let rise = |from_edge: usize, at_edge: bool| {
            let along = (from_edge as f32 + 0.5 - margin) / (overlap - 2.0 * margin).max(1.0);
            if at_edge { 1.0 } else { along.clamp(0.0, 1.0) }
        };
        let weight = |i: usize| rise(i, first == 0).min(rise(tile - 1 - i, first + tile == whole));
        (0..tile).map(weight).collect()
    }

    fn finish(self) -> Vec<f32> {
        let pixels = self.sums.into_iter().zip(self.weights);
        // Every pixel lies in a tile that counts there; the least weight keeps a fault from becoming a NaN.
        pixels.flat_map(|(sum, weight)| sum.map(|v| v / weight.max(f32::MIN_POSITIVE))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_latent_with_the_overlap_asked_for() {
        let tiles = Tiles::new(40, 16, 16, 4).unwrap();
        assert_eq!(tiles.corners(), [(0, 0), (12, 0), (24, 0)]);
        assert_eq!(Tiles::new(41, 8, 16, 4).unwrap().corners(), [(0, 0), (8, 0), (16, 0), (25, 0)]);
        assert_eq!(Tiles::new(9, 9, 16, 4).unwrap().corners(), [(0, 0)]);
        assert!(Tiles::new(9, 9, 8, 4).is_err());
    }

    #[test]
    fn what_does_not_fit_the_device_is_tried_in_smaller_tiles_where_there_are_any() {
        let full = Error::out_of_memory("one binding shows 134217728");
        assert!(may_fit_smaller(&full, 64, 64) && may_fit_smaller(&full, 8, 41));
        assert!(!may_fit_smaller(&full, 40, 40), "no tile is smaller");
        assert!(!may_fit_smaller(&Error::bad_argument("no latent"), 64, 64), "another failure stays");
        for side in SIDES {
            assert_eq!(Tiles::new(64, 64, side, OVERLAP).unwrap().corners().len(), if side < 64 { 4 } else { 1 });
        }
    }

    #[test]
    fn blending_gives_back_what_every_tile_agrees_on() {
        for (height, width, side, overlap) in [(40, 23, 16, 4), (41, 17, 9, 3), (5, 30, 8, 0)] {
            let tiles = Tiles::new(height, width, side, overlap).unwrap();
            let latent: Vec<f32> = (0..height * width * 3).map(|i| (i % 97) as f32 + 1.0).collect();
            // A decoder that does nothing: the picture is the latent.
            let mut blend = Blend::new(&tiles, 3 * tiles.tile().rows()).unwrap();
            for corner in tiles.corners() {
                blend.add(corner, &tiles.cut(&latent, 3, corner));
            }
            assert!(blend.weights.iter().all(|w| *w > 0.0));
            for (got, wanted) in blend.finish().iter().zip(&latent) {
                assert!((got - wanted).abs() < 1e-3, "{got} for {wanted}");
            }
        }
    }
}
