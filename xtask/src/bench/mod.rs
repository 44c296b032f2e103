//! `cargo xtask bench`: how long things take, natively and in headless Chromium, and what the module weighs; as a table for
//! people and as JSON. Nothing here passes or fails.

mod browser;
mod models;
mod native;
mod peers;
mod shapes;
mod ways;

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use self::ways::Compared;
use crate::{
    build::{self, BuildProfile},
    workspace::{Workspace, megabytes},
};

#[derive(Args)]
pub struct Options {
    /// Only on this machine's own CPU and GPU
    #[arg(long, conflicts_with = "browser")]
    native: bool,
    /// Only in headless Chromium
    #[arg(long)]
    browser: bool,
    /// A GGUF file, or a part of a name: of a model that is measured otherwise, or of a decoder that takes minutes and is measured only so
    /// (taesd-1024, vae-256, vae-512, vae-1024, tiny-sd-128, tiny-sd-512)
    #[arg(long)]
    model: Option<String>,
    /// Models beside those of the page: a folder that training/smol_shapes.py filled
    #[arg(long, env = "VITRINE_BENCH_MODELS")]
    models: Option<PathBuf>,
    /// Only on this device
    #[arg(long, value_enum)]
    device: Option<Device>,
    /// Times that each generation is repeated; the median counts
    #[arg(long, default_value_t = 3)]
    reps: u32,
    /// In the browser, the GGUF file of a model that guesses for another of the same tokens; without it a model guesses for itself, which
    /// shows what guessing costs
    #[arg(long, conflicts_with_all = ["native", "against"])]
    draft: Option<PathBuf>,
    /// Measure the peers too, on the same files in the same Chromium
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// Rounds of the peers' harness, and a pattern over its jobs
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    #[arg(long, default_value = "(t1|webgpu)$")]
    only: String,
    /// Where the JSON goes
    #[arg(long)]
    json: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "release")]
    profile: BuildProfile,
    /// A finished site, instead of building one
    #[arg(long)]
    site: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    Cpu,
    Webgpu,
}

impl Device {
    /// The word that `vitrine.js` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Webgpu => "webgpu",
        }
    }

    /// Tokens of the prompt, and tokens after it. A software adapter would need many minutes for more.
    pub fn tokens(self) -> (u32, u32) {
        match self {
            Self::Cpu => (256, 64),
            Self::Webgpu => (32, 8),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Against {
    Peers,
}

/// One measurement; what was not measured is null.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// `native`, `browser`, or a peer's name.
    pub place: String,
    pub device: String,
    pub model: String,
    pub load_ms: Option<f64>,
    pub time_to_first_token_ms: Option<f64>,
    /// Of the tenth turn of a conversation, and of a prompt of 30 tokens, both in turns; of models that converse, in the browser.
    pub tenth_turn_first_token_ms: Option<f64>,
    pub short_prompt_first_token_ms: Option<f64>,
    pub prefill_tokens_per_second: Option<f64>,
    pub decode_tokens_per_second: Option<f64>,
    /// The same text while it is held to a regular expression that nearly all tokens go on with.
    pub held_tokens_per_second: Option<f64>,
    /// Other ways to write beside the plain one, in the browser on the CPU.
    pub ways: Vec<Compared>,
    /// Processor time of the browser's processes for the whole prompt and for all tokens after it: beside other work it says more
    /// than the clock. Measured by the peers' harness alone.
    pub prefill_cpu_seconds: Option<f64>,
    pub decode_cpu_seconds: Option<f64>,
    /// On a GPU, by one decode step.
    pub dispatches_per_token: Option<f64>,
    pub submits_per_token: Option<f64>,
    /// Tokens that were awaited with no step queued behind them, of all tokens.
    pub waits_per_token: Option<f64>,
    /// Of a model that paints: a denoising step (both halves of the guidance), the picture of a step, and a whole painting with all previews.
    pub denoising_step_ms: Option<f64>,
    pub decode_ms: Option<f64>,
    pub picture_ms: Option<f64>,
    /// Processor time of a decode, or of a step where no decode was measured: natively of the process, among peers of the browser's processes.
    pub processor_ms: Option<f64>,
    pub dispatches_per_step: Option<f64>,
    pub submits_per_step: Option<f64>,
    /// Weights, caches and plans.
    pub device_bytes: Option<f64>,
    /// The most memory that the process held; in a browser, the page's renderer. Linux alone tells.
    pub resident_bytes: Option<f64>,
    /// `[{ part, runs, ms }]` of a decode step, the longest first; a word where the device could not tell.
    pub ms_per_token_by_part: Value,
    /// Everything else that was reported.
    pub detail: Value,
}

#[derive(Serialize)]
struct Report {
    machine: String,
    date: String,
    wasm_bytes: u64,
    wasm_brotli_bytes: u64,
    measurements: Vec<Measurement>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let site = match &options.site {
        Some(folder) => build::open(folder)?,
        None => build::build(workspace, options.profile)?,
    };
    let models = models::find(workspace, options.models.as_deref(), options.model.as_deref())?;
    let devices = options.device.map_or(vec![Device::Cpu, Device::Webgpu], |device| vec![device]);
    let mut measurements = vec![];
    if options.against == Some(Against::Peers) {
        measurements = peers::measure(workspace, &site, &models, options)?;
    } else {
        if !options.browser {
            measurements.extend(native::measure(workspace, &models, &devices, options.reps)?);
        }
        if !options.native {
            measurements.extend(browser::measure(workspace, &site, &models, &devices, options)?);
        }
    }
    let wasm = site.weigh()?;
    let report = Report {
        machine: machine(),
        date: output("date", &["-u", "+%Y-%m-%d"]),
        wasm_bytes: wasm.raw,
        wasm_brotli_bytes: wasm.brotli,
        measurements,
    };
    print_table(&report);
    print_parts(&report.measurements);
    peers::print_ratios(&report.measurements);
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
        println!("written to {}", file.display());
    }
    Ok(())
}

/// The table as the README shows it.
fn print_table(report: &Report) {
    println!("\n{}, {}", report.machine, report.date);
    println!(
        "The module: {} raw, {} after brotli.\n",
        megabytes(report.wasm_bytes),
        megabytes(report.wasm_brotli_bytes)
    );
    let cell = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
    let (pictures, texts): (Vec<_>, Vec<_>) =
        report.measurements.iter().partition(|m| m.denoising_step_ms.or(m.decode_ms).is_some());
    if !texts.is_empty() {
        println!(
            "| where | device | model | load ms | first token ms | of turn 10, of 30 tokens | prefill tokens/s | decode tokens/s | held to a form | CPU s prompt | CPU s tokens |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
    }
    for each in texts {
        println!(
            "| {} | {} | {} | {} | {} | {}, {} | {} | {} | {} | {} | {} |",
            each.place,
            each.device,
            each.model,
            cell(each.load_ms),
            cell(each.time_to_first_token_ms),
            cell(each.tenth_turn_first_token_ms),
            cell(each.short_prompt_first_token_ms),
            cell(each.prefill_tokens_per_second),
            cell(each.decode_tokens_per_second),
            cell(each.held_tokens_per_second),
            cell(each.prefill_cpu_seconds),
            cell(each.decode_cpu_seconds)
        );
    }
    print_ways(&report.measurements);
    if !pictures.is_empty() {
        println!(
            "\n| where | device | model | load ms | denoising step ms | decode ms | of processor | whole picture ms | dispatches, submits a step | device MB | resident MB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
    }
    let megabytes = |bytes: Option<f64>| bytes.map_or("–".to_owned(), |bytes| format!("{:.0}", bytes / 1e6));
    let count = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    for each in pictures {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {}, {} | {} | {} |",
            each.place,
            each.device,
            each.model,
            cell(each.load_ms),
            cell(each.denoising_step_ms),
            cell(each.decode_ms),
            cell(each.processor_ms),
            cell(each.picture_ms),
            count(each.dispatches_per_step),
            count(each.submits_per_step),
            megabytes(each.device_bytes),
            megabytes(each.resident_bytes)
        );
    }
}

/// How many times as fast as the plain way others are, by the processor's time where it is told; of the first tokens, how many times as long the
/// tenth turn's takes.
fn print_ways(measurements: &[Measurement]) {
    let mut measured = measurements.iter().filter(|each| !each.ways.is_empty()).peekable();
    if measured.peek().is_some() {
        println!(
            "\n| model | `n: 8` / one after another | look-up / none | draft / none | held / free | first token, turn 10 / 30 tokens |"
        );
        println!("|---|---|---|---|---|---|");
    }
    for each in measured {
        let ways: Vec<String> = each.ways.iter().map(Compared::told).collect();
        let turns = each.tenth_turn_first_token_ms.zip(each.short_prompt_first_token_ms);
        let turns = turns.map_or("–".to_owned(), |(tenth, short)| format!("{:.2}", tenth / short));
        println!("| {} | {} | {turns} |", each.model, ways.join(" | "));
    }
}

/// The parts that take most of a token's time, a line a measurement.
fn print_parts(measurements: &[Measurement]) {
    println!();
    for each in measurements {
        let Some(parts) = each.ms_per_token_by_part.as_array().filter(|parts| !parts.is_empty()) else { continue };
        let part = |part: &Value| {
            format!("{} {:.2}", part["part"].as_str().unwrap_or_default(), part["ms"].as_f64().unwrap_or_default())
        };
        let shown: Vec<String> = parts.iter().take(6).map(part).collect();
        println!("{} {} {}, ms a token: {}", each.place, each.device, each.model, shown.join(", "));
    }
}

/// The processor and how many of it, as Linux tells; elsewhere the system's own name.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    format!("{}, {cores} cores", model.unwrap_or_else(|| output("uname", &["-mrs"])))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The middle of some numbers.
pub fn median(values: &Value) -> Option<f64> {
    let mut numbers: Vec<f64> = values.as_array()?.iter().filter_map(Value::as_f64).collect();
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(numbers[odd / 2]),
        even => Some((numbers[even / 2 - 1] + numbers[even / 2]) / 2.0),
    }
}
