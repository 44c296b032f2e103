//! The ZIP archive (APPNOTE.TXT 6.3, with its 64-bit records) as `torch.save` and NumPy write it: records that are stored as they are, or of NumPy's
//! deflated (RFC 1951), and a directory at the end.
//!
//! The records' own headers carry no sizes, so the directory is what counts; a header is read for one thing alone, how far behind it the
//! bytes begin.

use std::ops::Range;

use super::contents::{Part, shown};
use crate::{Error, Result};

/// How much of the end is read at once: a directory of a thousand records and what stands behind it.
const TAIL: u64 = 256 << 10;
/// The largest directory that is read; one of a thousand records takes less than a hundredth of it.
const DIRECTORY_LIMIT: u64 = 64 << 20;
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const RECORD: [u8; 4] = *b"PK\x03\x04";
/// Of a record's header, before its name.
const RECORD_HEADER: u64 = 30;

/// A record: some bytes under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where its header begins.
    header: u64,
    /// As they lie in the file.
    packed: u64,
    pub bytes: u64,
    packing: Packing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Stored,
    Deflated,
    /// Otherwise, or encrypted.
    Other,
}

/// Checkpoints of Stable Diffusion have two thousand at the most.
const MOST_RECORDS: usize = 1 << 14;

/// The records of an archive, in its order.
#[derive(Debug)]
pub struct Directory {
    file: String,
    len: u64,
    pub records: Vec<(String, Record)>,
}

/// Numbers of the format, each checked against the end of `bytes`.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(front)
    }

    fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.take(len)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

impl Directory {
    /// That of a file without records.
    pub fn none(file: String, len: u64) -> Self {
        Self { file, len, records: vec![] }
    }

    /// Reads the directory, and nothing before it.
    ///
    /// Errors: `corrupt-file` where there is none at the end of the file, or one that does not add up; and what the source says.
    pub async fn read(source: &Part, len: u64) -> Result<Self> {
        let mut directory = Self { file: source.source.name(), len, records: vec![] };
        let start = len.saturating_sub(TAIL);
        let tail = source.read(start..len).await?;
        let (range, count) = directory.place(source, &tail, start).await?;
        let entries = match range.start.checked_sub(start).and_then(|from| usize::try_from(from).ok()) {
            Some(from) => tail.get(from..).and_then(|rest| rest.get(..(range.end - range.start) as usize)),
            None => None,
        };
        let fetched;
        let entries = match entries {
            Some(entries) => entries,
            None => {
                fetched = source.read(range).await?;
                &fetched
            }
        };
        directory.list(entries, count)?;
        Ok(directory)
    }

    #[cold]
    fn bad(&self, what: &str) -> Error {
        Error::corrupt_file(format!("{}: {what}; the file is damaged or cut short, so fetch it again", self.file))
    }

    /// Where the directory lies, and how many records it lists.
    async fn place(&self, source: &Part, tail: &[u8], start: u64) -> Result<(Range<u64>, u64)> {
        // The mark may stand in a record's bytes too; the true one's comment reaches to the end of the file.
        let end = (0..tail.len().saturating_sub(21)).rev().find(|at| {
            let comment = tail[*at..].get(20..22).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
            tail[*at..].starts_with(&END) && comment == Some(tail.len() - at - 22)
        });
        let Some(end) = end else {
            return Err(self.bad("the directory that should stand at the end of such an archive is missing"));
        };
        let mut fields = Fields { bytes: &tail[end + 10..] };
        let numbers = (|| Some((fields.number(2)?, fields.number(4)?, fields.number(4)?)))();
        let Some((mut count, mut bytes, mut first)) = numbers else {
            return Err(self.bad("the directory's end is cut"));
        };
        if count == 0xffff || bytes == 0xffff_ffff || first == 0xffff_ffff {
            let locator = end.checked_sub(20).and_then(|at| tail.get(at..end)).filter(|l| l.starts_with(&LOCATOR_64));
            let Some(at) = locator.and_then(|locator| Fields { bytes: &locator[8..] }.number(8)) else {
                return Err(self.bad("the directory's 64-bit locator is missing"));
            };
            let limit = start + end as u64;
            if at.checked_add(56).is_none_or(|end| end > limit) {
                return Err(self.bad(&format!("the directory's 64-bit end should stand at {at}, past its locator")));
            }
            let record = source.read(at..at + 56).await?;
            let mut fields = Fields { bytes: record.get(32..).unwrap_or_default() };
            let numbers = (|| Some((fields.number(8)?, fields.number(8)?, fields.number(8)?)))();
            (count, bytes, first) = numbers
                .filter(|_| record.starts_with(&END_64))
                .ok_or_else(|| self.bad(&format!("at byte {at}: this is not the directory's 64-bit end")))?;
        }
        let limit = start + end as u64;
        match first.checked_add(bytes) {
            Some(end) if end <= limit && bytes <= DIRECTORY_LIMIT => Ok((first..end, count)),
            _ => {
                Err(self
                    .bad(&format!("the directory claims {bytes} bytes from {first} on, and its end stands at {limit}")))
            }
        }
    }

    fn list(&mut self, entries: &[u8], count: u64) -> Result<()> {
        let mut fields = Fields { bytes: entries };
        for index in 0..count {
            let Some((name, record)) = entry(&mut fields) else {
                return Err(self.bad(&format!("entry {index} of the directory makes no sense")));
            };
            let name = String::from_utf8_lossy(name).into_owned();
            let end = record.header.checked_add(RECORD_HEADER).and_then(|at| at.checked_add(record.packed));
            if end.is_none_or(|end| end > self.len) {
                return Err(self.bad(&format!(
                    "record {} claims {} bytes behind {}, past the file's end at {}",
                    shown(&name),
                    record.packed,
                    record.header,
                    self.len
                )));
            }
            if self.place_of(&name).is_some() {
                return Err(self.bad(&format!("record {} stands in the directory twice", shown(&name))));
            }
            if self.records.len() == MOST_RECORDS {
                return Err(self.bad(&format!("more than {MOST_RECORDS} records are no model's")));
            }
            self.records.push((name, record));
        }
        Ok(())
    }

    /// Which of the records has this name.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.records.iter().position(|(other, _)| other == name)
    }

    /// Where a record's bytes begin: they lie behind its header, whose length only the header says.
    ///
    /// Errors: `unsupported-model` for a record that is compressed, `corrupt-file` where no header stands.
    pub async fn start_of(&self, source: &Part, name: &str, record: Record) -> Result<u64> {
        if record.packing != Packing::Stored {
            return Err(Error::unsupported_model(format!(
                "{}: record {} is compressed or encrypted, which torch.save never does; load the model with PyTorch and save it again",
                self.file,
                shown(name)
            )));
        }
        self.place_behind_header(source, name, record).await
    }

    async fn place_behind_header(&self, source: &Part, name: &str, record: Record) -> Result<u64> {
        let header = source.read(record.header..record.header + RECORD_HEADER).await?;
        let mut fields = Fields { bytes: header.get(26..).unwrap_or_default() };
        let lengths = fields.number(2).zip(fields.number(2)).filter(|_| header.starts_with(&RECORD));
        let Some((name_bytes, extra_bytes)) = lengths else {
            return Err(self.bad(&format!("at byte {}: no record {} begins here", record.header, shown(name))));
        };
        let start = record.header + RECORD_HEADER + name_bytes + extra_bytes;
        if start + record.packed > self.len {
            return Err(self.bad(&format!("record {} reaches past the file's end at {}", shown(name), self.len)));
        }
        Ok(start)
    }

    /// A whole record.
    pub async fn bytes_of(&self, source: &Part, name: &str, record: Record) -> Result<Vec<u8>> {
        let start = self.start_of(source, name, record).await?;
        source.read(start..start + record.bytes).await
    }

    /// A whole record that may be deflated. How large it claims to be has been looked at.
    ///
    /// Errors: `unsupported-model` for one that is packed otherwise, `corrupt-file` where it is not as large as it claims.
    pub async fn unpacked(&self, source: &Part, name: &str, record: Record) -> Result<Vec<u8>> {
        if record.packing == Packing::Other {
            return Err(Error::unsupported_model(format!(
                "{}: record {} is encrypted, or compressed in a way that NumPy has not; save it again with numpy.savez",
                self.file,
                shown(name)
            )));
        }
        let start = self.place_behind_header(source, name, record).await?;
        let packed = source.read(start..start + record.packed).await?;
        if record.packing == Packing::Stored {
            return Ok(packed);
        }
        let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, record.bytes as usize).ok();
        bytes.filter(|bytes| bytes.len() as u64 == record.bytes).ok_or_else(|| {
            self.bad(&format!("record {} does not unpack to the {} bytes that it claims", shown(name), record.bytes))
        })
    }
}

/// One entry of the directory.
fn entry<'a>(fields: &mut Fields<'a>) -> Option<(&'a [u8], Record)> {
    if fields.take(4)? != ENTRY {
        return None;
    }
    fields.take(4)?;
    let (flags, method) = (fields.number(2)?, fields.number(2)?);
    fields.take(8)?;
    let (mut packed, mut bytes) = (fields.number(4)?, fields.number(4)?);
    let (name, extra, comment) = (fields.number(2)?, fields.number(2)?, fields.number(2)?);
    fields.take(8)?;
    let mut header = fields.number(4)?;
    let name = fields.take(name as usize)?;
    let mut extra = Fields { bytes: fields.take(extra as usize)? };
    fields.take(comment as usize)?;
    // Numbers of 64 bits stand in the extra field, in this order, and only those that did not fit.
    while let (Some(id), Some(len)) = (extra.number(2), extra.number(2)) {
        let mut wide = Fields { bytes: extra.take(len as usize)? };
        for number in [&mut bytes, &mut packed, &mut header] {
            if id == 1 && *number == 0xffff_ffff {
                *number = wide.number(8)?;
            }
        }
    }
    let encrypted = flags & 1 != 0;
    let packing = match method {
        0 if !encrypted && packed == bytes => Packing::Stored,
        8 if !encrypted => Packing::Deflated,
        _ => Packing::Other,
    };
    Some((name, Record { header, packed, bytes, packing }))
}
