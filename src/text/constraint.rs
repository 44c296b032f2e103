//! What holds a text to a form: the tokens that may come next, and those that must.
//!
//! The parsing is `vitrine-constraints`', linked where the crate runs natively and a module of its own in a page. Here is what a generation
//! asks of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EncodeOptions, Tokenizer};
use crate::Result;

/// What the text written is: exactly one of the four, and for a schema how its JSON is written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constraint {
    /// A [JSON Schema](https://json-schema.org/draft/2020-12): an object, `true` (any JSON) or `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A regular expression for the whole text, in the syntax of Rust's `regex` without look-around.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// A grammar in Lark's or llama.cpp's (GBNF) notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// One of these strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Vec<String>>,
    /// `{ whitespace: "spaced" | "compact" | "flexible", keyOrder: "schema" | "sorted" | [names] }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_format: Option<Value>,
}

impl Constraint {
    /// The option that says what the text is; `None` where none does.
    pub fn name(&self) -> Option<&'static str> {
        let asked = [
            ("schema", self.schema.is_some()),
            ("regex", self.regex.is_some()),
            ("grammar", self.grammar.is_some()),
            ("choice", self.choice.is_some()),
            ("schemaFormat", self.schema_format.is_some()),
        ];
        asked.into_iter().find(|(_, is)| *is).map(|(name, _)| name)
    }
}

/// Follows one text token by token.
pub trait Matcher {
    /// The tokens that may come next, a bit each from the lowest of the first word on; one that ends a text where it may end.
    fn mask(&mut self) -> Result<Vec<u32>>;
    /// The token came.
    fn take(&mut self, token: u32) -> Result<()>;
    /// The bytes that must come next.
    fn forced(&mut self) -> Result<Vec<u8>>;
    /// How many of these tokens may come one after another.
    fn accepts(&mut self, tokens: &[u32]) -> Result<usize>;
    /// Whether nothing but the end may come.
    fn is_complete(&self) -> bool;
}

/// A model's tokens as a matcher is made from them: for each of `vocabulary` ids the bytes that it says and whether readers do not see it.
pub fn pieces(tokenizer: &Tokenizer, vocabulary: usize) -> impl Iterator<Item = (&[u8], bool)> {
    (0..vocabulary as u32).map(|id| (tokenizer.token_bytes(id).unwrap_or_default(), tokenizer.is_hidden(id)))
}

/// A token that stands for the end of a text.
pub fn end_of(tokenizer: &Tokenizer, vocabulary: usize) -> u32 {
    let end = tokenizer.special().ends.iter().copied().find(|id| (*id as usize) < vocabulary);
    // None there is refused where the tokens are sorted.
    end.unwrap_or(u32::MAX)
}

/// The tokens that a tokenizer makes of what must come, but for the last, which may go on beyond it; none where it makes no whole ones of it.
///
/// `before` is the token that stands there: words are cut otherwise at the beginning of a text.
pub fn forced_tokens(
    matcher: &mut dyn Matcher,
    tokenizer: &Tokenizer,
    before: Option<u32>,
    most: usize,
) -> Result<Vec<u32>> {
    let bytes = matcher.forced()?;
    let Ok(forced) = std::str::from_utf8(&bytes) else { return Ok(vec![]) };
    if forced.is_empty() || most == 0 {
        return Ok(vec![]);
    }
    let shown = before.filter(|id| !tokenizer.is_hidden(*id)).and_then(|id| tokenizer.token_bytes(id));
    let stem = shown.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let mut tokens = cut_behind(tokenizer, stem, forced)?;
    if tokens.is_empty() && !stem.is_empty() {
        tokens = cut_behind(tokenizer, "", forced)?;
    }
    tokens.pop();
    tokens.truncate(most);
    let accepted = matcher.accepts(&tokens)?;
    tokens.truncate(accepted);
    Ok(tokens)
}

/// The tokens of `text` where it stands behind `stem`; none where a token reaches over the seam or says something else.
fn cut_behind(tokenizer: &Tokenizer, stem: &str, text: &str) -> Result<Vec<u32>> {
    let ids = tokenizer.encode(&format!("{stem}{text}"), EncodeOptions { add_special: false, parse_special: false })?;
    let says = |ids: &[u32]| {
        ids.iter().flat_map(|id| tokenizer.token_bytes(*id).unwrap_or_default()).copied().collect::<Vec<u8>>()
    };
    let all = says(&ids);
    // Some vocabularies begin every text with a space.
    let Some(begun) = all.len().checked_sub(text.len()) else { return Ok(vec![]) };
    if !all.ends_with(text.as_bytes()) || !all[..begun].ends_with(stem.as_bytes()) {
        return Ok(vec![]);
    }
    let seam = (0..=ids.len()).find(|count| says(&ids[..*count]).len() == begun);
    Ok(seam.map_or_else(Vec::new, |count| ids[count..].to_vec()))
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::{Constraint, Matcher, end_of, pieces};
    use crate::{Error, Result, text::Tokenizer};

    /// A model's tokens, sorted.
    pub struct Vocabulary(vitrine_constraints::Vocabulary);

    fn refused(fault: vitrine_constraints::Fault) -> Error {
        Error::bad_argument(fault.to_string())
    }

    impl Vocabulary {
        pub fn new(tokenizer: &Tokenizer, vocabulary: usize) -> Result<Self> {
            let tokens = pieces(tokenizer, vocabulary).map(|(bytes, is_mark)| (bytes.to_vec(), is_mark));
            vitrine_constraints::Vocabulary::new(tokens, end_of(tokenizer, vocabulary)).map(Self).map_err(refused)
        }

        pub fn matcher(&self, constraint: &Constraint) -> Result<Box<dyn Matcher>> {
            let json = serde_json::to_string(constraint).map_err(|error| Error::internal(error.to_string()))?;
            let request = vitrine_constraints::Request::from_json(&json).map_err(refused)?;
            Ok(Box::new(self.0.matcher(&request).map_err(refused)?))
        }
    }

    impl Matcher for vitrine_constraints::Matcher {
        fn mask(&mut self) -> Result<Vec<u32>> {
            self.mask().map_err(refused)
        }

        fn take(&mut self, token: u32) -> Result<()> {
            self.take(token).map_err(refused)
        }

        fn forced(&mut self) -> Result<Vec<u8>> {
            Ok(self.forced())
        }

        fn accepts(&mut self, tokens: &[u32]) -> Result<usize> {
            self.accepts(tokens).map_err(refused)
        }

        fn is_complete(&self) -> bool {
            self.is_complete()
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::Vocabulary;
