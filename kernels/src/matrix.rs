//! Weights as the kernels read them: eight rows side by side ("a panel"), so that a vector holds one column, or a pair of
//! columns, of four rows. A row is repacked when it comes in; there is never a second copy of a matrix.
//!
//! | file | here | bits a weight (in the file) |
//! |---|---|---|
//! | F32, F16, BF16 | the same | 32, 16, 16 |
//! | Q4_0, IQ4_NL, MXFP4 / Q4_1 | nibbles, a half float for 32 (and another, their offset) | 4.5 (4.5, 4.5, 4.25) / 5 (5) |
//! | IQ4_XS / Q4_K | nibbles, a byte for 32 (and another) and a float for 256 (and another) | 4.375 (4.25) / 4.75 (4.5) |
//! | Q5_0 / Q5_1 | five bits and as Q4_0 / Q4_1 | 5.5 (5.5) / 6 (6) |
//! | Q5_K | five bits and as Q4_K | 5.75 (5.5) |
//! | Q6_K | six bits, a byte for 16, a float for 256 | 6.625 (6.5625) |
//! | Q8_0 | bytes, a half float for 32 | 8.5 (8.5) |
//! | Q8_K | bytes, a byte for 32, a float for 256 | 8.375 (9.125) |
//! | Q3_K / Q2_K | nibbles, a byte for 16 (and another) and a float for 256 (and another) | 4.625 (3.4375) / 5.25 (2.625) |

use bytemuck::{cast_slice, cast_slice_mut};

use crate::{
    blocks,
    dtype::DType,
    factors::Factors,
    room::{NoRoom, zeros},
    units::{Bytes, Fives, FloatColumn, HalfColumn, Kind, Levels, Nibbles, PANEL, Packing, Sixes, Unit, Words},
};

/// A matrix `[rows, columns]`, panel after panel, and in a panel from left to right.
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub dtype: DType,
    pub(crate) data: Data,
    /// One for each group of columns and each row of the panel. None for plain types.
    pub(crate) scales: Factors,
    /// Likewise, where the type has them.
    pub(crate) offsets: Factors,
}

pub(crate) enum Data {
    Float(Vec<FloatColumn>),
    Half(Vec<HalfColumn>),
    Nibbles(Vec<Nibbles>),
    Levels(Vec<Levels>),
    Fives(Vec<Fives>),
    Sixes(Vec<Sixes>),
    Bytes(Vec<Bytes>),
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
        let data = match (dtype, Packing::of(dtype).map(|packing| packing.kind)) {
            (DType::U32, _) => return Err(Refusal::WholeNumbers),
            (DType::F32, _) => Data::Float(zeros(cells)?),
            (_, None) => Data::Half(zeros(cells)?),
            (_, Some(Kind::Nibbles)) => Data::Nibbles(units(cells)?),
            (_, Some(Kind::Levels)) => Data::Levels(units(cells)?),
            (_, Some(Kind::Fives)) => Data::Fives(units(cells)?),
            (_, Some(Kind::Sixes)) => Data::Sixes(units(cells)?),
            (_, Some(Kind::Bytes)) => Data::Bytes(units(cells)?),
        };
        let factors = |any: bool| if any { Factors::new(dtype, cells) } else { Ok(Factors::None) };
        let scales = factors(dtype.is_quantised())?;
        let offsets = factors(dtype.quants().is_some_and(|quants| quants.offset))?;
        Ok(Self { rows, columns, dtype, data, scales, offsets })
    }

    pub fn bytes(&self) -> usize {
        let data = match &self.data {
            Data::Float(v) => size_of_val(v.as_slice()),
            Data::Half(v) => size_of_val(v.as_slice()),
            Data::Nibbles(v) => size_of_val(v.as_slice()),
            Data::Levels(v) => size_of_val(v.as_slice()),
            Data::Fives(v) => size_of_val(v.as_slice()),
            Data::Sixes(v) => size_of_val(v.as_slice()),
            Data::Bytes(v) => size_of_val(v.as_slice()),
        };
        data + self.scales.bytes() + self.offsets.bytes()
    }

    /// Takes row `row` in the file's encoding; `bytes` is exactly one row.
    pub fn put_row(&mut self, row: usize, bytes: &[u8]) -> Result<(), blocks::BadScale> {
        let Self { columns, dtype, data, scales, offsets, .. } = self;
        let (panel, half, at) = place(row);
        let first = panel * *columns;
        let mut put = |words: &mut [Words]| put_quants(*dtype, words, [scales, offsets], first, [half, at], bytes);
        match data {
            Data::Float(v) => {
                for (cell, b) in v[first..][..*columns].iter_mut().zip(bytes.as_chunks().0) {
                    cell[half][at] = f32::from_le_bytes(*b);
                }
                Ok(())
            }
            Data::Half(v) => {
                for (cell, b) in v[first..][..*columns].iter_mut().zip(bytes.as_chunks().0) {
                    cell[half][at] = u16::from_le_bytes(*b);
                }
                Ok(())
            }
            Data::Nibbles(units) => put(cast_slice_mut(units)),
            Data::Levels(units) => put(cast_slice_mut(units)),
            Data::Fives(units) => put(cast_slice_mut(units)),
            Data::Sixes(units) => put(cast_slice_mut(units)),
            Data::Bytes(units) => put(cast_slice_mut(units)),
        }
    }

    /// Row `row` in floats, as an embedding reads it.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        let (panel, half, at) = place(row);
        let first = panel * self.columns;
        match &self.data {
            Data::Float(v) => out.iter_mut().zip(&v[first..]).for_each(|(out, cell)| *out = cell[half][at]),
            Data::Half(v) => {
                let cells = out.iter_mut().zip(&v[first..]);
                cells.for_each(|(out, cell)| *out = float_of_half(self.dtype, cell[half][at]));
            }
            Data::Nibbles(units) => self.read_quants(cast_slice(units), row, out),
            Data::Levels(units) => self.read_quants(cast_slice(units), row, out),
            Data::Fives(units) => self.read_quants(cast_slice(units), row, out),
            Data::Sixes(units) => self.read_quants(cast_slice(units), row, out),
            Data::Bytes(units) => self.read_quants(cast_slice(units), row, out),
        }
    }

    fn read_quants(&self, words: &[Words], row: usize, out: &mut [f32]) {
        let Some(packing) = Packing::of(self.dtype) else { return };
        let (panel, half, at) = place(row);
        let group = self.dtype.group();
        for (column, out) in out.iter_mut().enumerate() {
            let cell = panel * self.columns + column;
            let word = packing.kind.get(words, cell / 2, half, at * 2 + column % 2);
            let g = cell / group;
            *out = self.scales.at(g, half, at) * f32::from(packing.unpack(word)) + self.offsets.at(g, half, at);
        }
    }
}

/// The bytes that `bytes` of a file's rows take here, without the padding of a last panel.
pub fn held_bytes(dtype: DType, bytes: u64) -> u64 {
    let (Some(packing), Some(quants)) = (Packing::of(dtype), dtype.quants()) else { return bytes };
    let columns = dtype.block_size() as u64;
    let held = columns * packing.bits() + Factors::bits(dtype, columns) * (1 + u64::from(quants.offset));
    (bytes as f64 * held as f64 / (8 * dtype.block_bytes()) as f64) as u64
}

/// Panel, half and place in the half of a row.
fn place(row: usize) -> (usize, usize, usize) {
    (row / PANEL, row % PANEL / 4, row % 4)
}

/// Units for so many columns of panels.
fn units<U: Unit<PAIRS>, const PAIRS: usize>(cells: usize) -> Result<Vec<U>, NoRoom> {
    zeros(cells / (2 * PAIRS))
}

/// Takes a row of blocks for the panel whose columns begin at `first`.
fn put_quants(
    dtype: DType,
    words: &mut [Words],
    [scales, offsets]: [&mut Factors; 2],
    first: usize,
    [half, at]: [usize; 2],
    bytes: &[u8],
) -> Result<(), blocks::BadScale> {
    let Some(packing) = Packing::of(dtype) else { return Ok(()) };
    let size = dtype.group();
    blocks::read_row(dtype, bytes, |i, group| {
        for (column, quant) in group.quants.iter().enumerate() {
            let pair = (first + i * 32 + column) / 2;
            packing.kind.put(words, pair, half, at * 2 + column % 2, packing.pack(*quant));
        }
        for part in 0..32 / size {
            let g = (first + i * 32) / size + part;
            scales.put(g, half, at, group.scale, part);
            offsets.put(g, half, at, group.offset, part);
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of whole blocks of any bits but those of scales that are no finite numbers.
    fn random_rows(dtype: DType, rows: usize, columns: usize) -> Vec<u8> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let mut bytes: Vec<u8> = (0..rows * dtype.row_bytes(columns).unwrap()).map(|_| next() as u8).collect();
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            let scales: &[usize] = match dtype {
                DType::MXFP4 => {
                    block[0] %= 251;
                    continue;
                }
                DType::Q8_K => {
                    block[..4].copy_from_slice(&(next() as f32 * 1e-7 - 0.003).to_le_bytes());
                    continue;
                }
                DType::Q2_K => &[80, 82],
                DType::Q3_K => &[108],
                DType::Q6_K => &[208],
                DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => &[0, 2],
                _ => &[0],
            };
            // Small ones among them, for which half floats have fewer bits.
            scales.iter().for_each(|at| block[at + 1] &= 0xbb);
        }
        bytes
    }

    #[test]
    fn every_quantised_row_reads_as_its_blocks_say_and_takes_about_as_much_as_in_the_file() {
        const COLUMNS: usize = 768;
        for dtype in DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_quantised()) {
            let rows = 2 * PANEL;
            let bytes = random_rows(dtype, rows, COLUMNS);
            let mut matrix = Matrix::new(rows, COLUMNS, dtype).unwrap();
            for (row, bytes) in bytes.chunks_exact(bytes.len() / rows).enumerate() {
                matrix.put_row(row, bytes).unwrap();
            }
            for (row, bytes) in bytes.chunks_exact(bytes.len() / rows).enumerate() {
                let (mut read, mut said) = (vec![f32::NAN; COLUMNS], vec![f32::NAN; COLUMNS]);
                matrix.read_row(row, &mut read);
                floats(dtype, bytes, &mut said).unwrap();
                assert!(said.iter().all(|v| v.is_finite()), "{dtype}");
                assert_eq!(read, said, "row {row} of {dtype}");
            }
            assert_eq!(matrix.bytes() as u64, held_bytes(dtype, bytes.len() as u64), "{dtype}");
            let times = matrix.bytes() as f64 / bytes.len() as f64;
            let most = if matches!(dtype, DType::Q2_K | DType::Q3_K) { 2.0 } else { 1.06 };
            assert!(times <= most, "{dtype} takes {times} times as much as in the file");
        }
    }
}
