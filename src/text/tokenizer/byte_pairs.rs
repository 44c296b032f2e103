//! Byte-level BPE (GPT-2's) from `vocab.json` and `merges.txt`, by the rules that `transformers` has for each class: as the `tokenizer.json` that it
//! makes of them.

use serde_json::{Map, Value, json};

use super::{
    Tokenizer,
    pre_tokenizers::pre_tokenizer,
    settings::{Settings, add, vocabulary_of},
    vocabulary::Vocabulary,
};
use crate::{Error, Result};

/// How a family cuts texts, and what it puts round them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// GPT-2, OPT: a BOS before the text and an EOS behind it where the settings ask for them.
    Gpt2,
    /// RoBERTa, BART: between CLS and SEP, of which two stand between the texts of a pair.
    Roberta,
    /// By a pattern of its own, after the composed form of Unicode; else as GPT-2.
    Qwen2,
}

const END: &str = "<|endoftext|>";

impl Rules {
    /// By the class in `tokenizer_config.json`, else by the model's kind in `config.json`.
    fn of(class: &str, kind: &str) -> Result<Self> {
        Ok(match (class, kind) {
            ("GPT2Tokenizer", _) => Self::Gpt2,
            ("RobertaTokenizer" | "BartTokenizer", _) => Self::Roberta,
            ("Qwen2Tokenizer", _) => Self::Qwen2,
            ("" | "PreTrainedTokenizer" | "TokenizersBackend", kind) => match kind {
                "gpt2" | "opt" => Self::Gpt2,
                "roberta" | "bart" => Self::Roberta,
                "qwen2" | "qwen3" => Self::Qwen2,
                _ => {
                    return Err(Error::unsupported_model(
                        "of vocab.json and merges.txt alone nobody can tell by which rules a text is cut; give the model's tokenizer_config.json or config.json too, or its tokenizer.json",
                    ));
                }
            },
            (other, _) => {
                return Err(Error::unsupported_model(format!(
                    "the model's tokenizer is a {other}, whose rules are not known here without a tokenizer.json; give that one (transformers' save_pretrained writes it)"
                )));
            }
        })
    }

    /// The marks that a family has where its files name none.
    fn marks(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Gpt2 => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Self::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Self::Roberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
            ],
        }
    }
}

/// The merges of a `merges.txt`, a pair a line, each of which makes a token of the vocabulary.
fn merges<'a>(text: &'a [u8], vocabulary: &Map<String, Value>) -> Result<Vec<&'a str>> {
    let damaged = |place: String, what: &str| {
        Error::corrupt_file(format!("merges.txt: at {place}: {what}; fetch it and its vocab.json again"))
    };
    let text = std::str::from_utf8(text).map_err(|error| {
        damaged(format!("byte {}", error.valid_up_to()), "a text was to come, and these bytes are none")
    })?;
    let mut merges = vec![];
    for (at, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let pair = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
        let known = |(first, second): (&str, &str)| {
            let made = [first, second].concat();
            [first, second, &made].iter().all(|token| vocabulary.contains_key(*token))
        };
        if !pair.is_some_and(known) {
            return Err(damaged(format!("line {}", at + 1), "this merges no two tokens of vocab.json into a third"));
        }
        merges.push(line);
    }
    Ok(merges)
}

/// Added tokens go on where the vocabulary ends; what has an id below that is the vocabulary's own.
fn check_added(settings: &Settings, vocabulary: &Vocabulary) -> Result<()> {
    let mut next = vocabulary.len();
    for (id, text, _) in &settings.added {
        match vocabulary.text(*id as u32) {
            Some(own) if own == text => {}
            None if *id == next => next += 1,
            None if *id + 1 == next => {}
            _ => {
                return Err(Error::corrupt_file(format!(
                    "the files beside vocab.json give {text:?} the id {id}, which is not free or not the next; give the model's own, or its tokenizer.json"
                )));
            }
        }
    }
    Ok(())
}

/// Errors: `corrupt-file` with the place where a file is damaged, `unsupported-model` for classes whose rules are not known here.
pub fn tokenizer(mut settings: Settings, numbers: &Value, list: &[u8]) -> Result<Tokenizer> {
    let rules = Rules::of(&settings.class, &settings.kind)?;
    settings.complete(rules.marks());
    if rules == Rules::Roberta {
        // As the models' own tokenizer.json have it: the space before a mask is the mask's. transformers 5 leaves it to the text.
        settings.json.entry("mask_token").or_insert_with(|| json!({ "content": "<mask>", "lstrip": true }));
    }
    let mut vocabulary = vocabulary_of(numbers)?;
    check_added(&settings, &vocabulary)?;
    add(&settings, &mut vocabulary);
    let merges = match numbers {
        Value::Object(words) => merges(list, words)?,
        _ => vec![],
    };
    let ids = vocabulary.ids();
    let mark = |name: &str| settings.mark(name).and_then(|text| Some((text, *ids.get(text)?)));
    let prefix = settings.flag("add_prefix_space").unwrap_or(false);
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": rules != Rules::Qwen2 });
    let whole = json!({
        "version": "1.0",
        "added_tokens": settings.listed(&vocabulary),
        "normalizer": if rules == Rules::Qwen2 { json!({ "type": "NFC" }) } else { Value::Null },
        "pre_tokenizer": match rules {
            Rules::Qwen2 => {
                let pattern = pre_tokenizer("qwen2").and_then(|known| known.patterns.first().copied());
                let split = json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
                json!({ "type": "Sequence", "pretokenizers": [split, bytes] })
            }
            _ => bytes,
        },
        "post_processor": match rules {
            Rules::Roberta => {
                let framing = mark("sep_token").zip(mark("cls_token"));
                let (sep, cls) = framing.ok_or_else(|| {
                    Error::corrupt_file("vocab.json: it lacks the marks that frame a text; give the model's own")
                })?;
                json!({ "type": "RobertaProcessing", "sep": sep, "cls": cls, "trim_offsets": true, "add_prefix_space": prefix })
            }
            _ => framed(
                mark("bos_token").filter(|_| settings.flag("add_bos_token") == Some(true)),
                mark("eos_token").filter(|_| settings.flag("add_eos_token") == Some(true)),
            ),
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "vocab": numbers,
            "merges": merges,
        },
    });
    Tokenizer::from_json_and_settings(whole.to_string().as_bytes(), Some(&Value::Object(settings.json)), None)
}

/// A BOS before each text, an EOS behind it, where there is one.
fn framed(bos: Option<(&str, u32)>, eos: Option<(&str, u32)>) -> Value {
    let part = |(text, _): (&str, u32), kind: u8| json!({ "SpecialToken": { "id": text, "type_id": kind } });
    let one = |name: &str, kind: u8| -> Vec<Value> {
        let text = json!({ "Sequence": { "id": name, "type_id": kind } });
        bos.map(|bos| part(bos, kind)).into_iter().chain([text]).chain(eos.map(|eos| part(eos, kind))).collect()
    };
    let token = |(text, id): (&str, u32)| (text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] }));
    let tokens: Map<String, Value> = bos.into_iter().chain(eos).map(token).collect();
    let pair = [one("A", 0), one("B", 1)].concat();
    json!({ "type": "TemplateProcessing", "single": one("A", 0), "pair": pair, "special_tokens": tokens })
}
