//! From GGUF's blocks to aligned streams of words: quants in one, scales in another, so that a thread loads whole words.
//!
//! Eleven storage types become five forms (`kernels/linear_weight.wgsl` reads them):
//!
//! | form | from | quants | scales |
//! |---|---|---|---|
//! | `F32` | F32 | as they are, rows padded to 16 | none |
//! | `F16`, `BF16` | F16, BF16 | two a word, rows padded to 16 | none |
//! | `Q4` | Q4_0, Q4_1, Q4_K | eight a word | one per 32 |
//! | `Q8` | Q5_0, Q5_1, Q8_0, Q5_K, Q6_K | four a word | one per 32, per 16 for Q6_K |
//!
//! A weight is `scale · q + min`, where the form has a min; else `scale · (q − 8)` in `Q4` and `scale · q` in `Q8`.
//! Scales are f16, two a word (a scale and its min, or two neighbours' scales), or on software adapters f32, which saves
//! them the conversion.
//!
//! The field in a word's top bits is stored in two's complement and the lower ones as unsigned (`q` of a nibble, `q + 128` of a byte):
//! then a mask and one conversion to float give any of them, without a shift. Shifts are dear where vectors are emulated.

use half::f16;

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
        let (kind, block, min) = match dtype {
            DType::F32 => (Kind::F32, 1, false),
            DType::F16 => (Kind::F16, 1, false),
            DType::BF16 => (Kind::BF16, 1, false),
            DType::Q4_0 => (Kind::Q4, 32, false),
            DType::Q4_1 | DType::Q4_K => (Kind::Q4, 32, true),
            DType::Q5_0 | DType::Q8_0 => (Kind::Q8, 32, false),
            DType::Q5_1 | DType::Q5_K => (Kind::Q8, 32, true),
            DType::Q6_K => (Kind::Q8, 16, false),
            DType::U32 => return None,
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
                let quants = &mut packed.quants;
                let sound = bytes
                    .chunks_exact(dtype.block_bytes())
                    .all(|block| pack_block(dtype, block, quants, &mut scales).is_some());
                if !sound || scales.finish().is_none() {
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

    fn finish(mut self) -> Option<()> {
        if let Some(first) = self.half.take() {
            self.pair(first, 0);
        }
        Some(())
    }
}

/// Four bytes as a word; the callers' blocks are long enough by their type.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn half(bytes: &[u8], at: usize) -> f32 {
    bytes.get(at..at + 2).map_or(f32::NAN, |b| f16::from_le_bytes([b[0], b[1]]).to_f32())
}

const LOW: u32 = 0x0f0f_0f0f;

/// Thirty-two nibbles, low halves of `bytes` (or high ones), into four words.
fn pack_nibbles(bytes: &[u8], high: bool, out: &mut Vec<u32>) {
    let shift = if high { 4 } else { 0 };
    for at in (0..bytes.len()).step_by(8) {
        let (a, b) = (word(bytes, at) >> shift & LOW, word(bytes, at + 4) >> shift & LOW);
        out.push((a | b << 4) ^ 0x8000_0000);
    }
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

/// The scale and min of sub-block `i` of a Q4_K or Q5_K block, six bits each.
fn k_scale(scales: &[u8], i: usize) -> (f32, f32) {
    let at = |i: usize| scales.get(i).copied().unwrap_or(0);
    let (scale, min) = if i < 4 {
        (at(i) & 63, at(i + 4) & 63)
    } else {
        (at(i + 4) & 15 | at(i - 4) >> 6 << 4, at(i + 4) >> 4 | at(i) >> 6 << 4)
    };
    (f32::from(scale), f32::from(min))
}

/// One block of a quantised type. `None` where a scale is bad.
fn pack_block(dtype: DType, block: &[u8], quants: &mut Vec<u32>, scales: &mut Scales) -> Option<()> {
    match dtype {
        DType::Q4_0 | DType::Q4_1 => {
            let nibbles = if dtype == DType::Q4_0 { 2 } else { 4 };
            scales.push(half(block, 0), if dtype == DType::Q4_0 { 0.0 } else { half(block, 2) })?;
            pack_nibbles(block.get(nibbles..)?, false, quants);
            // A block's second half is in the high nibbles: words 0 and 1 are of the low ones, 2 and 3 of the high ones.
            pack_nibbles(block.get(nibbles..)?, true, quants);
        }
        DType::Q4_K => {
            let (d, d_min) = (half(block, 0), half(block, 2));
            for i in 0..8 {
                let (scale, min) = k_scale(block.get(4..16)?, i);
                scales.push(d * scale, -d_min * min)?;
                let start = 16 + i / 2 * 32;
                pack_nibbles(block.get(start..start + 32)?, i % 2 == 1, quants);
            }
        }
        DType::Q8_0 => {
            scales.push(half(block, 0), 0.0)?;
            quants.extend(words_of(block.get(2..)?).map(|w| w ^ 0x0080_8080));
        }
        DType::Q5_0 | DType::Q5_1 => {
            let (min, centre, head) = if dtype == DType::Q5_0 { (0.0, 16, 2) } else { (half(block, 2), 0, 4) };
            scales.push(half(block, 0), min)?;
            let (high, low) = (word(block, head), block.get(head + 4..head + 20)?);
            let mut q = [0i8; 32];
            for (j, byte) in low.iter().enumerate() {
                q[j] = (byte & 15 | ((high >> j & 1) << 4) as u8) as i8 - centre;
                q[j + 16] = (byte >> 4 | ((high >> (j + 16) & 1) << 4) as u8) as i8 - centre;
            }
            pack_bytes(&q, quants);
        }
        DType::Q5_K => {
            let (d, d_min) = (half(block, 0), half(block, 2));
            let (high, low) = (block.get(16..48)?, block.get(48..176)?);
            for i in 0..8 {
                let (scale, min) = k_scale(block.get(4..16)?, i);
                scales.push(d * scale, -d_min * min)?;
                let mut q = [0i8; 32];
                for (j, q) in q.iter_mut().enumerate() {
                    let byte = low[i / 2 * 32 + j];
                    *q = (if i % 2 == 0 { byte & 15 } else { byte >> 4 } | (high[j] >> i & 1) << 4) as i8;
                }
                pack_bytes(&q, quants);
            }
        }
        DType::Q6_K => {
            let (low, high, sub) = (block.get(..128)?, block.get(128..192)?, block.get(192..208)?);
            let d = half(block, 208);
            for (i, scale) in sub.iter().enumerate() {
                scales.push(d * f32::from(*scale as i8), 0.0)?;
                // Sixteen weights from `at` on: a half of 128, in it a quarter of 32.
                let (part, quarter) = (i / 8, i % 8 / 2);
                let mut q = [0i8; 16];
                for (j, q) in q.iter_mut().enumerate() {
                    let column = i % 2 * 16 + j;
                    let byte = low[part * 64 + quarter % 2 * 32 + column];
                    let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
                    *q = (nibble | (high[part * 32 + column] >> (2 * quarter) & 3) << 4) as i8 - 32;
                }
                pack_bytes(&q, quants);
            }
        }
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 => return None,
    }
    Some(())
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
                DType::Q6_K => &[208],
                _ => &[0, 2],
            };
            for at in scales {
                let scale = f16::from_f32(next() as f32 / 2f32.powi(31) * 0.02 + 0.001);
                block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        bytes
    }

    fn oracle(dtype: DType, rows: usize, cols: usize, bytes: &[u8]) -> Vec<f32> {
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
            DType::Q4_K => G::Q4K,
            DType::Q5_K => G::Q5K,
            DType::Q6_K => G::Q6K,
            DType::U32 => unreachable!(),
        };
        let cpu = candle_core::Device::Cpu;
        let tensor = candle_core::quantized::ggml_file::qtensor_from_ggml(kind, bytes, vec![rows, cols], &cpu).unwrap();
        tensor.dequantize(&cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    const ALL: [DType; 11] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q4_K,
        DType::Q5_K,
        DType::Q6_K,
    ];

    #[test]
    fn packed_weights_stand_for_what_candle_reads_in_the_same_bytes() {
        for dtype in ALL {
            let (rows, cols) = (3, if dtype.is_quantised() { 768 } else { 172 });
            let bytes = random_rows(dtype, rows, cols, 1);
            let expected = oracle(dtype, rows, cols, &bytes);
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
        for dtype in ALL.into_iter().filter(|d| d.is_quantised()) {
            let cols = dtype.block_size() * 2;
            let at = if dtype == DType::Q6_K { 208 } else { 0 };
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
