//! Measures one model on one device of this machine and prints a line of JSON; `cargo xtask bench` runs it.
//!
//! ```text
//! text MODEL.gguf cpu|webgpu PROMPT_TOKENS TOKENS REPETITIONS [PROMPTS.json]
//! ```
//!
//! A model that paints is asked for a picture instead, so many times.

use std::{error::Error, fs, rc::Rc, time::Instant};

use serde_json::{Value, json};
use vitrine::{
    backend::{Device, cpu, gpu},
    cancel::Cancel,
    image::{ImageModel, ImageRequest},
    text::{Constraint, EncodeOptions, GenerateOptions, LoadOptions, TextModel},
    weights::{PathSource, Storage, WeightFile},
};

/// Tokens that prompt look-up guesses at most.
const LOOKUP: usize = 8;

/// What a text is held to: nearly all tokens go on with it, and none must come.
const FORM: &str = "[^\"\\\\]+";

/// Behind this number every vocabulary has tokens that are words, or pieces of them.
const OTHERS: u32 = 300;

/// What one generation took, in milliseconds.
struct Run {
    first: f64,
    decode: f64,
    count: usize,
}

pub async fn measure(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [file, device, prompt, tokens, repetitions, prompts @ ..] = arguments else {
        return Err("usage: text MODEL.gguf cpu|webgpu PROMPT_TOKENS TOKENS REPETITIONS [PROMPTS.json]".into());
    };
    let (prompt, tokens, repetitions) =
        (prompt.parse::<usize>()?, tokens.parse::<usize>()?, repetitions.parse::<usize>()?);
    let prompts: Value = prompts
        .first()
        .map_or(Ok(Value::Null), |file| serde_json::from_slice(&fs::read(file)?).map_err(Box::<dyn Error>::from))?;
    let device = match device.as_str() {
        "webgpu" => Device::Gpu(gpu::Device::open(gpu::Preference::Any).await?),
        _ => Device::Cpu(cpu::Device::new("the benchmark asks for it")),
    };
    let begun = Instant::now();
    let weights = WeightFile::open(Rc::new(PathSource::open(file)?)).await?;
    if ImageModel::is_one(&weights) {
        return paint(&weights, &device, repetitions).await;
    }
    let model = TextModel::load(&weights, &device, LoadOptions::default(), &mut |_, _| {}, &Cancel::new()).await?;
    let load = milliseconds(begun);
    let plain = GenerateOptions::greedy;
    let guessing = |tokens| GenerateOptions { prompt_lookup: LOOKUP, ..GenerateOptions::greedy(tokens) };
    let constraint = Constraint { regex: Some(FORM.into()), ..Constraint::default() };
    let held = |tokens| GenerateOptions { constraint: Some(constraint.clone()), ..GenerateOptions::greedy(tokens) };
    let warm = generate(&model, &ids(&model, &prompts, 16)?, plain(4)).await?;
    let mut ids = ids(&model, &prompts, prompt)?;
    let (mut runs, mut guessed, mut formed) = (vec![], vec![], vec![]);
    for run in 0..repetitions {
        // Another second token each time: the model keeps the texts before, and would go on from them.
        if let (Some(second), Ok(run)) = (ids.get_mut(1), u32::try_from(run)) {
            *second = OTHERS + run;
        }
        runs.push(generate(&model, &ids, plain(tokens)).await?);
        // The same text once more, in turns. A prompt that repeats itself is what it is for.
        if model.info().context_length.is_some() && !model.info().encoder_decoder {
            guessed.push(generate(&model, &ids, guessing(tokens)).await?);
        }
        formed.push(generate(&model, &ids, held(tokens)).await?);
    }
    let stats = model.stats();
    let parts = model.profile(4, &Cancel::new()).await;
    let all = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let result = json!({
        "device": device.info(),
        "load_ms": load,
        "first_ms": warm.first + warm.decode,
        "ttft_ms": all(|run| run.first),
        "prefill_tps": runs.iter().map(|run| prompt as f64 / run.first * 1e3).collect::<Vec<f64>>(),
        "decode_tps": all(|run| (run.count - 1) as f64 / run.decode * 1e3),
        "lookup_tps": guessed.iter().map(|run| (run.count - 1) as f64 / run.decode * 1e3).collect::<Vec<f64>>(),
        "held_tps": formed.iter().map(|run| (run.count - 1) as f64 / run.decode * 1e3).collect::<Vec<f64>>(),
        "n": runs.iter().map(|run| run.count).collect::<Vec<usize>>(),
        "dispatches_per_token": stats.decode.dispatches,
        "submits_per_token": stats.decode.submits,
        "waits_per_token": stats.generation.waits as f64 / stats.generation.generated_tokens.max(1) as f64,
        "device_bytes": stats.device_bytes,
        "parts": parts.map_or_else(|error| json!(error.code().as_str()), |parts| json!(parts)),
    });
    println!("{result}");
    Ok(())
}

/// Every step of some paintings, after one that warms up.
async fn paint(file: &WeightFile, device: &Device, repetitions: usize) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let model = ImageModel::load(file, device, Storage::Keep, &mut |_, _| {}, &Cancel::new()).await?;
    let load = milliseconds(begun);
    let (mut steps, mut decodes, mut wholes) = (vec![], vec![], vec![]);
    for run in 0..=repetitions {
        let request = ImageRequest { prompt: "a fox in the snow".into(), seed: Some(7.0), ..ImageRequest::default() };
        let options = request.check(model.info(), None, None)?;
        let mut painting = model.paint(options, Cancel::new())?;
        while let Some(step) = painting.next().await? {
            if run > 0 {
                steps.push(step.step_ms);
                decodes.push(step.decode_ms);
            }
        }
        if run > 0 {
            wholes.push(painting.summary().total_ms);
        }
    }
    let stats = model.stats();
    let result = json!({
        "device": device.info(),
        "load_ms": load,
        "step_ms": steps,
        "decode_ms": decodes,
        "picture_ms": wholes,
        "dispatches_per_step": stats.denoise.dispatches,
        "submits_per_step": stats.denoise.submits,
        "device_bytes": stats.device_bytes,
    });
    println!("{result}");
    Ok(())
}

/// A prompt of exactly so many tokens: the file's own, else a text over and over.
fn ids(model: &TextModel, prompts: &Value, count: usize) -> Result<Vec<u32>, Box<dyn Error>> {
    if let Some(ids) = prompts[count.to_string()]["ids"].as_array() {
        return Ok(ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect());
    }
    let text = "Once upon a time there was a little fox who lived by the sea. ".repeat(count);
    let mut ids = model.tokenizer().encode(&text, EncodeOptions { add_special: true, parse_special: false })?;
    ids.truncate(count);
    Ok(ids)
}

async fn generate(model: &TextModel, ids: &[u32], options: GenerateOptions) -> Result<Run, Box<dyn Error>> {
    let begun = Instant::now();
    let mut generation = model.generate_ids(ids, options, Cancel::new())?;
    let (mut first, mut last, mut count) = (0.0, 0.0, 0);
    while let Some(event) = generation.next().await? {
        if event.token.is_none() {
            continue;
        }
        last = milliseconds(begun);
        if count == 0 {
            first = last;
        }
        count += 1;
    }
    Ok(Run { first, decode: last - first, count })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
