//! Schedulers and their settings, weighted prompts.

use pollster::block_on;
use serde_json::{Map, Value};
use vitrine::{
    Cancel, ErrorCode,
    image::{ImageModel, ImageRequest, Picture, schedulers::SchedulerConfig},
    weights::Storage,
};

use super::folder::case;
use crate::{
    common::on_cpu,
    diffusion::{
        pipeline::{load, tiny_sd},
        schedulers::{SIZE, noise, run},
    },
};

/// diffusers 0.42.1 after six steps, with the formulas of `diffusion/schedulers.rs`.
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
        let start = scheduler.initial(&noise(0));
        let (latent, _) = run(&mut scheduler, 0, start);
        let (_, wanted) = LATENTS.iter().find(|(each, _)| each == name).expect(name);
        let far = latent.iter().zip(wanted).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(far < 2e-4, "{name}: {latent:?}, not {wanted:?}");
    }
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
    let model = load(&tiny_sd(), &on_cpu(), Storage::Keep).expect("a model");
    let plain = painted(&model, "a fox in snow");
    for prompt in &prompts {
        assert_ne!(painted(&model, prompt), plain, "{prompt}");
    }
    assert_eq!(painted(&model, "a (fox:1.0) in snow"), plain);
}
