//! Prompt look-up: guesses the tokens that come next from what stood behind the same words before, so that one step of several rows can confirm them
//! (Saxena 2023; the verification of arXiv 2211.17192 with a draft that is certain of itself).
//!
//! A guess is kept where the sampler, with the draw of that place, chooses the same token. So the text is the one that would have been written without it.

use web_time::Duration;

/// Words that a guess begins behind, longest first.
const LONGEST_RUN: usize = 4;
/// Steps of each kind before they are compared.
const TRIED: usize = 3;
/// Tokens of the first guess.
const FIRST: usize = 3;
/// Tokens without a guess where guesses do not pay.
const REST: usize = 48;

/// What some steps took.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    steps: usize,
    tokens: usize,
    seconds: f64,
}

impl Rate {
    fn add(&mut self, tokens: usize, took: Duration) {
        self.steps += 1;
        self.tokens += tokens;
        self.seconds += took.as_secs_f64();
    }

    fn per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }
}

/// Guesses for one generation.
#[derive(Debug)]
pub struct Lookup {
    most: usize,
    /// Tokens of the next guess: more where the last one was right, fewer where it was not.
    size: usize,
    alone: Rate,
    guessed: Rate,
    resumes_at: usize,
    /// Tokens that were guessed, and how many of them were right.
    pub drafted: usize,
    pub accepted: usize,
}

impl Lookup {
    /// Guesses of at most so many tokens.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            size: FIRST.min(most),
            alone: Rate::default(),
            guessed: Rate::default(),
            resumes_at: 0,
            drafted: 0,
            accepted: 0,
        }
    }

    /// What may follow `text`, of which `asked` tokens are new, in at most `room` tokens; nothing where it is not known or does not pay.
    pub fn draft(&self, text: &[u32], asked: usize, room: usize) -> Vec<u32> {
        // Without a step alone there is nothing to compare with.
        if asked < self.resumes_at || self.alone.steps == 0 {
            return vec![];
        }
        let most = self.size.min(room);
        let ran_before = |n: usize| -> Option<usize> {
            let run = text.get(text.len().checked_sub(n)?..)?;
            let earlier = text.get(..text.len() - 1)?;
            earlier.windows(n).rposition(|window| window == run).map(|at| at + n)
        };
        let from = (2..=LONGEST_RUN).rev().find_map(ran_before);
        from.map_or(vec![], |from| text[from..].iter().copied().take(most).collect())
    }

    /// A step alone took so long.
    pub fn went_alone(&mut self, took: Duration) {
        self.alone.add(1, took);
    }

    /// A step with `drafted` guesses, of which so many were right, took so long when `asked` tokens were there.
    pub fn went_guessing(&mut self, drafted: usize, accepted: usize, took: Duration, asked: usize) {
        self.drafted += drafted;
        self.accepted += accepted;
        self.guessed.add(accepted + 1, took);
        self.size = if accepted == drafted { 2 * self.size } else { accepted + 1 }.min(self.most);
        if self.guessed.steps >= TRIED && self.guessed.per_second() < self.alone.per_second() {
            self.guessed = Rate::default();
            self.size = FIRST.min(self.most);
            self.resumes_at = asked + REST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_behind_the_same_words_is_guessed_and_rests_where_it_does_not_pay() {
        let mut lookup = Lookup::new(3);
        let text = [1, 2, 3, 4, 5, 6, 9, 2, 3];
        assert!(lookup.draft(&text, 0, 9).is_empty(), "nothing to compare with yet");
        lookup.went_alone(Duration::from_millis(10));
        assert_eq!(lookup.draft(&text, 1, 9), [4, 5, 6]);
        assert_eq!(lookup.draft(&text, 1, 2), [4, 5]);
        assert!(lookup.draft(&[1, 2, 3], 1, 9).is_empty());
        assert!(lookup.draft(&[], 1, 9).is_empty());
        // The latest place counts, and what overlaps the end is a guess too.
        assert_eq!(lookup.draft(&[7, 7, 7, 7], 1, 9), [7]);
        for _ in 0..TRIED {
            lookup.went_guessing(3, 0, Duration::from_millis(20), 10);
        }
        assert!(lookup.draft(&text, 10, 9).is_empty());
        assert_eq!(lookup.draft(&text, 10 + REST, 9), [4, 5, 6]);
        assert_eq!((lookup.drafted, lookup.accepted), (9, 0));
    }
}
