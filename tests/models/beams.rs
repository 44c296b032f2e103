//! Beam search on a real trained model (stories260K) against transformers, on the CPU and on the GPU.

use std::rc::Rc;

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    ErrorCode,
    backend::Device,
    cancel::Cancel,
    text::{BeamOptions, BeamRequest, Beams, EndReason, GenerateOptions, LoadOptions, TextModel},
    weights::{MemorySource, SharedSource, WeightFile},
};

use crate::{
    common::{ids_in, json, reference},
    generate::{on_each_device, stories},
    texts::{answers, open},
};

on_each_device!(
    beams_are_those_of_transformers_in_tokens_and_score,
    encoder_decoders_find_what_transformers_finds,
    groups_that_differ_write_other_texts,
    a_step_tells_which_beams_go_on,
    beams_that_do_not_fit_are_refused_in_numbers,
);

const NAMES: [&str; 7] = ["beams", "maxTokens", "returned", "lengthPenalty", "earlyStopping", "groups", "diversity"];

fn options(case: &Value) -> BeamOptions {
    let known = case.as_object().unwrap().iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
    let request = Value::Object(known.map(|(name, value)| (name.clone(), value.clone())).collect());
    serde_json::from_value::<BeamRequest>(request).unwrap().check().unwrap()
}

/// The model, for which these tokens end a text.
fn ending(device: &Device, ends: &[u32]) -> Option<TextModel> {
    let gguf = std::fs::read(reference("llm/stories260K/stories260K-f32.gguf")?).unwrap();
    let config = serde_json::json!({ "eos_token_id": ends }).to_string().into_bytes();
    let source = |name: &str, bytes| Rc::new(MemorySource::new(name.to_owned(), bytes)) as SharedSource;
    let parts = vec![source("stories.gguf", gguf), source("generation_config.json", config)];
    let load = async {
        let file = WeightFile::open_parts(parts).await.unwrap();
        TextModel::load(&file, device, LoadOptions::default(), &mut |_, _| {}, &Cancel::new()).await.unwrap()
    };
    Some(block_on(load))
}

fn search(model: &TextModel, prompt: &str, options: BeamOptions) -> Beams {
    block_on(model.beams(prompt, options, &Cancel::new())).unwrap()
}

fn beams_are_those_of_transformers_in_tokens_and_score(device: &Device) {
    let (Some(plain), Some(ending)) = (stories(device), ending(device, &[2, 426])) else { return };
    let cases = json("beams.json");
    for case in cases.as_array().unwrap() {
        let prompt = plain.tokenizer().decode(&ids_in(&case["prompt"]));
        let model = if case["ends"].is_null() { &plain } else { &ending };
        let found = search(model, &prompt, options(case)).beams;
        let expected = case["texts"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{case}");
        for (beam, text) in found.iter().zip(expected) {
            assert_eq!(beam.tokens, ids_in(&text["tokens"]), "{case}");
            let end = if text["ended"] == true { EndReason::Eos } else { EndReason::Length };
            assert_eq!(beam.finish_reason, end, "{case}");
            if let Some(score) = text["score"].as_f64() {
                assert!((f64::from(beam.score) - score).abs() < 1e-3, "{}: {case}", beam.score);
            }
        }
    }
    // A beam alone is what greedy choice writes, and the model goes on as before.
    let alone =
        search(&plain, "Once upon a time", BeamOptions { beams: 1, max_tokens: Some(30), ..BeamOptions::default() });
    let mut generation = plain.generate("Once upon a time", GenerateOptions::greedy(30), Cancel::new()).unwrap();
    assert_eq!(alone.beams[0].text, block_on(generation.text()).unwrap());
}

fn encoder_decoders_find_what_transformers_finds(device: &Device) {
    let cases = json("beams-texts.json");
    for case in cases.as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let model = open(name, device);
        let read = answers(name)["text"].as_str().unwrap().to_owned();
        let found = search(&model, &read, options(case)).beams;
        let expected = case["texts"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{case}");
        // See `as_likely` of the texts: PyTorch's own logits of Marian are off by 0.01.
        let most = if name.starts_with("marian") { 0.02 } else { 1e-3 };
        for (beam, text) in found.iter().zip(expected) {
            assert_eq!(beam.tokens, ids_in(&text["tokens"]), "{case}");
            assert!((f64::from(beam.score) - text["score"].as_f64().unwrap()).abs() < most, "{}: {case}", beam.score);
        }
    }
}

fn groups_that_differ_write_other_texts(device: &Device) {
    let Some(model) = stories(device) else { return };
    let asked = |groups: usize, diversity: f32| BeamOptions {
        beams: 4,
        groups,
        diversity,
        max_tokens: Some(12),
        returned: 4,
        trace: true,
        ..BeamOptions::default()
    };
    let firsts = |beams: &Beams| {
        let mut firsts: Vec<u32> = beams.beams.iter().map(|beam| beam.tokens[0]).collect();
        firsts.sort_unstable();
        firsts.dedup();
        firsts.len()
    };
    let prompt = "Once upon a time";
    let same = search(&model, prompt, asked(4, 0.0));
    assert!(same.beams.iter().all(|beam| beam.tokens == same.beams[0].tokens), "groups without diversity are alike");
    let apart = search(&model, prompt, asked(4, 50.0));
    assert_eq!(firsts(&apart), 4, "{:?}", apart.beams);
    // Scores are the model's own less what diversity costs; the first group loses nothing.
    assert!(apart.beams.iter().any(|beam| beam.tokens == same.beams[0].tokens));
    let pairs = search(&model, prompt, asked(2, 50.0));
    assert_eq!(pairs.beams.len(), 4);
}

fn a_step_tells_which_beams_go_on(device: &Device) {
    let Some(model) = stories(device) else { return };
    let options = BeamOptions { beams: 3, max_tokens: Some(5), returned: 3, trace: true, ..BeamOptions::default() };
    let found = search(&model, "Once upon a time", options);
    assert_eq!(found.steps.len(), 5);
    // Each text can be read off the tree, from its end to its beginning.
    let last = found.steps.last().unwrap();
    assert!(last.iter().all(|branch| branch.beam.is_none()));
    for (beam, branch) in found.beams.iter().zip(last.iter().filter(|branch| branch.ended)) {
        let mut tokens = vec![branch.token];
        let mut parent = branch.parent;
        for step in found.steps.iter().rev().skip(1) {
            let before = step.iter().find(|branch| branch.beam == Some(parent)).unwrap();
            tokens.push(before.token);
            parent = before.parent;
        }
        tokens.reverse();
        assert_eq!(tokens, beam.tokens);
        assert!((branch.score / 5.0 - beam.score).abs() < 1e-5);
    }
    for step in &found.steps[..4] {
        let beams: Vec<usize> = step.iter().filter_map(|branch| branch.beam).collect();
        assert_eq!(beams, [0, 1, 2]);
        assert!(step.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }
    let untold = BeamOptions { beams: 3, max_tokens: Some(5), ..BeamOptions::default() };
    assert!(search(&model, "Once upon a time", untold).steps.is_empty());
}

fn beams_that_do_not_fit_are_refused_in_numbers(device: &Device) {
    let Some(model) = stories(device) else { return };
    let room = model.info().context_length.unwrap();
    let wide = BeamOptions { beams: 64, max_tokens: Some(room), ..BeamOptions::default() };
    let refused = block_on(model.beams("Once upon a time", wide, &Cancel::new())).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ContextOverflow);
    assert!(refused.to_string().contains(&format!("{} each", room / 64)), "{refused}");
    // What fits is searched, as far as there is room.
    let filled = search(&model, "Once", BeamOptions { beams: 64, ..BeamOptions::default() });
    assert_eq!(filled.beams[0].tokens.len(), room / 64 - 1, "{:?}", filled.beams[0]);
    let cancel = Cancel::new();
    cancel.cancel();
    let aborted = block_on(model.beams("Once", BeamOptions::default(), &cancel)).unwrap_err();
    assert_eq!(aborted.code(), ErrorCode::Aborted);
}
