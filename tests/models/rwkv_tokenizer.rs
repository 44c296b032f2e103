//! A small vocabulary as RWKV's "World" is, in both of its files, against RWKV's own package (`training/make_rwkv_tokenizer_fixtures.py`).

use std::rc::Rc;

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    ErrorCode, Result,
    text::{ChatMessage, ChatOptions, ChatTemplate, EncodeOptions, Tokenizer},
    weights::{MemorySource, Metadata, SharedSource, Value as Stored, WeightFile},
};

use super::sentencepiece::sum_of;
use crate::common::{fixture, ids_in, json};

const PLAIN: EncodeOptions = EncodeOptions { add_special: true, parse_special: false };
const MARKED: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };
const LIST: &str = "rwkv_vocab_v20230424.txt";

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("rwkv_tokenizer/{name}"))).expect("a file")
}

fn opened(files: &[(&str, &[u8])]) -> Result<WeightFile> {
    let source = |(name, bytes): &(&str, &[u8])| Rc::new(MemorySource::new(*name, bytes.to_vec())) as SharedSource;
    block_on(WeightFile::open_parts(files.iter().map(source).collect()))
}

fn tokenizer(files: &[(&str, &[u8])]) -> Result<Tokenizer> {
    Tokenizer::from_file(&opened(files)?)
}

fn both() -> [Tokenizer; 2] {
    ["vocabulary.gguf", LIST].map(|name| tokenizer(&[(name, &read(name))]).expect("a tokenizer"))
}

#[test]
fn a_thousand_hard_texts_have_the_ids_of_rwkvs_own_package() {
    let answers = json("rwkv_tokenizer/answers.json");
    let texts: Vec<&str> = answers["texts"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let shown: Vec<Vec<u32>> = answers["ids"].as_array().expect("a list").iter().map(ids_in).collect();
    let sums: Vec<u64> = answers["sums"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    assert!(texts.len() == 1000 && shown.len() == 200 && sums.len() == 80);
    for tokenizer in both() {
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode(text, PLAIN).expect("ids")).collect();
        for ((text, got), wanted) in texts.iter().zip(&ids).zip(&shown) {
            assert_eq!(got, wanted, "{text:?}");
        }
        for ((texts, ids), sum) in texts[200..].chunks(10).zip(ids[200..].chunks(10)).zip(&sums) {
            assert_eq!(sum_of(ids), *sum, "{texts:?}");
        }
        for (text, ids) in texts.iter().zip(&ids) {
            assert_eq!(tokenizer.decode(ids), *text);
        }
    }
}

#[test]
fn its_one_mark_is_read_where_that_is_asked_for_and_ends_a_text() {
    let [gguf, list] = both();
    for tokenizer in [&gguf, &list] {
        assert_eq!(tokenizer.encode("<s>", MARKED).expect("ids"), [0]);
        let spelled = tokenizer.encode("a<s>", PLAIN).expect("ids");
        assert!(!spelled.contains(&0) && tokenizer.decode(&spelled) == "a<s>");
        assert!(tokenizer.is_hidden(0) && tokenizer.is_end(0));
        assert_eq!((tokenizer.special().bos, tokenizer.special().eos), (Some(0), Some(0)));
    }
    // Converters have a GGUF end at an empty line, too.
    let line = gguf.encode("\n\n", PLAIN).expect("ids");
    assert!(line.len() == 1 && gguf.is_end(line[0]) && !list.is_end(line[0]) && !gguf.is_hidden(line[0]));
    assert_eq!((gguf.vocabulary_size(), list.vocabulary_size()), (960, 852));
}

#[test]
fn the_name_of_its_template_stands_for_the_template() {
    let [gguf, _] = both();
    let options = ChatOptions::default();
    let template = ChatTemplate::of(&gguf, &options).expect("a template");
    let messages = [ChatMessage::new("system", "Be kind."), ChatMessage::new("user", " hi \n")];
    let framed = template.render(&messages, &options, true).expect("a text");
    assert_eq!(framed, "System: Be kind.\n\nUser: hi\n\nAssistant:");
}

#[test]
fn settings_beside_the_list_name_its_marks() {
    let settings =
        br#"{"eos_token": "<|end|>", "added_tokens_decoder": {"900": {"content": "<think>", "special": false}}}"#;
    let with = |more: &[u8]| tokenizer(&[(LIST, &read(LIST)), ("tokenizer_config.json", more)]);
    let known = with(settings).expect("a tokenizer");
    assert_eq!(known.encode("<|end|>", MARKED).expect("ids"), [0]);
    let ids = known.encode("a<think>b", PLAIN).expect("ids");
    assert!(ids.contains(&900) && !known.is_hidden(900) && known.decode(&ids) == "a<think>b");
    let other =
        with(br#"{"added_tokens_decoder": {"7": {"content": "<x>", "special": true}}}"#).err().expect("an error");
    assert!(other.to_string().contains("\"<x>\" the id 7"), "{other}");
}

#[test]
fn a_damaged_list_is_refused_with_its_line() {
    let whole = read(LIST);
    let with = |line: &[u8]| [&whole[..], line].concat();
    for (bytes, said) in [
        (with(b"852 'ab' 3\n"), "line 852: its token has 2 bytes and not 3"),
        (with(b"852 '' 0\n"), "line 852: its token has 0 bytes"),
        (with(b"3 'ab' 2\n"), "line 852: the id 3 has a token already"),
        (with(b"99999999999 'ab' 2\n"), "line 852: the id 99999999999 is past"),
        (with(b"852 b'\\xf' 1\n"), "line 852: it is not a number"),
        (with(b"852\n"), "line 852: it is not a number"),
        (with(b"852 '\xff' 1\n"), "at byte 13553: a text was to come"),
        (b"1 'a' 1\n".to_vec(), "no token for the byte 0x00"),
    ] {
        let error = tokenizer(&[(LIST, &bytes)]).err().expect(said);
        assert!(
            error.code() == ErrorCode::CorruptFile && error.to_string().contains(said),
            "{error} does not say {said}"
        );
    }
    // Whatever else is wrong in it, it says so or reads texts.
    for cut in (0..whole.len()).step_by(97) {
        if let Err(error) = tokenizer(&[(LIST, &whole[..cut])]) {
            assert!(
                matches!(error.code(), ErrorCode::CorruptFile | ErrorCode::UnsupportedModel | ErrorCode::BadArgument),
                "{error}"
            );
        }
    }
}

#[test]
fn tokens_of_a_gguf_that_are_not_written_as_bytes_are_refused_by_their_number() {
    let file = opened(&[("vocabulary.gguf", &read("vocabulary.gguf"))]).expect("a file");
    let tokens: Vec<String> = file
        .metadata
        .require::<Vec<&str>>("tokenizer.ggml.tokens")
        .expect("tokens")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut tokens = tokens.clone();
        change(&mut tokens);
        let mut metadata: std::collections::HashMap<_, _> =
            file.metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        metadata
            .insert("tokenizer.ggml.tokens".into(), Stored::Array(tokens.into_iter().map(Stored::String).collect()));
        Tokenizer::from_metadata(&Metadata::new(metadata))
    };
    assert!(with(&|_| ()).is_ok());
    for (at, token, said) in [
        (300, "\\x8", "token 300 of the file, \"\\\\x8\""),
        (301, "a\\", "token 301"),
        (66, "ab", "no token for the byte 0x41"),
    ] {
        let error = with(&|tokens| tokens[at] = token.into()).err().expect(said);
        assert!(
            error.code() == ErrorCode::CorruptFile && error.to_string().contains(said),
            "{error} does not say {said}"
        );
    }
}
