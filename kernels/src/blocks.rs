//! Reads GGUF's quantised blocks, 32 weights at a time: whole numbers with scales, whatever the block calls them.
//!
//! The layouts are those of the GGUF specification; MXFP4 is that of the OCP Microscaling formats (v1.0). Every kind comes down to
//! `scale · (quant − zero) + offset`, see [`Quants`](crate::dtype::Quants).

use crate::dtype::DType;

/// 32 weights: weight `i` is `scale(i / 16) · (quants[i] − zero) + offset(i / 16)`.
pub struct Group {
    pub quants: [i8; 32],
    pub scale: Factor,
    pub offset: Factor,
}

/// A scale or an offset of each half of 32 weights: what the block says once, times what it says of the half.
#[derive(Clone, Copy)]
pub struct Factor {
    pub of_block: f32,
    /// Equal where one serves 32.
    pub of_halves: [i8; 2],
}

impl Factor {
    const NONE: Self = Self::plain(0.0);

    const fn plain(of_block: f32) -> Self {
        Self { of_block, of_halves: [1; 2] }
    }

    pub fn of(self, half: usize) -> f32 {
        self.of_block * f32::from(self.of_halves[half])
    }
}

/// A scale or an offset of a block is NaN or infinite.
#[derive(Debug)]
pub struct BadScale;

/// Calls `each` for every 32 weights of a row of whole blocks, in order. A row of a plain type has none.
pub fn read_row(dtype: DType, row: &[u8], mut each: impl FnMut(usize, &Group)) -> Result<(), BadScale> {
    let groups = dtype.block_size() / 32;
    let read = match dtype {
        DType::Q4_0 | DType::Q4_1 | DType::Q5_0 | DType::Q5_1 | DType::Q8_0 => simple,
        DType::Q2_K => k2,
        DType::Q3_K => k3,
        DType::Q4_K | DType::Q5_K => k45,
        DType::Q6_K => k6,
        DType::Q8_K => k8,
        DType::IQ4_NL | DType::MXFP4 => levels,
        DType::IQ4_XS => xs4,
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 => return Ok(()),
    };
    for (i, block) in row.chunks_exact(dtype.block_bytes()).enumerate() {
        for part in 0..groups {
            each(i * groups + part, &read(dtype, block, part)?);
        }
    }
    Ok(())
}

/// The numbers of a row of whole blocks, in order.
pub fn dequantise(dtype: DType, row: &[u8], mut each: impl FnMut(f32)) -> Result<(), BadScale> {
    let zero = dtype.quants().map_or(0, |quants| quants.zero());
    read_row(dtype, row, |_, group| {
        for (i, quant) in group.quants.iter().enumerate() {
            each(group.scale.of(i / 16) * f32::from(quant - zero) + group.offset.of(i / 16));
        }
    })
}

fn half_at(block: &[u8], at: usize) -> Result<f32, BadScale> {
    let value = half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    if value.is_finite() { Ok(value) } else { Err(BadScale) }
}

/// `d [m] [high bits] quants`
fn simple(dtype: DType, block: &[u8], _: usize) -> Result<Group, BadScale> {
    let scale = Factor::plain(half_at(block, 0)?);
    let has_offset = matches!(dtype, DType::Q4_1 | DType::Q5_1);
    let offset = if has_offset { Factor::plain(half_at(block, 2)?) } else { Factor::NONE };
    let mut rest = &block[if has_offset { 4 } else { 2 }..];
    let mut quants = [0i8; 32];
    if dtype == DType::Q8_0 {
        for (q, b) in quants.iter_mut().zip(rest) {
            *q = *b as i8;
        }
        return Ok(Group { quants, scale, offset });
    }
    let mut high = 0u32;
    if matches!(dtype, DType::Q5_0 | DType::Q5_1) {
        high = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        rest = &rest[4..];
    }
    let middle = if dtype == DType::Q5_0 { 16 } else { 0 };
    for i in 0..16 {
        let bit = |at: usize| ((high >> at & 1) << 4) as i8;
        quants[i] = ((rest[i] & 15) as i8 | bit(i)) - middle;
        quants[i + 16] = ((rest[i] >> 4) as i8 | bit(i + 16)) - middle;
    }
    Ok(Group { quants, scale, offset })
}

/// `d dmin`, eight 6-bit scales and minima in 12 bytes, `[32 bytes of fifth bits]`, nibbles.
fn k45(dtype: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let (d, dmin) = (half_at(block, 0)?, half_at(block, 2)?);
    let s = &block[4..16];
    let (scale, min) = if part < 4 {
        (s[part] & 63, s[part + 4] & 63)
    } else {
        (s[part + 4] & 15 | s[part - 4] >> 6 << 4, s[part + 4] >> 4 | s[part] >> 6 << 4)
    };
    let five = dtype == DType::Q5_K;
    let nibbles = &block[if five { 48 } else { 16 } + part / 2 * 32..];
    let mut quants = [0i8; 32];
    for (i, q) in quants.iter_mut().enumerate() {
        let high = if five { (block[16 + i] >> part & 1) << 4 } else { 0 };
        *q = (nibbles[i] >> (part % 2 * 4) & 15 | high) as i8;
    }
    let [scale, offset] = [(d, scale), (-dmin, min)].map(|(of_block, n)| Factor { of_block, of_halves: [n as i8; 2] });
    Ok(Group { quants, scale, offset })
}

/// 128 bytes of low nibbles, 64 of high bit pairs, sixteen 8-bit scales, `d`.
fn k6(_: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let d = half_at(block, 208)?;
    let (half, quarter) = (part / 4, part % 4);
    let low = &block[half * 64 + quarter % 2 * 32..];
    let high = &block[128 + half * 32..];
    let scales = &block[192 + part * 2..];
    let mut quants = [0i8; 32];
    for (i, q) in quants.iter_mut().enumerate() {
        let low = low[i] >> (quarter / 2 * 4) & 15;
        *q = (low | (high[i] >> (quarter * 2) & 3) << 4) as i8 - 32;
    }
    let scale = Factor { of_block: d, of_halves: [0, 1].map(|i| scales[i] as i8) };
    Ok(Group { quants, scale, offset: Factor::NONE })
}

/// Sixteen scales and minima of 4 bits, 64 bytes of bit pairs, `d dmin`.
fn k2(_: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let (d, dmin) = (half_at(block, 80)?, half_at(block, 82)?);
    let pairs = &block[16 + part / 4 * 32..];
    let sub = [0, 1].map(|half| block[part * 2 + half]);
    Ok(Group {
        quants: std::array::from_fn(|i| (pairs[i] >> (part % 4 * 2) & 3) as i8),
        scale: Factor { of_block: d, of_halves: sub.map(|sub| (sub & 15) as i8) },
        offset: Factor { of_block: -dmin, of_halves: sub.map(|sub| (sub >> 4) as i8) },
    })
}

/// 32 bytes of third bits, 64 of bit pairs, sixteen 6-bit scales in 12 bytes, `d`.
fn k3(_: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let d = half_at(block, 108)?;
    let pairs = &block[32 + part / 4 * 32..];
    let packed = &block[96..108];
    let scale = |i: usize| {
        let low = if i < 8 { packed[i] & 15 } else { packed[i - 8] >> 4 };
        (low | (packed[8 + i % 4] >> (i / 4 * 2) & 3) << 4) as i8 - 32
    };
    let quant = |i: usize| (pairs[i] >> (part % 4 * 2) & 3 | (block[i] >> part & 1) << 2) as i8 - 4;
    Ok(Group {
        quants: std::array::from_fn(quant),
        scale: Factor { of_block: d, of_halves: [0, 1].map(|half| scale(part * 2 + half)) },
        offset: Factor::NONE,
    })
}

/// `d` as f32, bytes, sums of sixteen.
fn k8(_: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    if !d.is_finite() {
        return Err(BadScale);
    }
    let quants = &block[4 + part * 32..];
    let quants = std::array::from_fn(|i| quants[i] as i8);
    Ok(Group { quants, scale: Factor::plain(d), offset: Factor::NONE })
}

/// What the nibbles of the IQ4 types stand for.
pub const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// The numbers of FP4 (E2M1), doubled.
pub const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Sixteen bytes of nibbles, the first half of the numbers in the low ones.
fn looked_up(levels: &[i8; 16], nibbles: &[u8]) -> [i8; 32] {
    std::array::from_fn(|i| levels[usize::from(nibbles[i % 16] >> (i / 16 * 4) & 15)])
}

/// `d`, nibbles: half floats for IQ4_NL, a power of two for MXFP4.
fn levels(dtype: DType, block: &[u8], _: usize) -> Result<Group, BadScale> {
    let (scale, levels, nibbles) = match (dtype, block[0]) {
        (DType::MXFP4, 255) => return Err(BadScale),
        (DType::MXFP4, exponent) => ((f32::from(exponent) - 128.0).exp2(), &E2M1, &block[1..]),
        _ => (half_at(block, 0)?, &IQ4, &block[2..]),
    };
    Ok(Group { quants: looked_up(levels, nibbles), scale: Factor::plain(scale), offset: Factor::NONE })
}

/// `d`, eight 6-bit scales (their high pairs in 2 bytes, their low nibbles in 4), nibbles.
fn xs4(_: DType, block: &[u8], part: usize) -> Result<Group, BadScale> {
    let high = u16::from_le_bytes([block[2], block[3]]);
    let low = block[4 + part / 2] >> (part % 2 * 4) & 15;
    let scale = (low | ((high >> (part * 2) & 3) << 4) as u8) as i8 - 32;
    let quants = looked_up(&IQ4, &block[8 + part * 16..]);
    let scale = Factor { of_block: half_at(block, 0)?, of_halves: [scale; 2] };
    Ok(Group { quants, scale, offset: Factor::NONE })
}
