//! A walk through a GGUF header that trusts nothing: every count, length and number is checked against what is left
//! of the file before anything is built from it. What passes is safe to give to candle's reader.

use std::collections::HashSet;

use super::super::contents::shown;
use crate::{Error, graph::DType};

/// Why a walk stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The header goes on at least to this byte of the file, further than what was read.
    Need(u64),
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

/// A header that adds up.
#[derive(Debug)]
pub(super) struct Outline {
    /// Where the metadata ends and the list of tensors begins.
    pub metadata_len: usize,
    pub tensors: Vec<Outlined>,
    /// Where the tensors' bytes begin.
    pub data_start: u64,
}

/// A tensor as the header names it.
#[derive(Debug)]
pub(super) struct Outlined {
    pub name: String,
    pub dtype: DType,
    /// The longest stride first.
    pub shape: Vec<usize>,
    /// From the start of the data.
    pub offset: u64,
}

/// Values that a header may hold in all its lists together. candle keeps each in 32 bytes, so this bounds the memory
/// that a header of single bytes can claim to 256 MiB; the largest vocabularies in use have a tenth of it.
const MOST_VALUES: u64 = 8 << 20;
const DEEPEST_LIST: usize = 8;
const MOST_DIMENSIONS: u32 = 4;
/// A tensor's side: a number of this size fits `usize` on wasm32.
const LONGEST_SIDE: u64 = i32::MAX as u64;
/// A tensor's values.
const MOST_ELEMENTS: u64 = 1 << 40;

/// The list whose length is the vocabulary's.
const TOKENS: &str = "tokenizer.ggml.tokens";

struct Walk<'a> {
    file: &'a str,
    bytes: &'a [u8],
    len: u64,
    at: usize,
    values: u64,
    seen: HashSet<String>,
    alignment: u64,
    /// How many tokens the vocabulary has, once its list has begun.
    tokens: Option<u64>,
}

type Step<T> = std::result::Result<T, Stop>;

/// Goes through the header at the start of `bytes`, the first part of a file of `len` bytes.
pub(super) fn walk(file: &str, bytes: &[u8], len: u64) -> Step<Outline> {
    let (mut w, tensors, pairs) = begin(file, bytes, len)?;
    for _ in 0..pairs {
        w.entry()?;
    }
    w.seen.clear();
    let (metadata_len, mut outlined) = (w.at, vec![]);
    for _ in 0..tensors {
        let (at, name) = (w.at, w.name("a tensor's name")?);
        let (dtype, shape, offset) = w.tensor(&shown(&name), w.alignment)?;
        if !w.seen.insert(name.clone()) {
            return Err(w.bad(at, format!("the tensor {} stands there a second time", shown(&name))));
        }
        outlined.push(Outlined { name, dtype, shape, offset });
    }
    let data_start = (w.at as u64).next_multiple_of(w.alignment);
    Ok(Outline { metadata_len, tensors: outlined, data_start })
}

/// The metadata entries of a header that lie wholly in what was read of it.
#[derive(Debug)]
pub(super) struct Entries {
    /// Where the last of them ends.
    pub end: usize,
    pub count: u64,
    /// Whether there are no others.
    pub all: bool,
    /// How many tokens the vocabulary has, if only its list has begun.
    pub tokens: Option<u64>,
}

/// Goes through the metadata as far as `bytes` hold it.
pub(super) fn entries(file: &str, bytes: &[u8], len: u64) -> Step<Entries> {
    let (mut w, _, pairs) = begin(file, bytes, len)?;
    let mut end = w.at;
    for count in 0..pairs {
        match w.entry() {
            Ok(()) => end = w.at,
            Err(Stop::Need(_)) => return Ok(Entries { end, count, all: false, tokens: w.tokens }),
            Err(bad) => return Err(bad),
        }
    }
    Ok(Entries { end, count: pairs, all: true, tokens: w.tokens })
}

/// Stands before the metadata, of which there are as many entries as the last number says; the one before it counts the tensors.
fn begin<'a>(file: &'a str, bytes: &'a [u8], len: u64) -> Step<(Walk<'a>, u64, u64)> {
    let mut w = Walk { file, bytes, len, at: 4, values: 0, seen: HashSet::new(), alignment: 32, tokens: None };
    w.version()?;
    let tensors = w.u64("the number of tensors")?;
    let pairs = w.u64("the number of metadata entries")?;
    // The least that an entry takes: a name's length, then a type and a byte, or a rank, a type and an offset.
    w.fits(tensors, 8 + 4 + 4 + 8, "tensors")?;
    w.fits(pairs, 8 + 4 + 1, "metadata entries")?;
    Ok((w, tensors, pairs))
}

impl Walk<'_> {
    fn bad(&self, at: usize, what: impl std::fmt::Display) -> Stop {
        Stop::Bad(Error::corrupt_file(format!(
            "{}: at byte {at}: {what}; the file is damaged, so fetch or convert it again",
            self.file
        )))
    }

    fn take(&mut self, count: u64, what: &str) -> Step<&[u8]> {
        let end = (self.at as u64).checked_add(count).filter(|end| *end <= self.len);
        let Some(end) = end else {
            let left = self.len - self.at as u64;
            return Err(self.bad(self.at, format!("{what} takes {count} bytes, but the file ends after {left}")));
        };
        let start = self.at;
        match usize::try_from(end).ok().and_then(|end| Some((end, self.bytes.get(start..end)?))) {
            Some((end, taken)) => {
                self.at = end;
                Ok(taken)
            }
            None => Err(Stop::Need(end)),
        }
    }

    fn u32(&mut self, what: &str) -> Step<u32> {
        let mut number = [0; 4];
        number.copy_from_slice(self.take(4, what)?);
        Ok(u32::from_le_bytes(number))
    }

    fn u64(&mut self, what: &str) -> Step<u64> {
        let mut number = [0; 8];
        number.copy_from_slice(self.take(8, what)?);
        Ok(u64::from_le_bytes(number))
    }

    /// Whether `count` things of at least `least` bytes each can still be in the file.
    fn fits(&self, count: u64, least: u64, what: &str) -> Step<()> {
        let left = self.len - self.at as u64;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= left => Ok(()),
            _ => Err(self.bad(self.at, format!("{count} {what} are announced, but the file has {left} bytes left"))),
        }
    }

    /// A name as candle will read it: without trailing zeros, what is not UTF-8 replaced.
    fn name(&mut self, what: &str) -> Step<String> {
        let len = self.u64(what)?;
        let mut bytes = self.take(len, what)?;
        while let [head @ .., 0] = bytes {
            bytes = head;
        }
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn version(&mut self) -> Step<()> {
        let at = self.at;
        let version = self.u32("the version")?;
        match version {
            2 | 3 => Ok(()),
            1 => Err(Error::unsupported_model(format!(
                "{}: this is GGUF version 1; convert the model again, to version 3",
                self.file
            ))
            .into()),
            v if (1..=3).contains(&v.swap_bytes()) => Err(Error::unsupported_model(format!(
                "{}: this GGUF was written for big-endian machines; convert the model again, little-endian",
                self.file
            ))
            .into()),
            v if v <= 64 => Err(Error::unsupported_model(format!(
                "{}: this is GGUF version {v}, and Vitrine reads 2 and 3; look for a newer Vitrine",
                self.file
            ))
            .into()),
            v => Err(self.bad(at, format!("{v} is no version of GGUF"))),
        }
    }

    fn alignment(&mut self, kind: u32) -> Step<u64> {
        let at = self.at;
        let alignment = match kind {
            0 => self.take(1, "the alignment")?.first().copied().unwrap_or(0).into(),
            2 => {
                let mut number = [0; 2];
                number.copy_from_slice(self.take(2, "the alignment")?);
                u16::from_le_bytes(number).into()
            }
            4 => self.u32("the alignment")?,
            other => return Err(self.bad(at, format!("general.alignment is of type {other}, not an unsigned number"))),
        };
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(self.bad(at, format!("general.alignment is {alignment}, not a power of two up to 1048576")));
        }
        Ok(alignment.into())
    }

    /// A key and its value.
    fn entry(&mut self) -> Step<()> {
        let (at, key) = (self.at, self.name("a metadata key")?);
        let kind = self.u32("a metadata type")?;
        if key == "general.alignment" {
            self.alignment = self.alignment(kind)?;
        } else {
            self.value(kind, 0, &shown(&key))?;
        }
        if self.seen.contains(&key) {
            return Err(self.bad(at, format!("the metadata key {} stands there a second time", shown(&key))));
        }
        self.seen.insert(key);
        Ok(())
    }

    fn value(&mut self, kind: u32, depth: usize, key: &str) -> Step<()> {
        let at = self.at;
        match kind {
            7 => match self.take(1, key)? {
                [0 | 1] => {}
                other => {
                    let what = format!("{key} is {other:?}, neither false (0) nor true (1)");
                    return Err(self.bad(at, what));
                }
            },
            8 => {
                let len = self.u64(key)?;
                self.take(len, key)?;
            }
            9 => self.list(depth, key)?,
            _ => {
                let Some(size) = fixed_size(kind) else {
                    return Err(self.bad(at, format!("{key} has the unknown value type {kind}")));
                };
                self.take(size, key)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, depth: usize, key: &str) -> Step<()> {
        let at = self.at;
        let kind = self.u32(key)?;
        let count = self.u64(key)?;
        if depth >= DEEPEST_LIST {
            return Err(self.bad(at, format!("{key} is a list in more than {DEEPEST_LIST} lists")));
        }
        let least = match kind {
            8 => 8,
            9 => 12,
            _ => match fixed_size(kind) {
                Some(size) => size,
                None => return Err(self.bad(at, format!("{key} is a list of the unknown value type {kind}"))),
            },
        };
        self.fits(count, least, &format!("values of {key}"))?;
        if depth == 0 && key == TOKENS {
            self.tokens = Some(count);
        }
        self.values = self.values.saturating_add(count);
        if self.values > MOST_VALUES {
            return Err(self.bad(at, format!("{key} brings the values in lists to more than {MOST_VALUES}")));
        }
        match kind {
            7..=9 => (0..count).try_for_each(|_| self.value(kind, depth + 1, key)),
            _ => self.take(count * least, key).map(|_| ()),
        }
    }

    fn tensor(&mut self, name: &str, alignment: u64) -> Step<(DType, Vec<usize>, u64)> {
        let at = self.at;
        let rank = self.u32(name)?;
        if rank > MOST_DIMENSIONS {
            return Err(self.bad(at, format!("tensor {name} has {rank} dimensions, more than {MOST_DIMENSIONS}")));
        }
        let (mut elements, mut shape) = (1_u64, vec![]);
        for _ in 0..rank {
            let side = self.u64(name)?;
            elements = elements.saturating_mul(side);
            if side > LONGEST_SIDE || elements > MOST_ELEMENTS {
                return Err(self.bad(at, format!("tensor {name} has a side of {side}, too large to be")));
            }
            // The shortest stride comes first in a file. A side of this size is a count on every machine.
            shape.insert(0, side as usize);
        }
        let row = shape.last().copied().unwrap_or(1);
        let at = self.at;
        let kind = self.u32(name)?;
        let dtype = match known_type(kind) {
            Some(Ok(dtype)) => dtype,
            Some(Err(other)) => {
                return Err(Error::unsupported_model(format!(
                    "{}: tensor {name} is stored as {other}, which Vitrine does not compute; take the model in Q4_0, \
                     Q8_0, Q4_K_M, Q5_K_M, Q6_K or F16",
                    self.file
                ))
                .into());
            }
            None => return Err(self.bad(at, format!("tensor {name} has the unknown type {kind}"))),
        };
        if !row.is_multiple_of(dtype.block_size()) {
            return Err(self.bad(
                at,
                format!(
                    "tensor {name} has rows of {row} values, no whole number of {dtype} blocks of {}",
                    dtype.block_size()
                ),
            ));
        }
        let at = self.at;
        let offset = self.u64(name)?;
        if !offset.is_multiple_of(alignment) {
            return Err(self.bad(at, format!("tensor {name} lies at {offset}, no multiple of {alignment}")));
        }
        let bytes = (elements / dtype.block_size() as u64).saturating_mul(dtype.block_bytes() as u64);
        let data = (self.at as u64).saturating_add(offset);
        if data.saturating_add(bytes) > self.len {
            return Err(self.bad(
                at,
                format!(
                    "tensor {name} ({bytes} bytes at offset {offset} of the data) lies past the file's end at {}",
                    self.len
                ),
            ));
        }
        Ok((dtype, shape, offset))
    }
}

/// The bytes of a value that always takes as many.
fn fixed_size(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

/// ggml's tensor types by number: ours, or the name of one that we do not compute.
fn known_type(kind: u32) -> Option<Result<DType, &'static str>> {
    let other = match kind {
        4 => "Q4_2",
        5 => "Q4_3",
        9 => "Q8_1",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        34 => "TQ1_0",
        35 => "TQ2_0",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        40 => "NVFP4",
        _ => return DType::of_ggml(kind).map(Ok),
    };
    Some(Err(other))
}
