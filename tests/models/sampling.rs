//! Every sampling option on a real trained model (stories260K), on the CPU and on the GPU.

use std::collections::{BTreeMap, HashMap};

use pollster::block_on;
use vitrine::{
    ErrorCode,
    cancel::Cancel,
    text::{Dry, DynamicTemperature, EndReason, GenerateOptions, Mirostat, TextModel, TokenEvent, Xtc},
};

use crate::generate::{on_each_device, short_stories, stories};
use vitrine::backend::Device;

on_each_device!(
    words_that_are_banned_never_come_wherever_tokens_begin,
    a_bias_forces_a_token_and_bans_one,
    a_text_is_not_over_before_its_least_length,
    dry_breaks_a_loop_that_greedy_choice_runs_into,
    penalties_of_a_window_forget_what_left_it,
    mirostat_holds_the_surprise_of_the_text,
    a_trace_tells_what_each_filter_dropped,
    what_one_generation_was_asked_does_not_touch_the_next,
    guesses_change_no_token_and_are_counted,
);

pub fn written(model: &TextModel, prompt: &str, options: GenerateOptions) -> (Vec<TokenEvent>, EndReason) {
    let mut generation = model.generate(prompt, options, Cancel::new()).unwrap();
    let mut events = vec![];
    while let Some(event) = block_on(generation.next()).unwrap() {
        events.push(event);
    }
    (events, generation.end_reason().unwrap())
}

pub fn text(events: &[TokenEvent]) -> String {
    events.iter().map(|event| event.text.as_str()).collect()
}

pub fn tokens(events: &[TokenEvent]) -> Vec<u32> {
    events.iter().filter_map(|event| event.token).collect()
}

pub fn greedy(max_tokens: usize) -> GenerateOptions {
    GenerateOptions::greedy(max_tokens)
}

pub const PROMPT: &str = "Once upon a time, there was a little girl named Lily.";

fn words_that_are_banned_never_come_wherever_tokens_begin(device: &Device) {
    let Some(model) = stories(device) else { return };
    let free = text(&written(&model, PROMPT, greedy(60)).0);
    let banned = ["She", "park", "a big"];
    assert!(banned.iter().all(|words| free.contains(words)), "{free}");
    let options = GenerateOptions { ban: banned.map(String::from).to_vec(), ..greedy(120) };
    let held = text(&written(&model, PROMPT, options).0);
    assert!(!banned.iter().any(|words| held.contains(words)), "{held}");
    assert!(held.len() > 100, "{held}");
}

fn a_bias_forces_a_token_and_bans_one(device: &Device) {
    let Some(model) = stories(device) else { return };
    let (events, _) = written(&model, PROMPT, greedy(20));
    let first = tokens(&events)[0];
    let only = |bias: f32| GenerateOptions { logit_bias: BTreeMap::from([(first, bias)]), ..greedy(20) };
    assert!(tokens(&written(&model, PROMPT, only(100.0)).0).iter().all(|token| *token == first));
    assert!(!tokens(&written(&model, PROMPT, only(f32::NEG_INFINITY)).0).contains(&first));
    // A token past the vocabulary is none of the model's.
    let past = GenerateOptions { logit_bias: BTreeMap::from([(1 << 20, 1.0)]), ..greedy(20) };
    let refused = model.generate(PROMPT, past, Cancel::new()).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::BadArgument);
    assert!(refused.to_string().contains("1048576"), "{refused}");
}

fn a_text_is_not_over_before_its_least_length(device: &Device) {
    let Some(model) = stories(device) else { return };
    // It ends as soon as it may.
    let end = model.tokenizer().special().ends[0];
    let ends = |min_tokens: usize| {
        let options = GenerateOptions { logit_bias: BTreeMap::from([(end, 100.0)]), min_tokens, ..greedy(60) };
        let (events, end) = written(&model, PROMPT, options);
        (tokens(&events).len(), end)
    };
    assert_eq!(ends(0), (0, EndReason::Eos));
    assert_eq!(ends(1), (1, EndReason::Eos));
    assert_eq!(ends(25), (25, EndReason::Eos));
    assert_eq!(ends(60), (60, EndReason::Length));
}

/// How often the most frequent run of eight tokens stands in a text.
fn most_repeated(tokens: &[u32]) -> usize {
    let mut runs: HashMap<&[u32], usize> = HashMap::new();
    tokens.windows(8).for_each(|run| *runs.entry(run).or_default() += 1);
    runs.into_values().max().unwrap_or(0)
}

fn dry_breaks_a_loop_that_greedy_choice_runs_into(device: &Device) {
    let Some(model) = stories(device) else { return };
    let prompt = "The cat sat on the mat. The cat sat on the mat. The cat sat on the mat. The cat";
    let dry = Dry { multiplier: 4.0, base: 1.75, allowed: 2, breakers: vec![] };
    let free = tokens(&written(&model, prompt, greedy(150)).0);
    let held = tokens(&written(&model, prompt, GenerateOptions { dry: Some(dry), ..greedy(150) }).0);
    assert!(most_repeated(&held) < 2 && most_repeated(&held) <= most_repeated(&free), "{held:?}");
    assert_ne!(free, held);
}

fn penalties_of_a_window_forget_what_left_it(device: &Device) {
    let Some(model) = stories(device) else { return };
    let penalised = |window: Option<usize>| {
        let options = GenerateOptions {
            presence_penalty: 10.0,
            repetition_penalty: 10.0,
            penalty_window: window,
            min_tokens: 100,
            ..greedy(100)
        };
        tokens(&written(&model, PROMPT, options).0)
    };
    let nearest = |tokens: &[u32]| {
        let mut at: HashMap<u32, usize> = HashMap::new();
        let gaps = tokens.iter().enumerate().filter_map(|(i, token)| at.insert(*token, i).map(|last| i - last));
        gaps.min().unwrap_or(usize::MAX)
    };
    // No token comes twice within its window; what left it may come again.
    let (five, twenty) = (nearest(&penalised(Some(5))), nearest(&penalised(Some(20))));
    assert!((6..20).contains(&five) && (21..100).contains(&twenty), "{five} {twenty}");
    assert!(nearest(&penalised(None)) > twenty);
}

fn mirostat_holds_the_surprise_of_the_text(device: &Device) {
    let Some(model) = stories(device) else { return };
    let bits = |tau: f32| {
        let options = GenerateOptions {
            temperature: 1.0,
            mirostat: Some(Mirostat { tau, eta: 0.2 }),
            seed: Some(4),
            min_tokens: 200,
            ..greedy(200)
        };
        let (events, _) = written(&model, PROMPT, options);
        let drawn: Vec<f32> = events.iter().filter_map(|event| event.drawn_logprob).collect();
        -drawn.iter().sum::<f32>() / drawn.len() as f32 * std::f32::consts::LOG2_E
    };
    let (little, much) = (bits(0.7), bits(1.4));
    assert!((little - 0.7).abs() < 0.25 && (much - 1.4).abs() < 0.4, "{little} {much}");
}

fn a_trace_tells_what_each_filter_dropped(device: &Device) {
    let Some(model) = stories(device) else { return };
    let options = GenerateOptions {
        temperature: 0.7,
        dynamic_temperature: Some(DynamicTemperature { range: 0.3, exponent: 1.0 }),
        top_n_sigma: 4.0,
        top_k: 12,
        typical_p: 0.98,
        top_p: 0.97,
        min_p: 0.01,
        xtc: Some(Xtc { probability: 0.5, threshold: 0.2 }),
        presence_penalty: 0.2,
        penalty_window: Some(30),
        alternatives: 20,
        trace: true,
        seed: Some(3),
        ..greedy(40)
    };
    let (events, _) = written(&model, PROMPT, options.clone());
    let mut droppers: HashMap<&str, usize> = HashMap::new();
    for event in events.iter().filter(|event| event.token.is_some()) {
        let trace = event.trace.as_ref().unwrap();
        let names: Vec<&str> = trace.filters.iter().map(|(name, _)| *name).collect();
        let all = ["topNSigma", "topK", "typicalP", "topP", "minP", "xtc"];
        assert!(names == all || names == all[..5], "{names:?}");
        assert!(trace.filters.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{:?}", trace.filters);
        let left = trace.filters.last().unwrap().1;
        let kept: Vec<_> = trace.candidates.iter().filter(|candidate| candidate.dropped_by.is_none()).collect();
        assert!(kept.len() <= left && kept.iter().all(|candidate| candidate.probability > 0.0));
        if kept.len() == left {
            let sum: f32 = kept.iter().map(|candidate| candidate.probability).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        }
        // The device drew the token from that very distribution.
        let drawn = trace.candidates.iter().find(|candidate| Some(candidate.token) == event.token).unwrap();
        assert!((drawn.probability.ln() - event.drawn_logprob.unwrap()).abs() < 2e-3, "{drawn:?} {event:?}");
        assert!((drawn.logprob - event.logprob.unwrap()).abs() < 1e-6);
        for dropped in &trace.candidates {
            dropped.dropped_by.into_iter().for_each(|name| *droppers.entry(name).or_default() += 1);
            assert_eq!(dropped.dropped_by.is_some(), dropped.probability == 0.0);
        }
    }
    assert!(["topK", "topP", "xtc"].iter().all(|name| droppers.contains_key(name)), "{droppers:?}");
    let silent = GenerateOptions { trace: false, ..options };
    let (untold, _) = written(&model, PROMPT, silent);
    assert_eq!(tokens(&events), tokens(&untold), "a trace changes nothing");
    let (likeliest, _) = written(&model, PROMPT, GenerateOptions { trace: true, ..greedy(3) });
    let trace = likeliest[0].trace.as_ref().unwrap();
    assert_eq!(trace.filters, [("temperature", 1)]);
    assert_eq!((trace.candidates.len(), trace.candidates[0].probability), (10, 1.0));
}

fn what_one_generation_was_asked_does_not_touch_the_next(device: &Device) {
    let Some(model) = stories(device) else { return };
    let free = tokens(&written(&model, PROMPT, greedy(30)).0);
    let odd = GenerateOptions {
        ban: vec!["a".into()],
        repetition_penalty: 1.4,
        penalty_window: Some(3),
        min_tokens: 10,
        ..greedy(30)
    };
    assert_ne!(tokens(&written(&model, PROMPT, odd).0), free);
    assert_eq!(tokens(&written(&model, PROMPT, greedy(30)).0), free);
}

fn guesses_change_no_token_and_are_counted(device: &Device) {
    let Some(model) = short_stories(device, 192) else { return };
    let prompt = "Lily had a red ball and a big dog. Lily had a red ball and a big dog. Lily had a red";
    let free = tokens(&written(&model, prompt, greedy(60)).0);
    let guessing = |options: GenerateOptions| {
        let mut generation = model.generate(prompt, options, Cancel::new()).unwrap();
        let mut tokens = vec![];
        while let Some(event) = block_on(generation.next()).unwrap() {
            tokens.extend(event.token);
        }
        (tokens, generation.stats())
    };
    let (guessed, stats) = guessing(GenerateOptions { prompt_lookup: 6, ..greedy(60) });
    assert_eq!(guessed, free);
    assert!(stats.accepted_tokens > 0 && stats.drafted_tokens >= stats.accepted_tokens, "{stats:?}");
    // With a draw, penalties of a window, a bias and a least length as well; what follows is as before.
    let odd = GenerateOptions {
        temperature: 0.7,
        top_p: 0.9,
        presence_penalty: 0.4,
        penalty_window: Some(9),
        logit_bias: BTreeMap::from([(5, 1.0)]),
        min_tokens: 30,
        seed: Some(8),
        ..greedy(60)
    };
    let (drawn, _) = guessing(odd.clone());
    let (same, stats) = guessing(GenerateOptions { prompt_lookup: 4, ..odd });
    assert_eq!(drawn, same);
    assert!(stats.drafted_tokens > 0, "{stats:?}");
    assert_eq!(tokens(&written(&model, prompt, greedy(60)).0), free);
    // Until the context is full.
    let room = model.info().context_length.unwrap();
    let (full, _) = guessing(GenerateOptions { prompt_lookup: 15, ..greedy(room * 2) });
    let (plain, _) = guessing(greedy(room * 2));
    assert_eq!(full, plain);
}
