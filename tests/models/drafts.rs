//! A draft model guesses, and the text is the one that the model writes alone: the storyteller in eight bits, its own copy in four guessing for it.

use std::collections::BTreeMap;

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    text::{GenerateOptions, GenerationStats, LoadOptions, TextModel},
};

use crate::{
    common::{on_cpu, opened, shipped},
    generate::on_each_device,
    sampling::{PROMPT, greedy},
};

on_each_device!(a_draft_changes_no_token_and_is_counted, what_cannot_guess_is_refused);

fn storyteller(device: &Device, quantised: &str, context_length: Option<usize>) -> TextModel {
    let file = opened(&[shipped(&format!("storyteller/storyteller-{quantised}.gguf"))]);
    let options = LoadOptions { context_length, ..LoadOptions::default() };
    block_on(TextModel::load(&file, device, options, &mut |_, _| (), &Cancel::new())).unwrap()
}

fn written(model: &TextModel, draft: Option<&TextModel>, options: GenerateOptions) -> (Vec<u32>, GenerationStats) {
    let mut generation = model.generate(PROMPT, options, Cancel::new()).unwrap();
    if let Some(draft) = draft {
        generation = generation.drafted_by(draft).unwrap();
    }
    let mut tokens = vec![];
    while let Some(event) = block_on(generation.next()).unwrap() {
        tokens.extend(event.token);
    }
    (tokens, generation.stats())
}

fn a_draft_changes_no_token_and_is_counted(device: &Device) {
    let (model, draft) = (storyteller(device, "q8_0", None), storyteller(device, "q4_0", None));
    let (alone, stats) = written(&model, None, greedy(80));
    assert_eq!((stats.drafted_tokens, stats.accepted_tokens), (0, 0));
    let (tokens, stats) = written(&model, Some(&draft), greedy(80));
    assert_eq!(tokens, alone);
    assert!(stats.accepted_tokens > 0 && stats.drafted_tokens >= stats.accepted_tokens, "{stats:?}");
    // Drawn, with penalties of a window, a bias and a least length as well, of several seeds; of some on a GPU made of software, which takes its time.
    let seeds = if matches!(device, Device::Gpu(_)) { 3 } else { 8 };
    let (mut accepted, mut texts) = (0, BTreeMap::new());
    for seed in 0..seeds {
        let drawn = GenerateOptions {
            temperature: 0.9,
            top_p: 0.9,
            presence_penalty: 0.4,
            penalty_window: Some(9),
            logit_bias: BTreeMap::from([(5, 1.0)]),
            min_tokens: 24,
            seed: Some(seed),
            ..greedy(40)
        };
        let (tokens, stats) = written(&model, Some(&draft), drawn.clone());
        assert_eq!(tokens, written(&model, None, drawn).0, "seed {seed}");
        accepted += stats.accepted_tokens;
        texts.insert(tokens, seed);
    }
    assert!(accepted > 0 && texts.len() == seeds as usize, "{accepted} accepted, {} texts", texts.len());
    // The draft model writes what it would have written.
    let (own, _) = written(&draft, None, greedy(30));
    assert_eq!(own, written(&storyteller(device, "q4_0", None), None, greedy(30)).0);
}

fn what_cannot_guess_is_refused(device: &Device) {
    let (model, draft) = (storyteller(device, "q8_0", None), storyteller(device, "q4_0", None));
    let refused = |options: GenerateOptions, draft: &TextModel| {
        let error = model.generate(PROMPT, options, Cancel::new()).unwrap().drafted_by(draft).err().unwrap();
        (error.code(), error.to_string())
    };
    let of = |options: GenerateOptions, draft: &TextModel, words: &str| {
        let (code, said) = refused(options, draft);
        assert!(code == ErrorCode::BadArgument && said.contains(words), "{code:?}: {said}");
    };
    of(greedy(9), &model, "draft is the model itself");
    of(GenerateOptions { prompt_lookup: 4, ..greedy(9) }, &draft, "draft and promptLookup");
    of(GenerateOptions { trace: true, ..greedy(9) }, &draft, "need them one by one");
    of(GenerateOptions { ban: vec!["a fox".into()], ..greedy(9) }, &draft, "need them one by one");
    if let Some(other) = crate::generate::stories(device) {
        of(greedy(9), &other, "draft has other tokens");
    }
    draft.close();
    assert_eq!(refused(greedy(9), &draft).0, ErrorCode::Closed);
}

#[test]
fn a_draft_model_of_another_device_is_refused() {
    let (model, draft) = (storyteller(&on_cpu(), "q8_0", None), storyteller(&crate::common::on_gpu(), "q4_0", None));
    let error = model.generate(PROMPT, greedy(9), Cancel::new()).unwrap().drafted_by(&draft).err().unwrap();
    assert_eq!(error.code(), ErrorCode::BadArgument);
    assert!(error.to_string().contains("another device"), "{error}");
}

/// One whose context is full guesses no more, and the text goes on.
#[test]
fn a_draft_model_with_a_short_context_guesses_as_far_as_it_reaches() {
    let (model, draft) = (storyteller(&on_cpu(), "q8_0", None), storyteller(&on_cpu(), "q4_0", Some(32)));
    let (tokens, stats) = written(&model, Some(&draft), greedy(80));
    assert_eq!(tokens, written(&model, None, greedy(80)).0);
    assert!(stats.drafted_tokens <= 32, "{stats:?}");
}

#[test]
fn a_draft_model_that_is_closed_or_a_signal_ends_the_text_and_the_model_goes_on() {
    let (model, draft) = (storyteller(&on_cpu(), "q8_0", None), storyteller(&on_cpu(), "q4_0", None));
    let (expected, _) = written(&model, None, greedy(40));
    let cancel = Cancel::new();
    let mut stopped = model.generate(PROMPT, greedy(40), cancel.clone()).unwrap().drafted_by(&draft).unwrap();
    block_on(stopped.next()).unwrap();
    cancel.cancel();
    while block_on(stopped.next()).unwrap().is_some() {}
    assert_eq!(written(&model, Some(&draft), greedy(40)).0, expected);
    let mut running = model.generate(PROMPT, greedy(40), Cancel::new()).unwrap().drafted_by(&draft).unwrap();
    block_on(running.next()).unwrap();
    draft.close();
    let error = loop {
        match block_on(running.next()) {
            Ok(event) => assert!(event.is_some(), "it ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), ErrorCode::Closed);
    assert!(error.to_string().contains("draft model was unloaded"), "{error}");
    assert_eq!(written(&model, None, greedy(40)).0, expected);
}

/// Two calls that need the same two models, each as the other's draft, wait for one another and never for ever.
#[test]
fn two_models_that_guess_for_each_other_take_their_turns() {
    let (a, b) = (storyteller(&on_cpu(), "q8_0", None), storyteller(&on_cpu(), "q4_0", None));
    let text = |model: &TextModel, draft: &TextModel| {
        let mut generation = model.generate(PROMPT, greedy(12), Cancel::new()).unwrap().drafted_by(draft).unwrap();
        async move { generation.text().await.unwrap() }
    };
    let (first, second) = (text(&a, &b), text(&b, &a));
    let (first, second) = block_on(async { futures_util::join!(first, second) });
    let alone =
        |model: &TextModel| block_on(model.generate(PROMPT, greedy(12), Cancel::new()).unwrap().text()).unwrap();
    assert_eq!((first, second), (alone(&a), alone(&b)));
}
