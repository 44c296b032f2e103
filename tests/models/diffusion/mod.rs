//! Text encoders and denoisers against what diffusers, transformers and the illustrator's PyTorch twin compute with the same
//! weights, on both backends. Fixtures: training/make_diffusion_fixtures.py.

mod candle;
mod files;
mod hashed;
mod paintings;
pub mod pipeline;
mod runs;
pub mod schedulers;
mod xl;
mod xl_gguf;
mod xl_paintings;

use std::collections::HashMap;

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Result,
    backend::{Device, Resident},
    graph::{DType, Graph, StepParams},
    models::{
        Clip, Denoiser, Illustrator, TextEncoder, UNet, Weights, clip::ClipConfig, illustrator::IllustratorConfig,
        unet::UNetConfig,
    },
    weights::{Metadata, Value as MetadataValue},
};

use crate::common::{bits, cosine, floats, json, numbers_in, on_cpu, on_gpu};

/// Weights in F32 that stand in no file.
fn in_f32() -> Weights {
    Weights::declared(DType::F32)
}

/// What others computed with the model `name`, and from what.
fn original(name: &str) -> Value {
    json(&format!("diffusion/{name}.json"))
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}

/// The devices to run on, and their names.
fn devices() -> [(&'static str, Device); 2] {
    [("cpu", on_cpu()), ("gpu", on_gpu())]
}

pub fn run(resident: &Resident, graph: &Graph, inputs: &[(&str, Vec<u32>)], output: &str) -> Vec<f32> {
    let out = block_on(async {
        let mut plan = resident.compile(graph).await?;
        for (name, words) in inputs {
            plan.write_input(name, words)?;
        }
        plan.step(&StepParams::default(), &[output])?.await
    });
    floats(&out.expect("a step")[0])
}

/// The same direction, and with exact weights the same numbers.
fn agrees(place: &str, got: &[f32], wanted: &[f32], least: f64) {
    let likeness = cosine(got, wanted);
    let scale = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(wanted).fold(0f32, |m, (g, w)| m.max((g - w).abs())) / scale;
    println!("{place}: cosine {likeness:.8}, worst {worst:.2e} of the largest");
    assert!(likeness >= least, "{place}: cosine {likeness}");
    assert!(least < EXACT || worst <= 2e-3, "{place}: a number is {worst} of the largest away");
}

/// Least cosine where weights are F32.
const EXACT: f64 = 0.9999;

fn denoising(name: &str, denoiser: &dyn Denoiser, load: impl Fn(&Device, &Graph) -> Result<Resident>) {
    denoising_within(name, denoiser, EXACT, load);
}

/// Asserts that one evaluation is the fixture's, on every device.
fn denoising_within(
    name: &str,
    denoiser: &dyn Denoiser,
    least: f64,
    load: impl Fn(&Device, &Graph) -> Result<Resident>,
) {
    let f = original(name);
    let (batch, height, width, tokens) = (size(&f["batch"]), size(&f["height"]), size(&f["width"]), size(&f["tokens"]));
    let graph = denoiser.graph(batch, height, width, tokens).expect("a graph");
    let latent = hashed::rows("input.latent", batch * height * width * denoiser.latent_channels());
    let context = hashed::rows("input.context", batch * tokens * denoiser.context_width());
    let mut inputs = denoiser.constants(batch, height, width);
    inputs.extend([
        ("latent", bits(&latent)),
        ("context", bits(&context)),
        ("timestep", bits(&numbers_in(&f["timestep"]))),
    ]);
    assert_eq!(denoiser.takes_guidance(), f["guidance"].is_array());
    if denoiser.takes_guidance() {
        inputs.push(("guidance", bits(&numbers_in(&f["guidance"]))));
    }
    assert_eq!(denoiser.pooled_width().is_some(), f["sizes"].is_array());
    if let Some(width) = denoiser.pooled_width() {
        inputs.push(("pooled", bits(&hashed::rows("input.pooled", batch * width))));
        inputs.push(("sizes", bits(&numbers_in(&f["sizes"]))));
    }
    for (device_name, device) in devices() {
        let resident = load(&device, &graph).expect("the weights go in");
        let got = run(&resident, &graph, &inputs, "prediction");
        agrees(&format!("{name} on {device_name}"), &got, &numbers_in(&f["output"]), least);
    }
}

fn reading(name: &str, encoder: &dyn TextEncoder, load: impl Fn(&Device, &Graph) -> Result<Resident>) {
    reading_within(name, encoder, EXACT, load);
}

/// Asserts that a text encoder's rows are the fixture's, on every device.
fn reading_within(
    name: &str,
    encoder: &dyn TextEncoder,
    least: f64,
    load: impl Fn(&Device, &Graph) -> Result<Resident>,
) {
    let f = original(name);
    let (batch, kept) = (size(&f["batch"]), size(&f["last_rows"]) * encoder.width());
    let graph = encoder.graph(batch).expect("a graph");
    let ids: Vec<u32> = f["ids"].as_array().expect("ids").iter().map(|id| size(id) as u32).collect();
    let mut inputs = encoder.constants(batch);
    inputs.push(("ids", ids));
    let text = encoder.length() * encoder.width();
    for (device_name, device) in devices() {
        let resident = load(&device, &graph).expect("the weights go in");
        let context = run(&resident, &graph, &inputs, "context");
        let got: Vec<f32> = context.chunks_exact(text).flat_map(|text| text[text.len() - kept..].to_vec()).collect();
        agrees(&format!("{name} on {device_name}"), &got, &numbers_in(&f["output"]), least);
    }
}

fn denoises_as_in_python(name: &str, denoiser: &dyn Denoiser) {
    denoising(name, denoiser, |device, graph| block_on(hashed::resident(device, graph)));
}

fn reads_as_in_python(name: &str, encoder: &dyn TextEncoder) {
    reading(name, encoder, |device, graph| block_on(hashed::resident(device, graph)));
}

fn unet_of(name: &str) -> UNet {
    let config = UNetConfig::from_diffusers(&original(name)["config"].to_string()).expect("a configuration");
    UNet::new(config, in_f32())
}

#[test]
fn a_unet_of_stable_diffusion_1_is_diffusers() {
    denoises_as_in_python("unet_sd15", &unet_of("unet_sd15"));
}

#[test]
fn a_unet_of_stable_diffusion_2_is_diffusers() {
    denoises_as_in_python("unet_sd21", &unet_of("unet_sd21"));
}

#[test]
fn a_unet_of_stable_diffusion_xl_is_diffusers() {
    denoises_as_in_python("unet_sdxl", &unet_of("unet_sdxl"));
}

#[test]
fn a_pruned_unet_is_diffusers() {
    for name in ["unet_tiny", "unet_base"] {
        denoises_as_in_python(name, &unet_of(name));
    }
}

#[test]
fn a_unet_with_guidance_as_input_is_diffusers() {
    denoises_as_in_python("unet_lcm", &unet_of("unet_lcm"));
}

fn illustrator() -> Illustrator {
    let config = MetadataValue::String(original("illustrator_denoiser")["config"].to_string());
    let metadata = Metadata::new(HashMap::from([("vitrine.config".into(), config)]));
    Illustrator::new(IllustratorConfig::from_gguf(&metadata).expect("a configuration"), in_f32())
}

#[test]
fn the_illustrators_denoiser_is_its_twin() {
    denoises_as_in_python("illustrator_denoiser", &illustrator());
}

#[test]
fn clip_is_transformers() {
    for name in ["clip_quick_gelu", "clip_gelu"] {
        let config = ClipConfig::from_hugging_face(&original(name)["config"].to_string()).expect("a configuration");
        reads_as_in_python(name, &Clip::new(config, in_f32()));
    }
}

#[test]
fn the_illustrators_text_encoder_is_its_twin() {
    reads_as_in_python("illustrator_text", &illustrator());
}

#[test]
fn a_unet_whose_sides_cannot_be_halved_evenly_is_diffusers() {
    denoises_as_in_python("unet_odd", &unet_of("unet_odd"));
}
