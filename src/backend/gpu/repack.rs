//! From GGUF's blocks to aligned streams of words: quants in one, scales in another, so that a thread loads whole words.
//!
//! All storage types become five forms (`kernels/linear_weight.wgsl` reads them):
//!
//! | form | from | quants | scales |
//! |---|---|---|---|
//! | `F32` | F32 | as they are, rows padded to 16 | none |
//! | `F16`, `BF16` | F16, BF16 | two a word, rows padded to 16 | none |
//! | `Q4` | Q4_0, Q4_1, Q4_K | eight a word | one per 32 |
//! | `Q8` | all others | four a word | one per 32, per 16 for Q2_K, Q3_K and Q6_K |
//!
//! A weight is `scale · q + min`, where the form has a min; else `scale · (q − 8)` in `Q4` and `scale · q` in `Q8`.
//! Scales are f16, two a word (a scale and its min, or two neighbours' scales), or on software adapters f32, which saves
//! them the conversion.
//!
//! The field in a word's top bits is stored in two's complement and the lower ones as unsigned (`q` of a nibble, `q + 128` of a byte):
//! then a mask and one conversion to float give any of them, without a shift. Shifts are dear where vectors are emulated.

use half::f16;
use vitrine_kernels::blocks;

use crate::graph::DType;

/// How the quants of a weight lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    BF16,
    Q4,
    Q8,
}

/// How a weight lies on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub kind: Kind,
    /// Weights a scale; 1 for plain floats.
    pub block: usize,
    /// Whether each scale has a min beside it.
    pub min: bool,
    /// Whether scales are f32.
    pub wide: bool,
}

/// Weights in a chunk, to which rows of plain floats are padded.
pub const CHUNK: usize = 16;

impl Form {
    /// The form of a storage type; `None` for token ids.
    pub fn of(dtype: DType, wide: bool) -> Option<Self> {
        let (kind, block, min) = match (dtype, dtype.quants()) {
            (_, Some(quants)) => (if quants.nibbles { Kind::Q4 } else { Kind::Q8 }, quants.group, quants.offset),
            (DType::F16, _) => (Kind::F16, 1, false),
            (DType::BF16, _) => (Kind::BF16, 1, false),
            (DType::U32, _) => return None,
            _ => (Kind::F32, 1, false),
        };
        Some(Self { kind, block, min, wide })
    }

    pub fn is_quantised(self) -> bool {
        self.block > 1
    }

    /// Words of quants a row; `None` where they are more than can be counted.
    pub fn quant_words(self, cols: usize) -> Option<usize> {
        let padded = cols.checked_next_multiple_of(CHUNK)?;
        Some(match self.kind {
            Kind::F32 => padded,
            Kind::F16 | Kind::BF16 => padded / 2,
            Kind::Q4 => padded / 8,
            Kind::Q8 => padded / 4,
        })
    }

    /// Words of scales a row.
    pub fn scale_words(self, cols: usize) -> usize {
        if !self.is_quantised() {
            return 0;
        }
        let blocks = cols / self.block;
        match (self.wide, self.min) {
            (true, true) => 2 * blocks,
            (true, false) | (false, true) => blocks,
            (false, false) => blocks.div_ceil(2),
        }
    }
}

/// A scale or min that is no finite number (or none that f16 can hold, where scales are f16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadScale {
    /// The row in which it stands, counted from the first given.
    pub row: usize,
}

/// Rows in their GPU form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub quants: Vec<u32>,
    pub scales: Vec<u32>,
}

/// Packs whole rows of `cols` weights, encoded as a file has them. `bytes` is a whole number of rows.
pub fn pack(dtype: DType, form: Form, cols: usize, bytes: &[u8]) -> Result<Packed, BadScale> {
    let (Some(row_bytes), Some(words)) = (dtype.row_bytes(cols), form.quant_words(cols)) else {
        return Ok(Packed::default());
    };
    let rows = bytes.len() / row_bytes.max(1);
    let mut packed =
        Packed { quants: Vec::with_capacity(rows * words), scales: Vec::with_capacity(rows * form.scale_words(cols)) };
    for (row, bytes) in bytes.chunks_exact(row_bytes.max(1)).enumerate() {
        match form.kind {
            Kind::F32 => packed.quants.extend(words_of(bytes)),
            Kind::F16 | Kind::BF16 => packed.quants.extend(halves_of(bytes)),
            Kind::Q4 | Kind::Q8 => {
                let mut scales = Scales { form, out: &mut packed.scales, half: None };
                let (quants, mut sound) = (&mut packed.quants, true);
                let read = blocks::read_row(dtype, bytes, |_, group| {
                    for part in 0..32 / form.block {
                        sound &= scales.push(group.scale.of(part), group.offset.of(part)).is_some();
                    }
                    match form.kind {
                        Kind::Q4 => pack_nibbles(&group.quants, quants),
                        _ => pack_bytes(&group.quants, quants),
                    }
                });
                scales.finish();
                if read.is_err() || !sound {
                    return Err(BadScale { row });
                }
            }
        }
        packed.quants.resize((row + 1) * words, 0);
    }
    Ok(packed)
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn halves_of(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks(4).map(|b| {
        let at = |i: usize| b.get(i).copied().unwrap_or(0);
        u32::from_le_bytes([at(0), at(1), at(2), at(3)])
    })
}

/// Writes the scales of a row.
struct Scales<'a> {
    form: Form,
    out: &'a mut Vec<u32>,
    half: Option<u16>,
}

impl Scales<'_> {
    /// `None` where one cannot be held.
    fn push(&mut self, scale: f32, min: f32) -> Option<()> {
        if !scale.is_finite() || !min.is_finite() {
            return None;
        }
        if self.form.wide {
            self.out.push(scale.to_bits());
            if self.form.min {
                self.out.push(min.to_bits());
            }
            return Some(());
        }
        let (scale, min) = (f16::from_f32(scale), f16::from_f32(min));
        if !scale.is_finite() || !min.is_finite() {
            return None;
        }
        if self.form.min {
            self.pair(scale.to_bits(), min.to_bits());
        } else if let Some(first) = self.half.take() {
            self.pair(first, scale.to_bits());
        } else {
            self.half = Some(scale.to_bits());
        }
        Some(())
    }

    fn pair(&mut self, low: u16, high: u16) {
        self.out.push(u32::from(low) | u32::from(high) << 16);
    }

    fn finish(mut self) {
        if let Some(first) = self.half.take() {
            self.pair(first, 0);
        }
    }
}

/// Nibbles, eight a word: the first four in the low halves of its bytes, the next four in the high ones.
fn pack_nibbles(q: &[i8; 32], out: &mut Vec<u32>) {
    out.extend(q.as_chunks::<8>().0.iter().map(|eight| {
        u32::from_le_bytes(std::array::from_fn(|i| eight[i] as u8 | (eight[i + 4] as u8) << 4)) ^ 0x8000_0000
    }));
}

/// Signed bytes, four a word.
fn pack_bytes(q: &[i8], out: &mut Vec<u32>) {
    out.extend(
        q.as_chunks()
            .0
            .iter()
            .map(|&[a, b, c, d]| u32::from_le_bytes([a as u8, b as u8, c as u8, d as u8]) ^ 0x0080_8080),
    );
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    /// What packed rows stand for, by the definition of the forms.
    fn unpack(form: Form, cols: usize, packed: &Packed) -> Vec<f32> {
        let words = form.quant_words(cols).unwrap_or(0).max(1);
        let mut out = vec![];
        for (row, quants) in packed.quants.chunks_exact(words).enumerate() {
            let scales = packed.scales.get(row * form.scale_words(cols)..).unwrap_or_default();
            out.extend((0..cols).map(|k| {
                let half_of = |word: u32, i: usize| (word >> (16 * i)) as u16;
                let q = match form.kind {
                    Kind::F32 => return f32::from_bits(quants[k]),
                    Kind::F16 => return f16::from_bits(half_of(quants[k / 2], k % 2)).to_f32(),
                    Kind::BF16 => return bf16::from_bits(half_of(quants[k / 2], k % 2)).to_f32(),
                    Kind::Q4 => (((quants[k / 8] ^ 0x8000_0000) >> (k % 4 * 8 + k % 8 / 4 * 4)) & 15) as f32,
                    Kind::Q8 => f32::from((quants[k / 4] ^ 0x0080_8080).to_le_bytes()[k % 4] as i8),
                };
                let b = k / form.block;
                let (scale, min) = match (form.wide, form.min) {
                    (true, true) => (f32::from_bits(scales[2 * b]), f32::from_bits(scales[2 * b + 1])),
                    (true, false) => (f32::from_bits(scales[b]), 0.0),
                    (false, true) => {
                        (f16::from_bits(half_of(scales[b], 0)).to_f32(), f16::from_bits(half_of(scales[b], 1)).to_f32())
                    }
                    (false, false) => (f16::from_bits(half_of(scales[b / 2], b % 2)).to_f32(), 0.0),
                };
                let centre = if form.kind == Kind::Q4 && !form.min { 8.0 } else { 0.0 };
                scale * (q - centre) + min
            }));
        }
        out
    }

    /// Rows of a type with random quants and scales that f16 holds exactly.
    pub fn random_rows(dtype: DType, rows: usize, cols: usize, seed: u64) -> Vec<u8> {
        let mut state = seed * 2 + 1;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32
        };
        let len = rows * dtype.row_bytes(cols).unwrap();
        let mut bytes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            let scales: &[usize] = match dtype {
                DType::F32 => {
                    block.copy_from_slice(&(next() as f32 / 2f32.powi(31) - 0.5).to_le_bytes());
                    continue;
                }
                DType::BF16 => {
                    block.copy_from_slice(&half::bf16::from_f32(next() as f32 / 2f32.powi(31) - 0.5).to_le_bytes());
                    continue;
                }
                DType::F16 | DType::Q4_0 | DType::Q5_0 | DType::Q8_0 => &[0],
                DType::Q2_K => &[80, 82],
                DType::Q3_K => &[108],
                DType::Q6_K => &[208],
                DType::IQ4_NL | DType::IQ4_XS => &[0],
                DType::Q8_K => {
                    block[..4].copy_from_slice(&(next() as f32 / 2f32.powi(31) * 0.02 + 0.001).to_le_bytes());
                    continue;
                }
                DType::MXFP4 => {
                    block[0] = 116 + (next() % 8) as u8;
                    continue;
                }
                _ => &[0, 2],
            };
            for at in scales {
                let scale = f16::from_f32(next() as f32 / 2f32.powi(31) * 0.02 + 0.001);
                block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        bytes
    }

    /// What candle reads in the bytes; `None` for types that it does not know.
    fn oracle(dtype: DType, rows: usize, cols: usize, bytes: &[u8]) -> Option<Vec<f32>> {
        use candle_core::quantized::GgmlDType as G;
        let kind = match dtype {
            DType::F32 => G::F32,
            DType::F16 => G::F16,
            DType::BF16 => G::BF16,
            DType::Q4_0 => G::Q4_0,
            DType::Q4_1 => G::Q4_1,
            DType::Q5_0 => G::Q5_0,
            DType::Q5_1 => G::Q5_1,
            DType::Q8_0 => G::Q8_0,
            DType::Q2_K => G::Q2K,
            DType::Q3_K => G::Q3K,
            DType::Q4_K => G::Q4K,
            DType::Q5_K => G::Q5K,
            DType::Q6_K => G::Q6K,
            DType::Q8_K | DType::IQ4_NL | DType::IQ4_XS | DType::MXFP4 | DType::U32 => return None,
        };
        let cpu = candle_core::Device::Cpu;
        let tensor = candle_core::quantized::ggml_file::qtensor_from_ggml(kind, bytes, vec![rows, cols], &cpu).unwrap();
        Some(tensor.dequantize(&cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap())
    }

    #[test]
    fn packed_weights_stand_for_what_candle_reads_in_the_same_bytes() {
        for dtype in DType::WEIGHTS {
            let (rows, cols) = (3, if dtype.is_quantised() { 768 } else { 172 });
            let bytes = random_rows(dtype, rows, cols, 1);
            let Some(expected) = oracle(dtype, rows, cols, &bytes) else { continue };
            for wide in [false, true] {
                let form = Form::of(dtype, wide).unwrap();
                let packed = pack(dtype, form, cols, &bytes).unwrap();
                assert_eq!(packed.quants.len(), rows * form.quant_words(cols).unwrap());
                assert_eq!(packed.scales.len(), rows * form.scale_words(cols));
                let most = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
                for (a, b) in unpack(form, cols, &packed).iter().zip(&expected) {
                    // Products of a scale with a sub-scale are rounded where scales are f16.
                    let tolerance = if wide { 1e-6 } else { 5e-4 };
                    assert!((a - b).abs() <= tolerance * most, "{dtype} wide {wide}: {a} for {b}");
                }
            }
        }
    }

    #[test]
    fn a_scale_that_is_no_number_is_refused_with_its_row() {
        for dtype in DType::WEIGHTS.into_iter().filter(|d| d.is_quantised()) {
            let cols = dtype.block_size() * 2;
            let at = match dtype {
                DType::Q2_K => 80,
                DType::Q3_K => 108,
                DType::Q6_K => 208,
                // Its scale is a float, or a power of two.
                DType::Q8_K | DType::MXFP4 => continue,
                _ => 0,
            };
            for bad in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
                let mut bytes = random_rows(dtype, 4, cols, 2);
                let start = 2 * dtype.row_bytes(cols).unwrap() + dtype.block_bytes() + at;
                bytes[start..start + 2].copy_from_slice(&bad.to_le_bytes());
                let form = Form::of(dtype, true).unwrap();
                assert_eq!(pack(dtype, form, cols, &bytes), Err(BadScale { row: 2 }), "{dtype} {bad}");
            }
        }
    }
}
