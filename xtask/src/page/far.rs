//! Files of more than four gibibytes, whose middle is a hole: what lies behind it is read, and what fits nowhere is refused before it comes.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, script};

const TINY: &str = "/fixtures/tiny_llama.gguf";

pub const TESTS: &[Test] = &[
    Test::new("tensors_beyond_four_gibibytes_are_read_from_addresses_and_files", beyond),
    Test::new("tensors_of_safetensors_beyond_four_gibibytes_are_read", beyond_in_safetensors),
    Test::new("a_model_that_fits_into_no_memory_is_refused_before_it_is_fetched", too_large),
];

fn beyond(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("far.js", beyond), json!(TINY))?;
    ensure_that!(seen["plain"] != "" && seen["address"] == seen["plain"] && seen["file"] == seen["plain"], "{seen}");
    ensure_that!(seen["size"].as_u64() > Some(1 << 32), "{seen}");
    // Zeros in the place of what lies beyond would be written from otherwise.
    ensure_that!(seen["hollow"] != seen["plain"], "the hole makes no difference: {seen}");
    Ok(())
}

fn beyond_in_safetensors(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("far.js", beyondInSafetensors), json!("/fixtures/tiny_qwen3"))?;
    ensure_that!(seen["plain"] != "" && seen["file"] == seen["plain"], "{seen}");
    ensure_that!(seen["size"].as_u64() > Some(1 << 32), "{seen}");
    Ok(())
}

fn too_large(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("far.js", tooLarge), json!(TINY))?;
    ensure_that!(seen["mebibytes"].as_u64().is_some_and(|bytes| bytes > 6144), "{seen}");
    for way in ["address", "file"] {
        let said = seen[way].as_str().unwrap_or_default();
        let bytes = format!("the {} MiB", seen["mebibytes"]);
        let words = ["out-of-memory: ", &bytes, "smaller or more quantised model"];
        ensure_that!(words.iter().all(|words| said.contains(words)), "{way}: {said}");
    }
    ensure_that!(seen["loaded"].as_u64().is_some_and(|bytes| bytes < 8 << 20), "so much came: {seen}");
    ensure_that!(seen["after"] != "", "{seen}");
    Ok(())
}
