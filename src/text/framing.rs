//! From a conversation to the ids that a model answers: the template frames it, the answer's own beginning is gone on with, marks in a
//! stranger's words stay words, and the text begins as the vocabulary asks.

use vitrine_jinja::Json;

use super::{ChatMessage, ChatOptions, ChatTemplate, EncodeOptions, Tokenizer, tokenizer::MarkBreaker};
use crate::{Error, Result};

/// A conversation as a model is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    pub ids: Vec<u32>,
    /// Whether the answer has begun: the conversation ends with words of the assistant, and the model goes on from them.
    pub begun: bool,
}

impl Tokenizer {
    /// Frames a conversation with the chat template that came with the vocabulary.
    ///
    /// Errors: as [`ChatTemplate::of`] and [`ChatTemplate::render`]; `bad-argument` where the template does not show the words that the
    /// answer should go on from.
    pub fn encode_chat(&self, messages: &[ChatMessage], options: &ChatOptions) -> Result<Framed> {
        let template = ChatTemplate::of(self, options)?;
        let breaker = match options.parse_special_tokens {
            true => None,
            false => MarkBreaker::new(self, template.source(), &words(messages, options)),
        };
        let broken = breaker.as_ref().map(|breaker| {
            let broken = |word: &str| breaker.broken(word);
            let list = |list: &Option<Vec<Json>>| {
                list.as_ref().map(|list| list.iter().map(|each| each.map_words(&broken)).collect())
            };
            let messages: Vec<_> = messages
                .iter()
                .map(|message| match message.role() {
                    Some("assistant") => message.map_words(&|word| breaker.broken_own(word)),
                    _ => message.map_words(&broken),
                })
                .collect();
            let variables = options.variables.iter().map(|(name, value)| (name.clone(), value.map_words(&broken)));
            let options = ChatOptions {
                tools: list(&options.tools),
                documents: list(&options.documents),
                variables: variables.collect(),
                ..options.clone()
            };
            (messages, options)
        });
        let (messages, options) =
            broken.as_ref().map_or((messages, options), |(messages, options)| (messages.as_slice(), options));
        let (messages, begun) = match options.continue_final_message.then(|| begun_answer(messages)).flatten() {
            // Nothing was said yet.
            Some(begun) if begun.trim().is_empty() => match messages {
                [before @ .., _] if !before.is_empty() => (before, None),
                alone => (alone, None),
            },
            begun => (messages, begun),
        };
        let text = match begun {
            Some(begun) => up_to_the_answers_end(&template.render(&marked(messages), options, false)?, begun)?,
            None => template.render(messages, options, true)?,
        };
        let mut ids = match &breaker {
            Some(breaker) => self.encode_broken(&text, breaker)?,
            None => self.encode(&text, EncodeOptions { add_special: false, parse_special: true })?,
        };
        if let Some(bos) = self.bos_of_chats()
            && !self.begins_with(&ids, bos)
        {
            ids.insert(0, bos);
        }
        Ok(Framed { ids, begun: begun.is_some() })
    }

    /// Whether nothing but spaces stands before a mark.
    fn begins_with(&self, ids: &[u32], mark: u32) -> bool {
        let is_space = |id: &&u32| self.token_bytes(**id).is_some_and(|bytes| bytes.trim_ascii().is_empty());
        ids.iter().find(|id| **id == mark || !is_space(id)) == Some(&mark)
    }
}

/// All that a template may show of what others wrote.
fn words<'a>(messages: &'a [ChatMessage], options: &'a ChatOptions) -> Vec<&'a str> {
    let mut words = vec![];
    for (_, value) in messages.iter().flat_map(|message| &message.0) {
        value.words(&mut words);
    }
    let variables = options.variables.iter().map(|(_, value)| value);
    for value in [&options.tools, &options.documents].into_iter().flatten().flatten().chain(variables) {
        value.words(&mut words);
    }
    words
}

/// The text that the answer begins with, where the conversation ends with one of the assistant's: its content, or the last of its parts
/// that is a text. A message that calls tools is a whole one.
fn begun_answer(messages: &[ChatMessage]) -> Option<&str> {
    let last = messages.last().filter(|last| last.role() == Some("assistant"))?;
    let calls = last.get("tool_calls").and_then(Json::as_array).is_some_and(|calls| !calls.is_empty());
    if calls {
        return None;
    }
    match last.get("content") {
        None | Some(Json::Null) => Some(""),
        Some(Json::Array(parts)) => Some(parts.iter().rev().find_map(|part| part.get("text")?.as_str()).unwrap_or("")),
        Some(content) => content.as_str(),
    }
}

/// What stands behind the answer's own words while a template shows them, as in transformers (`continue_final_message`): where they end
/// can be found whatever they are, and whether the template trims them can be seen.
const END_OF_ANSWER: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The messages with that behind the words of [`begun_answer`].
fn marked(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let mut messages = messages.to_vec();
    let content = messages.last_mut().and_then(|last| last.0.iter_mut().find(|(name, _)| name == "content"));
    match content {
        Some((_, Json::Array(parts))) => {
            let texts = parts.iter_mut().rev().filter_map(|part| match part {
                Json::Object(fields) => fields.iter_mut().find(|(name, _)| name == "text"),
                _ => None,
            });
            if let Some(Json::String(text)) = texts.map(|(_, text)| text).find(|text| text.as_str().is_some()) {
                text.push_str(END_OF_ANSWER);
            }
        }
        Some((_, Json::String(text))) => text.push_str(END_OF_ANSWER),
        _ => {}
    }
    messages
}

/// The rendered text as far as the answer has come.
fn up_to_the_answers_end(text: &str, begun: &str) -> Result<String> {
    let end = text.rfind(END_OF_ANSWER.trim_end()).filter(|_| text.contains(begun.trim())).ok_or_else(|| {
        Error::bad_argument(
            "the conversation ends with words of the assistant, and the model's chat template does not show them as they are, so \
             they cannot be gone on with; leave that message out, or pass continueFinalMessage: false",
        )
    })?;
    let (before, behind) = text.split_at(end);
    Ok(if behind.starts_with(END_OF_ANSWER) { before } else { before.trim_end() }.to_owned())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::rc::Rc;

    use pollster::block_on;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ErrorCode,
        text::SamplingDefaults,
        weights::{MemorySource, SharedSource, WeightFile},
    };

    const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    /// A mark that readers see.
    const SHOWN: &str = "<think>";

    /// Marks, then every printable character of ASCII and the line's end, byte by byte: what a text becomes can be read off.
    fn vocabulary() -> Value {
        let marks = ["<|im_start|>", "<|im_end|>", "<s>", "<s><s>", SHOWN];
        let added = marks.iter().enumerate().map(|(id, mark)| {
            json!({ "id": id, "content": mark, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": *mark != SHOWN })
        });
        let spelled = |byte: u8| match byte {
            b'\n' => "Ċ".to_owned(),
            b' ' => "Ġ".to_owned(),
            byte => char::from(byte).to_string(),
        };
        let bytes = [b'\n'].into_iter().chain(b' '..=b'~').map(spelled);
        let words = marks.iter().map(|mark| (*mark).to_owned()).chain(bytes);
        let vocab: serde_json::Map<String, Value> = words.enumerate().map(|(id, word)| (word, json!(id))).collect();
        json!({
            "version": "1.0", "added_tokens": added.collect::<Vec<_>>(),
            "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": { "type": "BPE", "vocab": vocab, "merges": [] },
        })
    }

    fn file(beside: &[(&str, Value)]) -> WeightFile {
        let source = |name: &str, json: &Value| -> SharedSource {
            Rc::new(MemorySource::new(name, json.to_string().into_bytes()))
        };
        let tokenizer = source("tokenizer.json", &vocabulary());
        let sources = beside.iter().map(|(name, json)| source(name, json)).chain([tokenizer]).collect();
        block_on(WeightFile::open_parts(sources)).unwrap()
    }

    fn tokenizer(template: &str) -> Tokenizer {
        Tokenizer::from_file(&file(&[("tokenizer_config.json", json!({ "chat_template": template }))])).unwrap()
    }

    /// The ids with marks and characters spelled out.
    fn spelled(tokenizer: &Tokenizer, messages: Value, options: &ChatOptions) -> String {
        let messages: Vec<ChatMessage> = serde_json::from_value(messages).unwrap();
        let ids = tokenizer.encode_chat(&messages, options).unwrap().ids;
        ids.iter().map(|id| if *id < 5 { format!("[{id}]") } else { tokenizer.token_text(*id).unwrap() }).collect()
    }

    #[test]
    fn an_answer_that_has_begun_is_gone_on_with_as_transformers_does() {
        let options = ChatOptions::default();
        let turns =
            |answer: Value| json!([{ "role": "user", "content": "a" }, { "role": "assistant", "content": answer }]);
        let keeps = tokenizer(CHATML);
        let before = "[0]user\na[1]\n[0]assistant\n";
        assert_eq!(spelled(&keeps, turns(json!("so, ")), &options), format!("{before}so, "));
        assert_eq!(spelled(&keeps, turns(json!("")), &options), before, "nothing was said yet");
        assert_eq!(spelled(&keeps, turns(Value::Null), &options), before);
        let anew = ChatOptions { continue_final_message: false, ..options.clone() };
        assert_eq!(spelled(&keeps, turns(json!("so,")), &anew), format!("{before}so,[1]\n[0]assistant\n"));
        let trims = tokenizer(&CHATML.replace("m.content", "m.content | trim"));
        assert_eq!(spelled(&trims, turns(json!(" so, ")), &options), format!("{before}so,"));
        for answer in ["<", "|", "e", ">", "<|im_", "im_end|>", "a\n"] {
            assert_eq!(spelled(&keeps, turns(json!(answer)), &options), format!("{before}{answer}"), "{answer:?}");
        }
        let parts =
            tokenizer(&CHATML.replace("m.content", "(m.content if m.content is string else m.content[0].text)"));
        assert_eq!(
            spelled(&parts, turns(json!([{ "type": "text", "text": "so," }])), &options),
            format!("{before}so,")
        );
        let hides = tokenizer(&CHATML.replace("m.content", "(m.content | upper)"));
        let messages: Vec<ChatMessage> = serde_json::from_value(turns(json!("so,"))).unwrap();
        let error = hides.encode_chat(&messages, &options).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().contains("continueFinalMessage"), "{error}");
    }

    #[test]
    fn marks_in_whatever_others_wrote_stay_characters() {
        let template = CHATML.replace("m.content", "m.content + (m.name or '') + (tools | tojson if tools else '')");
        let tokenizer = tokenizer(&template);
        let options = ChatOptions::default();
        let said = |content: &str| json!([{ "role": "user", "content": content }]);
        let framed = |inside: &str| format!("[0]user\n{inside}[1]\n[0]assistant\n");
        for content in ["<|im_end|>", "a<s><s><s>b", "<|im_<|im_end|>end|>", "\u{FDD0}<s>"] {
            let shown = spelled(&tokenizer, said(content), &options);
            // A byte that the vocabulary lacks is left out of it.
            assert_eq!(shown, framed(&content.replace('\u{FDD0}', "")), "{content:?}");
        }
        // Two texts that become a mark side by side, and a key that is one.
        let joins = self::tokenizer(&CHATML.replace("m.content", "(m.content | map(attribute='text') | join)"));
        let parts = json!([{ "role": "user", "content": [{ "text": "a<|im_" }, { "text": "end|>b" }] }]);
        assert_eq!(spelled(&joins, parts, &options), framed("a<|im_end|>b"));
        let keys =
            ChatOptions { tools: Some(vec![serde_json::from_value(json!({ "<s>": 1 })).unwrap()]), ..options.clone() };
        assert_eq!(spelled(&tokenizer, said("a"), &keys), framed("a[{\"<s>\": 1}]"));
        let named = json!([{ "role": "user", "content": "a", "name": "<|im_start|>" }]);
        assert_eq!(spelled(&tokenizer, named, &options), framed("a<|im_start|>"));
        let tools = ChatOptions {
            tools: Some(vec![serde_json::from_value(json!({ "name": "<s>" })).unwrap()]),
            ..options.clone()
        };
        assert_eq!(spelled(&tokenizer, said("a"), &tools), framed("a[{\"name\": \"<s>\"}]"));
        // A mark that readers see is one where the template frames with it, and the assistant's own wherever it stands.
        let turns = json!([{ "role": "user", "content": "<think>" }, { "role": "assistant", "content": "<think>so" }, { "role": "user", "content": "a" }]);
        let framed_by = |template: &str, user: &str| {
            let shown = spelled(&self::tokenizer(template), turns.clone(), &options);
            assert_eq!(shown, format!("[0]user\n{user}[1]\n[0]assistant\n[4]so[1]\n[0]user\na[1]\n[0]assistant\n"));
        };
        framed_by(CHATML, "[4]");
        framed_by(&format!("{CHATML}{{% if false %}}<think>{{% endif %}}"), "<think>");
        let trusted = ChatOptions { parse_special_tokens: true, ..options };
        assert_eq!(spelled(&tokenizer, said("a<s>b"), &trusted), framed("a[2]b"));
    }

    #[test]
    fn all_ends_of_all_files_count() {
        let ends = |beside: &[(&str, Value)]| Tokenizer::from_file(&file(beside)).unwrap().special().ends.clone();
        let own = ends(&[]);
        let with = |more: &[u32]| {
            let mut all: Vec<u32> = own.iter().chain(more).copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        assert_eq!(ends(&[("config.json", json!({ "eos_token_id": 10 }))]), with(&[10]));
        assert_eq!(ends(&[("config.json", json!({ "text_config": { "eos_token_id": [11, 10] } }))]), with(&[10, 11]));
        let several = [
            ("config.json", json!({ "eos_token_id": 2 })),
            ("generation_config.json", json!({ "eos_token_id": [9, 2, 100_000, -1, "x"] })),
            ("tokenizer_config.json", json!({ "eos_token": "<s>" })),
        ];
        assert_eq!(ends(&several), with(&[2, 9]));
    }

    #[test]
    fn the_files_own_sampling_holds_where_they_name_one() {
        let read = |config: Value| SamplingDefaults::of(&file(&[("generation_config.json", config)]), false).unwrap();
        let neutral = SamplingDefaults {
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            from: "generation_config.json",
        };
        assert_eq!(read(json!({ "eos_token_id": 2 })), SamplingDefaults::default());
        assert_eq!(read(json!({ "do_sample": true })), neutral);
        assert_eq!(
            read(json!({ "do_sample": false, "temperature": 0.7 })),
            SamplingDefaults { temperature: 0.0, ..neutral }
        );
        let qwen =
            json!({ "do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.1 });
        let expected =
            SamplingDefaults { temperature: 0.6, top_k: 20, top_p: 0.95, repetition_penalty: 1.1, ..neutral };
        assert_eq!(read(qwen), expected);
        let odd = json!({ "temperature": -1, "top_k": -5, "top_p": 0, "min_p": 2, "repetition_penalty": null });
        assert_eq!(read(odd), neutral, "numbers that no sampler could use say nothing");
        assert_eq!(neutral.options().top_k, 50);
    }
}
