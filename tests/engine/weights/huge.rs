//! Files of more than four gibibytes, whose middle is a hole: offsets are right on both sides of 2^31 and 2^32.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    rc::Rc,
};

use pollster::block_on;
use vitrine::{
    ErrorCode,
    weights::{PathSource, WeightFile},
};

use super::gguf_bytes::{Gguf, Tensor};

/// Where tensors of eight numbers begin, from the start of the data on, and what they hold.
const PLACES: [(u64, f32); 5] =
    [(0, 1.0), ((1 << 31) - 32, 2.0), (1 << 31, 3.0), ((1 << 32) - 32, 4.0), ((1 << 32) + (1 << 20), 5.0)];

/// Writes a header and the tensors behind it.
fn write(path: &Path, header: &[u8]) {
    let mut file = File::create(path).expect("a file");
    file.write_all(header).expect("a header");
    for (place, number) in PLACES {
        file.seek(SeekFrom::Start(header.len() as u64 + place)).expect("a place");
        let bytes: Vec<u8> = (0..8u8).flat_map(|i| (number + f32::from(i) / 16.0).to_le_bytes()).collect();
        file.write_all(&bytes).expect("numbers");
    }
}

fn check(path: &Path) {
    let open = || block_on(WeightFile::open(Rc::new(PathSource::open(path).expect("a file"))));
    let file = open().expect("weights");
    for (i, (place, number)) in PLACES.into_iter().enumerate() {
        let wanted: Vec<f32> = (0..8u8).map(|i| number + f32::from(i) / 16.0).collect();
        assert_eq!(block_on(file.read_f32(&format!("t{i}"))).expect("numbers"), wanted, "at {place}");
    }
    // Cut amid the last tensor.
    let len = std::fs::metadata(path).expect("a file").len();
    File::options().write(true).open(path).and_then(|file| file.set_len(len - 1)).expect("a cut file");
    let error = open().err().expect("refused");
    assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("t4"), "{error}");
}

#[test]
fn a_gguf_of_more_than_four_gibibytes_is_read_by_ranges() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.gguf");
    let tensor =
        |(i, (offset, _)): (usize, (u64, f32))| Tensor { name: format!("t{i}"), sides: vec![8], kind: 0, offset };
    let gguf = Gguf { tensors: PLACES.into_iter().enumerate().map(tensor).collect(), data: vec![], ..Gguf::small() };
    write(&path, &gguf.bytes());
    check(&path);
}

#[test]
fn a_safetensors_file_of_more_than_four_gibibytes_is_read_by_ranges() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.safetensors");
    let entry = |(i, (place, _)): (usize, (u64, f32))| {
        format!(r#""t{i}":{{"dtype":"F32","shape":[8],"data_offsets":[{place},{}]}}"#, place + 32)
    };
    let header = format!("{{{}}}", PLACES.into_iter().enumerate().map(entry).collect::<Vec<_>>().join(","));
    write(&path, &[(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat());
    check(&path);
}
