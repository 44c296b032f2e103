//! GGUF (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), versions 2 and 3, through candle's reader.
//!
//! candle takes many of a header's counts at their word, so [`walk`] goes through the header first and refuses
//! whatever does not add up; candle then reads only headers that do.

mod walk;

use std::io::Cursor;

use candle_core::quantized::{GgmlDType, ggml_file::qtensor_from_ggml, gguf_file};

use super::{
    contents::{Contents, Prefix, TensorInfo, shown},
    metadata::Metadata,
};
use crate::{Error, Result, graph::DType};
use walk::Stop;

/// Reads a header, as much of the file as that takes.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    loop {
        match walk::walk(&prefix.name, &prefix.bytes, prefix.len) {
            Ok(outline) => return contents(prefix, &outline),
            Err(Stop::Bad(error)) => return Err(error),
            Err(Stop::Need(len)) => prefix.grow(len).await?,
        }
    }
}

fn contents(prefix: &Prefix, outline: &walk::Outline) -> Result<Contents> {
    let name = &prefix.name;
    let header = prefix.bytes.get(..outline.header_len).unwrap_or(&prefix.bytes);
    let content = gguf_file::Content::read(&mut Cursor::new(header)).map_err(|e| {
        Error::corrupt_file(format!("{name}: the header does not read ({e}); fetch the file again")).caused_by(e)
    })?;
    let mut tensors = Vec::with_capacity(content.tensor_infos.len());
    for (tensor, info) in content.tensor_infos {
        let shape = info.shape.dims().to_vec();
        let Some(dtype) = dtype(info.ggml_dtype) else {
            return Err(Error::internal(format!("{name}: {tensor} has a type that was let through unread")));
        };
        let bad =
            |why: String| Error::corrupt_file(format!("{name}: tensor {} {shape:?} {dtype}: {why}", shown(&tensor)));
        let bytes = size(dtype, &shape)
            .ok_or_else(|| bad(format!("its rows are no whole number of blocks of {}", dtype.block_size())))?;
        let end = content
            .tensor_data_offset
            .checked_add(info.offset)
            .and_then(|start| Some((start, start.checked_add(bytes)?)))
            .filter(|(_, end)| *end <= prefix.len);
        let Some((offset, _)) = end else {
            return Err(bad(format!(
                "its {bytes} bytes at offset {} of the data lie past the file's end at {}; \
                 the file was cut short, so fetch it again",
                info.offset, prefix.len
            )));
        };
        tensors.push(TensorInfo { name: tensor, dtype, shape, part: 0, offset, bytes });
    }
    refuse_overlaps(name, &mut tensors)?;
    Ok(Contents { metadata: Metadata::new(content.metadata), tensors, data_start: content.tensor_data_offset })
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

fn dtype(t: GgmlDType) -> Option<DType> {
    Some(match t {
        GgmlDType::F32 => DType::F32,
        GgmlDType::F16 => DType::F16,
        GgmlDType::BF16 => DType::BF16,
        GgmlDType::Q4_0 => DType::Q4_0,
        GgmlDType::Q4_1 => DType::Q4_1,
        GgmlDType::Q5_0 => DType::Q5_0,
        GgmlDType::Q5_1 => DType::Q5_1,
        GgmlDType::Q8_0 => DType::Q8_0,
        GgmlDType::Q4K => DType::Q4_K,
        GgmlDType::Q5K => DType::Q5_K,
        GgmlDType::Q6K => DType::Q6_K,
        _ => return None,
    })
}

/// The numbers in whole blocks (or plain numbers) of `dtype`, by candle's own dequantisation; `name` is for messages.
pub(super) fn dequantise(name: &str, dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    let ggml = match dtype {
        DType::F32 => GgmlDType::F32,
        DType::F16 => GgmlDType::F16,
        DType::BF16 => GgmlDType::BF16,
        DType::Q4_0 => GgmlDType::Q4_0,
        DType::Q4_1 => GgmlDType::Q4_1,
        DType::Q5_0 => GgmlDType::Q5_0,
        DType::Q5_1 => GgmlDType::Q5_1,
        DType::Q8_0 => GgmlDType::Q8_0,
        DType::Q4_K => GgmlDType::Q4K,
        DType::Q5_K => GgmlDType::Q5K,
        DType::Q6_K => GgmlDType::Q6K,
        DType::U32 => return Err(Error::internal(format!("{name}: token ids are no weights"))),
    };
    if !bytes.len().is_multiple_of(dtype.block_bytes()) {
        return Err(Error::internal(format!("{name}: {} bytes are no whole blocks of {dtype}", bytes.len())));
    }
    // candle reads blocks in place, so they must lie as aligned as its structs ask for.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8).max(1)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut aligned);
    let Some(aligned) = aligned.get_mut(..bytes.len()) else {
        return Err(Error::internal(format!("{name}: no room for its bytes")));
    };
    aligned.copy_from_slice(bytes);
    // One row after another is as good as their shape, and candle quantises no scalars.
    let shape = vec![bytes.len() / dtype.block_bytes() * dtype.block_size()];
    let device = candle_core::Device::Cpu;
    let values = || qtensor_from_ggml(ggml, aligned, shape, &device)?.dequantize(&device)?.to_vec1();
    values().map_err(|e: candle_core::Error| {
        Error::corrupt_file(format!("tensor {} does not dequantise ({e})", shown(name))).caused_by(e)
    })
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
