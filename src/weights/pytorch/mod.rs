//! PyTorch's own files (`.bin`, `.pt`, `.pth`, `.ckpt`): a state dict as `torch.save` has written it since 1.6, that is, an archive of a
//! pickle that names the tensors and of a record for each storage.
//!
//! The directory and the pickle are read when a file is opened; storages follow tensor by tensor, like those of any other format. The
//! format has no specification but its code: `torch/serialization.py`, `torch/_weights_only_unpickler.py`, `caffe2/serialize/inline_container.cc`.

mod archive;
mod pickle;
mod views;

use std::rc::Rc;

use archive::{Directory, Record};
use pickle::Tensor;
use views::{View, Views};

use super::{
    contents::{Contents, MOST_DIMENSIONS, Part, Prefix, TensorInfo, shown},
    gguf::size,
    metadata::Metadata,
};
use crate::{Error, Result, graph::DType};

/// A pickle of a thousand tensors takes a fiftieth of it.
const PICKLE_LIMIT: u64 = 16 << 20;
const PICKLE: &str = "data.pkl";

/// Reads what the archive holds, and puts its tensors in the place of the file ([`Views`]).
///
/// Errors: `corrupt-file` where something does not add up, with the record, the byte or the tensor; `unsupported-model` for archives that are no
/// state dict, for compressed records, numbers of other types, and big-endian machines' files.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    let archive = Part::new(prefix.source.clone(), std::mem::take(&mut prefix.bytes), 0);
    let directory = Directory::read(&archive, prefix.len).await?;
    let unsupported = |what: String| {
        Error::unsupported_model(format!(
            "{}: {what}; load it with PyTorch and save its state_dict() again, best as safetensors",
            prefix.name
        ))
    };
    let folders: Vec<&str> = directory.records.iter().filter_map(|(name, _)| folder_of(name)).collect();
    let &[folder] = &folders[..] else {
        let what = if folders.is_empty() {
            "this archive holds no data.pkl, so it is none of PyTorch's"
        } else {
            "it holds several models"
        };
        return Err(unsupported(what.into()));
    };
    let folder = folder.to_owned();
    let find = |name: String| directory.place_of(&name).map(|place| (place, directory.records[place].1));
    if let Some((_, record)) = find(format!("{folder}byteorder")).filter(|(_, record)| record.bytes < 16) {
        let order = directory.bytes_of(&archive, "byteorder", record).await?;
        if order.trim_ascii() != b"little" {
            return Err(unsupported("it was saved on a big-endian machine".into()));
        }
    }
    let Some((_, record)) = find(format!("{folder}{PICKLE}")).filter(|(_, record)| record.bytes <= PICKLE_LIMIT) else {
        return Err(unsupported(format!("its data.pkl has more than {PICKLE_LIMIT} bytes, which no state dict needs")));
    };
    let pickle = directory.bytes_of(&archive, PICKLE, record).await?;

    // Each storage's tensors, as the storages lie in the file, so that it is read from front to back.
    let mut views: Vec<Vec<(TensorInfo, View)>> = directory.records.iter().map(|_| vec![]).collect();
    for (name, tensor) in pickle::state_dict(&prefix.name, &pickle)? {
        let dtype = match tensor.storage.class {
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            // Buffers beside the weights (position ids, counts of batches): no graph asks for them.
            "DoubleStorage" | "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage"
            | "BoolStorage" => continue,
            other => {
                return Err(Error::unsupported_model(format!(
                    "{}: tensor {} is a {}, which Vitrine does not compute; take the model in F32, F16 or BF16",
                    prefix.name,
                    shown(name),
                    shown(other)
                )));
            }
        };
        let storage = find(format!("{folder}data/{}", tensor.storage.key));
        let (shape, view) = view(&prefix.name, name, dtype, &tensor, storage.map(|(_, record)| record))?;
        if let Some(own) = storage.and_then(|(place, _)| views.get_mut(place)) {
            own.push((TensorInfo { name: name.into(), dtype, shape, part: 0, offset: 0, bytes: view.bytes }, view));
        }
    }
    let (mut tensors, mut placed, mut at) = (vec![], vec![], 0u64);
    for (tensor, view) in views.into_iter().flatten() {
        tensors.push(TensorInfo { offset: at, ..tensor });
        let bytes = view.bytes;
        placed.push((at, view));
        at = at.saturating_add(bytes);
    }
    prefix.source = Rc::new(Views::new(archive, directory, placed));
    Ok(Contents { metadata: Metadata::default(), tensors, data_start: 0 })
}

/// What stands before `data.pkl` in a record's name, its slash included.
fn folder_of(record: &str) -> Option<&str> {
    record.strip_suffix(PICKLE).filter(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// A tensor checked against its storage, and the storage against its record.
fn view(file: &str, name: &str, dtype: DType, tensor: &Tensor, record: Option<Record>) -> Result<(Vec<usize>, View)> {
    let at = || format!("{file}: tensor {} {:?}", shown(name), tensor.shape);
    let bad = |what: &str| Error::corrupt_file(format!("{}: {what}; the file is damaged, so fetch it again", at()));
    if tensor.shape.len() > MOST_DIMENSIONS {
        return Err(bad(&format!("more than {MOST_DIMENSIONS} dimensions")));
    }
    let key = shown(tensor.storage.key);
    let Some(record) = record else { return Err(bad(&format!("its storage {key} is missing"))) };
    let element = dtype.block_bytes() as u64;
    let numel = tensor.storage.numel;
    if numel.checked_mul(element).is_none_or(|bytes| bytes > record.bytes) {
        return Err(bad(&format!(
            "its storage {key} claims {numel} numbers, and its record has {} bytes",
            record.bytes
        )));
    }
    let shape: Option<Vec<usize>> =
        tensor.shape.iter().map(|side| i32::try_from(*side).ok().map(|s| s as usize)).collect();
    let sized = shape.and_then(|shape| size(dtype, &shape).map(|bytes| (shape, bytes)));
    let (shape, bytes) = sized.ok_or_else(|| bad("its size is too large to be"))?;
    let mut last = Some(tensor.offset);
    for (side, stride) in tensor.shape.iter().zip(&tensor.strides) {
        last = side.saturating_sub(1).checked_mul(*stride).and_then(|step| last?.checked_add(step));
    }
    if bytes > 0 && last.is_none_or(|last| last >= numel) {
        return Err(bad(&format!("it reaches past its storage {key} of {numel} numbers")));
    }
    if bytes / element > numel {
        return Err(Error::unsupported_model(format!(
            "{}: it shows numbers of its storage several times; save the model again with each tensor made contiguous()",
            at()
        )));
    }
    let sides =
        tensor.shape.iter().copied().zip(tensor.strides.iter().copied()).filter(|(side, _)| *side != 1).collect();
    Ok((shape, View { record, name: key.into(), element, offset: tensor.offset, sides, bytes }))
}
