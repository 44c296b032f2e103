//! All readers under mutations of sound files: always an answer or a typed error, never a panic, and never more memory
//! than a small file can be worth.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use proptest::{collection::vec, prelude::*, sample::Index};
use vitrine::{
    ErrorCode,
    weights::{Format, WeightFile},
};

use super::{
    damaged_safetensors::{SMALL, file},
    gguf_bytes::Gguf,
    open,
    torch_bytes::Archive,
};

/// The system's allocator, and for each thread what it holds and what it held at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is going away has no counters any more, and no test.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Files of a kilobyte or two: candle keeps each value of a list in 32 bytes, and paths and sentences take some.
const MOST_BYTES: isize = 256 << 10;

#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Byte(Index, u8),
    Cut(Index),
    Remove(Index, u8),
    /// Copies a piece from one place to another.
    Splice(Index, Index, u8),
    Insert(Index, Vec<u8>),
    Word(Index, u32),
    Long(Index, u64),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let edges =
        [0_u64, 1, 2, 0x7f, 0xff, 1 << 15, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 60, 1 << 63, u64::MAX];
    let edge = prop_oneof![proptest::sample::select(edges.to_vec()), any::<u64>(), 0_u64..64];
    prop_oneof![
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (any::<Index>(), any::<Index>(), any::<u8>()).prop_map(|(from, to, len)| Mutation::Splice(from, to, len)),
        (any::<Index>(), vec(any::<u8>(), 1..32)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), edge.clone()).prop_map(|(at, word)| Mutation::Word(at, word as u32)),
        (any::<Index>(), edge).prop_map(|(at, long)| Mutation::Long(at, long)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    let mut put = |at: &Index, new: &[u8]| {
        let at = at.index(len);
        let end = (at + new.len()).min(len);
        bytes[at..end].copy_from_slice(&new[..end - at]);
    };
    match mutation {
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Byte(at, byte) => put(at, &[*byte]),
        Mutation::Word(at, word) => put(at, &word.to_le_bytes()),
        Mutation::Long(at, long) => put(at, &long.to_le_bytes()),
        Mutation::Cut(at) => bytes.truncate(at.index(len)),
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            bytes.drain(at..(at + *count as usize).min(len));
        }
        Mutation::Splice(from, to, count) => {
            let from = from.index(len);
            let piece = bytes[from..(from + *count as usize).min(len)].to_vec();
            let to = to.index(len);
            bytes.splice(to..to, piece);
        }
        Mutation::Insert(at, new) => {
            let at = at.index(len);
            bytes.splice(at..at, new.iter().copied());
        }
    }
}

/// Whatever opened must be readable in every part; of PyTorch's records the headers are seen only then.
fn read_everything(file: &WeightFile) -> vitrine::Result<()> {
    for (name, tensor) in &file.tensors {
        let bytes = match pollster::block_on(file.read_tensor(name)) {
            Err(error) if file.format == Format::StateDict && error.to_string().contains("record") => {
                return Err(error);
            }
            read => read.unwrap(),
        };
        assert_eq!(bytes.len() as u64, tensor.bytes);
        let count: usize = tensor.shape.iter().product();
        match pollster::block_on(file.read_f32(name)) {
            Err(error) => assert!(error.to_string().contains("scale"), "{error}"),
            Ok(numbers) => assert_eq!(numbers.len(), count),
        }
    }
    for key in ["general.architecture", "llama.block_count", "tokenizer.ggml.tokens"] {
        let _ = file.metadata.get::<&str>(key);
        let _ = file.metadata.get::<u32>(key);
        let _ = file.metadata.get::<Vec<&str>>(key);
    }
    Ok(())
}

fn survives(sound: &[u8], mutations: &[Mutation]) -> Result<(), TestCaseError> {
    let mut bytes = sound.to_vec();
    for mutation in mutations {
        mutate(&mut bytes, mutation);
    }
    let before = HELD.get();
    MOST.set(before);
    if let Err(error) = open(bytes).and_then(|file| read_everything(&file)) {
        let known = [ErrorCode::CorruptFile, ErrorCode::UnsupportedModel, ErrorCode::BadArgument];
        prop_assert!(known.contains(&error.code()), "{}: {error}", error.code());
        prop_assert!(error.to_string().len() < 2_000, "a sentence of {} bytes", error.to_string().len());
    }
    let most = MOST.get() - before;
    prop_assert!(most <= MOST_BYTES, "{most} bytes were allocated for a file of {}", sound.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_gguf_is_read_or_refused(mutations in vec(mutation(), 1..6)) {
        survives(&Gguf::small().bytes(), &mutations)?;
    }

    #[test]
    fn a_mutated_safetensors_is_read_or_refused(mutations in vec(mutation(), 1..6)) {
        survives(&file(SMALL, 40), &mutations)?;
    }

    #[test]
    fn a_mutated_archive_of_pytorch_is_read_or_refused(mutations in vec(mutation(), 1..6), wide in any::<bool>()) {
        survives(&Archive { wide, ..Archive::small() }.bytes(), &mutations)?;
    }

    #[test]
    fn a_mutated_pickle_is_read_or_refused(mutations in vec(mutation(), 1..6)) {
        let mut archive = Archive::small();
        mutations.iter().for_each(|mutation| mutate(&mut archive.records[0].bytes, mutation));
        survives(&archive.bytes(), &[])?;
    }

    #[test]
    fn noise_behind_a_magic_is_refused(noise in vec(any::<u8>(), 0..400)) {
        survives(&[b"GGUF\x03\0\0\0".as_slice(), &noise].concat(), &[])?;
        survives(&[8_u64.to_le_bytes().as_slice(), b"{", &noise].concat(), &[])?;
        survives(&[b"PK\x03\x04".as_slice(), &noise].concat(), &[])?;
        let mut archive = Archive::small();
        archive.records[0].bytes = [b"\x80\x02".as_slice(), &noise].concat();
        survives(&archive.bytes(), &[])?;
        survives(&noise, &[])?;
    }
}
