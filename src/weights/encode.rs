//! Numbers from and into the storage types: what a weight passes through when it is turned, folded or quantised while it loads.
//!
//! Blocks follow the GGUF format: Q8_0 is a half-float scale and 32 signed bytes; Q4_0 a half-float scale and 32 nibbles that stand
//! 8 above their value, number `j` in the low half of byte `j` and number `j + 16` in the high half.

use half::{bf16, f16};
use vitrine_kernels::blocks;

use super::contents::shown;
use crate::{Error, Result, graph::DType};

/// Numbers in a block of Q8_0 and Q4_0.
pub(super) const BLOCK: usize = 32;

/// The numbers in `bytes`, which are stored as `dtype`; `name` is for messages.
pub(super) fn decode(name: &str, dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    let halves = |value: fn([u8; 2]) -> f32| bytes.as_chunks().0.iter().map(|b| value(*b)).collect();
    match dtype {
        DType::F32 => Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        DType::F16 => Ok(halves(|b| f16::from_le_bytes(b).to_f32())),
        DType::BF16 => Ok(halves(|b| bf16::from_le_bytes(b).to_f32())),
        _ => dequantised(name, dtype, bytes),
    }
}

fn dequantised(name: &str, dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    let mut numbers = Vec::with_capacity(bytes.len() / dtype.block_bytes() * dtype.block_size());
    match blocks::dequantise(dtype, bytes, |number| numbers.push(number)) {
        Ok(()) => Ok(numbers),
        Err(blocks::BadScale) => Err(Error::corrupt_file(format!(
            "tensor {} holds a scale that is no finite number; the file is damaged, so fetch it again",
            shown(name)
        ))),
    }
}

/// `numbers` as F32, F16, BF16, Q8_0 or Q4_0; for the last two they are whole blocks.
///
/// Errors: `corrupt-file` where a block to be quantised holds a NaN or an infinity, `unsupported-model` where a number is too
/// large for its type.
pub(super) fn encode(name: &str, dtype: DType, numbers: &[f32]) -> Result<Vec<u8>> {
    match dtype {
        DType::F32 => Ok(numbers.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::BF16 => Ok(numbers.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
        DType::F16 => {
            let mut bytes = Vec::with_capacity(numbers.len() * 2);
            for v in numbers {
                let half = f16::from_f32(*v);
                if half.is_infinite() && v.is_finite() {
                    return Err(Error::unsupported_model(format!(
                        "tensor {} holds {v}, which is too large for F16; load the model with F32 weights",
                        shown(name)
                    )));
                }
                bytes.extend(half.to_le_bytes());
            }
            Ok(bytes)
        }
        DType::Q8_0 => quantised(name, dtype, numbers, q8_0),
        DType::Q4_0 => quantised(name, dtype, numbers, q4_0),
        _ => Err(Error::internal(format!("{name}: nothing here writes {dtype}"))),
    }
}

fn quantised(
    name: &str,
    dtype: DType,
    numbers: &[f32],
    quantise: fn(&[f32; BLOCK], &mut Vec<u8>) -> bool,
) -> Result<Vec<u8>> {
    let (blocks, []) = numbers.as_chunks::<BLOCK>() else {
        return Err(Error::internal(format!("{name}: {} numbers are no whole blocks", numbers.len())));
    };
    let mut bytes = Vec::with_capacity(blocks.len() * dtype.block_bytes());
    for block in blocks {
        if let Some(bad) = block.iter().find(|v| !v.is_finite()) {
            return Err(Error::corrupt_file(format!(
                "tensor {} holds {bad}, which cannot be quantised; the file is damaged, so fetch it again",
                shown(name)
            )));
        }
        if !quantise(block, &mut bytes) {
            return Err(Error::unsupported_model(format!(
                "tensor {} holds numbers too large for the scale of a {dtype} block; load the model with F32 weights",
                shown(name)
            )));
        }
    }
    Ok(bytes)
}

/// Whether the block's scale could be written.
fn q8_0(block: &[f32; BLOCK], bytes: &mut Vec<u8>) -> bool {
    let largest = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = f16::from_f32(largest / 127.0);
    let inverse = inverse(scale);
    bytes.extend(scale.to_le_bytes());
    bytes.extend(block.iter().map(|v| (v * inverse).round().clamp(-127.0, 127.0) as i8 as u8));
    scale.is_finite()
}

/// Likewise. The number farthest from zero becomes −8, so that all sixteen values serve.
fn q4_0(block: &[f32; BLOCK], bytes: &mut Vec<u8>) -> bool {
    let farthest = block.iter().fold(0.0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
    let scale = f16::from_f32(farthest / -8.0);
    let inverse = inverse(scale);
    let nibble = |v: f32| (v * inverse + 8.0).round().clamp(0.0, 15.0) as u8;
    bytes.extend(scale.to_le_bytes());
    let (low, high) = block.split_at(BLOCK / 2);
    bytes.extend(low.iter().zip(high).map(|(low, high)| nibble(*low) | nibble(*high) << 4));
    scale.is_finite()
}

/// By the scale as it is stored, so that its rounding is not added to that of the numbers.
fn inverse(scale: f16) -> f32 {
    let scale = scale.to_f32();
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml};

    use super::*;
    use crate::ErrorCode;

    fn waves(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * i) as f32 * 0.37).sin() * (1.0 + (i / 32) as f32)).collect()
    }

    #[test]
    fn what_is_quantised_here_candle_reads_back_to_within_half_a_step() {
        let numbers = waves(BLOCK * 9);
        for (dtype, steps) in [(DType::Q8_0, 127.0), (DType::Q4_0, 8.0)] {
            let bytes = encode("w", dtype, &numbers).unwrap();
            assert_eq!(Some(bytes.len()), dtype.row_bytes(numbers.len()));
            let kind = if dtype == DType::Q8_0 { GgmlDType::Q8_0 } else { GgmlDType::Q4_0 };
            let back = qtensor_from_ggml(kind, &bytes, vec![numbers.len()], &candle_core::Device::Cpu).unwrap();
            let back: Vec<f32> = back.dequantize(&candle_core::Device::Cpu).unwrap().to_vec1().unwrap();
            for (wanted, got) in numbers.chunks(BLOCK).zip(back.chunks(BLOCK)) {
                let largest = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                for (w, g) in wanted.iter().zip(got) {
                    // Sixteen values from −8 to 7: one at the far end of the other side is a whole step off.
                    let most = if dtype == DType::Q4_0 { 1.0 } else { 0.5 };
                    assert!((w - g).abs() <= largest / steps * (most + 0.01), "{dtype}: {g} for {w}");
                }
            }
        }
    }

    #[test]
    fn a_block_of_zeros_stays_zeros() {
        for dtype in [DType::Q8_0, DType::Q4_0] {
            let bytes = encode("w", dtype, &[0.0; BLOCK]).unwrap();
            assert_eq!(dequantised("w", dtype, &bytes).unwrap(), [0.0; BLOCK]);
        }
    }

    #[test]
    fn numbers_that_cannot_be_quantised_are_refused_by_the_tensors_name() {
        let mut numbers = waves(BLOCK);
        numbers[7] = f32::NAN;
        let error = encode("blk.w", DType::Q8_0, &numbers).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptFile);
        assert!(error.to_string().contains("blk.w") && error.to_string().contains("NaN"), "{error}");
        numbers[7] = 1e30;
        assert_eq!(encode("blk.w", DType::Q4_0, &numbers).unwrap_err().code(), ErrorCode::UnsupportedModel);
        assert_eq!(encode("blk.w", DType::F16, &numbers).unwrap_err().code(), ErrorCode::UnsupportedModel);
    }

    #[test]
    fn plain_types_come_back_as_they_were() {
        let numbers = [0.0, -1.5, 0.25, 1024.0];
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            assert_eq!(decode("w", dtype, &encode("w", dtype, &numbers).unwrap()).unwrap(), numbers);
        }
    }
}
