//! What readers of every format share: the beginning of a file, what was found in it, and where a tensor's bytes lie.

use std::ops::Range;

use super::{
    metadata::Metadata,
    source::{SharedSource, past_the_end},
};
use crate::{Error, Result, graph::DType};

/// The largest header that is read: a vocabulary of a million tokens takes a tenth of it.
const HEADER_LIMIT: u64 = 256 << 20;
/// The largest JSON file that is taken in beside the weights.
const JSON_LIMIT: u64 = 128 << 20;
/// No tensor of a model has more.
pub const MOST_DIMENSIONS: usize = 8;

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: DType,
    /// Row-major, outermost dimension first.
    pub shape: Vec<usize>,
    /// Which of the parts it lies in.
    pub part: usize,
    /// Where it begins, from the start of its part's file; in PyTorch's, which may hold it as a view of other numbers, among the
    /// tensors as they are read.
    pub offset: u64,
    pub bytes: u64,
}

impl TensorInfo {
    /// Rows and bytes a row, as a loader takes them: the first dimension counts rows, a vector is one row.
    pub fn rows(&self) -> (usize, u64) {
        let rows = if self.shape.len() > 1 { self.shape[0] } else { 1 };
        (rows, if rows == 0 { 0 } else { self.bytes / rows as u64 })
    }
}

/// One file of weights.
pub struct Part {
    pub source: SharedSource,
    /// Bytes that came with the header and lie behind it.
    head: Vec<u8>,
    head_start: u64,
}

/// What a reader of one format found in one file.
pub struct Contents {
    pub metadata: Metadata,
    /// Sorted by offset; `part` is 0.
    pub tensors: Vec<TensorInfo>,
    /// Where the tensors' bytes begin.
    pub data_start: u64,
}

/// A name from a file as a sentence can bear it: short, and in one line.
pub fn shown(name: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = name.chars().take(80).map(clean).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// The beginning of a file, as far as it has been read.
pub struct Prefix {
    pub source: SharedSource,
    pub name: String,
    /// Of the whole file.
    pub len: u64,
    pub bytes: Vec<u8>,
}

impl Prefix {
    pub async fn open(source: SharedSource) -> Result<Self> {
        let name = source.name();
        let len = source.len().await?;
        let bytes = source.read(0..len.min(source.first_read())).await?;
        Ok(Self { source, name, len, bytes })
    }

    /// Reads on until at least `needed` bytes are there: twice what there was, so that few reads are made.
    pub async fn grow(&mut self, needed: u64) -> Result<()> {
        if needed > HEADER_LIMIT {
            return Err(Error::corrupt_file(format!(
                "{}: the header claims more than {} MiB; the file is damaged, so fetch it again",
                self.name,
                HEADER_LIMIT >> 20
            )));
        }
        let have = self.bytes.len() as u64;
        let target = needed.max(have * 2).min(self.len).min(HEADER_LIMIT);
        if needed > self.len {
            return Err(past_the_end(&self.name, &(have..needed), self.len));
        }
        self.bytes.extend_from_slice(&self.source.read(have..target).await?);
        Ok(())
    }

    pub async fn whole_text(mut self) -> Result<Vec<u8>> {
        if self.len > JSON_LIMIT {
            return Err(Error::corrupt_file(format!(
                "{}: {} MiB are too many for a JSON file; give the model's own config.json or tokenizer.json",
                self.name,
                self.len >> 20
            )));
        }
        let have = self.bytes.len() as u64;
        if have < self.len {
            self.bytes.extend_from_slice(&self.source.read(have..self.len).await?);
        }
        self.source.finish().await?;
        Ok(self.bytes)
    }
}

impl Part {
    /// A file whose first bytes were read already; those before `data_start` are not needed again.
    pub fn new(source: SharedSource, mut first: Vec<u8>, data_start: u64) -> Self {
        let skip = usize::try_from(data_start).unwrap_or(usize::MAX).min(first.len());
        first.drain(..skip);
        Self { source, head: first, head_start: data_start }
    }

    /// Reads from what came with the header where that suffices, so that a source need never go back.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let head_end = self.head_start + self.head.len() as u64;
        if range.start < self.head_start || range.start >= head_end || range.end < range.start {
            return self.source.read(range).await;
        }
        let from = (range.start - self.head_start) as usize;
        let to = (range.end.min(head_end) - self.head_start) as usize;
        let mut bytes = self.head.get(from..to).unwrap_or_default().to_vec();
        if range.end > head_end {
            bytes.extend_from_slice(&self.source.read(head_end..range.end).await?);
        }
        Ok(bytes)
    }
}
