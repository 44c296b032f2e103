//! Published weights, where `cargo xtask models` fetched them, against transformers or their own libraries on the same numbers: `training/make_published_references.py`.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel,
    backend::Device,
    text::{
        ChatMessage, ChatOptions, EmbedOptions, EncodeOptions, Encoder, GenerateOptions, Input, LoadOptions, TextModel,
        Tokenizer,
    },
    weights::{PathSource, SharedSource, Storage, WeightFile},
};

use crate::PUBLISHED;
use crate::common::{cosine, ids_in, json, numbers_in, on_cpu, on_gpu, opened, proved};

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };

/// What transformers says of a model, and the model's file. Where that was not fetched this prints `needs-published: NAME` for the count and
/// gives `None`; with `VITRINE_REQUIRE_PUBLISHED=1` it panics.
fn published(name: &str) -> Option<(Value, PathBuf)> {
    let told = json(&format!("published/{name}.json"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("published").join(name);
    let path = folder.join(told["source"].as_str().expect("a file's name"));
    if path.exists() {
        return Some((told, path));
    }
    let required = std::env::var("VITRINE_REQUIRE_PUBLISHED").is_ok_and(|v| v == "1");
    assert!(!required, "{name} is asked for by VITRINE_REQUIRE_PUBLISHED=1 and not there: `cargo xtask models {name}`");
    println!("needs-published: {name}");
    None
}

fn cuts_texts_as_transformers_does(name: &str) {
    let Some((told, path)) = published(name) else { return };
    let tokenizer = Tokenizer::from_metadata(&opened(&[path]).metadata).expect("a tokenizer");
    let texts = told["texts"].as_array().expect("texts");
    assert!(texts.len() > 20);
    for case in texts {
        let text = case["text"].as_str().expect("a text");
        let ids = tokenizer.encode(text, PLAIN).expect("ids");
        assert_eq!(ids, ids_in(&case["ids"]), "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&ids), text, "{name}");
    }
    let chats = told["chats"].as_array().expect("conversations");
    assert_eq!(chats.is_empty(), !tokenizer.has_template(), "{name}");
    for case in chats {
        let messages: Vec<ChatMessage> = serde_json::from_value(case["messages"].clone()).expect("messages");
        let framed = tokenizer.encode_chat(&messages, &ChatOptions::default()).expect("a conversation");
        assert_eq!(framed.ids, ids_in(&case["ids"]), "{name}: {}", case["messages"]);
    }
}

/// How much of a reference a device goes through; the CPU stands in for the GPU here and takes nearly a second for a token of the larger model.
#[derive(PartialEq)]
enum Much {
    All,
    /// The first sentence of the text, and so many greedy tokens.
    Some(usize),
}

/// Log-probabilities of a text within 0.005 a token, then greedy tokens, the same.
fn writes_as_transformers_does(name: &str, device: &Device, much: Much) {
    let Some((told, path)) = published(name) else { return };
    let model = block_on(async {
        let source = Rc::new(PathSource::open(&path).expect("a file"));
        let file = WeightFile::open_parts(vec![source]).await?;
        TextModel::load(&file, device, LoadOptions::default(), &mut |_, _| {}, &Cancel::new()).await
    });
    let model = model.expect("a model");
    let (scored, greedy) = (&told["scored"], &told["greedy"]);
    let (mut text, mut tokens) = (scored["text"].as_str().expect("a text"), ids_in(&greedy["tokens"]));
    let (mut ids, mut wanted) = (ids_in(&scored["ids"]), numbers_in(&scored["logprobs"]));
    assert_eq!((tokens.len(), wanted.len()), (48, ids.len() - 1));
    if let Much::Some(steps) = much {
        text = text.split_inclusive('.').next().expect("a sentence");
        tokens.truncate(steps);
    }
    let score = block_on(model.score(text, &Cancel::new())).expect("a score");
    if much != Much::All {
        ids.truncate(score.tokens.len());
        wanted.truncate(score.tokens.len() - 1);
    }
    assert_eq!(score.tokens.iter().map(|token| token.token).collect::<Vec<_>>(), ids, "{name}");
    let got: Vec<f32> = score.tokens[1..].iter().map(|token| token.logprob.expect("a log-probability")).collect();
    assert!(got.len() > 10 && got.len() == wanted.len());
    let worst = got.iter().zip(&wanted).map(|(got, wanted)| (got - wanted).abs()).fold(0.0, f32::max);
    println!("{name}: of {} log-probabilities the worst is {worst:.5} from PyTorch's", got.len());
    assert!(worst < 0.005, "{name}: a log-probability is {worst} from PyTorch's\n{got:?}\n{wanted:?}");
    let written = block_on(async {
        let options = GenerateOptions::greedy(tokens.len());
        let mut generation = model.generate_ids(&ids_in(&greedy["prompt_ids"]), options, Cancel::new())?;
        let mut written = vec![];
        while let Some(event) = generation.next().await? {
            written.extend(event.token);
        }
        vitrine::Result::<_>::Ok(written)
    });
    assert_eq!(written.expect("tokens"), tokens, "{name}");
    proved(if name == "smollm2" { "llama" } else { name }, "GGUF", device, PUBLISHED);
}

#[test]
fn smollm2_cuts_texts_and_conversations_as_transformers_does() {
    cuts_texts_as_transformers_does("smollm2");
}

#[test]
fn gemma3_cuts_texts_as_transformers_does() {
    cuts_texts_as_transformers_does("gemma3");
}

#[test]
fn smollm2_writes_as_transformers_does_on_the_cpu() {
    writes_as_transformers_does("smollm2", &on_cpu(), Much::All);
}

#[test]
fn smollm2_writes_as_transformers_does_on_the_gpu() {
    writes_as_transformers_does("smollm2", &on_gpu(), Much::All);
}

#[test]
fn gemma3_writes_as_transformers_does_on_the_cpu() {
    writes_as_transformers_does("gemma3", &on_cpu(), Much::All);
}

#[test]
fn gemma3_writes_as_transformers_does_on_the_gpu() {
    writes_as_transformers_does("gemma3", &on_gpu(), Much::Some(16));
}

/// Ids of sentences, and their embeddings' cosine.
fn embeds_as_its_library_does(name: &str, files: &[&str]) {
    let Some((told, path)) = published(name) else { return };
    let folder = path.parent().expect("a folder").to_path_buf();
    for device in [on_cpu(), on_gpu()] {
        let source = |name: &str| {
            let source = PathSource::open(folder.join(name)).expect("a file").named(name);
            Rc::new(source) as SharedSource
        };
        let file = block_on(WeightFile::open_parts(files.iter().map(|name| source(name)).collect())).expect("files");
        assert!(Encoder::is_one(&file));
        let (mut progress, cancel) = (|_, _| {}, Cancel::new());
        let model = Encoder::load(&file, &device, Storage::default(), &mut progress, &cancel);
        let model = block_on(model).expect("an encoder");
        for case in told["sentences"].as_array().expect("sentences") {
            let text = case["text"].as_str().expect("a text");
            let options = EmbedOptions { normalize: Some(true), ..EmbedOptions::default() };
            for input in [Input::Text(text.into()), Input::Ids(ids_in(&case["ids"]))] {
                let embedded = block_on(model.embed(&[input], options, &Cancel::new())).expect("an embedding");
                let likeness = cosine(&embedded[0], &numbers_in(&case["embedding"]));
                assert!(likeness > 0.9999, "{name}: {text:?} is {likeness} like");
            }
        }
        proved(if name == "minilm" { "bert" } else { name }, "safetensors", &device, PUBLISHED);
    }
}

#[test]
fn minilm_embeds_as_transformers_does() {
    let files = ["model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"];
    embeds_as_its_library_does("minilm", &files);
}

#[test]
fn wordllama_embeds_as_its_library_does() {
    embeds_as_its_library_does("wordllama", &["l2_supercat_256.safetensors", "tokenizer.json"]);
}

#[test]
fn g2p_spells_words_as_its_library_does() {
    let Some((told, path)) = published("g2p") else { return };
    let words = told["words"].as_array().expect("words");
    assert!(words.len() > 180);
    for device in [on_cpu(), on_gpu()] {
        let load = LoadOptions::default();
        let model = block_on(TextModel::load(&opened(&[&path]), &device, load, &mut |_, _| {}, &Cancel::new()));
        let model = model.expect("a model");
        for case in words {
            let word = case["word"].as_str().expect("a word");
            let phonemes: Vec<&str> =
                case["phonemes"].as_array().expect("phonemes").iter().filter_map(Value::as_str).collect();
            // As far as the library goes on.
            let spelt = block_on(async {
                let mut generation = model.generate(word, GenerateOptions::greedy(20), Cancel::new())?;
                let mut text = String::new();
                while let Some(event) = generation.next().await? {
                    text += &event.text;
                }
                vitrine::Result::<_>::Ok(text)
            });
            assert_eq!(spelt.expect("phonemes"), phonemes.join(" "), "{word}");
        }
        proved("g2p", "NumPy's", &device, PUBLISHED);
    }
}
