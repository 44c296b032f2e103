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
mod sequences;
mod slots;

use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml};
use half::bf16;
use vitrine::{backend::Device, graph::DType};

use crate::common::{as_hardware, on_cpu, on_gpu};

/// Every type that weights are stored in.
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
        DType::Q4_K => GgmlDType::Q4K,
        DType::Q5_K => GgmlDType::Q5K,
        DType::Q6_K => GgmlDType::Q6K,
    };
    let cpu = candle_core::Device::Cpu;
    let tensor = qtensor_from_ggml(kind, bytes, vec![n], &cpu).and_then(|t| t.dequantize(&cpu)).expect("a tensor");
    tensor.to_vec1().expect("numbers")
}
