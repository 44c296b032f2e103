//! Contrastive search against transformers, on the CPU and on the GPU.

use pollster::block_on;
use vitrine::{
    ErrorCode,
    backend::Device,
    cancel::Cancel,
    text::{Contrastive, EndReason, GenerateOptions, LoadOptions, Overflow, TextModel},
    weights::Storage,
};

use crate::{
    common::{ids_in, json, opened, shipped},
    generate::{on_each_device, short_stories, stories},
    texts::open,
};

on_each_device!(
    a_contrastive_search_writes_what_transformers_writes,
    a_search_ends_with_its_share_of_the_context_or_slides,
    a_search_leaves_the_model_as_it_was,
    models_that_cannot_search_so_say_it,
);

fn options(alpha: f32, k: usize, max_tokens: usize) -> GenerateOptions {
    GenerateOptions { contrastive: Some(Contrastive { alpha, k }), max_tokens, ..GenerateOptions::default() }
}

fn written(model: &TextModel, ids: &[u32], options: GenerateOptions) -> (Vec<u32>, EndReason) {
    let mut generation = model.generate_ids(ids, options, Cancel::new()).unwrap();
    let mut tokens = vec![];
    while let Some(event) = block_on(generation.next()).unwrap() {
        if let Some(token) = event.token {
            let logprob = event.logprob.unwrap();
            assert!(logprob <= 1e-4 && event.drawn_logprob == Some(0.0), "{event:?}");
            tokens.push(token);
        }
    }
    (tokens, generation.end_reason().unwrap())
}

/// The trained storyteller, its weights as f32 to the rounding of f16.
fn storyteller(device: &Device) -> TextModel {
    let file = opened(&[shipped("storyteller/storyteller-q8_0.gguf")]);
    let options = LoadOptions { storage: Storage::F16, ..LoadOptions::default() };
    block_on(TextModel::load(&file, device, options, &mut |_, _| (), &Cancel::new())).unwrap()
}

fn a_contrastive_search_writes_what_transformers_writes(device: &Device) {
    let trained = storyteller(device);
    let small = stories(device);
    let cases = json("contrastive.json");
    let mut held = 0;
    // A GPU made of software takes its time for each.
    let (apart, least) = if matches!(device, Device::Gpu(_)) { (2, 3) } else { (1, 7) };
    for case in cases.as_array().unwrap().iter().step_by(apart) {
        let model = match case["model"].as_str().unwrap() {
            "storyteller" => &trained,
            _ => match &small {
                Some(small) => small,
                None => continue,
            },
        };
        let number = |name: &str| case[name].as_f64().unwrap();
        // Where two candidates are nearer to one another than rounding, either is right.
        if number("lead") < 1e-3 {
            continue;
        }
        let asked = options(number("alpha") as f32, number("k") as usize, number("maxTokens") as usize);
        let asked =
            GenerateOptions { repetition_penalty: case["repetitionPenalty"].as_f64().unwrap_or(1.0) as f32, ..asked };
        let (tokens, end) = written(model, &ids_in(&case["prompt"]), asked);
        assert_eq!(tokens, ids_in(&case["tokens"]), "{case}");
        assert_eq!(end, if case["ended"] == true { EndReason::Eos } else { EndReason::Length });
        held += 1;
    }
    assert!(held >= least, "{held}");
}

fn a_search_ends_with_its_share_of_the_context_or_slides(device: &Device) {
    let Some(model) = short_stories(device, 144) else { return };
    let room = model.info().context_length.unwrap() / 4;
    let prompt = [1, 403, 407, 261, 378];
    let full = options(0.6, 4, room * 2);
    let (tokens, end) = written(&model, &prompt, full.clone());
    assert_eq!((tokens.len() + prompt.len(), end), (room, EndReason::Context));
    let (slid, end) =
        written(&model, &prompt, GenerateOptions { overflow: Overflow::Slide, max_tokens: room + 20, ..full });
    assert_eq!((slid.len(), end), (room + 20, EndReason::Length));
    assert_eq!(slid[..tokens.len()], tokens);
    let long = vec![403; room + 1];
    let mut generation = model.generate_ids(&long, options(0.6, 4, 4), Cancel::new()).unwrap();
    let refused = block_on(generation.next()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ContextOverflow);
    assert!(refused.to_string().contains(&format!("holds {room} for each of contrastive's candidates")), "{refused}");
}

fn a_search_leaves_the_model_as_it_was(device: &Device) {
    let Some(model) = stories(device) else { return };
    let prompt = [1, 403, 407, 261, 378];
    let greedy = || {
        let mut generation = model.generate_ids(&prompt, GenerateOptions::greedy(30), Cancel::new()).unwrap();
        block_on(generation.text()).unwrap()
    };
    let before = greedy();
    let cancel = Cancel::new();
    let mut generation = model.generate_ids(&prompt, options(0.6, 5, 40), cancel.clone()).unwrap();
    for _ in 0..5 {
        assert!(block_on(generation.next()).unwrap().is_some());
    }
    cancel.cancel();
    while block_on(generation.next()).unwrap().is_some() {}
    assert_eq!(generation.end_reason(), Some(EndReason::Aborted));
    assert_eq!(greedy(), before);
    // What was banned is no candidate.
    let (tokens, _) = written(&model, &prompt, options(0.6, 4, 12));
    let bias = [(tokens[0], f32::NEG_INFINITY)].into();
    let (others, _) = written(&model, &prompt, GenerateOptions { logit_bias: bias, ..options(0.6, 4, 12) });
    assert!(!others.contains(&tokens[0]), "{others:?}");
}

fn models_that_cannot_search_so_say_it(device: &Device) {
    let model = open("t5", device);
    let refused = model.generate("a b", options(0.6, 4, 4), Cancel::new()).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::BadArgument);
    assert!(refused.to_string().starts_with("contrastive is for models"), "{refused}");
}
