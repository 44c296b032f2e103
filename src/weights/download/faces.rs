//! What a download needs from outside: a network with a clock, a place to keep bytes.

use async_trait::async_trait;

use crate::{Error, Result};

/// Why a transport did not answer.
#[derive(Debug)]
pub enum Fault {
    /// It may work when tried again: what happened, in words.
    Broken(String),
    /// It will not.
    Refused(Error),
    /// The address has no bytes there (HTTP 416).
    PastTheEnd,
}

/// What an address answered.
pub struct Answer {
    /// The first byte of the body: the one asked for, or 0 from a server that knows no ranges.
    pub start: u64,
    /// The whole file's size, where the server says.
    pub total: Option<u64>,
    /// What changes when the file does (an `ETag`, else `Last-Modified`), where the server says.
    pub version: Option<String>,
    pub body: Box<dyn Body>,
}

/// The bytes of an answer as they come. Dropping it closes the connection.
#[async_trait(?Send)]
pub trait Body {
    /// The next bytes, or `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Fault>;
}

/// A network, and a clock.
#[async_trait(?Send)]
pub trait Transport {
    /// Asks for the bytes from `start` to the end.
    async fn get(&self, start: u64) -> Result<Answer, Fault>;
    async fn sleep(&self, milliseconds: u32);
}

/// Keeps the beginning of a file while it is downloaded, from one visit to the next.
///
/// A store that fails is given up and the download goes on without it.
#[async_trait(?Send)]
pub trait Store {
    /// How many bytes are kept.
    fn have(&self) -> u64;
    /// Fills `bytes` from the kept ones at `at`.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()>;
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// What the kept bytes are the beginning of, if anything is kept.
    fn about(&self) -> Option<About>;
    /// Forgets all bytes and begins a file of this kind.
    async fn begin(&mut self, about: &About) -> Result<()>;
    /// All bytes are kept, and right as far as anyone can say.
    async fn complete(&mut self) -> Result<()>;
    /// Deletes what is kept.
    async fn discard(&mut self);
}

/// What is known of a file at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub total: u64,
    pub version: Option<String>,
}

impl About {
    /// Whether both can be the same file: the same size, and no word of a change.
    pub fn matches(&self, other: &Self) -> bool {
        self.total == other.total
            && match (&self.version, &other.version) {
                (Some(a), Some(b)) => same_version(a, b),
                _ => true,
            }
    }
}

/// Compares entity tags, weak or strong (RFC 9110, 8.8.3.2), and dates. A tag and a date say nothing of each other: some
/// servers tag only some of their answers.
fn same_version(a: &str, b: &str) -> bool {
    let tag = |version: &str| version.strip_prefix("W/").unwrap_or(version).to_string();
    let (a, b) = (tag(a), tag(b));
    a == b || a.starts_with('"') != b.starts_with('"')
}

/// How patient a download is.
#[derive(Debug, Clone)]
pub struct Patience {
    /// A connection without a byte for so long is given up.
    pub stall_ms: u32,
    /// How often in a row a connection may break without bringing anything new.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub pause_ms: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall_ms: 30_000, attempts: 5, pause_ms: 500 }
    }
}

/// What the caller knows of the file beforehand.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub size: Option<u64>,
    pub sha256: Option<[u8; 32]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_kind_are_compared_and_others_are_not() {
        assert!(same_version("\"a\"", "W/\"a\""));
        assert!(!same_version("\"a\"", "\"b\""));
        assert!(!same_version("Sun, 22 Nov 2026 01:00:00 GMT", "Sun, 22 Nov 2026 02:00:00 GMT"));
        assert!(same_version("\"a\"", "Sun, 22 Nov 2026 01:00:00 GMT"));
    }
}
