//! How fast the CPU paints: convolutions of the shapes that matter, a decoder like TAESD's and attention over pixels, in
//! billions of products a second. Its argument: the side of the latent, 64 unless said.

use std::time::Instant;

use vitrine::{
    Result,
    backend::{Device, Plan, cpu},
    graph::{Binary, DType, Graph, GraphBuilder, Grid, Mask, StepParams, Unary, ValueId, Window},
    models::{Denoiser, UNet, Weights, unet::UNetConfig},
};

pub async fn measure(arguments: &[String]) -> Result<()> {
    let side = arguments.first().and_then(|side| side.parse().ok()).unwrap_or(64);
    for dtype in [DType::F16, DType::Q8_0] {
        for (height, channels, out, window) in [
            (256, 64, 64, Window::square(3, 1, 1)),
            (256, 64, 3, Window::square(3, 1, 1)),
            (64, 320, 320, Window::square(3, 1, 1)),
            (32, 640, 640, Window::square(3, 1, 1)),
            (16, 1280, 1280, Window::square(3, 1, 1)),
            (64, 320, 320, Window::square(3, 2, 1)),
            (64, 320, 320, Window::square(1, 1, 0)),
        ] {
            let mut g = GraphBuilder::new("bench");
            let grid = Grid::new(1, height, height);
            let x = g.input("x", &[grid.rows(), channels], DType::F32);
            let columns = window.area() * channels;
            let w = g.weight("w", &[out, columns], dtype)?;
            let (y, output) = g.conv2d(w, None, grid, window, x)?;
            g.output("y", y);
            let products = (output.rows() * columns * out) as f64;
            let what = format!("{dtype} {height}² {channels} → {out}, {}×{0} / {}", window.height, window.stride);
            report(&what, g.finish(), products).await?;
        }
    }
    attention(4096, 4096, 8, 40).await?;
    attention(4096, 77, 8, 40).await?;
    decoder(side).await?;
    unet(side).await
}

/// A step of BK-SDM-tiny's U-Net, and where its time goes.
async fn unet(side: usize) -> Result<()> {
    let config = r#"{ "attention_head_dim": 8, "block_out_channels": [320, 640, 1280], "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "mid_block_type": null,
        "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4, "out_channels": 4,
        "layers_per_block": 1, "norm_eps": 1e-5, "norm_num_groups": 32, "act_fn": "silu" }"#;
    let model = UNet::new(UNetConfig::from_diffusers(config)?, Weights::declared(DType::Q8_0));
    let mut plan = load(&model.graph(1, side, side, 77)?).await?;
    let timings = plan.profile(&StepParams::default()).await?;
    let whole = Clock::start();
    plan.step(&StepParams::default(), &["prediction"])?.await?;
    println!("U-Net of {side}²: {:.0} ms", whole.seconds() * 1e3);
    let mut parts: std::collections::BTreeMap<&str, f64> = Default::default();
    for timing in &timings {
        *parts.entry(timing.label.split(' ').next().unwrap_or_default()).or_default() += timing.milliseconds;
    }
    for (part, milliseconds) in parts {
        println!("    {part:20} {milliseconds:8.1} ms by the clock");
    }
    Ok(())
}

async fn attention(rows: usize, keys: usize, heads: usize, dim: usize) -> Result<()> {
    let mut g = GraphBuilder::new("bench");
    let q = g.input("q", &[rows, heads * dim], DType::F32);
    let [k, v] = ["k", "v"].map(|name| g.input(name, &[keys, heads * dim], DType::F32));
    let y = g.attention_between(1, heads, heads, dim, 0.2, Mask::FULL, q, k, v)?;
    g.output("y", y);
    let products = (2 * rows * keys * heads * dim) as f64;
    report(&format!("attention {rows} × {keys}, {heads} × {dim}"), g.finish(), products).await
}

/// TAESD's decoder: three blocks of 64 channels at each of four sizes.
async fn decoder(side: usize) -> Result<()> {
    let mut g = GraphBuilder::new("decoder");
    let mut grid = Grid::new(1, side, side);
    let (mut products, mut count) = (0.0, 0);
    let mut conv = |g: &mut GraphBuilder, grid: Grid, channels: usize, out: usize, x: ValueId| {
        let w = g.weight(&format!("w{count}"), &[out, 9 * channels], DType::F16)?;
        let b = g.weight(&format!("b{count}"), &[out], DType::F16)?;
        count += 1;
        products += (grid.rows() * 9 * channels * out) as f64;
        Ok::<_, vitrine::Error>(g.conv2d(w, Some(b), grid, Window::square(3, 1, 1), x)?.0)
    };
    let relu = Unary::LeakyRelu { slope: 0.0 };
    let x = g.input("x", &[grid.rows(), 4], DType::F32);
    let x = conv(&mut g, grid, 4, 64, x)?;
    let mut x = g.unary(relu, x);
    for (level, blocks) in [3, 3, 3, 1].into_iter().enumerate() {
        for _ in 0..blocks {
            let mut h = x;
            for i in 0..3 {
                h = conv(&mut g, grid, 64, 64, h)?;
                if i < 2 {
                    h = g.unary(relu, h);
                }
            }
            let sum = g.binary(Binary::Add, h, x)?;
            x = g.unary(relu, sum);
        }
        if level < 3 {
            (x, grid) = g.upsample(grid, 2, x)?;
            x = conv(&mut g, grid, 64, 64, x)?;
        }
    }
    let y = conv(&mut g, grid, 64, 3, x)?;
    g.output("y", y);
    report(&format!("decoder of {side}²"), g.finish(), products).await
}

/// Time on a processor where the system tells it, so that others on the machine do not count; else the time that passed.
struct Clock(Instant, Option<u64>);

impl Clock {
    fn on_processor() -> Option<u64> {
        std::fs::read_to_string("/proc/self/schedstat").ok()?.split(' ').next()?.parse().ok()
    }

    fn start() -> Self {
        Self(Instant::now(), Self::on_processor())
    }

    fn seconds(&self) -> f64 {
        match (self.1, Self::on_processor()) {
            (Some(begun), Some(now)) => (now - begun) as f64 / 1e9,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

/// With weights of zeros.
async fn load(graph: &Graph) -> Result<Plan> {
    let mut loader = Device::Cpu(cpu::Device::new("a benchmark")).begin(graph).await?;
    for (i, w) in graph.weights.iter().enumerate() {
        let bytes = w.dtype.row_bytes(w.shape[w.shape.len() - 1]).unwrap_or(0);
        let rows = if w.shape.len() == 2 { w.shape[0] } else { 1 };
        loader.put(vitrine::graph::WeightId(i as u32), 0, &vec![0; bytes * rows])?;
    }
    loader.finish().await?.compile(graph).await
}

/// Weights and inputs of zeros take as long as any.
async fn report(what: &str, graph: Graph, products: f64) -> Result<()> {
    let mut plan = load(&graph).await?;
    let mut best = f64::INFINITY;
    for _ in 0..2 {
        let begun = Clock::start();
        plan.step(&StepParams::default(), &["y"])?.await?;
        best = best.min(begun.seconds());
    }
    println!("{what:34} {:8.1} ms {:6.1} G products/s", best * 1e3, products / best / 1e9);
    Ok(())
}
