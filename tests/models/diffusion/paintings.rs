//! What diffusers' pipelines paint with a small model by every scheduler, from pictures, in a part and with weighted prompts, from the same noise
//! (training/make_paintings_fixture.py); and that a painting tells its steps as they were asked for.

use std::rc::Rc;

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel,
    backend::Device,
    image::{ImageModel, ImageRequest, PaintStep, Picture, SchedulerName},
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use super::pipeline::{TINY_SD_PARTS, last, load, paint, source_of_tiny_sd, tiny_sd};
use crate::common::{json, on_cpu};

const SIDE: usize = 16;

fn paintings() -> Vec<Value> {
    serde_json::from_value(json("paintings.json")).expect("a list")
}

/// Written in hexadecimal.
pub fn bytes(text: &Value) -> Vec<u8> {
    let pairs = text.as_str().expect("text").as_bytes().as_chunks::<2>().0.iter();
    pairs.map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("a number")).collect()
}

/// The small model with another `scheduler_config.json`.
fn scheduled_by(config: &str, device: &Device) -> vitrine::Result<ImageModel> {
    let source = |name: &&str| -> SharedSource {
        match name.ends_with("scheduler_config.json") {
            true => Rc::new(MemorySource::new(*name, config.as_bytes().to_vec())),
            false => source_of_tiny_sd(name),
        }
    };
    let file = block_on(WeightFile::open_parts(TINY_SD_PARTS.iter().map(source).collect())).expect("files");
    load(&file, device, Storage::Keep)
}

fn given() -> Picture {
    let pixel = |i: usize| {
        let (x, y) = (i % SIDE, i / SIDE);
        [(x * 15) as u8, (y * 15) as u8, (255 - 8 * x - 7 * y) as u8, 255]
    };
    Picture::new(SIDE, SIDE, (0..SIDE * SIDE).flat_map(pixel).collect()).expect("a picture")
}

fn on_the_right(i: usize) -> bool {
    i % SIDE >= SIDE / 2
}

/// White in the right half.
fn right_half() -> Picture {
    let pixel = |i: usize| if on_the_right(i) { [255; 4] } else { [0, 0, 0, 255] };
    Picture::new(SIDE, SIDE, (0..SIDE * SIDE).flat_map(pixel).collect()).expect("a mask")
}

fn wish(painting: &Value) -> ImageRequest {
    let text = |key: &str| painting[key].as_str().unwrap_or_default().to_owned();
    ImageRequest {
        prompt: text("prompt"),
        negative_prompt: Some(text("negative")),
        seed: Some(3.0),
        guidance: Some(5.0),
        steps: painting["steps"].as_f64(),
        strength: painting["strength"].as_f64(),
        width: Some(SIDE as f64),
        height: Some(SIDE as f64),
        ..ImageRequest::default()
    }
}

fn painted(model: &ImageModel, painting: &Value) -> Vec<PaintStep> {
    let masked = painting["masked"] == true;
    let init = painting["strength"].is_number().then(given);
    paint(model, wish(painting), init, masked.then(right_half))
}

/// How far a picture is from another in eight bits, as far as its pixels are `seen`: decibels, and the largest difference.
pub fn distance(picture: &Picture, wanted: &[u8], seen: impl Fn(usize) -> bool) -> (f64, u8) {
    let pixels = picture.rgba.as_chunks::<4>().0.iter().zip(wanted.as_chunks::<3>().0).enumerate();
    let seen = pixels.filter(|(i, _)| seen(*i));
    let differences: Vec<u8> = seen.flat_map(|(_, (a, b))| (0..3).map(|c| a[c].abs_diff(b[c]))).collect();
    let error = differences.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>() / differences.len() as f64;
    (10.0 * (255f64.powi(2) / error.max(1e-9)).log10(), differences.into_iter().max().unwrap_or(0))
}

#[test]
fn pictures_of_every_scheduler_are_those_of_diffusers_pipelines() {
    let device = on_cpu();
    for painting in paintings() {
        let model = scheduled_by(&painting["config"].to_string(), &device).expect("a model");
        assert_eq!(model.info().scheduler.as_str(), painting["scheduler"], "{}", painting["config"]);
        let steps = painted(&model, &painting);
        let wanted = bytes(&painting["picture"]);
        // Outside of a mask the given picture stays, where diffusers shows the decoder's.
        let masked = painting["masked"] == true;
        let (psnr, most) = distance(&last(&steps)[0], &wanted, |i| !masked || on_the_right(i));
        let name = format!(
            "{} in {} steps, strength {}, {}: {}",
            painting["scheduler"], painting["steps"], painting["strength"], painting["prompt"], painting["config"]
        );
        println!("{psnr:.1} dB, {most}: {name}");
        assert!(psnr >= 65.0 && most <= 1, "{name}: {psnr:.1} dB, a pixel is {most} away");
    }
}

#[test]
fn a_step_is_told_once_however_often_it_asks_the_denoiser() {
    let device = on_cpu();
    for painting in paintings().iter().filter(|painting| painting["masked"] != true) {
        let model = scheduled_by(&painting["config"].to_string(), &device).expect("a model");
        let steps = painted(&model, painting);
        let strength = painting["strength"].as_f64().unwrap_or(1.0);
        let asked = (painting["steps"].as_f64().expect("steps") * strength) as usize;
        let told: Vec<_> = steps.iter().map(|step| (step.step, step.steps, step.is_final)).collect();
        let wanted: Vec<_> = (1..=asked).map(|step| (step, asked, step == asked)).collect();
        assert_eq!(told, wanted, "{} {}", painting["scheduler"], painting["strength"]);
    }
}

#[test]
fn chance_is_of_the_seed() {
    let device = on_cpu();
    let model = load(&tiny_sd(), &device, Storage::Keep).expect("a model");
    for name in SchedulerName::DIFFUSION {
        let asked = |seed: f64| ImageRequest {
            scheduler: Some(name.as_str().into()),
            seed: Some(seed),
            steps: Some(4.0),
            ..wish(&paintings()[0])
        };
        let picture = |seed: f64| last(&paint(&model, asked(seed), None, None))[0].clone();
        assert_eq!(picture(7.0), picture(7.0), "{}", name.as_str());
        assert_ne!(picture(7.0), picture(8.0), "{}", name.as_str());
    }
}

#[test]
fn a_strength_that_leaves_no_step_is_refused_and_says_what_would_do() {
    let model = load(&tiny_sd(), &on_cpu(), Storage::Keep).expect("a model");
    let asked = ImageRequest { strength: Some(0.2), steps: Some(4.0), ..wish(&paintings()[0]) };
    let options = asked.check(model.info(), Some(given()), None).expect("a wish");
    let error = model.paint(options, Cancel::new()).err().expect("no step is left");
    assert_eq!(error.code().as_str(), "bad-argument");
    assert!(error.to_string().contains("1/4"), "{error}");
}

#[test]
fn marks_that_are_no_weights_are_named_in_the_summary() {
    let model = load(&tiny_sd(), &on_cpu(), Storage::Keep).expect("a model");
    let literal = |prompt: &str, negative: &str, guidance: f64| {
        let asked = ImageRequest {
            prompt: prompt.into(),
            negative_prompt: Some(negative.into()),
            guidance: Some(guidance),
            ..wish(&paintings()[0])
        };
        let options = asked.check(model.info(), None, None).expect("a wish");
        model.paint(options, Cancel::new()).map(|painting| painting.summary().literal.clone())
    };
    assert_eq!(literal("a (fox:1.4) in [snow]", "(night)", 5.0).unwrap(), [""; 0]);
    assert_eq!(literal("a [fox|cat]", "BREAK night", 5.0).unwrap(), ["[fox|cat]", "BREAK"]);
    // Without guidance nothing is left out.
    let error = literal("a fox", "night", 1.0).unwrap_err();
    assert!(error.code().as_str() == "bad-argument" && error.to_string().contains("guidance"), "{error}");
}
