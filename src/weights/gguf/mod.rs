//! GGUF (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), versions 2 and 3, its metadata through candle's reader.
//!
//! candle takes many of a header's counts at their word, so [`walk`] goes through the header first and refuses
//! whatever does not add up; candle then reads the metadata of headers that do.

mod walk;

use std::io::Cursor;

use candle_core::quantized::gguf_file;

use super::{
    contents::{Contents, MOST_DIMENSIONS, Prefix, TensorInfo, shown},
    metadata::Metadata,
};
use crate::{Error, Result, graph::DType};
use walk::Stop;

/// Where a header counts its tensors, and its metadata entries.
const TENSOR_COUNT: std::ops::Range<usize> = 8..16;
const ENTRY_COUNT: std::ops::Range<usize> = 16..24;

/// What the first bytes of a file say of it: the metadata that stands before the vocabulary, which takes megabytes in many files.
#[derive(Debug)]
pub struct Glance {
    pub metadata: Metadata,
    /// How many tokens the vocabulary has, where so much was read.
    pub tokens: Option<usize>,
    /// Whether there is no more metadata than this.
    pub is_all: bool,
    /// Whether the tensors' list was read too, which follows on the metadata: then [`WeightFile`](crate::weights::WeightFile) opens what was read.
    pub is_whole: bool,
}

impl Glance {
    /// Reads as much as is whole in `bytes`, the first of a file of `len` bytes.
    ///
    /// Errors: `corrupt-file` where they are not those of a GGUF, `unsupported-model` for versions that are not read.
    pub fn of(name: &str, bytes: &[u8], len: u64) -> Result<Self> {
        if !bytes.starts_with(b"GGUF") {
            return Err(Error::corrupt_file(format!(
                "{name}: this is no GGUF, whatever it is called; take another file"
            )));
        }
        let is_whole = match walk::walk(name, bytes, len) {
            Ok(_) => true,
            Err(Stop::Need(_)) => false,
            Err(Stop::Bad(error)) => return Err(error),
        };
        match walk::entries(name, bytes, len) {
            Ok(entries) => Ok(Self {
                is_whole,
                metadata: metadata(name, bytes, entries.end, Some(entries.count))?,
                tokens: entries.tokens.and_then(|count| count.try_into().ok()),
                is_all: entries.all,
            }),
            Err(Stop::Bad(error)) => Err(error),
            Err(Stop::Need(_)) => Ok(Self { metadata: Metadata::default(), tokens: None, is_all: false, is_whole }),
        }
    }
}

/// Reads a header, as much of the file as that takes.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    loop {
        match walk::walk(&prefix.name, &prefix.bytes, prefix.len) {
            Ok(outline) => return contents(prefix, outline),
            Err(Stop::Bad(error)) => return Err(error),
            Err(Stop::Need(len)) => prefix.grow(len).await?,
        }
    }
}

fn contents(prefix: &Prefix, outline: walk::Outline) -> Result<Contents> {
    let name = &prefix.name;
    let metadata = metadata(name, &prefix.bytes, outline.metadata_len, None)?;
    let mut tensors = Vec::with_capacity(outline.tensors.len());
    for walk::Outlined { name: tensor, dtype, shape, offset } in outline.tensors {
        let bad =
            |why: String| Error::corrupt_file(format!("{name}: tensor {} {shape:?} {dtype}: {why}", shown(&tensor)));
        let bytes = size(dtype, &shape)
            .ok_or_else(|| bad(format!("its rows are no whole number of blocks of {}", dtype.block_size())))?;
        let start = outline.data_start.checked_add(offset);
        let start = start.filter(|start| start.checked_add(bytes).is_some_and(|end| end <= prefix.len));
        let Some(start) = start else {
            return Err(bad(format!(
                "its {bytes} bytes at offset {offset} of the data lie past the file's end at {}; \
                 the file was cut short, so fetch it again",
                prefix.len
            )));
        };
        let shape = original_shape(name, &metadata, &tensor, shape)?;
        tensors.push(TensorInfo { name: tensor, dtype, shape, part: 0, offset: start, bytes });
    }
    refuse_overlaps(name, &mut tensors)?;
    Ok(Contents { metadata, tensors, data_start: outline.data_start })
}

/// The shape of a tensor that ComfyUI's converter laid out anew, in rows of 256 numbers, so that blocks may run on from one row into the next: the
/// metadata has the one that it had before.
fn original_shape(name: &str, metadata: &Metadata, tensor: &str, stored: Vec<usize>) -> Result<Vec<usize>> {
    let Some(shape) = metadata.get::<Vec<usize>>(&format!("comfy.gguf.orig_shape.{tensor}"))? else {
        return Ok(stored);
    };
    let numbers = |shape: &[usize]| shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
    if shape.len() > MOST_DIMENSIONS || numbers(&shape) != numbers(&stored) {
        return Err(Error::corrupt_file(format!(
            "{name}: tensor {} is {stored:?}, which its metadata says was {shape:?} before; convert the model again",
            shown(tensor)
        )));
    }
    Ok(shape)
}

/// The metadata of a header that ends at `end`; its first `entries` where it holds others behind them. candle reads it alone: it knows fewer types of
/// tensors.
fn metadata(name: &str, bytes: &[u8], end: usize, entries: Option<u64>) -> Result<Metadata> {
    let mut header = bytes.get(..end).unwrap_or(bytes).to_vec();
    if let Some(count) = header.get_mut(TENSOR_COUNT) {
        count.fill(0);
    }
    if let (Some(count), Some(entries)) = (header.get_mut(ENTRY_COUNT), entries) {
        count.copy_from_slice(&entries.to_le_bytes());
    }
    let content = gguf_file::Content::read(&mut Cursor::new(header)).map_err(|e| {
        Error::corrupt_file(format!("{name}: the header does not read ({e}); fetch the file again")).caused_by(e)
    })?;
    Ok(Metadata::new(content.metadata))
}

/// The bytes of a tensor in a file; `None` where its rows are no whole number of blocks.
pub(super) fn size(dtype: DType, shape: &[usize]) -> Option<u64> {
    let (inner, outer) = shape.split_last().map_or((1, shape), |(last, rest)| (*last, rest));
    let row = dtype.row_bytes(inner)? as u64;
    outer.iter().try_fold(row, |bytes, dim| bytes.checked_mul(*dim as u64))
}

/// Sorts tensors by offset and refuses two that share bytes.
pub(super) fn refuse_overlaps(name: &str, tensors: &mut [TensorInfo]) -> Result<()> {
    tensors.sort_by(|a, b| (a.offset, a.bytes, &a.name).cmp(&(b.offset, b.bytes, &b.name)));
    for pair in tensors.windows(2) {
        if let [a, b] = pair
            && a.offset + a.bytes > b.offset
            && b.bytes > 0
        {
            return Err(Error::corrupt_file(format!(
                "{name}: tensors {} and {} share the bytes at {}; the file is damaged, so fetch it again",
                shown(&a.name),
                shown(&b.name),
                b.offset
            )));
        }
    }
    Ok(())
}

/// Puts the parts of a split GGUF in order and refuses a set that is not whole.
pub(super) fn in_order(mut files: Vec<(Prefix, Contents)>) -> Result<Vec<(Prefix, Contents)>> {
    let given = files.len();
    for (prefix, contents) in &files {
        let count: usize = contents.metadata.get("split.count")?.unwrap_or(1).max(1);
        if count != given {
            let message = if count == 1 {
                format!("{} is a whole model, but {given} GGUF files were given; give one", prefix.name)
            } else {
                {
                    let were = if given == 1 { "was" } else { "were" };
                    format!("{} is one part of {count}, but {given} {were} given; give all {count} parts", prefix.name)
                }
            };
            return Err(Error::bad_argument(message));
        }
    }
    if given == 1 {
        return Ok(files);
    }
    let mut numbered = vec![];
    for (prefix, contents) in files.drain(..) {
        let number: usize = contents.metadata.require("split.no")?;
        numbered.push((number, prefix, contents));
    }
    numbered.sort_by_key(|(number, ..)| *number);
    for (expected, (number, prefix, _)) in numbered.iter().enumerate() {
        if *number != expected {
            return Err(Error::bad_argument(format!(
                "{} is part {} where part {} is expected; give each of the {given} parts once",
                prefix.name,
                number.saturating_add(1),
                expected + 1
            )));
        }
    }
    Ok(numbered.into_iter().map(|(_, prefix, contents)| (prefix, contents)).collect())
}
