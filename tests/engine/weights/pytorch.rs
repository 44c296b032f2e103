//! PyTorch's own files: state dicts that torch saved (training/make_pytorch_fixtures.py), and archives that do not add up.

use std::{ops::Range, rc::Rc};

use async_trait::async_trait;
use pollster::block_on;
use vitrine::{
    ErrorCode::{CorruptFile, UnsupportedModel},
    Result,
    weights::{ByteSource, Format, SharedSource, WeightFile},
};

use super::{
    damaged_safetensors::file,
    memory, open, refusal, refused,
    torch_bytes::{Archive, Word, dict},
};
use crate::common::fixture;

/// What torch saved under this name.
fn saved(name: &str) -> SharedSource {
    memory(name, std::fs::read(fixture("pytorch").join(name)).expect("a fixture"))
}

fn open_saved(name: &str) -> WeightFile {
    block_on(WeightFile::open(saved(name))).expect(name)
}

/// Asserts that both hold the same tensors with the same bytes.
fn same(found: &WeightFile, wanted: &WeightFile) {
    assert_eq!(found.tensors.keys().collect::<Vec<_>>(), wanted.tensors.keys().collect::<Vec<_>>());
    for (name, tensor) in &wanted.tensors {
        let own = &found.tensors[name];
        assert_eq!((own.dtype, &own.shape, own.bytes), (tensor.dtype, &tensor.shape, tensor.bytes), "{name}");
        let bytes = |file: &WeightFile| block_on(file.read_tensor(name)).expect(name);
        assert_eq!(bytes(found), bytes(wanted), "{name}");
    }
}

#[test]
fn a_state_dict_holds_what_torch_put_in_whatever_view_each_tensor_is() {
    let found = open_saved("state.bin");
    assert_eq!(found.format, Format::StateDict);
    same(&found, &open_saved("expected.safetensors"));
    // Whole numbers, truth values and doubles are of no use to a graph.
    assert!(["position_ids", "running", "mask", "double"].iter().all(|name| !found.tensors.contains_key(*name)));
}

#[test]
fn a_checkpoint_of_a_training_gives_its_state_dict_and_none_of_its_objects() {
    same(&open_saved("training.ckpt"), &open_saved("expected.safetensors"));
}

#[test]
fn a_file_from_before_1_6_holds_the_same() {
    same(&open_saved("legacy.pt"), &open_saved("expected.safetensors"));
}

#[test]
fn a_file_from_before_1_6_that_is_cut_or_contradicts_itself_is_refused() {
    let whole = std::fs::read(fixture("pytorch").join("legacy.pt")).unwrap();
    for len in (22..whole.len()).step_by(7) {
        let error = refusal(&whole[..len]);
        assert_eq!(error.code(), CorruptFile, "cut to {len}: {error}");
        assert!(error.to_string().contains("fetch it again"), "cut to {len}: {error}");
    }
    let changed = |from: &[u8], to: &[u8]| {
        let mut bytes = whole.clone();
        let at = bytes.windows(from.len()).position(|part| part == from).expect("these bytes");
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    refused(changed(b"M\xe9\x03.", b"M\xe8\x03."), UnsupportedModel, &["another protocol than 1001"]);
    refused(changed(b"little_endianq\x02\x88", b"little_endianq\x02\x89"), UnsupportedModel, &["big-endian"]);
    refused(changed(b"FloatStorage", b"WhatsStorage"), UnsupportedModel, &["WhatsStorage"]);
    // The count before a storage is looked at when its tensor is read.
    let count = 24_u64.to_le_bytes();
    let mut wrong = whole.clone();
    let at = wrong.windows(8).rposition(|part| part == count).expect("a count");
    wrong[at] += 1;
    let file = open(wrong).unwrap();
    let refused =
        file.tensors.keys().filter_map(|name| block_on(file.read_tensor(name)).err()).next().expect("a refusal");
    assert!(refused.code() == CorruptFile && refused.to_string().contains(&format!("at byte {at}")), "{refused}");
}

#[test]
fn of_a_checkpoint_with_several_models_the_generator_is_taken() {
    let model = |name: &str| Word::Tensor(&Word::Storage("FloatStorage", "0", 2), 0, &[2], &[1]).named(name);
    let holds = |dicts: &[(&str, &str)]| {
        let mut pickle = b"\x80\x02}(".to_vec();
        for (key, tensor) in dicts {
            Word::Text(key).write(&mut pickle);
            pickle.extend(model(tensor));
        }
        pickle.extend(b"u.");
        open(Archive::new(pickle, &[("0", &[0; 8])]).bytes()).map(|file| file.tensors.keys().next().unwrap().clone())
    };
    assert_eq!(holds(&[("weights", "a")]).unwrap(), "a");
    assert_eq!(holds(&[("discriminator", "d"), ("generator", "g")]).unwrap(), "g");
    assert_eq!(holds(&[("D", "d"), ("G", "g"), ("G_ema", "e")]).unwrap(), "e");
    assert_eq!(holds(&[("model_state_dict", "m"), ("other", "o")]).unwrap(), "m");
    let error = holds(&[("a", "x"), ("b", "y")]).unwrap_err();
    assert!(error.code() == UnsupportedModel && error.to_string().contains("several models (a, b)"), "{error}");
}

#[test]
fn what_is_no_state_dict_is_refused_with_what_it_is() {
    for (name, words) in [
        ("legacy_module.pt", ["torch.nn.modules.linear.Linear", "save its state_dict() again"]),
        ("module.pt", ["torch.nn.modules.linear.Linear", "save its state_dict() again"]),
        ("script.pt", ["__torch__", "save its state_dict() again"]),
        ("expanded.pt", ["tensor weight [300, 400]", "contiguous()"]),
        ("complex.pt", ["ComplexFloatStorage", "F32, F16 or BF16"]),
    ] {
        let error = block_on(WeightFile::open(saved(name))).err().expect(name);
        assert_eq!(error.code(), UnsupportedModel, "{name}: {error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{name}: {error}");
    }
    refused(Archive { records: vec![], ..Archive::small() }.bytes(), CorruptFile, &["at byte 0"]);
    let mut office = Archive::small();
    office.records[0].name = "word/document.xml".into();
    refused(office.bytes(), UnsupportedModel, &["no data.pkl"]);
    refused(Archive::new(dict(&[("epoch", Word::Int(3))]), &[]).bytes(), UnsupportedModel, &["no tensor"]);
    refused(Archive::new(b"\x80\x02N.".to_vec(), &[]).bytes(), UnsupportedModel, &["no state dict"]);
}

#[test]
fn files_of_both_kinds_make_one_model() {
    let parts = [("a", "FloatStorage"), ("b", "HalfStorage")].map(|(name, class)| {
        let pickle = dict(&[(name, Word::Tensor(&Word::Storage(class, "0", 2), 0, &[2], &[1]))]);
        memory(&format!("{name}.bin"), Archive::new(pickle, &[("0", &[0; 8])]).bytes())
    });
    let header = r#"{"c":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut sources = parts.to_vec();
    sources.push(memory("c.safetensors", file(header, 4)));
    sources.push(memory("config.json", *b"{}"));
    let file = block_on(WeightFile::open_parts(sources)).unwrap();
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(block_on(file.read_tensor("b")).unwrap().len(), 4);

    let twice = [(); 2].map(|()| memory("a.bin", Archive::small().bytes()));
    let error = block_on(WeightFile::open_parts(twice.to_vec())).err().unwrap();
    assert!(error.code() == CorruptFile && error.to_string().contains("tensor a is in a.bin too"), "{error}");
}

#[test]
fn sizes_and_places_of_64_bits_are_read() {
    let narrow = open(Archive::small().bytes()).unwrap();
    let wide =
        open(Archive { wide: true, comment: b"PK\x05\x06 is no end".to_vec(), ..Archive::small() }.bytes()).unwrap();
    same(&wide, &narrow);
    assert_eq!(block_on(narrow.read_tensor("t")).unwrap(), [24, 25, 28, 29, 32, 33, 26, 27, 30, 31, 34, 35]);
}

#[test]
fn a_cut_archive_is_refused_with_the_advice_to_fetch_it_again() {
    for whole in [Archive::small().bytes(), Archive { wide: true, ..Archive::small() }.bytes()] {
        for len in 4..whole.len() {
            let error = refusal(&whole[..len]);
            assert_eq!(error.code(), CorruptFile, "cut to {len}: {error}");
            assert!(error.to_string().contains("fetch it again"), "cut to {len}: {error}");
        }
    }
}

#[test]
fn an_archive_that_contradicts_itself_is_refused_with_the_place() {
    let with = |change: &dyn Fn(&mut Archive)| {
        let mut archive = Archive::small();
        change(&mut archive);
        archive.bytes()
    };
    refused(with(&|a| a.records[2].claimed = Some(1 << 30)), CorruptFile, &["archive/data/0", "past the file's end"]);
    let huge = |a: &mut Archive| (a.wide, a.records[2].claimed) = (true, Some(u64::MAX - 8));
    refused(with(&huge), CorruptFile, &["archive/data/0", "past the file's end"]);
    refused(with(&|a| a.records[2].claimed = Some(20)), CorruptFile, &["tensor a [2, 3]", "6 numbers", "20 bytes"]);
    refused(with(&|a| a.records[3].name = "archive/data/0".into()), CorruptFile, &["archive/data/0", "twice"]);
    refused(with(&|a| a.records[3].name = "archive/data/7".into()), CorruptFile, &["tensor t", "storage 1 is missing"]);
    refused(with(&|a| a.count = Some(9)), CorruptFile, &["entry 4 of the directory"]);
    refused(with(&|a| (a.wide, a.count) = (true, Some(u64::MAX))), CorruptFile, &["entry 4 of the directory"]);
    refused(with(&|a| a.records[0].method = 8), UnsupportedModel, &["data.pkl is compressed", "save it again"]);
    refused(with(&|a| a.records[0].flags = 1), UnsupportedModel, &["data.pkl is compressed or encrypted"]);
    refused(with(&|a| a.records[1].bytes = b"big".to_vec()), UnsupportedModel, &["big-endian"]);
    refused(with(&|a| a.records.push(a.records[0].clone())), CorruptFile, &["archive/data.pkl", "twice"]);
    let second = |a: &mut Archive| {
        a.records.push(a.records[0].clone());
        a.records[4].name = "other/data.pkl".into();
    };
    refused(with(&second), UnsupportedModel, &["several models"]);
    // A storage is looked at when its tensor is read, for its header stands before it.
    let file = open(with(&|a| a.records[3].method = 8)).unwrap();
    let error = block_on(file.read_tensor("t")).unwrap_err();
    assert!(error.code() == UnsupportedModel && error.to_string().contains("record 1 is compressed"), "{error}");
    let mut moved = Archive::small().bytes();
    let header = moved.windows(14).position(|w| w == b"archive/data/1").unwrap() - 30;
    moved[header] = b'p';
    let error = block_on(open(moved).unwrap().read_tensor("t")).unwrap_err();
    assert!(error.code() == CorruptFile && error.to_string().contains(&format!("at byte {header}")), "{error}");
}

#[test]
fn a_tensor_that_reaches_past_its_storage_is_refused() {
    let of = |offset, sides: &[i32], strides: &[i32], numel| {
        let storage = Word::Storage("FloatStorage", "0", numel);
        Archive::new(dict(&[("w", Word::Tensor(&storage, offset, sides, strides))]), &[("0", &[0; 24])]).bytes()
    };
    for (bytes, words) in [
        (of(1, &[2, 3], &[3, 1], 6), ["tensor w [2, 3]", "past its storage 0 of 6"]),
        (of(0, &[2, 3], &[4, 1], 6), ["tensor w [2, 3]", "past its storage"]),
        (of(i32::MAX, &[1], &[1], 6), ["tensor w [1]", "past its storage"]),
        (of(0, &[i32::MAX, i32::MAX], &[i32::MAX, i32::MAX], 6), ["tensor w", "past its storage"]),
        (of(0, &[i32::MAX, i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0, 0], 6), ["tensor w", "too large"]),
        (of(0, &[1; 9], &[1; 9], 6), ["tensor w", "8 dimensions"]),
        (of(0, &[2, 3], &[3, 1], 7), ["tensor w", "7 numbers"]),
        (of(0, &[2, -3], &[3, 1], 6), ["data.pkl at byte", "no tensor"]),
        (of(0, &[2, 3], &[3], 6), ["data.pkl at byte", "no tensor"]),
        (of(0, &[2], &[1], -6), ["data.pkl at byte", "no storage"]),
    ] {
        refused(bytes, CorruptFile, &words);
    }
    refused(
        of(0, &[300, 300], &[0, 0], 6),
        UnsupportedModel,
        &["tensor w [300, 300]", "several times", "contiguous()"],
    );
    // Overlaps that still fit, and sides of nothing, are views like others.
    let file = open(of(0, &[2, 2], &[1, 1], 6)).unwrap();
    assert_eq!(block_on(file.read_f32("w")).unwrap().len(), 4);
    let file = open(of(6, &[0, i32::MAX], &[1, 1], 6)).unwrap();
    assert!(block_on(file.read_f32("w")).unwrap().is_empty());
}

/// A file with nothing in its middle, of any size.
struct Hollow {
    front: Vec<u8>,
    hole: u64,
    back: Vec<u8>,
}

#[async_trait(?Send)]
impl ByteSource for Hollow {
    fn name(&self) -> String {
        "hollow.bin".into()
    }
    async fn len(&self) -> Result<u64> {
        Ok(self.front.len() as u64 + self.hole + self.back.len() as u64)
    }
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        assert!(range.end - range.start < 1 << 27, "{range:?} is read at once");
        let (front, back) = (self.front.len() as u64, self.front.len() as u64 + self.hole);
        let byte = |at| match at {
            at if at < front => self.front[at as usize],
            at if at < back => 0,
            at => self.back[(at - back) as usize],
        };
        Ok(range.map(byte).collect())
    }
}

#[test]
fn a_tensor_that_is_strewn_over_more_than_a_memory_is_refused_and_its_neighbour_is_read() {
    let hole = 1 << 30;
    let storage = Word::Storage("FloatStorage", "0", (hole / 4) as i32);
    let items = [
        ("far", Word::Tensor(&storage, 0, &[2, 3], &[1, 1 << 26])),
        ("near", Word::Tensor(&storage, 0, &[2, 3], &[1, 2])),
    ];
    let mut archive = Archive::new(dict(&items), &[("0", &[7; 24])]);
    archive.records[2].claimed = Some(24 + hole);
    let mut bytes = archive.bytes();
    // The directory begins behind the hole.
    let place = bytes.len() - 6..bytes.len() - 2;
    let first = u32::from_le_bytes(bytes[place.clone()].try_into().unwrap());
    bytes[place].copy_from_slice(&(first + hole as u32).to_le_bytes());
    let back = bytes.split_off(first as usize);
    let file = block_on(WeightFile::open(Rc::new(Hollow { front: bytes, hole, back }))).unwrap();
    let error = block_on(file.read_tensor("far")).unwrap_err();
    assert_eq!(error.code(), UnsupportedModel, "{error}");
    assert!(error.to_string().contains("536870920 bytes of storage 0"), "{error}");
    assert_eq!(block_on(file.read_tensor("near")).unwrap(), [7; 24]);
}

#[test]
fn a_pickle_that_makes_no_sense_is_refused_with_the_byte() {
    let of = |pickle: &[u8]| Archive::new([b"\x80\x02", pickle].concat(), &[]).bytes();
    for (pickle, words) in [
        (&b"}"[..], "at byte 3: 1 bytes more"),
        (b".", "at byte 3: an object is missing"),
        (b"N(.", "an object is missing"),
        (b"t.", "a mark is missing"),
        (b"(N\x85s.", "an object is missing"),
        (b"}(Nu.", "a key has no value"),
        (b"h\x05.", "nothing was kept at place 5"),
        (b"Nr\xff\xff\xff\xff.", "place 4294967295 is filled before"),
        (b"NQ.", "no storage"),
        (b"X\xff\xff\xff\xffabc.", "4294967295 bytes more"),
        (b"X\x02\0\0\0\xff\xfe.", "not UTF-8"),
        (b"cmodule", "a name has no end"),
        (b"\x8a\xff\x01.", "255 bytes more"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "makes no tensor"),
        (b"ctorch._utils\n_rebuild_parameter\n)R.", "has no tensor"),
        (b"ctorch._tensor\n_rebuild_from_type_v2\n)R.", "makes no tensor"),
    ] {
        refused(of(pickle), CorruptFile, &["data.pkl", words, "fetch it again"]);
    }
    refused(of(b"i"), UnsupportedModel, &["opcode 0x69 at byte 2", "state_dict() again"]);
    refused(Archive::new(b"\x80\x04N.".to_vec(), &[]).bytes(), UnsupportedModel, &["protocol 4"]);
    // Nothing is ever called.
    refused(of(b"cos\nsystem\nX\x02\0\0\0ls\x85R."), UnsupportedModel, &["os.system"]);
    let twice = [("w", 0), ("w", 1)]
        .map(|(name, at)| (name, Word::Tensor(&Word::Storage("FloatStorage", "0", 2), at, &[1], &[1])));
    refused(Archive::new(dict(&twice), &[("0", &[0; 8])]).bytes(), CorruptFile, &["tensor w stands there twice"]);
}

#[test]
fn a_pickle_without_end_is_refused_before_it_fills_the_memory() {
    let many = [b"\x80\x02".as_slice(), &b")".repeat(2 << 20)].concat();
    refused(Archive::new(many, &[]).bytes(), UnsupportedModel, &["more than 1048576 objects"]);
    let long = vec![b'N'; (16 << 20) + 1];
    refused(Archive::new(long, &[]).bytes(), UnsupportedModel, &["data.pkl has more than 16777216 bytes"]);
    // A dictionary in itself, and tuples that double what they hold: a memo costs nothing, and nothing is walked.
    let mut nested = b"\x80\x02}q\0X\x01\0\0\0wh\0sN\x85".to_vec();
    nested.extend(b"q\x01h\x01\x86".repeat(5_000));
    nested.extend(b"0.");
    refused(Archive::new(nested.clone(), &[]).bytes(), UnsupportedModel, &["opcode 0x30"]);
    nested.truncate(nested.len() - 2);
    nested.extend(b"b.");
    refused(Archive::new(nested, &[]).bytes(), UnsupportedModel, &["no tensor"]);
}
