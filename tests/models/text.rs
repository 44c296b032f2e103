//! Tokenizers against the ids that llama.cpp demands, and what every tokenizer promises.

use std::{collections::HashMap, path::Path, rc::Rc};

use vitrine::{
    ErrorCode,
    text::{ChatMessage, ChatOptions, ChatTemplate, EncodeOptions, Json, Tokenizer},
    weights::{MemorySource, Metadata, SharedSource, Value, WeightFile},
};

use crate::common::{fixture, opened, reference};

/// What stands between the texts of llama.cpp's test.
const BORDER: &str = "\n__ggml_vocab_test__\n";
const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
const FRAMED: EncodeOptions = EncodeOptions { add_special: true, parse_special: false };
const MARKED: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };

fn tokenizer(path: &Path) -> Tokenizer {
    Tokenizer::from_metadata(&opened(&[path]).metadata).unwrap()
}

/// The 46 texts and the ids that llama.cpp's own test asks for.
fn vocabulary_agrees(name: &str) {
    let Some(file) = reference(&format!("tokenizers/ggml-vocab-{name}.gguf")) else { return };
    let tokenizer = tokenizer(&file);
    let read = |ending: &str| std::fs::read_to_string(format!("{}.{ending}", file.display())).unwrap();
    let (texts, ids) = (read("inp"), read("out"));
    let texts: Vec<&str> = texts.strip_suffix(BORDER).unwrap_or(&texts).split(BORDER).collect();
    let ids: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    assert_eq!((texts.len(), ids.len()), (46, 46));
    let mut wrong = vec![];
    for (text, ids) in texts.iter().zip(&ids) {
        let got = tokenizer.encode(text, PLAIN).unwrap();
        if got != *ids {
            wrong.push(format!("{text:?}:\n  demanded {ids:?}\n  got      {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of 46 differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn gpt_2_agrees_with_llama_cpp_on_all_texts() {
    vocabulary_agrees("gpt-2");
}

#[test]
fn llama_sentencepiece_agrees_with_llama_cpp_on_all_texts() {
    vocabulary_agrees("llama-spm");
}

#[test]
fn starcoder_agrees_with_llama_cpp_on_all_texts() {
    vocabulary_agrees("starcoder");
}

#[test]
fn bert_agrees_with_llama_cpp_on_all_texts() {
    vocabulary_agrees("bert-bge");
}

#[test]
fn deepseek_agrees_with_llama_cpp_on_all_texts() {
    vocabulary_agrees("deepseek-llm");
}

#[test]
fn what_a_lossless_tokenizer_encodes_it_decodes() {
    for name in ["gpt-2", "llama-spm", "starcoder", "deepseek-llm"] {
        let Some(file) = reference(&format!("tokenizers/ggml-vocab-{name}.gguf")) else { return };
        let tokenizer = tokenizer(&file);
        let texts = std::fs::read_to_string(format!("{}.inp", file.display())).unwrap();
        for text in texts.split(BORDER) {
            let ids = tokenizer.encode(text, FRAMED).unwrap();
            assert_eq!(tokenizer.decode(&ids), *text, "{name}: {ids:?}");
            let mut detokenizer = tokenizer.detokenizer(true);
            let mut parts: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
            parts.push_str(&detokenizer.finish());
            assert_eq!(parts, *text, "{name} in parts");
        }
    }
}

#[test]
fn the_file_says_whether_text_is_framed() {
    let Some(dir) = reference("tokenizers") else { return };
    let load = |name: &str| tokenizer(&dir.join(format!("ggml-vocab-{name}.gguf")));
    let llama = load("llama-spm");
    assert!(llama.encode("", PLAIN).unwrap().is_empty());
    assert_eq!(llama.encode("", FRAMED).unwrap(), [1]);
    assert_eq!(llama.encode("Hello", FRAMED).unwrap(), [1, 15043]);
    assert!(load("gpt-2").encode("", FRAMED).unwrap().is_empty());
    assert_eq!(load("deepseek-llm").encode("", FRAMED).unwrap(), [100_000]);
    let bert = load("bert-bge").encode("hello", FRAMED).unwrap();
    assert_eq!((bert[0], bert.last()), (101, Some(&102)));
}

#[test]
fn marks_in_a_text_are_read_only_when_asked() {
    let Some(dir) = reference("tokenizers") else { return };
    for (name, mark, id) in [("llama-spm", "</s>", 2), ("gpt-2", "<|endoftext|>", 50_256), ("bert-bge", "[SEP]", 102)] {
        let tokenizer = tokenizer(&dir.join(format!("ggml-vocab-{name}.gguf")));
        let text = format!("one {mark} two");
        assert!(tokenizer.encode(&text, MARKED).unwrap().contains(&id), "{name}");
        let plain = tokenizer.encode(&text, PLAIN).unwrap();
        assert!(!plain.contains(&id), "{name}: {plain:?}");
    }
    let llama = tokenizer(&dir.join("ggml-vocab-llama-spm.gguf"));
    assert!(llama.is_end(2) && llama.is_hidden(2) && !llama.is_end(13));
    assert_eq!(llama.decode(&[1, 15043, 2]), "Hello");
}

/// Texts that make careless tokenizers quadratic, or overrun a regex engine's patience.
#[test]
fn long_texts_of_any_kind_are_tokenized_and_come_back() {
    let long = 1 << 18;
    let texts: [(&str, String); 6] = [
        ("one letter", "a".repeat(long)),
        ("spaces", " ".repeat(long)),
        ("newlines and spaces", "\n ".repeat(long / 2)),
        ("digits", "7".repeat(long)),
        ("emoji", "🦙".repeat(long / 4)),
        ("a megabyte of words", "The quick brown fox — jumped? ".repeat(long / 8)),
    ];
    for name in ["llama-spm", "gpt-2", "deepseek-llm"] {
        let Some(file) = reference(&format!("tokenizers/ggml-vocab-{name}.gguf")) else { return };
        let tokenizer = tokenizer(&file);
        for (what, text) in &texts {
            let begun = std::time::Instant::now();
            let ids = tokenizer.encode(text, PLAIN).unwrap();
            println!("{name}, {what}: {} tokens in {:?}", ids.len(), begun.elapsed());
            assert!(tokenizer.decode(&ids) == *text, "{name}: {what} did not come back");
        }
    }
}

#[test]
fn a_tokenizer_json_gives_the_ids_of_its_gguf() {
    let json = Tokenizer::from_json(&std::fs::read(fixture("tiny_llama/tokenizer.json")).unwrap()).unwrap();
    let gguf = tokenizer(&fixture("tiny_llama.gguf"));
    assert_eq!(json.vocabulary_size(), gguf.vocabulary_size());
    for text in ["", "Once upon a time, 123 times", "  naïve\n\n\tcafé 🦙", "<|im_start|>user"] {
        for options in [PLAIN, MARKED] {
            let ids = json.encode(text, options).unwrap();
            assert_eq!(ids, gguf.encode(text, options).unwrap(), "{text:?}");
            let shown = if options == MARKED { text.replace("<|im_start|>", "") } else { text.into() };
            assert_eq!((json.decode(&ids), gguf.decode(&ids)), (shown.clone(), shown));
        }
    }
    assert_eq!(json.special().ends, gguf.special().ends);
}

/// Each family's own way to cut text: Qwen's and GPT-2's patterns, Gemma's pieces with bytes for what has none.
#[test]
fn every_familys_tokenizer_json_gives_the_ids_of_its_gguf() {
    for family in ["qwen3", "gpt2", "gemma3"] {
        let json = std::fs::read(fixture(&format!("tiny_{family}/tokenizer.json"))).unwrap();
        let json = Tokenizer::from_json(&json).unwrap();
        let gguf = tokenizer(&fixture(&format!("tiny_{family}.gguf")));
        assert_eq!(json.vocabulary_size(), gguf.vocabulary_size());
        let texts = [
            "",
            "Once upon a time, 12345 times",
            "we're  they'LL \t it's\n\n\n end",
            "café 🦙 naïve 東京",
            "x = y_1+(z)!?\r\n\n<table>",
        ];
        for text in texts {
            let ids = gguf.encode(text, PLAIN).unwrap();
            assert_eq!(gguf.decode(&ids), text, "{family}: {ids:?}");
            // SentencePiece takes a run of spaces for a token that a user defined, the library for what its merges make of it.
            if family == "gemma3" && text.contains("  ") {
                let spaces = json.encode(text, PLAIN).unwrap();
                assert_eq!(json.decode(&spaces), text);
            } else {
                assert_eq!(json.encode(text, PLAIN).unwrap(), ids, "{family}: {text:?}");
                assert_eq!(json.decode(&ids), text, "{family}: {ids:?}");
            }
        }
        assert_eq!(json.special().ends, gguf.special().ends, "{family}");
    }
}

#[test]
fn gemmas_turns_are_marks_of_their_own_and_its_text_begins_with_a_bos() {
    let gguf = tokenizer(&fixture("tiny_gemma3.gguf"));
    let turn = "<start_of_turn>user\nA  b<end_of_turn>\n";
    let ids = gguf.encode(turn, MARKED).unwrap();
    assert_eq!((ids[0], gguf.special().ends.as_slice()), (4, &[1u32, 5][..]));
    assert!(ids.contains(&5) && ids.contains(&8), "the end of the turn, and two spaces in one: {ids:?}");
    assert!(!gguf.encode(turn, PLAIN).unwrap().contains(&4));
    assert_eq!(gguf.decode(&ids), "user\nA  b\n");
    assert_eq!(gguf.encode("A", FRAMED).unwrap()[0], 2);
}

#[test]
fn the_end_of_a_turn_ends_a_text_even_where_a_converter_calls_it_a_users_token() {
    let pairs = [
        ("model", Value::String("llama".into())),
        ("tokens", strings(&["<unk>", "a", "<end_of_turn>"])),
        ("token_type", Value::Array([2, 1, 4].map(Value::I32).to_vec())),
        ("scores", Value::Array([0.0; 3].map(Value::F32).to_vec())),
    ];
    assert!(Tokenizer::from_metadata(&metadata(&pairs)).unwrap().is_end(2));
}

#[test]
fn a_tokenizer_json_that_does_not_hold_together_is_refused() {
    let whole = std::fs::read_to_string(fixture("tiny_llama/tokenizer.json")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&whole).unwrap();
    file["model"]["merges"][0] = serde_json::json!(["no such token", "nor this"]);
    for bytes in [b"".to_vec(), b"<html>".to_vec(), b"{}".to_vec(), file.to_string().into_bytes()] {
        let Err(error) = Tokenizer::from_json(&bytes) else { panic!("took {:?}", String::from_utf8_lossy(&bytes)) };
        assert_eq!(error.code(), ErrorCode::CorruptFile, "{error}");
    }
}

fn strings(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|t| Value::String((*t).into())).collect())
}

fn metadata(pairs: &[(&str, Value)]) -> Metadata {
    let pairs = pairs.iter().map(|(k, v)| (format!("tokenizer.ggml.{k}"), v.clone()));
    Metadata::new(pairs.collect::<HashMap<_, _>>())
}

#[test]
fn vocabularies_that_do_not_hold_together_are_refused() {
    let text = |t: &str| Value::String(t.into());
    let cases = [
        (vec![], ErrorCode::UnsupportedModel, "holds no tokenizer"),
        (vec![("model", text("plamo2")), ("tokens", strings(&["a"]))], ErrorCode::UnsupportedModel, "plamo2"),
        (vec![("model", text("llama"))], ErrorCode::CorruptFile, "tokenizer.ggml.tokens"),
        (vec![("model", text("llama")), ("tokens", strings(&[]))], ErrorCode::CorruptFile, "empty"),
        (
            vec![
                ("model", text("llama")),
                ("tokens", strings(&["a", "b"])),
                ("scores", Value::Array(vec![Value::F32(0.0)])),
            ],
            ErrorCode::CorruptFile,
            "1 token scores",
        ),
        (
            vec![
                ("model", text("llama")),
                ("tokens", strings(&["a"])),
                ("scores", Value::Array(vec![Value::F32(f32::NAN)])),
            ],
            ErrorCode::CorruptFile,
            "not a number",
        ),
        (
            vec![("model", text("llama")), ("tokens", strings(&["a"])), ("eos_token_id", Value::U32(7))],
            ErrorCode::CorruptFile,
            "tokenizer.ggml.eos_token_id is 7",
        ),
        (
            vec![("model", text("gpt2")), ("tokens", strings(&["a", "b"])), ("merges", strings(&["a b"]))],
            ErrorCode::CorruptFile,
            "\"a b\"",
        ),
        (
            vec![("model", text("gpt2")), ("tokens", strings(&["a"])), ("merges", strings(&[""]))],
            ErrorCode::CorruptFile,
            "merge",
        ),
        (
            vec![
                ("model", text("gpt2")),
                ("pre", text("klingon")),
                ("tokens", strings(&["a"])),
                ("merges", strings(&[])),
            ],
            ErrorCode::UnsupportedModel,
            "klingon",
        ),
    ];
    for (pairs, code, part) in cases {
        let Err(error) = Tokenizer::from_metadata(&metadata(&pairs)) else { panic!("took {pairs:?}") };
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn a_vocabulary_larger_than_the_embedding_is_refused_and_a_smaller_one_is_not() {
    let t = tokenizer(&fixture("tiny_llama.gguf"));
    t.check_rows(320).unwrap();
    t.check_rows(384).unwrap();
    let error = t.check_rows(319).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("320") && error.to_string().contains("319"), "{error}");
}

#[test]
fn every_pre_tokenizer_that_is_known_by_name_compiles() {
    let alphabet: Vec<String> = ('!'..='~').map(String::from).collect();
    let tokens: Vec<&str> = alphabet.iter().map(String::as_str).collect();
    for name in [
        "default",
        "gpt-2",
        "llama-bpe",
        "smollm",
        "qwen2",
        "qwen35",
        "deepseek-llm",
        "deepseek-coder",
        "deepseek-v3",
        "falcon",
        "bloom",
        "viking",
        "tekken",
        "gpt-4o",
        "bailingmoe",
        "seed-coder",
        "starcoder",
        "refact",
        "command-r",
    ] {
        let pairs = [
            ("model", Value::String("gpt2".into())),
            ("pre", Value::String(name.into())),
            ("tokens", strings(&tokens)),
            ("merges", strings(&[])),
        ];
        let tokenizer = Tokenizer::from_metadata(&metadata(&pairs)).unwrap();
        let ids = tokenizer.encode("It's12,345(x)", PLAIN).unwrap();
        assert_eq!(tokenizer.decode(&ids), "It's12,345(x)", "{name}");
    }
}

/// The tokenizer of the tiny Qwen, with these files in the place of its settings.
fn tokenizer_with(files: &[(&str, &str)]) -> Tokenizer {
    let json = std::fs::read(fixture("tiny_qwen3/tokenizer.json")).unwrap();
    let mut sources = vec![Rc::new(MemorySource::new("tokenizer.json", json)) as SharedSource];
    for (name, text) in files {
        sources.push(Rc::new(MemorySource::new(*name, text.as_bytes().to_vec())));
    }
    Tokenizer::from_file(&pollster::block_on(WeightFile::open_parts(sources)).unwrap()).unwrap()
}

fn told(tokenizer: &Tokenizer, options: &ChatOptions) -> vitrine::Result<String> {
    ChatTemplate::of(tokenizer, options)?.render(&[ChatMessage::new("user", "Hi")], options, true)
}

#[test]
fn a_chat_template_beside_the_model_counts_more_than_one_in_its_settings() {
    let plain = ChatOptions::default();
    let settings = ("tokenizer_config.json", r#"{"chat_template": "settings"}"#);
    let json = ("chat_template.json", r#"{"chat_template": "json"}"#);
    // A template may begin like anything, a GGUF and nothing at all among them.
    for text in ["GGUF {{ messages[0].content }}", "<|im_start|>", "Hi", " \u{feff}x", "lmgg", "{}", ""] {
        let files = [settings, json, ("chat_template.jinja", text)];
        let expected = text.replace("{{ messages[0].content }}", "Hi");
        assert_eq!(told(&tokenizer_with(&files), &plain).unwrap(), expected);
    }
    assert_eq!(told(&tokenizer_with(&[json, settings]), &plain).unwrap(), "json");
    assert_eq!(told(&tokenizer_with(&[settings]), &plain).unwrap(), "settings");
    assert!(!tokenizer_with(&[]).has_template());
}

#[test]
fn of_templates_with_names_the_default_is_taken_and_with_tools_the_one_for_tools() {
    let tools = ChatOptions { tools: Some(vec![Json::Object(vec![])]), ..ChatOptions::default() };
    let plain = ChatOptions::default();
    let list = r#"{"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t{# tools #}"}, {"name": "default", "template": "d"}]}"#;
    for files in [
        vec![("tokenizer_config.json", list)],
        vec![("chat_template.jinja", "d"), ("additional_chat_templates/tool_use.jinja", "t{# tools #}")],
    ] {
        let tokenizer = tokenizer_with(&files);
        assert_eq!(told(&tokenizer, &plain).unwrap(), "d");
        assert_eq!(told(&tokenizer, &tools).unwrap(), "t");
    }
    let only = r#"{"chat_template": [{"name": "default", "template": "d{# tools #}"}]}"#;
    assert_eq!(told(&tokenizer_with(&[("tokenizer_config.json", only)]), &tools).unwrap(), "d");
    let none =
        r#"{"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t{# tools #}"}]}"#;
    let tokenizer = tokenizer_with(&[("tokenizer_config.json", none)]);
    assert_eq!(told(&tokenizer, &tools).unwrap(), "t");
    let error = told(&tokenizer, &plain).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadArgument);
    assert!(error.to_string().contains("rag, tool_use"), "{error}");
}

#[test]
fn a_gguf_with_several_templates_gives_them_by_their_names() {
    let text = |t: &str| Value::String(t.into());
    let mut pairs = vec![
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.tokens", strings(&["<unk>", "<s>", "</s>"])),
        ("tokenizer.ggml.token_type", Value::Array([2, 3, 3].map(Value::I32).to_vec())),
        ("tokenizer.ggml.scores", Value::Array([0.0; 3].map(Value::F32).to_vec())),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ("tokenizer.chat_template", text("d{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ pad_token is defined }}")),
        ("tokenizer.chat_templates", strings(&["tool_use"])),
        ("tokenizer.chat_template.tool_use", text("t")),
    ];
    let made = |pairs: &[(&str, Value)]| {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        Tokenizer::from_metadata(&Metadata::new(pairs.collect::<HashMap<_, _>>())).unwrap()
    };
    let tools = ChatOptions { tools: Some(vec![]), ..ChatOptions::default() };
    assert_eq!(told(&made(&pairs), &ChatOptions::default()).unwrap(), "d<s></s><unk>False");
    assert_eq!(told(&made(&pairs), &tools).unwrap(), "t");
    pairs.truncate(5);
    assert!(!made(&pairs).has_template());
}

#[test]
fn a_template_finds_the_marks_that_the_settings_name_and_no_others() {
    let asked = "{{ bos_token is defined }} {{ eos_token }} {{ pad_token }} {{ unk_token is defined }}";
    let settings = r#"{"bos_token": null, "eos_token": {"content": "<|im_end|>"}, "pad_token": "<|pad|>"}"#;
    let tokenizer = tokenizer_with(&[("chat_template.jinja", asked), ("tokenizer_config.json", settings)]);
    assert_eq!(told(&tokenizer, &ChatOptions::default()).unwrap(), "False <|im_end|> <|pad|> False");
    let variables = vec![("pad_token".to_owned(), Json::String("own".into()))];
    let options = ChatOptions { variables, ..ChatOptions::default() };
    assert_eq!(told(&tokenizer, &options).unwrap(), "False <|im_end|> own False");
}

#[test]
fn the_same_reasoning_is_found_under_each_of_its_names() {
    let asked = "{% for m in messages %}{{ m }}{% endfor %}";
    let template = ChatTemplate::new(asked, vec![]).unwrap();
    let seen = |json: &str| {
        let message: ChatMessage = serde_json::from_str(json).unwrap();
        template.render(&[message], &ChatOptions::default(), true).unwrap()
    };
    // As transformers' `_alias_reasoning_fields` does it.
    assert_eq!(
        seen(r#"{"role": "assistant", "reasoning": "r", "content": null}"#),
        "{'thinking': 'r', 'role': 'assistant', 'reasoning': 'r', 'content': None, 'reasoning_content': 'r'}"
    );
    assert_eq!(
        seen(r#"{"role": "assistant", "thinking": "t", "reasoning_content": "c"}"#),
        "{'thinking': 't', 'role': 'assistant', 'reasoning_content': 'c'}"
    );
    assert_eq!(seen(r#"{"role": "user", "content": "x"}"#), "{'role': 'user', 'content': 'x'}");
}
