//! Reads GGUF's quantised blocks, 32 weights at a time: whole numbers with scales, whatever the block calls them.
//!
//! The layouts are those of the GGUF specification. Every kind comes down to `scale · (quant − zero) + offset`.

use crate::graph::DType;

/// 32 weights: weight `i` is `scales[i / 16] · (quants[i] − zero) + offset`, with `zero` from [`zero`].
pub struct Group {
    pub quants: [i8; 32],
    /// Of each half; equal but for Q6_K.
    pub scales: [f32; 2],
    pub offset: f32,
}

/// What is taken from every quant of this type before it is scaled. Only a type whose quants are kept as nibbles has one;
/// elsewhere the quants carry their sign.
pub fn zero(dtype: DType) -> i8 {
    if dtype == DType::Q4_0 { 8 } else { 0 }
}

/// A scale or an offset of a block is NaN or infinite.
pub struct BadScale;

/// Calls `each` for every 32 weights of a row of whole blocks, in order.
pub fn read_row(dtype: DType, row: &[u8], mut each: impl FnMut(usize, &Group)) -> Result<(), BadScale> {
    for (i, block) in row.chunks_exact(dtype.block_bytes()).enumerate() {
        let first = i * (dtype.block_size() / 32);
        match dtype {
            DType::Q4_0 | DType::Q4_1 | DType::Q5_0 | DType::Q5_1 | DType::Q8_0 => each(first, &simple(dtype, block)?),
            DType::Q4_K | DType::Q5_K => {
                for part in 0..8 {
                    each(first + part, &k45(dtype, block, part)?);
                }
            }
            DType::Q6_K => {
                for part in 0..8 {
                    each(first + part, &k6(block, part)?);
                }
            }
            DType::F32 | DType::F16 | DType::BF16 | DType::U32 => unreachable!("plain types have no blocks"),
        }
    }
    Ok(())
}

fn half_at(block: &[u8], at: usize) -> Result<f32, BadScale> {
    let value = half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    if value.is_finite() { Ok(value) } else { Err(BadScale) }
}

/// `d [m] [high bits] quants`
fn simple(dtype: DType, block: &[u8]) -> Result<Group, BadScale> {
    let scale = half_at(block, 0)?;
    let has_offset = matches!(dtype, DType::Q4_1 | DType::Q5_1);
    let offset = if has_offset { half_at(block, 2)? } else { 0.0 };
    let mut rest = &block[if has_offset { 4 } else { 2 }..];
    let mut quants = [0i8; 32];
    if dtype == DType::Q8_0 {
        for (q, b) in quants.iter_mut().zip(rest) {
            *q = *b as i8;
        }
        return Ok(Group { quants, scales: [scale; 2], offset });
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
    Ok(Group { quants, scales: [scale; 2], offset })
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
    Ok(Group { quants, scales: [d * f32::from(scale); 2], offset: -dmin * f32::from(min) })
}

/// 128 bytes of low nibbles, 64 of high bit pairs, sixteen 8-bit scales, `d`.
fn k6(block: &[u8], part: usize) -> Result<Group, BadScale> {
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
    Ok(Group { quants, scales: [0, 1].map(|i| d * f32::from(scales[i] as i8)), offset: 0.0 })
}
