//! The small models under the names that wrappers and base classes give their weights.

use std::rc::Rc;

use pollster::block_on;
use serde_json::{Map, Value};
use vitrine::{
    Error, ErrorCode,
    models::LanguageModel,
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use super::{Running, trained::goes_on_as_pytorch_does};
use crate::common::{fixture, ids_in, json};

/// A safetensors file with its tensors called otherwise; those for which `name` gives none are left out.
pub fn renamed(bytes: &[u8], name: &dyn Fn(&str) -> Option<String>) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let header: Map<String, Value> = header
        .into_iter()
        .filter_map(|(tensor, entry)| Some((if tensor == "__metadata__" { tensor } else { name(&tensor)? }, entry)))
        .collect();
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat()
}

fn open(family: &str, name: &dyn Fn(&str) -> Option<String>) -> Result<Running, Error> {
    let read = |file: &str| std::fs::read(fixture(&format!("tiny_{family}/{file}"))).unwrap();
    let weights = renamed(&read("model.safetensors"), name);
    let sources: Vec<SharedSource> = vec![
        Rc::new(MemorySource::new("model.safetensors", weights)),
        Rc::new(MemorySource::new("config.json", read("config.json"))),
    ];
    let file = block_on(WeightFile::open_parts(sources))?;
    let config = String::from_utf8_lossy(file.extra("config.json").unwrap()).into_owned();
    let model = LanguageModel::from_hugging_face(&config, &file, Storage::Keep)?;
    Ok(Running::load(file, model))
}

/// As `prefix` puts it before every name.
fn behind(prefix: &'static str) -> impl Fn(&str) -> Option<String> {
    move |name| Some(format!("{prefix}{name}"))
}

fn refusal(family: &str, name: &dyn Fn(&str) -> Option<String>) -> Error {
    open(family, name).err().expect("a refusal")
}

#[test]
fn a_model_saved_from_within_its_wrapper_is_the_model() {
    for prefix in [
        "_orig_mod.",
        "module.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "base_model.model.",
        "student.",
        "language_model.",
    ] {
        for family in ["llama", "qwen3", "gpt2", "gemma3"] {
            println!("{prefix} {family}");
            let mut model = open(family, &behind(prefix)).unwrap();
            if family == "llama" {
                goes_on_as_pytorch_does(&mut model, "tiny_llama.json");
            } else {
                let answers = json(&format!("tiny_{family}.json"));
                assert_eq!(model.greedy(&ids_in(&answers["prompt_ids"]), 16), ids_in(&answers["greedy"])[..16]);
            }
        }
    }
}

#[test]
fn layers_that_were_compiled_or_spread_one_by_one_are_the_models() {
    for wrapper in [
        "_orig_mod.",
        "_fsdp_wrapped_module.",
        "_checkpoint_wrapped_module.",
        "_fsdp_wrapped_module._checkpoint_wrapped_module.",
    ] {
        let name = |name: &str| {
            let layer = (0..9).map(|i| format!("model.layers.{i}.")).find(|layer| name.starts_with(layer));
            Some(layer.map_or(name.into(), |layer| format!("{layer}{wrapper}{}", &name[layer.len()..])))
        };
        goes_on_as_pytorch_does(&mut open("llama", &name).unwrap(), "tiny_llama.json");
    }
}

#[test]
fn a_base_model_without_the_word_before_its_names_is_the_model() {
    for (family, word) in [("llama", "model."), ("qwen3", "model."), ("gemma3", "model."), ("gpt2", "transformer.")] {
        let name = |name: &str| Some(name.strip_prefix(word).unwrap_or(name).into());
        goes_on_as_pytorch_does(&mut open(family, &name).unwrap(), &format!("tiny_{family}.json"));
        // As the language model inside a model of another kind, its head beside it or within.
        let name = |name: &str| {
            Some(name.strip_prefix(word).map_or(name.into(), |rest| format!("model.language_model.{rest}")))
        };
        goes_on_as_pytorch_does(&mut open(family, &name).unwrap(), &format!("tiny_{family}.json"));
    }
}

#[test]
fn a_file_with_several_models_names_their_prefixes() {
    let bytes = std::fs::read(fixture("tiny_llama/model.safetensors")).unwrap();
    let twice = |name: &str| if name.contains("norm") { None } else { Some(format!("teacher.{name}")) };
    let sources: Vec<SharedSource> = vec![
        Rc::new(MemorySource::new("a.safetensors", renamed(&bytes, &behind("student.")))),
        Rc::new(MemorySource::new("b.safetensors", renamed(&bytes, &twice))),
    ];
    let file = block_on(WeightFile::open_parts(sources)).unwrap();
    let config = std::fs::read_to_string(fixture("tiny_llama/config.json")).unwrap();
    let error = LanguageModel::from_hugging_face(&config, &file, Storage::Keep).expect_err("two models");
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    for prefix in ["student.model.embed_tokens", "teacher.model.embed_tokens"] {
        assert!(error.to_string().contains(prefix), "{error}");
    }
}

#[test]
fn weights_of_another_layout_are_refused_by_their_names() {
    let meta = |name: &str| {
        Some(
            name.replace("model.embed_tokens", "tok_embeddings")
                .replace("model.layers", "layers")
                .replace("model.norm", "norm"),
        )
    };
    let error = refusal("llama", &meta);
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    assert!(error.to_string().contains("layers.0.") && error.to_string().contains("save_pretrained"), "{error}");
}

#[test]
fn a_weight_that_is_missing_is_called_as_the_file_would_call_it() {
    let lacks = |name: &str| (!name.contains("layers.1.mlp.up_proj")).then(|| format!("student.{name}"));
    let error = refusal("llama", &lacks);
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("student.model.layers.1.mlp.up_proj.weight"), "{error}");
    let lacks = |name: &str| (!name.contains("embed_tokens")).then(|| name.to_owned());
    assert!(refusal("llama", &lacks).to_string().contains("no weight model.embed_tokens.weight"));
}

#[test]
fn an_adapter_that_is_not_merged_is_refused_and_not_left_out() {
    let unmerged = |name: &str| {
        let name = name
            .replace("q_proj.weight", "q_proj.base_layer.weight")
            .replace("v_proj.weight", "v_proj.lora_A.default.weight");
        Some(format!("base_model.model.{name}"))
    };
    let error = refusal("llama", &unmerged);
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    assert!(error.to_string().contains("LoRA") && error.to_string().contains("merge_and_unload"), "{error}");
}
