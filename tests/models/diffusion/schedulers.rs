//! The schedulers against diffusers: whole runs with a formula for a model and formulas for noise (training/make_scheduler_fixtures.py).

use serde::Deserialize;
use serde_json::{Map, Value};
use vitrine::image::schedulers::{Scheduler, SchedulerConfig, SchedulerName};

use crate::common::json;

#[derive(Deserialize)]
struct Fixture {
    /// What Stable Diffusion's files say, for the cases that say so.
    sd: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    scheduler: SchedulerName,
    sd: bool,
    config: Map<String, Value>,
    steps: usize,
    strength: Option<f64>,
    timesteps: Vec<f32>,
    latent: Vec<f32>,
}

pub const SIZE: usize = 6;

/// Every case with its whole configuration.
fn cases() -> Vec<Case> {
    let Fixture { sd, cases } = serde_json::from_value(json("schedulers.json")).unwrap();
    let whole = |mut case: Case| {
        if case.sd {
            case.config = sd.clone().into_iter().chain(case.config).collect();
        }
        case
    };
    cases.into_iter().map(whole).collect()
}

pub fn noise(draw: usize) -> Vec<f32> {
    let number = |i: usize| 2f64.sqrt() * (12.9898 * (i + 1) as f64 + 78.233 * (draw + 1) as f64).sin();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

fn predicted(x: &[f32], t: f32) -> Vec<f32> {
    let number = |i: usize| 0.6 * f64::from(x[i]) + 0.3 * (f64::from(t) / 100.0).sin() + 0.2 * (3.0 * i as f64).cos();
    (0..SIZE).map(|i| number(i) as f32).collect()
}

fn config(case: &Case) -> SchedulerConfig {
    SchedulerConfig::from_json(Value::Object(case.config.clone()).to_string().as_bytes()).unwrap()
}

/// The latent at the end of a run from rung `begin`, and the timesteps on the way.
pub fn run(scheduler: &mut Box<dyn Scheduler>, begin: usize, mut latent: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
    let (mut draws, mut timesteps) = (0, vec![]);
    for i in begin..scheduler.steps() {
        let t = scheduler.timestep(i);
        let given: Vec<f32> = latent.iter().map(|v| v * scheduler.input_scale(i)).collect();
        let mut draw = || {
            draws += 1;
            noise(draws)
        };
        latent = scheduler.step(i, &predicted(&given, t), &latent, &mut draw).latent;
        timesteps.push(t);
    }
    (latent, timesteps)
}

#[test]
fn every_scheduler_gives_the_latents_of_diffusers() {
    let (mut worst, mut wrong) = ((0.0f32, String::new()), vec![]);
    for case in cases() {
        let name = format!(
            "{} in {} steps, strength {:?}, {}",
            case.scheduler.as_str(),
            case.steps,
            case.strength,
            Value::Object(case.config.clone())
        );
        let mut scheduler = config(&case).scheduler(case.scheduler, case.steps).unwrap();
        let clean: Vec<f32> = (0..SIZE).map(|i| 0.4 * (i as f32).cos()).collect();
        let (begin, latent) = match case.strength {
            Some(strength) => {
                let begin = scheduler.ladder().begin(strength).unwrap();
                (begin, scheduler.noised(begin, &clean, &noise(0)))
            }
            None => (0, scheduler.initial(&noise(0))),
        };
        let (latent, timesteps) = run(&mut scheduler, begin, latent);
        let close = |a: &f32, b: &f32| (a - b).abs() <= 2e-3;
        if timesteps.len() != case.timesteps.len() || !timesteps.iter().zip(&case.timesteps).all(|(a, b)| close(a, b)) {
            wrong.push(format!("{name}: timesteps {timesteps:?}, not {:?}", case.timesteps));
            continue;
        }
        // Against the largest of them: PSNR 60 dB and better.
        let size = case.latent.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let error = latent.iter().zip(&case.latent).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / size;
        if error.is_nan() || error >= 1e-3 {
            wrong.push(format!("{name}: {latent:?}, not {:?}", case.latent));
        } else if error > worst.0 {
            worst = (error, name);
        }
    }
    println!("the largest relative error is {} ({})", worst.0, worst.1);
    assert!(wrong.is_empty(), "{} are not diffusers':\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_run_has_the_steps_that_were_asked_for_however_many_evaluations_they_take() {
    for case in cases() {
        let scheduler = config(&case).scheduler(case.scheduler, case.steps).unwrap();
        for strength in [1.0, 0.7, 0.3] {
            let Some(begin) = scheduler.ladder().begin(strength) else {
                assert!((case.steps as f64) * strength < 1.0);
                continue;
            };
            let ends = (begin..scheduler.steps()).filter(|i| scheduler.ladder().ends_step(begin, *i)).count();
            let asked = (scheduler.ladder().steps as f64 * strength) as usize;
            assert_eq!(ends, asked, "{} in {} steps, {strength}", case.scheduler.as_str(), case.steps);
        }
    }
}

#[test]
fn the_file_names_its_scheduler() {
    for case in cases() {
        assert_eq!(config(&case).named(), case.scheduler, "{:?}", case.config);
    }
    let of = |json: &str| SchedulerConfig::from_json(json.as_bytes()).unwrap().named();
    assert_eq!(of("{}"), SchedulerName::Ddim);
    assert_eq!(of(r#"{"_class_name": "PNDMScheduler"}"#), SchedulerName::Pndm);
    assert_eq!(
        of(r#"{"_class_name": "DPMSolverSinglestepScheduler", "lambda_min_clipped": -Infinity}"#),
        SchedulerName::DpmSolverSingle
    );
    let index = SchedulerConfig::from_json_of(b"{}", Some("HeunDiscreteScheduler")).unwrap();
    assert_eq!(index.named(), SchedulerName::Heun);
}

#[test]
fn another_scheduler_takes_over_what_it_knows_of_a_file() {
    // `EulerDiscreteScheduler.from_config` and the like: the file's betas and spacing, its own habits for the rest.
    let file = r#"{"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
        "timestep_spacing": "leading", "skip_prk_steps": true, "set_alpha_to_one": false, "clip_sample": false}"#;
    let file = SchedulerConfig::from_json(file.as_bytes()).unwrap();
    for (name, class) in [
        (SchedulerName::Euler, "EulerDiscreteScheduler"),
        (SchedulerName::Heun, "HeunDiscreteScheduler"),
        (SchedulerName::DpmSolverSde, "DPMSolverMultistepScheduler"),
        (SchedulerName::Tcd, "TCDScheduler"),
    ] {
        let case = cases().into_iter().find(|case| {
            case.sd
                && case.scheduler == name
                && case.steps == 10
                && case.config["_class_name"] == class
                && case.strength.is_none()
        });
        let mut scheduler = file.scheduler(name, 10).unwrap();
        let start = scheduler.initial(&noise(0));
        let (latent, _) = run(&mut scheduler, 0, start);
        let close = latent.iter().zip(&case.unwrap().latent).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(close, "{}: {latent:?}", name.as_str());
    }
    // What nobody set when the file was written holds for no other class.
    let unset = r#"{"_class_name": "PNDMScheduler", "timestep_spacing": "leading", "_use_default_values": ["timestep_spacing"]}"#;
    let unset = SchedulerConfig::from_json(unset.as_bytes()).unwrap();
    assert_eq!(unset.scheduler(SchedulerName::Euler, 10).unwrap().timestep(0), 999.0);
}

#[test]
fn what_cannot_be_scheduled_is_refused_in_words() {
    let refused = |json: &str| SchedulerConfig::from_json(json.as_bytes()).unwrap_err();
    for (json, word) in [
        ("{", "cannot be read"),
        (r#"{"num_train_timesteps": 0}"#, "cannot be"),
        (r#"{"beta_end": 1.5}"#, "cannot be"),
        (r#"{"trained_betas": [0.1]}"#, "cannot be"),
        (r#"{"sigma_min": -1.0}"#, "cannot be"),
        (r#"{"solver_order": 0}"#, "cannot be"),
        (r#"{"clip_sample": "no"}"#, "clip_sample"),
        (r#"{"disable_corrector": [0, -1]}"#, "disable_corrector"),
        ("[]", "cannot be read"),
    ] {
        let error = refused(json);
        assert!(error.to_string().contains(word), "{json}: {error}");
        assert_eq!(error.code().as_str(), "corrupt-file", "{json}");
    }
    let ddim = "DDIMScheduler";
    let (multi, single) = ("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler");
    let (unipc, flow) = ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler");
    for (class, setting, word) in [
        ("ScoreSdeVeScheduler", "", "ScoreSdeVeScheduler"),
        ("CosineDPMSolverMultistepScheduler", "", "CosineDPMSolverMultistepScheduler"),
        (ddim, r#", "thresholding": true"#, "thresholding"),
        ("DDPMScheduler", r#", "variance_type": "learned_range""#, "variance_type"),
        ("DDPMScheduler", r#", "variance_type": "fixed_large_log""#, "variance_type"),
        (multi, r#", "variance_type": "learned""#, "variance_type"),
        (ddim, r#", "prediction_type": "wishes""#, "prediction_type"),
        (multi, r#", "prediction_type": "flow_prediction""#, "prediction_type"),
        ("PNDMScheduler", r#", "prediction_type": "sample""#, "prediction_type"),
        ("KDPM2DiscreteScheduler", r#", "prediction_type": "sample""#, "prediction_type"),
        (ddim, r#", "beta_schedule": "sigmoid""#, "beta_schedule"),
        ("HeunDiscreteScheduler", r#", "beta_schedule": "laplace""#, "beta_schedule"),
        (ddim, r#", "timestep_spacing": "wide""#, "timestep_spacing"),
        ("EulerDiscreteScheduler", r#", "interpolation_type": "cubic""#, "interpolation_type"),
        ("EulerDiscreteScheduler", r#", "final_sigmas_type": "one""#, "final_sigmas_type"),
        ("LMSDiscreteScheduler", r#", "use_karras_sigmas": true, "use_beta_sigmas": true"#, "use_beta_sigmas"),
        (multi, r#", "use_flow_sigmas": true"#, "use_flow_sigmas"),
        (multi, r#", "algorithm_type": "dpmsolver+++""#, "algorithm_type"),
        (multi, r#", "algorithm_type": "dpmsolver""#, "final_sigmas_type"),
        (
            multi,
            r#", "algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_order": 3"#,
            "solver_order",
        ),
        (multi, r#", "solver_type": "simpson""#, "solver_type"),
        (single, r#", "algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min""#, "algorithm_type"),
        (single, r#", "solver_order": 4"#, "solver_order"),
        ("DEISMultistepScheduler", r#", "algorithm_type": "sde-dpmsolver++""#, "algorithm_type"),
        (unipc, r#", "solver_order": 40"#, "solver_order"),
        (unipc, r#", "predict_x0": false"#, "predict_x0"),
        (unipc, r#", "solver_p": {"_class_name": "DDIMScheduler"}"#, "solver_p"),
        (unipc, r#", "use_dynamic_shifting": true"#, "use_dynamic_shifting"),
        (unipc, r#", "shift_terminal": 0.1"#, "shift_terminal"),
        (flow, r#", "stochastic_sampling": true"#, "stochastic_sampling"),
        (flow, r#", "use_karras_sigmas": true"#, "use_karras_sigmas"),
        (flow, r#", "invert_sigmas": true"#, "invert_sigmas"),
        (
            "EDMDPMSolverMultistepScheduler",
            r#", "algorithm_type": "sde-dpmsolver++", "solver_order": 3"#,
            "solver_order",
        ),
        ("EDMEulerScheduler", r#", "sigma_schedule": "linear""#, "sigma_schedule"),
        (ddim, r#", "rescale_betas_zero_snr": true"#, "rescale_betas_zero_snr"),
    ] {
        let error = refused(&format!(r#"{{"_class_name": "{class}"{setting}}}"#));
        assert!(error.to_string().contains(word), "{class}{setting}: {error}");
        assert_eq!(error.code().as_str(), "unsupported-model", "{class}{setting}");
    }
}

#[test]
fn settings_that_a_class_does_not_read_are_passed_over() {
    for (class, setting) in [
        ("PNDMScheduler", r#""thresholding": true, "rescale_betas_zero_snr": true, "use_karras_sigmas": true"#),
        (
            "EulerAncestralDiscreteScheduler",
            r#""solver_order": 9, "algorithm_type": "sde-dpmsolver", "use_beta_sigmas": true"#,
        ),
        ("LCMScheduler", r#""timestep_spacing": "wide", "set_alpha_to_one": false, "variance_type": "learned""#),
        (
            "DEISMultistepScheduler",
            r#""final_sigmas_type": "one", "use_lu_lambdas": true, "solver_type": "bh2", "algorithm_type": "dpmsolver""#,
        ),
        (
            "DDIMScheduler",
            r#""a_setting_of_tomorrow": [1, 2], "sigma_max": null, "interpolation_type": "cubic", "_diffusers_version": "0.6.0""#,
        ),
    ] {
        let with = format!(r#"{{"_class_name": "{class}", "skip_prk_steps": true, {setting}}}"#);
        let without = format!(r#"{{"_class_name": "{class}", "skip_prk_steps": true}}"#);
        let latent = |json: &str| {
            let config = SchedulerConfig::from_json(json.as_bytes()).unwrap();
            let mut scheduler = config.scheduler(config.named(), 6).unwrap();
            let start = scheduler.initial(&noise(0));
            run(&mut scheduler, 0, start)
        };
        assert_eq!(latent(&with), latent(&without), "{with}");
    }
}

#[test]
fn runs_that_cannot_be_are_refused_with_what_can() {
    let plain = SchedulerConfig::default();
    for (name, steps) in [
        (SchedulerName::Ddim, 0),
        (SchedulerName::Ddim, 1001),
        (SchedulerName::Lcm, 51),
        (SchedulerName::Tcd, 51),
        (SchedulerName::Pndm, 3),
        (SchedulerName::FlowEuler, 10),
        (SchedulerName::EdmEuler, 10),
    ] {
        let error = plain.scheduler(name, steps).err().map(|e| e.code().as_str());
        assert_eq!(error, Some("bad-argument"), "{steps} steps of {}", name.as_str());
    }
    let zero = SchedulerConfig { rescale_betas_zero_snr: Some(true), ..SchedulerConfig::default() };
    assert!(zero.scheduler(SchedulerName::Ddim, 5).is_err());
    assert!(zero.scheduler(SchedulerName::Euler, 5).is_ok());
}
