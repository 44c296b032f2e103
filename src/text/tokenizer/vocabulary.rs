//! A vocabulary as files list it: what each token says, its kind and its score.

use std::{borrow::Cow, collections::HashMap};

use super::pieces::{Pieces, byte_token};

/// What a file says of a token: SentencePiece's types, whose numbers GGUF took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl TokenKind {
    pub fn from_number(n: i32) -> Self {
        match n {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }

    /// Control and unknown tokens are never what a text's own characters become.
    pub fn is_special(self) -> bool {
        matches!(self, Self::Control | Self::Unknown)
    }
}

/// Tokens by their ids; the lists are of one length.
#[derive(Debug, Default)]
pub struct Vocabulary<'a> {
    pub tokens: Vec<Cow<'a, str>>,
    pub kinds: Vec<TokenKind>,
    pub scores: Vec<f32>,
}

impl<'a> Vocabulary<'a> {
    pub fn push(&mut self, token: impl Into<Cow<'a, str>>, kind: TokenKind, score: f32) {
        self.tokens.push(token.into());
        self.kinds.push(kind);
        self.scores.push(score);
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &str, TokenKind)> {
        self.tokens.iter().zip(&self.kinds).enumerate().map(|(i, (t, k))| (i as u32, &**t, *k))
    }

    /// The same with the scores.
    pub fn scored(&self) -> impl Iterator<Item = (u32, &str, TokenKind, f32)> {
        self.iter().zip(&self.scores).map(|((id, token, kind), score)| (id, token, kind, *score))
    }

    pub fn text(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(|token| &**token)
    }

    /// Ids by text; of equal tokens the first counts.
    pub fn ids(&self) -> HashMap<&str, u32> {
        let mut ids = HashMap::with_capacity(self.tokens.len());
        for (id, token, _) in self.iter() {
            ids.entry(token).or_insert(id);
        }
        ids
    }

    /// Each token's bytes; `spelled` spells those that are neither marks nor bytes.
    pub fn pieces(&self, strip_first_space: bool, mut spelled: impl FnMut(&str, TokenKind) -> Vec<u8>) -> Pieces {
        let mut pieces = Pieces::new(strip_first_space);
        for (_, token, kind) in self.iter() {
            match (kind, byte_token(token)) {
                (TokenKind::Byte, Some(byte)) => pieces.push(&[byte], false),
                (TokenKind::Control | TokenKind::Unknown, _) => pieces.push(token.as_bytes(), true),
                (TokenKind::UserDefined, _) => pieces.push_shown_mark(&spelled(token, kind)),
                _ => pieces.push(&spelled(token, kind), false),
            }
        }
        pieces
    }
}
