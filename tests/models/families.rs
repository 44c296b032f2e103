//! Small models of each family with PyTorch's answers beside them: `training/make_family_fixtures.py` makes them.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{Device, Tensor, quantized::gguf_file};
use candle_transformers::models::quantized_qwen3;
use serde_json::Value;
use vitrine::{
    ErrorCode,
    graph::DType,
    models::{LanguageModel, language::LanguageConfig},
    weights::{self, Metadata, Recipe, Storage},
};

use super::{Running, damaged::Small, trained::goes_on_as_pytorch_does};
use crate::common::{cosine, fixture, ids_in, json, on_cpu, proofs::RANDOM, proved};

const FAMILIES: [&str; 3] = ["qwen3", "gpt2", "gemma3"];

/// Those whose files hold no tokenizer.
const SMALL: [&str; 16] = [
    "qwen2",
    "mistral",
    "granite",
    "smollm3",
    "phi3",
    "olmo2",
    "gemma2",
    "stablelm",
    "stablelm_apart",
    "gpt_neox",
    "opt",
    "opt_behind",
    "lfm2",
    "mamba",
    "falcon_mamba",
    "rwkv7",
];

/// Both formats that a family comes in; llama.cpp has no OPT.
fn formats(family: &str) -> &'static [bool] {
    if family.starts_with("opt") { &[true] } else { &[false, true] }
}

fn format_name(safetensors: bool) -> &'static str {
    if safetensors { "safetensors" } else { "GGUF" }
}

/// The folder of a family's safetensors.
fn folder(family: &str) -> String {
    if SMALL.contains(&family) { format!("families/{family}") } else { format!("tiny_{family}") }
}

fn answers(family: &str) -> String {
    if SMALL.contains(&family) { format!("families/{family}/answers.json") } else { format!("tiny_{family}.json") }
}

/// Of a Phi-3 the answers are longer than what its short divisors are for.
fn open(family: &str, safetensors: bool) -> Running {
    let part = |name: &str| fixture(&format!("{}/{name}", folder(family)));
    let running = match safetensors {
        true => Running::open(&[&part("model.safetensors"), &part("config.json")]),
        false if SMALL.contains(&family) => Running::open(&[&part("model.gguf")]),
        false => Running::open(&[&fixture(&format!("tiny_{family}.gguf"))]),
    };
    running.past_bound(true)
}

#[test]
fn every_small_family_gives_pytorchs_64_tokens() {
    for family in SMALL {
        for safetensors in formats(family) {
            println!("{family}, safetensors: {safetensors}");
            goes_on_as_pytorch_does(&mut open(family, *safetensors), &answers(family));
            proved(family, format_name(*safetensors), &on_cpu(), RANDOM);
        }
    }
}

/// One model whose frequencies are scaled in every way that PyTorch knows, of texts that are longer than what each counts as its first context.
#[test]
fn every_kind_of_rotary_scaling_gives_pytorchs_tokens() {
    for i in 0..7 {
        let path = format!("families/mistral/scaling_{i}.json");
        let case = json(&path);
        println!("{}", case["name"]);
        let change = serde_json::json!({ "rope_parameters": case["rope_parameters"], "sliding_window": null });
        let config = changed("mistral", &change.to_string()).expect("a configuration");
        goes_on_as_pytorch_does(&mut open("mistral", true).with_config(config), &path);
        let Some(keys) = case["gguf"].as_object() else { continue };
        let running = open("mistral", false);
        let mut metadata: HashMap<_, _> =
            running.file.metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        metadata.insert("llama.attention.sliding_window".into(), weights::Value::U32(0));
        for (key, value) in keys {
            let value = match value {
                Value::String(word) => weights::Value::String(word.clone()),
                number if number.is_u64() => weights::Value::U32(number.as_u64().expect("a count") as u32),
                number => weights::Value::F32(number.as_f64().expect("a number") as f32),
            };
            metadata.insert(format!("llama.{key}"), value);
        }
        let config = LanguageConfig::from_gguf(&Metadata::new(metadata), &running.file).expect("a configuration");
        goes_on_as_pytorch_does(&mut running.with_config(config), &path);
    }
}

/// The second of two layers has a window, which a GGUF could not say.
#[test]
fn a_tiny_qwen2_with_windows_gives_pytorchs_tokens() {
    let change = r#"{"use_sliding_window": true, "sliding_window": 12, "max_window_layers": 1, "layer_types": null}"#;
    let config = changed("qwen2", change).expect("a configuration");
    goes_on_as_pytorch_does(&mut open("qwen2", true).with_config(config), "families/qwen2/windowed.json");
}

/// However much room the caches have.
#[test]
fn a_tiny_phi3_of_short_texts_turns_by_the_short_factors() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("phi3", safetensors).past_bound(false), "families/phi3/short.json");
        let whole = open("phi3", safetensors).model;
        assert_eq!((whole.bound(), whole.with_capacity(32).bound()), (Some(32), None));
    }
}

#[test]
fn rotary_scalings_are_read_as_older_configurations_write_them() {
    let mut newer = config_json("mistral");
    newer["rope_parameters"] = serde_json::json!({ "rope_type": "yarn", "factor": 4.0, "rope_theta": 5000.0, "original_max_position_embeddings": 32 });
    let mut older = newer.clone();
    older["rope_theta"] = 5000.0.into();
    older["rope_scaling"] =
        serde_json::json!({ "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 });
    older.as_object_mut().expect("an object").remove("rope_parameters");
    let read = |config: &Value| LanguageConfig::from_hugging_face(&config.to_string()).expect("a configuration");
    assert_eq!(read(&older), read(&newer));
    let mut phi = config_json("phi3");
    let newer = read(&phi);
    phi["rope_parameters"]["rope_type"] = "su".into();
    assert_eq!(read(&phi), newer);
}

#[test]
fn a_tiny_qwen3_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("qwen3", safetensors), "tiny_qwen3.json");
        proved("qwen3", format_name(safetensors), &on_cpu(), RANDOM);
    }
}

#[test]
fn a_tiny_gpt2_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("gpt2", safetensors), "tiny_gpt2.json");
        proved("gpt2", format_name(safetensors), &on_cpu(), RANDOM);
    }
}

#[test]
fn a_tiny_gemma3_gives_pytorchs_64_tokens() {
    for safetensors in [false, true] {
        goes_on_as_pytorch_does(&mut open("gemma3", safetensors), "tiny_gemma3.json");
        proved("gemma3", format_name(safetensors), &on_cpu(), RANDOM);
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
    for family in FAMILIES.into_iter().chain(SMALL) {
        let answers = json(&answers(family));
        let text: Vec<u32> =
            ids_in(&answers["prompt_ids"]).into_iter().chain(ids_in(&answers["greedy"])).take(61).collect();
        let safetensors = formats(family)[0];
        let scored = open(family, safetensors).score(&text);
        for chunk in [1, 3, 7, 16, 61] {
            let mut model = open(family, safetensors);
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
    json(&format!("{}/config.json", folder(family)))
}

#[test]
fn a_missing_or_misshapen_weight_of_any_family_is_named() {
    // A GGUF without a head has the embedding for one; a StableLM has biases or has none.
    let may_lack = |family: &str, name: &str| {
        name == "output.weight"
            || family.starts_with("stablelm")
                && name.starts_with("blk.")
                && name.ends_with(".bias")
                && !name.contains("norm")
    };
    for family in FAMILIES.into_iter().chain(SMALL) {
        for safetensors in formats(family).iter().copied() {
            let running = open(family, safetensors);
            let config = config_json(family).to_string();
            let find = |tensors: &Small| match safetensors {
                false => LanguageModel::from_gguf(&running.file.metadata, tensors, Storage::Keep),
                true => LanguageModel::from_hugging_face(&config, tensors, Storage::Keep),
            };
            let whole = tensors(family, safetensors);
            assert!(find(&whole).is_ok());
            // Nobody reads the mask that GPT-2's first files hold, nor what converters write for the values of an RWKV's first layer.
            let is_read = |name: &&String| {
                !name.ends_with("attn.bias")
                    && !name.starts_with("blk.0.time_mix_v0")
                    && !name.starts_with("blk.0.time_mix_v1")
                    && !name.starts_with("blk.0.time_mix_v2")
            };
            for name in whole.0.keys().filter(is_read) {
                let mut without = whole.clone();
                without.0.remove(name);
                let mut misshapen = whole.clone();
                misshapen.0.entry(name.clone()).and_modify(|(_, shape)| *shape.last_mut().expect("a side") += 1);
                let faulty = if may_lack(family, name) { vec![misshapen] } else { vec![without, misshapen] };
                for tensors in faulty {
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

/// fla-hub's first files have how a layer mixes neighbours in one tensor.
#[test]
fn an_rwkv_is_found_with_its_mixes_in_one_tensor_too() {
    let mut fused = tensors("rwkv7", true);
    let apart = |name: &str| name.contains(".attn.x_");
    fused.0.retain(|name, _| !apart(name));
    for layer in 0..2 {
        fused.0.insert(format!("model.layers.{layer}.attn.x_x"), (DType::F16, vec![6, 36]));
    }
    let config = config_json("rwkv7").to_string();
    let model = LanguageModel::from_hugging_face(&config, &fused, Storage::Keep).expect("an RWKV-7");
    let there = Recipe::Mix { tensor: "model.layers.1.attn.x_x".into(), first: 3 * 36 };
    assert_eq!(model.recipes().get("blk.1.time_mix_lerp_v"), Some(&there));
    assert!(model.decode().is_ok() && model.prefill(3).is_ok());
    let few = fused.0.get_mut("model.layers.0.attn.x_x").expect("a tensor");
    few.1 = vec![5, 36];
    let error = LanguageModel::from_hugging_face(&config, &fused, Storage::Keep).expect_err("no sixth mix");
    assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("model.layers.0.attn.x_x"), "{error}");
}

#[test]
fn ranks_and_widths_that_an_rwkvs_configuration_leaves_out_are_flas() {
    let change = r#"{"hidden_size": 768, "head_dim": 64, "decay_low_rank_dim": null, "a_low_rank_dim": null, "v_low_rank_dim": null,
        "gate_low_rank_dim": null, "intermediate_size": null, "hidden_ratio": null, "norm_eps": null}"#;
    let rwkv = changed("rwkv7", change).expect("a configuration").rwkv.expect("an RWKV");
    assert_eq!((rwkv.head, rwkv.wide, rwkv.ranks, rwkv.head_eps), (64, 3072, [64, 64, 32, 128], 64e-5));
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
    assert_eq!((local.window, local.base), (12, Some(10_000.0)));
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
    assert_eq!(
        (rotary.base, rotary.frequency_scale, newer.local.expect("windows").base),
        (500_000.0, 0.125, Some(5000.0))
    );
    assert_eq!(changed("gemma3", r#"{"query_pre_attn_scalar": 64}"#).expect("a configuration").attention_scale, 0.125);
}

#[test]
fn what_a_family_does_not_do_here_is_refused_and_told() {
    for (family, change, part) in [
        ("gemma3", r#"{"final_logit_softcapping": 30.0}"#, "final_logit_softcapping"),
        ("gemma3", r#"{"model_type": "gemma3"}"#, "gemma3_text"),
        ("gemma3", r#"{"use_bidirectional_attention": true}"#, "embeds texts"),
        ("qwen3", r#"{"hidden_act": "relu"}"#, "relu"),
        ("mistral", r#"{"rope_parameters": {"rope_type": "spiral"}}"#, "spiral"),
        ("opt", r#"{"enable_bias": false}"#, "enable_bias"),
        ("gpt2", r#"{"activation_function": "relu"}"#, "gelu_new"),
        ("gpt2", r#"{"scale_attn_by_inverse_layer_idx": true}"#, "scales its attention"),
        ("rwkv7", r#"{"norm_first": false}"#, "norm_first"),
        ("rwkv7", r#"{"norm_bias": false}"#, "norm_bias"),
        ("rwkv7", r#"{"attn": {"layers": [1], "num_heads": 2}}"#, "layers of attention"),
        ("rwkv7", r#"{"value_dim": [36, 72]}"#, "value_dim"),
        ("rwkv7", r#"{"hidden_act": "silu"}"#, "sqrelu"),
    ] {
        let error = changed(family, change).expect_err(change);
        assert_eq!(error.code(), ErrorCode::UnsupportedModel, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    for (family, change, part) in [
        (
            "phi3",
            r#"{"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}}"#,
            "LongRope",
        ),
        ("mistral", r#"{"rope_parameters": {"rope_type": "yarn", "factor": -2.0}}"#, "-2.0"),
        ("mistral", r#"{"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}"#, "low_freq_factor"),
        ("lfm2", r#"{"block_ffn_dim_multiplier": 1e30}"#, "1e30"),
        ("lfm2", r#"{"block_ffn_dim_multiplier": -1.0}"#, "-1"),
    ] {
        let error = changed(family, change).expect_err(change);
        assert_eq!(error.code(), ErrorCode::CorruptFile, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let turning = changed("smollm3", r#"{"no_rope_layers": [1, 0]}"#).expect("a configuration");
    let error = LanguageModel::new(turning, &tensors("smollm3", true), Storage::Keep).expect_err("two layers of four");
    assert!(error.to_string().contains("2 layers are said to turn or not, of 4"), "{error}");
    let wide = changed("lfm2", r#"{"conv_L_cache": 1000000}"#).expect("a configuration");
    let error = LanguageModel::new(wide, &tensors("lfm2", true), Storage::Keep).expect_err("a million tokens");
    assert!(error.to_string().contains("convolutions see 1000000 tokens"), "{error}");
    for (head, said) in [(1000, "heads are 1000 wide"), (10, "heads are 10 wide, of 36 columns")] {
        let wide = changed("rwkv7", &format!(r#"{{"head_dim": {head}}}"#)).expect("a configuration");
        let error = LanguageModel::new(wide, &tensors("rwkv7", true), Storage::Keep).expect_err(said);
        assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains(said), "{error}");
    }
    let short = changed("gemma3", r#"{"layer_types": ["full_attention"]}"#).expect("a configuration");
    let error = LanguageModel::new(short, &tensors("gemma3", true), Storage::Keep).expect_err("one layer of seven");
    assert_eq!(error.code(), ErrorCode::CorruptFile, "{error}");
}
