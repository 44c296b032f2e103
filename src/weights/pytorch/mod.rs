//! PyTorch's own files (`.bin`, `.pt`, `.pth`, `.ckpt`): a state dict as `torch.save` has written it since 1.6, that is, an archive of a
//! pickle that names the tensors and of a record for each storage; or as it did before, pickles with the storages one after another behind them.
//!
//! The directory and the pickles are read when a file is opened; storages follow tensor by tensor, like those of any other format. The
//! formats have no specification but its code: `torch/serialization.py`, `torch/_weights_only_unpickler.py`, `caffe2/serialize/inline_container.cc`.

mod pickle;
mod views;

use std::{collections::BTreeMap, rc::Rc};

pub(super) use pickle::LEGACY;
use pickle::{Storage, Tensor};
use views::{Place, View, Views};

use super::{
    archive::Directory,
    contents::{Contents, MOST_DIMENSIONS, Part, Prefix, TensorInfo, shown},
    gguf::size,
    metadata::Metadata,
};
use crate::{Error, ErrorCode, Result, graph::DType};

/// A pickle of a thousand tensors takes a fiftieth of it.
const PICKLE_LIMIT: u64 = 16 << 20;
const PICKLE: &str = "data.pkl";
const AGAIN: &str = "load it with PyTorch and save its state_dict() again, best as safetensors";

/// Reads what the file holds, and puts its tensors in the place of the file ([`Views`]).
///
/// Errors: `corrupt-file` where something does not add up, with the record, the byte or the tensor; `unsupported-model` for files that are no
/// state dict, for compressed records, numbers of other types, and big-endian machines' files.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    if prefix.bytes.starts_with(LEGACY) { read_legacy(prefix).await } else { read_archive(prefix).await }
}

/// A file from before archives. What stands in its pickles says where each storage lies; the counts before them are looked at when they are read.
async fn read_legacy(prefix: &mut Prefix) -> Result<Contents> {
    loop {
        let have = prefix.bytes.len() as u64;
        match pickle::legacy(&prefix.name, &prefix.bytes) {
            // The pickles may go on beyond what was read.
            Err(error) if error.code() == ErrorCode::CorruptFile && have < prefix.len && have < PICKLE_LIMIT => {
                prefix.grow((have + 1).min(prefix.len)).await?;
            }
            other => {
                other?;
                break;
            }
        }
    }
    let file = prefix.name.clone();
    let pickle::Legacy { tensors, storages, end } = pickle::legacy(&file, &prefix.bytes)?;
    let (mut places, mut at) = (vec![], end);
    for storage in &storages {
        let key = shown(storage.key);
        let Some(bytes) = storage.element().and_then(|element| storage.numel.checked_mul(element)) else {
            let what = format!("{file}: storage {key} is a {} of {} numbers", shown(storage.class), storage.numel);
            return Err(Error::unsupported_model(format!("{what}, which Vitrine does not read; {AGAIN}")));
        };
        let Some(behind) = at.checked_add(8).and_then(|at| at.checked_add(bytes)).filter(|at| *at <= prefix.len) else {
            return Err(Error::corrupt_file(format!(
                "{file}: storage {key} of {bytes} bytes should stand at {at}, past the file's end at {}; the file is damaged or cut short, so fetch it again",
                prefix.len
            )));
        };
        places.push(Place::Counted { at, numel: storage.numel, bytes });
        at = behind;
    }
    let by_key: BTreeMap<&str, usize> = storages.iter().enumerate().map(|(i, storage)| (storage.key, i)).collect();
    let find = |storage: &Storage| {
        let index = *by_key.get(storage.key)?;
        Some((index, places[index]))
    };
    let (tensors, placed) = place(&file, tensors, storages.len(), &find)?;
    let part = Part::new(prefix.source.clone(), std::mem::take(&mut prefix.bytes), 0);
    prefix.source = Rc::new(Views::new(part, Directory::none(file, prefix.len), placed));
    Ok(Contents { metadata: Metadata::default(), tensors, data_start: 0 })
}

async fn read_archive(prefix: &mut Prefix) -> Result<Contents> {
    let archive = Part::new(prefix.source.clone(), std::mem::take(&mut prefix.bytes), 0);
    let directory = Directory::read(&archive, prefix.len).await?;
    let unsupported = |what: String| Error::unsupported_model(format!("{}: {what}; {AGAIN}", prefix.name));
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

    let named = pickle::state_dict(&prefix.name, &pickle)?;
    let find = |storage: &Storage| {
        let (index, record) = find(format!("{folder}data/{}", storage.key))?;
        Some((index, Place::Record(record)))
    };
    let (tensors, placed) = place(&prefix.name, named, directory.records.len(), &find)?;
    prefix.source = Rc::new(Views::new(archive, directory, placed));
    Ok(Contents { metadata: Metadata::default(), tensors, data_start: 0 })
}

/// Finds a storage: which it is in the file's order, and where it lies.
type Find<'a> = &'a dyn Fn(&Storage) -> Option<(usize, Place)>;
/// Tensors as they are read, and what they are read from.
type Placed = (Vec<TensorInfo>, Vec<(u64, View)>);

/// Each of the `count` storages' tensors, as the storages lie in the file, so that it is read from front to back.
fn place(file: &str, named: Vec<(&str, Tensor)>, count: usize, find: Find) -> Result<Placed> {
    let mut views: Vec<Vec<(TensorInfo, View)>> = (0..count).map(|_| vec![]).collect();
    for (name, tensor) in named {
        let dtype = match tensor.storage.class {
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            // Buffers beside the weights (position ids, counts of batches): no graph asks for them.
            "DoubleStorage" | "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage"
            | "BoolStorage" => continue,
            other => {
                return Err(Error::unsupported_model(format!(
                    "{file}: tensor {} is a {}, which Vitrine does not compute; take the model in F32, F16 or BF16",
                    shown(name),
                    shown(other)
                )));
            }
        };
        let storage = find(&tensor.storage);
        let (shape, view) = view(file, name, dtype, &tensor, storage.map(|(_, place)| place))?;
        if let Some(own) = storage.and_then(|(index, _)| views.get_mut(index)) {
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
    Ok((tensors, placed))
}

/// What stands before `data.pkl` in a record's name, its slash included.
fn folder_of(record: &str) -> Option<&str> {
    record.strip_suffix(PICKLE).filter(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// A tensor checked against its storage, and the storage against its record.
fn view(file: &str, name: &str, dtype: DType, tensor: &Tensor, place: Option<Place>) -> Result<(Vec<usize>, View)> {
    let at = || format!("{file}: tensor {} {:?}", shown(name), tensor.shape);
    let bad = |what: &str| Error::corrupt_file(format!("{}: {what}; the file is damaged, so fetch it again", at()));
    if tensor.shape.len() > MOST_DIMENSIONS {
        return Err(bad(&format!("more than {MOST_DIMENSIONS} dimensions")));
    }
    let key = shown(tensor.storage.key);
    let Some(place) = place else { return Err(bad(&format!("its storage {key} is missing"))) };
    let element = dtype.block_bytes() as u64;
    let numel = tensor.storage.numel;
    if numel.checked_mul(element).is_none_or(|bytes| bytes > place.bytes()) {
        return Err(bad(&format!(
            "its storage {key} claims {numel} numbers, and its record has {} bytes",
            place.bytes()
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
    Ok((shape, View { place, name: key.into(), element, offset: tensor.offset, sides, bytes }))
}
