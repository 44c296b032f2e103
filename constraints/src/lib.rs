//! What may come next: a JSON Schema, a regular expression, a grammar or a choice, and the tokens that go on with it.
//!
//! ```text
//! Request (JSON) ──▶ Vocabulary::matcher ──▶ Matcher: mask() ─▶ bits over the vocabulary; take(token); forced() ─▶ bytes
//! ```
//!
//! [llguidance](https://github.com/guidance-ai/llguidance) does the parsing (Earley over lexemes that are derivatives of regular expressions);
//! here are the request and its checks, GBNF, the order of keys and spaces of a schema, and a guard against what never ends. A module of its own in
//! the page, which loads it when a text is first held to something. Knows nothing of models.

mod ends;
mod format;
mod gbnf;
mod lark;
mod plain;
mod request;
mod schema;
#[cfg(target_arch = "wasm32")]
mod web;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use llguidance::{
    ParserFactory,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};

pub use format::{KeyOrder, SchemaFormat, Whitespace};
pub use request::Request;

/// Forced bytes that are told at once at most: what forces more goes on after them.
const MOST_FORCED: usize = 4096;
/// Requests whose matchers are kept, each as it begins: making one takes longer than following some tokens of a small model.
const MOST_KEPT: usize = 4;
/// The byte that no text holds; llguidance tells marks such as `<|im_end|>` by it.
const MARK: u8 = 0xff;

/// Why a text cannot be held to what was asked: a sentence that names the option and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// The tokens of a model, sorted as masks are computed over them: made once for a model.
pub struct Vocabulary {
    factory: ParserFactory,
    end: u32,
    /// The one that was asked for last is the last.
    made: Mutex<Vec<(Request, Matcher)>>,
}

impl Vocabulary {
    /// `tokens`: for each id the bytes that it says and whether it is a mark that readers do not see; `end`: a token that ends a text, which is
    /// allowed where the text may end.
    pub fn new(tokens: impl IntoIterator<Item = (Vec<u8>, bool)>, end: u32) -> Result<Self, Fault> {
        let mut words: Vec<Vec<u8>> = tokens
            .into_iter()
            .map(|(mut bytes, is_mark)| {
                if is_mark && !bytes.is_empty() {
                    bytes.insert(0, MARK);
                }
                bytes
            })
            .collect();
        let Some(last) = words.get_mut(end as usize) else {
            return Err(Fault::new(
                "this model's tokens have none that ends a text, so that nothing can be held to a form; leave schema, regex, grammar and choice out",
            ));
        };
        if last.first() != Some(&MARK) {
            last.insert(0, MARK);
        }
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&environment)
            .map_err(|error| Fault::new(format!("this model's tokens cannot be sorted: {error}")))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, end, made: Mutex::default() })
    }

    /// What follows a text from its first token on.
    ///
    /// Errors: what was asked cannot be read, cannot be met by any text, or grows beyond what may be computed.
    pub fn matcher(&self, request: &Request) -> Result<Matcher, Fault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match made.iter().position(|(known, _)| known == request) {
            Some(at) => made.remove(at),
            None => (request.clone(), self.make(request)?),
        };
        let matcher = kept.1.anew();
        if made.len() == MOST_KEPT {
            made.remove(0);
        }
        made.push(kept);
        Ok(matcher)
    }

    fn make(&self, request: &Request) -> Result<Matcher, Fault> {
        let (name, grammar) = request.grammar()?;
        let parser = self.factory.create_parser(grammar).map_err(|error| refused(name, &error.to_string()))?;
        let mut matcher = Matcher { inner: llguidance::Matcher::new(Ok(parser)), name, end: self.end };
        // What cannot begin is known now.
        let mask = matcher.mask()?;
        if mask.iter().all(|word| *word == 0) {
            return Err(Fault::new(format!(
                "{name} can be met by no text that this model's tokens say; ask for another"
            )));
        }
        Ok(matcher)
    }
}

/// How far a text has come in what it is held to.
pub struct Matcher {
    inner: llguidance::Matcher,
    /// The option, for sentences.
    name: &'static str,
    end: u32,
}

impl Matcher {
    /// Another one that is as far, and shares nothing with it.
    fn anew(&self) -> Self {
        Self { inner: self.inner.deep_clone(), ..*self }
    }

    /// The tokens that may come next, a bit each from the lowest of the first word on; the end's bit stands where the text may end.
    pub fn mask(&mut self) -> Result<Vec<u32>, Fault> {
        let mask = self.inner.compute_mask_or_eos().map_err(|error| refused(self.name, &error.to_string()))?;
        Ok(mask.as_slice().to_vec())
    }

    /// The token came.
    pub fn take(&mut self, token: u32) -> Result<(), Fault> {
        self.inner.consume_token(token).map_err(|error| refused(self.name, &error.to_string()))
    }

    /// The bytes that must come next, whatever a model says.
    pub fn forced(&mut self) -> Vec<u8> {
        let mut bytes = self.inner.compute_ff_bytes();
        bytes.truncate(MOST_FORCED);
        bytes
    }

    /// How many of these tokens may come one after another.
    pub fn accepts(&mut self, tokens: &[u32]) -> Result<usize, Fault> {
        self.inner.validate_tokens(tokens).map_err(|error| refused(self.name, &error.to_string()))
    }

    /// Whether nothing but the end may come.
    pub fn is_complete(&self) -> bool {
        self.inner.is_stopped()
    }

    pub fn end(&self) -> u32 {
        self.end
    }
}

/// llguidance's words for what it cannot do, in a sentence of ours.
fn refused(name: &str, said: &str) -> Fault {
    let said = said.replace("<non-verbose/>", "");
    // What follows the first line draws the place.
    let mut lines = said.trim().lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("it cannot be read").to_owned();
    let reason =
        lines.find_map(|line| line.strip_prefix("error: ")).map_or_else(String::new, |line| format!(" ({line})"));
    if let Some(keys) = first.strip_prefix("Unimplemented keys: ") {
        return Fault::new(format!(
            "{name} uses {keys}, which no text can be held to while it is written; leave that out and check the answer, or say it otherwise"
        ));
    }
    if let Some(why) = first.strip_prefix("Unsatisfiable schema: ") {
        return Fault::new(format!("{name} can be met by no text: {why}; mend what contradicts itself"));
    }
    if let Some(reference) = first.strip_prefix("Only absolute $ref's").and_then(|rest| rest.split('\'').nth(3)) {
        return Fault::new(format!(
            "{name} refers to {reference}, and only what stands within it is followed; put that into $defs, and refer to it by #/$defs/ and its name"
        ));
    }
    let too_much = ["fuel", "Too many", "too many", "too large", "limit", "exceed"];
    if too_much.iter().any(|word| first.contains(word)) && !first.contains("digits") {
        return Fault::new(format!(
            "{name} takes more computing than a token may: {first}; ask for something simpler, with shorter repetitions"
        ));
    }
    Fault::new(format!("{name} cannot be taken: {first}{reason}; see docs/constraints.md for what it may hold"))
}

#[cfg(test)]
mod tests;
