//! The generation loop on a real trained model (stories260K), on the CPU and on the GPU.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use pollster::block_on;
use vitrine::{
    ErrorCode,
    backend::Device,
    cancel::Cancel,
    text::{EndReason, GenerateOptions, LoadOptions, Overflow, TextModel, TokenEvent},
    weights::{MemorySource, SharedSource, WeightFile},
};

use crate::common::{fixture, ids_in, json, reference};

/// Runs each of these statements on both devices.
macro_rules! on_each_device {
    ($($name:ident),* $(,)?) => {
        mod on_the_cpu {
            $(#[test] fn $name() { super::$name(&$crate::common::on_cpu()) })*
        }
        mod on_the_gpu {
            $(#[test] fn $name() { super::$name(&$crate::common::on_gpu()) })*
        }
    };
}
pub(crate) use on_each_device;

on_each_device!(
    two_hundred_greedy_steps_from_nothing_print_what_llama2_c_prints,
    the_same_seed_tells_the_same_story_and_another_seed_another,
    a_seed_that_was_drawn_is_reported_and_repeats_the_text,
    a_stop_string_across_tokens_ends_the_text_before_it,
    an_abort_ends_a_generation_and_leaves_the_model_usable,
    a_generation_that_is_dropped_half_way_leaves_the_model_usable,
    a_second_call_waits_for_the_first,
    a_prompt_longer_than_the_context_is_refused_with_both_numbers,
    a_sliding_window_goes_on_past_the_context,
    a_shared_beginning_is_not_computed_again_and_changes_nothing,
    all_probabilities_together_are_one_and_alternatives_are_the_likeliest,
    a_score_gives_the_logprobs_of_the_generation,
    a_repetition_penalty_changes_what_repeats,
    a_closed_model_says_so,
    a_model_without_a_template_says_what_to_do_instead,
    a_template_that_cannot_be_read_leaves_the_model_usable,
    an_empty_prompt_begins_with_the_beginning_of_text_token,
    odd_options_are_refused_before_anything_runs,
    safetensors_with_their_files_go_on_as_pytorch_does,
    every_family_goes_on_as_pytorch_does_from_both_kinds_of_files,
    a_conversation_goes_through_each_familys_template,
    a_text_that_outgrows_long_ropes_short_divisors_goes_on_as_transformers_does,
    what_a_state_space_met_is_gone_on_from_or_forgotten_whole,
);

fn load(device: &Device, paths: &[&Path], options: LoadOptions) -> TextModel {
    let source = |path: &&Path| -> SharedSource {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Rc::new(MemorySource::new(name, std::fs::read(path).unwrap()))
    };
    block_on(async {
        let file = WeightFile::open_parts(paths.iter().map(source).collect()).await.unwrap();
        TextModel::load(&file, device, options, &mut |_, _| {}, &Cancel::new()).await.unwrap()
    })
}

pub fn stories(device: &Device) -> Option<TextModel> {
    stories_with(device, LoadOptions::default())
}

/// With a context that is soon full.
pub fn short_stories(device: &Device, context_length: usize) -> Option<TextModel> {
    stories_with(device, LoadOptions { context_length: Some(context_length), ..LoadOptions::default() })
}

fn stories_with(device: &Device, options: LoadOptions) -> Option<TextModel> {
    Some(load(device, &[&reference("llm/stories260K/stories260K-f32.gguf")?], options))
}

fn tiny(device: &Device) -> TextModel {
    load(device, &[&fixture("tiny_llama.gguf")], LoadOptions::default())
}

struct Run {
    text: String,
    tokens: Vec<u32>,
    events: Vec<TokenEvent>,
    end: EndReason,
}

fn run(model: &TextModel, prompt: &str, options: GenerateOptions) -> Run {
    run_cancelled(model, prompt, options, Cancel::new(), usize::MAX)
}

/// Raises the signal after so many events.
fn run_cancelled(model: &TextModel, prompt: &str, options: GenerateOptions, cancel: Cancel, after: usize) -> Run {
    block_on(async {
        let mut generation = model.generate(prompt, options, cancel.clone()).unwrap();
        let mut events = vec![];
        while let Some(event) = generation.next().await.unwrap() {
            events.push(event);
            if events.len() == after {
                cancel.cancel();
            }
        }
        Run {
            text: events.iter().map(|e| e.text.as_str()).collect(),
            tokens: events.iter().filter_map(|e| e.token).collect(),
            events,
            end: generation.end_reason().unwrap(),
        }
    })
}

fn greedy(max_tokens: usize) -> GenerateOptions {
    GenerateOptions::greedy(max_tokens)
}

fn seeded(seed: u32, max_tokens: usize) -> GenerateOptions {
    GenerateOptions { seed: Some(seed), max_tokens, temperature: 1.0, ..GenerateOptions::default() }
}

fn two_hundred_greedy_steps_from_nothing_print_what_llama2_c_prints(device: &Device) {
    let Some(expected) = reference("llm/stories260K/greedy200.txt") else { return };
    let Some(model) = stories(device) else { return };
    let expected = std::fs::read_to_string(expected).unwrap();
    let got = run(&model, "", greedy(200));
    assert_eq!(got.text.trim_end(), expected.trim_end());
}

fn the_same_seed_tells_the_same_story_and_another_seed_another(device: &Device) {
    let Some(model) = stories(device) else { return };
    let a = run(&model, "Once", seeded(7, 60));
    run(&model, "Something else in between", seeded(3, 20));
    let b = run(&model, "Once", seeded(7, 60));
    assert_eq!(a.tokens, b.tokens);
    let c = run(&model, "Once", seeded(8, 60));
    assert_ne!(a.tokens, c.tokens);
}

fn a_seed_that_was_drawn_is_reported_and_repeats_the_text(device: &Device) {
    let Some(model) = stories(device) else { return };
    let options = GenerateOptions { max_tokens: 30, ..GenerateOptions::default() };
    let (text, seed) = block_on(async {
        let mut generation = model.generate("One day", options.clone(), Cancel::new()).unwrap();
        (generation.text().await.unwrap(), generation.seed())
    });
    assert_eq!(run(&model, "One day", GenerateOptions { seed: Some(seed), ..options }).text, text);
}

fn a_stop_string_across_tokens_ends_the_text_before_it(device: &Device) {
    let Some(model) = stories(device) else { return };
    let whole = run(&model, "", greedy(60)).text;
    let stop = "named Lily. She";
    let cut = &whole[..whole.find(stop).unwrap_or_else(|| panic!("{whole:?} has no {stop:?}"))];
    let got = run(&model, "", GenerateOptions { stop: vec![stop.into()], ..greedy(60) });
    assert_eq!((got.text.as_str(), got.end), (cut, EndReason::Stop));
    // The model is as it was.
    assert_eq!(run(&model, "", greedy(60)).text, whole);
}

fn an_abort_ends_a_generation_and_leaves_the_model_usable(device: &Device) {
    let Some(model) = stories(device) else { return };
    let whole = run(&model, "", greedy(40));
    let cut = run_cancelled(&model, "", greedy(40), Cancel::new(), 5);
    assert_eq!(cut.end, EndReason::Aborted);
    assert_eq!(cut.tokens, whole.tokens[..5]);
    let raised = Cancel::new();
    raised.cancel();
    assert!(run_cancelled(&model, "", greedy(40), raised, 0).tokens.is_empty());
    assert_eq!(run(&model, "", greedy(40)).tokens, whole.tokens);
}

fn a_generation_that_is_dropped_half_way_leaves_the_model_usable(device: &Device) {
    let Some(model) = stories(device) else { return };
    let whole = run(&model, "Tim", greedy(30)).tokens;
    block_on(async {
        let mut generation = model.generate("Sue", greedy(30), Cancel::new()).unwrap();
        for _ in 0..4 {
            generation.next().await.unwrap();
        }
    });
    assert_eq!(run(&model, "Tim", greedy(30)).tokens, whole);
}

fn a_second_call_waits_for_the_first(device: &Device) {
    let Some(model) = stories(device) else { return };
    let expected = [run(&model, "Tim", greedy(20)).text, run(&model, "Sue", greedy(20)).text];
    let both = block_on(async {
        let mut a = model.generate("Tim", greedy(20), Cancel::new()).unwrap();
        let mut b = model.generate("Sue", greedy(20), Cancel::new()).unwrap();
        let (a, b) = futures_util::future::join(a.text(), b.text()).await;
        [a.unwrap(), b.unwrap()]
    });
    assert_eq!(both, expected);
}

fn a_prompt_longer_than_the_context_is_refused_with_both_numbers(device: &Device) {
    let Some(model) = stories_with(device, LoadOptions { context_length: Some(64), ..LoadOptions::default() }) else {
        return;
    };
    let long = "Once upon a time there was a cat. ".repeat(20);
    let tokens =
        model.tokenizer().encode(&long, vitrine::text::EncodeOptions { add_special: true, parse_special: false });
    let tokens = tokens.unwrap().len();
    let error = block_on(async {
        let mut generation = model.generate(&long, greedy(5), Cancel::new()).unwrap();
        generation.next().await.unwrap_err()
    });
    assert_eq!(error.code(), ErrorCode::ContextOverflow);
    let message = error.to_string();
    assert!(message.contains(&tokens.to_string()) && message.contains("64"), "{message}");
    // Without the wish to slide, the context's end is the end.
    let got = run(&model, "Once upon a time", greedy(200));
    assert_eq!(got.end, EndReason::Context);
    assert!(got.tokens.len() < 64);
}

fn a_sliding_window_goes_on_past_the_context(device: &Device) {
    let Some(model) = stories_with(device, LoadOptions { context_length: Some(64), ..LoadOptions::default() }) else {
        return;
    };
    let slide = |max_tokens| GenerateOptions { overflow: Overflow::Slide, ..greedy(max_tokens) };
    let got = run(&model, "Once upon a time", slide(200));
    assert_eq!((got.tokens.len(), got.end), (200, EndReason::Length));
    let inside = run(&model, "Once upon a time", greedy(40));
    assert_eq!(got.tokens[..40], inside.tokens[..]);
    let long = "Once upon a time there was a cat. ".repeat(20);
    assert_eq!(run(&model, &long, slide(10)).tokens.len(), 10);
}

fn a_shared_beginning_is_not_computed_again_and_changes_nothing(device: &Device) {
    let Some(model) = stories(device) else { return };
    let first = "Once upon a time, there was a little girl named Lily. She loved to play";
    let second = "Once upon a time, there was a little girl named Sue. She had a dog";
    let fresh = {
        let model = stories(device).unwrap();
        run(&model, second, greedy(40))
    };
    run(&model, first, greedy(40));
    let (tokens, stats) = block_on(async {
        let mut generation = model.generate(second, greedy(40), Cancel::new()).unwrap();
        let mut tokens = vec![];
        while let Some(event) = generation.next().await.unwrap() {
            tokens.extend(event.token);
        }
        (tokens, generation.stats())
    });
    assert_eq!(tokens, fresh.tokens);
    assert!(stats.reused_tokens > 10 && stats.reused_tokens < stats.prompt_tokens, "{stats:?}");
    // Going on with a generated text reuses what was generated.
    let longer = format!("{second}{}", fresh.text);
    block_on(async {
        let mut generation = model.generate(&longer, greedy(1), Cancel::new()).unwrap();
        generation.next().await.unwrap();
        assert!(generation.stats().reused_tokens > stats.prompt_tokens + 20, "{:?}", generation.stats());
    });
}

fn all_probabilities_together_are_one_and_alternatives_are_the_likeliest(device: &Device) {
    let Some(model) = stories(device) else { return };
    let vocabulary = model.info().vocabulary;
    let all = block_on(model.next("Once upon a", vocabulary, &Cancel::new())).unwrap();
    assert_eq!(all.len(), vocabulary);
    let sum: f64 = all.iter().map(|c| f64::from(c.logprob).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert!(all.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
    assert_eq!(all[0].text, " time");
    for alternatives in [3, 20] {
        let options = GenerateOptions { alternatives, ..greedy(1) };
        let event = run(&model, "Once upon a", options).events.swap_remove(0);
        assert_eq!(event.alternatives.len(), alternatives);
        for (a, b) in event.alternatives.iter().zip(&all) {
            assert_eq!(a.token, b.token);
            assert!((a.logprob - b.logprob).abs() < 1e-4, "{a:?} {b:?}");
        }
        assert_eq!(event.token, Some(all[0].token));
        assert!((event.logprob.unwrap() - all[0].logprob).abs() < 1e-4);
    }
    for k in [0, vocabulary + 1] {
        assert_eq!(block_on(model.next("a", k, &Cancel::new())).unwrap_err().code(), ErrorCode::BadArgument);
    }
}

fn a_score_gives_the_logprobs_of_the_generation(device: &Device) {
    let Some(model) = stories(device) else { return };
    let got = run(&model, "", greedy(50));
    let score = block_on(model.score(&got.text, &Cancel::new())).unwrap();
    // The same tokens: greedy text tokenizes as it was written.
    let scored: Vec<u32> = score.tokens[1..].iter().map(|t| t.token).collect();
    assert_eq!(scored, got.tokens);
    assert_eq!(score.tokens[0].logprob, None);
    for (token, event) in score.tokens[1..].iter().zip(&got.events) {
        let (a, b) = (token.logprob.unwrap(), event.logprob.unwrap());
        assert!((a - b).abs() < 1e-3, "{token:?} {event:?}");
    }
    let mean = score.logprob / 50.0;
    assert!((score.perplexity - (-mean).exp()).abs() < 1e-9);
    let nonsense = block_on(model.score("xq zzv kkw pqj", &Cancel::new())).unwrap();
    assert!(nonsense.perplexity > 10.0 * score.perplexity);
    let empty = block_on(model.score("", &Cancel::new())).unwrap();
    assert_eq!((empty.logprob, empty.perplexity), (0.0, 1.0));
}

fn a_repetition_penalty_changes_what_repeats(device: &Device) {
    let Some(model) = stories(device) else { return };
    let distinct = |tokens: &[u32]| tokens.iter().collect::<std::collections::HashSet<_>>().len();
    let plain = run(&model, "the the the the", greedy(60));
    let penalised = run(&model, "the the the the", GenerateOptions { repetition_penalty: 1.5, ..greedy(60) });
    assert!(distinct(&penalised.tokens) > distinct(&plain.tokens), "{} {}", plain.text, penalised.text);
}

fn a_closed_model_says_so(device: &Device) {
    let model = tiny(device);
    let mut running = model.generate("a", greedy(50), Cancel::new()).unwrap();
    block_on(running.next()).unwrap();
    model.close();
    let error = loop {
        match block_on(running.next()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the generation ended as if nothing had happened"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), ErrorCode::Closed);
    assert_eq!(model.generate("a", greedy(5), Cancel::new()).err().unwrap().code(), ErrorCode::Closed);
    assert_eq!(block_on(model.score("a b", &Cancel::new())).unwrap_err().code(), ErrorCode::Closed);
}

fn a_model_without_a_template_says_what_to_do_instead(device: &Device) {
    let model = tiny(device);
    let message = vitrine::text::ChatMessage::new("user", "hello");
    let error = model.chat(&[message], greedy(5), Cancel::new()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::BadArgument);
    assert!(error.to_string().contains("generate"), "{error}");
}

fn a_template_that_cannot_be_read_leaves_the_model_usable(device: &Device) {
    let part = |name: &str| fixture(&format!("tiny_qwen3/{name}"));
    let mut sources: Vec<SharedSource> = vec![Rc::new(MemorySource::new(
        "chat_template.jinja",
        b"{{ bos_token }}\n{% for m in messages %}{{ m.content | shout }}{% endfor %}".to_vec(),
    ))];
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        sources.push(Rc::new(MemorySource::new(name, std::fs::read(part(name)).unwrap())));
    }
    let file = block_on(WeightFile::open_parts(sources)).unwrap();
    let options = LoadOptions::default();
    let model = block_on(TextModel::load(&file, device, options, &mut |_, _| (), &Cancel::new())).unwrap();
    assert!(!model.info().chat);
    let problem = model.info().chat_problem.clone().unwrap();
    assert!(problem.contains("line 2: there is no filter 'shout'"), "{problem}");
    let message = vitrine::text::ChatMessage::new("user", "hello");
    let error = model.chat(&[message], greedy(5), Cancel::new()).err().unwrap();
    assert_eq!((error.code(), error.to_string()), (ErrorCode::CorruptFile, problem));
    assert_eq!(run(&model, "license", greedy(3)).end, EndReason::Length);
}

fn an_empty_prompt_begins_with_the_beginning_of_text_token(device: &Device) {
    let model = tiny(device);
    let (got, stats) = block_on(async {
        let mut generation = model.generate("", greedy(5), Cancel::new()).unwrap();
        generation.text().await.unwrap();
        (generation.end_reason(), generation.stats())
    });
    assert_eq!((got, stats.prompt_tokens), (Some(EndReason::Length), 1));
}

fn odd_options_are_refused_before_anything_runs(device: &Device) {
    let model = tiny(device);
    let options = GenerateOptions { temperature: f32::NAN, ..greedy(5) };
    assert_eq!(model.generate("a", options, Cancel::new()).err().unwrap().code(), ErrorCode::BadArgument);
    assert_eq!(model.generate_ids(&[1, 320], greedy(5), Cancel::new()).err().unwrap().code(), ErrorCode::BadArgument);
}

fn safetensors_with_their_files_go_on_as_pytorch_does(device: &Device) {
    let part = |name: &str| fixture(&format!("tiny_llama/{name}"));
    let parts = [part("model.safetensors"), part("config.json"), part("tokenizer.json"), part("tokenizer_config.json")];
    let paths: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let safetensors = load(device, &paths, LoadOptions::default());
    let expected = json("tiny_llama.json");
    let greedy_ids = ids_in(&expected["greedy"]);
    for model in [safetensors, tiny(device)] {
        let got = run(&model, expected["prompt"].as_str().unwrap(), greedy(greedy_ids.len()));
        assert_eq!(got.tokens, greedy_ids);
        assert_eq!(model.tokenizer().special().ends, [0, 2]);
    }
}

/// A small model of a family from its GGUF and from its safetensors.
fn family(device: &Device, name: &str) -> [TextModel; 2] {
    let part = |part: &str| fixture(&format!("tiny_{name}/{part}"));
    let parts = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"].map(part);
    let paths: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let gguf = fixture(&format!("tiny_{name}.gguf"));
    [load(device, &[&gguf], LoadOptions::default()), load(device, &paths, LoadOptions::default())]
}

fn every_family_goes_on_as_pytorch_does_from_both_kinds_of_files(device: &Device) {
    for name in ["qwen3", "gpt2", "gemma3"] {
        let expected = json(&format!("tiny_{name}.json"));
        let tokens = ids_in(&expected["greedy"]);
        for model in family(device, name) {
            assert_eq!(model.info().architecture, name);
            let got = run(&model, expected["prompt"].as_str().unwrap(), greedy(tokens.len()));
            assert_eq!(got.tokens, tokens, "{name}");
            // From nothing too: GPT-2's beginning of a text stands in its configuration alone.
            assert_eq!(run(&model, "", greedy(3)).end, EndReason::Length, "{name}");
        }
    }
}

fn a_conversation_goes_through_each_familys_template(device: &Device) {
    for name in ["qwen3", "gemma3"] {
        let answers = family(device, name).map(|model| {
            let message = vitrine::text::ChatMessage::new("user", "license ");
            let mut generation = model.chat(&[message], greedy(12), Cancel::new()).unwrap();
            block_on(generation.text()).unwrap()
        });
        assert_eq!(answers[0], answers[1], "{name}");
        assert!(!answers[0].is_empty());
    }
}

/// A small model of 80 tokens, each of which is a letter of its own.
pub fn lettered(family: &str, device: &Device) -> TextModel {
    lettered_with(family, device, LoadOptions::default())
}

/// What a conversation is framed with where only its words count.
pub const WORDS_ALONE: &str = "{% for message in messages %}{{ message.content }}{% endfor %}";

pub fn lettered_with(family: &str, device: &Device, options: LoadOptions) -> TextModel {
    let folder = fixture(&format!("families/{family}"));
    let vocabulary: serde_json::Map<_, _> =
        (0..80u32).map(|id| (letter(id).to_string(), serde_json::Value::from(id))).collect();
    let tokenizer = serde_json::json!({
        "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    // No token ends a text.
    let mut config: serde_json::Value = serde_json::from_slice(&read("config.json")).unwrap();
    config["eos_token_id"] = serde_json::Value::Null;
    let parts = [
        ("model.safetensors", read("model.safetensors")),
        ("config.json", config.to_string().into_bytes()),
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("chat_template.jinja", WORDS_ALONE.into()),
    ];
    block_on(async {
        let sources = parts.into_iter().map(|(name, bytes)| Rc::new(MemorySource::new(name, bytes)) as SharedSource);
        let file = WeightFile::open_parts(sources.collect()).await.unwrap();
        TextModel::load(&file, device, options, &mut |_, _| {}, &Cancel::new()).await.unwrap()
    })
}

pub fn letter(id: u32) -> char {
    char::from_u32(0x3041 + id).unwrap()
}

/// Past 32 tokens all of a text is turned by the long divisors, its beginning too; the next short text has the short ones again.
fn a_text_that_outgrows_long_ropes_short_divisors_goes_on_as_transformers_does(device: &Device) {
    let model = lettered("phi3", device);
    for file in ["grown", "short", "answers", "grown", "grown"] {
        let answers = json(&format!("families/phi3/{file}.json"));
        let prompt: String = ids_in(&answers["prompt_ids"]).into_iter().map(letter).collect();
        let wanted = ids_in(&answers["greedy"]);
        assert_eq!(run(&model, &prompt, greedy(wanted.len())).tokens, wanted, "{file}");
    }
}

/// There is no context that could be full, and of a text that begins otherwise nothing is left.
fn what_a_state_space_met_is_gone_on_from_or_forgotten_whole(device: &Device) {
    for family in ["mamba", "rwkv7"] {
        let model = lettered(family, device);
        assert_eq!(model.info().context_length, None);
        let answers = json(&format!("families/{family}/answers.json"));
        let (prompt, wanted) = (ids_in(&answers["prompt_ids"]), ids_in(&answers["greedy"]));
        for written in [0, 20, 7, 63, 0] {
            let text: String = prompt.iter().chain(&wanted[..written]).copied().map(letter).collect();
            let got = run(&model, &text, greedy(64 - written)).tokens;
            assert_eq!(got, wanted[written..], "{family} after {written} tokens");
        }
    }
}
