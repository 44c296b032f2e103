//! Stable Diffusion and its kin (arXiv 2112.10752) from the files they are published in: a folder of diffusers with a `config.json` for each part, a
//! single-file checkpoint, or a GGUF of stable-diffusion.cpp.
//!
//! The two single-file layouts hold no vocabulary: a `tokenizer.json` (or CLIP's `vocab.json` and `merges.txt`) goes with them. What no file says is
//! as Stable Diffusion 1.x has it, or XL where the U-Net takes a row for the whole text and the picture's sizes; a `scheduler_config.json` beside a checkpoint says otherwise.

use serde_json::Value;

use super::{
    caption::{ClipTokenizer, Reader},
    codec::Codec,
    pipeline::{Defaults, Load, Pipeline, Work},
    schedulers::{SchedulerConfig, SchedulerName},
};
use crate::{
    Error, Result,
    graph::Grid,
    models::{
        Clip, ClipPair, Denoiser, TextEncoder, UNet,
        clip::{self, ClipConfig, Place},
        unet::UNetConfig,
    },
    text::Tokenizer,
    weights::{Recipes, Storage, WeightFile},
};

/// What the denoisers of checkpoints, of diffusers' folders and of ComfyUI's are called.
const DENOISERS: [&str; 3] = ["model.diffusion_model.", "time_embedding.linear_1.", "input_blocks.0.0."];
/// Pipelines of diffusers that are this one.
const CLASSES: [&str; 8] = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
];
/// What differs between Stable Diffusion 1.x and 2.x, and XL (arXiv 2307.01952), where the files do not say.
struct Habits {
    class: &'static str,
    /// The longest side of a picture: what is decoded beyond it takes minutes, and U-Nets repeat themselves. XL was trained on long pictures too.
    largest: usize,
    /// A side of a latent.
    sample_size: usize,
    guidance: f32,
    zeros_for_nothing: bool,
}

const PLAIN: Habits =
    Habits { class: CLASSES[0], largest: 1024, sample_size: 64, guidance: 7.5, zeros_for_nothing: false };
const XL: Habits =
    Habits { class: CLASSES[3], largest: 1536, sample_size: 128, guidance: 5.0, zeros_for_nothing: true };

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
            "these are weights of {model}, whose denoiser is a transformer and does not run here; take Stable Diffusion 1.x, 2.x or XL, or one of their kin"
        )));
    }
    let unet_json = file.config_of_class("UNet2DConditionModel")?;
    let unet_config = unet_json.as_ref().map(|(_, text)| UNetConfig::from_diffusers(text)).transpose()?;
    let unet = UNet::find(unet_config, file, storage)?;
    check_not_alone(file, &unet)?;
    let (text, text_recipes) = text_encoder(file, storage, unet.pooled_width().is_some())?;
    let codec = Codec::from_file(file, storage)?;
    check(&unet, text.as_ref(), &codec)?;
    if let Some((vae, _)) = file.config_of_class("AutoencoderKL")?
        && !vae["latents_mean"].is_null()
    {
        return Err(Error::unsupported_model(
            "the autoencoder's config.json has a latents_mean for each channel, which does not run here; take a model whose latents are scaled by one \
             scaling_factor, as Stable Diffusion's are",
        ));
    }
    let habits = if unet.pooled_width().is_some() { XL } else { PLAIN };

    let schedule = schedule(file, index["scheduler"][1].as_str())?;
    let scheduler = schedule.named();
    let sides = unet_json.as_ref().map_or(&Value::Null, |(json, _)| &json["sample_size"]);
    let [height, width] =
        sample_size(sides, habits.sample_size).map(|side| (side * codec.factor()).min(habits.largest));
    let (steps, guidance) = steps_and_guidance(&schedule, &unet, &habits);

    let side = 1 << unet.config().down.len();
    let mut loads = vec![
        Load { graph: text.graph(1)?, recipes: text_recipes, works: &[Work::Text] },
        Load { graph: unet.graph(1, side, side, 1)?, recipes: unet.recipes().clone(), works: &[Work::Denoise] },
        Load { graph: codec.decoder(Grid::new(1, 1, 1))?, recipes: codec.recipes().clone(), works: &[Work::Decode] },
    ];
    if codec.encodes() {
        let side = codec.factor();
        let graph = codec.encoder(Grid::new(1, side, side))?;
        loads.push(Load { graph, recipes: codec.recipes().clone(), works: &[Work::Encode] });
    }
    let folders = TOKENIZERS.into_iter().zip(text.widths());
    let tokenizers = folders.map(|(folder, width)| {
        let tokenizer = tokenizer(file, folder)?;
        tokenizer.check_rows(text.vocabulary())?;
        ClipTokenizer::new(tokenizer, pad(file, folder, width)?.as_deref())
    });
    let reader = Reader::clip(tokenizers.collect::<Result<_>>()?, text.length())?;
    let pipeline = Pipeline {
        architecture: class.unwrap_or(habits.class).into(),
        text,
        denoiser: Box::new(unet),
        codec,
        reader,
        schedule,
        schedulers: scheduler.kin().to_vec(),
        defaults: Defaults { width, height, steps, guidance, scheduler },
        largest: habits.largest,
        zeros_for_nothing: index["force_zeros_for_empty_prompt"].as_bool().unwrap_or(habits.zeros_for_nothing),
        cheap_previews: true,
    };
    Ok((pipeline, loads))
}

/// The text encoder, or both of XL's, and how their weights are made.
fn text_encoder(file: &WeightFile, storage: Storage, two: bool) -> Result<(Box<dyn TextEncoder>, Recipes)> {
    let config = |class: &str| {
        let json = file.config_of_class(class)?;
        json.map(|(_, text)| ClipConfig::from_hugging_face(&text)).transpose()
    };
    let first = config("CLIPTextModel")?;
    if !two {
        let clip = Clip::find(first, file, storage)?;
        let recipes = clip.recipes().clone();
        return Ok((Box::new(clip), recipes));
    }
    let pair = ClipPair::find([first, config("CLIPTextModelWithProjection")?], file, storage)?;
    let recipes = pair.recipes().clone();
    Ok((Box::new(pair), recipes))
}

/// Refuses a U-Net without any of the other parts, as ComfyUI's GGUFs are, and says which there are.
fn check_not_alone(file: &WeightFile, unet: &UNet) -> Result<()> {
    let reads = [Place::Only, Place::First].iter().any(|place| clip::Names::of(file, *place).is_some());
    if reads || Codec::from_file(file, Storage::Keep).is_ok() {
        return Ok(());
    }
    let (model, encoders) = match unet.pooled_width() {
        Some(_) => ("Stable Diffusion XL", "both text encoders (text_encoder, text_encoder_2)"),
        None => ("Stable Diffusion", "the text encoder (text_encoder)"),
    };
    Err(Error::bad_argument(format!(
        "these are the weights of {model}'s U-Net alone, which paint nothing by themselves; give {encoders}, the autoencoder (vae) and the vocabulary          (tokenizer) with them, as a folder of diffusers has them"
    )))
}

/// Refuses parts that do not go together.
fn check(unet: &UNet, text: &dyn TextEncoder, codec: &Codec) -> Result<()> {
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
    if let (Some(wanted), Some(made)) = (unet.pooled_width(), text.pooled_width())
        && wanted != made
    {
        return Err(Error::bad_argument(format!(
            "the U-Net takes a row of {wanted} numbers for a whole text, but the second text encoder makes one of {made}; give the parts of one model"
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

/// Steps and guidance that suit a model. Distilled ones (latent consistency models; SD-Turbo and SDXL-Turbo, whose schedule is told by its spacing)
/// take few steps, and no guidance on top of their own. Nobody distilled one that predicts v.
fn steps_and_guidance(schedule: &SchedulerConfig, unet: &UNet, habits: &Habits) -> (usize, f32) {
    if unet.takes_guidance() {
        return (4, 8.0);
    }
    match schedule.named() {
        SchedulerName::Lcm | SchedulerName::Tcd => (4, 1.0),
        SchedulerName::Euler | SchedulerName::EulerAncestral
            if schedule.timestep_spacing.as_deref() == Some("trailing")
                && schedule.prediction_type.as_deref() != Some("v_prediction") =>
        {
            (2, 1.0)
        }
        _ => (20, habits.guidance),
    }
}

/// Height and width of a latent.
fn sample_size(value: &Value, usual: usize) -> [usize; 2] {
    let side = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=128).contains(n));
    let each = |i: usize| side(value).or_else(|| side(&value[i])).unwrap_or(usual);
    [each(0), each(1)]
}

/// The folders of XL's two tokenizers; other models have the first alone.
const TOKENIZERS: [&str; 2] = ["tokenizer", "tokenizer_2"];

/// The name of a text in a tokenizer's folder, or that of the only one there is: checkpoints have no folders beside them, and one vocabulary does for
/// both of XL's.
fn beside(file: &WeightFile, folder: &str, name: &str) -> String {
    let whole = format!("{folder}/{name}");
    if file.extra(&whole).is_some() { whole } else { name.into() }
}

/// A `tokenizer.json`, or one put together from CLIP's `vocab.json` and `merges.txt`.
fn tokenizer(file: &WeightFile, folder: &str) -> Result<Tokenizer> {
    if let Some(json) = file.extra(&beside(file, folder, "tokenizer.json")) {
        return Tokenizer::from_json(json);
    }
    let vocabulary = file.extra_json(&beside(file, folder, "vocab.json"))?;
    let (Some(vocabulary), Some(merges)) = (vocabulary, file.extra(&beside(file, folder, "merges.txt"))) else {
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

/// The token that fills a short prompt, where it is not the end's: as the tokenizer's own settings say, else `!` for OpenCLIP's encoders:
/// XL's second, and such as are 1,024 wide and more.
fn pad(file: &WeightFile, folder: &str, width: usize) -> Result<Option<String>> {
    let second = file.extras().any(|name| name.contains(TOKENIZERS[1]));
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let own =
            if folder == TOKENIZERS[0] && !second { beside(file, folder, name) } else { format!("{folder}/{name}") };
        let settings = file.extra_json(&own)?.unwrap_or_default();
        let pad = &settings["pad_token"];
        if let Some(token) = pad.as_str().or_else(|| pad["content"].as_str()) {
            return Ok(Some(token.into()));
        }
    }
    Ok((folder == TOKENIZERS[1] || width >= 1024).then(|| "!".into()))
}
