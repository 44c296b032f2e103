//! A tokenizer from what lay beside weights before there was a `tokenizer.json`: SentencePiece's file, Marian's pair of them with a `vocab.json`,
//! `vocab.json` with `merges.txt` ([`byte_pairs`]), WordPiece's `vocab.txt`, or RWKV's list ([`longest_match`]); with `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`, by the rules that
//! `transformers` has for each family.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Encoder, SpecialTokens, Tokenizer, byte_pairs, longest_match,
    model_proto::ModelProto,
    normalizer::SPACE,
    sentencepiece::SentencePiece,
    settings::{Settings, add, vocabulary_of},
    special::{ENDS_OF_TEXT, SpecialMatcher},
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{
    Error, Result,
    weights::{Format, WeightFile},
};

/// What a model's one SentencePiece file is called.
const NAMES: [&str; 5] =
    ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model"];

/// How a family numbers the pieces of its SentencePiece file, and what it puts round a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// As they stand; the settings say what is put round a text.
    Plain,
    /// A BOS before the text unless the settings say no.
    Llama,
    /// Sentinels `<extra_id_0>` … at the end, the first one last; an EOS behind the text.
    T5,
    /// Behind marks of its own; an EOS behind the text.
    Pegasus,
    /// Four marks of fairseq's first, a mask at the end; the text between BOS and EOS.
    XlmRoberta,
    /// Five of them.
    Camembert,
}

impl Rules {
    /// By the class in `tokenizer_config.json`, else by the model's kind in `config.json`.
    fn of(class: &str, kind: &str) -> Result<Self> {
        Ok(match (class, kind) {
            ("LlamaTokenizer" | "CodeLlamaTokenizer" | "GemmaTokenizer", _) => Self::Llama,
            ("T5Tokenizer" | "MT5Tokenizer", _) => Self::T5,
            ("PegasusTokenizer", _) => Self::Pegasus,
            ("XLMRobertaTokenizer", _) => Self::XlmRoberta,
            ("CamembertTokenizer", _) => Self::Camembert,
            ("" | "PreTrainedTokenizer" | "TokenizersBackend", kind) => match kind {
                "llama" | "mistral" | "phi3" => Self::Llama,
                "t5" | "mt5" | "umt5" => Self::T5,
                "pegasus" => Self::Pegasus,
                "xlm-roberta" => Self::XlmRoberta,
                "camembert" => Self::Camembert,
                kind if kind.starts_with("gemma") => Self::Llama,
                _ => Self::Plain,
            },
            (other, _) => {
                return Err(Error::unsupported_model(format!(
                    "the model's tokenizer is a {other}, whose rules are not known here without a tokenizer.json; give that one (transformers' save_pretrained writes it)"
                )));
            }
        })
    }

    /// The marks that a family has where its files name none.
    fn marks(self, gemma: bool) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Llama if gemma => {
                &[("bos_token", "<bos>"), ("eos_token", "<eos>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")]
            }
            Self::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Self::T5 => &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")],
            Self::Pegasus => {
                &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>"), ("mask_token", "<mask_2>")]
            }
            Self::XlmRoberta | Self::Camembert => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
                ("mask_token", "<mask>"),
            ],
        }
    }
}

impl Tokenizer {
    /// `None` where no such file lies beside the weights.
    ///
    /// Errors: `corrupt-file` with the byte where a file is damaged, `unsupported-model` for kinds and classes whose rules are not known here.
    pub(super) fn from_vocabulary_files(file: &WeightFile) -> Result<Option<Self>> {
        let read = |name| file.extra(name).map(|bytes| (name, bytes));
        let lone = || {
            // A lone file is taken at its word, whatever it is called.
            let is_one =
                |name: &&str| file.format == Format::Json && (name.ends_with(".model") || name.ends_with(".spm"));
            file.extras().find(is_one).and_then(read)
        };
        if let (Some((name, source)), Some(vocabulary)) = (read("source.spm"), file.extra_json("vocab.json")?) {
            return marian(Settings::read(file)?, ModelProto::read(name, source)?, &vocabulary).map(Some);
        }
        if let Some((name, bytes)) = NAMES.into_iter().find_map(read).or_else(lone) {
            return sentence_piece(Settings::read(file)?, ModelProto::read(name, bytes)?).map(Some);
        }
        if let (Some(vocabulary), Some(merges)) = (file.extra_json("vocab.json")?, file.extra("merges.txt")) {
            return byte_pairs::tokenizer(Settings::read(file)?, &vocabulary, merges).map(Some);
        }
        if let Some(list) = file.extra(longest_match::WORLD) {
            return longest_match::tokenizer(&Settings::read(file)?, list).map(Some);
        }
        file.extra("vocab.txt").map(|list| word_piece(Settings::read(file)?, list)).transpose()
    }
}

fn refused(cause: tokenizers::Error) -> Error {
    Error::corrupt_file(format!("the model's vocabulary cannot be used: {cause}; fetch it again"))
}

fn sentence_piece(mut settings: Settings, proto: ModelProto) -> Result<Tokenizer> {
    let rules = Rules::of(&settings.class, &settings.kind)?;
    let gemma = settings.class.starts_with("Gemma") || settings.kind.starts_with("gemma");
    settings.complete(rules.marks(gemma));
    let ModelProto { vocabulary, search, mut normalizer, byte_fallback, bos, eos } = proto;
    if rules == Rules::Llama && settings.flag("add_prefix_space") == Some(false) {
        normalizer.prefix = false;
    }
    let strip_first_space = normalizer.prefix;
    let mut vocabulary = numbered(rules, &settings, vocabulary);
    let shown = add(&settings, &mut vocabulary);
    let ids = vocabulary.ids();
    let id = |name: &str| settings.mark(name).and_then(|text| ids.get(text).copied());
    let unknown = vocabulary.kinds.iter().position(|kind| *kind == TokenKind::Unknown).map(|id| id as u32);
    let bytes_too = |(_, _, kind, _): &(u32, &str, TokenKind, f32)| byte_fallback || *kind != TokenKind::Byte;
    let mut model =
        SentencePiece::new(search, vocabulary.scored().filter(bytes_too), unknown, normalizer).map_err(refused)?;
    // As transformers 5 has it where nothing is said.
    let legacy = settings.flag("legacy").unwrap_or(rules != Rules::Llama);
    if !legacy && matches!(rules, Rules::Llama | Rules::T5) {
        model = model.prefixing_first();
    }
    let eos = id("eos_token").or(eos.filter(|_| rules == Rules::Plain));
    let mut special = SpecialTokens {
        bos: id("bos_token").or(bos.filter(|_| rules == Rules::Plain)),
        eos,
        closing: eos,
        add_bos: match rules {
            Rules::Plain => settings.flag("add_bos_token").unwrap_or(false),
            Rules::Llama => settings.flag("add_bos_token").unwrap_or(true),
            Rules::T5 | Rules::Pegasus => false,
            Rules::XlmRoberta | Rules::Camembert => true,
        },
        add_eos: match rules {
            Rules::Plain | Rules::Llama => settings.flag("add_eos_token").unwrap_or(false),
            _ => true,
        },
        ends: ends(&vocabulary, eos),
        unknown,
    };
    if matches!(rules, Rules::XlmRoberta | Rules::Camembert) {
        special.bos = id("cls_token");
        special.closing = id("sep_token");
    }
    let pieces = vocabulary.pieces(strip_first_space, |token, _| token.replace(SPACE, " ").into_bytes());
    let encoder = Encoder::SentencePiece { marks: marks(&vocabulary, &shown), user_defined: matcher(&shown), model };
    Ok(Tokenizer::assemble(encoder, pieces, special, settings.chat(), true))
}

/// The pieces of a file by the ids that a family gives them.
fn numbered<'a>(rules: Rules, settings: &Settings, own: Vocabulary<'a>) -> Vocabulary<'a> {
    let mark = |name: &str| settings.mark(name).unwrap_or_default().to_owned();
    let (before, skipped) = match rules {
        Rules::XlmRoberta => (vec![mark("bos_token"), mark("pad_token"), mark("eos_token"), mark("unk_token")], 3),
        Rules::Camembert => {
            let unused = |name: &str| format!("{name}NOTUSED");
            (vec![unused("<s>"), mark("pad_token"), unused("</s>"), mark("unk_token"), unused("<unk>")], 1)
        }
        Rules::Pegasus => match settings.count("offset").unwrap_or(103).min(1 << 16) {
            0 | 1 => return own,
            offset => {
                let sentence = settings.mark("mask_token_sent").unwrap_or("<mask_1>").to_owned();
                let mut before = vec![mark("pad_token"), mark("eos_token"), sentence, mark("mask_token")];
                before.extend((2..offset).map(|i| format!("<unk_{i}>")));
                (before, 2)
            }
        },
        Rules::T5 => {
            let usual = if settings.kind == "t5" || settings.kind.is_empty() { 100 } else { 0 };
            let mut own = own;
            // A file that was saved since names them itself.
            let named = settings.added.iter().any(|(_, text, _)| text.starts_with("<extra_id_"));
            let sentinels = if named { 0 } else { settings.count("extra_ids").unwrap_or(usual) };
            for i in (0..sentinels.min(settings.rows.saturating_sub(own.len()))).rev() {
                own.push(format!("<extra_id_{i}>"), TokenKind::Control, 0.0);
            }
            return own;
        }
        Rules::Plain | Rules::Llama => return own,
    };
    let mut numbered = Vocabulary::default();
    let unknown = settings.mark("unk_token").unwrap_or_default();
    for token in before {
        let kind = if token == unknown { TokenKind::Unknown } else { TokenKind::Control };
        numbered.push(token, kind, 0.0);
    }
    let Vocabulary { tokens, kinds, scores } = own;
    for ((token, kind), score) in tokens.into_iter().zip(kinds).zip(scores).skip(skipped) {
        numbered.push(token, kind, score);
    }
    if matches!(rules, Rules::XlmRoberta | Rules::Camembert) {
        numbered.push(mark("mask_token"), TokenKind::Control, 0.0);
    }
    numbered
}

fn matcher(tokens: &[(u32, String)]) -> SpecialMatcher {
    SpecialMatcher::new(tokens.iter().map(|(id, text)| (*id, text.as_str())))
}

fn marks(vocabulary: &Vocabulary, shown: &[(u32, String)]) -> SpecialMatcher {
    let hidden = vocabulary.iter().filter(|(_, _, kind)| kind.is_special()).map(|(id, text, _)| (id, text));
    SpecialMatcher::new(hidden.chain(shown.iter().map(|(id, text)| (*id, text.as_str()))))
}

/// Tokens that end a text, sorted.
fn ends(vocabulary: &Vocabulary, eos: Option<u32>) -> Vec<u32> {
    let is_mark = |kind| matches!(kind, TokenKind::Control | TokenKind::UserDefined);
    let named = vocabulary.iter().filter(|(_, text, kind)| is_mark(*kind) && ENDS_OF_TEXT.contains(text));
    let mut ends: Vec<u32> = named.map(|(id, ..)| id).chain(eos).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Marian reads by the source language's pieces, and numbers the tokens of both languages by one `vocab.json`. transformers may change the
/// punctuation beforehand, where sacremoses is installed; here a text is taken as it is.
fn marian(mut settings: Settings, source: ModelProto, numbers: &Value) -> Result<Tokenizer> {
    if settings.flag("separate_vocabs") == Some(true) {
        return Err(Error::unsupported_model(
            "the model has a vocabulary for each language (separate_vocabs), which only a tokenizer.json can say here; give one",
        ));
    }
    settings.complete(&[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")]);
    let mut vocabulary = vocabulary_of(numbers)?;
    let named = vocabulary.iter().filter(|(_, _, kind)| *kind == TokenKind::Normal);
    let ids: HashMap<String, u32> = named.map(|(id, text, _)| (text.to_owned(), id)).collect();
    let unknown = settings.mark("unk_token").and_then(|text| ids.get(text).copied());
    let unknown = unknown
        .ok_or_else(|| Error::corrupt_file("vocab.json: it has no token for what is unknown; give the model's own"))?;
    vocabulary.kinds[unknown as usize] = TokenKind::Unknown;
    let shown = add(&settings, &mut vocabulary);
    let ModelProto { vocabulary: pieces, search, normalizer, .. } = source;
    let strip_first_space = normalizer.prefix;
    let own =
        pieces.scored().map(|(_, text, kind, score)| (ids.get(text).copied().unwrap_or(unknown), text, kind, score));
    let languages = ids.iter().filter(|(text, _)| text.starts_with(">>") && text.ends_with("<<"));
    let languages = languages.map(|(text, id)| (Box::from(text.as_str()), *id)).collect();
    let model = SentencePiece::new(search, own, Some(unknown), normalizer).map_err(refused)?.with_languages(languages);
    let eos = settings.mark("eos_token").and_then(|text| ids.get(text).copied());
    let special = SpecialTokens {
        eos,
        closing: eos,
        add_eos: true,
        ends: ends(&vocabulary, eos),
        unknown: Some(unknown),
        ..SpecialTokens::default()
    };
    let pieces = vocabulary.pieces(strip_first_space, |token, _| token.replace(SPACE, " ").into_bytes());
    let encoder = Encoder::SentencePiece { marks: marks(&vocabulary, &shown), user_defined: matcher(&shown), model };
    Ok(Tokenizer::assemble(encoder, pieces, special, settings.chat(), true))
}

/// BERT's `vocab.txt`, a token a line, as the `tokenizer.json` that transformers makes of it.
fn word_piece(mut settings: Settings, list: &[u8]) -> Result<Tokenizer> {
    let known = ["", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"];
    if !known.contains(&settings.class.as_str()) || settings.flag("do_basic_tokenize") == Some(false) {
        return Err(Error::unsupported_model(format!(
            "the model's tokenizer is a {} with rules that are not known here without a tokenizer.json; give that one (transformers' save_pretrained writes it)",
            settings.class
        )));
    }
    settings.complete(&[
        ("unk_token", "[UNK]"),
        ("sep_token", "[SEP]"),
        ("pad_token", "[PAD]"),
        ("cls_token", "[CLS]"),
        ("mask_token", "[MASK]"),
    ]);
    let list = std::str::from_utf8(list).map_err(|error| {
        Error::corrupt_file(format!(
            "vocab.txt: at byte {}: a text was to come, and these bytes are none; fetch the file again",
            error.valid_up_to()
        ))
    })?;
    let mut vocabulary = Vocabulary::default();
    list.lines().for_each(|token| vocabulary.push(token, TokenKind::Normal, 0.0));
    let words = vocabulary.len();
    add(&settings, &mut vocabulary);
    // Of equal lines the last counts.
    let model: Map<String, Value> =
        vocabulary.iter().take(words).map(|(id, token, _)| (token.to_owned(), id.into())).collect();
    let part = |name: &str, kind: u8| json!({ "SpecialToken": { "id": settings.mark(name), "type_id": kind } });
    let text = |name: &str, kind: u8| json!({ "Sequence": { "id": name, "type_id": kind } });
    let ids = vocabulary.ids();
    let id =
        |name: &str| settings.mark(name).and_then(|text| ids.get(text).copied()).filter(|id| (*id as usize) < words);
    let (Some(cls), Some(sep), Some(_)) = (id("cls_token"), id("sep_token"), id("unk_token")) else {
        return Err(Error::corrupt_file(
            "vocab.txt: it lacks the marks that frame a text, or the one for what is unknown; give the model's own",
        ));
    };
    let framing =
        |name: &str, id: u32| json!({ "id": settings.mark(name), "ids": [id], "tokens": [settings.mark(name)] });
    let mut frames = Map::new();
    for (name, id) in [("cls_token", cls), ("sep_token", sep)] {
        frames.insert(settings.mark(name).unwrap_or_default().to_owned(), framing(name, id));
    }
    let whole = json!({
        "version": "1.0",
        "added_tokens": settings.listed(&vocabulary),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": settings.flag("tokenize_chinese_chars").unwrap_or(true),
            "strip_accents": settings.flag("strip_accents"),
            "lowercase": settings.flag("do_lower_case").unwrap_or(true),
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part("cls_token", 0), text("A", 0), part("sep_token", 0)],
            "pair": [part("cls_token", 0), text("A", 0), part("sep_token", 0), text("B", 1), part("sep_token", 1)],
            "special_tokens": frames,
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": settings.mark("unk_token"),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": model,
        },
    });
    Tokenizer::from_json_and_settings(whole.to_string().as_bytes(), Some(&Value::Object(settings.json)), None)
}
