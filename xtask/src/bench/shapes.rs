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
    /// All of segmind/tiny-sd (BK-SDM-tiny, arXiv 2305.15798) but its words: a U-Net of 323 million weights, CLIP's text encoder of 123, and
    /// the decoder.
    TinySd,
}

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Self::Taesd => "taesd",
            Self::Vae => "vae",
            Self::TinySd => "tiny-sd",
        }
    }

    /// The folder below `folder` that holds its files, made if they are not there, and their names in it.
    pub fn files(self, folder: &Path) -> Result<(PathBuf, Vec<String>)> {
        let folder = folder.join(self.name());
        let mut files = Files { folder, names: vec![] };
        match self {
            Self::Taesd => files.weights("taesd_decoder.safetensors", taesd)?,
            Self::Vae => files.part("", VAE, "diffusion_pytorch_model", vae)?,
            Self::TinySd => {
                files.text("model_index.json", INDEX)?;
                files.text("scheduler/scheduler_config.json", SCHEDULER)?;
                files.text("tokenizer/vocab.json", &vocabulary())?;
                files.text("tokenizer/merges.txt", "#version: 0.2\n")?;
                files.part("text_encoder/", CLIP, "model", clip)?;
                files.part("unet/", UNET, "diffusion_pytorch_model", unet)?;
                files.part("vae/", VAE, "diffusion_pytorch_model", vae)?;
            }
        }
        Ok((files.folder, files.names))
    }
}

const VAE: &str = r#"{"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4}"#;
const UNET: &str = r#"{"_class_name": "UNet2DConditionModel", "attention_head_dim": 8, "block_out_channels": [320, 640, 1280], "cross_attention_dim": 768,
"down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "layers_per_block": 1, "mid_block_type": null,
"sample_size": 64, "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}"#;
const CLIP: &str = r#"{"architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": 768, "intermediate_size": 3072,
"max_position_embeddings": 77, "model_type": "clip_text_model", "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 49408}"#;
const SCHEDULER: &str = r#"{"_class_name": "DDIMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
"clip_sample": false, "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": false, "steps_offset": 1}"#;
const INDEX: &str = r#"{"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}"#;

/// CLIP's vocabulary without its words: every byte, every byte that ends a word, and the two marks.
fn vocabulary() -> String {
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..256u32).filter(|byte| !printable(byte)).zip(256u32..).map(|(_, stand_in)| stand_in);
    let letters: Vec<String> =
        (0..256u32).filter(printable).chain(others).filter_map(char::from_u32).map(String::from).collect();
    let ends = letters.iter().map(|letter| format!("{letter}</w>"));
    let marks = ["<|startoftext|>", "<|endoftext|>"].map(String::from);
    let tokens = letters.iter().cloned().chain(ends).chain(marks);
    Value::Object(tokens.zip(0..).map(|(token, id): (String, u32)| (token, json!(id))).collect()).to_string()
}

/// A folder on its way.
struct Files {
    folder: PathBuf,
    names: Vec<String>,
}

impl Files {
    fn place(&mut self, name: &str) -> Result<PathBuf> {
        self.names.push(name.to_owned());
        let file = self.folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&self.folder))?;
        Ok(file)
    }

    fn text(&mut self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.place(name)?, text)?)
    }

    /// Weights, written once.
    fn weights(&mut self, name: &str, list: fn(&mut Tensors)) -> Result<()> {
        let file = self.place(name)?;
        if !file.is_file() {
            let mut tensors = Tensors::default();
            list(&mut tensors);
            // A run that is stopped half way leaves no half of a file.
            let part = file.with_extension("part");
            write(&part, &tensors.0)?;
            fs::rename(part, &file)?;
        }
        Ok(())
    }

    /// A configuration, and the weights beside it.
    fn part(&mut self, folder: &str, config: &str, weights: &str, list: fn(&mut Tensors)) -> Result<()> {
        self.text(&format!("{folder}config.json"), config)?;
        self.weights(&format!("{folder}{weights}.safetensors"), list)
    }
}

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

fn unet(t: &mut Tensors) {
    const TIME: usize = 1280;
    const CHANNELS: [usize; 3] = [320, 640, 1280];
    t.layer("conv_in", &[320, 4, 3, 3]);
    t.layer("time_embedding.linear_1", &[TIME, 320]);
    t.layer("time_embedding.linear_2", &[TIME, TIME]);
    let timed = |t: &mut Tensors, name: &str, inner: usize, out: usize| {
        residual(t, name, inner, out);
        t.layer(&format!("{name}.time_emb_proj"), &[out, TIME]);
    };
    // What the way up takes from the way down, the last first.
    let mut skips = vec![320];
    let mut inner = 320;
    for (i, out) in CHANNELS.into_iter().enumerate() {
        let name = format!("down_blocks.{i}");
        timed(t, &format!("{name}.resnets.0"), inner, out);
        transformer(t, &format!("{name}.attentions.0"), out);
        skips.push(out);
        if i < 2 {
            t.layer(&format!("{name}.downsamplers.0.conv"), &[out, out, 3, 3]);
            skips.push(out);
        }
        inner = out;
    }
    for (i, out) in CHANNELS.into_iter().rev().enumerate() {
        let name = format!("up_blocks.{i}");
        for j in 0..2 {
            timed(t, &format!("{name}.resnets.{j}"), inner + skips.pop().unwrap_or_default(), out);
            transformer(t, &format!("{name}.attentions.{j}"), out);
            inner = out;
        }
        if i < 2 {
            t.layer(&format!("{name}.upsamplers.0.conv"), &[out, out, 3, 3]);
        }
    }
    t.layer("conv_norm_out", &[320]);
    t.layer("conv_out", &[4, 320, 3, 3]);
}

fn transformer(t: &mut Tensors, name: &str, c: usize) {
    t.layer(&format!("{name}.norm"), &[c]);
    t.layer(&format!("{name}.proj_in"), &[c, c, 1, 1]);
    let block = format!("{name}.transformer_blocks.0");
    for norm in 1..=3 {
        t.layer(&format!("{block}.norm{norm}"), &[c]);
    }
    for (attention, seen) in [("attn1", c), ("attn2", 768)] {
        t.weight(&format!("{block}.{attention}.to_q"), &[c, c]);
        t.weight(&format!("{block}.{attention}.to_k"), &[c, seen]);
        t.weight(&format!("{block}.{attention}.to_v"), &[c, seen]);
        t.layer(&format!("{block}.{attention}.to_out.0"), &[c, c]);
    }
    t.layer(&format!("{block}.ff.net.0.proj"), &[8 * c, c]);
    t.layer(&format!("{block}.ff.net.2"), &[c, 4 * c]);
    t.layer(&format!("{name}.proj_out"), &[c, c, 1, 1]);
}

fn clip(t: &mut Tensors) {
    const WIDTH: usize = 768;
    t.weight("text_model.embeddings.token_embedding", &[49408, WIDTH]);
    t.weight("text_model.embeddings.position_embedding", &[77, WIDTH]);
    for i in 0..12 {
        let name = format!("text_model.encoder.layers.{i}");
        for part in ["q", "k", "v", "out"] {
            t.layer(&format!("{name}.self_attn.{part}_proj"), &[WIDTH, WIDTH]);
        }
        t.layer(&format!("{name}.layer_norm1"), &[WIDTH]);
        t.layer(&format!("{name}.layer_norm2"), &[WIDTH]);
        t.layer(&format!("{name}.mlp.fc1"), &[4 * WIDTH, WIDTH]);
        t.layer(&format!("{name}.mlp.fc2"), &[WIDTH, 4 * WIDTH]);
    }
    t.layer("text_model.final_layer_norm", &[WIDTH]);
}
