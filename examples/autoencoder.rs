//! How long the decoder of Stable Diffusion 1.x takes and how much memory, with random weights that this program makes itself.
//!
//! ```text
//! cargo run --release --example autoencoder -- cpu|webgpu SIDE [TILE [f16|q8_0]]
//! ```
//!
//! `SIDE` is the picture's in pixels (512); `TILE` decodes in tiles of so many latent pixels that share a quarter with their neighbours.
//! Prints a line of JSON.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    pollster::block_on(native::measure())
}

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{env, error::Error, fs, rc::Rc, time::Instant};

    use half::f16;
    use serde_json::{Map, Value, json};
    use vitrine::{
        backend::{Device, cpu, gpu},
        cancel::Cancel,
        graph::Grid,
        image::Tiles,
        models::AutoencoderKl,
        weights::{MemorySource, SharedSource, Storage, WeightFile},
    };

    const CONFIG: &str = r#"{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4}"#;
    const FACTOR: usize = 8;

    pub async fn measure() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [device, side, rest @ ..] = arguments.as_slice() else {
            return Err("usage: autoencoder cpu|webgpu SIDE [TILE [f16|q8_0]]".into());
        };
        let device = match device.as_str() {
            "webgpu" => Device::Gpu(gpu::Device::open(gpu::Preference::Any).await?),
            _ => Device::Cpu(cpu::Device::new("the measurement asks for it")),
        };
        let side = side.parse::<usize>()? / FACTOR;
        let tile = rest.first().map_or(Ok(side), |tile| tile.parse())?;
        let storage = if rest.get(1).is_some_and(|s| s == "q8_0") { Storage::Q8_0 } else { Storage::F16 };

        let config: SharedSource = Rc::new(MemorySource::new("config.json", CONFIG.as_bytes()));
        let file = WeightFile::open_parts(vec![Rc::new(MemorySource::new("vae", decoder())), config]).await?;
        let vae = AutoencoderKl::from_file(&file, storage)?;
        let overlap = if tile < side { tile / 4 } else { 0 };
        let tiles = Tiles::new(side, side, tile, overlap)?;
        let graph = vae.decoder(tiles.tile())?;
        let begun = Instant::now();
        let mut loader = device.begin(&graph).await?;
        file.stream_with(&graph, vae.recipes(), &mut loader, &mut |_, _| (), &Cancel::new()).await?;
        let resident = loader.finish().await?;
        let weights = resident.bytes();
        drop(file);
        let mut plan = resident.compile(&graph).await?;
        let load = begun.elapsed();
        let latent: Vec<f32> = random(7).take(Grid::new(1, side, side).rows() * 4).collect();
        let begun = Instant::now();
        let picture = tiles.decode(&mut plan, &latent, 4, &mut |_, _| (), &Cancel::new()).await?;
        let decode = begun.elapsed();
        let sound = picture.iter().all(|v| v.is_finite());
        let result = json!({
            "device": device.info(),
            "picture": [side * FACTOR, side * FACTOR],
            "tiles": tiles.corners().len(),
            "tile": tile,
            "storage": format!("{storage:?}"),
            "load_ms": load.as_secs_f64() * 1e3,
            "decode_ms": decode.as_secs_f64() * 1e3,
            "weight_bytes": weights,
            "device_bytes": resident.bytes(),
            "peak_resident_bytes": peak(),
            "finite": sound,
        });
        println!("{result}");
        Ok(())
    }

    /// The most memory this process has held, as Linux tells it.
    fn peak() -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Even numbers from −1 to 1.
    fn random(seed: u32) -> impl Iterator<Item = f32> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
    }

    /// A safetensors file of the decoder in F16, its numbers so large that activations stay about one.
    fn decoder() -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), vec![]);
        let mut numbers = random(1);
        let mut tensor = |name: String, shape: &[usize]| {
            let (start, count) = (data.len(), shape.iter().product::<usize>());
            let inner = shape[1..].iter().product::<usize>() as f32;
            let norm = shape.len() == 1 && name.contains("norm") && name.ends_with("weight");
            let (middle, spread) = match shape.len() {
                1 => (if norm { 1.0 } else { 0.0 }, 0.1),
                _ => (0.0, (3.0 / inner).sqrt()),
            };
            data.extend(numbers.by_ref().take(count).flat_map(|v| f16::from_f32(middle + spread * v).to_le_bytes()));
            let entry = json!({"dtype": "F16", "shape": shape, "data_offsets": [start, data.len()]});
            header.insert(name, entry);
        };
        let mut layer = |name: &str, shape: &[usize]| {
            tensor(format!("{name}.weight"), shape);
            tensor(format!("{name}.bias"), &shape[..1]);
        };
        layer("post_quant_conv", &[4, 4, 1, 1]);
        layer("decoder.conv_in", &[512, 4, 3, 3]);
        let residual = |layer: &mut dyn FnMut(&str, &[usize]), name: &str, inner: usize, out: usize| {
            layer(&format!("{name}.norm1"), &[inner]);
            layer(&format!("{name}.conv1"), &[out, inner, 3, 3]);
            layer(&format!("{name}.norm2"), &[out]);
            layer(&format!("{name}.conv2"), &[out, out, 3, 3]);
            if inner != out {
                layer(&format!("{name}.conv_shortcut"), &[out, inner, 1, 1]);
            }
        };
        let middle = "decoder.mid_block";
        for i in 0..2 {
            residual(&mut layer, &format!("{middle}.resnets.{i}"), 512, 512);
        }
        layer(&format!("{middle}.attentions.0.group_norm"), &[512]);
        for part in ["to_q", "to_k", "to_v", "to_out.0"] {
            layer(&format!("{middle}.attentions.0.{part}"), &[512, 512]);
        }
        let mut inner = 512;
        for (i, out) in [512, 512, 256, 128].into_iter().enumerate() {
            let name = format!("decoder.up_blocks.{i}");
            for j in 0..3 {
                residual(&mut layer, &format!("{name}.resnets.{j}"), inner, out);
                inner = out;
            }
            if i < 3 {
                layer(&format!("{name}.upsamplers.0.conv"), &[out, out, 3, 3]);
            }
        }
        layer("decoder.conv_norm_out", &[128]);
        layer("decoder.conv_out", &[3, 128, 3, 3]);
        let header = Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }
}
