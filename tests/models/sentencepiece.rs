//! Vocabularies in the files that lay beside weights before `tokenizer.json`, against SentencePiece's own library and transformers
//! (`training/make_sentencepiece_fixtures.py`).

use std::{fs, rc::Rc};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel, ErrorCode, Result,
    text::{
        ChatMessage, ChatOptions, ChatTemplate, EmbedOptions, EncodeOptions, Encoder, GenerateOptions, Input,
        LoadOptions, TextModel, Tokenizer,
    },
    weights::{MemorySource, PathSource, SharedSource, Storage, WeightFile},
};

use crate::common::{fixture, ids_in, json, on_cpu};

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
const FRAMED: EncodeOptions = EncodeOptions { add_special: true, parse_special: false };
const MARKED: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };

fn answers() -> Value {
    json("sentencepiece/answers.json")
}

fn texts<'a>(answers: &'a Value, key: &str) -> Vec<&'a str> {
    answers[key].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// All files of a folder of fixtures, but some.
fn sources(folder: &str, left_out: &[&str]) -> Vec<SharedSource> {
    let files = fs::read_dir(fixture(folder)).expect("a folder").map(|entry| entry.expect("a file").path());
    let kept = files.filter(|path| path.is_file() && !left_out.iter().any(|name| path.ends_with(name)));
    kept.map(|path| Rc::new(PathSource::open(&path).expect("a file")) as SharedSource).collect()
}

fn memory(name: &str, bytes: impl Into<Vec<u8>>) -> SharedSource {
    Rc::new(MemorySource::new(name, bytes.into()))
}

fn opened(sources: Vec<SharedSource>) -> Result<WeightFile> {
    block_on(WeightFile::open_parts(sources))
}

fn tokenizer(sources: Vec<SharedSource>) -> Result<Tokenizer> {
    Tokenizer::from_file(&opened(sources)?)
}

fn known(name: &str) -> Tokenizer {
    tokenizer(sources(&format!("sentencepiece/{name}"), &[])).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_vocabulary_without_a_tokenizer_json_makes_the_ids_of_its_own_library() {
    let answers = answers();
    let few = texts(&answers, "few");
    for (name, wanted) in answers["ids"].as_object().expect("ids") {
        let tokenizer = known(name);
        let texts = texts(&answers, if name.starts_with("bert") { "plain" } else { "texts" });
        let texts: Vec<&str> = texts.into_iter().step_by(if few.contains(&name.as_str()) { 4 } else { 1 }).collect();
        let wanted = wanted.as_array().expect("a list");
        assert_eq!(texts.len(), wanted.len(), "{name}");
        let mut wrong = vec![];
        for (text, wanted) in texts.iter().zip(wanted) {
            let got = tokenizer.encode(text, FRAMED).expect("ids");
            if got != ids_in(wanted) {
                wrong.push(format!("{text:?}:\n  demanded {wanted}\n  got      {got:?}"));
            }
        }
        assert!(wrong.is_empty(), "{name}: {} of {} differ\n{}", wrong.len(), texts.len(), wrong.join("\n"));
    }
}

/// FNV-1a of 32-bit words: the ids of some texts, each behind their count.
pub fn sum_of(texts: &[Vec<u32>]) -> u64 {
    let words = texts.iter().flat_map(|ids| [ids.len() as u32].into_iter().chain(ids.iter().copied()));
    let sum = words.fold(0xcbf2_9ce4_8422_2325_u64, |sum, word| (sum ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3));
    sum & 0xffff_ffff
}

#[test]
fn eight_hundred_more_texts_a_vocabulary_have_the_sums_of_its_own_library() {
    let answers = answers();
    let marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    for (name, sums) in answers["sums"].as_object().expect("sums") {
        let tokenizer = known(name);
        let has_mark = |text: &&str| name.starts_with("bert") && marks.iter().any(|mark| text.contains(mark));
        let texts: Vec<&str> = texts(&answers, "more").into_iter().filter(|text| !has_mark(text)).collect();
        let sums: Vec<u64> = sums.as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        assert!(texts.len() > 700 && sums.len() == texts.len().div_ceil(10), "{name}");
        for (texts, sum) in texts.chunks(10).zip(sums) {
            let ids: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode(text, FRAMED).expect("ids")).collect();
            assert_eq!(sum_of(&ids), sum, "{name}: {texts:?}: {ids:?}");
        }
    }
}

#[test]
fn marks_in_a_text_are_read_where_they_are_asked_for() {
    let answers = answers();
    let mut compared = 0;
    for (name, cases) in answers["marked"].as_object().expect("cases") {
        let tokenizer = known(name);
        for case in cases.as_array().expect("a list") {
            let text = case[0].as_str().expect("a text");
            assert_eq!(tokenizer.encode(text, MARKED).expect("ids"), ids_in(&case[1]), "{name}: {text:?}");
            compared += 1;
        }
    }
    assert!(compared > 9);
    // Marks that readers see are tokens in any text, and the others in none.
    let llama = known("llama");
    let [start, think] = ["<|im_start|>", "<think>"].map(|mark| llama.encode(mark, MARKED).expect("ids")[1]);
    let ids = llama.encode("<think>a<|im_start|>", PLAIN).expect("ids");
    assert!(ids[0] == think && !ids.contains(&start) && !llama.is_hidden(think) && llama.is_hidden(start), "{ids:?}");
}

#[test]
fn what_keeps_every_byte_is_decoded_as_it_was() {
    let answers = answers();
    for name in ["llama", "bytes"] {
        let tokenizer = known(name);
        for text in texts(&answers, "texts") {
            let ids = tokenizer.encode(text, FRAMED).expect("ids");
            assert_eq!(tokenizer.decode(&ids), text.replace('\u{2581}', " "), "{name}: {ids:?}");
        }
    }
}

#[test]
fn byte_level_pairs_keep_every_byte_and_frame_texts_as_their_class_does() {
    let answers = answers();
    let [gpt2, opt, roberta] = ["gpt2", "opt", "roberta"].map(known);
    for text in texts(&answers, "texts") {
        assert_eq!(gpt2.decode(&gpt2.encode(text, FRAMED).expect("ids")), text);
    }
    let special = gpt2.special();
    assert!(special.bos == Some(420) && special.ends == [420] && gpt2.is_hidden(420), "{special:?}");
    assert!(opt.is_end(2) && opt.encode("", FRAMED).expect("ids") == [2]);
    let pair = roberta.encode_pair(["the fox", "a"], None).expect("a pair");
    let [first, second] = ["the fox", "a"].map(|text| roberta.encode(text, PLAIN).expect("ids"));
    assert_eq!(pair.ids, [&[0], first.as_slice(), &[2, 2], &second, &[2]].concat());
    // The space before a mask is the mask's where no file says so, too.
    let silent = tokenizer(sources("sentencepiece/roberta", &["special_tokens_map.json"])).expect("a tokenizer");
    let masked = &answers["marked"]["roberta"][0];
    let text = masked[0].as_str().expect("a text");
    assert_eq!(silent.encode(text, MARKED).expect("ids"), ids_in(&masked[1]));
    assert_eq!(silent.mask(), Some(4));
}

#[test]
fn settings_beside_a_vocabulary_say_what_ends_a_text_and_how_a_chat_is_framed() {
    let llama = known("llama");
    let special = llama.special();
    assert!(special.bos == Some(1) && special.eos == Some(2) && special.ends.len() == 2 && llama.has_template());
    let chat = [ChatMessage::new("user", "hi")];
    let options = ChatOptions::default();
    let template = ChatTemplate::of(&llama, &options).expect("a template");
    let framed = template.render(&chat, &options, false).expect("a text");
    assert_eq!(framed, "<s><|im_start|>hi<|im_end|>");
    let roberta = known("xlm-roberta");
    assert_eq!(roberta.mask().and_then(|id| roberta.token_text(id)).as_deref(), Some("<mask>"));
    let marian = known("marian");
    assert_eq!((marian.special().bos, marian.special().eos), (None, Some(0)));
    let bert = known("bert");
    assert_eq!(bert.mask(), Some(4));
    assert_eq!(bert.decode(&bert.encode("The quick fox", FRAMED).expect("ids")), "the quick fox");
}

/// A field of protocol buffers whose value is bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(bytes);
    field
}

/// A `ModelProto` of T5's marks and of characters, and of what stands behind its pieces.
fn model_of(characters: &str, behind: &[u8]) -> Vec<u8> {
    let marks = [("<pad>", 3), ("</s>", 3), ("<unk>", 2)];
    let of = |text: &str, kind: u8| {
        let mut piece = field(1, text.as_bytes());
        piece.extend([0x15, 0, 0, 0x80, 0xBF, 0x18, kind]);
        field(1, &piece)
    };
    let mut model: Vec<u8> = marks.iter().flat_map(|(text, kind)| of(text, *kind)).collect();
    model.extend(characters.chars().flat_map(|c| of(&c.to_string(), 1)));
    model.extend_from_slice(behind);
    model
}

#[test]
fn models_load_with_the_vocabulary_that_they_were_published_with() {
    let spiece = model_of("▁abcdefghijklmnopqrstuvwxyz.,", &[]);
    let mut files = sources("texts/t5", &["tokenizer.json", "answers.json"]);
    files.push(memory("spiece.model", spiece));
    let file = opened(files).expect("files");
    let options = LoadOptions::default();
    let model = block_on(TextModel::load(&file, &on_cpu(), options, &mut |_, _| (), &Cancel::new())).expect("a model");
    assert_eq!(model.tokenizer().encode("a fox", FRAMED).expect("ids"), [3, 4, 3, 9, 18, 27, 1]);
    // As many sentinels as the model has rows for.
    assert_eq!(model.tokenizer().vocabulary_size(), 70);
    let mut generation = model.generate("a fox", GenerateOptions::greedy(4), Cancel::new()).expect("a generation");
    assert!(block_on(generation.next()).expect("a token").is_some());

    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n_\na\nfox\n##es\n";
    let mut files = sources("encoders/bert/embed", &["tokenizer.json"]);
    files.push(memory("vocab.txt", words));
    let file = opened(files).expect("files");
    let load = |file| block_on(Encoder::load(file, &on_cpu(), Storage::default(), &mut |_, _| (), &Cancel::new()));
    let model = load(&file).expect("an encoder");
    let inputs = [Input::Text("A foxes?".into()), Input::Ids(vec![2, 6, 7, 8, 1, 3])];
    let embedded = block_on(model.embed(&inputs, EmbedOptions::default(), &Cancel::new())).expect("embeddings");
    assert_eq!(embedded[0], embedded[1]);
}

#[test]
fn a_damaged_vocabulary_is_refused_with_its_byte() {
    let whole = fs::read(fixture("sentencepiece/merges/tokenizer.model")).expect("a file");
    let refused = |bytes: &[u8]| tokenizer(vec![memory("tokenizer.model", bytes)]).err();
    assert!(refused(&whole).is_none());
    let mut placed = 0;
    for cut in (1..whole.len()).step_by(7) {
        let Some(error) = refused(&whole[..cut]) else { continue };
        assert_eq!(error.code(), ErrorCode::CorruptFile, "{cut}: {error}");
        placed += error.to_string().contains("tokenizer.model: at byte ") as usize;
    }
    assert!(placed > 500, "{placed}");
    for (at, bit) in (0..whole.len()).step_by(11).zip((0..8).cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        if let Ok(tokenizer) = tokenizer(vec![memory("tokenizer.model", bytes)]) {
            tokenizer.encode("the fox é\u{301}ﬁ ① \u{3000}x", FRAMED).expect("ids");
        }
    }
    let model = |behind: &[u8]| model_of("a", behind);
    let huge = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let endless = [0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let nan = field(1, &[0x15, 0, 0, 0xC0, 0x7F]);
    for (bytes, code, said) in [
        (model(&huge), ErrorCode::CorruptFile, "18446744073709551615 bytes were to come"),
        (model(&endless), ErrorCode::CorruptFile, "no end"),
        (model(&[0x0B]), ErrorCode::CorruptFile, "kind 3"),
        (model(&nan), ErrorCode::CorruptFile, "not a number"),
        (model(&field(1, &field(1, b"\xff"))), ErrorCode::CorruptFile, "no text"),
        (model(&field(3, &field(2, b"\xff\0\0\0"))), ErrorCode::CorruptFile, "claims 255 bytes of 0"),
        (field(1, &field(1, b"a")), ErrorCode::CorruptFile, "unknown"),
        (model(&field(2, &[0x18, 3])), ErrorCode::UnsupportedModel, "of words"),
        (model(&field(2, &[0x18, 4])), ErrorCode::UnsupportedModel, "of characters"),
    ] {
        let error = refused(&bytes).expect(said);
        assert!(error.code() == code && error.to_string().contains(said), "{error} does not say {said}");
    }
}

#[test]
fn rules_that_are_not_known_are_refused_by_name() {
    let spiece = || memory("spiece.model", model_of("a", &[]));
    let settings = |text: &str| memory("tokenizer_config.json", text);
    let words = || memory("vocab.txt", "[PAD]\n[UNK]\n");
    let pairs = |numbers: &str, merges: &str, more: &str| {
        vec![memory("vocab.json", numbers), memory("merges.txt", merges), memory("tokenizer_config.json", more)]
    };
    let gpt2 = r#"{"tokenizer_class": "GPT2Tokenizer", "unk_token": null, "bos_token": null, "eos_token": null}"#;
    for (files, code, said) in [
        (
            pairs(r#"{"a": 0}"#, "#version: 0.2", r#"{"tokenizer_class": "CLIPTokenizer"}"#),
            ErrorCode::UnsupportedModel,
            "a CLIPTokenizer",
        ),
        (pairs(r#"{"a": 0}"#, "#version: 0.2", "{}"), ErrorCode::UnsupportedModel, "config.json too"),
        (pairs(r#"{"a": 0, "b": 1}"#, "#version: 0.2\na b", gpt2), ErrorCode::CorruptFile, "merges.txt: at line 2"),
        (pairs(r#"{"a": 0, "b": 1, "ab": 2}"#, "a b\nab", gpt2), ErrorCode::CorruptFile, "merges.txt: at line 2"),
        (pairs(r#"{"a": -1}"#, "#version: 0.2", gpt2), ErrorCode::CorruptFile, "the id of \"a\""),
        (pairs("[]", "#version: 0.2", gpt2), ErrorCode::CorruptFile, "vocab.json: it is no list"),
        (
            [
                pairs(r#"{"a": 0}"#, "#version: 0.2", r#"{"tokenizer_class": "BartTokenizer"}"#),
                vec![memory("config.json", r#"{"vocab_size": 1}"#)],
            ]
            .concat(),
            ErrorCode::CorruptFile,
            "lacks the marks",
        ),
        (
            [pairs(r#"{"a": 0}"#, "#version: 0.2", gpt2), vec![memory("added_tokens.json", r#"{"<x>": 0}"#)]].concat(),
            ErrorCode::CorruptFile,
            "\"<x>\" the id 0",
        ),
        (
            vec![spiece(), settings(r#"{"tokenizer_class": "AlbertTokenizerFast"}"#)],
            ErrorCode::UnsupportedModel,
            "AlbertTokenizer,",
        ),
        (
            vec![words(), settings(r#"{"tokenizer_class": "MPNetTokenizer"}"#)],
            ErrorCode::UnsupportedModel,
            "MPNetTokenizer",
        ),
        (vec![words()], ErrorCode::CorruptFile, "vocab.txt"),
        (vec![memory("vocab.txt", b"[PAD]\n\xff\n".to_vec())], ErrorCode::CorruptFile, "at byte 6"),
        (
            vec![spiece(), memory("added_tokens.json", r#"{"<x>": 4294967295}"#)],
            ErrorCode::CorruptFile,
            "\"<x>\" the id 4294967295",
        ),
        (
            vec![memory("source.spm", model_of("a", &[])), memory("vocab.json", r#"{"<unk>": -1}"#)],
            ErrorCode::CorruptFile,
            "the id of \"<unk>\"",
        ),
        (
            vec![
                memory("source.spm", model_of("a", &[])),
                memory("vocab.json", r#"{"<unk>": 0}"#),
                settings(r#"{"separate_vocabs": true}"#),
            ],
            ErrorCode::UnsupportedModel,
            "separate_vocabs",
        ),
    ] {
        let error = tokenizer(files).err().expect(said);
        assert!(error.code() == code && error.to_string().contains(said), "{error} does not say {said}");
    }
}
