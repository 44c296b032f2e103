//! How weights travel from a file to a device.

use std::{cell::RefCell, ops::Range, rc::Rc};

use async_trait::async_trait;
use vitrine::{
    Cancel, Error, ErrorCode, Result,
    graph::{DType, Graph, GraphBuilder, WeightId},
    weights::{ByteSource, MemorySource, RowSink, WeightFile},
};

use super::{
    gguf_bytes::{Gguf, Tensor},
    open, says,
    torch_bytes::{Archive, Word, dict},
};

/// Keeps what it is given.
#[derive(Default)]
struct Kept {
    rows: Vec<(u32, usize, Vec<u8>)>,
    settled: usize,
    cancel: Option<Cancel>,
}

#[async_trait(?Send)]
impl RowSink for Kept {
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        self.rows.push((weight.0, first_row, bytes.into()));
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        self.settled += 1;
        Ok(())
    }
}

fn graph(weights: &[(&str, &[usize], DType)]) -> Graph {
    let mut builder = GraphBuilder::new("test");
    for (name, shape, dtype) in weights {
        builder.weight(name, shape, *dtype).unwrap();
    }
    builder.finish()
}

fn stream(file: &WeightFile, graph: &Graph, kept: &mut Kept) -> (Result<()>, Vec<(u64, u64)>) {
    let mut reports = vec![];
    let cancel = kept.cancel.clone().unwrap_or_default();
    let result =
        pollster::block_on(file.stream(graph, kept, &mut |loaded, total| reports.push((loaded, total)), &cancel));
    (result, reports)
}

#[test]
fn weights_come_in_file_order_whatever_the_graphs_order() {
    let file = open(Gguf::small().bytes()).unwrap();
    let graph = graph(&[("b", &[3, 32], DType::Q8_0), ("a", &[2, 4], DType::F32)]);
    let mut kept = Kept::default();
    let (result, reports) = stream(&file, &graph, &mut kept);
    result.unwrap();
    assert_eq!(kept.rows.iter().map(|(w, row, b)| (*w, *row, b.len())).collect::<Vec<_>>(), [(1, 0, 32), (0, 0, 102)]);
    assert_eq!(reports, [(0, 134), (32, 134), (134, 134)]);
    assert!(kept.settled > 0);
}

/// A tensor `[rows, 1024]` F32 of 40 MiB and one row.
fn large() -> (Vec<u8>, Graph) {
    let rows = 10 * 1024 + 1;
    let bytes = Gguf::small().with(|g| {
        g.tensors = vec![Tensor { name: "w".into(), sides: vec![1024, rows as u64], kind: 0, offset: 0 }];
        g.data = (0..rows * 1024).flat_map(|i| (i as u32).to_le_bytes()).collect();
    });
    (bytes, graph(&[("w", &[rows, 1024], DType::F32)]))
}

#[test]
fn a_large_weight_comes_in_whole_rows_of_a_few_megabytes() {
    let (bytes, graph) = large();
    let data = bytes[bytes.len() - graph.weights[0].shape[0] * 4096..].to_vec();
    let file = open(bytes).unwrap();
    let mut kept = Kept::default();
    stream(&file, &graph, &mut kept).0.unwrap();
    let mut next = 0;
    for (_, row, piece) in &kept.rows {
        assert_eq!(*row, next);
        assert!(piece.len().is_multiple_of(4096) && piece.len() <= 8 << 20);
        next += piece.len() / 4096;
    }
    assert_eq!(next, graph.weights[0].shape[0]);
    assert!(kept.rows.len() >= 10);
    assert_eq!(kept.rows.iter().flat_map(|(_, _, b)| b).copied().collect::<Vec<u8>>(), data);
}

#[test]
fn a_stream_that_is_aborted_stops_after_the_piece_in_hand() {
    let (bytes, graph) = large();
    let file = open(bytes).unwrap();
    let mut kept = Kept { cancel: Some(Cancel::new()), ..Kept::default() };
    let (result, _) = stream(&file, &graph, &mut kept);
    assert_eq!(result.unwrap_err().code(), ErrorCode::Aborted);
    assert_eq!(kept.rows.len(), 1);
}

#[test]
fn a_missing_or_misshapen_weight_is_named_before_anything_is_loaded() {
    let file = open(Gguf::small().bytes()).unwrap();
    type Case<'a> = (&'a [(&'a str, &'a [usize], DType)], &'a [&'a str]);
    let cases: [Case; 3] = [
        (&[("a", &[2, 4], DType::F32), ("c", &[1], DType::F32)], &["tensor c"]),
        (&[("a", &[4, 2], DType::F32)], &["tensor a", "[2, 4]", "[4, 2]"]),
        (&[("b", &[3, 32], DType::F32)], &["tensor b", "Q8_0", "F32"]),
    ];
    for (weights, words) in cases {
        let mut kept = Kept::default();
        let error: Error = stream(&file, &graph(weights), &mut kept).0.unwrap_err();
        says(&error, ErrorCode::CorruptFile, words);
        assert!(kept.rows.is_empty());
    }
}

/// A source that notes what is read of it.
struct Watched {
    inner: MemorySource,
    reads: Rc<RefCell<Vec<Range<u64>>>>,
}

#[async_trait(?Send)]
impl ByteSource for Watched {
    fn name(&self) -> String {
        self.inner.name()
    }
    async fn len(&self) -> Result<u64> {
        self.inner.len().await
    }
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.reads.borrow_mut().push(range.clone());
        self.inner.read(range).await
    }
}

#[test]
fn a_source_is_read_from_front_to_back_and_each_byte_once() {
    let (bytes, graph) = large();
    let len = bytes.len() as u64;
    let reads = Rc::new(RefCell::new(vec![]));
    let source = Rc::new(Watched { inner: MemorySource::new("w", bytes), reads: reads.clone() });
    let file = pollster::block_on(WeightFile::open(source)).unwrap();
    assert!(reads.borrow().iter().map(|r| r.end).max() <= Some(1 << 20), "opening reads no more than the header");
    stream(&file, &graph, &mut Kept::default()).0.unwrap();
    let mut end = 0;
    for read in reads.borrow().iter() {
        assert_eq!(read.start, end);
        end = read.end;
    }
    assert_eq!(end, len);
}

#[test]
fn a_large_view_of_pytorchs_is_gathered_in_pieces_and_its_storage_read_once() {
    const ROWS: usize = 1500;
    const COLUMNS: usize = 2000;
    // A storage of 8 MiB as rows with a gap between them, and as columns; F16 whose number is its place in the storage.
    for (strides, kind) in [([2700, 1], "rows"), ([1, ROWS as i32], "columns")] {
        let storage: Vec<u8> = (0..ROWS * 2700).flat_map(|i| (i as u16).to_le_bytes()).collect();
        let class = Word::Storage("HalfStorage", "0", (ROWS * 2700) as i32);
        let pickle = dict(&[("w", Word::Tensor(&class, 9, &[ROWS as i32 - 1, COLUMNS as i32], &strides))]);
        let bytes = Archive::new(pickle, &[("0", &storage)]).bytes();
        let reads = Rc::<RefCell<Vec<Range<u64>>>>::default();
        let source = Watched { inner: MemorySource::new("w.bin", bytes), reads: reads.clone() };
        let file = pollster::block_on(WeightFile::open(Rc::new(source))).unwrap();
        reads.take();
        let mut kept = Kept::default();
        stream(&file, &graph(&[("w", &[ROWS - 1, COLUMNS], DType::F16)]), &mut kept).0.unwrap();
        assert!(kept.rows.len() > 1, "{kind}: {} pieces", kept.rows.len());
        let found: Vec<u8> = kept.rows.into_iter().flat_map(|(_, _, bytes)| bytes).collect();
        let place = |row: usize, column: usize| 9 + row * strides[0] as usize + column * strides[1] as usize;
        let wanted =
            (0..ROWS - 1).flat_map(|row| (0..COLUMNS).map(move |column| (place(row, column) as u16).to_le_bytes()));
        assert!(found.into_iter().eq(wanted.flatten()), "{kind}");
        let read: u64 = reads.take().iter().map(|range| range.end - range.start).sum();
        assert!(read < storage.len() as u64 + 1000, "{kind}: {read} bytes were read of {}", storage.len());
    }
}
