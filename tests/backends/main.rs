//! The backends: the CPU's operations against plain sums and candle, the GPU's against the CPU's and candle's, and what plans promise.

#![cfg(not(target_arch = "wasm32"))]

mod attention;
mod cpu;
mod cpu_pictures;
mod gpu_adapters;
mod gpu_linear;
mod gpu_models;
mod gpu_ops;
mod gpu_pictures;
mod large_vocabulary;
#[path = "../reference/mod.rs"]
mod reference;
mod sequences;
mod slots;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
};

use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml};
use half::bf16;
use pollster::block_on;
use vitrine::{
    backend::{
        Device, cpu as on_cpu,
        gpu::{self, context::Features},
    },
    graph::DType,
};

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

/// A GPU that nobody else uses.
fn gpu_alone() -> gpu::Device {
    block_on(gpu::Device::open(gpu::Preference::Any))
        .expect("these tests need a Vulkan driver: install mesa-vulkan-drivers")
}

/// One GPU for the tests of a module that do no harm to it; those of two modules would wait for each other's work on one.
fn on_gpu() -> Device {
    static DEVICES: Mutex<BTreeMap<String, gpu::Device>> = Mutex::new(BTreeMap::new());
    let thread = thread::current();
    let module = thread.name().unwrap_or_default().split("::").next().unwrap_or_default();
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    Device::Gpu(devices.entry(module.into()).or_insert_with(gpu_alone).clone())
}

/// The same, taking the paths of hardware through the kernels, with subgroups or without.
fn as_hardware(subgroups: bool) -> Device {
    let Device::Gpu(device) = on_gpu() else { unreachable!() };
    let features = Features { software: false, ..device.context().features() };
    assert!(features.subgroups, "these tests need a Vulkan driver with subgroups");
    Device::Gpu(device.used_as(if subgroups { features } else { features.without_subgroups() }))
}

fn oracle() -> Device {
    Device::Cpu(on_cpu::Device::new("the oracle"))
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

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
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
