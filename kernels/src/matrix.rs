//! Weights as the kernels read them: eight rows side by side ("a panel"), so that a vector holds one column, or a pair of
//! columns, of four rows. A row is repacked when it comes in; there is never a second copy of a matrix.
//!
//! | file | here | bits a weight |
//! |---|---|---|
//! | F32, F16, BF16 | the same | 32, 16, 16 |
//! | Q4_0 / Q4_1, Q4_K | nibbles, an f32 scale (and offset) for 32 | 5 / 6 |
//! | Q8_0, Q5_0, Q8_K, IQ4_NL, IQ4_XS, MXFP4 / Q5_1, Q5_K | bytes, an f32 scale (and offset) for 32 | 9 / 10 |
//! | Q6_K, Q3_K / Q2_K | bytes, an f32 scale (and offset) for 16 | 10 / 12 |

use std::collections::TryReserveError;

use crate::{blocks, dtype::DType};

/// Rows in a panel.
pub const PANEL: usize = 8;

/// Eight columns of the eight rows of a panel: half `r / 4`, and in it pairs of columns of row `r % 4`.
/// A nibble's place in its word is its pair.
pub type NibbleQuad = [[u16; 8]; 2];
/// `[pair][half][row % 4 · 2 + column % 2]`
pub type ByteQuad = [[[i8; 8]; 2]; 4];
/// A pair of columns of a panel: `[half][row % 4 · 2 + column % 2]`
pub type WordPair = [[i16; 8]; 2];

/// One column of a panel in floats.
pub type FloatColumn = [[f32; 4]; 2];
/// One column of a panel in half floats of either kind.
pub type HalfColumn = [[u16; 4]; 2];

/// A matrix `[rows, columns]`, panel after panel, and in a panel from left to right.
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub dtype: DType,
    pub data: Data,
    /// One for each group of columns and each row of the panel. Empty for plain types.
    pub scales: Vec<[[f32; 4]; 2]>,
    /// Likewise; empty where the type has none.
    pub offsets: Vec<[[f32; 4]; 2]>,
}

pub enum Data {
    Float(Vec<FloatColumn>),
    Half(Vec<HalfColumn>),
    Nibbles(Vec<NibbleQuad>),
    Bytes(Vec<ByteQuad>),
}

/// Memory that the machine does not give.
#[derive(Debug)]
pub struct NoRoom {
    pub bytes: usize,
    pub cause: TryReserveError,
}

/// A vector of `n` zeros.
pub fn zeros<T: bytemuck::Zeroable + Clone>(n: usize) -> Result<Vec<T>, NoRoom> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|cause| NoRoom { bytes: n.saturating_mul(size_of::<T>()), cause })?;
    v.resize(n, T::zeroed());
    Ok(v)
}

/// Why there can be no such matrix.
#[derive(Debug)]
pub enum Refusal {
    /// Its columns are none, or no whole blocks.
    Blocks,
    /// Whole numbers serve no operation.
    WholeNumbers,
    /// Its bytes cannot be counted.
    TooLarge,
    NoRoom(NoRoom),
}

impl From<NoRoom> for Refusal {
    fn from(no_room: NoRoom) -> Self {
        Self::NoRoom(no_room)
    }
}

impl Matrix {
    /// Room for a matrix of zeros.
    pub fn new(rows: usize, columns: usize, dtype: DType) -> Result<Self, Refusal> {
        if !columns.is_multiple_of(dtype.block_size()) || columns == 0 {
            return Err(Refusal::Blocks);
        }
        let panels = rows.div_ceil(PANEL);
        // At most 32 bytes for a column of a panel: so many fit, or none.
        let cells = panels.checked_mul(columns).filter(|n| n.checked_mul(64).is_some()).ok_or(Refusal::TooLarge)?;
        let data = match dtype {
            DType::F32 => Data::Float(zeros(cells)?),
            DType::F16 | DType::BF16 => Data::Half(zeros(cells)?),
            DType::U32 => return Err(Refusal::WholeNumbers),
            quantised if quantised.quants().is_some_and(|quants| quants.nibbles) => Data::Nibbles(zeros(cells / 8)?),
            _ => Data::Bytes(zeros(cells / 8)?),
        };
        let group = group(dtype);
        let scales = if dtype.is_quantised() { zeros(cells / group)? } else { vec![] };
        let offsets = if dtype.quants().is_some_and(|quants| quants.offset) { zeros(cells / group)? } else { vec![] };
        Ok(Self { rows, columns, dtype, data, scales, offsets })
    }

    pub fn bytes(&self) -> usize {
        let data = match &self.data {
            Data::Float(v) => size_of_val(v.as_slice()),
            Data::Half(v) => size_of_val(v.as_slice()),
            Data::Nibbles(v) => size_of_val(v.as_slice()),
            Data::Bytes(v) => size_of_val(v.as_slice()),
        };
        data + size_of_val(self.scales.as_slice()) + size_of_val(self.offsets.as_slice())
    }

    /// Takes row `row` in the file's encoding; `bytes` is exactly one row.
    pub fn put_row(&mut self, row: usize, bytes: &[u8]) -> Result<(), blocks::BadScale> {
        let Self { columns, dtype, data, scales, offsets, .. } = self;
        let (columns, dtype) = (*columns, *dtype);
        let (panel, lane) = (row / PANEL, row % PANEL);
        let (half, at) = (lane / 4, lane % 4);
        match data {
            Data::Float(v) => {
                let cells = &mut v[panel * columns..][..columns];
                for (cell, b) in cells.iter_mut().zip(bytes.as_chunks().0) {
                    cell[half][at] = f32::from_le_bytes(*b);
                }
            }
            Data::Half(v) => {
                let cells = &mut v[panel * columns..][..columns];
                for (cell, b) in cells.iter_mut().zip(bytes.as_chunks().0) {
                    cell[half][at] = u16::from_le_bytes(*b);
                }
            }
            Data::Nibbles(v) => {
                let quads = &mut v[panel * (columns / 8)..][..columns / 8];
                blocks::read_row(dtype, bytes, |g, group| {
                    for (quad, eight) in quads[g * 4..][..4].iter_mut().zip(group.quants.as_chunks::<8>().0) {
                        for (column, q) in eight.iter().enumerate() {
                            quad[half][at * 2 + column % 2] |= u16::from(*q as u8) << (column / 2 * 4);
                        }
                    }
                    let g = panel * (columns / 32) + g;
                    scales[g][half][at] = group.scales[0];
                    if let Some(offset) = offsets.get_mut(g) {
                        offset[half][at] = group.offsets[0];
                    }
                })?;
            }
            Data::Bytes(v) => {
                let quads = &mut v[panel * (columns / 8)..][..columns / 8];
                let halves = 32 / group(dtype);
                blocks::read_row(dtype, bytes, |g, group| {
                    for (quad, eight) in quads[g * 4..][..4].iter_mut().zip(group.quants.as_chunks::<8>().0) {
                        for (column, q) in eight.iter().enumerate() {
                            quad[column / 2][half][at * 2 + column % 2] = *q;
                        }
                    }
                    for part in 0..halves {
                        let g = (panel * (columns / 32) + g) * halves + part;
                        scales[g][half][at] = group.scales[part];
                        if let Some(offset) = offsets.get_mut(g) {
                            offset[half][at] = group.offsets[part];
                        }
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Row `row` in floats, as an embedding reads it.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        let (panel, half, at) = (row / PANEL, row % PANEL / 4, row % 4);
        let group = group(self.dtype);
        let zero = zero(self.dtype);
        let scaled = |column: usize, q: i8| {
            let g = panel * (self.columns / group) + column / group;
            let offset = self.offsets.get(g).map_or(0.0, |o| o[half][at]);
            self.scales[g][half][at] * f32::from(q - zero) + offset
        };
        for (column, out) in out.iter_mut().enumerate() {
            let cell = panel * self.columns + column;
            let pair = at * 2 + column % 2;
            *out = match &self.data {
                Data::Float(v) => v[cell][half][at],
                Data::Half(v) => float_of_half(self.dtype, v[cell][half][at]),
                Data::Nibbles(v) => scaled(column, (v[cell / 8][half][pair] >> (column % 8 / 2 * 4) & 15) as i8),
                Data::Bytes(v) => scaled(column, v[cell / 8][column % 8 / 2][half][pair]),
            };
        }
    }
}

/// Columns that share a scale.
pub fn group(dtype: DType) -> usize {
    dtype.quants().map_or(1, |quants| quants.group)
}

/// What every quant is too large by.
pub fn zero(dtype: DType) -> i8 {
    dtype.quants().map_or(0, |quants| quants.zero())
}

fn float_of_half(dtype: DType, bits: u16) -> f32 {
    match dtype {
        DType::BF16 => half::bf16::from_bits(bits).to_f32(),
        _ => half::f16::from_bits(bits).to_f32(),
    }
}

/// A row of any type in floats: `out` is as long as the row.
pub fn floats(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), blocks::BadScale> {
    match dtype {
        DType::F32 | DType::U32 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*b);
            }
        }
        DType::F16 | DType::BF16 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = float_of_half(dtype, u16::from_le_bytes(*b));
            }
        }
        _ => {
            let mut out = out.iter_mut();
            blocks::dequantise(dtype, bytes, |number| {
                if let Some(out) = out.next() {
                    *out = number;
                }
            })?;
        }
    }
    Ok(())
}
