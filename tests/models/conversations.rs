//! Several texts on one model, in turns: what was computed of one is there when it is gone on with, and changes nothing.

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    text::{ChatMessage, ChatOptions, GenerateOptions, GenerationStats, LoadOptions, TextModel},
    weights::Storage,
};

use crate::common::{ids_in, json, on_cpu};
use crate::generate::{WORDS_ALONE, letter, lettered, lettered_with, on_each_device};
use crate::texts;

on_each_device!(
    two_texts_in_turns_are_each_gone_on_with_where_they_ended,
    a_text_is_told_again_from_any_token_of_it,
    other_calls_between_take_nothing_away,
    what_was_used_longest_ago_is_computed_anew_and_right,
    what_an_encoder_read_for_another_text_is_not_read_again,
    what_was_saved_goes_on_to_the_bit,
    what_was_saved_elsewhere_is_refused_in_words_and_gives_its_own,
);

/// Decoders with caches of all kinds, and one whose states are written over.
const FAMILIES: [&str; 5] = ["qwen2", "gemma2", "lfm2", "phi3", "mamba"];

fn run(model: &TextModel, prompt: &str, options: GenerateOptions) -> (Vec<u32>, GenerationStats) {
    block_on(async {
        let mut generation = model.generate(prompt, options, Cancel::new()).expect("a generation");
        let mut tokens = vec![];
        while let Some(event) = generation.next().await.expect("a token") {
            tokens.extend(event.token);
        }
        (tokens, generation.stats())
    })
}

fn greedy(model: &TextModel, prompt: &str) -> (Vec<u32>, GenerationStats) {
    run(model, prompt, GenerateOptions::greedy(20))
}

fn letters(ids: &[u32]) -> String {
    ids.iter().copied().map(letter).collect()
}

/// Two beginnings of 24 tokens of a family.
fn beginnings(family: &str) -> [Vec<u32>; 2] {
    let answers = json(&format!("families/{family}/answers.json"));
    let ids = ids_in(&answers["prompt_ids"])[..24].to_vec();
    [ids.clone(), ids.into_iter().rev().collect()]
}

/// How much of `known` tokens must be there, of which so many were written: what a state space met is known before the last token of the prompt, and behind the
/// last step where none was started after it.
fn least(family: &str, device: &Device, known: usize, written: usize) -> usize {
    let ran_on = family == "mamba" && device.steps_in_flight() > 1;
    known - 1 - if ran_on { written } else { 0 }
}

fn two_texts_in_turns_are_each_gone_on_with_where_they_ended(device: &Device) {
    for family in FAMILIES {
        let (model, mut talks) = (lettered(family, device), beginnings(family));
        for turn in 0..3 {
            for (at, talk) in talks.iter_mut().enumerate() {
                let text = letters(talk);
                let (answer, stats) = greedy(&model, &text);
                if turn == 2 {
                    let (anew, _) = greedy(&lettered(family, device), &text);
                    assert_eq!(answer, anew, "{family}: {at}");
                }
                if turn > 0 {
                    // The words between are new.
                    let least = least(family, device, talk.len() - 7, 20);
                    assert!(stats.reused_tokens >= least, "{family}: turn {turn} of {at}: {stats:?} < {least}");
                }
                talk.extend(&answer);
                talk.extend((0..7).map(|word| (word * 11 + turn) % 80));
            }
        }
    }
}

/// A fork, an edit, and the same once more.
fn a_text_is_told_again_from_any_token_of_it(device: &Device) {
    for family in FAMILIES {
        let model = lettered(family, device);
        let [beginning, other] = beginnings(family);
        let (answer, _) = greedy(&model, &letters(&beginning));
        greedy(&model, &letters(&other));
        let (again, stats) = greedy(&model, &letters(&beginning));
        assert_eq!(again, answer, "{family}");
        assert_eq!(stats.reused_tokens, beginning.len() - 1, "{family}: the same prompt once more");
        let mut edited: Vec<u32> = beginning.iter().chain(&answer[..5]).copied().collect();
        edited.extend([3, 1, 4, 1, 5]);
        let (told, stats) = greedy(&model, &letters(&edited));
        assert_eq!(told, greedy(&lettered(family, device), &letters(&edited)).0, "{family}: from another token on");
        let least = if family == "mamba" { beginning.len() - 1 } else { beginning.len() + 5 };
        assert!(stats.reused_tokens >= least, "{family}: {stats:?}");
        // And the first way is still there.
        let first: Vec<u32> = beginning.iter().chain(&answer).copied().collect();
        let (_, stats) = greedy(&model, &letters(&first));
        let least = self::least(family, device, first.len(), 20);
        assert!(stats.reused_tokens >= least, "{family}: {stats:?} < {least}");
    }
}

fn other_calls_between_take_nothing_away(device: &Device) {
    for family in ["qwen2", "mamba"] {
        let model = lettered(family, device);
        let [beginning, other] = beginnings(family).map(|ids| letters(&ids));
        let (answer, _) = greedy(&model, &beginning);
        block_on(model.score(&other, &Cancel::new())).expect("a score");
        block_on(model.next(&other[..9], 3, &Cancel::new())).expect("candidates");
        if family == "qwen2" {
            let options = vitrine::text::BeamRequest { beams: Some(2.0), max_tokens: Some(4.0), ..Default::default() };
            block_on(model.beams(&beginning, options.check().expect("options"), &Cancel::new())).expect("beams");
        }
        let (again, stats) = greedy(&model, &beginning);
        assert_eq!((again, stats.reused_tokens), (answer, 23), "{family}");
    }
}

fn what_was_used_longest_ago_is_computed_anew_and_right(device: &Device) {
    let model = lettered("qwen2", device);
    let [beginning, other] = beginnings("qwen2");
    let (answer, _) = greedy(&model, &letters(&beginning));
    let before = model.stats().device_bytes;
    for first in 0..12 {
        let text: Vec<u32> = [first].into_iter().chain(other.iter().copied()).collect();
        greedy(&model, &letters(&text));
    }
    let (again, stats) = greedy(&model, &letters(&beginning));
    assert_eq!((again, stats.reused_tokens), (answer, 0));
    assert!(model.stats().device_bytes > before, "what is kept is counted");
}

fn what_an_encoder_read_for_another_text_is_not_read_again(device: &Device) {
    for name in ["t5", "bart"] {
        let answers = texts::answers(name);
        let model = texts::open(name, device);
        let text = |field: &str| answers[field].as_str().expect("a text").to_owned();
        let options = GenerateOptions { decoder_prompt: Some(text("decoder_prompt")), ..GenerateOptions::greedy(16) };
        let (first, _) = run(&model, &text("text"), options.clone());
        greedy(&model, "a dog and a fox and a dog and a fox and a dog and a fox and a dog and a fox");
        let (again, stats) = run(&model, &text("text"), options);
        assert_eq!(again, first, "{name}");
        assert!(stats.reused_tokens > 0, "{name}: {stats:?}");
    }
}

/// Each token of an answer with the bits of its two log-probabilities.
type Bits = Vec<(u32, u32, u32)>;

fn answer(model: &TextModel, messages: &[ChatMessage], options: &GenerateOptions) -> (String, Bits, GenerationStats) {
    block_on(async {
        let mut generation = model.chat(messages, options.clone(), Cancel::new()).expect("an answer");
        let (mut text, mut bits) = (String::new(), vec![]);
        while let Some(event) = generation.next().await.expect("a token") {
            text.push_str(&event.text);
            if let (Some(token), Some(own), Some(drawn)) = (event.token, event.logprob, event.drawn_logprob) {
                bits.push((token, own.to_bits(), drawn.to_bits()));
            }
        }
        (text, bits, generation.stats())
    })
}

fn save(model: &TextModel, messages: &[ChatMessage]) -> Vec<u8> {
    block_on(model.save(messages, &ChatOptions::default(), r#"{"kept": 1}"#.into(), &Cancel::new())).expect("a file")
}

fn restore(model: &TextModel, saved: &[u8], other_model: bool) -> vitrine::Result<String> {
    block_on(model.restore(saved, other_model, &Cancel::new()))
}

/// A model by its name, and what two users say.
fn talkative(name: &str, device: &Device) -> (TextModel, [String; 2]) {
    if name == "t5" {
        let model = texts::open_with_template(name, WORDS_ALONE, device);
        return (model, ["a fox and a dog and a fox", "the dog"].map(String::from));
    }
    (lettered(name, device), beginnings(name).map(|ids| letters(&ids)))
}

/// The text goes on behind a restored conversation as behind the one that was never saved, drawn or not.
fn what_was_saved_goes_on_to_the_bit(device: &Device) {
    let drawn = GenerateOptions { seed: Some(11), max_tokens: 20, temperature: 1.0, ..GenerateOptions::default() };
    let bounded = GenerateOptions {
        mirostat: Some(vitrine::text::Mirostat { tau: 3.0, eta: 0.2 }),
        repetition_penalty: 1.2,
        ..drawn.clone()
    };
    for name in ["qwen2", "gemma2", "lfm2", "mamba", "t5"] {
        for options in [GenerateOptions::greedy(20), drawn.clone(), bounded.clone()] {
            let (model, [first, second]) = talkative(name, device);
            let mut messages = vec![ChatMessage::new("user", &first)];
            let (text, ..) = answer(&model, &messages, &options);
            messages.push(ChatMessage::new("assistant", &text));
            let saved = save(&model, &messages);
            // An encoder reads each conversation anew; the same once more goes on from what it read.
            match name {
                "t5" => messages.truncate(1),
                _ => messages.push(ChatMessage::new("user", &second)),
            }
            let (_, unsaved, stats) = answer(&model, &messages, &options);
            let (other, _) = talkative(name, device);
            assert_eq!(restore(&other, &saved, false).expect("its page"), r#"{"kept": 1}"#, "{name}");
            let (_, restored, again) = answer(&other, &messages, &options);
            assert!(unsaved.len() > 5, "{name}: {unsaved:?}");
            assert_eq!(restored, unsaved, "{name}: {options:?}");
            assert_eq!(again.reused_tokens, stats.reused_tokens, "{name}");
            assert!(name == "t5" || stats.reused_tokens > 20, "{name}: {stats:?}");
            // On another device it goes on too.
            if options.temperature == 0.0 {
                let (elsewhere, _) = talkative(name, &on_cpu());
                restore(&elsewhere, &saved, false).expect("its page");
                let tokens = |bits: &Bits| bits.iter().map(|(token, ..)| *token).collect::<Vec<_>>();
                let (_, there, stats) = answer(&elsewhere, &messages, &options);
                assert_eq!((tokens(&there), stats.reused_tokens), (tokens(&unsaved), again.reused_tokens), "{name}");
            }
        }
    }
}

fn what_was_saved_elsewhere_is_refused_in_words_and_gives_its_own(device: &Device) {
    let (model, [first, second]) = talkative("qwen2", device);
    let messages = [ChatMessage::new("user", &first)];
    let (text, ..) = answer(&model, &messages, &GenerateOptions::greedy(20));
    let saved = save(&model, &messages);
    let widened = LoadOptions { storage: Storage::F32, ..LoadOptions::default() };
    let short = LoadOptions { context_length: Some(16), ..LoadOptions::default() };
    let cases = [
        (lettered("mamba", device), ErrorCode::BadArgument, "was held with"),
        (lettered_with("qwen2", device, widened), ErrorCode::BadArgument, "other weights"),
        (lettered_with("qwen2", device, short), ErrorCode::ContextOverflow, "holds 16"),
    ];
    for (other, code, words) in cases {
        let error = restore(&other, &saved, false).expect_err("another model");
        assert!(error.code() == code && error.to_string().contains(words), "{error}");
        assert_eq!(restore(&other, &saved, true).expect("its page"), r#"{"kept": 1}"#);
    }
    // What is refused leaves the model as it was, and what is saved of nothing is a file too.
    let mut damaged = saved.clone();
    damaged[saved.len() / 2] ^= 8;
    assert_eq!(restore(&model, &damaged, false).expect_err("a damaged file").code(), ErrorCode::CorruptFile);
    assert_eq!(restore(&model, &saved[..99], false).expect_err("a part").code(), ErrorCode::CorruptFile);
    let (again, ..) = answer(&model, &messages, &GenerateOptions::greedy(20));
    assert_eq!(again, text);
    // Nothing is told of what the states hold beside.
    let answered = save(&model, &[messages[0].clone(), ChatMessage::new("assistant", &text)]);
    assert!(answered.len() > saved.len() + 20, "{} {}", answered.len(), saved.len());
    let nothing = save(&model, &[]);
    assert!(nothing.len() < 1000 && restore(&model, &nothing, false).is_ok());
    let unheard = save(&model, &[ChatMessage::new("user", &second)]);
    assert!(unheard.len() < 1000 && restore(&model, &unheard, false).is_ok());
}
