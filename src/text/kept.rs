//! Texts that a model computed and that others took the place of: copies of what its states held of them, on the device.
//!
//! The states hold one text. Where another is about to be written over it, it is put away here, and a text that begins as one of these does goes on from its rows: a
//! conversation that waited for another, one that is told again from an earlier turn. What was used longest ago leaves first.

use crate::backend::Snapshot;

/// So few tokens are computed again sooner than put away.
pub const FEW: usize = 16;
const MOST_TEXTS: usize = 8;
/// As much as the caches of a small model with a long context take.
const MOST_BYTES: u64 = 256 << 20;

/// A text as a model's states hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// What an encoder read for it.
    pub read: Vec<u32>,
    /// The recurrent state that it left; nothing where there is none.
    pub begun: Vec<u32>,
    /// The tokens whose keys and values stand in the caches, from row 0 on; those that recurrent states have met.
    pub tokens: Vec<u32>,
    /// Whether it was computed as a text past the model's bound is.
    pub past_bound: bool,
}

/// What a text needs of one that was computed before.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub read: &'a [u32],
    pub ids: &'a [u32],
    pub past_bound: bool,
    /// Nothing of it is taken back: it serves as a whole, or not at all.
    pub whole: bool,
}

impl Held {
    /// How many of the tokens that are wanted stand here: all but the last, which is met once more for what comes behind it.
    pub fn serves(&self, wanted: Wanted) -> usize {
        if self.past_bound != wanted.past_bound || self.read != wanted.read {
            return 0;
        }
        let shared = self.tokens.iter().zip(wanted.ids).take_while(|(a, b)| a == b).count();
        let shared = shared.min(wanted.ids.len().saturating_sub(1));
        if wanted.whole && shared < self.tokens.len() { 0 } else { shared }
    }

    /// Its beginning.
    pub fn up_to(&self, tokens: usize) -> Self {
        Self { tokens: self.tokens[..tokens].to_vec(), ..self.clone() }
    }

    fn begins(&self, other: &Self) -> bool {
        self.past_bound == other.past_bound && self.read == other.read && other.tokens.starts_with(&self.tokens)
    }
}

/// A text that was put away.
pub struct Kept {
    pub held: Held,
    pub states: Snapshot,
}

/// The texts that were put away; the last used is the last.
#[derive(Default)]
pub struct Shelf(Vec<Kept>);

impl Shelf {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very text is there.
    pub fn has(&self, held: &Held) -> bool {
        self.0.iter().any(|kept| kept.held == *held)
    }

    /// Makes room for a text of so many bytes: the rows of one that it goes on from are its own (`rows`; what recurrent states met of less is nowhere else). False
    /// where there is none for one so large.
    pub fn make_room(&mut self, held: &Held, bytes: u64, rows: bool) -> bool {
        self.0.retain(|kept| !(kept.held == *held || rows && kept.held.begins(held)));
        if bytes > MOST_BYTES {
            return false;
        }
        let taken = |texts: &[Kept]| texts.iter().map(|kept| kept.states.bytes()).sum::<u64>();
        while self.0.len() >= MOST_TEXTS || taken(&self.0) + bytes > MOST_BYTES {
            self.0.remove(0);
        }
        true
    }

    pub fn put(&mut self, kept: Kept) {
        self.0.push(kept);
    }

    /// The text that serves most, as the last used, and how much of it does.
    pub fn best(&mut self, wanted: Wanted) -> Option<(&Kept, usize)> {
        let served = self.0.iter().map(|kept| kept.held.serves(wanted));
        let (at, served) = served.enumerate().max_by_key(|(_, served)| *served).filter(|(_, served)| *served > 0)?;
        self.use_at(at).map(|kept| (kept, served))
    }

    /// The text with the most tokens for which an encoder read `read`.
    pub fn that_read(&mut self, read: &[u32]) -> Option<&Kept> {
        let readers = self.0.iter().enumerate().filter(|(_, kept)| kept.held.read == read);
        let (at, _) = readers.max_by_key(|(_, kept)| kept.held.tokens.len())?;
        self.use_at(at)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter()
    }

    /// The one that was used last.
    pub fn last(&self) -> Option<&Kept> {
        self.0.last()
    }

    fn use_at(&mut self, at: usize) -> Option<&Kept> {
        let kept = self.0.remove(at);
        self.0.push(kept);
        self.0.last()
    }
}
