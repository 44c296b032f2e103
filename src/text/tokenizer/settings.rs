//! What lies beside weights where there is no `tokenizer.json`: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`, the model's
//! `config.json`, and the list of tokens that a `vocab.json` is.

use serde_json::{Map, Value, json};

use super::{
    chat::ChatParts,
    model_proto::MOST_TOKENS,
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{Error, Result, weights::WeightFile};

/// What the JSON files beside a vocabulary say.
pub struct Settings {
    /// `tokenizer_config.json`, with what it lacks from `special_tokens_map.json`.
    pub json: Map<String, Value>,
    /// The tokenizer's class, without "Fast".
    pub class: String,
    /// `model_type` of `config.json`.
    pub kind: String,
    /// Rows of the model's embedding, where `config.json` says so.
    pub rows: usize,
    /// Tokens beside the vocabulary's own, with their ids, and whether they are marks that readers never see.
    pub added: Vec<(usize, String, bool)>,
}

impl Settings {
    pub fn read(file: &WeightFile) -> Result<Self> {
        let object = |name: &str| {
            let json = file.extra_json(name)?;
            Ok::<_, Error>(json.and_then(|json| json.as_object().cloned()).unwrap_or_default())
        };
        let mut json = object("tokenizer_config.json")?;
        for (key, value) in object("special_tokens_map.json")? {
            let own = json.entry(key).or_insert(Value::Null);
            if own.is_null() {
                *own = value;
            }
        }
        let config = object("config.json")?;
        let word =
            |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut settings = Self {
            class: word(&json, "tokenizer_class").trim_end_matches("Fast").to_owned(),
            kind: word(&config, "model_type"),
            rows: config.get("vocab_size").and_then(Value::as_u64).map_or(MOST_TOKENS, |n| n as usize).min(MOST_TOKENS),
            added: vec![],
            json,
        };
        let marks = settings.special();
        for (text, id) in object("added_tokens.json")? {
            let special = marks.contains(&text);
            settings.added.extend(id.as_u64().map(|id| (id as usize, text, special)));
        }
        if let Some(decoder) = settings.json.get("added_tokens_decoder").and_then(Value::as_object) {
            for (id, token) in decoder {
                let (Ok(id), Some(text)) = (id.parse(), token["content"].as_str()) else { continue };
                settings.added.push((id, text.to_owned(), token["special"] == true));
            }
        }
        settings.added.sort_unstable();
        if let Some((id, text, _)) = settings.added.iter().find(|(id, ..)| *id >= MOST_TOKENS) {
            return Err(Error::corrupt_file(format!(
                "the files beside the vocabulary give {text:?} the id {id}, which no vocabulary has; fetch them again"
            )));
        }
        Ok(settings)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.json.get(key).and_then(Value::as_bool)
    }

    pub fn count(&self, key: &str) -> Option<usize> {
        self.json.get(key).and_then(Value::as_u64).map(|n| n as usize)
    }

    /// What a mark is (`"eos_token"`), where there is one.
    pub fn mark(&self, name: &str) -> Option<&str> {
        text_of(self.json.get(name)?)
    }

    /// All marks, in the order in which `transformers` adds those that a vocabulary lacks.
    pub fn special(&self) -> Vec<String> {
        let order = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        let more = self.json.get("additional_special_tokens").and_then(Value::as_array).into_iter().flatten();
        order.iter().filter_map(|name| self.mark(name)).chain(more.filter_map(text_of)).map(str::to_owned).collect()
    }

    /// Marks that the files do not name; one that is `null` there is none.
    pub fn complete(&mut self, marks: &[(&str, &str)]) {
        for (name, text) in marks {
            self.json.entry(*name).or_insert_with(|| (*text).into());
        }
    }

    /// How a token that was added is found in a text, where the files say so.
    fn manner(&self, text: &str) -> Option<&Value> {
        let listed = self.json.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten();
        let named = self.json.iter().filter(|(name, _)| name.ends_with("_token"));
        listed.chain(named).map(|(_, token)| token).find(|token| token["content"] == text)
    }

    /// Marks and added tokens, as a `tokenizer.json` lists them.
    pub fn listed(&self, vocabulary: &Vocabulary) -> Vec<Value> {
        let added = vocabulary.iter().filter(|(_, text, kind)| *kind != TokenKind::Normal && !text.is_empty());
        let one = |(id, text, kind): (u32, &str, TokenKind)| {
            let manner = self.manner(text);
            let flag = |key: &str| manner.is_some_and(|manner| manner[key] == true);
            json!({
                "id": id, "content": text, "special": kind == TokenKind::Control, "single_word": flag("single_word"),
                "lstrip": flag("lstrip"), "rstrip": flag("rstrip"), "normalized": false,
            })
        };
        added.map(one).collect()
    }

    pub fn chat(&self) -> ChatParts {
        ChatParts::of_settings(&Value::Object(self.json.clone()))
    }
}

fn text_of(token: &Value) -> Option<&str> {
    token["content"].as_str().or(token.as_str())
}

/// Puts the added tokens at their ids, and marks that are nowhere yet behind all others while the model has rows for them. Gives those that
/// readers see, which are found in any text.
pub fn add(settings: &Settings, vocabulary: &mut Vocabulary) -> Vec<(u32, String)> {
    let mut shown = vec![];
    for (id, text, special) in &settings.added {
        while vocabulary.len() <= *id {
            vocabulary.push("", TokenKind::Control, 0.0);
        }
        vocabulary.tokens[*id] = text.clone().into();
        let kind = &mut vocabulary.kinds[*id];
        *kind = match special {
            _ if *kind == TokenKind::Unknown => TokenKind::Unknown,
            true => TokenKind::Control,
            false => TokenKind::UserDefined,
        };
        if !special {
            shown.push((*id as u32, text.clone()));
        }
    }
    for text in settings.special() {
        match vocabulary.tokens.iter().position(|token| **token == text) {
            Some(id) if vocabulary.kinds[id] != TokenKind::Unknown => vocabulary.kinds[id] = TokenKind::Control,
            None if vocabulary.len() < settings.rows => vocabulary.push(text, TokenKind::Control, 0.0),
            _ => {}
        }
    }
    shown
}

/// Tokens by the ids that a `vocab.json` gives them; those that nothing has are holes.
///
/// Errors: `corrupt-file` where it is no such list.
pub fn vocabulary_of(numbers: &Value) -> Result<Vocabulary<'_>> {
    let damaged = |what: String| Error::corrupt_file(format!("vocab.json: {what}; give the model's own"));
    let numbers = numbers.as_object().ok_or_else(|| damaged("it is no list of tokens and their ids".into()))?;
    let mut vocabulary = Vocabulary::default();
    for (token, id) in numbers {
        let id = id.as_u64().filter(|id| *id < MOST_TOKENS as u64);
        let id = id.ok_or_else(|| damaged(format!("the id of {token:?} is none")))? as usize;
        while vocabulary.len() <= id {
            vocabulary.push("", TokenKind::Control, 0.0);
        }
        vocabulary.tokens[id] = token.as_str().into();
        vocabulary.kinds[id] = TokenKind::Normal;
    }
    Ok(vocabulary)
}
