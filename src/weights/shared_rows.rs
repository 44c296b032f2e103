//! A table of tokens as model2vec shrinks it: rows that tokens share (`mapping`), a factor for each token (`weights`), numbers of eight bits. Read as if
//! each token had a row of its own in F32.
//!
//! The stored table stands in memory from the first read on; the rows that come of it are made while they are read.

use std::{cell::RefCell, ops::Range, rc::Rc};

use async_trait::async_trait;

use super::{
    contents::{Contents, Part, Prefix, TensorInfo, shown},
    metadata::Metadata,
    source::{ByteSource, past_the_end},
};
use crate::{Error, Result, graph::DType};

/// What the table is called, by model2vec and by sentence-transformers.
const TABLES: [&str; 2] = ["embeddings", "embedding.weight"];
/// Numbers of a stored table at most.
const MOST: u64 = 1 << 28;

/// A tensor of any type in a safetensors file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub name: String,
    /// As the format spells it.
    pub kind: String,
    pub shape: Vec<u64>,
    pub bytes: Range<u64>,
}

impl Stored {
    /// Its numbers, each as `f64`; whole ones up to 2^53 are exact.
    async fn read(&self, file: &Part) -> Result<Vec<f64>> {
        let bytes = file.read(self.bytes.clone()).await?;
        let all = |width: usize, number: fn(&[u8]) -> f64| bytes.chunks_exact(width).map(number).collect();
        Ok(match self.kind.as_str() {
            "I8" => bytes.iter().map(|byte| f64::from(*byte as i8)).collect(),
            "F16" => all(2, |b| half::f16::from_le_bytes([b[0], b[1]]).to_f64()),
            "F32" => all(4, |b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            "I32" => all(4, |b| f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            "F64" => all(8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
            _ => all(8, |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f64),
        })
    }
}

/// The table as it is stored, and which row and factor is each token's.
struct Table {
    rows: Vec<f32>,
    tokens: Vec<(u32, f32)>,
}

/// A file in which each token has a row.
struct SharedRows {
    file: Part,
    table: Stored,
    mapping: Option<Stored>,
    weights: Option<Stored>,
    tokens: usize,
    width: usize,
    read: RefCell<Option<Rc<Table>>>,
}

impl SharedRows {
    async fn table(&self) -> Result<Rc<Table>> {
        if let Some(table) = &*self.read.borrow() {
            return Ok(table.clone());
        }
        let rows: Vec<f32> = self.table.read(&self.file).await?.into_iter().map(|number| number as f32).collect();
        let count = rows.len() / self.width;
        let places: Vec<f64> = match &self.mapping {
            Some(mapping) => mapping.read(&self.file).await?,
            None => (0..count).map(|row| row as f64).collect(),
        };
        let factors = match &self.weights {
            Some(weights) => weights.read(&self.file).await?,
            None => vec![1.0; places.len()],
        };
        if let Some(wrong) = places.iter().find(|place| !(0.0..count as f64).contains(*place)) {
            return Err(Error::corrupt_file(format!(
                "{}: mapping gives a token the row {wrong}, and {} has {count}; the file is damaged, so fetch it again",
                self.file.source.name(),
                shown(&self.table.name)
            )));
        }
        let tokens = places.into_iter().zip(factors).map(|(place, factor)| (place as u32, factor as f32)).collect();
        let table = Rc::new(Table { rows, tokens });
        *self.read.borrow_mut() = Some(table.clone());
        Ok(table)
    }

    fn bytes(&self) -> u64 {
        self.tokens as u64 * self.width as u64 * 4
    }
}

#[async_trait(?Send)]
impl ByteSource for SharedRows {
    fn name(&self) -> String {
        self.file.source.name()
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.bytes())
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        if range.start > range.end || range.end > self.bytes() {
            return Err(past_the_end(&self.name(), &range, self.bytes()));
        }
        let table = self.table().await?;
        let (first, last) = ((range.start / 4) as usize, range.end.div_ceil(4) as usize);
        let number = |at: usize| {
            let (row, factor) = table.tokens.get(at / self.width).copied().unwrap_or_default();
            table.rows.get(row as usize * self.width + at % self.width).map_or(0.0, |number| number * factor)
        };
        let mut bytes: Vec<u8> = (first..last).flat_map(|at| number(at).to_le_bytes()).collect();
        bytes.drain(..(range.start % 4) as usize);
        bytes.truncate((range.end - range.start) as usize);
        Ok(bytes)
    }

    fn release(&self) {
        self.file.source.release();
    }

    async fn finish(&self) -> Result<()> {
        self.file.source.finish().await
    }
}

/// Puts the tokens' own rows in the place of a file that holds such a table and nothing else; `None` where it does not.
///
/// Errors: `corrupt-file` where the parts do not fit.
pub(super) fn of(prefix: &mut Prefix, stored: &[Stored]) -> Result<Option<Contents>> {
    let find = |name: &str| stored.iter().find(|tensor| tensor.name == name).cloned();
    let (mapping, weights) = (find("mapping"), find("weights"));
    let Some(table) = TABLES.into_iter().find_map(find) else { return Ok(None) };
    let parts = 1 + mapping.iter().len() + weights.iter().len();
    if parts != stored.len() || (parts == 1 && table.kind != "I8") {
        return Ok(None);
    }
    let bad =
        |what: String| Error::corrupt_file(format!("{}: {what}; the file is damaged, so fetch it again", prefix.name));
    let fits = |part: &Stored, kinds: &[&str], width: u64| {
        kinds.contains(&part.kind.as_str()) && part.bytes.end - part.bytes.start == width
    };
    let width_of = |kind: &str| match kind {
        "I8" => 1,
        "F16" => 2,
        "F32" | "I32" => 4,
        _ => 8,
    };
    let &[rows, width] = table.shape.as_slice() else {
        return Err(bad(format!("{} is {:?} and no table", shown(&table.name), table.shape)));
    };
    let numbers = rows.checked_mul(width).filter(|numbers| *numbers <= MOST && width > 0);
    let whole =
        numbers.is_some_and(|numbers| fits(&table, &["I8", "F16", "F32", "F64"], numbers * width_of(&table.kind)));
    let tokens = mapping.as_ref().map_or(rows, |mapping| mapping.shape.first().copied().unwrap_or(0));
    let list = |part: &Option<Stored>, kinds: &[&str]| {
        part.as_ref().is_none_or(|part| {
            part.shape == [tokens] && tokens <= MOST && fits(part, kinds, tokens * width_of(&part.kind))
        })
    };
    if !whole || !list(&mapping, &["I32", "I64"]) || !list(&weights, &["F16", "F32", "F64"]) {
        return Err(bad(format!(
            "{} {:?} with {tokens} tokens, their mapping and weights do not fit one another",
            shown(&table.name),
            table.shape
        )));
    }
    let (tokens, width) = (tokens as usize, width as usize);
    let info = TensorInfo {
        name: TABLES[0].into(),
        dtype: DType::F32,
        shape: vec![tokens, width],
        part: 0,
        offset: 0,
        bytes: tokens as u64 * width as u64 * 4,
    };
    let file = Part::new(prefix.source.clone(), std::mem::take(&mut prefix.bytes), 0);
    prefix.source = Rc::new(SharedRows { file, table, mapping, weights, tokens, width, read: RefCell::new(None) });
    Ok(Some(Contents { metadata: Metadata::default(), tensors: vec![info], data_start: 0 }))
}
