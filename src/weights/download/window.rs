//! The bytes between the network and the reader, where no store keeps them.

/// Bytes that came and were not read yet.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Where the first of them belongs.
    pub start: u64,
    bytes: Vec<u8>,
    /// How many at the front of `bytes` were used up.
    used: usize,
}

impl Window {
    /// An empty one, for the bytes from `start` on.
    pub fn starting_at(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    pub fn put(&mut self, start: u64, bytes: Vec<u8>) {
        if self.start + (self.bytes.len() - self.used) as u64 != start || self.bytes.is_empty() {
            *self = Self { start, bytes, used: 0 };
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
    }

    /// The `len` bytes at `start` where all of them are here. Everything before their end is forgotten, and what
    /// lies before `start` in any case.
    pub fn take(&mut self, start: u64, len: usize) -> Option<Vec<u8>> {
        self.forget(start);
        let bytes = self.bytes.get(self.used..)?.get(..len)?.to_vec();
        if self.start != start {
            return None;
        }
        self.forget(start + len as u64);
        Some(bytes)
    }

    pub fn forget(&mut self, before: u64) {
        let count = before.saturating_sub(self.start).min((self.bytes.len() - self.used) as u64);
        self.start += count;
        self.used += count as usize;
        if self.used * 2 >= self.bytes.len() {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
    }
}
