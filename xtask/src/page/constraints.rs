//! Texts that are held to a schema, a regular expression, a grammar or a choice, as a developer asks for it.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("a_text_is_what_it_is_held_to_on_the_cpu", |visit| forms(visit, "cpu")),
    Test::new("a_text_is_what_it_is_held_to_on_webgpu", |visit| forms(visit, "webgpu")).on(Gpu::SwiftShader),
    Test::new("what_holds_texts_is_fetched_when_it_is_first_asked_for", fetched_on_demand)
        .everywhere()
        .expecting(&["/nowhere/constraints_bg.wasm"]),
];

fn forms(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("constraints.js", forms), json!(device))?;
    for (what, holds) in seen.as_object().into_iter().flatten() {
        ensure_that!(*holds == true, "on {device} {what} does not hold: {seen}");
    }
    ensure_that!(seen.as_object().is_some_and(|all| all.len() == 14), "{seen}");
    Ok(())
}

fn fetched_on_demand(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("constraints.js", onDemand), nothing())?;
    ensure_that!(seen["held"] == "yes" || seen["held"] == "no", "{seen}");
    ensure_that!(seen["before"].as_str().is_some_and(|text| !text.is_empty()), "{seen}");
    let lost = seen["lost"].as_str().unwrap_or_default();
    ensure_that!(lost.starts_with("network: What holds a text to a form could not be started"), "{seen}");
    ensure_that!(seen["before"] == seen["after"], "without it another text is written: {seen}");
    Ok(())
}
