//! Whole models on the GPU: trained weights tell the story that the CPU tells, with steps in flight.

use std::{collections::VecDeque, path::Path};

use pollster::block_on;
use vitrine::{
    backend::{Device, Plan, Resident, profile::by_part},
    graph::{Graph, StepParams},
    models::LanguageModel,
    weights::{Storage, WeightFile},
};

use super::every_gpu;
use crate::common::{
    as_hardware, cosine, fixture, floats, ids_in, json, numbers_in, on_cpu, on_gpu, opened, proofs::RANDOM, proved,
    reference, sampled, shipped, spelled, streamed,
};

/// A GGUF's model on a device.
struct Running {
    file: WeightFile,
    model: LanguageModel,
    resident: Resident,
}

impl Running {
    fn open(path: &Path, device: &Device) -> Self {
        let file = opened(&[path]);
        let model = LanguageModel::from_gguf(&file.metadata, &file, Storage::Keep).expect("a model");
        Self::load(file, model, device)
    }

    /// The safetensors of a folder, beside their configuration.
    fn open_folder(folder: &str, device: &Device) -> Self {
        let file = opened(&[&fixture(&format!("{folder}/model.safetensors"))]);
        let config = std::fs::read_to_string(fixture(&format!("{folder}/config.json"))).expect("a configuration");
        let model = LanguageModel::from_hugging_face(&config, &file, Storage::Keep).expect("a model");
        Self::load(file, model, device)
    }

    fn load(file: WeightFile, model: LanguageModel, device: &Device) -> Self {
        // Where there is a bound, the texts of these tests are past it.
        let model = model.with_texts_past_bound(true);
        let graph = model.decode().expect("a graph");
        let resident = block_on(streamed(device, &file, &graph, model.recipes())).expect("the weights go in");
        Self { file, model, resident }
    }

    fn compile(&self, graph: &Graph) -> Plan {
        block_on(self.resident.compile(graph)).expect("a plan")
    }

    /// `n` greedy tokens after `prompt`, with four steps in flight.
    fn greedy(&self, prompt: &[u32], n: usize) -> Vec<u32> {
        let mut prefill = self.compile(&self.model.prefill(prompt.len()).expect("a graph"));
        let mut decode = self.compile(&self.model.decode().expect("a graph"));
        prefill.write_input("ids", prompt).expect("ids");
        let params = |position: usize, row: usize| StepParams {
            position: position as u32,
            row: row as u32,
            ..StepParams::default()
        };
        let last = prompt.len() - 1;
        let mut flying = VecDeque::from([prefill.step(&params(0, last), &["sampled"]).expect("a step")]);
        let mut tokens = vec![];
        for i in 1..n {
            flying.push_back(decode.step(&params(last + i, 0), &["sampled"]).expect("a step"));
            if flying.len() >= 4 {
                tokens.extend(flying.pop_front().map(|p| sampled(&block_on(p).expect("an output")[0])));
            }
        }
        tokens.extend(flying.into_iter().map(|p| sampled(&block_on(p).expect("an output")[0])));
        tokens
    }

    /// The logits of every one of `ids`.
    fn score(&self, ids: &[u32]) -> Vec<f32> {
        let mut plan = self.compile(&self.model.score(ids.len()).expect("a graph"));
        plan.write_input("ids", ids).expect("ids");
        let out = block_on(plan.step(&StepParams::default(), &["logits"]).expect("a step")).expect("an output");
        floats(&out[0])
    }
}

#[test]
fn stories260k_on_the_gpu_tells_what_llama2c_tells_for_200_greedy_steps() {
    let Some(path) = reference("llm/stories260K/stories260K-f32.gguf") else { return };
    let Some(expected) = reference("llm/stories260K/greedy200.txt") else { return };
    let expected = std::fs::read_to_string(expected).expect("a text");
    let model = Running::open(&path, &on_gpu());
    let told = spelled(&model.file, &model.greedy(&[1], 200));
    assert_eq!(told.trim_start().trim_end_matches('\n'), expected.trim_end_matches('\n'));
}

#[test]
fn quantised_stories260k_scores_as_on_the_cpu() {
    let prompt = [1, 403, 407, 261, 378, 432, 438, 285, 310, 320, 301, 420, 411];
    for kind in ["q8_0", "q4_0"] {
        let Some(path) = reference(&format!("llm/stories260K/stories260K-{kind}.gguf")) else { return };
        let [expected, got] = [on_cpu(), on_gpu()].map(|device| Running::open(&path, &device).score(&prompt));
        let got = cosine(&expected, &got);
        assert!(got >= 0.999, "{kind}: cosine {got}");
    }
}

#[test]
fn a_decode_step_of_a_real_model_keeps_to_eight_dispatches_a_layer_and_six() {
    let path = fixture("tiny_llama.gguf");
    let model = Running::open(&path, &on_gpu());
    let plan = model.compile(&model.model.decode().expect("a graph"));
    let cost = plan.cost();
    assert_eq!((cost.passes, cost.submits), (1, 1));
    assert!(cost.dispatches as usize <= 8 * model.model.config().layers + 6, "{cost:?}");
}

/// Small models of the other families, on software's paths through the kernels and on hardware's.
#[test]
fn tiny_models_of_every_family_give_pytorchs_64_tokens() {
    for family in ["qwen3", "gpt2", "gemma3"] {
        let answers = json(&format!("tiny_{family}.json"));
        let (prompt, greedy) = (ids_in(&answers["prompt_ids"]), ids_in(&answers["greedy"]));
        for device in every_gpu() {
            let model = Running::open(&fixture(&format!("tiny_{family}.gguf")), &device);
            assert_eq!(model.greedy(&prompt, 64), greedy, "{family}");
            let text: Vec<u32> = prompt.iter().chain(&greedy[..63]).copied().collect();
            let logits = model.score(&text);
            let want = numbers_in(&answers["logits_last"]);
            let got = cosine(&logits[logits.len() - want.len()..], &want);
            assert!(got >= 0.999_9, "{family}: cosine {got}");
            proved(family, "GGUF", &device, RANDOM);
        }
    }
}

/// Families without a tokenizer, from both formats; the text is longer than every window. What is new in them is held to
/// the CPU on every path by the tests of operations.
#[test]
fn small_models_of_more_families_give_pytorchs_64_tokens() {
    let families = [
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
    for family in families {
        let folder = format!("families/{family}");
        let answers = json(&format!("{folder}/answers.json"));
        let (prompt, greedy) = (ids_in(&answers["prompt_ids"]), ids_in(&answers["greedy"]));
        let gguf = fixture(&format!("{folder}/model.gguf"));
        let in_gguf = || Running::open(&gguf, &on_gpu());
        let of_folder = || Running::open_folder(&folder, &on_gpu());
        let formats: [(&str, &dyn Fn() -> Running); 2] = [("safetensors", &of_folder), ("GGUF", &in_gguf)];
        // llama.cpp has no OPT.
        for (format, model) in formats.into_iter().filter(|(format, _)| *format == "safetensors" || gguf.exists()) {
            assert_eq!(model().greedy(&prompt, 64), greedy, "{family} in {format}");
            proved(family, format, &on_gpu(), RANDOM);
        }
        let text: Vec<u32> = prompt.iter().chain(&greedy[..63]).copied().collect();
        let logits = of_folder().score(&text);
        let want = numbers_in(&answers["logits_last"]);
        let got = cosine(&logits[logits.len() - want.len()..], &want);
        assert!(got >= 0.999_9, "{family}: cosine {got}");
    }
}

/// What a reader's graphics card computes, on the adapter there is.
#[test]
fn the_kernels_of_hardware_tell_the_storytellers_forty_tokens_as_the_cpu_does() {
    let file = shipped("storyteller/storyteller-q8_0.gguf");
    let prompt = [1, 403, 407, 261, 378];
    let expected = Running::open(&file, &on_cpu()).greedy(&prompt, 40);
    for subgroups in [true, false] {
        let model = Running::open(&file, &as_hardware(subgroups));
        assert_eq!(model.greedy(&prompt, 40), expected, "with subgroups: {subgroups}");
    }
}

/// What a layer takes: its norms, attention and feed-forward layer; and beside the layers the embedding, the head and the choice.
#[test]
fn a_decode_step_of_every_family_keeps_to_its_dispatches() {
    for (family, a_layer, beside) in [("llama", 7, 3), ("qwen3", 7, 3), ("gpt2", 9, 5), ("gemma3", 9, 4)] {
        let model = Running::open(&fixture(&format!("tiny_{family}.gguf")), &on_gpu());
        let cost = model.compile(&model.model.decode().expect("a graph")).cost();
        assert_eq!((cost.passes, cost.submits), (1, 1));
        assert_eq!(cost.dispatches as usize, a_layer * model.model.config().layers + beside, "{family}");
    }
}

#[test]
fn a_profile_times_every_dispatch_of_a_step_on_the_gpu_and_every_operation_on_the_cpu() {
    let path = fixture("tiny_llama.gguf");
    for device in [on_gpu(), on_cpu()] {
        let model = Running::open(&path, &device);
        let mut plan = model.compile(&model.model.decode().expect("a graph"));
        let timings = block_on(plan.profile(&StepParams::default())).expect("timings");
        if let Device::Gpu(_) = device {
            assert_eq!(timings.len() as u32, plan.cost().dispatches);
        }
        assert!(timings.iter().all(|t| t.milliseconds >= 0.0 && t.label.contains(" @ ")), "{timings:?}");
        let parts = by_part(&timings, 1);
        assert_eq!(parts.iter().map(|part| part.runs).sum::<usize>(), timings.len());
        assert!(parts.iter().any(|part| part.runs == model.model.config().layers && part.ms > 0.0), "{parts:?}");
    }
}

/// The file that ships, its words scored after PyTorch's own, against the logits that PyTorch has for it.
#[test]
fn the_shipped_storyteller_has_pytorchs_logits_on_both_devices() {
    let answers = json("storyteller_greedy.json");
    for device in [on_cpu(), on_gpu()] {
        let model = Running::open(&shipped("storyteller/storyteller-q8_0.gguf"), &device);
        let vocabulary = model.model.config().vocabulary;
        for case in answers["cases"].as_array().expect("cases") {
            let (prompt, greedy) = (ids_in(&case["prompt_ids"]), ids_in(&case["greedy"]));
            let ids: Vec<u32> = prompt.iter().chain(&greedy[..greedy.len() - 1]).copied().collect();
            let logits = model.score(&ids);
            let rows: Vec<&[f32]> = logits.chunks_exact(vocabulary).skip(prompt.len() - 1).collect();
            for (row, top) in [(rows[0], &case["top_after_prompt"]), (rows[rows.len() - 1], &case["top_last"])] {
                for likely in top.as_array().expect("the likeliest") {
                    let (token, want) = (likely["token"].as_u64().unwrap() as usize, likely["logit"].as_f64().unwrap());
                    let got = f64::from(row[token]);
                    assert!((got - want).abs() < 0.15, "token {token} has {got}, PyTorch's is {want}");
                }
            }
            for (row, token) in rows.iter().zip(&greedy) {
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                assert!(most - row[*token as usize] < 0.15, "PyTorch's next word is not the likeliest");
            }
        }
    }
}
