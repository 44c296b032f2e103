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
    build::Site,
    system,
    workspace::{self, Workspace, find_program},
};

pub fn measure(workspace: &Workspace, site: &Site, models: &[Model], options: &Options) -> Result<Vec<Measurement>> {
    let npm = find_program(&["npm"]).context("the peers come from npm: install Node.js 20 or later")?;
    let chromium = system::ensure_chromium()?;
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
    link_models(&folder, models)?;
    let results = folder.join("results.jsonl");
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut bench = Command::new(find_program(&["node"]).context("Node.js is not installed")?);
    bench.current_dir(&web).arg("bench.mjs").arg("--out").arg(&results).args(["--jobs", "./peer-jobs.mjs"]);
    bench
        .args(["--rounds", &options.rounds.to_string(), "--only", &options.only])
        .arg("--chromium")
        .arg(&chromium.browser);
    bench.arg("--root").arg(format!("/vitrine/={}", site.dist.display()));
    bench.arg("--root").arg(format!("/bench/={}", workspace.root.join("bench").display()));
    workspace::run(bench.stdin(Stdio::null()))?;
    read(&results)
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
fn link_models(folder: &Path, models: &[Model]) -> Result<()> {
    for model in models {
        let Some(prompts) = &model.prompts else { continue };
        let shape = model.file.parent().and_then(Path::file_name).context("a model without a folder")?;
        let target = folder.join("models").join(shape);
        fs::create_dir_all(&target)?;
        for file in [&model.file, prompts] {
            let link = target.join(file.file_name().unwrap_or_default());
            if link.exists() {
                fs::remove_file(&link)?;
            }
            fs::hard_link(file, &link).or_else(|_| fs::copy(file, &link).map(drop))?;
        }
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
        Measurement {
            place: peer,
            device: mode,
            model,
            load_ms: median(&all("load_ms")),
            time_to_first_token_ms: median(&all("ttft_ms")),
            prefill_tokens_per_second: median(&all("prefill_tps")),
            decode_tokens_per_second: median(&all("decode_tps")),
            detail: json!(rounds),
        }
    };
    Ok(jobs.into_iter().map(measurement).collect())
}
