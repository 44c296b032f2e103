//! safetensors (<https://github.com/huggingface/safetensors>): a length, a JSON header, the tensors.
//!
//! The header is read here and not by the `safetensors` crate, which wants the whole file in memory and counts in
//! `usize`, too small for offsets on wasm32.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{
    contents::{Contents, MOST_DIMENSIONS, Prefix, TensorInfo, shown},
    gguf::{refuse_overlaps, size},
    metadata::Metadata,
    shared_rows::{self, Stored},
};
use crate::{Error, Result, graph::DType};

/// The format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

/// One tensor as the header describes it.
#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header, refused where a tensor stands in it twice.
#[derive(Debug)]
struct Header(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each tensor")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Header, M::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry = map.next_value()?;
                    if entries.contains_key(&name) {
                        return Err(serde::de::Error::custom(format!(
                            "the tensor {} stands there twice",
                            shown(&name)
                        )));
                    }
                    entries.insert(name, entry);
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads a header, as much of the file as that takes.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    let name = prefix.name.clone();
    let bad = |what: String| Error::corrupt_file(format!("{name}: {what}; the file is damaged, so fetch it again"));
    let Some(len) = prefix.bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)) else {
        return Err(bad("the file ends within its first eight bytes".into()));
    };
    let room = prefix.len.saturating_sub(8);
    if len > room || len > HEADER_LIMIT {
        return Err(bad(format!("at byte 0: the header claims {len} bytes, and the file has {room} left")));
    }
    let data_start = 8 + len;
    if (prefix.bytes.len() as u64) < data_start {
        prefix.grow(data_start).await?;
    }
    let header = prefix.bytes.get(8..data_start as usize).unwrap_or_default();
    let header = std::str::from_utf8(header)
        .map_err(|e| bad(format!("at byte {}: the header is not UTF-8", 8 + e.valid_up_to())).caused_by(e))?;
    let Header(entries) = serde_json::from_str(header)
        .map_err(|e| bad(format!("at byte 8: the header is not what the format asks for ({e})")).caused_by(e))?;

    let stored: Vec<Stored> = entries
        .iter()
        .filter_map(|(name, entry)| {
            let (start, end) = entry.data_offsets;
            let bytes = data_start.checked_add(start)?
                ..data_start.checked_add(end).filter(|at| *at <= prefix.len && start <= end)?;
            Some(Stored { name: name.clone(), kind: entry.dtype.clone(), shape: entry.shape.clone(), bytes })
        })
        .collect();
    if stored.len() == entries.len()
        && let Some(contents) = shared_rows::of(prefix, &stored)?
    {
        return Ok(contents);
    }
    let mut tensors = Vec::with_capacity(entries.len());
    for (tensor, entry) in entries {
        if entry.shape.len() > MOST_DIMENSIONS {
            let rank = entry.shape.len();
            return Err(bad(format!("tensor {} has {rank} dimensions, more than {MOST_DIMENSIONS}", shown(&tensor))));
        }
        let bad =
            |what: &str| bad(format!("tensor {} {:?} {}: {what}", shown(&tensor), entry.shape, shown(&entry.dtype)));
        let dtype = match entry.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            // Buffers that PyTorch saves beside the weights (position ids, masks): no graph asks for them.
            "BOOL" | "U8" | "I8" | "I16" | "U16" | "I32" | "U32" | "I64" | "U64" | "F64" => continue,
            other => {
                return Err(Error::unsupported_model(format!(
                    "{name}: tensor {} is stored as {}, which Vitrine does not compute; take the model in F32, F16 or \
                     BF16",
                    shown(&tensor),
                    shown(other)
                )));
            }
        };
        let shape = entry.shape.iter().map(|side| i32::try_from(*side).map(|s| s as usize));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>().map_err(|_| bad("a side is too large to be"))?;
        let bytes = size(dtype, &shape).ok_or_else(|| bad("its size is too large to be"))?;
        let (start, end) = entry.data_offsets;
        if end.checked_sub(start) != Some(bytes) {
            return Err(bad(&format!("its shape takes {bytes} bytes, but its offsets are {start} to {end}")));
        }
        if end > prefix.len - data_start {
            return Err(bad(&format!("its offsets {start} to {end} lie past the file's end at {}", prefix.len)));
        }
        tensors.push(TensorInfo { name: tensor.clone(), dtype, shape, part: 0, offset: data_start + start, bytes });
    }
    refuse_overlaps(&name, &mut tensors)?;
    Ok(Contents { metadata: Metadata::default(), tensors, data_start })
}
