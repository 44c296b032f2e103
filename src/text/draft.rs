//! A draft model: a smaller one with the same tokens, which guesses what the model will choose. It draws as the model does, with the same number for each place,
//! so that models that agree choose alike.

use futures_util::lock::OwnedMutexGuard;

use super::{
    TextModel,
    session::{Asked, Session},
};
use crate::{
    Error, Result,
    cancel::Cancel,
    graph::{SampleParams, Sampled},
};

/// The draft model's turn, held as long as the model's own.
pub struct Draft {
    model: TextModel,
    session: OwnedMutexGuard<Session>,
}

/// How the tokens are drawn that a draft guesses.
pub struct Drawn<'a> {
    /// Of the first.
    pub sample: SampleParams,
    /// How many of the last tokens the penalties look at, where not at all.
    pub window: Option<usize>,
    pub bias: &'a [f32],
}

/// Waits for the turns of both, always in the same order: calls with the same two models do not wait for each other.
///
/// Errors: `aborted`, `closed`.
pub async fn turns(
    model: &TextModel,
    draft: Option<TextModel>,
    cancel: &Cancel,
) -> Result<(OwnedMutexGuard<Session>, Option<Draft>)> {
    let Some(draft) = draft else { return Ok((model.turn(cancel).await?, None)) };
    let (session, other) = if model.goes_before(&draft) {
        let session = model.turn(cancel).await?;
        (session, turn(&draft, cancel).await?)
    } else {
        let other = turn(&draft, cancel).await?;
        (model.turn(cancel).await?, other)
    };
    Ok((session, Some(Draft { model: draft, session: other })))
}

async fn turn(draft: &TextModel, cancel: &Cancel) -> Result<OwnedMutexGuard<Session>> {
    check_open(draft)?;
    draft.turn(cancel).await
}

/// Errors: `closed`, with which of the two it is.
fn check_open(draft: &TextModel) -> Result<()> {
    draft.check_open().map_err(|_| Error::closed("the draft model was unloaded; load it again, or leave draft out"))
}

impl Draft {
    /// The tokens that it would write behind `text`: at most `most`, up to one that ends the text; none where its context is full.
    ///
    /// Errors: `closed`, `aborted`, and the device's.
    pub async fn guess(&mut self, text: &[u32], most: usize, drawn: &Drawn<'_>, cancel: &Cancel) -> Result<Vec<u32>> {
        check_open(&self.model)?;
        let most = most.min(self.session.capacity().saturating_sub(text.len()));
        let mut guesses = vec![];
        if most == 0 {
            return Ok(guesses);
        }
        self.session.write_bias(drawn.bias)?;
        let alternatives = self.model.compiled_alternatives(0);
        let mut all = text.to_vec();
        while guesses.len() < most {
            let begins = guesses.is_empty();
            let gone = drawn.window.and_then(|window| all.get((all.len() - 1).checked_sub(window)?).copied());
            let leaving = gone.filter(|_| !begins).unwrap_or(SampleParams::NOTHING);
            let sample =
                SampleParams { step: drawn.sample.step.wrapping_add(guesses.len() as u32), leaving, ..drawn.sample };
            let asked = Asked { sample, alternatives, outputs: &["sampled"], window: drawn.window, ahead: most };
            let pending = match begins {
                true => self.session.prefill(text, &asked, cancel).await?.0,
                false => self.session.decode(all.len() - 1, &asked).await?,
            };
            let outputs = cancel.race(pending).await?;
            let sampled = outputs.first().and_then(|words| Sampled::from_words(words));
            let token = sampled.ok_or_else(|| Error::internal("a step of the draft model gave no token"))?.token;
            if let Some(last) = guesses.last() {
                self.session.remember(*last);
            }
            guesses.push(token);
            all.push(token);
            if self.model.tokenizer().is_end(token) {
                break;
            }
        }
        Ok(guesses)
    }

    /// After a failure nobody knows what its caches hold.
    pub fn forget(&mut self) {
        self.session.forget();
    }
}
