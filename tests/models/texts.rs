//! Models that write texts otherwise than a decoder alone, from text to text, against transformers and PyTorch (`training/make_text_fixtures.py`).

use std::{fs, path::PathBuf, rc::Rc};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    models::EncoderDecoder,
    text::{EndReason, GenerateOptions, LoadOptions, Overflow, TextModel, TokenEvent},
    weights::{MemorySource, PathSource, SharedSource, Storage, WeightFile},
};

use crate::PUBLISHED;
use crate::common::{fixture, ids_in, json, numbers_in, on_cpu, on_gpu, opened, proofs::RANDOM, proved, reference};

const ENCODER_DECODERS: [&str; 7] = ["t5", "mt5", "umt5", "bart", "marian", "marian-apart", "pegasus"];
const RECURRENT: [&str; 4] = ["gru", "lstm-one-hot", "rnn-tanh", "lstm-tensorflow"];

pub fn answers(name: &str) -> Value {
    json(&format!("texts/{name}/answers.json"))
}

/// All files of a folder, but answers and other formats.
fn files(folder: PathBuf, left_out: &[&str]) -> vitrine::Result<WeightFile> {
    block_on(WeightFile::open_parts(sources(folder, left_out)))
}

fn sources(folder: PathBuf, left_out: &[&str]) -> Vec<SharedSource> {
    let mut sources: Vec<SharedSource> = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name != "answers.json" && !left_out.contains(&name.as_str()) {
            sources.push(Rc::new(PathSource::open(&path).expect("a file")));
        }
    }
    sources
}

fn load(file: &WeightFile, device: &Device, storage: Storage) -> vitrine::Result<TextModel> {
    let options = LoadOptions { storage, ..LoadOptions::default() };
    block_on(TextModel::load(file, device, options, &mut |_, _| (), &Cancel::new()))
}

pub fn open(name: &str, device: &Device) -> TextModel {
    let file = files(fixture(&format!("texts/{name}")), &["checkpoint.pth"]).expect("files");
    load(&file, device, Storage::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The same with a template for conversations.
pub fn open_with_template(name: &str, template: &str, device: &Device) -> TextModel {
    let mut sources = sources(fixture(&format!("texts/{name}")), &["checkpoint.pth"]);
    sources.push(Rc::new(MemorySource::new("chat_template.jinja", template.as_bytes())));
    let file = block_on(WeightFile::open_parts(sources)).expect("files");
    load(&file, device, Storage::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The CPU, and the GPU as it is; the paths of hardware are taken in `spine.rs`.
fn every_device() -> [Device; 2] {
    [on_cpu(), on_gpu()]
}

/// All that is written, and why it ended.
fn written(model: &TextModel, prompt: &str, options: GenerateOptions) -> (Vec<TokenEvent>, EndReason) {
    let mut generation = model.generate(prompt, options, Cancel::new()).expect("a generation");
    let mut events = vec![];
    while let Some(event) = block_on(generation.next()).expect("a token") {
        events.push(event);
    }
    (events, generation.end_reason().expect("an end"))
}

fn tokens(events: &[TokenEvent]) -> Vec<u32> {
    events.iter().filter_map(|event| event.token).collect()
}

fn text(events: &[TokenEvent]) -> String {
    events.iter().map(|event| event.text.as_str()).collect()
}

#[track_caller]
fn as_likely(name: &str, events: &[TokenEvent], answers: &Value) {
    let wanted = numbers_in(&answers["logprobs"]);
    let got: Vec<f32> = events.iter().filter_map(|event| event.logprob).collect();
    let off = got.iter().zip(&wanted).fold(0f32, |most, (got, wanted)| most.max((got - wanted).abs()));
    println!("{name}: log-probabilities off by {off:.1e}");
    // Marian's weights are spread so far that in f32 PyTorch's own logits are off by 0.01.
    let most = if name.starts_with("marian") { 0.02 } else { 1e-3 };
    assert!(got.len() == wanted.len() && off < most, "{name}: a log-probability is off by {off}");
}

#[test]
fn every_encoder_decoder_writes_what_transformers_writes() {
    for device in every_device() {
        for name in ENCODER_DECODERS {
            let answers = answers(name);
            let model = open(name, &device);
            let info = model.info();
            assert!(info.encoder_decoder && info.kind == "text" && name.starts_with(&info.architecture), "{info:?}");
            let prompt = answers["text"].as_str().expect("a text");
            let ids = model
                .tokenizer()
                .encode(prompt, vitrine::text::EncodeOptions { add_special: true, parse_special: false });
            assert_eq!(ids.expect("ids"), ids_in(&answers["ids"]), "{name}");
            let (events, end) = written(&model, prompt, GenerateOptions::greedy(64));
            assert_eq!((tokens(&events), end), (ids_in(&answers["tokens"]), EndReason::Length), "{name}");
            as_likely(name, &events, &answers);

            // A beginning of the writer's own, and the same text once more: nothing is read anew, and nothing is left of what was written.
            let begun = answers["decoder_prompt"].as_str().expect("a text");
            let options = GenerateOptions { decoder_prompt: Some(begun.into()), ..GenerateOptions::greedy(16) };
            let after = tokens(&written(&model, prompt, options).0);
            assert!(after.len() >= 15 && after == ids_in(&answers["after_prompt"])[..after.len()], "{name}: {after:?}");
            assert_eq!(tokens(&written(&model, prompt, GenerateOptions::greedy(64)).0), ids_in(&answers["tokens"]));
            // Another text between, longer and shorter.
            for other in ["the dog", "a dog and a fox and a dog and a fox and a dog and a fox and a dog and a fox"] {
                assert_ne!(
                    tokens(&written(&model, other, GenerateOptions::greedy(16)).0),
                    ids_in(&answers["tokens"])[..16]
                );
            }
            assert_eq!(tokens(&written(&model, prompt, GenerateOptions::greedy(64)).0), ids_in(&answers["tokens"]));
            let next = block_on(model.next(prompt, 3, &Cancel::new())).expect("candidates");
            assert_eq!(next[0].token, ids_in(&answers["tokens"])[0], "{name}");
            proved(name, "safetensors", &device, RANDOM);
        }
    }
}

#[test]
fn a_t5_in_gguf_writes_what_transformers_writes() {
    let answers = json("texts/t5.gguf.json");
    let prompt = answers["text"].as_str().expect("a text");
    for device in every_device() {
        let file = opened(&[fixture("texts/t5.gguf")]);
        let model = load(&file, &device, Storage::default()).expect("a model");
        let info = model.info();
        assert!(info.encoder_decoder && info.architecture == "t5" && info.context_length.is_some(), "{info:?}");
        let framed = vitrine::text::EncodeOptions { add_special: true, parse_special: false };
        assert_eq!(model.tokenizer().encode(prompt, framed).expect("ids"), ids_in(&answers["ids"]));
        let (events, end) = written(&model, prompt, GenerateOptions::greedy(32));
        assert_eq!((tokens(&events), end), (ids_in(&answers["tokens"]), EndReason::Length));
        as_likely("t5.gguf", &events, &answers);
        proved("t5", "GGUF", &device, RANDOM);
    }
}

#[test]
fn every_recurrent_model_writes_what_pytorch_writes() {
    for device in every_device() {
        for name in RECURRENT {
            let answers = answers(name);
            let model = open(name, &device);
            assert_eq!(model.info().context_length, None);
            let prompt = answers["text"].as_str().expect("a text");
            for _ in 0..2 {
                let (events, _) = written(&model, prompt, GenerateOptions::greedy(64));
                assert_eq!(text(&events), answers["written"].as_str().expect("a text"), "{name}");
                as_likely(name, &events, &answers);
            }
            // Gone on with, from what the states hold and from the beginning.
            let all = answers["written"].as_str().expect("a text");
            let half: String = all.chars().take(30).collect();
            let rest: String = all.chars().skip(30).collect();
            for before in [prompt, "a fox"] {
                written(&model, before, GenerateOptions::greedy(7));
                let (events, _) = written(&model, &format!("{prompt}{half}"), GenerateOptions::greedy(34));
                assert_eq!(text(&events), rest, "{name} after {before}");
            }
            let score = block_on(model.score(&format!("{prompt}{all}"), &Cancel::new())).expect("a score");
            let wanted: f32 = numbers_in(&answers["logprobs"]).iter().sum();
            let got: f32 = score.tokens.iter().skip(prompt.len()).filter_map(|token| token.logprob).sum();
            assert!((got - wanted).abs() < 1e-2, "{name}: {got}, and PyTorch has {wanted}");
            let format = if name == "lstm-tensorflow" { "TensorFlow's" } else { "safetensors" };
            proved(name, format, &device, RANDOM);
        }
    }
}

#[test]
fn a_recurrent_model_is_found_in_a_checkpoint_of_pytorch() {
    for name in ["gru", "lstm-one-hot", "rnn-tanh"] {
        let file = files(fixture(&format!("texts/{name}")), &["model.safetensors"]).expect("files");
        let model = load(&file, &on_cpu(), Storage::default()).expect("a model");
        let answers = answers(name);
        let (events, _) = written(&model, answers["text"].as_str().expect("a text"), GenerateOptions::greedy(64));
        assert_eq!(text(&events), answers["written"].as_str().expect("a text"), "{name}");
        proved(name, "PyTorch's", &on_cpu(), RANDOM);
    }
}

#[test]
fn a_published_model_of_characters_writes_as_its_formulas_say() {
    let Some(folder) = reference("published/charrnn/darwin") else { return };
    let answers = json("texts/darwin.json");
    for device in every_device() {
        let file = files(folder.clone(), &[]).expect("files");
        let model = load(&file, &device, Storage::default()).expect("a model");
        let (events, _) = written(&model, answers["text"].as_str().expect("a text"), GenerateOptions::greedy(200));
        assert_eq!(text(&events), answers["written"].as_str().expect("a text"));
        as_likely("darwin", &events, &answers);
        proved("lstm-tensorflow", "TensorFlow's", &device, PUBLISHED);
    }
}

#[test]
fn an_encoder_and_a_decoder_of_grus_in_numpys_archive_write_what_pytorch_writes() {
    let answers = answers("g2p");
    for device in every_device() {
        for left_out in ["deflated.npz", "model.npz"] {
            let file = files(fixture("texts/g2p"), &[left_out]).expect("files");
            let model = load(&file, &device, Storage::default()).expect("a model");
            let info = model.info();
            assert!(info.encoder_decoder && info.architecture == "gru" && info.context_length.is_none(), "{info:?}");
            let framed = vitrine::text::EncodeOptions { add_special: true, parse_special: false };
            let cases = answers["cases"].as_array().expect("cases");
            // Twice, so that nothing is left of one word where the next is read.
            for case in cases.iter().chain(cases) {
                let word = case["word"].as_str().expect("a word");
                assert_eq!(model.tokenizer().encode(word, framed).expect("ids"), ids_in(&case["letters"]));
                let (events, end) = written(&model, word, GenerateOptions::greedy(24));
                let wanted = ids_in(&case["tokens"]);
                let ends = if case["ended"] == true { EndReason::Eos } else { EndReason::Length };
                assert_eq!((&tokens(&events)[..wanted.len()], end), (wanted.as_slice(), ends), "{word}");
                let shown =
                    case["written"].as_str().expect("phonemes").split(' ').filter(|part| !part.starts_with('<'));
                assert_eq!(text(&events), shown.collect::<Vec<_>>().join(" "), "{word}");
                let likely: Vec<f32> = events.iter().filter_map(|event| event.logprob).collect();
                for (got, wanted) in likely.iter().zip(numbers_in(&case["logprobs"])) {
                    assert!((got - wanted).abs() < 1e-3, "{word}: {got}, and PyTorch has {wanted}");
                }
            }
        }
        proved("g2p", "NumPy's", &device, RANDOM);
    }
}

#[test]
fn models_with_an_encoder_are_quantised_while_they_load() {
    let file = files(fixture("texts/t5"), &[]).expect("files");
    for storage in [Storage::Q8_0, Storage::F16] {
        let model = load(&file, &on_cpu(), storage).expect("a model");
        let (events, _) = written(&model, "the fox", GenerateOptions::greedy(8));
        assert!(!events.is_empty());
    }
}

#[test]
fn what_cannot_be_read_or_does_not_apply_is_refused_in_words() {
    let refused = |error: Option<vitrine::Error>, code: ErrorCode, said: &str| {
        let error = error.expect("refused");
        assert!(error.code() == code && error.to_string().contains(said), "{error} does not say {said}");
    };
    let bart = open("bart", &on_cpu());
    let begin = |model: &TextModel, prompt: &str, options| model.generate(prompt, options, Cancel::new());
    let long = "a fox ".repeat(30);
    let mut generation = begin(&bart, &long, GenerateOptions::default()).expect("a generation");
    refused(block_on(generation.next()).err(), ErrorCode::ContextOverflow, "holds 100");
    refused(block_on(bart.score("a fox", &Cancel::new())).err(), ErrorCode::BadArgument, "writes another");
    let gru = open("gru", &on_cpu());
    let options = GenerateOptions { decoder_prompt: Some("a".into()), ..GenerateOptions::default() };
    refused(begin(&gru, "a fox", options).err(), ErrorCode::BadArgument, "decoderPrompt");
    refused(begin(&gru, "Ω", GenerateOptions::default()).err(), ErrorCode::BadArgument, "'Ω' is none of the 34");
    let g2p = files(fixture("texts/g2p"), &["deflated.npz"]).expect("files");
    let speller = load(&g2p, &on_cpu(), Storage::default()).expect("a model");
    let options = GenerateOptions { decoder_prompt: Some("AA1".into()), ..GenerateOptions::default() };
    refused(begin(&speller, "fox", options).err(), ErrorCode::BadArgument, "writes phonemes");
    let g2p = files(fixture("texts/g2p"), &["deflated.npz", "config.json"]).expect("files");
    refused(
        load(&g2p, &on_cpu(), Storage::default()).err(),
        ErrorCode::CorruptFile,
        "29 letters and writes 30 phonemes",
    );
    let file = files(fixture("texts/gru"), &["checkpoint.pth"]).expect("files");
    let options = LoadOptions { context_length: Some(64), ..LoadOptions::default() };
    let loaded = block_on(TextModel::load(&file, &on_cpu(), options, &mut |_, _| (), &Cancel::new()));
    refused(loaded.err(), ErrorCode::BadArgument, "contextLength");
    let file = files(fixture("texts/gru"), &["checkpoint.pth", "config.json"]).expect("files");
    refused(load(&file, &on_cpu(), Storage::default()).err(), ErrorCode::BadArgument, "vocab.json");
    // A table that no file bounds.
    let file = files(fixture("texts/marian"), &[]).expect("files");
    let mut config = file.extra_json("config.json").expect("JSON").expect("a configuration");
    config["max_position_embeddings"] = (1 << 20).into();
    let found = EncoderDecoder::find(&config, &file, Storage::default());
    refused(found.err(), ErrorCode::CorruptFile, "max_position_embeddings");
    // The model goes on after what was refused, and where its context slides.
    let options = GenerateOptions { overflow: Overflow::Slide, ..GenerateOptions::greedy(150) };
    let (events, end) = written(&bart, "a fox", options);
    assert!(end == EndReason::Eos || events.len() == 149, "{end:?} after {}", events.len());
}
