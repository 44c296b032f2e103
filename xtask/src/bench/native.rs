//! The crate on this machine, through `benches/`: one process a measurement, so that no run warms up another.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    Device, Measurement,
    models::{Model, Picture},
};
use crate::workspace::Workspace;

pub fn measure(workspace: &Workspace, models: &[Model], devices: &[Device], reps: u32) -> Result<Vec<Measurement>> {
    let program = build(workspace)?;
    let mut measurements = vec![];
    for model in models {
        for device in devices {
            let side = |side: usize| side.to_string();
            let mut command;
            match model.picture {
                Some(Picture::Decode(latent)) => {
                    command = workspace.command(&program);
                    command.args(["decode", device.name(), &side(latent), &reps.to_string()]).args(model.paths());
                }
                // One evaluation of the U-Net is what a step is without guidance.
                Some(Picture::Paint(pixels)) => {
                    command = workspace.command(&program);
                    command.args(["unet_step", device.name(), "1", &side(pixels / 8), &reps.max(1).to_string()]);
                }
                None => {
                    let (prompt, tokens) = device.tokens();
                    command = workspace.command(&program);
                    command.arg("text").args(model.paths()).args([
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

/// Builds the program that measures, and gives its path as cargo tells it.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "vitrine", "--profile", "page", "--bench", "engine"]);
    let output = cargo.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the benches could not be built");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program =
        messages.filter_map(|message: Value| Some(PathBuf::from(message["executable"].as_str()?))).next_back();
    program.context("cargo tells no program of the benches")
}
