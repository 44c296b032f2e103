//! Which files belong to a model.

use std::{path::Path, rc::Rc};

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode, Result,
    text::{GenerateOptions, TextModel},
    weights::{PathSource, SharedSource, WeightFile},
};

use super::folder::{self, case};

/// All files of a folder but `without`, the last first.
fn all_of(folder: &Path, without: &str) -> Vec<SharedSource> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap() != without);
    paths.sort();
    paths.iter().rev().map(|path| Rc::new(PathSource::open(path).unwrap()) as SharedSource).collect()
}

fn load(sources: Vec<SharedSource>) -> Result<TextModel> {
    folder::load(&block_on(WeightFile::open_parts(sources))?)
}

fn greedy(model: &TextModel, prompt: &str) -> String {
    block_on(async {
        let mut text = String::new();
        let mut generation = model.generate(prompt, GenerateOptions::greedy(256), Cancel::new()).unwrap();
        while let Some(event) = generation.next().await.unwrap() {
            text += &event.text;
        }
        text
    })
}

#[test]
fn a_gguf_in_parts_is_one_model_whatever_else_lies_there() {
    let Some(folder) = case("08-gguf-in-parts") else { return };
    assert_eq!(greedy(&load(all_of(&folder, "")).unwrap(), "\n"), "helo");
    for missing in ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"] {
        let error = load(all_of(&folder, missing)).err().expect("a refusal");
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_folder_with_two_copies_and_an_adapter_is_the_model_that_its_index_names() {
    let Some(folder) = case("09-stray-weights") else { return };
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let file = block_on(WeightFile::open_parts(all_of(&folder, ""))).unwrap();
    assert_eq!(file.part_names().collect::<Vec<_>>(), [shards[1], shards[0]]);
    load(all_of(&folder, "")).unwrap();
    for missing in shards {
        let error = load(all_of(&folder, missing)).err().expect("a refusal");
        assert!(error.to_string().contains(&format!("{missing} is missing")), "{error}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_called_that() {
    let Some(folder) = case("28-lfs-pointer") else { return };
    let pointer = Rc::new(PathSource::open(folder.join("model.gguf")).unwrap());
    let error = block_on(WeightFile::open(pointer)).err().expect("a refusal");
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    for words in ["model.gguf", "Git LFS pointer", "git lfs pull", "huggingface.co/owner/repo/resolve/main/file"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}
