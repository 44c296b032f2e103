//! What the page adds to each choice of the device: a bias of the logits that follows the text, and the bound of mirostat.
//!
//! The device chooses; what it cannot know is written to it before a step. Where that depends on the token before, one step is in flight at a time.

use super::{
    GenerateOptions, Matcher, Tokenizer,
    constraint::forced_tokens,
    sampling::{Dry, Mirostat},
};
use crate::{
    Error, Result,
    graph::{BANNED, SampleParams, Sampled},
};

/// Longest run of tokens that DRY looks for.
const LONGEST_RUN: usize = 64;

/// Guides one generation.
pub struct Guide {
    /// Of each token, whatever the text: `logitBias`, and what may never come.
    fixed: Vec<(u32, f32)>,
    /// Tokens that end a text, and before how many tokens none may.
    ends: Vec<u32>,
    min_tokens: usize,
    phrases: Vec<Phrase>,
    /// The bytes written last, as many as a phrase may have.
    tail: Vec<u8>,
    dry: Option<(Dry, Vec<bool>)>,
    mirostat: Option<(Mirostat, f32)>,
    /// What the text is held to.
    matcher: Option<Box<dyn Matcher>>,
    vocabulary: usize,
    /// The bias as the device has it.
    bias: Vec<f32>,
}

/// Words that may not come, and which tokens would complete them once so many of their bytes stand there.
struct Phrase {
    bytes: Vec<u8>,
    completing: Vec<Vec<u32>>,
}

impl Guide {
    /// `vocabulary`: how many tokens the model can write.
    pub fn new(options: &GenerateOptions, tokenizer: &Tokenizer, vocabulary: usize) -> Self {
        let ids = 0..vocabulary.min(tokenizer.vocabulary_size()) as u32;
        let says = |id: &u32| tokenizer.token_bytes(*id).unwrap_or_default();
        let mut fixed: Vec<(u32, f32)> = options.logit_bias.iter().map(|(id, bias)| (*id, *bias)).collect();
        let mut phrases = vec![];
        // Only a token that begins as the rest of a phrase does can complete it.
        let mut beginning: Vec<Vec<u32>> = vec![vec![]; 256];
        if !options.ban.is_empty() {
            ids.clone()
                .for_each(|id| says(&id).first().iter().for_each(|byte| beginning[usize::from(**byte)].push(id)));
        }
        for phrase in &options.ban {
            let bytes = phrase.as_bytes().to_vec();
            let within = |id: &u32| says(id).windows(bytes.len()).any(|part| part == bytes);
            fixed.extend(ids.clone().filter(within).map(|id| (id, f32::NEG_INFINITY)));
            let completes = |at: usize| {
                let candidates = beginning[usize::from(bytes[at])].iter().copied();
                candidates.filter(|id| says(id).starts_with(&bytes[at..])).collect()
            };
            let completing = (1..bytes.len()).map(completes).collect();
            phrases.push(Phrase { bytes, completing });
        }
        let dry = options.dry.clone().map(|dry| {
            let breaks = |id: u32| {
                let text = tokenizer.token_text(id).unwrap_or_default();
                dry.breakers.iter().any(|breaker| text.contains(breaker.as_str()))
            };
            let breakers = ids.clone().map(breaks).collect();
            (dry, breakers)
        });
        Self {
            fixed,
            ends: tokenizer.special().ends.iter().copied().filter(|id| (*id as usize) < vocabulary).collect(),
            min_tokens: options.min_tokens,
            phrases,
            tail: vec![],
            dry,
            mirostat: options.mirostat.map(|mirostat| (mirostat, 2.0 * mirostat.tau)),
            matcher: None,
            vocabulary,
            bias: vec![],
        }
    }

    /// The text written is what this lets come.
    pub fn hold_to(&mut self, matcher: Box<dyn Matcher>) {
        self.matcher = Some(matcher);
    }

    /// Whether the text is whole, and nothing may come after it.
    pub fn is_complete(&self) -> bool {
        self.matcher.as_ref().is_some_and(|matcher| matcher.is_complete())
    }

    /// Tokens that must come next whatever the model says, at most so many; `before` stands before them.
    pub fn forced(&mut self, tokenizer: &Tokenizer, before: Option<u32>, most: usize) -> Result<Vec<u32>> {
        let Some(matcher) = &mut self.matcher else { return Ok(vec![]) };
        let forced = forced_tokens(matcher.as_mut(), tokenizer, before, most)?;
        // What may not come is not forced either, and is told where it is asked for.
        let is_banned = |id: &u32| self.fixed.iter().any(|(banned, bias)| banned == id && *bias == f32::NEG_INFINITY);
        Ok(if self.phrases.is_empty() { forced.into_iter().take_while(|id| !is_banned(id)).collect() } else { vec![] })
    }

    /// Whether a step needs to know the token before it.
    pub fn waits(&self) -> bool {
        self.matcher.is_some()
            || self.dry.is_some()
            || self.mirostat.is_some()
            || self.phrases.iter().any(|phrase| phrase.bytes.len() > 1)
    }

    /// The bias `[vocabulary]` for the token `asked`, counted from 0, after `text`: all zeros are empty.
    ///
    /// Errors: `bad-argument` where all that may come is banned, or what the text is held to takes too much computing.
    pub fn bias(&mut self, asked: usize, text: &[u32]) -> Result<&[f32]> {
        let banned = f32::NEG_INFINITY;
        let mut changes = self.fixed.clone();
        if asked < self.min_tokens {
            changes.extend(self.ends.iter().map(|id| (*id, banned)));
        }
        for phrase in &self.phrases {
            for (written, completing) in (1..).zip(&phrase.completing) {
                if self.tail.ends_with(&phrase.bytes[..written]) {
                    changes.extend(completing.iter().map(|id| (*id, banned)));
                }
            }
        }
        if let Some((dry, breakers)) = &self.dry {
            changes.extend(repeats(dry, breakers, text));
        }
        self.bias.clear();
        if !changes.is_empty() || self.matcher.is_some() {
            self.bias.resize(self.vocabulary, 0.0);
        }
        if let Some(matcher) = &mut self.matcher {
            hold(&mut self.bias, &matcher.mask()?, &self.ends);
        }
        let is_changed = !changes.is_empty();
        for (id, change) in changes {
            if let Some(bias) = self.bias.get_mut(id as usize) {
                *bias += change;
            }
        }
        // What shaders can be trusted with is finite.
        if is_changed {
            self.bias.iter_mut().for_each(|bias| *bias = bias.max(2.0 * BANNED));
        }
        if self.matcher.is_some() && self.bias.iter().all(|bias| *bias <= BANNED) {
            return Err(Error::bad_argument(
                "the text has come to where all that it may go on with is banned; allow some of it in ban, logitBias and minTokens, or ask for another form",
            ));
        }
        Ok(&self.bias)
    }

    /// What [`Self::bias`] said last.
    pub fn last_bias(&self) -> &[f32] {
        &self.bias
    }

    /// How the next token is chosen.
    pub fn sample(&self, sample: SampleParams) -> SampleParams {
        // A bound of 0 would be none.
        let mirostat_mu = self.mirostat.map_or(sample.mirostat_mu, |(_, mu)| mu.max(f32::MIN_POSITIVE));
        SampleParams { mirostat_mu, ..sample }
    }

    /// The device chose, or there was no choice.
    pub fn took(&mut self, sampled: &Sampled, tokenizer: &Tokenizer) -> Result<()> {
        if let Some(matcher) = &mut self.matcher
            && !tokenizer.is_end(sampled.token)
        {
            matcher.take(sampled.token)?;
        }
        if let Some((Mirostat { tau, eta }, mu)) = &mut self.mirostat {
            let surprise = -sampled.drawn_logprob * std::f32::consts::LOG2_E;
            if surprise.is_finite() {
                *mu -= *eta * (surprise - *tau);
            }
        }
        let longest = self.phrases.iter().map(|phrase| phrase.bytes.len()).max().unwrap_or(0);
        if longest > 0 {
            self.tail.extend_from_slice(tokenizer.token_bytes(sampled.token).unwrap_or_default());
            let kept = self.tail.len().min(longest);
            self.tail.drain(..self.tail.len() - kept);
        }
        Ok(())
    }
}

/// Bans what the bits do not allow. Where one token that ends a text is allowed, so are all.
fn hold(bias: &mut [f32], allowed: &[u32], ends: &[u32]) {
    let is_allowed = |id: usize| allowed.get(id / 32).is_some_and(|word| word >> (id % 32) & 1 == 1);
    let may_end = ends.iter().any(|end| is_allowed(*end as usize));
    let words = allowed.iter().copied().chain(std::iter::repeat(0));
    for (bias, word) in bias.chunks_mut(32).zip(words) {
        // Most words are of one kind.
        match word {
            0 => bias.fill(2.0 * BANNED),
            u32::MAX => {}
            word => (0..).zip(bias).for_each(|(bit, bias)| {
                if word >> bit & 1 == 0 {
                    *bias = 2.0 * BANNED;
                }
            }),
        }
    }
    for end in ends.iter().filter(|_| may_end) {
        if let Some(bias) = bias.get_mut(*end as usize) {
            *bias = 0.0;
        }
    }
}

/// What each token that would go on with a repetition loses: for the longest run at the end of `text` that stood in it before with the token behind it.
fn repeats(dry: &Dry, breakers: &[bool], text: &[u32]) -> Vec<(u32, f32)> {
    let breaks = |id: u32| breakers.get(id as usize).copied().unwrap_or(false);
    let Some(last) = text.len().checked_sub(1) else { return vec![] };
    let mut longest: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
    for end in 0..last {
        let equal = |n: &usize| *n <= end && text[end - n] == text[last - n] && !breaks(text[last - n]);
        let run = (0..LONGEST_RUN).take_while(equal).count();
        let next = text[end + 1];
        if run >= dry.allowed && !breaks(next) {
            let known = longest.entry(next).or_default();
            *known = run.max(*known);
        }
    }
    let penalty = |run: usize| dry.multiplier * dry.base.powi((run - dry.allowed) as i32);
    longest.into_iter().map(|(id, run)| (id, -penalty(run))).collect()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn dry() -> Dry {
        Dry { multiplier: 0.8, base: 2.0, allowed: 2, breakers: vec![] }
    }

    #[test]
    fn a_longer_repetition_costs_more_and_a_breaker_ends_it() {
        let no_breakers = vec![false; 10];
        // 1 2 3 4 … 1 2 3: 4 would make a run of three longer by one.
        assert_eq!(repeats(&dry(), &no_breakers, &[1, 2, 3, 4, 5, 1, 2, 3]), [(4, -1.6)]);
        assert_eq!(repeats(&dry(), &no_breakers, &[1, 2, 3, 4, 5, 2, 3]), [(4, -0.8)]);
        assert_eq!(repeats(&dry(), &no_breakers, &[1, 2, 3, 4, 5, 3]), []);
        let mut breakers = no_breakers.clone();
        breakers[2] = true;
        assert_eq!(repeats(&dry(), &breakers, &[1, 2, 3, 4, 5, 1, 2, 3]), []);
        breakers[2] = false;
        breakers[4] = true;
        assert_eq!(repeats(&dry(), &breakers, &[1, 2, 3, 4, 5, 1, 2, 3]), []);
        assert_eq!(repeats(&dry(), &no_breakers, &[]), []);
    }

    /// What llama.cpp's sampler leaves of logits behind the same text (`training/make_sampling_fixtures.py`).
    #[test]
    fn repetitions_cost_what_they_cost_in_llama_cpp() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sampling.json");
        let fixture: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let history: Vec<u32> = serde_json::from_value(fixture["history"].clone()).unwrap();
        let cases: Vec<_> = fixture["cases"].as_array().unwrap().iter().filter(|case| !case["dry"].is_null()).collect();
        assert!(cases.len() >= 4);
        for case in cases {
            let of = |name: &str| case["dry"][name].as_f64().unwrap();
            let dry = Dry {
                multiplier: of("multiplier") as f32,
                base: of("base") as f32,
                allowed: of("allowed") as usize,
                breakers: vec![],
            };
            let logits = &fixture["logits"][case["logits"].as_u64().unwrap() as usize];
            let mut logits: Vec<f64> = serde_json::from_value(logits.clone()).unwrap();
            let none = vec![false; logits.len()];
            let penalties = repeats(&dry, &none, &history);
            assert!(!penalties.is_empty());
            penalties.iter().for_each(|(id, penalty)| logits[*id as usize] += f64::from(*penalty));
            let mass: f64 = logits.iter().map(|logit| logit.exp()).sum();
            for (id, logit) in logits.iter().enumerate() {
                let expected = case["left"][id.to_string()].as_f64().unwrap();
                assert!((logit.exp() / mass - expected).abs() < 1e-5, "token {id}: {case}");
            }
        }
    }
}
