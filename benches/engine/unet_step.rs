//! One denoising step of tiny-sd's U-Net (segmind/tiny-sd: 323 million weights) at 512² with random weights: whether it fits, and
//! how long it takes.
//!
//! ```text
//! unet_step cpu|webgpu [BATCH] [LATENT_SIDE] [STEPS]
//! ```
//!
//! Prints a line of JSON in the words of `cargo xtask bench`, which runs it.

use std::{error::Error, time::Instant};

use half::f16;
use serde_json::json;
use vitrine::{
    backend::{Device, cpu, gpu},
    graph::{DType, StepParams, WeightId},
    models::{Denoiser, UNet, Weights, unet::UNetConfig},
};

use super::process::{peak_bytes, processor_ms};

const CONFIG: &str = r#"{
    "block_out_channels": [320, 640, 1280], "layers_per_block": 1, "mid_block_type": null, "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "attention_head_dim": 8
}"#;
const TOKENS: usize = 77;

/// Numbers of −1 … 1 from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

pub async fn measure(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |text| text.parse::<usize>());
    let (batch, side, steps) = (number(1, 2)?, number(2, 64)?, number(3, 1)?);
    let device = match arguments.first().map(String::as_str) {
        Some("webgpu") => Device::Gpu(gpu::Device::open(gpu::Preference::Any).await?),
        _ => Device::Cpu(cpu::Device::new("the benchmark asks for it")),
    };
    let unet = UNet::new(UNetConfig::from_diffusers(CONFIG)?, Weights::declared(DType::F16));
    let graph = unet.graph(batch, side, side, TOKENS)?;
    let begun = Instant::now();
    let mut loader = device.begin(&graph).await?;
    let mut random = Random(7);
    let mut weights = 0;
    for (id, spec) in (0u32..).zip(&graph.weights) {
        let count: usize = spec.shape.iter().product();
        weights += count;
        let bytes: Vec<u8> = match spec.shape[..] {
            [_, columns] => {
                let scale = (3.0 / columns as f32).sqrt();
                (0..count).flat_map(|_| f16::from_f32(random.next() * scale).to_le_bytes()).collect()
            }
            _ => {
                let middle = if spec.name.ends_with("weight") { 1.0 } else { 0.0 };
                (0..count).flat_map(|_| (middle + 0.1 * random.next()).to_le_bytes()).collect()
            }
        };
        loader.put(WeightId(id), 0, &bytes)?;
        loader.settle().await?;
    }
    let resident = loader.finish().await?;
    let mut plan = resident.compile(&graph).await?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut rows = |n: usize| (0..n).map(|_| (random.next() * 3f32.sqrt()).to_bits()).collect::<Vec<u32>>();
    plan.write_input("latent", &rows(batch * side * side * unet.latent_channels()))?;
    plan.write_input("context", &rows(batch * TOKENS * unet.context_width()))?;
    plan.write_input("timestep", &vec![500f32.to_bits(); batch])?;
    let (mut step_ms, mut step_cpu_ms, mut rms) = (vec![], vec![], 0.0);
    for _ in 0..steps {
        let (begun, spent) = (Instant::now(), processor_ms());
        let out = plan.step(&StepParams::default(), &["prediction"])?.await?;
        step_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        step_cpu_ms.extend(spent.zip(processor_ms()).map(|(before, after)| after - before));
        let squares = out[0].iter().map(|bits| f64::from(f32::from_bits(*bits)).powi(2));
        rms = (squares.sum::<f64>() / out[0].len() as f64).sqrt();
    }
    let cost = plan.cost();
    let result = json!({
        "device": device.info(), "weights": weights, "batch": batch, "latent": [side, side], "load_ms": load_ms, "step_ms": step_ms,
        "device_bytes": resident.bytes(), "dispatches_per_step": cost.dispatches, "submits_per_step": cost.submits,
        "step_cpu_ms": step_cpu_ms, "resident_bytes": peak_bytes(), "prediction_rms": rms,
    });
    println!("{result}");
    Ok(())
}
