//! Stable Diffusion and its kin (arXiv 2112.10752) from the files they are published in: a folder of diffusers with a `config.json` for each part, a
//! single-file checkpoint, or a GGUF of stable-diffusion.cpp.
//!
//! The two single-file layouts hold no vocabulary: a `tokenizer.json` (or CLIP's `vocab.json` and `merges.txt`) goes with them. What no file says is
//! as Stable Diffusion 1.x has it; a `scheduler_config.json` beside a checkpoint says otherwise.

use serde_json::Value;

use super::{
    caption::Reader,
    codec::Codec,
    pipeline::{Defaults, Load, Pipeline, Work},
    schedulers::{SchedulerConfig, SchedulerName},
};
use crate::{
    Error, Result,
    graph::Grid,
    models::{Clip, Denoiser, TextEncoder, UNet, clip::ClipConfig, unet::UNetConfig},
    text::Tokenizer,
    weights::{Storage, WeightFile},
};

/// What the denoisers of checkpoints and of diffusers' folders are called.
const DENOISERS: [&str; 2] = ["model.diffusion_model.", "time_embedding.linear_1."];
/// Pipelines of diffusers that are this one.
const CLASSES: [&str; 5] = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
];
/// The longest side of a picture: what is decoded beyond it takes minutes, and U-Nets repeat themselves.
const LARGEST: usize = 1024;
/// Of a latent, where the U-Net's configuration does not say.
const SAMPLE_SIZE: usize = 64;

/// What CLIP's tokenizers do before their merges: lower case and single spaces, then words, digits one by one, and runs of other marks.
const CLIP_SPLITS: &str = r#""normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},
    {"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]},
    "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Removed","invert":true,"pattern":{"Regex":
    "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}},
    {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]},
    "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#;

pub fn is_one(file: &WeightFile) -> bool {
    let denoiser = || file.tensors.keys().any(|name| DENOISERS.iter().any(|part| name.starts_with(part)));
    file.extra("model_index.json").is_some() || denoiser() || transformer(file).is_some()
}

/// Whose denoiser is a transformer, by the names that its own code, diffusers and GGUFs give its blocks.
fn transformer(file: &WeightFile) -> Option<&'static str> {
    const MARKS: [(&str, &str); 4] = [
        ("single_transformer_blocks.0.attn.", "FLUX"),
        ("double_blocks.0.img_attn.", "FLUX"),
        ("joint_blocks.0.x_block.", "Stable Diffusion 3"),
        ("transformer_blocks.0.attn.add_q_proj.", "Stable Diffusion 3"),
    ];
    let has = |mark: &str| file.tensors.keys().any(|name| name.contains(mark));
    MARKS.into_iter().find_map(|(mark, model)| has(mark).then_some(model))
}

/// Refuses pipelines of classes that do not run.
pub fn check_class(class: &str) -> Result<()> {
    if CLASSES.contains(&class) {
        return Ok(());
    }
    Err(Error::unsupported_model(format!(
        "model_index.json names a {class}; of diffusers' pipelines these run here: {}",
        CLASSES.join(", ")
    )))
}

pub fn read(file: &WeightFile, storage: Storage) -> Result<(Pipeline, Vec<Load>)> {
    let index = file.extra_json("model_index.json")?.unwrap_or_default();
    let class = index["_class_name"].as_str();
    class.map_or(Ok(()), check_class)?;
    if let Some(model) = transformer(file) {
        return Err(Error::unsupported_model(format!(
            "these are weights of {model}, whose denoiser is a transformer and does not run here; take Stable Diffusion 1.x or 2.x, or one of their kin"
        )));
    }
    let unet_json = file.config_of_class("UNet2DConditionModel")?;
    let unet_config = unet_json.as_ref().map(|(_, text)| UNetConfig::from_diffusers(text)).transpose()?;
    let clip_json = file.config_of_class("CLIPTextModel")?;
    let clip_config = clip_json.as_ref().map(|(_, text)| ClipConfig::from_hugging_face(text)).transpose()?;
    let unet = UNet::find(unet_config, file, storage)?;
    let text = Clip::find(clip_config, file, storage)?;
    let codec = Codec::from_file(file, storage)?;
    check(&unet, &text, &codec)?;

    let schedule = schedule(file, index["scheduler"][1].as_str())?;
    let scheduler = schedule.named();
    let tokenizer = tokenizer(file)?;
    tokenizer.check_rows(text.vocabulary())?;
    let sides = unet_json.as_ref().map_or([SAMPLE_SIZE; 2], |(json, _)| sample_size(&json["sample_size"]));
    let [height, width] = sides.map(|side| (side * codec.factor()).min(LARGEST));
    let (steps, guidance) = habits(&schedule, &unet);

    let side = 1 << unet.config().down.len();
    let mut loads = vec![
        Load { graph: text.graph(1)?, recipes: text.recipes().clone(), works: &[Work::Text] },
        Load { graph: unet.graph(1, side, side, 1)?, recipes: unet.recipes().clone(), works: &[Work::Denoise] },
        Load { graph: codec.decoder(Grid::new(1, 1, 1))?, recipes: codec.recipes().clone(), works: &[Work::Decode] },
    ];
    if codec.encodes() {
        let side = codec.factor();
        let graph = codec.encoder(Grid::new(1, side, side))?;
        loads.push(Load { graph, recipes: codec.recipes().clone(), works: &[Work::Encode] });
    }
    let reader = Reader::clip(tokenizer, text.length(), pad(file, &text)?.as_deref())?;
    let pipeline = Pipeline {
        architecture: class.unwrap_or(CLASSES[0]).into(),
        text: Box::new(text),
        denoiser: Box::new(unet),
        codec,
        reader,
        schedule,
        schedulers: scheduler.kin().to_vec(),
        defaults: Defaults { width, height, steps, guidance, scheduler },
        largest: LARGEST,
        cheap_previews: true,
    };
    Ok((pipeline, loads))
}

/// Refuses parts that do not go together.
fn check(unet: &UNet, text: &Clip, codec: &Codec) -> Result<()> {
    let channels = codec.latent_channels();
    if !codec.decodes() {
        return Err(Error::bad_argument("the files hold no decoder; give the model's autoencoder (vae) too"));
    }
    if unet.context_width() != text.width() {
        return Err(Error::bad_argument(format!(
            "the U-Net looks at rows of {} numbers, but the text encoder makes rows of {}; give the parts of one model",
            unet.context_width(),
            text.width()
        )));
    }
    let given = unet.latent_channels();
    if unet.prediction_channels() != channels || (given != channels && given != 2 * channels + 1) {
        return Err(Error::unsupported_model(format!(
            "the U-Net takes {given} channels and predicts {}, with an autoencoder of {channels}; text-to-image models and those made for \
             filling in run here",
            unet.prediction_channels()
        )));
    }
    if given != channels && !codec.encodes() {
        return Err(Error::bad_argument("a model made for filling in needs an encoder; give the whole autoencoder"));
    }
    Ok(())
}

/// The file's, or Stable Diffusion's own; of the class that the index names where the file names none.
fn schedule(file: &WeightFile, class: Option<&str>) -> Result<SchedulerConfig> {
    const OWN: &str = r#"{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": false,
        "set_alpha_to_one": false, "skip_prk_steps": true, "timestep_spacing": "leading"}"#;
    SchedulerConfig::from_json_of(file.extra("scheduler_config.json").unwrap_or(OWN.as_bytes()), class)
}

/// Steps and guidance that suit a model. Distilled ones (latent consistency models; SD-Turbo, whose schedule is told by its spacing) take few
/// steps, and no guidance on top of their own.
fn habits(schedule: &SchedulerConfig, unet: &UNet) -> (usize, f32) {
    if unet.takes_guidance() {
        return (4, 8.0);
    }
    match schedule.named() {
        SchedulerName::Lcm | SchedulerName::Tcd => (4, 1.0),
        SchedulerName::Euler if schedule.timestep_spacing.as_deref() == Some("trailing") => (2, 1.0),
        _ => (20, 7.5),
    }
}

/// Height and width of a latent.
fn sample_size(value: &Value) -> [usize; 2] {
    let side = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=128).contains(n));
    let each = |i: usize| side(value).or_else(|| side(&value[i])).unwrap_or(SAMPLE_SIZE);
    [each(0), each(1)]
}

/// A `tokenizer.json`, or one put together from CLIP's `vocab.json` and `merges.txt`.
fn tokenizer(file: &WeightFile) -> Result<Tokenizer> {
    if file.extra("tokenizer.json").is_some() {
        return Tokenizer::from_file(file);
    }
    let (Some(vocabulary), Some(merges)) = (file.extra_json("vocab.json")?, file.extra("merges.txt")) else {
        return Err(Error::bad_argument(
            "the files hold no vocabulary, and checkpoints never do; give CLIP's tokenizer.json (or vocab.json and merges.txt) with them",
        ));
    };
    let merges = String::from_utf8_lossy(merges);
    let merges: Vec<&str> = merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")).collect();
    let merges = Value::from(merges);
    let mark = |text: &str| {
        let id = &vocabulary[text];
        format!(
            r#"{{"id":{id},"content":"{text}","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}}"#
        )
    };
    let marks: Vec<String> =
        ["<|startoftext|>", "<|endoftext|>"].into_iter().filter(|text| vocabulary[text].is_u64()).map(mark).collect();
    let marks = marks.join(",");
    // As `transformers` writes it for this kind of tokenizer.
    let whole = format!(
        r#"{{"version":"1.0","added_tokens":[{marks}],{CLIP_SPLITS},"post_processor":null,"model":{{"type":"BPE","unk_token":"<|endoftext|>",
        "continuing_subword_prefix":"","end_of_word_suffix":"</w>","fuse_unk":false,"vocab":{vocabulary},"merges":{merges}}}}}"#
    );
    Tokenizer::from_json(whole.as_bytes())
}

/// The token that fills a short prompt, where it is not the end's: as the tokenizer's settings say, else by the width of the encoder, since
/// OpenCLIP's (1,024 and more) pad with `!`.
fn pad(file: &WeightFile, text: &Clip) -> Result<Option<String>> {
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let settings = file.extra_json(name)?.unwrap_or_default();
        let pad = &settings["pad_token"];
        if let Some(token) = pad.as_str().or_else(|| pad["content"].as_str()) {
            return Ok(Some(token.into()));
        }
    }
    Ok((text.width() >= 1024).then(|| "!".into()))
}
