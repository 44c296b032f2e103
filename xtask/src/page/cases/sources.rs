//! Which files belong to a model, from servers as they are.

use anyhow::Result;
use serde_json::json;

use super::super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("the_first_part_of_a_gguf_brings_the_others_along", parts).with_case("08-gguf-in-parts"),
    Test::new("a_folder_with_stray_weights_is_the_model_that_its_index_names", strays)
        .with_case("09-stray-weights")
        .expecting(&["404"]),
    Test::new("a_pointer_of_git_lfs_is_told_and_not_kept", pointer).with_case("28-lfs-pointer"),
];

fn parts(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sources.js", parts), nothing())?;
    ensure_that!(seen["texts"] == json!(["helo", "helo", "helo", "helo"]), "the texts are {}", seen["texts"]);
    ensure_that!(seen["chosen"] == json!(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]), "{}", seen["chosen"]);
    ensure_that!(seen["alone"].to_string().contains("m-00002-of-00002.gguf is missing"), "{}", seen["alone"]);
    Ok(())
}

fn strays(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sources.js", strays), nothing())?;
    let texts = seen["texts"].as_array().cloned().unwrap_or_default();
    ensure_that!(texts.len() == 4 && texts.iter().all(|text| *text == texts[0]), "the texts are {texts:?}");
    let chosen = json!([
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json"
    ]);
    ensure_that!(seen["chosen"] == chosen, "the files are {}", seen["chosen"]);
    for said in [&seen["missing"][0], &seen["missing"][1]] {
        ensure_that!(said.to_string().contains("model-00002-of-00002.safetensors is missing"), "{said}");
    }
    let adapter = seen["adapter"].to_string();
    ensure_that!(adapter.contains("unsupported-model") && adapter.contains("adapter_model.safetensors"), "{adapter}");
    Ok(())
}

fn pointer(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("sources.js", pointer), nothing())?;
    for said in [&seen["said"][0], &seen["said"][1]] {
        let said = said.to_string();
        for words in ["corrupt-file", "Git LFS pointer", "git lfs pull", "resolve/main"] {
            ensure_that!(said.contains(words), "{said} does not say {words}");
        }
    }
    ensure_that!(seen["kept"] == json!([]), "it is kept: {}", seen["kept"]);
    Ok(())
}
