//! Beam search: the likeliest texts as wholes, as transformers' `generate` finds them with `num_beams` and without sampling.
//!
//! Every beam has a slot of the caches to itself. A step computes one row for each; where beams go on from one another, slots are copied.

use serde::{Deserialize, Serialize};

use super::{
    GenerateOptions, TextModel,
    logits::{log_sum_exp, numbers},
    ranges::{whole, within},
    session::{Asked, Session},
    steps::Prompt,
};
use crate::{
    Error, Result,
    cancel::Cancel,
    graph::{MOST_SLOTS, SampleParams},
};

const MOST_TOKENS: usize = 1_000_000;
/// Tokens where the caller does not say and the slots have room.
const USUAL_TOKENS: usize = 256;
/// The score of what cannot be chosen, as in transformers.
const NEVER: f64 = -1e9;

/// When a search ends before its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// As soon as there are as many ended texts as beams.
    Yes,
    /// Where no running beam is likely to become better than the worst ended text, judged at the present length.
    #[default]
    No,
    /// Where none can, judged at the full length if a longer text scores better.
    Never,
}

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamOptions {
    /// 1 to 64.
    pub beams: usize,
    /// Groups of beams that search by themselves: a divisor of `beams` (arXiv 1610.02424).
    pub groups: usize,
    /// What a group loses for a token for each beam of the groups before it that took it in the same step: 0 to 100.
    pub diversity: f32,
    /// 1 to 1,000,000; what fits where there is none, at most 256.
    pub max_tokens: Option<usize>,
    /// A text's score is its log-probability over its length to this power: −10 to 10.
    pub length_penalty: f32,
    pub early_stopping: EarlyStopping,
    /// How many texts come back: 1 to `beams`.
    pub returned: usize,
    /// Whether every step is told.
    pub trace: bool,
}

impl Default for BeamOptions {
    fn default() -> Self {
        Self {
            beams: 4,
            groups: 1,
            diversity: 0.0,
            max_tokens: None,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::No,
            returned: 1,
            trace: false,
        }
    }
}

/// [`BeamOptions`] as JavaScript gives them. Their names stand in `www/options.js` too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BeamRequest {
    pub beams: Option<f64>,
    pub groups: Option<f64>,
    pub diversity: Option<f64>,
    pub max_tokens: Option<f64>,
    pub length_penalty: Option<f64>,
    pub early_stopping: Option<Early>,
    pub returned: Option<f64>,
    pub trace: Option<bool>,
}

/// `true`, `false` or `"never"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Early {
    Flag(bool),
    Word(String),
}

impl BeamRequest {
    /// Errors: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(self) -> Result<BeamOptions> {
        let usual = BeamOptions::default();
        let beams = whole("beams", self.beams, usual.beams as u64, 1, MOST_SLOTS as u64)?;
        let groups = whole("groups", self.groups, 1, 1, beams)?;
        if !beams.is_multiple_of(groups) {
            return Err(Error::bad_argument(format!(
                "groups is {groups}, but the {beams} beams must be divisible by it; take as many beams in each group"
            )));
        }
        let diversity = self.diversity.unwrap_or(0.0);
        within("diversity", diversity, 0.0, 100.0)?;
        if diversity > 0.0 && groups == 1 {
            return Err(Error::bad_argument(
                "diversity is what groups of beams lose for each other's tokens; set groups",
            ));
        }
        let length_penalty = self.length_penalty.unwrap_or(1.0);
        within("lengthPenalty", length_penalty, -10.0, 10.0)?;
        let tokens = self.max_tokens.map(|n| whole("maxTokens", Some(n), 0, 1, MOST_TOKENS as u64)).transpose()?;
        Ok(BeamOptions {
            beams: beams as usize,
            groups: groups as usize,
            diversity: diversity as f32,
            max_tokens: tokens.map(|tokens| tokens as usize),
            length_penalty: length_penalty as f32,
            early_stopping: match self.early_stopping {
                None | Some(Early::Flag(false)) => EarlyStopping::No,
                Some(Early::Flag(true)) => EarlyStopping::Yes,
                Some(Early::Word(word)) if word == "never" => EarlyStopping::Never,
                Some(Early::Word(word)) => {
                    return Err(Error::bad_argument(format!(
                        "earlyStopping is {word:?}, but must be true, false or \"never\""
                    )));
                }
            },
            returned: whole("returned", self.returned, 1, 1, beams)? as usize,
            trace: self.trace.unwrap_or(false),
        })
    }
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beam {
    pub text: String,
    /// Without the one that ended it.
    pub tokens: Vec<u32>,
    /// Its log-probability, the end's included, over its length to the power of the length penalty.
    pub score: f32,
    pub finish_reason: super::EndReason,
}

/// A way to go on that a step weighed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// The beam that it goes on from, by its place in the step before; 0 in the first.
    pub parent: usize,
    pub token: u32,
    pub text: String,
    /// The log-probability of the text with it, less what `diversity` costs.
    pub score: f32,
    /// Its place among the beams of the next step, if it is one.
    pub beam: Option<usize>,
    /// Whether a text ends here that counts among the best so far.
    pub ended: bool,
}

/// What a search found, and where it was asked for each of its steps: the branches that were weighed, the likeliest of each group first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Beams {
    pub beams: Vec<Beam>,
    pub steps: Vec<Vec<Branch>>,
}

/// A text under way, or one that ended.
#[derive(Debug, Clone)]
struct Path {
    tokens: Vec<u32>,
    score: f64,
    by_end: bool,
}

/// Beams that compete with one another.
struct Group {
    running: Vec<Path>,
    /// The best that ended, best first, with the scores that they are judged by.
    ended: Vec<Path>,
    size: usize,
    can_improve: bool,
    is_over: bool,
}

impl Group {
    fn new(size: usize) -> Self {
        let start = Path { tokens: vec![], score: 0.0, by_end: false };
        Self { running: vec![start], ended: vec![], size, can_improve: true, is_over: false }
    }

    fn is_full(&self) -> bool {
        self.ended.len() == self.size
    }
}

/// What a step of a group did: for each of its new beams the one that it goes on from.
struct Moved {
    parents: Vec<usize>,
    branches: Vec<Branch>,
}

/// How a search judges.
struct Judge<'a> {
    options: &'a BeamOptions,
    ends: &'a [u32],
    max_tokens: usize,
    forced: &'a Forced,
}

/// What a model's files force.
#[derive(Debug, Default)]
struct Forced {
    /// Tokens that each text has behind the first of all, and that its length counts.
    before: usize,
    /// What a text that is cut off ends with.
    last: Option<u32>,
    /// Tokens that are never written.
    banned: Vec<u32>,
}

impl Judge<'_> {
    fn judged(&self, score: f64, length: usize) -> f64 {
        score / ((length + self.forced.before) as f64).powf(f64::from(self.options.length_penalty))
    }

    /// One step of a group: `logprobs` of its running beams, with what the groups before it cost taken off.
    fn step(&self, group: &mut Group, logprobs: &[Vec<f64>]) -> Moved {
        let most = (1 + self.ends.len()).max(2) * group.size;
        let mut candidates: Vec<(usize, u32, f64)> = vec![];
        let length = group.running.first().map_or(0, |path| path.tokens.len()) + 1;
        let is_last = length >= self.max_tokens;
        let forced = self.forced.last.filter(|_| is_last);
        for (parent, (path, logprobs)) in group.running.iter().zip(logprobs).enumerate() {
            if let Some(forced) = forced {
                candidates.push((parent, forced, path.score));
                continue;
            }
            let scored = logprobs.iter().zip(0..).filter(|(_, token)| !self.forced.banned.contains(token));
            let scored = scored.map(|(logprob, token)| (parent, token, path.score + logprob));
            candidates.extend(best(scored.collect(), most));
        }
        let candidates = best(candidates, most);
        let ends = |token: u32| self.ends.contains(&token);
        let path = |(parent, token, score): &(usize, u32, f64)| {
            let mut tokens = group.running[*parent].tokens.clone();
            tokens.push(*token);
            Path { tokens, score: *score, by_end: ends(*token) }
        };

        let mut ended = group.ended.clone();
        let is_open = group.can_improve && !(group.is_full() && self.options.early_stopping == EarlyStopping::Yes);
        let may_end = |at: usize, token: u32| at < group.size && is_open && (is_last || ends(token));
        for (at, candidate) in candidates.iter().enumerate() {
            if may_end(at, candidate.1) {
                ended.push(Path { score: self.judged(candidate.2, length), ..path(candidate) });
            }
        }
        ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        ended.truncate(group.size);

        let going_on = candidates.iter().enumerate().filter(|(_, (_, token, _))| !is_last && !ends(*token));
        let chosen: Vec<usize> = going_on.map(|(at, _)| at).take(group.size).collect();
        let branches = candidates
            .iter()
            .enumerate()
            .map(|(at, (parent, token, score))| Branch {
                parent: *parent,
                token: *token,
                text: String::new(),
                score: *score as f32,
                beam: chosen.iter().position(|one| *one == at),
                ended: may_end(at, *token),
            })
            .collect();
        let parents = chosen.iter().map(|at| candidates[*at].0).collect();
        let running: Vec<Path> = chosen.iter().map(|at| path(&candidates[*at])).collect();
        group.running = running;
        group.ended = ended;
        self.close(group, length);
        Moved { parents, branches }
    }

    /// Whether a group has anything left to find, now that its beams have `length` tokens.
    fn close(&self, group: &mut Group, length: usize) {
        let longest = self.options.early_stopping == EarlyStopping::Never && self.options.length_penalty > 0.0;
        let judged_at = if longest { self.max_tokens } else { length };
        let best_running = group.running.first().map_or(NEVER, |path| self.judged(path.score, judged_at));
        let worst = if group.is_full() { group.ended.last().map_or(NEVER, |path| path.score) } else { NEVER };
        group.can_improve &= best_running > worst;
        let is_done = group.is_full() && self.options.early_stopping == EarlyStopping::Yes;
        group.is_over = group.running.is_empty() || !group.can_improve || is_done;
    }
}

/// The `most` best, best first; of equals the first.
fn best(mut candidates: Vec<(usize, u32, f64)>, most: usize) -> Vec<(usize, u32, f64)> {
    let order = |a: &(usize, u32, f64), b: &(usize, u32, f64)| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1)));
    if candidates.len() > most {
        candidates.select_nth_unstable_by(most - 1, order);
        candidates.truncate(most);
    }
    candidates.sort_unstable_by(order);
    candidates
}

impl TextModel {
    /// The likeliest texts behind `prompt`, best first. What the caches held is forgotten.
    ///
    /// Errors: `bad-argument` for models that read one text and write another and for recurrent ones, `context-overflow` where a beam's share of the context does not
    /// hold the prompt and `max_tokens`, `aborted`, `closed`.
    pub async fn beams(&self, prompt: &str, options: BeamOptions, cancel: &Cancel) -> Result<Beams> {
        self.check_open()?;
        let ids = self.tokenizer().encode(prompt, super::EncodeOptions { add_special: true, parse_special: false })?;
        let Prompt { read, ids, begins, .. } = self.prompt(ids, &GenerateOptions::default())?;
        self.check_fits(read.as_ref().unwrap_or(&ids).len())?;
        let mut session = self.turn(cancel).await?;
        let Some(slots) = session.slots(options.beams) else {
            return Err(Error::bad_argument(
                "beams are for models that look back at their text, with a context that can be shared; take generate for this one, or another number of beams",
            ));
        };
        if let Some(read) = &read {
            session.read(read, cancel).await?;
        }
        let share = session.capacity() / slots;
        let room = share.saturating_sub(ids.len()) + 1;
        let max_tokens = options.max_tokens.unwrap_or(room.min(USUAL_TOKENS));
        if ids.len() > share || max_tokens > room {
            return Err(Error::context_overflow(format!(
                "{slots} beams share a context of {} tokens, {share} each, and the prompt has {}; ask for at most {} more tokens, for fewer beams, or load the model with a larger contextLength",
                session.capacity(),
                ids.len(),
                share.saturating_sub(ids.len()) + usize::from(ids.len() <= share),
            )));
        }
        session.put_away().await?;
        let found = self.search(&mut session, slots, &ids, &options, max_tokens, cancel).await;
        session.forget();
        let (groups, steps) = found?;
        let mut ended: Vec<Path> = groups.into_iter().flat_map(|group| group.ended).collect();
        ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        ended.truncate(options.returned);
        let beams = ended.into_iter().map(|path| self.told(path, begins)).collect();
        Ok(Beams { beams, steps })
    }

    fn forced(&self) -> Forced {
        self.start.as_ref().map_or_else(Forced::default, |start| Forced {
            before: start.tokens().len() - 1,
            last: start.last,
            banned: start.banned.clone(),
        })
    }

    fn told(&self, mut path: Path, begins: bool) -> Beam {
        if path.by_end {
            path.tokens.pop();
        }
        let mut detokenizer = self.tokenizer().detokenizer(begins);
        let mut text: String = path.tokens.iter().map(|token| detokenizer.push(*token)).collect();
        text.push_str(&detokenizer.finish());
        let finish_reason = if path.by_end { super::EndReason::Eos } else { super::EndReason::Length };
        Beam { text, tokens: path.tokens, score: path.score as f32, finish_reason }
    }

    async fn search(
        &self,
        session: &mut Session,
        slots: usize,
        ids: &[u32],
        options: &BeamOptions,
        max_tokens: usize,
        cancel: &Cancel,
    ) -> Result<(Vec<Group>, Vec<Vec<Branch>>)> {
        let ends = &self.tokenizer().special().ends;
        let forced = self.forced();
        let judge = Judge { options, ends, max_tokens, forced: &forced };
        let size = options.beams / options.groups;
        let mut groups: Vec<Group> = (0..options.groups).map(|_| Group::new(size)).collect();
        let mut steps = vec![];
        let alternatives = self.compiled_alternatives(0);
        let asked = Asked {
            sample: SampleParams::default(),
            alternatives,
            outputs: &["logits"],
            window: None,
            ahead: max_tokens,
        };
        let (pending, _) = session.prefill(ids, &asked, cancel).await?;
        let outputs = cancel.race(pending).await?;
        let first = logprobs(&outputs.first().map(|bits| numbers(bits)).unwrap_or_default());
        let mut all = vec![first; options.beams];
        for length in 1.. {
            // Where each slot comes from.
            let mut sources: Vec<usize> = (0..slots).collect();
            let mut taken: Vec<u32> = vec![];
            let mut told = vec![];
            for (at, group) in groups.iter_mut().enumerate().filter(|(_, group)| !group.is_over) {
                let from = at * size;
                let mut own: Vec<Vec<f64>> = all[from..from + group.running.len()].to_vec();
                for token in &taken {
                    own.iter_mut().for_each(|logprobs| logprobs[*token as usize] -= f64::from(options.diversity));
                }
                let Moved { parents, branches } = judge.step(group, &own);
                taken.extend(group.running.iter().filter_map(|path| path.tokens.last()));
                for (beam, parent) in parents.iter().enumerate() {
                    // In the first step there is one text, in the first slot.
                    sources[from + beam] = if length == 1 { 0 } else { from + parent };
                }
                told.extend(branches.into_iter().map(|branch| Branch {
                    parent: if length == 1 { 0 } else { from + branch.parent },
                    text: self.tokenizer().token_text(branch.token).unwrap_or_default(),
                    beam: branch.beam.map(|beam| from + beam),
                    ..branch
                }));
            }
            if options.trace {
                steps.push(told);
            }
            if groups.iter().all(|group| group.is_over) {
                break;
            }
            cancel.check()?;
            let position = ids.len() + length - 1;
            session.copy_slots(&sources, position).await?;
            let mut rows: Vec<(u32, usize)> = (0..options.beams).map(|slot| (0, slot)).collect();
            for (at, group) in groups.iter().enumerate() {
                for (beam, path) in group.running.iter().enumerate() {
                    rows[at * size + beam].0 = path.tokens.last().copied().unwrap_or(0);
                }
            }
            let logits = cancel.race(session.decode_rows(&rows, slots, position)).await?;
            all = logits.chunks_exact(self.info().vocabulary).map(|row| logprobs(&numbers(row))).collect();
            session.give_way().await;
        }
        Ok((groups, steps))
    }
}

/// Log-probabilities of logits; never of one that is no number.
fn logprobs(logits: &[f32]) -> Vec<f64> {
    let sum = log_sum_exp(logits);
    let logprob = |logit: &f32| if logit.is_finite() { f64::from(*logit) - sum } else { NEVER };
    logits.iter().map(logprob).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_search_that_cannot_be_is_refused_by_name() {
        for (json, words) in [
            (r#"{"beams": 0}"#, "beams is 0, but must be a whole number from 1 to 64"),
            (r#"{"beams": 1000000}"#, "beams is 1000000"),
            (r#"{"beams": 4, "groups": 3}"#, "groups is 3, but the 4 beams must be divisible"),
            (r#"{"beams": 4, "groups": 5}"#, "groups is 5"),
            (r#"{"diversity": 1}"#, "set groups"),
            (r#"{"lengthPenalty": 11}"#, "lengthPenalty is 11"),
            (r#"{"maxTokens": 0}"#, "maxTokens is 0"),
            (r#"{"returned": 5}"#, "returned is 5, but must be a whole number from 1 to 4"),
            (r#"{"earlyStopping": "soon"}"#, "earlyStopping is \"soon\""),
        ] {
            let error = serde_json::from_str::<BeamRequest>(json).unwrap().check().unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadArgument);
            assert!(error.to_string().contains(words), "{json}: {error}");
        }
        let options = serde_json::from_str::<BeamRequest>(r#"{"earlyStopping": "never"}"#).unwrap().check().unwrap();
        assert_eq!(options.early_stopping, EarlyStopping::Never);
    }
}
