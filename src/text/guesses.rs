//! Guesses of the tokens that come next, so that one step of several rows can confirm them: from what stood behind the same words before (prompt look-up, Saxena
//! 2023), or from a draft model (arXiv 2211.17192, 2302.01318). Here is how many are worth their time.
//!
//! A guess is kept where the sampler, with the draw of that place, chooses the same token. So the text is the one that would have been written without it, whoever
//! guesses (the drafter-invariant form of speculative decoding, arXiv 2408.07978), and its distribution is the model's.

use web_time::Duration;

/// Words that a guess begins behind, longest first.
const LONGEST_RUN: usize = 4;
/// How much the last step tells of the next.
const NEWS: f64 = 0.25;
/// How many guesses are thought to be right before any was confirmed, and what a row more is thought to cost, of a step alone.
const HOPED: f64 = 0.7;
const ROW: f64 = 0.5;
/// Tokens without a guess where guesses do not pay.
const REST: usize = 48;
/// What guesses must promise: as fast as without them is not worth the trouble.
const GAIN: f64 = 1.05;

/// How many tokens to guess, by what guesses brought and took so far.
#[derive(Debug)]
pub struct Pace {
    most: usize,
    /// Seconds of a step without guesses.
    alone: Option<f64>,
    /// What a guessed token costs, in steps alone.
    row: f64,
    /// How likely a guess is right where those before it were.
    right: f64,
    resumes_at: usize,
    /// Tokens that were guessed, and how many of them were right.
    pub drafted: usize,
    pub accepted: usize,
}

/// Nearer to what was just seen.
fn follow(known: f64, seen: f64) -> f64 {
    known + NEWS * (seen - known)
}

impl Pace {
    /// Guesses of at most so many tokens.
    pub fn new(most: usize) -> Self {
        Self { most, alone: None, row: ROW, right: HOPED, resumes_at: 0, drafted: 0, accepted: 0 }
    }

    /// How many tokens to guess where `asked` are there and `room` more may come; none where it does not pay.
    pub fn size(&self, asked: usize, room: usize) -> usize {
        // Without a step alone there is nothing to compare with.
        if asked < self.resumes_at || self.alone.is_none() {
            return 0;
        }
        let (size, gain) = self.best();
        if gain < GAIN { 0 } else { size.min(room) }
    }

    /// The size that promises most tokens in the time of a step alone, and how many.
    fn best(&self) -> (usize, f64) {
        let (mut tokens, mut next, mut best) = (1.0, 1.0, (0, 1.0));
        for size in 1..=self.most {
            next *= self.right;
            tokens += next;
            let gain = tokens / (1.0 + self.row * size as f64);
            if gain > best.1 {
                best = (size, gain);
            }
        }
        best
    }

    /// A step alone took so long.
    pub fn went_alone(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.alone = Some(self.alone.map_or(took, |alone| follow(alone, took)));
    }

    /// `drafted` guesses, of which so many were right, and the step that confirmed them took so long when `asked` tokens were there.
    pub fn went_guessing(&mut self, drafted: usize, accepted: usize, took: Duration, asked: usize) {
        let Some(alone) = self.alone.filter(|_| drafted > 0) else { return };
        self.drafted += drafted;
        self.accepted += accepted;
        let cost = (took.as_secs_f64() / alone.max(1e-9) - 1.0) / drafted as f64;
        self.row = follow(self.row, cost.max(0.01));
        // Those behind the first wrong one tell nothing.
        let told = accepted + usize::from(accepted < drafted);
        for guess in 0..told {
            self.right = follow(self.right, if guess < accepted { 1.0 } else { 0.0 });
        }
        if self.best().1 < GAIN {
            // Another part of the text may be easier to guess.
            self.resumes_at = asked + REST;
            (self.right, self.row) = (HOPED, self.row.min(ROW));
        }
    }
}

/// What followed the last two to four tokens of `text` where they stood before, at most `most` tokens of it; nothing where they did not.
pub fn ran_before(text: &[u32], most: usize) -> Vec<u32> {
    let behind = |n: usize| -> Option<usize> {
        let run = text.get(text.len().checked_sub(n)?..)?;
        let earlier = text.get(..text.len() - 1)?;
        earlier.windows(n).rposition(|window| window == run).map(|at| at + n)
    };
    let from = (2..=LONGEST_RUN).rev().find_map(behind);
    from.map_or(vec![], |from| text[from..].iter().copied().take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_behind_the_same_words_is_guessed() {
        let text = [1, 2, 3, 4, 5, 6, 9, 2, 3];
        assert_eq!(ran_before(&text, 3), [4, 5, 6]);
        assert_eq!(ran_before(&text, 2), [4, 5]);
        assert!(ran_before(&[1, 2, 3], 9).is_empty());
        assert!(ran_before(&[], 9).is_empty());
        // The latest place counts, and what overlaps the end is a guess too.
        assert_eq!(ran_before(&[7, 7, 7, 7], 9), [7]);
    }

    #[test]
    fn right_guesses_grow_and_what_does_not_pay_rests() {
        let step = Duration::from_millis(10);
        let mut pace = Pace::new(8);
        assert_eq!(pace.size(0, 9), 0, "nothing to compare with yet");
        pace.went_alone(step);
        let first = pace.size(1, 9);
        assert!((1..=4).contains(&first), "{first}");
        assert_eq!(pace.size(1, 1), 1);
        for _ in 0..6 {
            // A row costs a third of a step, and all are right.
            pace.went_guessing(3, 3, 2 * step, 10);
        }
        assert!(pace.size(10, 9) > first);
        let before = pace.accepted;
        for asked in 10..14 {
            pace.went_guessing(8, 0, 4 * step, asked);
        }
        assert_eq!(pace.size(14, 9), 0);
        assert!(pace.size(14 + REST, 9) > 0, "it tries again");
        assert_eq!((pace.drafted, pace.accepted), (6 * 3 + 4 * 8, before));
        // Where a row costs as much as a step, even right guesses bring nothing.
        let mut dear = Pace::new(8);
        dear.went_alone(step);
        for asked in 1..6 {
            dear.went_guessing(2, 2, 4 * step, asked);
        }
        assert_eq!(dear.size(6, 9), 0);
    }
}
