//! Schedulers and their settings, weighted prompts.

use std::{path::Path, rc::Rc};

use pollster::block_on;
use serde_json::{Map, Value};
use vitrine::{
    Cancel, ErrorCode,
    backend::{Device, cpu},
    image::{ImageModel, ImageRequest, Picture, schedulers::SchedulerConfig},
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use crate::folder::case;

const SIZE: usize = 6;

/// diffusers 0.42.1 after six steps, with the formulas of tests/schedulers.rs.
const LATENTS: [(&str, [f32; SIZE]); 11] = [
    ("dpm-sde", [-0.8274, 0.1589, -0.931, 0.0831, -0.8043, 0.1521]),
    ("dpm-plain-algorithm", [-1.0829, -0.8208, -2.5057, -1.8245, -2.7506, -1.5069]),
    ("dpm-order-3", [-1.0582, -0.7945, -2.4526, -1.7786, -2.6923, -1.4678]),
    ("dpm-lu", [-1.2431, -0.9031, -2.8721, -2.0545, -3.1504, -1.6937]),
    ("dpm-heun", [-1.0126, -0.7624, -2.3727, -1.7218, -2.6069, -1.4183]),
    ("unipc-order-3", [-1.059, -0.8091, -2.4311, -1.7769, -2.6675, -1.4705]),
    ("unipc-no-corrector", [-1.0697, -0.8088, -2.4483, -1.7817, -2.6852, -1.4745]),
    ("edm-euler", [0.043, -0.6731, -0.6701, -1.1308, -0.8393, -0.9111]),
    ("euler-sigma-range", [-0.9977, -0.7328, -2.3485, -1.6866, -2.5802, -1.3863]),
    ("beta-sigmoid", [-0.4125, 0.3388, -0.5836, 0.3524, -0.5113, 0.2537]),
    ("beta-laplace", [-0.5069, -0.4411, -0.9731, -0.7342, -0.8898, -0.5544]),
];

fn noise(draw: usize) -> Vec<f32> {
    let number = |i: usize| 2f64.sqrt() * (12.9898 * (i + 1) as f64 + 78.233 * (draw + 1) as f64).sin();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

fn predicted(x: &[f32], t: f32) -> Vec<f32> {
    let number = |i: usize| 0.6 * f64::from(x[i]) + 0.3 * (f64::from(t) / 100.0).sin() + 0.2 * (3.0 * i as f64).cos();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

#[test]
fn every_setting_of_a_scheduler_is_done_as_in_diffusers() {
    let Some(folder) = case("16-scheduler-settings") else { return };
    let configs = std::fs::read(folder.join("configs.json")).expect("a file");
    let configs: Map<String, Value> = serde_json::from_slice(&configs).expect("JSON");
    for (name, config) in &configs {
        let config = SchedulerConfig::from_json(config.to_string().as_bytes());
        // What diffusers makes of this one is no number.
        if name == "unipc-predict-noise" {
            let error = config.expect_err(name);
            assert_eq!(error.code(), ErrorCode::UnsupportedModel);
            assert!(error.to_string().contains("predict_x0"), "{error}");
            continue;
        }
        let config = config.expect(name);
        let mut scheduler = config.scheduler(config.named(), 6).expect(name);
        let mut latent = scheduler.initial(&noise(0));
        let mut draws = 0;
        for i in 0..scheduler.steps() {
            let given: Vec<f32> = latent.iter().map(|v| v * scheduler.input_scale(i)).collect();
            let prediction = predicted(&given, scheduler.timestep(i));
            let mut draw = || {
                draws += 1;
                noise(draws)
            };
            latent = scheduler.step(i, &prediction, &latent, &mut draw).latent;
        }
        let (_, wanted) = LATENTS.iter().find(|(each, _)| each == name).expect(name);
        let far = latent.iter().zip(wanted).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(far < 2e-4, "{name}: {latent:?}, not {wanted:?}");
    }
}

fn small_model() -> ImageModel {
    let folder = Path::new("tests/fixtures/tiny_sd");
    let names = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/pytorch_model.bin",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "vae/config.json",
        "vae/diffusion_pytorch_model.bin",
    ];
    let source = |name: &str| -> SharedSource {
        Rc::new(MemorySource::new(name, std::fs::read(folder.join(name)).expect("a file of the fixture")))
    };
    let file = block_on(WeightFile::open_parts(names.into_iter().map(source).collect())).expect("files");
    let device = Device::Cpu(cpu::Device::new("a test"));
    block_on(ImageModel::load(&file, &device, Storage::Keep, &mut |_, _| (), &Cancel::new())).expect("a model")
}

fn painted(model: &ImageModel, prompt: &str) -> Picture {
    let asked = ImageRequest {
        prompt: prompt.into(),
        seed: Some(3.0),
        steps: Some(4.0),
        width: Some(16.0),
        height: Some(16.0),
        ..ImageRequest::default()
    };
    let mut painting =
        model.paint(asked.check(model.info(), None, None).expect("a wish"), Cancel::new()).expect("a painting");
    let mut last = None;
    while let Some(step) = block_on(painting.next()).expect("a step") {
        last = step.pictures.into_iter().next();
    }
    assert!(painting.summary().literal.is_empty() && painting.summary().cut.is_none());
    last.expect("a picture")
}

#[test]
fn words_in_brackets_are_weighted() {
    let Some(folder) = case("30-weighted-prompts") else { return };
    let prompts: Vec<String> =
        serde_json::from_slice(&std::fs::read(folder.join("prompts.json")).expect("a file")).expect("JSON");
    let model = small_model();
    let plain = painted(&model, "a fox in snow");
    for prompt in &prompts {
        assert_ne!(painted(&model, prompt), plain, "{prompt}");
    }
    assert_eq!(painted(&model, "a (fox:1.0) in snow"), plain);
}
