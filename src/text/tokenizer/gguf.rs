//! A tokenizer from the vocabulary inside a GGUF (`tokenizer.ggml.*`, as the GGUF specification and llama.cpp describe it).

use std::borrow::Cow;

use tokenizers::{
    AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior,
    models::{
        bpe::{self, BPE},
        wordpiece::WordPiece,
    },
    normalizers::{BertNormalizer, NFC},
    pre_tokenizers::{
        bert::BertPreTokenizer,
        byte_level::ByteLevel as ByteLevelPreTokenizer,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{
    Encoder, SpecialTokens, Tokenizer,
    chat::ChatParts,
    longest_match,
    normalizer::SPACE,
    normalizer::{CharsMap, Normalizer},
    pieces::{ByteLevel, Pieces},
    pre_tokenizers::pre_tokenizer,
    sentencepiece::{Search, SentencePiece},
    special::SpecialMatcher,
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{Error, Result, weights::Metadata};

/// The vocabulary as the file lists it.
fn read(metadata: &Metadata) -> Result<Vocabulary<'_>> {
    let tokens: Vec<&str> = metadata.require("tokenizer.ggml.tokens")?;
    if tokens.is_empty() {
        return Err(Error::corrupt_file("the file's vocabulary is empty; convert the model again"));
    }
    let count = tokens.len();
    let kinds: Option<Vec<i32>> = metadata.get("tokenizer.ggml.token_type")?;
    let mut kinds = match kinds {
        Some(kinds) => kinds.into_iter().map(TokenKind::from_number).collect(),
        None => vec![TokenKind::Normal; count],
    };
    let scores: Option<Vec<f32>> = metadata.get("tokenizer.ggml.scores")?;
    let mut scores = scores.unwrap_or_else(|| vec![0.0; count]);
    for (what, len) in [("types", kinds.len()), ("scores", scores.len())] {
        if len < count {
            return Err(Error::corrupt_file(format!(
                "the file lists {count} tokens but {len} token {what}; convert the model again"
            )));
        }
    }
    if scores.iter().any(|s| s.is_nan()) {
        return Err(Error::corrupt_file("a token's score is not a number; convert the model again"));
    }
    kinds.truncate(count);
    scores.truncate(count);
    Ok(Vocabulary { tokens: tokens.into_iter().map(Cow::Borrowed).collect(), kinds, scores })
}

/// Marks and user-defined tokens as the `tokenizers` crate knows them.
fn added_tokens(vocabulary: &Vocabulary) -> Vec<AddedToken> {
    let added = vocabulary.iter().filter(|(_, _, kind)| kind.is_special() || *kind == TokenKind::UserDefined);
    added.map(|(_, token, kind)| AddedToken::from(token, kind.is_special()).normalized(false)).collect()
}

impl Tokenizer {
    /// Reads the tokenizer of a GGUF, vocabulary-only files included.
    ///
    /// Errors: `unsupported-model` where there is no vocabulary or its kind is unknown, `corrupt-file` where it does not hold together.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let Some(model) = metadata.get::<&str>("tokenizer.ggml.model")? else {
            return Err(Error::unsupported_model(
                "the file holds no tokenizer; give one with it (a tokenizer.json), or use a GGUF that has its vocabulary inside",
            ));
        };
        let vocabulary = read(metadata)?;
        let (encoder, pieces, defaults) = match model {
            "llama" => sentence_piece(metadata, &vocabulary)?,
            "t5" => unigram(metadata, &vocabulary)?,
            "gpt2" => byte_level(metadata, &vocabulary)?,
            "bert" => word_piece(metadata, &vocabulary)?,
            "rwkv" => {
                let (encoder, pieces) = longest_match::of_gguf(&vocabulary)?;
                (encoder, pieces, Defaults { add_bos: false, add_eos: false, bos: Some(0), eos: Some(0) })
            }
            other => {
                return Err(Error::unsupported_model(format!(
                    "the file's tokenizer is of the kind {other:?}, which is not known here; kinds that work: llama, t5, gpt2, bert, rwkv"
                )));
            }
        };
        let special = special_tokens(metadata, &vocabulary, defaults)?;
        let chat = ChatParts::of_metadata(metadata, |id| vocabulary.text(id))?;
        Ok(Self::assemble(encoder, pieces, special, chat, false))
    }
}

/// What a kind of tokenizer takes for granted where the file is silent.
struct Defaults {
    add_bos: bool,
    add_eos: bool,
    bos: Option<u32>,
    eos: Option<u32>,
}

type Made = (Encoder, Pieces, Defaults);

fn refused(what: &str) -> impl Fn(tokenizers::Error) -> Error {
    move |cause| Error::corrupt_file(format!("the file's {what} cannot be used: {cause}; convert the model again"))
}

fn sentence_piece(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Made> {
    let prefix = metadata.get("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let unknown = metadata.get("tokenizer.ggml.unknown_token_id")?.or(Some(0));
    let normalizer = Normalizer { prefix, ..Normalizer::default() };
    let model =
        SentencePiece::new(Search::Merges, vocabulary.scored(), unknown, normalizer).map_err(refused("tokens"))?;
    let own = vocabulary.iter().filter(|(_, _, k)| *k == TokenKind::UserDefined);
    let encoder = Encoder::SentencePiece {
        marks: marks(vocabulary),
        user_defined: SpecialMatcher::new(own.map(|(id, t, _)| (id, t))),
        model,
    };
    let pieces = vocabulary.pieces(prefix, |token, kind| match kind {
        TokenKind::UserDefined => token.into(),
        _ => token.replace(SPACE, " ").into_bytes(),
    });
    Ok((encoder, pieces, Defaults { add_bos: true, add_eos: false, bos: Some(1), eos: Some(2) }))
}

/// All marks, and what a user defined.
fn marks(vocabulary: &Vocabulary) -> SpecialMatcher {
    let marks = vocabulary.iter().filter(|(_, _, k)| k.is_special() || *k == TokenKind::UserDefined);
    SpecialMatcher::new(marks.map(|(id, t, _)| (id, t)))
}

/// What T5 and XLM-R have: SentencePiece's unigrams with its normalizer.
fn unigram(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Made> {
    let flag =
        |key: &str, usual: bool| Ok::<_, Error>(metadata.get(&format!("tokenizer.ggml.{key}"))?.unwrap_or(usual));
    let map: Option<Vec<i32>> = metadata.get("tokenizer.ggml.precompiled_charsmap")?;
    let map = map.filter(|map| !map.is_empty()).map(|map| map.into_iter().map(|byte| byte as u8).collect::<Vec<_>>());
    let charsmap = map.map(|map| CharsMap::read(&map)).transpose().map_err(|what| {
        Error::corrupt_file(format!("the file's tokenizer cannot be used: {what}; convert the model again"))
    })?;
    let normalizer = Normalizer {
        charsmap,
        prefix: flag("add_space_prefix", true)?,
        squeezes: flag("remove_extra_whitespaces", true)?,
        suffix: flag("treat_whitespace_as_suffix", false)?,
        plain_spaces: false,
    };
    let strip_first_space = normalizer.prefix;
    let unknown = metadata.get("tokenizer.ggml.unknown_token_id")?.or(Some(2));
    let model =
        SentencePiece::new(Search::Likeliest, vocabulary.scored(), unknown, normalizer).map_err(refused("tokens"))?;
    let encoder = Encoder::SentencePiece { marks: marks(vocabulary), user_defined: SpecialMatcher::default(), model };
    let pieces = vocabulary.pieces(strip_first_space, |token, _| token.replace(SPACE, " ").into_bytes());
    Ok((encoder, pieces, Defaults { add_bos: false, add_eos: true, bos: None, eos: Some(1) }))
}

fn byte_level(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Made> {
    let name = metadata.get::<&str>("tokenizer.ggml.pre")?.unwrap_or("default");
    let pre = pre_tokenizer(name).ok_or_else(|| {
        Error::unsupported_model(format!(
            "the file's pre-tokenizer {name:?} is not known here, and a wrong one would spoil every text; use another conversion of the model"
        ))
    })?;
    let ids = vocabulary.ids();
    let mut merges = vec![];
    for merge in metadata.require::<Vec<&str>>("tokenizer.ggml.merges")? {
        // The first character may itself be a space.
        let at = merge.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(at, _)| at);
        let pair = at.map(|at| (&merge[..at], &merge[at + 1..]));
        match pair {
            Some((a, b)) if [a, b, &format!("{a}{b}")].iter().all(|t| ids.contains_key(*t)) => {
                merges.push((a.to_owned(), b.to_owned()));
            }
            _ => {
                return Err(Error::corrupt_file(format!(
                    "the merge {merge:?} does not fit the file's vocabulary; convert the model again"
                )));
            }
        }
    }
    let words: bpe::Vocab = ids.into_iter().map(|(t, id)| (t.to_owned(), id)).collect();
    let model = BPE::builder()
        .vocab_and_merges(words, merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(refused("merges"))?;
    let mut steps: Vec<PreTokenizerWrapper> = vec![];
    for pattern in pre.patterns {
        let pattern = SplitPattern::Regex((*pattern).into());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .map_err(|cause| Error::internal(format!("the pattern of the pre-tokenizer {name:?} is wrong: {cause}")))?;
        steps.push(split.into());
    }
    steps.push(ByteLevelPreTokenizer::new(false, true, false).into());
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    if pre.composes {
        tokenizer.with_normalizer(Some(NFC)).map_err(refused("normalizer"))?;
    }
    tokenizer.add_tokens(added_tokens(vocabulary)).map_err(refused("special tokens"))?;
    let spelling = ByteLevel::new();
    let pieces = vocabulary.pieces(false, |token, kind| match kind {
        TokenKind::UserDefined => token.into(),
        _ => spelling.bytes(token),
    });
    let defaults = Defaults { add_bos: pre.add_bos, add_eos: false, bos: None, eos: None };
    Ok((Encoder::library(tokenizer), pieces, defaults))
}

/// BERT's WordPiece (arXiv 1609.08144). A GGUF marks the starts of words with U+2581 where BERT's own vocabulary marks the rest of
/// them with `##`.
fn word_piece(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Made> {
    let bracketed = |t: &str| t.starts_with('[') && t.ends_with(']');
    let mut words = bpe::Vocab::with_capacity(vocabulary.len());
    for (id, token, kind) in vocabulary.iter() {
        let word = match token.strip_prefix(SPACE) {
            Some(start) => start.to_owned(),
            None if kind.is_special() || bracketed(token) => token.to_owned(),
            None => format!("##{token}"),
        };
        words.entry(word).or_insert(id);
    }
    let unknown = metadata.get("tokenizer.ggml.unknown_token_id")?.unwrap_or(100);
    let model = WordPiece::builder()
        .vocab(words)
        .unk_token(vocabulary.text(unknown).unwrap_or_default().to_owned())
        .build()
        .map_err(refused("vocabulary"))?;
    let lowercase = metadata.get("tokenizer.ggml.normalizer.lowercase")?.unwrap_or(true);
    let strip_accents = metadata.get("tokenizer.ggml.normalizer.strip_accents")?.unwrap_or(lowercase);
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let normalizer = BertNormalizer::new(true, true, Some(strip_accents), lowercase);
    tokenizer.with_normalizer(Some(normalizer)).map_err(refused("normalizer"))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.add_tokens(added_tokens(vocabulary)).map_err(refused("special tokens"))?;
    let pieces = vocabulary.pieces(true, |token, kind| match kind {
        TokenKind::UserDefined => token.into(),
        _ => token.replace(SPACE, " ").into_bytes(),
    });
    Ok((Encoder::library(tokenizer), pieces, Defaults { add_bos: true, add_eos: true, bos: Some(101), eos: None }))
}

fn special_tokens(metadata: &Metadata, vocabulary: &Vocabulary, defaults: Defaults) -> Result<SpecialTokens> {
    let count = vocabulary.len() as u32;
    let id = |key: &str, default: Option<u32>| -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{key}_token_id");
        match metadata.get::<u32>(&key)? {
            // Converters write this for "none".
            Some(u32::MAX) => Ok(None),
            Some(id) if id >= count => Err(Error::corrupt_file(format!(
                "{key} is {id}, but the vocabulary has {count} tokens; convert the model again"
            ))),
            Some(id) => Ok(Some(id)),
            None => Ok(default.filter(|id| *id < count)),
        }
    };
    let bos = id("bos", defaults.bos)?;
    let cls = id("cls", None)?;
    let eos = id("eos", defaults.eos)?;
    // Converters of BERT's time wrote it with an e.
    let separator = id("seperator", None)?.or(id("separator", None)?);
    let mut special = SpecialTokens {
        bos: cls.or(bos),
        eos,
        closing: separator.or(eos),
        add_bos: metadata.get("tokenizer.ggml.add_bos_token")?.unwrap_or(defaults.add_bos),
        add_eos: metadata.get("tokenizer.ggml.add_eos_token")?.unwrap_or(defaults.add_eos),
        ends: vec![],
        unknown: id("unknown", None)?,
    };
    special.ends.extend([eos, id("eot", None)?, id("eom", None)?].into_iter().flatten());
    for (id, token, kind) in vocabulary.iter() {
        // Some converters take the ends of turns for tokens that a user defined.
        let is_mark = matches!(kind, TokenKind::Control | TokenKind::UserDefined);
        if is_mark && super::special::ENDS_OF_TEXT.contains(&token) {
            special.ends.push(id);
        }
    }
    special.ends.sort_unstable();
    special.ends.dedup();
    Ok(special)
}
