//! The schedulers against diffusers: whole runs with a formula for a model and formulas for noise (training/make_scheduler_fixtures.py).

#![cfg(not(target_arch = "wasm32"))]

use serde::Deserialize;
use vitrine::image::schedulers::{SchedulerConfig, SchedulerName};

#[derive(Deserialize)]
struct Case {
    scheduler: SchedulerName,
    config: serde_json::Value,
    steps: usize,
    timesteps: Vec<f32>,
    latents: Vec<Vec<f32>>,
}

const SIZE: usize = 6;

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read("tests/fixtures/schedulers.json").unwrap()).unwrap()
}

fn noise(draw: usize) -> Vec<f32> {
    let number = |i: usize| 2f64.sqrt() * (12.9898 * (i + 1) as f64 + 78.233 * (draw + 1) as f64).sin();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

fn predicted(x: &[f32], t: f32) -> Vec<f32> {
    let number = |i: usize| 0.6 * f64::from(x[i]) + 0.3 * (f64::from(t) / 100.0).sin() + 0.2 * (3.0 * i as f64).cos();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

fn config(case: &Case) -> SchedulerConfig {
    SchedulerConfig::from_json(case.config.to_string().as_bytes()).unwrap()
}

#[test]
fn every_scheduler_gives_the_latents_of_diffusers() {
    let mut worst = (0.0f32, String::new());
    for case in cases() {
        let name = format!("{} {}", case.scheduler.as_str(), case.config);
        let mut scheduler = config(&case).scheduler(case.scheduler, case.steps).unwrap();
        assert_eq!(scheduler.steps(), case.latents.len(), "{name}");
        let mut latent = scheduler.initial(&noise(0));
        let mut draws = 0;
        for (i, demanded) in case.latents.iter().enumerate() {
            let t = scheduler.timestep(i);
            assert!((t - case.timesteps[i]).abs() <= 2e-3, "{name}: timestep {i} is {t}, not {}", case.timesteps[i]);
            let given: Vec<f32> = latent.iter().map(|v| v * scheduler.input_scale(i)).collect();
            let mut draw = || {
                draws += 1;
                noise(draws)
            };
            latent = scheduler.step(i, &predicted(&given, t), &latent, &mut draw).latent;
            // Against the largest of them: PSNR 60 dB and better.
            let size = demanded.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let error = latent.iter().zip(demanded).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / size;
            assert!(error < 1e-3, "{name}: after step {i} {latent:?}, not {demanded:?}");
            if error > worst.0 {
                worst = (error, format!("{name}, step {i}"));
            }
        }
    }
    println!("the largest relative error is {} ({})", worst.0, worst.1);
}

#[test]
fn a_run_can_begin_anywhere() {
    for case in cases() {
        let mut scheduler = config(&case).scheduler(case.scheduler, case.steps).unwrap();
        let clean = vec![0.4; SIZE];
        let from = case.steps / 2;
        let mut latent = scheduler.noised(from, &clean, &noise(0));
        for i in from..case.steps {
            let given: Vec<f32> = latent.iter().map(|v| v * scheduler.input_scale(i)).collect();
            let prediction = predicted(&given, scheduler.timestep(i));
            latent = scheduler.step(i, &prediction, &latent, &mut || noise(i)).latent;
        }
        assert!(latent.iter().all(|v| v.is_finite()), "{} {}: {latent:?}", case.scheduler.as_str(), case.config);
    }
}

#[test]
fn the_file_names_its_scheduler() {
    for case in cases() {
        assert_eq!(config(&case).named(), case.scheduler, "{}", case.config);
    }
    let of = |class: &str| {
        SchedulerConfig::from_json(
            format!(r#"{{"_class_name": "{class}", "lambda_min_clipped": -Infinity}}"#).as_bytes(),
        )
        .unwrap()
        .named()
    };
    assert_eq!(of("PNDMScheduler"), SchedulerName::Ddim);
    assert_eq!(of("DPMSolverSinglestepScheduler"), SchedulerName::DpmSolver);
}

#[test]
fn what_cannot_be_scheduled_is_refused_in_words() {
    let refused = |json: &str| SchedulerConfig::from_json(json.as_bytes()).unwrap_err();
    for (json, word) in [
        ("{", "cannot be read"),
        (r#"{"thresholding": true}"#, "thresholding"),
        (r#"{"variance_type": "learned_range"}"#, "variance_type"),
        (r#"{"num_train_timesteps": 0}"#, "cannot be"),
        (r#"{"beta_end": 1.5}"#, "cannot be"),
        (r#"{"trained_betas": [0.1]}"#, "cannot be"),
        (r#"{"prediction_type": "wishes"}"#, "wishes"),
    ] {
        let error = refused(json);
        assert!(error.to_string().contains(word), "{json}: {error}");
    }
    let plain = SchedulerConfig::default();
    for (name, steps) in [
        (SchedulerName::Ddim, 0),
        (SchedulerName::Ddim, 1001),
        (SchedulerName::Lcm, 51),
        (SchedulerName::FlowEuler, 10),
    ] {
        let error = plain.scheduler(name, steps).err().map(|e| e.code().as_str());
        assert_eq!(error, Some("bad-argument"), "{steps} steps of {}", name.as_str());
    }
    let zero = SchedulerConfig { rescale_betas_zero_snr: Some(true), ..SchedulerConfig::default() };
    assert!(zero.scheduler(SchedulerName::Ddim, 5).is_err());
}
