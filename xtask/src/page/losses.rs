//! The GPU's process crashes under the page's models: texts and pictures go on where they were, on the GPU again, and on the CPU once the browser gives
//! no adapter any more.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("a_story_outlives_three_crashes_of_the_gpu", story).on(Gpu::SwiftShader),
    Test::new("several_texts_outlive_a_crash_of_the_gpu", several).on(Gpu::SwiftShader),
    Test::new("a_contrastive_search_outlives_a_crash_of_the_gpu", contrastive).on(Gpu::SwiftShader),
    Test::new("a_text_and_its_draft_model_outlive_a_crash_of_the_gpu", drafted).on(Gpu::SwiftShader),
    Test::new("a_picture_outlives_a_crash_of_the_gpu", picture).on(Gpu::SwiftShader),
    Test::new("the_page_tells_of_a_crash_once_and_writes_on", page).on(Gpu::SwiftShader),
];

/// Crashes the GPU's process once so many tokens or steps are there.
fn crash(visit: &Visit, behind: usize) -> Result<()> {
    visit.session.wait_for_with("seen.done >= arguments[0] || seen.error", &json!(behind), 120)?;
    visit.session.devtools("Browser.crashGpuProcess", json!({}))?;
    Ok(())
}

fn result(visit: &Visit) -> Result<Value> {
    visit.session.wait_for("seen.result || seen.error", 240)?;
    let seen = visit.session.run("return seen", &[])?;
    ensure_that!(seen["error"].is_null(), "{seen}");
    Ok(seen["result"].clone())
}

fn story(visit: &Visit) -> Result<()> {
    visit.blank()?;
    visit.call(script!("losses.js", tells), nothing())?;
    for behind in [4, 30, 60] {
        crash(visit, behind)?;
    }
    let seen = result(visit)?;
    ensure_that!(seen["text"] == seen["expected"], "the story is {}", seen["text"]);
    ensure_that!(seen["finishReason"] == "length" && seen["generatedTokens"] == 120, "{seen}");
    // How many crashes a browser forgives is its own affair: this one gives no adapter behind the second or the third.
    let told = seen["told"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(told.first() == Some(&json!("webgpu")) && told.last() == Some(&json!("cpu")), "{seen}");
    ensure_that!(seen["device"] == "cpu" && seen["info"] == "cpu" && seen["again"] != "", "{seen}");
    Ok(())
}

/// The texts of a way, whose GPU crashes behind so many tokens: they are what they are without it, before and behind.
fn outlived(visit: &Visit, way: &str, behind: usize) -> Result<Value> {
    visit.blank()?;
    visit.call(script!("losses.js", otherWays), json!(way))?;
    crash(visit, behind)?;
    let seen = result(visit)?;
    ensure_that!(seen["broken"] == seen["whole"] && seen["again"] == seen["whole"], "{seen}");
    ensure_that!(seen["told"] == json!(["webgpu"]), "{seen}");
    Ok(seen)
}

fn several(visit: &Visit) -> Result<()> {
    let seen = outlived(visit, "several", 20)?;
    ensure_that!(seen["whole"].as_array().is_some_and(|texts| texts.len() == 4), "{seen}");
    Ok(())
}

fn contrastive(visit: &Visit) -> Result<()> {
    outlived(visit, "contrastive", 6).map(|_| ())
}

fn drafted(visit: &Visit) -> Result<()> {
    let seen = outlived(visit, "draft", 12)?;
    let counts = seen["drafted"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(counts.len() == 2 && counts.iter().all(|count| *count != 0), "nothing was guessed: {counts:?}");
    Ok(())
}

fn picture(visit: &Visit) -> Result<()> {
    visit.blank()?;
    visit.call(script!("losses.js", paints), nothing())?;
    crash(visit, 2)?;
    let seen = result(visit)?;
    ensure_that!(seen["steps"] == json!([1, 2, 3, 4, 5, 6]) && seen["off"] == 0, "{seen}");
    ensure_that!(seen["told"] == json!(["webgpu"]) && seen["device"] == "webgpu", "{seen}");
    Ok(())
}

fn page(visit: &Visit) -> Result<()> {
    visit.open("?device=webgpu")?;
    let session = visit.session;
    session.type_into("#prompt", "Once upon a time there was a fox")?;
    session.click("#write")?;
    session.wait_for("document.querySelector('#story').innerText.length > 60", 60)?;
    let before = session.text("#story")?;
    session.devtools("Browser.crashGpuProcess", json!({}))?;
    session.wait_for("!document.querySelector('#error').hidden", 60)?;
    let told = session.text("#error")?;
    ensure_that!(told.contains("The graphics processor went away") && told.contains("nothing is lost"), "{told}");
    session.click("#error-close")?;
    session.wait_for("document.body.dataset.state === 'ready'", 120)?;
    let after = session.text("#story")?;
    ensure_that!(after.starts_with(&before) && after.len() > before.len(), "{before:?} became {after:?}");
    let again = session.run("return !document.querySelector('#error').hidden", &[])?;
    ensure_that!(again == false, "it says so again: {}", session.text("#error")?);
    ensure_that!(session.text("#device")?.starts_with("WebGPU"), "{} computes", session.text("#device")?);
    Ok(())
}
