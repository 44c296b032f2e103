//! Small models of each family with PyTorch's answers beside them: `training/make_family_fixtures.py` makes them.

use std::path::PathBuf;

use candle_core::{Device, Tensor, quantized::gguf_file};
use candle_transformers::models::quantized_qwen3;
use serde_json::Value;
use vitrine::{
    ErrorCode,
    graph::DType,
    models::{LanguageModel, language::LanguageConfig},
    weights::{Recipe, Storage},
};

use super::{Running, damaged::Small, trained::goes_on_as_pytorch_does};
use crate::common::{cosine, fixture, ids_in, json};

const FAMILIES: [&str; 3] = ["qwen3", "gpt2", "gemma3"];

fn open(family: &str, safetensors: bool) -> Running {
    if safetensors {
        let part = |name: &str| fixture(&format!("tiny_{family}/{name}"));
        Running::open(&[&part("model.safetensors"), &part("config.json")])
    } else {
        Running::open(&[&fixture(&format!("tiny_{family}.gguf"))])
    }
}

#[test]
fn a_tiny_qwen3_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("qwen3", safetensors), "tiny_qwen3.json");
    }
}

#[test]
fn a_tiny_gpt2_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("gpt2", safetensors), "tiny_gpt2.json");
    }
}

#[test]
fn a_tiny_gemma3_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("gemma3", safetensors), "tiny_gemma3.json");
    }
}

/// The numbers of the file in blocks of fewer bits, made while they load, say nearly the same.
#[test]
fn every_family_of_full_numbers_is_quantised_while_it_loads() {
    for family in FAMILIES {
        let files = ["model.safetensors", "config.json"].map(|name| fixture(&format!("tiny_{family}/{name}")));
        let files = files.each_ref().map(PathBuf::as_path);
        let text = ids_in(&json(&format!("tiny_{family}.json"))["prompt_ids"]);
        let kept = Running::open(&files).score(&text).concat();
        for (storage, dtype, least) in [(Storage::Q8_0, DType::Q8_0, 0.999), (Storage::Q4_0, DType::Q4_0, 0.9)] {
            let mut model = Running::stored(&files, storage);
            let graph = model.model.decode().expect("a graph");
            // Blocks are of 32; the rows of some matrices here are no whole blocks.
            let blocks = |shape: &[usize]| matches!(shape, [_, columns] if columns.is_multiple_of(32));
            assert!(graph.weights.iter().filter(|w| blocks(&w.shape)).count() > 1, "{family}");
            for weight in &graph.weights {
                match blocks(&weight.shape) {
                    true => assert_eq!(weight.dtype, dtype, "{family}: {} {:?}", weight.name, weight.shape),
                    false => assert!(!weight.dtype.is_quantised(), "{family}: {}", weight.name),
                }
            }
            let got = cosine(&model.score(&text).concat(), &kept);
            assert!(got > least, "{family} in {dtype}: cosine {got}");
        }
    }
}

/// Windows and learned positions count from the text's beginning, however the text comes.
#[test]
fn a_prefill_in_chunks_a_token_at_a_time_and_a_score_agree_in_every_family() {
    for family in FAMILIES {
        let answers = json(&format!("tiny_{family}.json"));
        let text: Vec<u32> =
            ids_in(&answers["prompt_ids"]).into_iter().chain(ids_in(&answers["greedy"])).take(61).collect();
        let scored = open(family, false).score(&text);
        for chunk in [1, 3, 7, 16, 61] {
            let mut model = open(family, false);
            let mut end = 0;
            for ids in text.chunks(chunk) {
                end += ids.len();
                let got = cosine(&model.prefill(ids).1, &scored[end - 1]);
                assert!(got > 0.999_999, "{family} in chunks of {chunk}, row {end}: {got}");
            }
        }
    }
}

/// The text is longer than the window, so that a model that saw all of it would say other things.
#[test]
fn the_window_of_the_tiny_gemma3_matters() {
    let answers = json("tiny_gemma3.json");
    let prompt = ids_in(&answers["prompt_ids"]);
    let mut config = open("gemma3", false).model.config().clone();
    let local = config.local.as_mut().expect("sliding windows");
    assert_eq!((local.window, local.layers.iter().filter(|local| **local).count()), (12, 6));
    local.window = 256;
    let blind = Running::open(&[&fixture("tiny_gemma3.gguf")]).with_config(config).greedy(&prompt, 64);
    assert_ne!(blind, ids_in(&answers["greedy"]));
}

/// A second opinion on the same file, with products as exact as ours. Candle's Gemma 3 is none: it gates with SiLU, and its windows are
/// lost when a text goes on.
#[test]
fn a_tiny_qwen3_agrees_with_candle() {
    let device = Device::Cpu;
    let mut file = std::io::BufReader::new(std::fs::File::open(fixture("tiny_qwen3.gguf")).expect("a file"));
    let content = gguf_file::Content::read(&mut file).expect("a GGUF");
    let mut candle = quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &device).expect("a Qwen3");
    let mut model = open("qwen3", false);
    let (mut given, mut position) = (ids_in(&json("tiny_qwen3.json")["prompt_ids"]), 0);
    let (mut token, mut logits) = model.prefill(&given);
    for _ in 0..8 {
        let ids = Tensor::new(given.as_slice(), &device).and_then(|t| t.unsqueeze(0)).expect("ids");
        let theirs = candle.forward(&ids, position).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1());
        let got = cosine(&logits, &theirs.expect("logits"));
        assert!(got > 0.999_9, "at {position}: cosine {got}");
        position += given.len();
        given = vec![token];
        (token, logits) = model.decode();
    }
}

/// The tensors of a family's small file, by name and shape alone.
fn tensors(family: &str, safetensors: bool) -> Small {
    let file = open(family, safetensors).file;
    Small(file.tensors.values().map(|t| (t.name.clone(), (t.dtype, t.shape.clone()))).collect())
}

fn config_json(family: &str) -> Value {
    json(&format!("tiny_{family}/config.json"))
}

#[test]
fn a_missing_or_misshapen_weight_of_any_family_is_named() {
    for family in FAMILIES {
        for safetensors in [false, true] {
            let running = open(family, safetensors);
            let config = config_json(family).to_string();
            let find = |tensors: &Small| match safetensors {
                false => LanguageModel::from_gguf(&running.file.metadata, tensors, Storage::Keep),
                true => LanguageModel::from_hugging_face(&config, tensors, Storage::Keep),
            };
            let whole = tensors(family, safetensors);
            assert!(find(&whole).is_ok());
            // The mask that GPT-2's first files hold is read by nobody.
            for name in whole.0.keys().filter(|name| !name.ends_with("attn.bias")) {
                let mut without = whole.clone();
                without.0.remove(name);
                let mut misshapen = whole.clone();
                misshapen.0.entry(name.clone()).and_modify(|(_, shape)| *shape.last_mut().expect("a side") += 1);
                for tensors in [without, misshapen] {
                    let error = find(&tensors).expect_err(name);
                    assert_eq!(error.code(), ErrorCode::CorruptFile, "{family}: {error}");
                    assert!(error.to_string().contains(name), "{family}: {error} does not name {name}");
                }
            }
        }
    }
}

#[test]
fn gpt_2s_weights_are_found_below_their_prefix_too() {
    let plain = tensors("gpt2", true);
    let prefixed = Small(plain.0.into_iter().map(|(name, t)| (format!("transformer.{name}"), t)).collect());
    let model =
        LanguageModel::from_hugging_face(&config_json("gpt2").to_string(), &prefixed, Storage::Keep).expect("a GPT-2");
    let there = Recipe::conv_transpose("transformer.h.1.mlp.c_fc.weight", [1, 1]);
    assert_eq!(model.recipes().get("blk.1.ffn_up.weight"), Some(&there));
}

/// What a family's `config.json` with some keys changed is read as.
fn changed(family: &str, change: &str) -> vitrine::Result<LanguageConfig> {
    let mut config = config_json(family);
    let change: serde_json::Map<String, Value> = serde_json::from_str(change).expect("JSON");
    config.as_object_mut().expect("an object").extend(change);
    LanguageConfig::from_hugging_face(&config.to_string())
}

#[test]
fn gemma_3s_layers_and_bases_are_read_as_old_and_new_configurations_write_them() {
    let published = changed("gemma3", "{}").expect("a configuration");
    let local = published.local.as_ref().expect("windows");
    assert_eq!((local.window, local.base), (12, 10_000.0));
    assert_eq!(local.layers, [true, true, true, true, true, false, true]);
    let older = changed("gemma3", r#"{"layer_types": null}"#).expect("a configuration");
    assert_eq!(older, published);
    let newer = changed(
        "gemma3",
        r#"{"rope_theta": null, "rope_local_base_freq": null, "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}}}"#,
    );
    let newer = newer.expect("a configuration");
    let rotary = newer.rotary.expect("a rotary");
    assert_eq!((rotary.base, rotary.frequency_scale, newer.local.expect("windows").base), (500_000.0, 0.125, 5000.0));
    assert_eq!(changed("gemma3", r#"{"query_pre_attn_scalar": 64}"#).expect("a configuration").attention_scale, 0.125);
}

#[test]
fn what_a_family_does_not_do_here_is_refused_and_told() {
    for (family, change, part) in [
        ("gemma3", r#"{"final_logit_softcapping": 30.0}"#, "final_logit_softcapping"),
        ("gemma3", r#"{"model_type": "gemma3"}"#, "gemma3_text"),
        ("gemma3", r#"{"use_bidirectional_attention": true}"#, "embeds texts"),
        ("qwen3", r#"{"use_sliding_window": true}"#, "sliding windows"),
        ("qwen3", r#"{"hidden_act": "relu"}"#, "relu"),
        ("gpt2", r#"{"activation_function": "relu"}"#, "gelu_new"),
        ("gpt2", r#"{"scale_attn_by_inverse_layer_idx": true}"#, "scales its attention"),
    ] {
        let error = changed(family, change).expect_err(change);
        assert_eq!(error.code(), ErrorCode::UnsupportedModel, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let short = changed("gemma3", r#"{"layer_types": ["full_attention"]}"#).expect("a configuration");
    let error = LanguageModel::new(short, &tensors("gemma3", true), Storage::Keep).expect_err("one layer of seven");
    assert_eq!(error.code(), ErrorCode::CorruptFile, "{error}");
}
