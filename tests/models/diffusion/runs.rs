//! Whole runs of a small U-Net, guided, with every scheduler: diffusers' latents from the same noise (training/make_run_fixtures.py).

use serde_json::Value;
use vitrine::{
    graph::StepParams,
    image::schedulers::{SchedulerConfig, SchedulerName},
    models::{Denoiser, UNet, unet::UNetConfig},
};

use super::{devices, hashed, in_f32, original, size};
use crate::{
    common::{bits, floats, numbers_in},
    psnr,
};

fn named(run: &Value) -> SchedulerName {
    serde_json::from_value(run["scheduler"].clone()).expect("a known scheduler")
}

#[test]
fn ten_steps_of_every_scheduler_end_as_in_diffusers() {
    let f = original("runs");
    let [steps, height, width, tokens] = ["steps", "height", "width", "tokens"].map(|name| size(&f[name]));
    let guidance = f["guidance"].as_f64().expect("a number") as f32;
    let config = UNetConfig::from_diffusers(&f["unet"].to_string()).expect("a configuration");
    let unet = UNet::new(config, in_f32());
    let graph = unet.graph(2, height, width, tokens).expect("a graph");
    let context = bits(&hashed::rows("run.context", 2 * tokens * unet.context_width()));
    let latent_numbers = height * width * unet.latent_channels();
    for (device_name, device) in devices() {
        let mut plan = pollster::block_on(async {
            let resident = hashed::resident(&device, &graph).await.expect("weights");
            resident.compile(&graph).await.expect("a plan")
        });
        plan.write_input("context", &context).expect("an input");
        for (name, words) in unet.constants(2, height, width) {
            plan.write_input(name, &words).expect("an input");
        }
        // Schedulers compute on the host: on a GPU one in four shows what its denoiser makes of its own answers.
        let every = if device_name == "cpu" { 1 } else { 4 };
        for run in f["runs"].as_array().expect("runs").iter().step_by(every) {
            let config = SchedulerConfig::from_json(run["config"].to_string().as_bytes()).expect("a configuration");
            let mut scheduler = config.scheduler(named(run), steps).expect("a scheduler");
            let mut latent = scheduler.initial(&hashed::rows("run.noise", latent_numbers));
            let mut draws = 0;
            for i in 0..scheduler.steps() {
                let given: Vec<f32> = latent.iter().map(|v| v * scheduler.input_scale(i)).collect();
                plan.write_input("latent", &bits(&given.repeat(2))).expect("an input");
                plan.write_input("timestep", &bits(&[scheduler.timestep(i); 2])).expect("an input");
                let pending = plan.step(&StepParams::default(), &["prediction"]).expect("a step");
                let out = pollster::block_on(pending).expect("a prediction");
                let both = floats(&out[0]);
                let (wanted, unwanted) = both.split_at(latent_numbers);
                let guided: Vec<f32> = wanted.iter().zip(unwanted).map(|(w, u)| u + guidance * (w - u)).collect();
                let mut draw = || {
                    draws += 1;
                    hashed::rows(&format!("run.draw{draws}"), latent_numbers)
                };
                latent = scheduler.step(i, &guided, &latent, &mut draw).latent;
            }
            let demanded = numbers_in(&run["latent"]);
            let most = demanded.iter().fold(f32::MIN, |m, v| m.max(*v));
            let range = f64::from(most - demanded.iter().fold(f32::MAX, |m, v| m.min(*v)));
            let psnr = psnr(&latent, &demanded, range);
            println!("{} on {device_name}: {psnr:.1} dB", run["scheduler"]);
            assert!(
                psnr >= if device_name == "cpu" { 80.0 } else { 60.0 },
                "{} on {device_name}: {psnr} dB",
                run["scheduler"]
            );
        }
    }
}
