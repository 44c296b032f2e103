//! What a reader's own graphics processor gets, run on Chromium's software adapter, which is taken for hardware: kernels with subgroups and
//! without, a browser that refuses them, and the words in an address that bring all this about.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("the_kernels_of_hardware_tell_the_cpus_story", story).on(Gpu::SwiftShader),
    Test::new("the_kernels_of_hardware_paint_the_cpus_picture", picture).on(Gpu::SwiftShader),
    Test::new("a_browser_that_refuses_subgroups_gets_kernels_without_them", without_subgroups).on(Gpu::SwiftShader),
    Test::new("a_browser_that_refuses_every_kernel_leaves_the_work_to_the_cpu", refused).on(Gpu::SwiftShader),
    Test::new("what_an_adapter_is_taken_for_is_asked_for_in_known_words", words).on(Gpu::SwiftShader),
];

fn opened_as_hardware(visit: &Visit, page: &str) -> Result<()> {
    visit.open(&format!("{page}?device=webgpu&as=hardware"))?;
    let reason = visit.session.text("#device-reason")?;
    ensure_that!(reason.contains("taken for hardware"), "the page says {reason:?}");
    Ok(())
}

fn story(visit: &Visit) -> Result<()> {
    opened_as_hardware(visit, "")?;
    let told = visit.call(script!("hardware.js", story), nothing())?;
    let (by_cpu, by_gpu) = (&told[0], &told[1]);
    ensure_that!(by_gpu["device"]["kind"] == "webgpu" && by_gpu["device"]["subgroups"] == true, "{}", by_gpu["device"]);
    ensure_that!(by_cpu["tokens"].as_array().is_some_and(|tokens| tokens.len() >= 40), "the CPU told {by_cpu}");
    ensure_that!(by_cpu["tokens"] == by_gpu["tokens"], "the CPU told {by_cpu}, and WebGPU {by_gpu}");
    Ok(())
}

fn picture(visit: &Visit) -> Result<()> {
    opened_as_hardware(visit, "paint.html")?;
    let painted = visit.call(script!("hardware.js", picture), nothing())?;
    println!("    {painted}");
    ensure_that!(painted["spread"].as_f64().is_some_and(|spread| spread > 40.0), "the picture is flat: {painted}");
    ensure_that!(painted["psnr"].as_f64().is_some_and(|psnr| psnr >= 60.0), "not the CPU's picture: {painted}");
    Ok(())
}

/// A small Llama's tokens by the CPU and by an engine that is opened with `options`, and the device that the engine had in the end. The worker's
/// compiler refuses what holds these words: pipelines by their label where `pipelines`, else shaders by their code.
fn told(visit: &Visit, words: &str, pipelines: bool, options: &Value) -> Result<Value> {
    visit.blank()?;
    let refusal = json!({ "words": words, "pipelines": pipelines });
    visit.call(script!("hardware.js", refusing), json!({ "refusal": refusal, "options": options }))
}

fn without_subgroups(visit: &Visit) -> Result<()> {
    for (refuses, pipelines) in [("enable subgroups", false), (" SUBGROUPS", true)] {
        let told = told(visit, refuses, pipelines, &json!({ "device": "webgpu", "as": "hardware" }))?;
        ensure_that!(told["before"]["subgroups"] == true, "the device has no subgroups to begin with: {told}");
        let device = &told["after"];
        ensure_that!(device["kind"] == "webgpu" && device["subgroups"] == false, "{refuses}: {told}");
        ensure_that!(device == &told["engine"]["device"], "the model and the engine disagree: {told}");
        let reason = device["reason"].as_str().unwrap_or_default();
        ensure_that!(reason.contains("without subgroups") && reason.contains("refuses a kernel"), "it says {reason:?}");
        ensure_that!(told["cpu"]["tokens"] == told["engine"]["tokens"], "{refuses}: {told}");
    }
    Ok(())
}

fn refused(visit: &Visit) -> Result<()> {
    for (refuses, pipelines) in [("", false), ("sample", true)] {
        let told = told(visit, refuses, pipelines, &json!({ "device": "auto", "as": "hardware" }))?;
        ensure_that!(told["before"]["kind"] == "webgpu", "it did not begin with WebGPU: {told}");
        ensure_that!(told["after"]["kind"] == "cpu" && told["engine"]["device"]["kind"] == "cpu", "{refuses}: {told}");
        let reason = told["after"]["reason"].as_str().unwrap_or_default();
        ensure_that!(reason.contains("refuses a kernel"), "the reason is {reason:?}");
        ensure_that!(told["cpu"]["tokens"] == told["engine"]["tokens"], "{refuses}: {told}");
    }
    // Who insists is told.
    visit.blank()?;
    let code = visit.call(script!("hardware.js", insisting), nothing())?;
    let said = code.as_str().unwrap_or_default();
    ensure_that!(said.starts_with("device-faulty: ") && said.contains("use the CPU"), "it says {said:?}");
    Ok(())
}

fn words(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let codes = visit.call(script!("hardware.js", words), nothing())?;
    for said in super::strings(&codes) {
        ensure_that!(said.starts_with("bad-argument: ") && said.len() > 40, "it says {said:?}");
    }
    let devices = visit.call(script!("hardware.js", devices), nothing())?;
    let kinds = |at: usize| (devices[at]["kind"].clone(), devices[at]["subgroups"].clone());
    ensure_that!(kinds(0) == (json!("webgpu"), json!(true)), "{devices}");
    ensure_that!(kinds(1) == (json!("webgpu"), json!(false)), "{devices}");
    ensure_that!(devices[2]["kind"] == "cpu" && devices[3]["kind"] == "webgpu", "{devices}");
    ensure_that!(devices[1]["reason"].as_str().is_some_and(|why| why.contains("without subgroups")), "{devices}");
    ensure_that!(devices[1]["software"] == true, "an adapter is made of what it is made of: {devices}");

    visit.open("?device=cpu&subgroups=maybe")?;
    let reason = visit.session.text("#device-reason")?;
    ensure_that!(reason.contains("?subgroups=maybe means nothing"), "the page says {reason:?}");
    Ok(())
}
