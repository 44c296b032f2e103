//! How tokens are chosen, as a developer asks for it: filters, bans, traces, beams, several texts at once, contrastive search, and all of them
//! side by side.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, script};
use crate::browser::{Gpu, Script};

pub const TESTS: &[Test] = &[
    Test::new("every_sampling_option_holds_in_the_page_on_the_cpu", |visit| sampling(visit, "cpu")),
    Test::new("every_sampling_option_holds_in_the_page_on_webgpu", |visit| sampling(visit, "webgpu"))
        .on(Gpu::SwiftShader),
    Test::new("a_draft_model_guesses_and_the_text_is_the_same_on_the_cpu", |visit| drafts(visit, "cpu")),
    Test::new("a_draft_model_guesses_and_the_text_is_the_same_on_webgpu", |visit| drafts(visit, "webgpu"))
        .on(Gpu::SwiftShader),
    Test::new("beams_write_the_likeliest_text_on_the_cpu", |visit| beams(visit, "cpu")),
    Test::new("beams_write_the_likeliest_text_on_webgpu", |visit| beams(visit, "webgpu")).on(Gpu::SwiftShader),
    Test::new("several_texts_are_written_at_once_on_the_cpu", |visit| samples(visit, "cpu")),
    Test::new("several_texts_are_written_at_once_on_webgpu", |visit| samples(visit, "webgpu")).on(Gpu::SwiftShader),
    Test::new("strategies_stand_side_by_side_on_the_cpu", |visit| compared(visit, "cpu")),
    Test::new("strategies_stand_side_by_side_on_webgpu", |visit| compared(visit, "webgpu")).on(Gpu::SwiftShader),
];

fn sampling(visit: &Visit, device: &str) -> Result<()> {
    held(visit, device, script!("sampling.js", sampling), 9)
}

fn drafts(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sampling.js", drafts), json!(device))?;
    for (what, holds) in seen.as_object().into_iter().flatten() {
        ensure_that!(*holds == true, "on {device} {what} does not hold: {seen}");
    }
    ensure_that!(seen.as_object().is_some_and(|all| all.len() == 8), "{seen}");
    Ok(())
}

fn beams(visit: &Visit, device: &str) -> Result<()> {
    held(visit, device, script!("sampling.js", beams), 6)
}

fn samples(visit: &Visit, device: &str) -> Result<()> {
    held(visit, device, script!("sampling.js", samples), 14)
}

fn compared(visit: &Visit, device: &str) -> Result<()> {
    held(visit, device, script!("sampling.js", compared), 12)
}

/// Every sentence that a script tells of holds, and there are so many.
fn held(visit: &Visit, device: &str, script: Script, sentences: usize) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script, json!(device))?;
    for (what, holds) in seen.as_object().into_iter().flatten() {
        ensure_that!(*holds == true, "on {device} {what} does not hold: {seen}");
    }
    ensure_that!(seen.as_object().is_some_and(|all| all.len() == sentences), "{seen}");
    Ok(())
}
