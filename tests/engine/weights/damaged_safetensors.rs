//! safetensors files that do not add up.

use vitrine::ErrorCode::{BadArgument, CorruptFile, UnsupportedModel};
use vitrine::graph::DType;
use vitrine::weights::{Format, WeightFile};

use super::{gguf_bytes::Gguf, memory, open, refusal, refused};

/// A file with this header and `data` bytes behind it.
pub fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend((0..data).map(|i| i as u8));
    bytes
}

/// Tensors `a` [2, 3] F32, `b` [4] F16, and `ids` of a type that no graph asks for.
pub const SMALL: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[4],"data_offsets":[24,32]},
    "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"ids":{"dtype":"I64","shape":[1],"data_offsets":[32,40]}}"#;

#[test]
fn a_sound_file_opens_with_its_tensors_and_the_json_beside_it() {
    let parts = vec![
        memory("tokenizer.json", *br#"{"model": {}}"#),
        memory("model.safetensors", file(SMALL, 40)),
        memory("config.json", *br#"{"model_type": "llama"}"#),
    ];
    let file = pollster::block_on(WeightFile::open_parts(parts)).unwrap();
    assert_eq!(file.format, Format::StateDict);
    assert_eq!(file.extras().collect::<Vec<_>>(), ["config.json", "tokenizer.json"]);
    assert_eq!(file.extra_json("config.json").unwrap().unwrap()["model_type"], "llama");
    let b = file.tensor("b").unwrap();
    assert_eq!((b.dtype, b.shape.as_slice(), b.bytes), (DType::F16, [4].as_slice(), 8));
    assert_eq!(pollster::block_on(file.read_tensor("b")).unwrap(), [24, 25, 26, 27, 28, 29, 30, 31]);
    assert!(!file.tensors.contains_key("ids"));
}

#[test]
fn a_tokenizer_alone_opens_as_json() {
    let file = open(*b"  {\"model\": {}}").unwrap();
    assert_eq!(file.format, Format::Json);
    assert!(file.extra_json("model.bin").unwrap().is_some());
    let file = open(*b"{\"model\": ").unwrap();
    assert_eq!(file.extra_json("model.bin").unwrap_err().code(), CorruptFile);
}

#[test]
fn a_truncated_safetensors_is_refused() {
    let whole = file(SMALL, 40);
    for len in 9..whole.len() - 8 {
        let error = refusal(&whole[..len]);
        assert_eq!(error.code(), CorruptFile, "cut to {len}: {error}");
    }
    refused(&whole[..whole.len() - 9], CorruptFile, &["tensor b", "past the file's end"]);
}

#[test]
fn an_impossible_header_length_is_refused() {
    for len in [1_u64 << 60, u64::MAX, 10_000] {
        let mut bytes = file(SMALL, 40);
        bytes[..8].copy_from_slice(&len.to_le_bytes());
        refused(bytes, CorruptFile, &["at byte 0", &len.to_string()]);
    }
}

#[test]
fn a_header_that_is_not_what_the_format_asks_for_is_refused() {
    refused(file("{]", 0), CorruptFile, &["at byte 8"]);
    refused(file(r#"{"a":7}"#, 0), CorruptFile, &["at byte 8"]);
    refused(file(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4), CorruptFile, &["at byte 8"]);
    refused(file(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4), CorruptFile, &["data_offsets"]);
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    refused(file(twice, 8), CorruptFile, &["tensor a", "twice"]);
    let mut bytes = file(SMALL, 40);
    bytes[12] = 0xff;
    refused(bytes, CorruptFile, &["at byte 12", "UTF-8"]);
    refused(file(&format!("{{\"a\":{}", "[".repeat(100_000)), 0), CorruptFile, &["at byte 8"]);
}

#[test]
fn impossible_tensors_are_refused_by_name() {
    let one = |dtype: &str, shape: &str, from: u64, to: u64| {
        file(&format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}}}"#), 16)
    };
    assert!(open(one("F32", "[2,2]", 0, 16)).is_ok());
    refused(one("F32", "[2,2]", 0, 12), CorruptFile, &["tensor a", "16 bytes", "0 to 12"]);
    refused(one("F32", "[2,2]", 16, 0), CorruptFile, &["tensor a"]);
    refused(one("F32", "[2,2]", 4, 20), CorruptFile, &["tensor a", "past the file's end"]);
    refused(one("F32", "[2,2]", u64::MAX - 16, u64::MAX), CorruptFile, &["tensor a"]);
    refused(one("F32", &format!("[{}]", 1_u64 << 60), 0, 1 << 62), CorruptFile, &["tensor a"]);
    refused(one("F32", "[2147483647,2147483647,2147483647]", 0, 16), CorruptFile, &["tensor a"]);
    refused(one("F8_E4M3", "[16]", 0, 16), UnsupportedModel, &["tensor a", "F8_E4M3", "F16"]);
    let shared = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(file(shared, 12), CorruptFile, &["tensors a and b", "share"]);
}

#[test]
fn files_of_different_models_are_not_taken_together() {
    let open = |parts| pollster::block_on(WeightFile::open_parts(parts)).err().map(|e| e.code());
    let safe = || memory("a.safetensors", file(SMALL, 40));
    assert_eq!(open(vec![safe(), memory("b.gguf", Gguf::small().bytes())]), Some(BadArgument));
    assert_eq!(open(vec![safe(), safe()]), Some(CorruptFile));
    let json = || memory("config.json", *b"{}");
    assert_eq!(open(vec![safe(), json(), json()]), Some(BadArgument));
}

#[test]
fn several_safetensors_files_make_one_model() {
    let second = r#"{"c":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}"#;
    let parts = vec![memory("1.safetensors", file(SMALL, 40)), memory("2.safetensors", file(second, 8))];
    let file = pollster::block_on(WeightFile::open_parts(parts)).unwrap();
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(pollster::block_on(file.read_tensor("c")).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
}
