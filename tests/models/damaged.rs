//! Configurations and weights that cannot be: refused by name, before anything is made room for.

use std::collections::HashMap;

use vitrine::{
    Error, ErrorCode,
    graph::DType,
    models::{LanguageModel, Tensors},
    weights::{Metadata, Recipe, Storage, Value},
};

/// A small model's tensors by name.
#[derive(Clone)]
pub struct Small(pub HashMap<String, (DType, Vec<usize>)>);

impl Tensors for Small {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.0.get(name).map(|(dtype, shape)| (*dtype, shape.as_slice()))
    }
}

fn small() -> (HashMap<String, Value>, Small) {
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.context_length", Value::U32(64)),
        ("llama.embedding_length", Value::U32(32)),
        ("llama.block_count", Value::U32(1)),
        ("llama.feed_forward_length", Value::U32(64)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
    ];
    let tensors: [(&str, &[usize]); 11] = [
        ("token_embd.weight", &[100, 32]),
        ("output_norm.weight", &[32]),
        ("blk.0.attn_norm.weight", &[32]),
        ("blk.0.attn_q.weight", &[32, 32]),
        ("blk.0.attn_k.weight", &[16, 32]),
        ("blk.0.attn_v.weight", &[16, 32]),
        ("blk.0.attn_output.weight", &[32, 32]),
        ("blk.0.ffn_norm.weight", &[32]),
        ("blk.0.ffn_gate.weight", &[64, 32]),
        ("blk.0.ffn_up.weight", &[64, 32]),
        ("blk.0.ffn_down.weight", &[32, 64]),
    ];
    let tensors = tensors.iter().map(|(name, shape)| (name.to_string(), (DType::F32, shape.to_vec()))).collect();
    (metadata.into_iter().map(|(k, v)| (k.to_string(), v)).collect(), Small(tensors))
}

/// The refusal of a small Llama one of whose numbers is another.
fn with(key: &str, value: Value) -> Error {
    let (mut metadata, tensors) = small();
    metadata.insert(key.into(), value);
    LanguageModel::from_gguf(&Metadata::new(metadata), &tensors, Storage::Keep).expect_err(key)
}

fn hugging_face(change: &str) -> Result<LanguageModel, Error> {
    let mut config: serde_json::Value = serde_json::from_str(
        r#"{"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 64, "vocab_size": 100, "max_position_embeddings": 64,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true}"#,
    )
    .expect("JSON");
    let change: serde_json::Map<String, serde_json::Value> = serde_json::from_str(change).expect("JSON");
    for (key, value) in change {
        config[key] = value;
    }
    let names = [
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("blk.0.attn_norm", "model.layers.0.input_layernorm"),
        ("blk.0.attn_q", "model.layers.0.self_attn.q_proj"),
        ("blk.0.attn_k", "model.layers.0.self_attn.k_proj"),
        ("blk.0.attn_v", "model.layers.0.self_attn.v_proj"),
        ("blk.0.attn_output", "model.layers.0.self_attn.o_proj"),
        ("blk.0.ffn_norm", "model.layers.0.post_attention_layernorm"),
        ("blk.0.ffn_gate", "model.layers.0.mlp.gate_proj"),
        ("blk.0.ffn_up", "model.layers.0.mlp.up_proj"),
        ("blk.0.ffn_down", "model.layers.0.mlp.down_proj"),
    ];
    let (_, tensors) = small();
    let renamed = names.iter().map(|(from, to)| (format!("{to}.weight"), tensors.0[&format!("{from}.weight")].clone()));
    LanguageModel::from_hugging_face(&config.to_string(), &Small(renamed.collect()), Storage::Keep)
}

#[test]
fn a_small_llama_is_taken_and_its_graphs_share_weights_and_states() {
    let (metadata, tensors) = small();
    let llama =
        LanguageModel::from_gguf(&Metadata::new(metadata), &tensors, Storage::Keep).expect("a Llama").with_capacity(48);
    let graphs = [llama.decode(), llama.prefill(5), llama.score(3)].map(|g| g.expect("a graph"));
    for graph in &graphs[1..] {
        assert_eq!(graph.weights, graphs[0].weights);
        assert_eq!(graph.states, graphs[0].states);
    }
    assert!(graphs[0].states.iter().any(|s| s.name == "cache.v.0" && s.shape == [48, 16]));
    assert!(hugging_face("{}").is_ok());
}

#[test]
fn absurd_numbers_are_refused_by_key() {
    for key in [
        "llama.embedding_length",
        "llama.block_count",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.head_count_kv",
        "llama.context_length",
        "llama.rope.dimension_count",
        "llama.attention.key_length",
    ] {
        for value in [Value::U64(1 << 60), Value::U32(0), Value::I32(-1), Value::String("many".into())] {
            let error = with(key, value);
            assert_eq!(error.code(), ErrorCode::CorruptFile, "{error}");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
    assert!(with("llama.attention.head_count_kv", Value::U32(3)).to_string().contains("4 heads"));
    assert!(with("llama.rope.dimension_count", Value::U32(7)).to_string().contains("7 numbers"));
    assert_eq!(with("llama.rope.freq_base", Value::F32(f32::NAN)).code(), ErrorCode::CorruptFile);
}

#[test]
fn what_does_not_run_here_is_told_with_what_does() {
    let error = with("general.architecture", Value::String("mpt".into()));
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    assert!(error.to_string().contains("\"mpt\"") && error.to_string().contains("llama"), "{error}");
    assert_eq!(with("llama.expert_count", Value::U32(8)).code(), ErrorCode::UnsupportedModel);
    let error = with("llama.rope.scaling.type", Value::String("spiral".into()));
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    assert!(error.to_string().contains("\"spiral\"") && error.to_string().contains("yarn"), "{error}");
    let error = with("llama.rope.scaling.type", Value::String("yarn".into()));
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("llama.rope.scaling.factor"), "{error}");
}

#[test]
fn a_vocabulary_that_does_not_fit_is_refused() {
    let tokens = Value::Array((0..101).map(|i| Value::String(format!("t{i}"))).collect());
    let error = with("tokenizer.ggml.tokens", tokens);
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("101") && error.to_string().contains("100"), "{error}");
}

#[test]
fn a_missing_or_misshapen_weight_is_named() {
    let (metadata, whole) = small();
    let metadata = Metadata::new(metadata);
    for name in whole.0.keys() {
        let mut tensors = whole.clone();
        tensors.0.remove(name);
        let error = LanguageModel::from_gguf(&metadata, &tensors, Storage::Keep).expect_err(name);
        assert_eq!(error.code(), ErrorCode::CorruptFile);
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut tensors = whole.clone();
    tensors.0.insert("blk.0.ffn_up.weight".into(), (DType::Q8_0, vec![32, 64]));
    let error = LanguageModel::from_gguf(&metadata, &tensors, Storage::Keep).expect_err("a turned weight").to_string();
    assert!(error.contains("blk.0.ffn_up.weight is [32, 64]") && error.contains("[64, 32]"), "{error}");
}

#[test]
fn llama_3s_rotary_factors_follow_from_its_configuration() {
    let llama = hugging_face(
        r#"{"rope_theta": 500000.0, "head_dim": 8, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}"#,
    )
    .expect("a Llama");
    let recipes = llama.recipes();
    let Some(Recipe::Computed(factors)) = recipes.get("rope_freqs.weight") else { panic!("{recipes:?}") };
    // Wavelengths 2π · 500000^(i/4): 6, 167, 4,443 and 118,143 for i = 0 … 3. The first two turn more than four times in 8,192 tokens,
    // the last less than once, the third 1.8438 times.
    assert_eq!(factors.len(), 4);
    let kept = (8192.0 / (std::f64::consts::TAU * 500_000f64.sqrt()) - 1.0) / 3.0;
    let third = 1.0 / ((1.0 - kept) / 8.0 + kept);
    for (got, want) in factors.iter().zip([1.0, 1.0, third, 8.0]) {
        assert!((f64::from(*got) - want).abs() < 1e-4, "{got} is not {want}");
    }
    let unknown = hugging_face(r#"{"rope_scaling": {"rope_type": "spiral", "factor": 4.0}}"#).expect_err("spiral");
    assert_eq!(unknown.code(), ErrorCode::UnsupportedModel);
    assert_eq!(
        hugging_face(r#"{"hidden_size": 1152921504606846976}"#).expect_err("2^60").code(),
        ErrorCode::CorruptFile
    );
    assert_eq!(hugging_face(r#"{"hidden_size": "wide"}"#).expect_err("a word").code(), ErrorCode::CorruptFile);
    assert_eq!(hugging_face(r#"{"model_type": "mpt"}"#).expect_err("mpt").code(), ErrorCode::UnsupportedModel);
}
