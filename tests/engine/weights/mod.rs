//! Files of weights: what is read right, what is refused and how.

mod belonging;
mod damaged_gguf;
mod damaged_safetensors;
mod downloads;
mod fuzz;
mod gguf_bytes;
mod huge;
mod npz;
mod pytorch;
mod recipes;
mod reference;
mod streaming;
mod torch_bytes;

use std::rc::Rc;

use vitrine::{
    Error, ErrorCode, Result,
    weights::{MemorySource, SharedSource, WeightFile},
};

fn memory(name: &str, bytes: impl Into<Rc<[u8]>>) -> SharedSource {
    Rc::new(MemorySource::new(name, bytes))
}

fn open(bytes: impl Into<Rc<[u8]>>) -> Result<WeightFile> {
    pollster::block_on(WeightFile::open(memory("model.bin", bytes)))
}

fn refusal(bytes: impl Into<Rc<[u8]>>) -> Error {
    match open(bytes) {
        Ok(file) => panic!("opened, with {} tensors", file.tensors.len()),
        Err(error) => error,
    }
}

/// Asserts that the file is refused with this code, and that the sentence holds each of the words.
#[track_caller]
fn refused(bytes: impl Into<Rc<[u8]>>, code: ErrorCode, words: &[&str]) {
    says(&refusal(bytes), code, words);
}

#[track_caller]
fn says(error: &Error, code: ErrorCode, words: &[&str]) {
    let sentence = error.to_string();
    assert_eq!(error.code(), code, "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{sentence:?} does not say {word:?}");
    }
}
