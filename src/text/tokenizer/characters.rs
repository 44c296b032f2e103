//! The vocabulary of a recurrent model: a list of characters, as tutorials save it, or letters and phonemes.

use std::collections::HashMap;

use serde_json::Value;

use super::{Encoder, SpecialTokens, Tokenizer, chat::ChatParts, pieces::Pieces};
use crate::{Error, Result, weights::WeightFile};

/// What tutorials call it in a configuration.
const KEYS: [&str; 12] = [
    "vocab",
    "chars",
    "characters",
    "itos",
    "stoi",
    "char_to_idx",
    "char_to_ix",
    "char2idx",
    "idx_to_char",
    "ix_to_char",
    "idx2char",
    "int2char",
];
const UNKNOWN: [&str; 4] = ["<unk>", "[UNK]", "<UNK>", "unk"];
const ENDS: [&str; 5] = ["<eos>", "</s>", "<EOS>", "<end>", "[EOS]"];
const BEGINNINGS: [&str; 5] = ["<bos>", "<s>", "<BOS>", "<start>", "<sos>"];

/// Ids of single characters, and what stands for all others.
pub(super) struct Characters {
    ids: HashMap<char, u32>,
    unknown: Option<u32>,
    /// Whether they are read alone, in lower case, and what is written has an alphabet of its own.
    pub letters: bool,
}

impl Characters {
    /// Errors: `bad-argument` that names a character which the model does not know.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let lower = self.letters.then(|| text.to_lowercase());
        for c in lower.as_deref().unwrap_or(text).chars() {
            let id = self.ids.get(&c).copied().or(self.unknown);
            ids.push(id.ok_or_else(|| {
                Error::bad_argument(format!(
                    "the character {c:?} is none of the {} that this model knows; write it otherwise",
                    self.ids.len()
                ))
            })?);
        }
        Ok(())
    }
}

impl Tokenizer {
    /// Of the characters that lie beside a recurrent model of `tokens` tokens: a `vocab.json`, or a list in its `config.json`. What is longer than a
    /// character is a mark.
    ///
    /// Errors: `bad-argument` where there are none, `corrupt-file` where they are not as many as the model has.
    pub fn of_characters(file: &WeightFile, tokens: usize) -> Result<Self> {
        let vocab = file.extra_json("vocab.json")?;
        let config = file.extra_json("config.json")?.unwrap_or(Value::Null);
        let listed = vocab.as_ref().into_iter().chain(KEYS.iter().map(|key| &config[key])).find_map(list);
        let listed = listed.ok_or_else(|| {
            Error::bad_argument(
                "a recurrent model needs its characters; give a vocab.json beside it, {\"a\": 0, …} or a list of them, or a list \"vocab\" in its config.json",
            )
        })?;
        if listed.len() != tokens {
            return Err(Error::corrupt_file(format!(
                "{} characters are listed, and the model knows {tokens}; give the list that belongs to it",
                listed.len()
            )));
        }
        let mut pieces = Pieces::new(false);
        let mut ids = HashMap::new();
        for (id, token) in listed.iter().enumerate() {
            let mut chars = token.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => {
                    ids.entry(only).or_insert(id as u32);
                    pieces.push(token.as_bytes(), false);
                }
                _ => pieces.push(token.as_bytes(), true),
            }
        }
        let find = |names: &[&str]| listed.iter().position(|token| names.contains(&token.as_str())).map(|id| id as u32);
        let eos = find(&ENDS);
        let special = SpecialTokens {
            bos: find(&BEGINNINGS),
            eos,
            closing: eos,
            add_bos: false,
            add_eos: false,
            ends: eos.into_iter().collect(),
            unknown: find(&UNKNOWN),
        };
        let characters = Characters { ids, unknown: special.unknown, letters: false };
        Ok(Self::assemble(Encoder::Characters(characters), pieces, special, ChatParts::default(), false))
    }
}

/// What g2p-en reads, and what it writes: ARPAbet's phonemes, of which vowels have a stress.
const GRAPHEMES: &str = "<pad> <unk> </s> a b c d e f g h i j k l m n o p q r s t u v w x y z";
const PHONEMES: &str = "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH";

impl Tokenizer {
    /// Of a model that reads words letter by letter and writes their phonemes, with spaces between them: as `graphemes` and `phonemes` of a `config.json` list
    /// them, else g2p-en's. A text is read in lower case, with `</s>` behind it.
    ///
    /// Errors: `corrupt-file` where they are not as many as the model has, or the marks are not where it has them.
    pub fn of_phonemes(file: &WeightFile, read: usize, written: usize) -> Result<Self> {
        let config = file.extra_json("config.json")?.unwrap_or(Value::Null);
        let listed = |key: &str, usual: &str| {
            list(&config[key]).unwrap_or_else(|| usual.split(' ').map(str::to_owned).collect())
        };
        let (graphemes, phonemes) = (listed("graphemes", GRAPHEMES), listed("phonemes", PHONEMES));
        let place = |list: &[String], mark: &str| list.iter().position(|token| token == mark).map(|id| id as u32);
        let (closing, begin, end) = (place(&graphemes, "</s>"), place(&phonemes, "<s>"), place(&phonemes, "</s>"));
        let fits = graphemes.len() == read && phonemes.len() == written;
        if !fits || closing.is_none() || begin != Some(2) || end.is_none() {
            return Err(Error::corrupt_file(format!(
                "the model reads {read} letters and writes {written} phonemes, and {} and {} are listed, with <s> at 2 and </s> in both if they are its own; give the lists \"graphemes\" and \"phonemes\" of the model in a config.json",
                graphemes.len(),
                phonemes.len()
            )));
        }
        let mut pieces = Pieces::new(true);
        for phoneme in &phonemes {
            match phoneme.starts_with('<') {
                true => pieces.push(phoneme.as_bytes(), true),
                false => pieces.push(format!(" {phoneme}").as_bytes(), false),
            }
        }
        let letter = |(id, token): (usize, &String)| {
            let mut chars = token.chars();
            chars.next().filter(|_| chars.next().is_none()).map(|letter| (letter, id as u32))
        };
        let ids = graphemes.iter().enumerate().filter_map(letter).collect();
        let characters = Characters { ids, unknown: place(&graphemes, "<unk>"), letters: true };
        let special = SpecialTokens {
            bos: begin,
            eos: end,
            closing,
            add_eos: true,
            ends: end.into_iter().collect(),
            ..SpecialTokens::default()
        };
        Ok(Self::assemble(Encoder::Characters(characters), pieces, special, ChatParts::default(), false))
    }

    /// Whether it reads letters and writes what has an alphabet of its own.
    pub(in crate::text) fn reads_letters(&self) -> bool {
        matches!(&self.0.encoder, Encoder::Characters(characters) if characters.letters)
    }
}

/// Tokens in the order of their ids: `["a", …]`, `{"a": 0, …}` or `{"0": "a", …}`.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(|token| Some(token.as_str()?.to_owned())).collect(),
        Value::String(text) => Some(text.chars().map(String::from).collect()),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| match value {
                Value::Number(id) => Some((id.as_u64()?, key.clone())),
                Value::String(token) => Some((key.parse().ok()?, token.clone())),
                _ => None,
            };
            let mut pairs: Vec<(u64, String)> = map.iter().map(pair).collect::<Option<_>>()?;
            pairs.sort_unstable();
            let in_order = pairs.iter().enumerate().all(|(at, (id, _))| at as u64 == *id);
            (in_order && !pairs.is_empty()).then(|| pairs.into_iter().map(|(_, token)| token).collect())
        }
        _ => None,
    }
}
