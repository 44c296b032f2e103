//! Measures an autoencoder's decoder on one device of this machine and prints a line of JSON; `cargo xtask bench` runs it.
//!
//! ```text
//! decode cpu|webgpu SIDE REPETITIONS FILE…
//! ```
//!
//! `SIDE` is the latent's (64 for pictures of 512²); the files are one model's, its `config.json` among them where it has one.

use std::{error::Error, rc::Rc, time::Instant};

use serde_json::json;
use vitrine::{
    backend::{Device, cpu, gpu},
    cancel::Cancel,
    image::Autoencoder,
    weights::{PathSource, SharedSource, Storage, WeightFile},
};

use super::process::{peak_bytes, processor_ms};

pub async fn measure(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [device, side, repetitions, files @ ..] = arguments else {
        return Err("usage: decode cpu|webgpu SIDE REPETITIONS FILE…".into());
    };
    let device = match device.as_str() {
        "webgpu" => Device::Gpu(gpu::Device::open(gpu::Preference::Any).await?),
        _ => Device::Cpu(cpu::Device::new("the benchmark asks for it")),
    };
    let (side, repetitions) = (side.parse::<usize>()?, repetitions.parse::<usize>()?);
    let begun = Instant::now();
    let sources = files.iter().map(|file| Ok(Rc::new(PathSource::open(file)?) as SharedSource));
    let file = WeightFile::open_parts(sources.collect::<vitrine::Result<_>>()?).await?;
    let cancel = Cancel::new();
    let model = Autoencoder::load(&file, &device, Storage::Keep, &mut |_, _| {}, &cancel).await?;
    let load = milliseconds(begun);
    let shape = [1, model.info().latent_channels, side, side];
    // The peers' latent: pseudo-random, and the same in every language.
    let count = shape.iter().product::<usize>();
    let latent: Vec<f32> = (0..count).map(|i| ((i as f64 * 12.9898).sin() * 1.5) as f32).collect();
    let (mut all, mut processor) = (vec![], vec![]);
    let mut level = 0.0;
    for _ in 0..=repetitions {
        let (begun, spent) = (Instant::now(), processor_ms());
        let picture = model.decode(&latent, &shape, &cancel).await?;
        all.push(milliseconds(begun));
        processor.extend(spent.zip(processor_ms()).map(|(before, after)| after - before));
        let sum: u64 = picture.rgba.iter().map(|byte| u64::from(*byte)).sum();
        level = sum as f64 / picture.rgba.len() as f64;
    }
    // The first makes a plan, so it counts only where there is no other.
    let first = all[0];
    if repetitions > 0 {
        all.remove(0);
        processor.drain(..processor.len().min(1));
    }
    let stats = model.stats();
    let result = json!({
        "device": device.info(),
        "load_ms": load,
        "first_ms": first,
        "decode_ms": all,
        "decode_cpu_ms": processor,
        "dispatches_per_step": stats.denoise.dispatches,
        "submits_per_step": stats.denoise.submits,
        "device_bytes": stats.device_bytes,
        "resident_bytes": peak_bytes(),
        "mean_byte": level,
    });
    println!("{result}");
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
