//! Activations as products with quantised weights read them: whole numbers of 16 bits with scales, a few rows side by side.

use crate::simd::ROUNDER;

/// Rows of `x` that go through a wide panel together.
pub const TILE: usize = 4;

/// So many rows meet a panel as it is stored. More would unpack its quants more than twice, and then they are made wide once.
const FEW: usize = 2 * TILE;

/// Rows of whole numbers, [`TILE`] of them side by side (of at most [`FEW`] as many as make tiles of one size): `quants` `[row / tile][pair of columns][row % tile][2]`,
/// `scales` `[row / tile][column / 32][row % tile]`, `sums` (of the quants) `[row / tile][column / 16][row % tile]`. Rows are padded with zeros to
/// whole tiles.
#[derive(Default)]
pub struct QuantisedRows {
    pub tile: usize,
    quants: Vec<[i16; 2]>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl QuantisedRows {
    pub fn bytes(&self) -> usize {
        4 * (self.quants.capacity() + self.scales.capacity() + self.sums.capacity())
    }

    pub fn is_few(&self, columns: usize) -> bool {
        2 * self.quants.len() <= FEW * columns
    }

    /// Rounds `x` `[rows, columns]`; `columns` is a multiple of 32.
    pub fn fill(&mut self, x: &[f32], columns: usize) {
        let rows = x.len() / columns;
        self.tile = if rows <= FEW { rows.div_ceil(rows.div_ceil(TILE)) } else { TILE };
        let (tile, padded) = (self.tile, rows.next_multiple_of(self.tile));
        self.quants.clear();
        self.quants.resize(padded * columns / 2, [0; 2]);
        self.scales.clear();
        self.scales.resize(padded * columns / 32, 0.0);
        self.sums.clear();
        self.sums.resize(padded * columns / 16, 0);
        for (r, row) in x.chunks_exact(columns).enumerate() {
            let (first, lane) = (r / tile, r % tile);
            for (b, block) in row.as_chunks::<32>().0.iter().enumerate() {
                let at = (first * (columns / 32) + b) * tile + lane;
                let (quants, scale) = quantise(block);
                self.scales[at] = scale;
                for (half, quants) in quants.as_chunks::<16>().0.iter().enumerate() {
                    let at = (first * (columns / 16) + b * 2 + half) * tile + lane;
                    self.sums[at] = quants.iter().map(|q| i32::from(*q)).sum();
                }
                let to = &mut self.quants[(first * columns / 2 + b * 16) * tile..][..16 * tile];
                for (pair, to) in quants.as_chunks().0.iter().zip(to.chunks_exact_mut(tile)) {
                    to[lane] = *pair;
                }
            }
        }
    }
}

/// 32 floats as whole numbers within ±32767 and their scale; one that is not finite makes the scale NaN.
pub fn quantise(block: &[f32; 32]) -> ([i16; 32], f32) {
    // Bits of magnitudes compare as the magnitudes do, and those of infinity and NaN are larger than any.
    let top = block.iter().fold(0u32, |top, v| top.max(v.to_bits() & 0x7fff_ffff));
    let largest = f32::from_bits(top);
    if !largest.is_finite() {
        return ([0; 32], f32::NAN);
    }
    if largest < 1e-30 {
        return ([0; 32], 0.0);
    }
    let inverse = 32767.0 / largest;
    (block.map(|v| (v * inverse + ROUNDER).to_bits() as i16), largest / 32767.0)
}

/// Quants, scales and sums of a tile of `L` rows.
pub type Tile<'a, const L: usize> = (&'a [[[i16; 2]; L]], &'a [[f32; L]], &'a [[i32; L]]);

pub fn tiles<const L: usize>(rows: &QuantisedRows, columns: usize) -> impl Iterator<Item = Tile<'_, L>> {
    let quants = rows.quants.as_chunks().0.chunks_exact(columns / 2);
    let scales = rows.scales.as_chunks().0.chunks_exact(columns / 32);
    let sums = rows.sums.as_chunks().0.chunks_exact(columns / 16);
    quants.zip(scales).zip(sums).map(|((quants, scales), sums)| (quants, scales, sums))
}
