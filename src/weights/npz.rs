//! NumPy's archives (`.npz`): a ZIP of arrays in its own format (`numpy/lib/format.py`, versions 1 to 3), stored as they are or deflated.
//!
//! Small models were published so. The arrays are read whole when a file is opened, since what is deflated cannot be read by ranges, and doubles and columns
//! that come first are turned on the way; they are then served from memory. Whole numbers are counts beside the weights, which no graph asks for.

use std::rc::Rc;

use super::{
    archive::Directory,
    contents::{Contents, MOST_DIMENSIONS, Part, Prefix, TensorInfo, shown},
    metadata::Metadata,
    source::MemorySource,
};
use crate::{Error, Result, graph::DType};

/// Bytes of all arrays at most: they stand in memory while they load.
const MOST: u64 = 256 << 20;
const MAGIC: &[u8] = b"\x93NUMPY";
const END: &str = ".npy";

/// Whether a file begins as an archive whose first record is an array.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let name = || {
        let length = bytes.get(26..28)?;
        bytes.get(30..30 + usize::from(u16::from_le_bytes([length[0], length[1]])))
    };
    bytes.starts_with(b"PK\x03\x04") && name().is_some_and(|name| name.ends_with(END.as_bytes()))
}

/// An array's numbers, as its header describes them.
struct Array<'a> {
    /// NumPy's word for their type: `<f4`.
    kind: &'a str,
    /// Whether the first of its sides is the one whose neighbours lie together.
    columns_first: bool,
    shape: Vec<usize>,
    numbers: &'a [u8],
}

impl<'a> Array<'a> {
    /// `None` where the header makes no sense.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (&[version, _], rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = match version {
            1 => rest.split_first_chunk::<2>().map(|(length, rest)| (u16::from_le_bytes(*length) as usize, rest))?,
            2 | 3 => {
                rest.split_first_chunk::<4>().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest))?
            }
            _ => return None,
        };
        let (header, numbers) = rest.split_at_checked(length)?;
        let header = std::str::from_utf8(header).ok()?;
        let value = |key: &str| Some(header.split_once(&format!("'{key}':"))?.1.trim_start());
        let kind = value("descr")?;
        // One that is no word lists the fields of records.
        let kind = kind.strip_prefix('\'').and_then(|word| word.split('\'').next()).unwrap_or("a record");
        let columns_first = value("fortran_order")?.starts_with("True");
        let sides = value("shape")?.strip_prefix('(')?.split(')').next()?;
        let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>()?;
        Some(Self { kind, columns_first, shape, numbers })
    }

    /// Where the number stands that is the `at`th with rows first.
    fn place(&self, mut at: usize) -> usize {
        if !self.columns_first {
            return at;
        }
        let mut stride = self.shape.iter().product::<usize>();
        let mut place = 0;
        for side in self.shape.iter().rev() {
            stride /= side;
            place += at % side * stride;
            at /= side;
        }
        place
    }

    /// `N` bytes each, rows first, as `narrowed` has them.
    fn gathered<const N: usize, const M: usize>(&self, narrowed: impl Fn([u8; N]) -> [u8; M], out: &mut Vec<u8>) {
        let (numbers, _) = self.numbers.as_chunks::<N>();
        out.extend((0..numbers.len()).flat_map(|at| narrowed(numbers.get(self.place(at)).copied().unwrap_or([0; N]))));
    }
}

/// Reads all arrays, and puts them in the place of the file.
///
/// Errors: `corrupt-file` where something does not add up, with the record; `unsupported-model` for objects and records, which only a pickle or a program could
/// explain, for complex numbers and those of big-endian machines, and for more than fit into memory beside the model.
pub(super) async fn read(prefix: &mut Prefix) -> Result<Contents> {
    let archive = Part::new(prefix.source.clone(), std::mem::take(&mut prefix.bytes), 0);
    let directory = Directory::read(&archive, prefix.len).await?;
    let claimed = directory.records.iter().fold(0u64, |sum, (_, record)| sum.saturating_add(record.bytes));
    if claimed > MOST {
        return Err(Error::unsupported_model(format!(
            "{}: its arrays claim {} MiB, and {} are read of such an archive; save them as safetensors",
            prefix.name,
            claimed >> 20,
            MOST >> 20
        )));
    }
    let (mut tensors, mut all) = (vec![], vec![]);
    for (record_name, record) in &directory.records {
        let Some(name) = record_name.strip_suffix(END) else { continue };
        let bytes = directory.unpacked(&archive, record_name, *record).await?;
        let at = || format!("{}: array {}", prefix.name, shown(name));
        let bad = |what: &str| Error::corrupt_file(format!("{}: {what}; the file is damaged, so fetch it again", at()));
        let array = Array::read(&bytes).ok_or_else(|| bad("its header makes no sense"))?;
        let (element, dtype) = match array.kind {
            "<f2" => (2, DType::F16),
            "<f4" => (4, DType::F32),
            "<f8" => (8, DType::F32),
            kind if ["i", "u", "b"].contains(&kind.get(1..2).unwrap_or_default()) => continue,
            other => {
                return Err(Error::unsupported_model(format!(
                    "{} holds numbers of the kind {:?}, which Vitrine does not read; save it as float32",
                    at(),
                    shown(other)
                )));
            }
        };
        let count = array.shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
        if count.and_then(|count| count.checked_mul(element)) != Some(array.numbers.len()) {
            let what =
                format!("{:?} numbers of {element} bytes are not the {} that it has", array.shape, array.numbers.len());
            return Err(bad(&what));
        }
        if array.shape.len() > MOST_DIMENSIONS {
            return Err(bad(&format!("more than {MOST_DIMENSIONS} dimensions")));
        }
        let offset = all.len() as u64;
        match element {
            2 => array.gathered::<2, 2>(|number| number, &mut all),
            4 => array.gathered::<4, 4>(|number| number, &mut all),
            _ => array.gathered(|number| (f64::from_le_bytes(number) as f32).to_le_bytes(), &mut all),
        }
        let bytes = all.len() as u64 - offset;
        tensors.push(TensorInfo { name: name.into(), dtype, shape: array.shape, part: 0, offset, bytes });
    }
    prefix.source.finish().await?;
    prefix.source = Rc::new(MemorySource::new(prefix.name.clone(), all));
    Ok(Contents { metadata: Metadata::default(), tensors, data_start: 0 })
}
