//! The crate on this machine, through `examples/bench.rs` and `examples/decode.rs`: one process a measurement, so that no run warms up another.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Device, Measurement, models::Model};
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
    ]))?;
    let program = |name: &str| {
        workspace.target.join("page").join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    };
    let mut measurements = vec![];
    for model in models {
        for device in devices {
            let mut command;
            if let Some(side) = model.latent {
                command = workspace.command(program("decode"));
                command.args([device.name(), &side.to_string(), &reps.to_string()]).args(&model.files);
            } else {
                let (prompt, tokens) = device.tokens();
                command = workspace.command(program("bench"));
                command.args(&model.files).args([
                    device.name(),
                    &prompt.to_string(),
                    &tokens.to_string(),
                    &reps.to_string(),
                ]);
                command.args(&model.prompts);
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
