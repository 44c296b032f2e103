//! The peers' harness (`../shared/peers`, node) with our jobs among theirs: same files, same prompts, same Chromium, the jobs
//! of all interleaved. It is copied under the target directory, and its packages come from npm.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Measurement, Options, median, models::Model};
use crate::{
    browser::{Browser, Engine},
    build::Site,
    workspace::{self, Workspace, find_program},
};

pub fn measure(workspace: &Workspace, site: &Site, models: &[Model], options: &Options) -> Result<Vec<Measurement>> {
    let npm = find_program(&["npm"]).context("the peers come from npm: install Node.js 20 or later")?;
    let chromium = Browser::ensure(Engine::Chromium, workspace)?;
    let source = workspace.root.join("../shared/peers/web");
    if !source.is_dir() {
        bail!("the peers' harness is expected in ../shared/peers");
    }
    let folder = workspace.target.join("peers");
    let web = folder.join("web");
    copy(&source, &web)?;
    fs::copy(workspace.root.join("bench/peer-jobs.mjs"), web.join("peer-jobs.mjs"))?;
    // No package's own install script is needed: what runs here runs in the browser.
    let mut install = Command::new(npm);
    install.current_dir(&web).args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    workspace::run(&mut install)?;
    link_models(&folder, models, options.models.as_deref())?;
    let results = folder.join("results.jsonl");
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut bench = Command::new(find_program(&["node"]).context("Node.js is not installed")?);
    bench.current_dir(&web).arg("bench.mjs").arg("--out").arg(&results).args(["--jobs", "./peer-jobs.mjs"]);
    bench
        .args(["--rounds", &options.rounds.to_string(), "--only", &options.only])
        .arg("--chromium")
        .arg(&chromium.program);
    bench.arg("--root").arg(format!("/vitrine/={}", site.dist.display()));
    bench.arg("--root").arg(format!("/bench/={}", workspace.root.join("bench").display()));
    workspace::run(bench.stdin(Stdio::null()))?;
    read(&results)
}

/// A line of JSON for each peer and model: how many times the time of Vitrine it takes for the same work.
pub fn print_ratios(measurements: &[Measurement]) {
    println!();
    for ours in measurements.iter().filter(|each| each.place == "vitrine") {
        let same =
            |each: &&Measurement| each.place != ours.place && each.model == ours.model && each.device == ours.device;
        for peer in measurements.iter().filter(same) {
            let times = |time: fn(&Measurement) -> Option<f64>| Some(time(peer)? / time(ours)?);
            let line = json!({
                "peer": peer.place, "model": peer.model, "device": peer.device,
                "times_the_processor_time": {
                    "prefill": times(|m| m.prefill_cpu_seconds),
                    "decode": times(|m| m.decode_cpu_seconds.or(m.processor_ms)),
                },
                "times_the_clock": {
                    "prefill": times(|m| m.prefill_tokens_per_second.map(f64::recip)),
                    "decode": times(|m| m.decode_tokens_per_second.map(f64::recip).or(m.denoising_step_ms).or(m.decode_ms)),
                },
            });
            println!("{line}");
        }
    }
}

/// The harness's own files; installed packages beside them stay.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == "node_modules" {
            continue;
        } else if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// `models/SHAPE/…` as the harness looks for it: hard links where the file system allows, else copies.
fn link_models(folder: &Path, models: &[Model], shapes: Option<&Path>) -> Result<()> {
    let linked = folder.join("models");
    if linked.exists() {
        fs::remove_dir_all(&linked)?;
    }
    for model in models {
        let shape = model.folder.file_name().context("a model without a folder")?.to_string_lossy();
        let folder = linked.join(&*shape);
        if model.picture.is_some() {
            // Where ../shared/peers/make_models made the same shape as ONNX.
            let theirs = if shape == "tiny-sd" { "unet" } else { &*shape };
            let onnx = shapes.map(|shapes| shapes.join(theirs)).filter(|onnx| onnx.is_dir());
            for file in onnx.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path()) {
                if file.extension().is_some_and(|extension| extension == "onnx") {
                    link(&file, &linked.join(theirs))?;
                }
            }
            for file in &model.files {
                link(&model.folder.join(file), folder.join(file).parent().unwrap_or(&folder))?;
            }
            continue;
        }
        let Some(prompts) = &model.prompts else { continue };
        for file in model.files.iter().chain([prompts]) {
            link(&model.folder.join(file), &folder)?;
        }
        // The same weights as transformers.js takes them, where ../shared/peers/make_models made them.
        let onnx = format!("{shape}-onnx");
        let from = model.folder.with_file_name(&onnx);
        if from.is_dir() && !linked.join(&onnx).exists() {
            link_all(&from, &linked.join(&onnx))?;
        }
    }
    Ok(())
}

fn link_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            link(&entry.path(), to)?;
        }
    }
    Ok(())
}

/// Puts `file` into `folder`.
fn link(file: &Path, folder: &Path) -> Result<()> {
    let link = folder.join(file.file_name().unwrap_or_default());
    if !link.exists() {
        fs::create_dir_all(folder)?;
        fs::hard_link(file, &link).or_else(|_| fs::copy(file, &link).map(drop))?;
    }
    Ok(())
}

/// All rounds of a job as one measurement.
fn read(results: &Path) -> Result<Vec<Measurement>> {
    let mut jobs: BTreeMap<(String, String, String), Vec<Value>> = BTreeMap::new();
    for line in fs::read_to_string(results).context("the harness wrote no results")?.lines() {
        let record: Value = serde_json::from_str(line)?;
        let word = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        jobs.entry((word("model"), word("mode"), word("peer"))).or_default().push(record);
    }
    let measurement = |((model, mode, peer), rounds): ((String, String, String), Vec<Value>)| {
        let all = |name: &str| {
            let values = rounds.iter().map(|round| &round["result"][name]);
            Value::Array(
                values.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])).collect(),
            )
        };
        // Processor seconds of the renderer and of the GPU process between the harness's marks, the median of all rounds.
        let processor = |mark: &str| {
            let segments = rounds.iter().flat_map(|round| round["segs"].as_array().into_iter().flatten());
            let seconds = segments.filter(|segment| segment["l"] == mark).map(|segment| {
                json!(segment["cpu"].as_f64().unwrap_or_default() + segment["gcpu"].as_f64().unwrap_or_default())
            });
            median(&Value::Array(seconds.collect()))
        };
        let figure = |name: &str| median(&all(name));
        let last = |name: &str| rounds.last().map_or(Value::Null, |round| round["result"][name].clone());
        // onnxruntime-web's page has words of its own; where it repeats nothing, its first run counts.
        let decodes =
            rounds.iter().any(|round| ["decode_ms", "run_ms"].iter().any(|name| !round["result"][name].is_null()));
        let decode_ms = figure("decode_ms").or(figure("run_ms")).or(figure("first_ms"));
        let steps = model.starts_with("unet");
        Measurement {
            place: peer,
            device: mode,
            model,
            load_ms: figure("load_ms"),
            time_to_first_token_ms: figure("ttft_ms"),
            tenth_turn_first_token_ms: figure("tenth_turn_ttft_ms"),
            short_prompt_first_token_ms: figure("short_prompt_ttft_ms"),
            prefill_tokens_per_second: figure("prefill_tps"),
            decode_tokens_per_second: figure("decode_tps"),
            held_tokens_per_second: None,
            ways: vec![],
            prefill_cpu_seconds: processor("pp"),
            decode_cpu_seconds: processor("tg"),
            denoising_step_ms: figure("step_ms").or(figure("run_ms")).filter(|_| steps),
            decode_ms: decode_ms.filter(|_| decodes && !steps),
            processor_ms: processor("run").or(processor("first")).filter(|_| decodes).map(|s| s * 1e3),
            picture_ms: None,
            dispatches_per_step: None,
            submits_per_step: None,
            dispatches_per_token: figure("dispatches_per_token"),
            submits_per_token: figure("submits_per_token"),
            waits_per_token: figure("waits_per_token"),
            device_bytes: figure("device_bytes"),
            resident_bytes: rounds
                .iter()
                .filter_map(|round| round["peak"]["renderer"].as_f64())
                .reduce(f64::max)
                .map(|mib| mib * 1048576.0),
            ms_per_token_by_part: last("parts"),
            detail: json!(rounds),
        }
    };
    Ok(jobs.into_iter().map(measurement).collect())
}
