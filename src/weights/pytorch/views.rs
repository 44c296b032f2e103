//! An archive's tensors as if they stood row by row, one after another, in a file of their own.
//!
//! PyTorch saves views: where in a storage a tensor begins, and how far apart its neighbours are along each dimension. Those of
//! convolutions in `channels_last`, of transposed matrices and of tensors that share a storage are gathered here while they are
//! read, so that nobody behind this source knows of strides.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    rc::Rc,
};

use async_trait::async_trait;

use crate::{
    Error, Result,
    weights::{
        ByteSource,
        archive::{Directory, Record},
        contents::Part,
        past_the_end,
    },
};

/// What lies between rows that are far apart is read too, so they are gathered in spans of about this size.
const SPAN: u64 = 4 << 20;
/// The most that is read at once for rows that lie mixed: a page has not the memory for more, nor a model a tensor of that size.
const MOST_MIXED: u64 = 512 << 20;

/// Where a storage lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Record(Record),
    /// Behind a count of its numbers, at this byte of a file from before archives.
    Counted {
        at: u64,
        numel: u64,
        bytes: u64,
    },
}

impl Place {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Record(record) => record.bytes,
            Self::Counted { bytes, .. } => *bytes,
        }
    }
}

/// A tensor in a file.
#[derive(Debug, Clone)]
pub struct View {
    /// Its storage, and that one's name.
    pub place: Place,
    pub name: Rc<str>,
    /// Bytes of a number.
    pub element: u64,
    /// Numbers of the storage before its first.
    pub offset: u64,
    /// Its sides and the distances of neighbours along each, in numbers; sides of 1 are left out.
    pub sides: Vec<(u64, u64)>,
    /// Bytes in all.
    pub bytes: u64,
}

impl View {
    /// Bytes of one row: one step along the outermost side.
    fn row_bytes(&self) -> u64 {
        self.sides.iter().skip(1).map(|(side, _)| side).product::<u64>() * self.element
    }

    /// Numbers of the storage from the first to the last of `sides`.
    fn span(sides: &[(u64, u64)]) -> u64 {
        1 + sides.iter().map(|(side, stride)| (side - 1) * stride).sum::<u64>()
    }

    /// Whether its numbers follow each other in the storage.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.sides.iter().rev().all(|(side, stride)| {
            let fits = *stride == expected;
            expected *= side;
            fits
        })
    }

    /// Whether each row ends before the next begins, so that a few rows can be read without the others.
    fn has_rows_apart(&self) -> bool {
        self.sides.first().is_none_or(|(_, stride)| *stride >= Self::span(&self.sides[1..]))
    }

    /// Appends the numbers of `rows` rows, which begin at the front of `storage`, to `out`; `N`: [`element`](Self::element).
    fn gather<const N: usize>(&self, storage: &[u8], rows: u64, out: &mut Vec<u8>) {
        let (numbers, _) = storage.as_chunks::<N>();
        let Some(((side, stride), outer)) = self.sides.split_last() else { return };
        // The innermost side has a loop of its own; the others turn like the wheels of a counter.
        let (inner, lines) = if outer.is_empty() {
            (rows, 1)
        } else {
            (*side, rows * outer[1..].iter().map(|(side, _)| side).product::<u64>())
        };
        let mut counter = vec![0; outer.len()];
        for _ in 0..lines {
            let line: u64 = counter.iter().zip(outer).map(|(count, (_, stride))| count * stride).sum();
            for i in 0..inner {
                out.extend_from_slice(numbers.get((line + i * stride) as usize).unwrap_or(&[0; N]));
            }
            for (count, (side, _)) in counter.iter_mut().zip(outer).rev() {
                *count += 1;
                if *count < *side {
                    break;
                }
                *count = 0;
            }
        }
    }
}

/// The source that shows them.
pub struct Views {
    archive: Part,
    directory: Directory,
    /// In the order of their storages, each with the place at which it stands here.
    views: Vec<(u64, View)>,
    /// Where the bytes of the storage last read begin in the archive.
    found: Cell<Option<(Place, u64)>>,
    /// A tensor whose rows lie mixed, gathered: which one.
    gathered: RefCell<Option<(usize, Vec<u8>)>>,
}

impl Views {
    /// `views` with the places at which they are to stand, one behind another.
    pub fn new(archive: Part, directory: Directory, views: Vec<(u64, View)>) -> Self {
        Self { archive, directory, views, found: Cell::default(), gathered: RefCell::default() }
    }

    async fn storage(&self, view: &View) -> Result<u64> {
        if let Some((place, start)) = self.found.get()
            && place == view.place
        {
            return Ok(start);
        }
        let start = match view.place {
            Place::Record(record) => self.directory.start_of(&self.archive, &view.name, record).await?,
            Place::Counted { at, numel, .. } => {
                let count = self.archive.read(at..at + 8).await?;
                if count != numel.to_le_bytes() {
                    return Err(Error::corrupt_file(format!(
                        "{}: at byte {at}: storage {} should begin with a count of {numel} numbers; the file is damaged, so fetch it again",
                        self.name(),
                        view.name
                    )));
                }
                at + 8
            }
        };
        self.found.set(Some((view.place, start)));
        Ok(start)
    }

    /// Rows `first ..` of a view whose neighbours lie anywhere.
    async fn rows(&self, view: &View, rows: Range<u64>) -> Result<Vec<u8>> {
        let [(_, stride), row @ ..] = &view.sides[..] else {
            return Err(Error::internal("a number alone has no strides"));
        };
        let start = self.storage(view).await? + view.offset * view.element;
        let at_once = if view.has_rows_apart() { (SPAN / (stride * view.element).max(1)).max(1) } else { u64::MAX };
        let mut bytes = vec![];
        let mut first = rows.start;
        while first < rows.end {
            let count = at_once.min(rows.end - first);
            let from = start + first * stride * view.element;
            let span = ((count - 1) * stride + View::span(row)) * view.element;
            if span > MOST_MIXED {
                return Err(Error::unsupported_model(format!(
                    "{}: a tensor lies strewn over {span} bytes of storage {}; save the model again with each tensor made contiguous()",
                    self.name(),
                    view.name
                )));
            }
            let storage = self.archive.read(from..from + span).await?;
            bytes.reserve((count * view.row_bytes()) as usize);
            match view.element {
                2 => view.gather::<2>(&storage, count, &mut bytes),
                _ => view.gather::<4>(&storage, count, &mut bytes),
            }
            first += count;
        }
        Ok(bytes)
    }
}

#[async_trait(?Send)]
impl ByteSource for Views {
    fn name(&self) -> String {
        self.archive.source.name()
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.views.last().map_or(0, |(start, view)| start + view.bytes))
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(vec![]);
        }
        let index = self.views.partition_point(|(start, _)| *start <= range.start).wrapping_sub(1);
        let Some((start, view)) = self.views.get(index).filter(|(start, view)| range.end <= start + view.bytes) else {
            return Err(past_the_end(&self.name(), &range, self.len().await?));
        };
        let (from, to) = (range.start - start, range.end - start);
        if view.is_contiguous() {
            let first = self.storage(view).await? + view.offset * view.element;
            return self.archive.read(first + from..first + to).await;
        }
        if view.has_rows_apart() {
            let rows = from / view.row_bytes()..to.div_ceil(view.row_bytes());
            let skip = (from - rows.start * view.row_bytes()) as usize;
            let mut bytes = self.rows(view, rows).await?;
            bytes.drain(..skip);
            bytes.truncate((to - from) as usize);
            return Ok(bytes);
        }
        // Each row takes all of the storage, so it is gone through once for all of them.
        if self.gathered.borrow().as_ref().is_none_or(|(kept, _)| *kept != index) {
            self.gathered.take();
            let whole = self.rows(view, 0..view.sides[0].0).await?;
            self.gathered.replace(Some((index, whole)));
        }
        let gathered = self.gathered.borrow();
        let bytes = gathered.as_ref().and_then(|(_, whole)| whole.get(from as usize..to as usize));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::internal("a tensor was gathered by half"))
    }

    fn release(&self) {
        self.gathered.take();
        self.archive.source.release();
    }

    async fn finish(&self) -> Result<()> {
        self.gathered.take();
        self.archive.source.finish().await
    }
}
