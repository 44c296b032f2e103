//! Each kind of model, a tokenizer and an engine are freed by one verb, and asked for ids by one.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[Test::new("each_kind_is_freed_by_close_and_asked_for_ids_by_tokenize", each_kind)];

fn each_kind(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("freeing.js", freeing), nothing())?;
    ensure_that!(seen["same"] == true, "a model's ids are not its tokenizer's: {seen}");
    ensure_that!(seen["texts"][0] == seen["texts"][1], "{seen}");
    ensure_that!(seen["texts"][0].as_str().is_some_and(|text| text.trim() == "a fox"), "{seen}");
    let (shown, hidden) = (seen["texts"][2].as_str().unwrap_or_default(), seen["hidden"].as_str().unwrap_or_default());
    ensure_that!(shown.contains("[CLS]") && !hidden.contains("[CLS]") && shown.contains(hidden.trim()), "{seen}");
    ensure_that!(seen["closed"] == json!(["closed", "closed", "closed", "closed", "closed", "closed"]), "{seen}");
    Ok(())
}
