//! GGUF (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), versions 2 and 3, its metadata through candle's reader.
//!
//! candle takes many of a header's counts at their word, so [`walk`] goes through the header first and refuses
//! whatever does not add up; candle then reads the metadata of headers that do.

mod walk;

use std::io::Cursor;

use candle_core::quantized::gguf_file;

use super::{
    contents::{Contents, Prefix, TensorInfo, shown},
    metadata::Metadata,
};
use crate::{Error, Result, graph::DType};
use walk::Stop;

/// Where a header counts its tensors.
const TENSOR_COUNT: std::ops::Range<usize> = 8..16;

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
    // candle reads the metadata alone: it knows fewer types of tensors.
    let mut header = prefix.bytes.get(..outline.metadata_len).unwrap_or(&prefix.bytes).to_vec();
    if let Some(count) = header.get_mut(TENSOR_COUNT) {
        count.fill(0);
    }
    let content = gguf_file::Content::read(&mut Cursor::new(header)).map_err(|e| {
        Error::corrupt_file(format!("{name}: the header does not read ({e}); fetch the file again")).caused_by(e)
    })?;
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
        tensors.push(TensorInfo { name: tensor, dtype, shape, part: 0, offset: start, bytes });
    }
    refuse_overlaps(name, &mut tensors)?;
    Ok(Contents { metadata: Metadata::new(content.metadata), tensors, data_start: outline.data_start })
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
                format!("{} is one part of {count}, but {given} were given; give all {count} parts", prefix.name)
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
