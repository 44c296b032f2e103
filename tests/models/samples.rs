//! Several texts behind one prompt, written at once: each is what a generation with its seed writes, on the CPU and on the GPU.

use std::collections::BTreeMap;

use pollster::block_on;
use vitrine::{
    ErrorCode,
    backend::Device,
    cancel::Cancel,
    text::{Beginning, Dry, EndReason, GenerateOptions, Mirostat, Samples, TextModel, TokenEvent},
};

use crate::{
    generate::{on_each_device, short_stories, stories},
    sampling::{text, tokens, written},
    texts::{answers, open},
};

on_each_device!(
    each_sample_is_what_a_generation_with_its_seed_writes,
    what_follows_the_text_of_each_sample_is_its_own,
    samples_end_each_on_its_own,
    samples_that_share_no_step_are_written_one_after_another,
    encoder_decoders_write_several_texts_of_one,
    an_abort_ends_all_samples_and_leaves_the_model_usable,
    samples_that_cannot_be_are_refused,
);

const PROMPT: &str = "Once upon a time, there was a little girl named Lily.";

fn drawn(n: usize, max_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        n,
        max_tokens,
        temperature: 0.9,
        top_p: 0.95,
        seed: Some(u32::MAX - 2),
        ..GenerateOptions::default()
    }
}

fn begun(model: &TextModel, prompt: &str, options: GenerateOptions) -> Samples {
    model.samples(Beginning::Text(prompt), options, Cancel::new()).unwrap()
}

/// The events of each text, and the order in which they came.
fn all(samples: &mut Samples) -> (Vec<Vec<TokenEvent>>, Vec<usize>) {
    let mut texts = vec![vec![]; samples.texts().len()];
    let mut order = vec![];
    while let Some(event) = block_on(samples.next()).unwrap() {
        let at = event.index.unwrap_or(0);
        texts[at].push(event.event);
        order.push(at);
    }
    (texts, order)
}

fn alone(model: &TextModel, prompt: &str, options: &GenerateOptions, at: usize) -> (Vec<TokenEvent>, EndReason) {
    let seed = options.seed.map(|seed| seed.wrapping_add(at as u32));
    let options = GenerateOptions { n: 1, seed, ..options.clone() };
    written(model, prompt, options)
}

/// Every sample with these options against the generation that it stands for; returns the texts, and the order in which tokens came.
fn held(model: &TextModel, prompt: &str, options: GenerateOptions) -> (Vec<Vec<TokenEvent>>, Vec<usize>) {
    let mut samples = begun(model, prompt, options.clone());
    let (texts, order) = all(&mut samples);
    assert_eq!(texts.len(), options.n);
    for (at, (events, told)) in texts.iter().zip(samples.texts()).enumerate() {
        let (expected, end) = alone(model, prompt, &options, at);
        assert_eq!(tokens(events), tokens(&expected), "text {at} of {options:?}");
        assert_eq!(text(events), text(&expected));
        assert_eq!(told.finish_reason, Some(end));
        assert_eq!(told.generated_tokens, tokens(events).len());
        for (event, expected) in events.iter().zip(&expected) {
            let near = |a: Option<f32>, b: Option<f32>| (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 2e-3;
            assert!(near(event.logprob, expected.logprob), "{event:?} {expected:?}");
            assert!(near(event.drawn_logprob, expected.drawn_logprob), "{event:?} {expected:?}");
            assert_eq!(event.alternatives.len(), expected.alternatives.len());
            assert_eq!(event.trace.is_some(), expected.trace.is_some());
        }
    }
    let generated: usize = texts.iter().map(|events| tokens(events).len()).sum();
    assert_eq!(samples.stats().generated_tokens, generated);
    (texts, order)
}

/// Whether the first token of each text came before the second of any.
fn at_once(order: &[usize], n: usize) -> bool {
    order[..n].iter().copied().eq(0..n)
}

fn each_sample_is_what_a_generation_with_its_seed_writes(device: &Device) {
    let Some(model) = stories(device) else { return };
    let (texts, order) = held(&model, PROMPT, drawn(8, 40));
    assert!(at_once(&order, 8), "{order:?}");
    let mut different: Vec<String> = texts.iter().map(|events| text(events)).collect();
    different.sort();
    different.dedup();
    assert!(different.len() >= 7, "{different:?}");
    // The likeliest token is the same for all.
    let (greedy, _) = held(&model, PROMPT, GenerateOptions { n: 3, ..GenerateOptions::greedy(12) });
    assert!(greedy.iter().all(|events| tokens(events) == tokens(&greedy[0])));
    // The prompt was computed once, and serves whoever comes next.
    let mut samples = begun(&model, PROMPT, drawn(2, 4));
    all(&mut samples);
    let stats = samples.stats();
    assert!(stats.prompt_tokens > 10 && stats.reused_tokens + 1 == stats.prompt_tokens, "{stats:?}");
}

fn what_follows_the_text_of_each_sample_is_its_own(device: &Device) {
    let Some(model) = stories(device) else { return };
    let penalties = GenerateOptions {
        presence_penalty: 0.6,
        frequency_penalty: 0.2,
        repetition_penalty: 1.2,
        penalty_window: Some(12),
        logit_bias: BTreeMap::from([(5, 1.0)]),
        min_tokens: 24,
        ban: vec!["She".into(), "a big".into()],
        alternatives: 3,
        trace: true,
        ..drawn(4, 30)
    };
    let (texts, order) = held(&model, PROMPT, penalties);
    assert!(at_once(&order, 4) && texts.iter().all(|events| !text(events).contains("She")));
    let dry = Dry { multiplier: 4.0, base: 1.75, allowed: 2, breakers: vec![] };
    held(&model, PROMPT, GenerateOptions { dry: Some(dry), ..drawn(3, 30) });
    let mirostat = GenerateOptions { mirostat: Some(Mirostat { tau: 2.0, eta: 0.2 }), ..drawn(3, 30) };
    held(&model, PROMPT, mirostat);
}

fn samples_end_each_on_its_own(device: &Device) {
    let Some(model) = stories(device) else { return };
    let stopping = GenerateOptions {
        stop: [" big", " mom", " park", " day"].map(String::from).to_vec(),
        temperature: 1.4,
        ..drawn(6, 40)
    };
    let (texts, order) = held(&model, PROMPT, stopping);
    assert!(at_once(&order, 6));
    let lengths: Vec<usize> = texts.iter().map(|events| tokens(events).len()).collect();
    assert!(lengths.iter().any(|length| *length != lengths[0]), "{lengths:?}");
    // Some end where the model ends them, others go on.
    let end = model.tokenizer().special().ends[0];
    let mut reasons = vec![];
    for bias in [12.0, 15.0, 18.0] {
        let ending = GenerateOptions { logit_bias: BTreeMap::from([(end, bias)]), ..drawn(6, 24) };
        let mut samples = begun(&model, PROMPT, ending.clone());
        all(&mut samples);
        reasons.extend(samples.texts().iter().filter_map(|text| text.finish_reason));
        held(&model, PROMPT, ending);
    }
    assert!([EndReason::Eos, EndReason::Length].iter().all(|reason| reasons.contains(reason)), "{reasons:?}");
}

fn samples_that_share_no_step_are_written_one_after_another(device: &Device) {
    let Some(model) = short_stories(device, 144) else { return };
    let room = model.info().context_length.unwrap();
    // Two have room in the context at a time, of five.
    let (_, order) = held(&model, PROMPT, drawn(5, room / 2 - 20));
    let first_of = |at: usize| order.iter().position(|one| *one == at).unwrap();
    assert!(at_once(&order, 2) && first_of(3) < first_of(4) && first_of(2) > 20, "{order:?}");
    // One has, which ends with the context.
    let (texts, order) = held(&model, "Once", drawn(2, room * 2));
    assert!(order.windows(2).all(|pair| pair[0] <= pair[1]) && texts.len() == 2);
    // What is guessed is guessed for one text.
    let (_, order) = held(&model, PROMPT, GenerateOptions { prompt_lookup: 4, ..drawn(2, 20) });
    assert!(order.windows(2).all(|pair| pair[0] <= pair[1]));
}

fn encoder_decoders_write_several_texts_of_one(device: &Device) {
    for name in ["t5", "marian", "bart"] {
        let model = open(name, device);
        let read = answers(name)["text"].as_str().unwrap().to_owned();
        let mut samples = begun(&model, &read, drawn(3, 10));
        let (texts, order) = all(&mut samples);
        assert!(at_once(&order, 3), "{name}: {order:?}");
        for (at, events) in texts.iter().enumerate() {
            assert_eq!(tokens(events), tokens(&alone(&model, &read, &drawn(3, 10), at).0), "{name} {at}");
        }
    }
}

fn an_abort_ends_all_samples_and_leaves_the_model_usable(device: &Device) {
    let Some(model) = stories(device) else { return };
    let cancel = Cancel::new();
    let mut samples = model.samples(Beginning::Text(PROMPT), drawn(4, 40), cancel.clone()).unwrap();
    for _ in 0..6 {
        assert!(block_on(samples.next()).unwrap().is_some());
    }
    cancel.cancel();
    while block_on(samples.next()).unwrap().is_some() {}
    assert!(samples.texts().iter().all(|text| text.finish_reason == Some(EndReason::Aborted)));
    // One that is dropped half way gives its turn back as well.
    let mut dropped = begun(&model, PROMPT, drawn(4, 40));
    block_on(dropped.next()).unwrap();
    drop(dropped);
    held(&model, PROMPT, drawn(2, 10));
}

fn samples_that_cannot_be_are_refused(device: &Device) {
    let Some(model) = stories(device) else { return };
    for n in [0, 129, 1_000_000] {
        let refused = model.samples(Beginning::Text(PROMPT), drawn(n, 4), Cancel::new()).err().unwrap();
        assert_eq!(refused.code(), ErrorCode::BadArgument);
        assert!(refused.to_string().contains(&format!("n is {n}, but must be from 1 to 128")), "{refused}");
    }
    let refused = model.generate(PROMPT, drawn(2, 4), Cancel::new()).err().unwrap();
    assert!(refused.to_string().contains("take samples"), "{refused}");
    let long = "a ".repeat(model.info().context_length.unwrap() + 1);
    let mut samples = begun(&model, &long, drawn(2, 4));
    assert_eq!(block_on(samples.next()).unwrap_err().code(), ErrorCode::ContextOverflow);
    assert!(block_on(samples.next()).unwrap().is_none());
}
