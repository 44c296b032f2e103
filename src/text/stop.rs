//! Stop strings, wherever the borders of tokens fall: text that may be the beginning of one is held back until it is
//! known, and a text ends before the stop string that it meets.

use std::ops::Range;

/// Watches a stream of text for stop strings. Marks (`<|im_end|>` and the like), which readers do not see, are watched too: a stop
/// string may be one, or hold one.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    /// Where marks lie in `held`.
    marks: Vec<Range<usize>>,
    stopped: bool,
}

impl StopMatcher {
    /// Empty stop strings are never met.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Self {
        let stops = stops.into_iter().filter(|s| !s.is_empty()).collect();
        Self { stops, held: String::new(), marks: vec![], stopped: false }
    }

    /// Whether a stop string was met. Nothing comes after that.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the next piece and gives back what is certainly part of the text.
    pub fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        let met = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = met {
            self.stopped = true;
            let text = self.take(at);
            self.held.clear();
            return text;
        }
        self.take(self.held.len() - self.undecided())
    }

    /// Takes a mark that stands here in the text; it is never given back.
    pub fn push_mark(&mut self, mark: &str) -> String {
        if self.stopped || self.stops.is_empty() {
            return String::new();
        }
        let at = self.held.len();
        self.marks.push(at..at + mark.len());
        self.push(mark)
    }

    /// The text is over: what was held back is part of it.
    pub fn finish(&mut self) -> String {
        self.take(self.held.len())
    }

    /// The first `count` bytes of what is held, without marks.
    fn take(&mut self, count: usize) -> String {
        let rest = self.held.split_off(count);
        let taken = std::mem::replace(&mut self.held, rest);
        let mut text = String::with_capacity(taken.len());
        let mut at = 0;
        for mark in &self.marks {
            text.push_str(&taken[at..mark.start.clamp(at, count)]);
            at = mark.end.clamp(at, count);
        }
        text.push_str(&taken[at..]);
        self.marks.retain(|mark| mark.end > count);
        for mark in &mut self.marks {
            *mark = mark.start.saturating_sub(count)..mark.end - count;
        }
        text
    }

    /// Length of the longest end of the held text with which a stop string begins.
    fn undecided(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let ends = self.held.char_indices().map(|(at, _)| &self.held[at..]);
        ends.filter(|end| end.len() < longest)
            .find(|end| self.stops.iter().any(|stop| stop.starts_with(end)))
            .map_or(0, str::len)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|s| (*s).to_string()));
        let mut out: Vec<String> = pieces.iter().map(|p| matcher.push(p)).collect();
        out.push(matcher.finish());
        (out, matcher.stopped())
    }

    #[test]
    fn a_stop_string_across_pieces_ends_the_text_before_it() {
        let (out, stopped) = run(&["\n\nEnd"], &["a\n", "\nE", "nd of it"]);
        assert_eq!((out.concat().as_str(), stopped), ("a", true));
        assert_eq!(out[0], "a");
    }

    #[test]
    fn what_only_looked_like_a_stop_string_comes_out_later() {
        let (out, stopped) = run(&["END"], &["xE", "N", "F"]);
        assert_eq!((out, stopped), (vec!["x".into(), String::new(), "ENF".into(), String::new()], false));
    }

    #[test]
    fn the_first_stop_string_in_the_text_wins_and_repeated_beginnings_do_not_confuse() {
        assert_eq!(run(&["world", "o w"], &["hello", " world"]).0.concat(), "hell");
        assert_eq!(run(&["aab"], &["aaa", "b"]).0.concat(), "a");
        assert_eq!(run(&["é!"], &["caf", "é", "!"]).0.concat(), "caf");
    }

    #[test]
    fn a_mark_ends_the_text_and_is_never_seen() {
        let mut matcher = StopMatcher::new(["<|end|>".to_owned(), "\n<|call|>{".to_owned()]);
        assert_eq!(matcher.push("a"), "a");
        assert_eq!(matcher.push_mark("<|call|>"), "");
        assert_eq!(matcher.push("b\n"), "b");
        assert_eq!(matcher.push_mark("<|call|>"), "", "it may be the second stop string");
        assert_eq!(matcher.push("c"), "\nc", "the mark was none, and stays unseen");
        assert_eq!(matcher.push_mark("<|end|>"), "");
        assert!(matcher.stopped());
        assert_eq!(matcher.finish(), "");
    }

    proptest! {
        #[test]
        fn whatever_the_pieces_the_text_ends_at_the_first_stop_string(
            text in "[ab]{0,20}", stop in "[ab]{1,4}", cuts in proptest::collection::vec(1usize..4, 0..20),
        ) {
            let mut pieces = vec![];
            let mut rest = text.as_str();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let (out, stopped) = run(&[&stop], &pieces);
            let expected = text.find(&stop).map_or(text.as_str(), |at| &text[..at]);
            prop_assert_eq!(out.concat(), expected);
            prop_assert_eq!(stopped, text.contains(&stop));
        }
    }
}
