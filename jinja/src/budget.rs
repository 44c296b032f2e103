//! What one run may take: steps, bytes that are made, and depth.

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};

/// What a stranger's template may take before it is stopped.
#[derive(Debug)]
pub struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    depth: Cell<u32>,
}

/// Steps of the interpreter: far more than any conversation needs, and over within seconds.
const STEPS: u64 = 5_000_000;
/// Bytes of texts, lists and dictionaries that are made in a run, freed ones included.
const BYTES: u64 = 256 << 20;
/// Calls, statements and values inside each other: what a page's stack bears.
const DEPTH: u32 = 1000;
/// Lists inside lists.
pub(crate) const NESTING: u16 = 100;

impl Default for Budget {
    fn default() -> Self {
        Self { steps: Cell::new(STEPS), bytes: Cell::new(BYTES), depth: Cell::new(0) }
    }
}

fn exhausted<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Exhausted, message))
}

impl Budget {
    pub(crate) fn step(&self, count: usize) -> Result<()> {
        match self.steps.get().checked_sub(count as u64) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => exhausted("it takes more than five million steps"),
        }
    }

    /// Call before a text or list of so many bytes is made.
    pub(crate) fn bytes(&self, count: usize) -> Result<()> {
        match self.bytes.get().checked_sub(count as u64) {
            Some(left) => self.bytes.set(left),
            None => return exhausted("it makes more than 256 MiB of texts and lists"),
        }
        self.step(count / 64)
    }

    /// For what goes one level deeper; call [`Budget::leave`] after it, unless it failed.
    pub(crate) fn enter(&self) -> Result<()> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > DEPTH { exhausted("it calls itself too deep") } else { Ok(()) }
    }

    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}
