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
    /// What changes when the file does, where the server says: its `ETag`, its `Last-Modified`, or both with a space between.
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
        self.total == other.total && self.same_version(other).unwrap_or(true)
    }

    /// Whether a server that says this of a file says that `kept` is that file still. One that named no version and names none now is
    /// taken by the size; one that named a version must name the same again.
    pub fn confirms(&self, kept: &Self) -> bool {
        let unnamed = self.version.is_none() && kept.version.is_none();
        self.total == kept.total && self.same_version(kept).unwrap_or(unnamed)
    }

    /// Compares entity tags, weak or strong (RFC 9110, 8.8.3.2), else dates. `None` where there are not two of one kind: some servers tag
    /// only some of their answers.
    fn same_version(&self, other: &Self) -> Option<bool> {
        let (tag, date) = tag_and_date(self.version.as_deref()?);
        let (other_tag, other_date) = tag_and_date(other.version.as_deref()?);
        let equal = |a: Option<&str>, b: Option<&str>| Some(a? == b?);
        equal(tag, other_tag).or_else(|| equal(date, other_date))
    }
}

fn tag_and_date(version: &str) -> (Option<&str>, Option<&str>) {
    let opaque = version.strip_prefix("W/").unwrap_or(version).strip_prefix('"');
    match opaque.and_then(|tag| tag.split_once('"')) {
        Some((tag, date)) => (Some(tag), Some(date.trim()).filter(|date| !date.is_empty())),
        None => (None, Some(version)),
    }
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

    const DATE: &str = "Sun, 22 Nov 2026 01:00:00 GMT";
    const LATER: &str = "Sun, 22 Nov 2026 02:00:00 GMT";

    fn about(version: &str) -> About {
        About { total: 7, version: Some(version).filter(|v| !v.is_empty()).map(str::to_owned) }
    }

    #[test]
    fn versions_of_a_kind_are_compared_and_others_are_not() {
        let (tag_and_date, tag_and_later) = (format!("\"a\" {DATE}"), format!("W/\"a\" {LATER}"));
        for (a, b, same) in [
            ("\"a\"", "W/\"a\"", Some(true)),
            ("\"a\"", "\"b\"", Some(false)),
            (DATE, LATER, Some(false)),
            (DATE, DATE, Some(true)),
            ("\"a\"", DATE, None),
            ("\"a\"", "", None),
            ("", "", None),
            (&tag_and_date, &tag_and_later, Some(true)),
            (&tag_and_date, DATE, Some(true)),
            (&tag_and_date, LATER, Some(false)),
            (&tag_and_date, "\"b\"", Some(false)),
        ] {
            assert_eq!(about(a).same_version(&about(b)), same, "{a} and {b}");
            assert_eq!(about(a).matches(&about(b)), same != Some(false), "{a} and {b}");
        }
    }

    #[test]
    fn a_kept_file_is_confirmed_by_the_version_it_had_and_by_nothing_else() {
        for (now, kept, confirmed) in [
            ("\"a\"", "\"a\"", true),
            ("\"b\"", "\"a\"", false),
            (DATE, "\"a\"", false),
            ("", "\"a\"", false),
            ("\"a\"", "", false),
            ("", "", true),
        ] {
            assert_eq!(about(now).confirms(&about(kept)), confirmed, "{now} of {kept}");
        }
        assert!(!About { total: 8, version: None }.confirms(&about("")));
    }
}
