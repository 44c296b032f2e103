//! NumPy's archives: arrays in each of the ways that they are stored, and those that do not add up.

use std::fs;

use pollster::block_on;
use vitrine::{
    ErrorCode::{self, CorruptFile, UnsupportedModel},
    graph::DType,
    weights::WeightFile,
};

use super::{
    memory, open, refused,
    torch_bytes::{Archive, Record},
};
use crate::common::fixture;

fn array(header: &str, numbers: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), numbers].concat()
}

fn described(kind: &str, columns_first: bool, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let order = if columns_first { "True" } else { "False" };
    array(&format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}\n"), numbers)
}

fn archive(arrays: &[(&str, Vec<u8>)]) -> Archive {
    let record = |(name, bytes): &(&str, Vec<u8>)| Record {
        name: format!("{name}.npy"),
        bytes: bytes.clone(),
        claimed: None,
        method: 0,
        flags: 0,
    };
    Archive { records: arrays.iter().map(record).collect(), wide: false, count: None, comment: vec![] }
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn arrays_are_read_with_rows_first_in_f32_or_f16() {
    let doubles: Vec<u8> = [1.0f64, 0.1, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let given = archive(&[
        ("rows", described("'<f4'", false, "(2, 3)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))),
        ("columns", described("'<f4'", true, "(2, 3)", &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]))),
        ("deep", described("'<f4'", true, "(2, 1, 2)", &floats(&[1.0, 3.0, 2.0, 4.0]))),
        ("doubles", described("'<f8'", false, "(3,)", &doubles)),
        ("halves", described("'<f2'", false, "(1,)", &[0x00, 0x3C])),
        ("one", described("'<f4'", false, "()", &floats(&[7.0]))),
        ("none", described("'<f4'", true, "(0, 3)", &[])),
        ("count", described("'<i8'", false, "()", &[0; 8])),
    ]);
    let file = open(given.bytes()).expect("arrays");
    let read = |name: &str| block_on(file.read_f32(name)).expect(name);
    assert_eq!(read("rows"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(read("columns"), read("rows"));
    assert_eq!(read("deep"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read("doubles"), [1.0, 0.1, -2.0]);
    assert!(read("halves") == [1.0] && file.tensors["halves"].dtype == DType::F16);
    assert!(read("one") == [7.0] && read("none").is_empty() && !file.tensors.contains_key("count"));
}

#[test]
fn an_array_that_contradicts_itself_is_refused_by_name() {
    let of = |bytes: Vec<u8>| archive(&[("w", bytes)]).bytes();
    let four = floats(&[1.0]);
    for (bytes, words) in [
        (described("'<f4'", false, "(2,)", &four), ["array w", "are not the 4 that it has"]),
        (described("'<f4'", false, "(18446744073709551615, 2)", &four), ["array w", "are not the 4"]),
        (described("'<f4'", false, "(99999999999999999999,)", &four), ["array w", "makes no sense"]),
        (described("'<f4'", false, "(1, -1)", &four), ["array w", "makes no sense"]),
        (described("'<f4'", false, "(1,1,1,1,1,1,1,1,1)", &four), ["array w", "8 dimensions"]),
        (array("{}", &four), ["array w", "makes no sense"]),
        (b"\x93NUMPY\x01\x00\xff\xff{}".to_vec(), ["array w", "makes no sense"]),
        (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), ["array w", "makes no sense"]),
    ] {
        refused(of(bytes), CorruptFile, &words);
    }
    for kind in ["'|O'", "[('a', '<f4')]", "'>f4'", "'<c8'", "'<U3'", "'é"] {
        refused(of(described(kind, false, "(1,)", &four)), UnsupportedModel, &["array w", "float32"]);
    }
    let mut packed = archive(&[("w", described("'<f4'", false, "(1,)", &four))]);
    packed.records[0].method = 8;
    refused(packed.bytes(), CorruptFile, &["w.npy", "does not unpack"]);
    packed.records[0].method = 9;
    refused(packed.bytes(), UnsupportedModel, &["w.npy", "numpy.savez"]);
    packed.records[0].method = 8;
    packed.records[0].claimed = Some(1 << 30);
    let error = open(packed.bytes()).err().expect("refused");
    assert!([CorruptFile, UnsupportedModel].contains(&error.code()), "{error}");
}

#[test]
fn a_damaged_archive_of_arrays_is_refused_or_read_and_never_a_crash() {
    let open = |bytes: &[u8]| block_on(WeightFile::open(memory("model.npz", bytes)));
    for name in ["model.npz", "deflated.npz"] {
        let whole = fs::read(fixture("texts/g2p").join(name)).expect("a file");
        assert_eq!(open(&whole).expect("arrays").tensors.len(), 12);
        for cut in (0..whole.len()).step_by(509) {
            let error = open(&whole[..cut]).err().expect("refused");
            assert!([ErrorCode::CorruptFile, UnsupportedModel].contains(&error.code()), "{cut}: {error}");
        }
        for (at, bit) in (0..whole.len()).step_by(211).chain(whole.len() - 900..whole.len()).zip((0..8).cycle()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if let Err(error) = open(&bytes) {
                assert!([CorruptFile, UnsupportedModel].contains(&error.code()), "{at}: {error}");
            }
        }
    }
}
