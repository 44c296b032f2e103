//! Conversations that outlive the page: saved with what the model computed of them, and gone on with as if nothing had been between.

use super::{
    ChatMessage, ChatOptions, GenerateOptions, TextModel,
    saved::{Identity, Saved},
    steps::Prompt,
};
use crate::{Error, Result, cancel::Cancel};

impl TextModel {
    /// A conversation as a file: what the page keeps of it, and what the states hold of its text, if they hold any.
    ///
    /// Errors: `out-of-memory`, `aborted`, `closed`.
    pub async fn save(
        &self,
        messages: &[ChatMessage],
        chat: &ChatOptions,
        page: String,
        cancel: &Cancel,
    ) -> Result<Vec<u8>> {
        self.check_open()?;
        // What an encoder reads for an answer does not hold the answer.
        let reads = self.start.is_some();
        let framed = match messages {
            [before @ .., last] if reads && last.role() == Some("assistant") => before,
            all => all,
        };
        let chat = ChatOptions { continue_final_message: true, ..chat.clone() };
        // Of messages that cannot be framed, as none, nothing was computed; they are saved all the same.
        let ids = self.tokenizer().encode_chat(framed, &chat).map_or(vec![], |framed| framed.ids);
        let computed = match ids.is_empty() {
            true => None,
            false => {
                let Prompt { read, ids, .. } = self.prompt(ids, &GenerateOptions::default())?;
                self.turn(cancel).await?.save(&read.unwrap_or_default(), &ids).await?
            }
        };
        Saved { model: self.identity(), page, computed }.to_bytes()
    }

    /// Brings what a saved conversation's model computed back into the states, and gives what the page kept. `other_model` allows one that was held with another model
    /// or does not fit this one's context: then its words alone come back.
    ///
    /// Errors: `bad-argument` for no saved conversation, one of a later version and one of another model; `corrupt-file` for a damaged one; `context-overflow` where the
    /// context was loaded too short for it; `out-of-memory`, `aborted`, `closed`.
    pub async fn restore(&self, bytes: &[u8], other_model: bool, cancel: &Cancel) -> Result<String> {
        self.check_open()?;
        let Saved { model, page, computed } = Saved::from_bytes(bytes)?;
        let serves = model.check(&self.identity()).and_then(|()| match &computed {
            Some((held, _)) => self.check_fits(held.tokens.len().max(held.read.len())),
            None => Ok(()),
        });
        match (serves, computed) {
            (Err(_), _) if other_model => {}
            (Err(error), _) => return Err(error),
            (Ok(()), None) => {}
            (Ok(()), Some((held, states))) => {
                let vocabulary = self.info().read_vocabulary.max(self.info().vocabulary);
                if held.tokens.iter().chain(&held.read).any(|id| *id as usize >= vocabulary) {
                    return Err(Error::corrupt_file(
                        "the saved conversation holds tokens that its model does not know; take another copy of it",
                    ));
                }
                self.turn(cancel).await?.restore(held, &states).await?;
            }
        }
        Ok(page)
    }

    fn identity(&self) -> Identity {
        Identity::of(self.info(), &self.weights_digest)
    }
}
