//! What can go wrong in a template, and where.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source is no Jinja.
    Syntax,
    /// What Python would raise: an undefined value used, a wrong type, an unknown filter.
    Runtime,
    /// The template's own words, by `raise_exception`.
    Raised,
    /// The run would take more than its [`Budget`](crate::Budget).
    Exhausted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// The line of the template, from 1.
    pub line: Option<usize>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None }
    }

    pub(crate) fn at(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) if self.kind != ErrorKind::Raised => write!(f, "line {line}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// An error of a run.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Runtime, message))
}
