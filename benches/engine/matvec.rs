//! A probe: how long the linear layers of a small Llama take on the GPU that wgpu finds, layer by layer.
//!
//! ```text
//! cargo bench --profile page --bench engine -- matvec [Q4_0 | Q8_0 | …] [tokens] [rounds]
//! VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json …     # the software GPU that Chromium brings
//! ```
//!
//! Layers are timed in turns within one process. On a machine that others use too, the processor time of all threads
//! (Linux) tells more than the clock.

use std::time::Instant;

use vitrine::{
    Result,
    backend::gpu::{
        Device, Preference,
        context::{Context, Dispatch},
        linear::{Epilogue, LinearSpec, PackedWeight, linear},
    },
    graph::DType,
};

/// Milliseconds of processor time of all threads of this process; 0 where the system does not tell.
fn processor_ms() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let of = |text: String| text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    let each = threads.flatten().filter_map(|t| of(std::fs::read_to_string(t.path().join("schedstat")).ok()?));
    each.sum::<f64>() / 1e6
}

async fn run(ctx: &Context, dispatches: &[Dispatch], times: usize) -> Result<()> {
    let mut encoder = ctx.device().create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for d in std::iter::repeat_n(dispatches, times).flatten() {
            pass.set_pipeline(&d.pipeline);
            pass.set_bind_group(0, &d.bind_group, &[]);
            pass.dispatch_workgroups(d.grid[0], d.grid[1], d.grid[2]);
        }
    }
    ctx.queue().submit([encoder.finish()]);
    ctx.idle().await
}

struct Layer {
    name: &'static str,
    count: f64,
    macs: f64,
    dispatches: Vec<Dispatch>,
    clock: Vec<f64>,
    processor: Vec<f64>,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub async fn measure(args: &[String]) -> Result<()> {
    let number = |i: usize, or: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (t, rounds) = (number(1, 1), number(2, 15));
    let types = [DType::F32, DType::F16, DType::Q4_0, DType::Q4_K, DType::Q8_0, DType::Q6_K];
    let dtype = types.into_iter().find(|d| args.first().is_some_and(|a| a == d.name())).unwrap_or(DType::Q4_0);
    let device = match Device::open(Preference::Any).await {
        Ok(device) => device,
        Err(none) => {
            println!("{none}");
            return Ok(());
        }
    };
    let ctx = device.context();
    println!("{:?}\n{dtype}, {t} tokens", device.info());

    // dim 288, hidden 768, 6 layers, vocabulary 32000; K-quants need rows of 256.
    let wide = if dtype.block_size() == 256 { 256 } else { 288 };
    let shapes = [
        ("q, k, v", 3 * wide, wide, 6.0, false, true),
        ("output", wide, wide, 6.0, false, false),
        ("gate, up", 2 * 768, wide, 6.0, true, true),
        ("down", wide, 768, 6.0, false, false),
        ("head", 32000, wide, if t == 1 { 1.0 } else { 0.0 }, false, true),
    ];
    let mut layers = vec![];
    for (name, rows, cols, count, gated, normed) in shapes {
        let w = PackedWeight::new(ctx, name, dtype, rows, cols)?;
        let x = ctx.storage("x", (t * cols * 4) as u64)?.view();
        let g = ctx.storage("norm", (cols * 4) as u64)?.view();
        let y = ctx.storage("y", (t * rows * 4) as u64)?.view();
        let spec = LinearSpec {
            norm: (normed && t == 1).then_some((&g, 1e-5)),
            epilogue: if gated { Epilogue::gated() } else { Epilogue::default() },
            ..LinearSpec::rows(t, name)
        };
        let begun = Instant::now();
        let dispatches = linear(ctx, &w, &x, &y, spec)?;
        run(ctx, &dispatches, 1).await?;
        println!("{name:10} [{rows}, {cols}] made in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
        let macs = (rows * cols * t) as f64;
        layers.push(Layer { name, count, macs, dispatches, clock: vec![], processor: vec![] });
    }
    let repeats = 4;
    for _ in 0..rounds {
        for layer in &mut layers {
            let (begun, before) = (Instant::now(), processor_ms());
            run(ctx, &layer.dispatches, repeats).await?;
            layer.clock.push(begun.elapsed().as_secs_f64() * 1e3 / repeats as f64);
            layer.processor.push((processor_ms() - before) / repeats as f64);
        }
    }
    let (mut clock, mut processor, mut macs) = (0.0, 0.0, 0.0);
    for layer in &mut layers {
        let (c, p) = (median(&mut layer.clock), median(&mut layer.processor));
        println!(
            "{:10} median {c:8.3} ms (least {:8.3}), processor {p:8.3} ms (least {:8.3}), {:5.2} GMAC per processor second",
            layer.name,
            layer.clock[0],
            layer.processor[0],
            layer.macs / p / 1e6
        );
        clock += c * layer.count;
        processor += p * layer.count;
        macs += layer.macs * layer.count;
    }
    println!("a whole model: {clock:.2} ms, processor {processor:.2} ms, {:.2} GMAC/s", macs / clock / 1e6);
    Ok(())
}
