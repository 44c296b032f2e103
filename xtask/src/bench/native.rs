//! The crate on this machine, through `examples/bench.rs`, `decode.rs` and `unet_step.rs`: one process a measurement, so that no run warms up another.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Device, Measurement,
    models::{Model, Picture},
};
use crate::workspace::{self, Workspace};

pub fn measure(workspace: &Workspace, models: &[Model], devices: &[Device], reps: u32) -> Result<Vec<Measurement>> {
    workspace::run(workspace.cargo().args([
        "build",
        "--package",
        "vitrine",
        "--profile",
        "page",
        "--example",
        "bench",
        "--example",
        "decode",
        "--example",
        "unet_step",
    ]))?;
    let program = |name: &str| {
        workspace.target.join("page").join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    };
    let mut measurements = vec![];
    for model in models {
        for device in devices {
            let side = |side: usize| side.to_string();
            let mut command;
            match model.picture {
                Some(Picture::Decode(latent)) => {
                    command = workspace.command(program("decode"));
                    command.args([device.name(), &side(latent), &reps.to_string()]).args(model.paths());
                }
                // One evaluation of the U-Net is what a step is without guidance.
                Some(Picture::Paint(pixels)) => {
                    command = workspace.command(program("unet_step"));
                    command.args([device.name(), "1", &side(pixels / 8), &reps.max(1).to_string()]);
                }
                None => {
                    let (prompt, tokens) = device.tokens();
                    command = workspace.command(program("bench"));
                    command.args(model.paths()).args([
                        device.name(),
                        &prompt.to_string(),
                        &tokens.to_string(),
                        &reps.to_string(),
                    ]);
                    command.args(model.prompts.iter().map(|file| model.folder.join(file)));
                }
            }
            command.env("RAYON_NUM_THREADS", "1");
            eprintln!("  native {} on {}", model.name, device.name());
            let output = command.output().context("could not start the measuring program")?;
            if !output.status.success() {
                bail!("measuring {} failed: {}", model.name, String::from_utf8_lossy(&output.stderr));
            }
            let result: Value = serde_json::from_slice(&output.stdout)?;
            measurements.push(super::browser::measurement("native", *device, &model.name, result));
        }
    }
    Ok(measurements)
}
