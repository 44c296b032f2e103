//! Stop strings, wherever the borders of tokens fall: text that may be the beginning of one is held back until it is
//! known, and a text ends before the stop string that it meets.

/// Watches a stream of text for stop strings.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopMatcher {
    /// Empty stop strings are never met.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Self {
        let stops = stops.into_iter().filter(|s| !s.is_empty()).collect();
        Self { stops, held: String::new(), stopped: false }
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
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.held.len() - self.undecided());
        std::mem::replace(&mut self.held, rest)
    }

    /// The text is over: what was held back is part of it.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
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

#[cfg(test)]
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
