//! Which text the states hold: one is put away before another is written over it, brought back where it serves, saved and restored.

use super::{
    super::{
        kept::{FEW, Held, Kept, Wanted},
        saved::Computed,
    },
    Session,
};
use crate::{Error, ErrorCode, Result, models::autoregressive::Extent};

impl Session {
    /// Copies what the states hold, so that it can be gone back to. Where there is no room for that nothing is lost but time.
    pub async fn put_away(&mut self) -> Result<()> {
        let held = self.held.clone();
        if held.tokens.len() + held.read.len() <= FEW || self.shelf.has(&held) {
            return Ok(());
        }
        let words = self.words_of(&held);
        let bytes = words.iter().map(|(_, words)| 4 * *words as u64).sum();
        if !self.shelf.make_room(&held, bytes, !self.model.is_recurrent()) {
            return Ok(());
        }
        match self.resident.snapshot(&words).await {
            Ok(states) => self.shelf.put(Kept { held, states }),
            Err(error) if error.code() == ErrorCode::OutOfMemory => self.shelf.clear(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Words of each state that hold such a text.
    fn words_of(&self, held: &Held) -> Vec<(String, usize)> {
        let words = |extent: &Extent| match extent {
            Extent::Token(row) => row * held.tokens.len(),
            Extent::Read(row) => row * held.read.len(),
            Extent::Whole(words) => *words,
        };
        self.states.iter().map(|(name, extent)| (name.clone(), words(extent))).collect()
    }

    /// The states hold as much as there is of a text that is wanted, of all that was computed of others; what they held of another is put away. Returns how many of
    /// its tokens they hold.
    pub(super) async fn go_back_to(&mut self, ids: &[u32], past_bound: bool) -> Result<usize> {
        let (whole, read) = (self.model.is_recurrent(), self.held.read.clone());
        let wanted = Wanted { read: &read, ids, past_bound, whole };
        let own = self.held.serves(wanted);
        // Marked as used, so that it does not leave for the one that is put away.
        self.shelf.best(wanted);
        if self.held.tokens.len() > own + FEW {
            self.put_away().await?;
        }
        self.begin_text(past_bound);
        let better = self.shelf.best(wanted).filter(|(_, served)| *served > own);
        let Some(held) = better.map(|(kept, served)| kept.held.up_to(served)) else {
            self.held.tokens.truncate(own);
            return Ok(own);
        };
        self.bring_back(held)
    }

    /// What the states hold, or held when it was put away, of a text for which an encoder read `read`, with the words of each: nothing of other texts that begin
    /// alike.
    ///
    /// Errors: `out-of-memory` where there is no room for a copy.
    pub async fn save(&mut self, read: &[u32], ids: &[u32]) -> Result<Option<Computed>> {
        let past_bound = self.is_past_bound(ids.len());
        let wanted = Wanted { read, ids, past_bound, whole: self.model.is_recurrent() };
        // What was written of a text that was read goes on with it, and with no other.
        let serves = |held: &Held| match !read.is_empty() && held.read == read {
            true => held.tokens.len(),
            false => held.serves(wanted),
        };
        let own = serves(&self.held);
        let other = self.shelf.iter().max_by_key(|kept| serves(&kept.held)).filter(|kept| serves(&kept.held) > own);
        let held = other.map_or(&self.held, |kept| &kept.held);
        let held = held.up_to(serves(held));
        if held.tokens.is_empty() {
            return Ok(None);
        }
        let words = self.words_of(&held);
        let states = match other {
            Some(kept) => self.resident.read(&kept.states, &words).await?,
            None => {
                let mut snapshot = self.resident.snapshot(&words).await;
                if snapshot.as_ref().is_err_and(|error| error.code() == ErrorCode::OutOfMemory) {
                    self.shelf.clear();
                    snapshot = self.resident.snapshot(&words).await;
                }
                self.resident.read(&snapshot?, &words).await?
            }
        };
        Ok(Some((held, words.into_iter().map(|(name, _)| name).zip(states).collect())))
    }

    /// The states become what [`Self::save`] gave; what they held is put away.
    ///
    /// Errors: `corrupt-file` where the words are not those of such a text; the states are then as they were.
    pub async fn restore(&mut self, held: Held, states: &[(String, Vec<u32>)]) -> Result<()> {
        let words = self.words_of(&held);
        let fits = |((name, words), (state, given)): (&(String, usize), &(String, Vec<u32>))| {
            name == state && given.len() == *words
        };
        if words.len() != states.len() || !words.iter().zip(states).all(fits) {
            return Err(Error::corrupt_file(
                "the saved conversation has other states than its model; take another copy of it",
            ));
        }
        self.put_away().await?;
        self.begin_text(held.past_bound);
        self.forget();
        for (name, words) in states {
            self.resident.write_state(name, words)?;
        }
        self.held = held;
        Ok(())
    }

    /// The states hold what they did when the text that was used last was put away, as much as `held` has of it. Returns how many tokens that is.
    pub(super) fn bring_back(&mut self, held: Held) -> Result<usize> {
        self.begin_text(held.past_bound);
        self.held.tokens.clear();
        let words = self.words_of(&held);
        if let Some(kept) = self.shelf.last() {
            self.resident.bring_back(&kept.states, &words)?;
            self.held = held;
        }
        Ok(self.held.tokens.len())
    }
}
