//! Image models of real shapes with random weights in F16, written once below the target directory: what they take depends on
//! shapes, not on what the numbers are. Names and shapes are those of the published files.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Result;
use half::f16;
use serde_json::{Map, Value, json};

/// A model whose files can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// madebyollin/taesd's decoder: 1.2 million weights.
    Taesd,
    /// The decoder of Stable Diffusion 1.x: 49 million weights.
    Vae,
}

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Self::Taesd => "taesd",
            Self::Vae => "vae",
        }
    }

    /// Its files below `folder`, made if they are not there.
    pub fn files(self, folder: &Path) -> Result<Vec<PathBuf>> {
        let folder = folder.join(self.name());
        fs::create_dir_all(&folder)?;
        Ok(match self {
            Self::Taesd => vec![file(&folder, "taesd_decoder.safetensors", taesd)?],
            Self::Vae => {
                let config = folder.join("config.json");
                fs::write(&config, VAE)?;
                vec![config, file(&folder, "diffusion_pytorch_model.safetensors", vae)?]
            }
        })
    }
}

const VAE: &str = r#"{"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4}"#;

/// Names and shapes, in the order of the file.
#[derive(Default)]
struct Tensors(Vec<(String, Vec<usize>)>);

impl Tensors {
    fn weight(&mut self, name: &str, shape: &[usize]) {
        self.0.push((format!("{name}.weight"), shape.to_vec()));
    }

    /// A weight and its bias.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.weight(name, shape);
        self.0.push((format!("{name}.bias"), vec![shape[0]]));
    }
}

fn file(folder: &Path, name: &str, list: fn(&mut Tensors)) -> Result<PathBuf> {
    let file = folder.join(name);
    if !file.is_file() {
        let mut tensors = Tensors::default();
        list(&mut tensors);
        // A run that is stopped half way leaves no half of a file.
        let part = file.with_extension("part");
        write(&part, &tensors.0)?;
        fs::rename(part, &file)?;
    }
    Ok(file)
}

/// A safetensors file whose numbers are so large that what goes through keeps its size.
fn write(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<()> {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "F16", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for (name, shape) in tensors {
        let vector = shape.len() == 1;
        let middle = if vector && name.ends_with("weight") { 1.0 } else { 0.0 };
        let spread = if vector { 0.1 } else { (3.0 / shape[1..].iter().product::<usize>() as f32).sqrt() };
        for _ in 0..shape.iter().product::<usize>() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let even = (state >> 40) as f32 / 8_388_608.0 - 1.0;
            out.write_all(&f16::from_f32(middle + spread * even).to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// Layers by their numbers: convolutions, blocks of three of them, and gaps where layers have no weights.
fn taesd(t: &mut Tensors) {
    t.layer("1", &[64, 4, 3, 3]);
    for block in [3, 4, 5, 8, 9, 10, 13, 14, 15, 18] {
        for part in [0, 2, 4] {
            t.layer(&format!("{block}.conv.{part}"), &[64, 64, 3, 3]);
        }
    }
    for convolution in [7, 12, 17] {
        t.weight(&convolution.to_string(), &[64, 64, 3, 3]);
    }
    t.layer("19", &[3, 64, 3, 3]);
}

fn vae(t: &mut Tensors) {
    t.layer("post_quant_conv", &[4, 4, 1, 1]);
    t.layer("decoder.conv_in", &[512, 4, 3, 3]);
    let middle = "decoder.mid_block";
    for i in 0..2 {
        residual(t, &format!("{middle}.resnets.{i}"), 512, 512);
    }
    t.layer(&format!("{middle}.attentions.0.group_norm"), &[512]);
    for part in ["to_q", "to_k", "to_v", "to_out.0"] {
        t.layer(&format!("{middle}.attentions.0.{part}"), &[512, 512]);
    }
    let mut inner = 512;
    for (i, out) in [512, 512, 256, 128].into_iter().enumerate() {
        let name = format!("decoder.up_blocks.{i}");
        for j in 0..3 {
            residual(t, &format!("{name}.resnets.{j}"), inner, out);
            inner = out;
        }
        if i < 3 {
            t.layer(&format!("{name}.upsamplers.0.conv"), &[out, out, 3, 3]);
        }
    }
    t.layer("decoder.conv_norm_out", &[128]);
    t.layer("decoder.conv_out", &[3, 128, 3, 3]);
}

fn residual(t: &mut Tensors, name: &str, inner: usize, out: usize) {
    t.layer(&format!("{name}.norm1"), &[inner]);
    t.layer(&format!("{name}.conv1"), &[out, inner, 3, 3]);
    t.layer(&format!("{name}.norm2"), &[out]);
    t.layer(&format!("{name}.conv2"), &[out, out, 3, 3]);
    if inner != out {
        t.layer(&format!("{name}.conv_shortcut"), &[out, inner, 1, 1]);
    }
}
