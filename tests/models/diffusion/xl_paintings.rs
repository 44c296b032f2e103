//! What diffusers' pipelines of Stable Diffusion XL paint from words, from pictures, in a part, in few bits and by latent consistency, from the same noise
//! (training/make_sdxl_paintings_fixture.py).

use std::{collections::BTreeMap, rc::Rc};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    ErrorCode,
    graph::{DType, Graph},
    image::{ImageModel, ImageRequest, Picture},
    models::{ClipPair, Denoiser, Origin, TextEncoder, UNet, clip::ClipConfig, unet::UNetConfig},
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use super::{
    devices,
    files::{Tensor, tensors_of},
    in_f32,
    paintings::{bytes, distance},
    pipeline::{last, load, paint, source_in},
    xl::{FOLDER, TEXTS, WEIGHTS, folder},
};
use crate::common::{json, on_cpu, proofs::RANDOM, proved, safetensors};

const WIDTH: usize = 32;
const HEIGHT: usize = 24;
/// The folders of the encoders, which stand before the names of their weights.
pub const ENCODERS: [&str; 2] = ["text_encoder", "text_encoder_2"];

fn config(name: &str) -> Value {
    json("sdxl_paintings.json")["configs"][name].clone()
}

fn paintings() -> Vec<Value> {
    serde_json::from_value(json("sdxl_paintings.json")["paintings"].clone()).expect("a list")
}

pub fn painting_of(model: &str) -> Value {
    paintings().into_iter().find(|painting| painting["model"] == model).expect("a painting")
}

/// The tensors of one of the wide models' text encoders, by the names that `origin` has for its weights.
pub fn encoder(which: usize, origin: impl Fn(&str) -> Origin) -> BTreeMap<String, Tensor> {
    let of = |name: &str| ClipConfig::from_hugging_face(&config(name).to_string()).expect("a configuration");
    let mut graph: Graph = ClipPair::new(ENCODERS.map(of), in_f32()).expect("a pair").graph(1).expect("a graph");
    let below = format!("{}.", ENCODERS[which]);
    graph.weights.retain(|spec| spec.name.starts_with(&below));
    tensors_of(&graph, |name| origin(&name[below.len()..]))
}

pub fn unet_config(model: &str) -> UNetConfig {
    UNetConfig::from_diffusers(&config(model).to_string()).expect("a configuration")
}

/// The tensors of the U-Net of a wide model.
pub fn unet(model: &str, origin: impl Fn(&str) -> Origin) -> BTreeMap<String, Tensor> {
    let graph = UNet::new(unet_config(model), in_f32()).graph(1, 8, 8, 1).expect("a graph");
    tensors_of(&graph, origin)
}

fn text(name: &str, json: &Value) -> SharedSource {
    Rc::new(MemorySource::new(name, json.to_string().into_bytes()))
}

fn weights(name: &str, tensors: &BTreeMap<String, Tensor>) -> SharedSource {
    let tensors: Vec<(&str, &[usize], &[f32])> =
        tensors.iter().map(|(name, (shape, numbers))| (name.as_str(), &shape[..], &numbers[..])).collect();
    Rc::new(MemorySource::new(name, safetensors(&tensors)))
}

/// What lies beside the weights of a wide model.
pub fn beside(model: &str) -> Vec<SharedSource> {
    let own = |name: &str| match name {
        "text_encoder/config.json" | "text_encoder_2/config.json" => {
            Some(config(name.split('/').next().expect("a folder")))
        }
        "unet/config.json" => Some(config(model)),
        "scheduler/scheduler_config.json" if model == "lcm" => Some(config("schedule of lcm")),
        _ => None,
    };
    TEXTS.into_iter().map(|name| own(name).map_or_else(|| source_in(FOLDER, name), |json| text(name, &json))).collect()
}

/// The encoders of a wide model, as in its folder.
pub fn encoders() -> [SharedSource; 2] {
    [0, 1].map(|which| weights(WEIGHTS[which], &encoder(which, Origin::same)))
}

/// The autoencoder that all share.
pub fn autoencoder() -> SharedSource {
    source_in(FOLDER, WEIGHTS[3])
}

/// The folder of a wide model.
fn wide(model: &str) -> WeightFile {
    let mut sources = beside(model);
    sources.extend(encoders());
    sources.extend([weights(WEIGHTS[2], &unet(model, Origin::same)), autoencoder()]);
    block_on(WeightFile::open_parts(sources)).expect("files")
}

/// The folder, and how its matrices are to be stored.
fn opened(model: &str) -> (WeightFile, Storage) {
    match model {
        "tiny" => (folder("scheduler"), Storage::Keep),
        "q8_0" => (wide("wide"), Storage::Q8_0),
        "q4_0" => (wide("wide"), Storage::Q4_0),
        model => (wide(model), Storage::Keep),
    }
}

fn given() -> Picture {
    let pixel = |i: usize| {
        let (x, y) = (i % WIDTH, i / WIDTH);
        [(x * 7) as u8, (y * 9) as u8, (255 - 4 * x - 5 * y) as u8, 255]
    };
    Picture::new(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).flat_map(pixel).collect()).expect("a picture")
}

fn on_the_right(i: usize) -> bool {
    i % WIDTH >= WIDTH / 2
}

/// White in the right half.
fn right_half() -> Picture {
    let pixel = |i: usize| if on_the_right(i) { [255; 4] } else { [0, 0, 0, 255] };
    Picture::new(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).flat_map(pixel).collect()).expect("a mask")
}

/// How like diffusers' picture is what a model paints, in decibels.
pub fn likeness(model: &ImageModel, painting: &Value) -> f64 {
    let negative = painting["negative"].as_str().filter(|text| !text.is_empty());
    let wish = ImageRequest {
        prompt: painting["prompt"].as_str().expect("words").into(),
        negative_prompt: negative.map(str::to_owned),
        seed: Some(5.0),
        guidance: painting["guidance"].as_f64(),
        steps: painting["steps"].as_f64(),
        strength: painting["strength"].as_f64(),
        width: Some(WIDTH as f64),
        height: Some(HEIGHT as f64),
        ..ImageRequest::default()
    };
    let masked = painting["masked"] == true;
    let init = painting["strength"].is_number().then(given);
    let steps = paint(model, wish, init, masked.then(right_half));
    // Outside of a mask the given picture stays, where diffusers shows the decoder's.
    let seen = |i: usize| !masked || on_the_right(i);
    distance(&last(&steps)[0], &bytes(&painting["picture"]), seen).0
}

/// Asserts that all paintings of these models are at least so like diffusers', on every device.
fn painted(models: &[&str], least: f64, family: &str) {
    for (name, device) in devices() {
        for model in models {
            let (file, storage) = opened(model);
            let loaded = load(&file, &device, storage).expect("a model");
            for painting in paintings().iter().filter(|painting| painting["model"] == *model) {
                let psnr = likeness(&loaded, painting);
                let told = ["negative", "guidance", "steps", "strength", "masked"].map(|key| painting[key].to_string());
                println!("{name}, {model}, {}: {psnr:.1} dB", told.join(" "));
                assert!(psnr >= least, "{name}, {model}, {}: {psnr:.1} dB", told.join(" "));
            }
        }
        proved(family, "safetensors", &device, RANDOM);
    }
}

#[test]
fn xl_heeds_guidance_negative_prompts_pictures_and_masks_as_diffusers_does() {
    painted(&["tiny", "wide"], 60.0, "sdxl");
}

#[test]
fn xl_in_eight_and_in_four_bits_paints_what_diffusers_paints_with_such_weights() {
    // The plain weights' pictures are 48 and 26 dB away from these.
    painted(&["q8_0", "q4_0"], 60.0, "sdxl");
    let file = wide("wide");
    let pair = ClipPair::find([None, None], &file, Storage::Q4_0);
    assert_eq!(pair.expect_err("these encoders need their configurations").code(), ErrorCode::CorruptFile);
    let unet = UNet::find(Some(unet_config("wide")), &file, Storage::Q4_0).expect("all weights");
    let graph = unet.graph(1, 8, 8, 1).expect("a graph");
    let blocks = graph.weights.iter().filter(|spec| spec.dtype == DType::Q4_0).count();
    let matrices = graph.weights.iter().filter(|spec| spec.shape.len() > 1).count();
    assert_eq!((matrices - blocks, blocks), (1, 124), "all but the first convolution, which takes four channels");
}

#[test]
fn xl_distilled_for_latent_consistency_paints_what_diffusers_paints() {
    painted(&["lcm"], 60.0, "sdxl-lcm");
    let model = load(&wide("lcm"), &on_cpu(), Storage::Keep).expect("a model");
    assert_eq!((model.info().scheduler.as_str(), model.info().steps, model.info().guidance), ("lcm", 4, 8.0));
    let asked =
        ImageRequest { prompt: "a fox".into(), negative_prompt: Some("night".into()), ..ImageRequest::default() };
    let options = asked.check(model.info(), None, None).expect("a wish");
    let error = model.paint(options, vitrine::Cancel::new()).err().expect("nothing listens to a negative prompt");
    assert!(error.to_string().contains("guided by its prompt alone"), "{error}");
}

#[test]
fn xl_made_for_filling_in_fills_in_as_in_diffusers() {
    painted(&["inpainting"], 60.0, "sdxl-inpainting");
}
