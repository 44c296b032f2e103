//! How tokens are chosen, as a developer asks for it: filters, bans, traces, beams.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("every_sampling_option_holds_in_the_page_on_the_cpu", |visit| sampling(visit, "cpu")),
    Test::new("every_sampling_option_holds_in_the_page_on_webgpu", |visit| sampling(visit, "webgpu"))
        .on(Gpu::SwiftShader),
    Test::new("beams_write_the_likeliest_text_on_the_cpu", |visit| beams(visit, "cpu")),
    Test::new("beams_write_the_likeliest_text_on_webgpu", |visit| beams(visit, "webgpu")).on(Gpu::SwiftShader),
];

fn sampling(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sampling.js", sampling), json!(device))?;
    for (what, holds) in seen.as_object().into_iter().flatten() {
        ensure_that!(*holds == true, "on {device} {what} does not hold: {seen}");
    }
    ensure_that!(seen.as_object().is_some_and(|all| all.len() == 9), "{seen}");
    Ok(())
}

fn beams(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sampling.js", beams), json!(device))?;
    for (what, holds) in seen.as_object().into_iter().flatten() {
        ensure_that!(*holds == true, "on {device} {what} does not hold: {seen}");
    }
    ensure_that!(seen.as_object().is_some_and(|all| all.len() == 6), "{seen}");
    Ok(())
}
