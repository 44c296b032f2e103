//! A model with Gemma's 262,144 tokens on both backends: its embedding, which is its output too, is more than one binding shows.

use std::collections::HashMap;

use pollster::block_on;
use vitrine::{
    backend::Device,
    graph::{DType, SampleParams, Sampled, StepParams, WeightId},
    models::{LanguageModel, Tensors},
    weights::Storage,
};

use crate::common::{floats, on_cpu, on_gpu};

const VOCABULARY: usize = 262_144;
/// 168 MB of F32: WebGPU promises bindings of 134 MB.
const WIDTH: usize = 160;

struct Shapes(HashMap<String, Vec<usize>>);

impl Tensors for Shapes {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.0.get(name).map(|shape| (DType::F32, shape.as_slice()))
    }
}

fn model() -> LanguageModel {
    let config = format!(
        r#"{{"model_type": "qwen3", "hidden_size": {WIDTH}, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 16, "intermediate_size": 32, "vocab_size": {VOCABULARY}, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
            "tie_word_embeddings": true}}"#
    );
    let layer = [
        ("input_layernorm", vec![WIDTH]),
        ("post_attention_layernorm", vec![WIDTH]),
        ("self_attn.q_norm", vec![16]),
        ("self_attn.k_norm", vec![16]),
        ("self_attn.q_proj", vec![64, WIDTH]),
        ("self_attn.k_proj", vec![32, WIDTH]),
        ("self_attn.v_proj", vec![32, WIDTH]),
        ("self_attn.o_proj", vec![WIDTH, 64]),
        ("mlp.gate_proj", vec![32, WIDTH]),
        ("mlp.up_proj", vec![32, WIDTH]),
        ("mlp.down_proj", vec![WIDTH, 32]),
    ];
    let layer = layer.map(|(name, shape)| (format!("model.layers.0.{name}.weight"), shape));
    let whole = [("model.embed_tokens.weight", vec![VOCABULARY, WIDTH]), ("model.norm.weight", vec![WIDTH])];
    let whole = whole.map(|(name, shape)| (name.to_string(), shape));
    let shapes = Shapes(layer.into_iter().chain(whole).collect());
    LanguageModel::from_hugging_face(&config, &shapes, Storage::Keep).expect("a model").with_alternatives(4)
}

/// Numbers in −0.2 … 0.2 that follow from where they stand; a row's like no other's.
fn numbers(weight: usize, first: usize, count: usize) -> Vec<f32> {
    (first..first + count)
        .map(|i| {
            let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (weight as u64) << 7);
            ((x ^ x >> 29) >> 40 & 0xffff) as f32 / 163_840.0 - 0.2
        })
        .collect()
}

struct Step {
    chosen: Sampled,
    logits: Vec<f32>,
}

/// A prompt with the last token of all, two steps after it, and how many parts of the table a step looks through.
fn run(device: &Device, model: &LanguageModel) -> (Vec<Step>, usize) {
    let graph = model.decode().expect("a graph");
    let resident = block_on(async {
        let mut loader = device.begin(&graph).await?;
        for (i, spec) in graph.weights.iter().enumerate() {
            let (rows, width) = if spec.shape.len() == 2 { (spec.shape[0], spec.shape[1]) } else { (1, spec.shape[0]) };
            // In pieces, as files come.
            for first in (0..rows).step_by(10_000) {
                let values = numbers(i, first * width, (rows - first).min(10_000) * width);
                loader.put(WeightId(i as u32), first, bytemuck::cast_slice(&values))?;
            }
        }
        loader.finish().await
    });
    let resident = resident.expect("the weights go in");
    let [mut prefill, mut decode] =
        [model.prefill(3).expect("a graph"), graph].map(|graph| block_on(resident.compile(&graph)).expect("a plan"));
    prefill.write_input("ids", &[VOCABULARY as u32 - 1, 0, 220_000]).expect("ids");
    let sample = SampleParams { repetition_penalty: 1.3, ..SampleParams::default() };
    let read = |outputs: Vec<Vec<u32>>| Step {
        chosen: Sampled::from_words(&outputs[0]).expect("a record"),
        logits: floats(&outputs[1]),
    };
    let wanted = ["sampled", "logits"];
    let params = |position, row| StepParams { position, row, sample, ..StepParams::default() };
    let mut steps = vec![read(block_on(prefill.step(&params(0, 2), &wanted).expect("a step")).expect("outputs"))];
    for position in [3, 4] {
        steps.push(read(block_on(decode.step(&params(position, 0), &wanted).expect("a step")).expect("outputs")));
    }
    let parts = match &decode {
        vitrine::backend::Plan::Gpu(plan) => plan.kernels().filter(|kernel| kernel.starts_with("embedding")).count(),
        _ => 1,
    };
    (steps, parts)
}

#[test]
fn a_vocabulary_of_262144_tokens_gives_the_same_logits_and_choices_on_both_backends() {
    let model = model();
    let (expected, _) = run(&on_cpu(), &model);
    let (got, parts) = run(&on_gpu(), &model);
    let Device::Gpu(device) = on_gpu() else { unreachable!() };
    let limit = device.context().max_binding() as usize;
    assert_eq!(parts, (4 * VOCABULARY).div_ceil(limit / WIDTH), "a binding shows {limit} bytes");
    for (expected, got) in expected.iter().zip(&got) {
        assert_eq!(got.logits.len(), VOCABULARY);
        let largest = expected.logits.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        for (i, (a, b)) in expected.logits.iter().zip(&got.logits).enumerate() {
            assert!((a - b).abs() <= 1e-3 * largest, "logit {i} is {b}, expected {a}");
        }
        assert_eq!(got.chosen.token, expected.chosen.token);
        let ids = |sampled: &Sampled| sampled.alternatives.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(ids(&got.chosen), ids(&expected.chosen));
    }
    assert_ne!(expected[0].chosen.token, expected[1].chosen.token);
}
