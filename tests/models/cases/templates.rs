//! What chat templates see and may call.

use std::{fs, path::Path, rc::Rc};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    cancel::Cancel,
    text::{ChatMessage, ChatOptions, ChatTemplate, EncodeOptions, GenerateOptions, LocalTime},
    weights::{MemorySource, SharedSource, WeightFile},
};

use super::folder::{case, load};

fn cases(file: &Path) -> Vec<Value> {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn render(source: &str, messages: &[ChatMessage], options: &ChatOptions) -> String {
    let marks = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, mark)| (name.to_owned(), mark.to_owned()));
    ChatTemplate::new(source, marks.into()).unwrap().render(messages, options, true).unwrap()
}

/// Templates over messages, with the text that transformers gives.
fn rendered_as_in_transformers(file: &Path) {
    for case in cases(file) {
        let source = case["template"].as_str().unwrap();
        let messages: Vec<ChatMessage> = serde_json::from_str(&case["messages"].to_string()).unwrap();
        // serde_json sorts keys; messages are given in the order of their making.
        let turn = |message: &ChatMessage| ChatMessage::new(message.role().unwrap(), message.content().unwrap());
        let messages: Vec<ChatMessage> = messages.iter().map(turn).collect();
        assert_eq!(render(source, &messages, &ChatOptions::default()), case["expected"], "{source}");
    }
}

#[test]
fn what_a_generation_tag_holds_is_written() {
    let Some(folder) = case("01-generation-tag") else { return };
    rendered_as_in_transformers(&folder.join("cases.json"));
}

#[test]
fn json_is_laid_out_as_python_is_asked_to() {
    let Some(folder) = case("18-tojson") else { return };
    rendered_as_in_transformers(&folder.join("cases.json"));
}

#[test]
fn every_directive_of_a_date_is_written_as_in_python() {
    let Some(folder) = case("17-strftime") else { return };
    // 2026-03-05 13:07:09
    let now = Some(LocalTime { micros: 1_772_716_029_000_000, ahead: 0 });
    for case in cases(&folder.join("formats.json")) {
        let source = case["template"].as_str().unwrap();
        let options = ChatOptions { now, ..ChatOptions::default() };
        assert_eq!(render(source, &[ChatMessage::new("user", "a")], &options), case["expected"], "{source}");
    }
}

/// `chat([{ role: "user", content: "abc" }])`: its ids, and the greedy answer.
fn answers(folder: &Path) {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.file_name().unwrap() != "expected.txt");
    let sources = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Rc::new(MemorySource::new(name, fs::read(&path).unwrap())) as SharedSource
    });
    let file = block_on(WeightFile::open_parts(sources.collect())).unwrap();
    let model = load(&file).unwrap();
    assert!(model.info().chat);
    let messages = [ChatMessage::new("user", "abc")];
    let template = ChatTemplate::of(model.tokenizer(), &ChatOptions::default()).unwrap();
    let text = template.render(&messages, &ChatOptions::default(), true).unwrap();
    let ids = model.tokenizer().encode(&text, EncodeOptions { add_special: false, parse_special: true }).unwrap();
    assert_eq!(ids, [1, 30, 28, 14, 27, 4, 10, 11, 12, 2, 4, 1, 10, 28, 28, 18, 28, 29, 10, 23, 29, 4]);
    let mut answer = model.chat(&messages, GenerateOptions::greedy(12), Cancel::new()).unwrap();
    assert_eq!(block_on(answer.text()).unwrap(), "helo");
}

#[test]
fn a_template_in_a_file_of_its_own_is_found() {
    let Some(folder) = case("02-template-file") else { return };
    answers(&folder);
}

#[test]
fn of_named_templates_the_default_answers() {
    let Some(folder) = case("03-template-list") else { return };
    answers(&folder);
}
