//! The backends: the CPU's operations against plain sums and candle, the GPU's against the CPU's and candle's, and what plans promise.

mod attention;
mod cpu;
mod cpu_pictures;
mod gpu_adapters;
mod gpu_linear;
mod gpu_models;
mod gpu_ops;
mod gpu_pictures;
mod large_vocabulary;
mod sampling;
mod sequences;
mod slots;

use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml};
use half::{bf16, f16};
use vitrine::{backend::Device, graph::DType};

use crate::common::{as_hardware, on_cpu, on_gpu};

/// Every type that weights are stored in.
const ALL: [DType; DType::WEIGHTS.len()] = DType::WEIGHTS;

/// Levels of the types that candle does not know, as their specifications list them.
const IQ4: [f32; 16] = [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];
const FP4: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Numbers of whole blocks of the types that candle does not know.
fn read_by_definition(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let nibbles = |bytes: &[u8]| -> Vec<usize> {
        let (low, high) = (bytes.iter().map(|b| b & 15), bytes.iter().map(|b| b >> 4));
        low.chain(high).map(usize::from).collect()
    };
    let half = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
    let mut out = vec![];
    for block in bytes.chunks_exact(dtype.block_bytes()) {
        match dtype {
            DType::Q8_K => {
                let scale = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
                out.extend(block[4..260].iter().map(|q| scale * f32::from(*q as i8)));
            }
            DType::IQ4_NL => out.extend(nibbles(&block[2..]).iter().map(|q| half(block) * IQ4[*q])),
            DType::MXFP4 => {
                let scale = 2f32.powi(i32::from(block[0]) - 127);
                let sign = |q: usize| if q < 8 { 1.0 } else { -1.0 };
                out.extend(nibbles(&block[1..]).iter().map(|q| scale * sign(*q) * FP4[q % 8]));
            }
            DType::IQ4_XS => {
                let high = u16::from_le_bytes([block[2], block[3]]);
                for (sub, quants) in block[8..].chunks_exact(16).enumerate() {
                    let low = u16::from(block[4 + sub / 2] >> (4 * (sub % 2))) & 15;
                    let scale = f32::from(low + ((high >> (2 * sub)) & 3) * 16) - 32.0;
                    out.extend(nibbles(quants).iter().map(|q| half(block) * scale * IQ4[*q]));
                }
            }
            _ => unreachable!("candle knows it"),
        }
    }
    out
}

/// Where a block of this type holds half floats that scale it.
fn half_scales(dtype: DType) -> &'static [usize] {
    match dtype {
        DType::Q4_0 | DType::Q5_0 | DType::Q8_0 | DType::IQ4_NL | DType::IQ4_XS => &[0],
        DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => &[0, 2],
        DType::Q2_K => &[80, 82],
        DType::Q3_K => &[108],
        DType::Q6_K => &[208],
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 | DType::Q8_K | DType::MXFP4 => &[],
    }
}

/// Gives a block of any bits scales of a sane size: `next` is in −1 … 1.
fn scale_block(dtype: DType, block: &mut [u8], size: f32, mut next: impl FnMut() -> f32) {
    for at in half_scales(dtype) {
        block[*at..at + 2].copy_from_slice(&f16::from_f32(next() * size).to_le_bytes());
    }
    match dtype {
        // One that a half float holds: GPUs keep scales so.
        DType::Q8_K => block[..4].copy_from_slice(&f16::from_f32(next() * size).to_f32().to_le_bytes()),
        DType::MXFP4 => block[0] = (124.0 + size.log2().round() + 2.0 * next()) as u8,
        _ => {}
    }
}

/// The GPU by every path through its kernels.
fn every_gpu() -> [Device; 3] {
    [on_gpu(), as_hardware(true), as_hardware(false)]
}

fn every_device() -> [Device; 4] {
    let [software, subgroups, plain] = every_gpu();
    [on_cpu(), software, subgroups, plain]
}

/// A small generator of numbers in −1 … 1, the same everywhere.
fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut next = random(seed);
    (0..count).map(|_| next()).collect()
}

/// What candle reads in the bytes of `n` weights.
fn read_by_candle(dtype: DType, bytes: &[u8], n: usize) -> Vec<f32> {
    let kind = match dtype {
        DType::F32 | DType::U32 => GgmlDType::F32,
        DType::F16 => GgmlDType::F16,
        DType::BF16 => return bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        DType::Q4_0 => GgmlDType::Q4_0,
        DType::Q4_1 => GgmlDType::Q4_1,
        DType::Q5_0 => GgmlDType::Q5_0,
        DType::Q5_1 => GgmlDType::Q5_1,
        DType::Q8_0 => GgmlDType::Q8_0,
        DType::Q8_K | DType::IQ4_NL | DType::IQ4_XS | DType::MXFP4 => return read_by_definition(dtype, bytes),
        DType::Q2_K => GgmlDType::Q2K,
        DType::Q3_K => GgmlDType::Q3K,
        DType::Q4_K => GgmlDType::Q4K,
        DType::Q5_K => GgmlDType::Q5K,
        DType::Q6_K => GgmlDType::Q6K,
    };
    let cpu = candle_core::Device::Cpu;
    let tensor = qtensor_from_ggml(kind, bytes, vec![n], &cpu).and_then(|t| t.dequantize(&cpu)).expect("a tensor");
    tensor.to_vec1().expect("numbers")
}
