//! Other ways to write a text beside the plain one, in turns: what counts is the ratio of each turn, of the clock and, where the system tells it, of the
//! processor's time, which other work on the machine does not lengthen.

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::median;
use crate::browser::Session;

/// A way as `bench/decoding.js` calls it, beside the plain one.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    pub way: &'static str,
    /// The plain way's time over this one's.
    pub by_clock: Vec<f64>,
    pub by_processor: Vec<f64>,
    pub tokens: usize,
    /// Tokens that were guessed in all turns, and how many were right.
    pub drafted: u64,
    pub accepted: u64,
}

impl Compared {
    /// The middle of all turns.
    pub fn times(&self) -> Option<f64> {
        median(&json!(if self.by_processor.is_empty() { &self.by_clock } else { &self.by_processor }))
    }

    /// With what the clock says, and how many guesses were right.
    pub fn told(&self) -> String {
        let clock = median(&json!(self.by_clock)).unwrap_or_default();
        let times = self.times().unwrap_or_default();
        let guesses =
            if self.drafted > 0 { format!(", {} of {} right", self.accepted, self.drafted) } else { String::new() };
        format!("{times:.2} (clock {clock:.2}{guesses})")
    }
}

/// The ways in the order of the table.
pub const WAYS: [&str; 4] = ["batch", "lookUp", "draft", "held"];

/// One text, or several, and what they took.
struct Written {
    answer: Value,
    clock: f64,
    processor: Option<f64>,
}

/// All ways on the model that the page has loaded; `processor` tells the seconds that the page has taken of it so far.
///
/// Errors: two ways wrote different texts, so that their times say nothing.
pub fn compare(session: &Session, reps: u32, processor: impl Fn() -> Option<f64>) -> Result<Vec<Compared>> {
    let write = |way: &str, plain: bool, run: u32| -> Result<Written> {
        let before = processor();
        let which = json!([way, usize::from(plain), run]);
        let answer = session.run_async("return await window.ways[args[0][0]][args[0][1]](args[0][2])", &[which])?;
        let clock = answer["seconds"].as_f64().unwrap_or(f64::NAN);
        Ok(Written { answer, clock, processor: processor().zip(before).map(|(after, before)| after - before) })
    };
    let mut all = vec![];
    for way in WAYS {
        let mut compared = Compared { way, by_clock: vec![], by_processor: vec![], tokens: 0, drafted: 0, accepted: 0 };
        // The first turn makes ready what the others find.
        for run in 0..=reps {
            let first = if run % 2 == 1 { Some(write(way, false, run)?) } else { None };
            let plain = write(way, true, run)?;
            let ours = first.map_or_else(|| write(way, false, run), Ok)?;
            let texts = &ours.answer["texts"];
            ensure!(*texts == plain.answer["texts"], "{way} wrote other texts than the plain way");
            if run == 0 {
                continue;
            }
            compared.by_clock.push(plain.clock / ours.clock);
            compared.by_processor.extend(plain.processor.zip(ours.processor).map(|(plain, ours)| plain / ours));
            compared.tokens = texts.as_array().into_iter().flatten().filter_map(Value::as_array).map(Vec::len).sum();
            compared.drafted += ours.answer["drafted"].as_u64().unwrap_or_default();
            compared.accepted += ours.answer["accepted"].as_u64().unwrap_or_default();
        }
        all.push(compared);
    }
    Ok(all)
}
