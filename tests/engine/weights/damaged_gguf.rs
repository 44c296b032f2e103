//! GGUFs that do not add up.

use vitrine::ErrorCode::{self, BadArgument, CorruptFile, UnsupportedModel};
use vitrine::weights::{Format, WeightFile};

use super::{
    gguf_bytes::{Gguf, Value, list, number, string, text},
    memory, open, refusal, refused,
};

const HUGE: u64 = 1 << 60;

#[test]
fn a_sound_file_opens_with_its_metadata_and_tensors() {
    let file = open(Gguf::small().bytes()).unwrap();
    assert_eq!(file.format, Format::Gguf);
    assert_eq!(file.metadata.require::<&str>("general.architecture").unwrap(), "llama");
    assert_eq!(file.metadata.require::<Vec<&str>>("tokenizer.ggml.tokens").unwrap(), ["a", "bc"]);
    assert!(file.metadata.require::<bool>("flag").unwrap());
    assert_eq!(file.tensor("a").unwrap().shape, [2, 4]);
    let values = pollster::block_on(file.read_f32("a")).unwrap();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(pollster::block_on(file.read_f32("b")).unwrap(), [1.0; 96]);
    assert_eq!(file.tensor("c").unwrap_err().code(), CorruptFile);
}

#[test]
fn a_truncated_gguf_is_refused_with_its_offset() {
    let whole = Gguf::small().bytes();
    for len in 0..whole.len() {
        let error = refusal(&whole[..len]);
        assert_eq!(error.code(), CorruptFile, "cut to {len}: {error}");
    }
    refused(&whole[..250], CorruptFile, &["model.bin", "at byte", "has 1 bytes left", "fetch"]);
    refused(&whole[..whole.len() - 1], CorruptFile, &["tensor b", "past the file's end"]);
}

#[test]
fn a_wrong_magic_is_refused_by_its_bytes() {
    refused(Gguf::small().with(|g| g.magic = *b"GGUX"), CorruptFile, &["at byte 0", "47 47 55 58"]);
    refused(*b"", CorruptFile, &["empty"]);
    refused(*b"\n<!DOCTYPE html><html>", CorruptFile, &["web page"]);
    // What begins as JSON does, and is no text.
    refused(*b"{\"a\":\x9c\xff", CorruptFile, &["at byte 5", "text"]);
    refused(*b"[\x00\xc3\x28.......", CorruptFile, &["at byte 2", "text"]);
    refused(*b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j", UnsupportedModel, &["pickle", "before 1.6", "GGUF"]);
    refused(*b"lmgg\x01\0\0\0........", UnsupportedModel, &["GGML"]);
    refused(*b"\x89PNG\r\n\x1a\n........", UnsupportedModel, &["PNG"]);
    refused(*b"\x1f\x8b\x08\0............", UnsupportedModel, &["gzip", "unpack"]);
    refused(*b"\x08\x08\x12\x07pytorch\x1a....", UnsupportedModel, &["ONNX"]);
    refused(*b"\x1c\0\0\0TFL3........", UnsupportedModel, &["TensorFlow Lite"]);
}

#[test]
fn other_versions_are_told_apart_from_damage() {
    refused(Gguf::small().with(|g| g.version = 1), UnsupportedModel, &["version 1"]);
    refused(Gguf::small().with(|g| g.version = 4), UnsupportedModel, &["version 4"]);
    refused(Gguf::small().with(|g| g.version = 3_u32.swap_bytes()), UnsupportedModel, &["big-endian"]);
    refused(Gguf::small().with(|g| g.version = u32::MAX), CorruptFile, &["version"]);
    assert!(open(Gguf::small().with(|g| g.version = 2)).is_ok());
}

#[test]
fn impossible_counts_are_refused_before_anything_is_built_from_them() {
    for count in [HUGE, u64::MAX, 1 << 40, 1_000] {
        let word = count.to_string();
        let with = |change: &dyn Fn(&mut Gguf)| Gguf::small().with(|g| change(g));
        refused(with(&|g| g.tensor_count = Some(count)), CorruptFile, &["at byte", &word, "tensors"]);
        refused(with(&|g| g.pair_count = Some(count)), CorruptFile, &["at byte", &word, "metadata"]);
        refused(with(&|g| g.pairs[2].1 = list(8, count, &[])), CorruptFile, &["at byte", &word, "tokens"]);
        refused(with(&|g| g.pairs[2].1 = list(0, count, &[])), CorruptFile, &["at byte", &word, "tokens"]);
        refused(with(&|g| g.pairs[2].1 = list(9, count, &[])), CorruptFile, &["at byte", &word, "tokens"]);
        refused(with(&|g| g.pairs[0].1 = Value(8, count.to_le_bytes().into())), CorruptFile, &["at byte", &word]);
    }
}

#[test]
fn impossible_tensors_are_refused_by_name() {
    let with = |change: &dyn Fn(&mut Gguf)| Gguf::small().with(|g| change(g));
    refused(with(&|g| g.tensors[1].sides = vec![32, HUGE]), CorruptFile, &["tensor b", &HUGE.to_string()]);
    refused(with(&|g| g.tensors[1].sides = vec![1 << 30; 4]), CorruptFile, &["tensor b"]);
    refused(with(&|g| g.tensors[1].sides = vec![1; 5]), CorruptFile, &["tensor b", "5 dimensions"]);
    refused(with(&|g| g.tensors[1].sides = vec![33, 3]), CorruptFile, &["tensor b", "33", "Q8_0", "32"]);
    refused(with(&|g| g.tensors[1].sides = vec![32, 4]), CorruptFile, &["tensor b", "past the file's end"]);
    refused(with(&|g| g.tensors[1].offset = 1 << 20), CorruptFile, &["tensor b", "past the file's end"]);
    refused(with(&|g| g.tensors[1].offset = HUGE), CorruptFile, &["tensor b", "past the file's end"]);
    refused(with(&|g| g.tensors[1].offset = u64::MAX - 31), CorruptFile, &["tensor b", "past the file's end"]);
    refused(with(&|g| g.tensors[1].offset = 33), CorruptFile, &["tensor b", "33", "multiple of 32"]);
    refused(with(&|g| g.tensors[1].offset = 0), CorruptFile, &["tensors", "a", "b", "share"]);
    refused(with(&|g| g.tensors[1].name = "a".into()), CorruptFile, &["tensor a", "second time"]);
    refused(with(&|g| g.tensors[1].name = "a\0".into()), CorruptFile, &["tensor a", "second time"]);
    refused(with(&|g| g.tensors[1].kind = 99), CorruptFile, &["tensor b", "99"]);
}

#[test]
fn an_unknown_quantisation_is_unsupported_by_its_name() {
    for (kind, name) in [(9, "Q8_1"), (16, "IQ2_XXS"), (21, "IQ3_S"), (40, "NVFP4"), (26, "I32"), (35, "TQ2_0")] {
        refused(Gguf::small().with(|g| g.tensors[1].kind = kind), UnsupportedModel, &["tensor b", name, "Q8_0"]);
    }
}

#[test]
fn impossible_metadata_is_refused_by_key() {
    let with = |change: &dyn Fn(&mut Gguf)| Gguf::small().with(|g| change(g));
    refused(with(&|g| g.pairs[1].1 = Value(77, vec![])), CorruptFile, &["block_count", "77"]);
    refused(with(&|g| g.pairs[2].1 = list(77, 1, &[0])), CorruptFile, &["tokens", "77"]);
    refused(with(&|g| g.pairs[5].1 = Value(7, vec![2])), CorruptFile, &["flag", "2"]);
    refused(with(&|g| g.pairs[1].0 = "flag".into()), CorruptFile, &["flag", "second time"]);
    let deep = (0..1_000).fold(list(4, 0, &[]).1, |inner, _| list(9, 1, &inner).1);
    refused(with(&|g| g.pairs[4].1 = Value(9, deep.clone())), CorruptFile, &["nested", "lists"]);
}

#[test]
fn an_alignment_that_cannot_be_is_refused() {
    for alignment in [0, 3, 33, u32::MAX, 1 << 31] {
        let bytes = Gguf::small().with(|g| g.pairs.push(("general.alignment".into(), number(alignment))));
        refused(bytes, CorruptFile, &["general.alignment", &alignment.to_string()]);
    }
    let bytes = Gguf::small().with(|g| g.pairs.push(("general.alignment\0".into(), number(0))));
    refused(bytes, CorruptFile, &["general.alignment"]);
    let bytes = Gguf::small().with(|g| g.pairs.push(("general.alignment".into(), text("32"))));
    refused(bytes, CorruptFile, &["general.alignment"]);
}

/// Laid out at multiples of `alignment`, which its metadata say so.
fn aligned(alignment: usize, said: Value) -> Gguf {
    let mut g = Gguf::small();
    g.pairs.push(("general.alignment".into(), said));
    g.alignment = alignment;
    let second = 32_usize.next_multiple_of(alignment);
    g.tensors[1].offset = second as u64;
    let tail = g.data.split_off(32);
    g.data.resize(second, 0);
    g.data.extend(tail);
    g
}

#[test]
fn tensors_are_found_at_whatever_alignment_a_file_says() {
    // The specification has U32; some writers take what is narrow enough.
    for (kind, bytes) in [(0, 1), (2, 2), (4, 4)] {
        for alignment in (0..=20).map(|shift| 1_usize << shift).filter(|alignment| alignment >> (8 * bytes) == 0) {
            let said = Value(kind, (alignment as u32).to_le_bytes()[..bytes].to_vec());
            let file = open(aligned(alignment, said).bytes()).unwrap_or_else(|error| panic!("{alignment}: {error}"));
            let read = |name: &str| pollster::block_on(file.read_f32(name)).unwrap();
            assert_eq!(read("a"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "{alignment}");
            assert_eq!(read("b"), [1.0; 96], "{alignment}");
        }
    }
}

#[test]
fn a_file_that_says_another_alignment_than_it_has_is_refused_by_its_tensor() {
    for (alignment, said) in [(8, 64), (32, 64), (32, 4096), (64, 128), (128, 1 << 20)] {
        let lies = format!("tensor b lies at {}, no multiple of {said}", 32_usize.next_multiple_of(alignment));
        refused(aligned(alignment, number(said)).bytes(), CorruptFile, &[&lies]);
    }
    // One that lies at the beginning does so at every alignment, but of another beginning.
    let alone = Gguf::small().with(|g| {
        g.pairs.push(("general.alignment".into(), number(4096)));
        g.tensors.truncate(1);
        g.data.truncate(32);
    });
    refused(alone, CorruptFile, &["tensor a", "past the file's end"]);
}

#[test]
fn lists_that_would_fill_the_memory_are_refused() {
    let count = 9 << 20;
    let bytes = Gguf::small().with(|g| g.pairs[2].1 = list(0, count, &vec![0; count as usize]));
    refused(bytes, CorruptFile, &["tokens", "more than"]);
}

#[test]
fn a_header_longer_than_the_first_read_is_read_on() {
    let tokens: Vec<u8> = (0..300_000).flat_map(|i| string(&format!("token {i}"))).collect();
    let bytes = Gguf::small().with(|g| g.pairs[2].1 = list(8, 300_000, &tokens));
    assert!(bytes.len() > 4 << 20);
    let file = open(bytes).unwrap();
    assert_eq!(file.metadata.require::<Vec<&str>>("tokenizer.ggml.tokens").unwrap()[299_999], "token 299999");
    assert_eq!(pollster::block_on(file.read_f32("b")).unwrap(), [1.0; 96]);
}

fn part(number: u32, count: u32, tensor: &str) -> Vec<u8> {
    Gguf::small().with(|g| {
        g.pairs.push(("split.no".into(), Value(2, (number as u16).to_le_bytes().into())));
        g.pairs.push(("split.count".into(), Value(2, (count as u16).to_le_bytes().into())));
        g.tensors.remove(0);
        g.tensors[0].name = tensor.into();
    })
}

fn open_parts(parts: &[Vec<u8>]) -> Result<WeightFile, (ErrorCode, String)> {
    let sources = parts.iter().enumerate().map(|(i, p)| memory(&format!("part {i}"), p.clone())).collect();
    pollster::block_on(WeightFile::open_parts(sources)).map_err(|e| (e.code(), e.to_string()))
}

#[test]
fn the_parts_of_a_split_file_open_in_any_order() {
    let parts = [part(0, 3, "x"), part(1, 3, "y"), part(2, 3, "z")];
    let file = open_parts(&[parts[2].clone(), parts[0].clone(), parts[1].clone()]).unwrap();
    assert_eq!(file.part_names().collect::<Vec<_>>(), ["part 1", "part 2", "part 0"]);
    assert_eq!(file.tensor("z").unwrap().part, 2);
    assert_eq!(pollster::block_on(file.read_f32("z")).unwrap(), [1.0; 96]);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let parts = [part(0, 3, "x"), part(1, 3, "y"), part(2, 3, "z")];
    let refused = |given: &[Vec<u8>], code, word: &str| {
        let Err((found, sentence)) = open_parts(given) else { panic!("opened") };
        assert_eq!(found, code, "{sentence}");
        assert!(sentence.contains(word), "{sentence:?} does not say {word:?}");
    };
    refused(&parts[..1], BadArgument, "all 3 parts");
    refused(&parts[..2], BadArgument, "all 3 parts");
    refused(&[parts[0].clone(), parts[1].clone(), parts[1].clone()], BadArgument, "part 2 where part 3");
    refused(&[parts[0].clone(), parts[1].clone(), part(2, 3, "y")], CorruptFile, "tensor y");
    refused(&[Gguf::small().bytes(), Gguf::small().bytes()], BadArgument, "whole model");
    refused(&[], BadArgument, "no file");
}
