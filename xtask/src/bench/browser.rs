//! The site in headless Chromium, through `bench/measure.html`: a fresh browser for each measurement.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Device, Measurement, Options, median,
    models::{Model, Picture},
    ways,
};
use crate::{
    browser::{Browser, Driver, Engine, Gpu, Session},
    build::Site,
    server::{self, Routes},
    workspace::Workspace,
};

pub fn measure(
    workspace: &Workspace,
    site: &Site,
    models: &[Model],
    devices: &[Device],
    options: &Options,
) -> Result<Vec<Measurement>> {
    let chromium = Browser::ensure(Engine::Chromium, workspace)?.whole();
    let mut folders = vec![("/bench/".to_owned(), workspace.root.join("bench"))];
    for (at, model) in models.iter().enumerate() {
        folders.push((format!("/measured/{at}/"), model.folder.clone()));
    }
    let mut draft = None;
    if let Some(file) = &options.draft {
        let file = fs::canonicalize(file).with_context(|| format!("no draft model {}", file.display()))?;
        let name = file.file_name().context("a draft model is a file")?.to_string_lossy().into_owned();
        folders.push(("/draft/".to_owned(), file.parent().context("a file lies in a folder")?.to_path_buf()));
        draft = Some(json!({ "address": format!("/draft/{name}"), "name": name }));
    }
    folders.push(("/".to_owned(), site.dist.clone()));
    let server = server::start(Routes { folders, ..Routes::default() }, 0)?;
    let driver = Driver::start(&chromium)?;
    let mut measurements = vec![];
    for (at, model) in models.iter().enumerate() {
        for device in devices {
            eprintln!("  Chromium {} on {}", model.name, device.name());
            let (prompt, tokens) = device.tokens();
            let gpu = if *device == Device::Webgpu { Gpu::SwiftShader } else { Gpu::None };
            let session = Session::open(&driver, &chromium, gpu)?;
            session.goto(&format!("{}/bench/measure.html", server.address()))?;
            session.wait_for("window.ready", 30)?;
            let address = |file: &String| format!("/measured/{at}/{file}");
            let (latent, paint) = match model.picture {
                Some(Picture::Decode(latent)) => (Some(latent), None),
                Some(Picture::Paint(pixels)) => (None, Some(pixels)),
                None => (None, None),
            };
            let files: Vec<_> =
                model.files.iter().map(|file| json!({ "name": file, "address": address(file) })).collect();
            let decodes = *device == Device::Cpu && model.picture.is_none();
            let job = json!({
                "vitrine": "/vitrine.js",
                "files": files,
                "prompts": model.prompts.as_ref().map(address),
                "latent": latent,
                "paint": paint,
                "device": device.name(), "pp": prompt, "tg": tokens, "reps": options.reps,
                "decoding": decodes.then(|| json!({ "draft": draft })),
            });
            let mut result = session.run_async("return await window.runJob(args[0])", &[job])?;
            result["resident_bytes"] = json!(renderer_bytes(driver.process()));
            let mut measured = measurement("browser", *device, &model.name, result);
            if session.run("return 'ways' in window", &[])? == true {
                let processor = || processor_seconds(driver.process());
                measured.ways = ways::compare(&session, options.reps, processor)?;
            }
            measurements.push(measured);
        }
    }
    Ok(measurements)
}

/// The most memory that a renderer of this driver's browser has held, as Linux tells it.
fn renderer_bytes(driver: u32) -> Option<u64> {
    renderers(driver).into_iter().filter_map(|pid| figure(pid, "VmHWM:")).max().map(|kib| kib * 1024)
}

/// The seconds of a processor that the threads of this driver's renderers have taken, as Linux tells them.
fn processor_seconds(driver: u32) -> Option<f64> {
    let threads = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let taken = |thread: fs::DirEntry| -> Option<f64> {
        let nanoseconds = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some(nanoseconds.split(' ').next()?.parse::<f64>().ok()? / 1e9)
    };
    renderers(driver).into_iter().flat_map(threads).filter_map(taken).reduce(|all, one| all + one)
}

/// A file that Linux has of each process.
fn text(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

fn figure(pid: u32, name: &str) -> Option<u64> {
    let status = text(pid, "status");
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The renderers of this driver's browser.
fn renderers(driver: u32) -> Vec<u32> {
    let numbered = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(numbered);
    let is_renderer = |pid: &u32| {
        let mut above = Some(*pid);
        while let Some(parent) = above.filter(|pid| *pid > 1 && *pid != driver) {
            above = figure(parent, "PPid:").and_then(|pid| u32::try_from(pid).ok());
        }
        above == Some(driver) && text(*pid, "cmdline").contains("--type=renderer")
    };
    processes.filter(is_renderer).collect()
}

/// A result in the words of `bench/measure.html`, as a measurement.
pub fn measurement(place: &str, device: Device, model: &str, result: Value) -> Measurement {
    Measurement {
        place: place.to_owned(),
        device: device.name().to_owned(),
        model: model.to_owned(),
        load_ms: result["load_ms"].as_f64(),
        time_to_first_token_ms: median(&result["ttft_ms"]),
        tenth_turn_first_token_ms: median(&result["tenth_turn_ttft_ms"]),
        short_prompt_first_token_ms: median(&result["short_prompt_ttft_ms"]),
        prefill_tokens_per_second: median(&result["prefill_tps"]),
        decode_tokens_per_second: median(&result["decode_tps"]),
        held_tokens_per_second: median(&result["held_tps"]),
        ways: vec![],
        prefill_cpu_seconds: None,
        decode_cpu_seconds: None,
        dispatches_per_token: result["dispatches_per_token"].as_f64(),
        submits_per_token: result["submits_per_token"].as_f64(),
        waits_per_token: result["waits_per_token"].as_f64(),
        denoising_step_ms: median(&result["step_ms"]),
        decode_ms: median(&result["decode_ms"]),
        processor_ms: median(&result["decode_cpu_ms"]).or(median(&result["step_cpu_ms"])),
        picture_ms: median(&result["picture_ms"]),
        dispatches_per_step: result["dispatches_per_step"].as_f64(),
        submits_per_step: result["submits_per_step"].as_f64(),
        device_bytes: result["device_bytes"].as_f64(),
        resident_bytes: result["resident_bytes"].as_f64(),
        ms_per_token_by_part: result["parts"].clone(),
        detail: result,
    }
}
