//! Folders as people have them: the model in them is found, and what it lacks is named.

use vitrine::{
    ErrorCode, Result,
    weights::{SharedSource, WeightFile},
};

use super::{
    damaged_safetensors::file,
    gguf_bytes::Gguf,
    memory, says,
    torch_bytes::{Archive, dict},
};

/// A safetensors file with one tensor of this name.
fn holding(tensor: &str) -> Vec<u8> {
    file(&format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#), 8)
}

fn index(map: &[(&str, &str)]) -> Vec<u8> {
    let map: Vec<String> = map.iter().map(|(tensor, file)| format!("{tensor:?}: {file:?}")).collect();
    format!(r#"{{"metadata": {{"total_size": 16}}, "weight_map": {{{}}}}}"#, map.join(",")).into_bytes()
}

fn open(files: Vec<SharedSource>) -> Result<WeightFile> {
    pollster::block_on(WeightFile::open_parts(files))
}

#[track_caller]
fn opens_as(files: Vec<SharedSource>, parts: &[&str], tensors: &[&str]) {
    let opened = open(files).unwrap();
    assert_eq!(opened.part_names().collect::<Vec<_>>(), parts);
    assert_eq!(opened.tensors.keys().collect::<Vec<_>>(), tensors);
}

#[track_caller]
fn refused(files: Vec<SharedSource>, code: ErrorCode, words: &[&str]) {
    says(&open(files).err().expect("a refusal"), code, words);
}

/// What lies in a folder of a trained model and is none of it.
fn strays() -> Vec<SharedSource> {
    vec![
        memory("README.md", *b"---\nlicense: mit\n---\n# A model"),
        memory("LICENSE", *b"Permission is hereby granted"),
        memory(".gitattributes", *b"*.safetensors filter=lfs diff=lfs merge=lfs -text"),
        memory("requirements.txt", *b""),
        memory("page.html", *b"<!doctype html>"),
        memory("tokenizer.model", *b"\x0a\x0e\x0a\x05<unk>"),
        memory("model.onnx", *b"\x08\x07\x12\x07pytorch"),
        memory("tf_model.h5", *b"\x89HDF\r\n"),
        memory("openvino_model.bin", *b"\x00\x01\x02\x03"),
        memory("adapter_model.safetensors", holding("base_model.model.w.lora_A.weight")),
        memory("optimizer.pt", *b"PK\x03\x04 an optimiser"),
        memory("training_args.bin", *b"PK\x03\x04 arguments"),
        memory("rng_state.pth", *b"\x80\x02}q\x00."),
        memory("scheduler.pt", *b"PK\x03\x04 steps"),
    ]
}

#[test]
fn what_lies_beside_a_model_is_passed_over() {
    let model = || memory("model.safetensors", holding("a"));
    opens_as([strays(), vec![model()]].concat(), &["model.safetensors"], &["a"]);
    opens_as([vec![model()], strays()].concat(), &["model.safetensors"], &["a"]);
    let gguf = memory("m.gguf", Gguf::small().bytes());
    let eyes = memory("mmproj-m-f16.gguf", Gguf::small().bytes());
    opens_as([strays(), vec![eyes, gguf]].concat(), &["m.gguf"], &["a", "b"]);
}

#[test]
fn weights_that_are_damaged_are_not_passed_over() {
    let model = || memory("model-00001-of-00002.safetensors", holding("a"));
    let broken = memory("model-00002-of-00002.safetensors", *b"not what it says");
    refused(vec![model(), broken], ErrorCode::CorruptFile, &["model-00002-of-00002.safetensors"]);
    let pointer = *b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    for name in ["model-00002-of-00002.safetensors", "tokenizer.json", "model.safetensors.index.json"] {
        let first = memory("model-00001-of-00002.safetensors", holding("a"));
        let rest = memory("model-00002-of-00002.safetensors", holding("b"));
        let files = vec![
            first,
            if name.ends_with("json") { rest } else { memory("config.json", *b"{}") },
            memory(name, pointer),
        ];
        refused(files, ErrorCode::CorruptFile, &[name, "Git LFS pointer", "git lfs pull"]);
    }
}

#[test]
fn an_index_says_which_files_are_the_model() {
    let map = [("a", "model-00001-of-00002.safetensors"), ("b", "model-00002-of-00002.safetensors")];
    let first = || memory("model-00001-of-00002.safetensors", holding("a"));
    let second = || memory("model-00002-of-00002.safetensors", holding("b"));
    let whole = || memory("model.safetensors", holding("a"));
    let says = || memory("model.safetensors.index.json", index(&map));
    let parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    opens_as([vec![whole(), first(), says(), second()], strays()].concat(), &parts, &["a", "b"]);
    refused(vec![whole(), first(), says()], ErrorCode::BadArgument, &["model-00002-of-00002.safetensors is missing"]);
    refused(vec![whole(), second(), says()], ErrorCode::BadArgument, &["model-00001-of-00002.safetensors is missing"]);
    // Of no use to a whole file, and of no harm.
    opens_as(vec![whole(), says()], &["model.safetensors"], &["a"]);
    refused(vec![says()], ErrorCode::BadArgument, &["model-00001-of-00002.safetensors is missing"]);
    // Other names than the usual are its right.
    let odd = index(&[("a", "first.safetensors"), ("b", "second.safetensors")]);
    let odd = || memory("model.safetensors.index.json", odd.clone());
    opens_as(
        vec![whole(), memory("first.safetensors", holding("a")), odd(), memory("second.safetensors", holding("b"))],
        &["first.safetensors", "second.safetensors"],
        &["a", "b"],
    );
    refused(
        vec![whole(), memory("first.safetensors", holding("a")), odd()],
        ErrorCode::BadArgument,
        &["second.safetensors is missing"],
    );
}

#[test]
fn of_two_spellings_of_the_same_weights_one_is_taken() {
    let archive = Archive::new(dict(&[]), &[]).bytes();
    let copy = |name: &str| memory(name, archive.clone());
    let safetensors = |name: &str| memory(name, holding("a"));
    opens_as(vec![copy("pytorch_model.bin"), safetensors("model.safetensors")], &["model.safetensors"], &["a"]);
    opens_as(
        vec![
            safetensors("vae/model.safetensors"),
            safetensors("vae/model.fp16.safetensors"),
            copy("vae/pytorch_model.bin"),
        ],
        &["vae/model.fp16.safetensors"],
        &["a"],
    );
    opens_as(
        vec![safetensors("model.safetensors"), copy("consolidated.00.pth"), safetensors("consolidated.safetensors")],
        &["model.safetensors"],
        &["a"],
    );
    // In another folder lies another part of a pipeline.
    let other = memory("unet/model.safetensors", holding("b"));
    opens_as(
        vec![safetensors("vae/model.safetensors"), other],
        &["vae/model.safetensors", "unet/model.safetensors"],
        &["a", "b"],
    );
}

#[test]
fn a_part_that_is_missing_is_named_without_an_index_too() {
    for (given, missing) in [
        ("model-00002-of-00003.safetensors", "model-00001-of-00003.safetensors"),
        ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"),
    ] {
        let bytes = if given.ends_with("gguf") { Gguf::small().bytes() } else { holding("a") };
        refused(vec![memory(given, bytes.clone())], ErrorCode::BadArgument, &[&format!("{missing} is missing")]);
        refused(
            [vec![memory(given, bytes)], strays()].concat(),
            ErrorCode::BadArgument,
            &[&format!("{missing} is missing")],
        );
    }
}

#[test]
fn an_adapter_is_no_model() {
    for name in ["adapter_model.safetensors", "changes.safetensors"] {
        let adapter = memory(name, holding("base_model.model.w.lora_A.weight"));
        refused(
            vec![adapter, memory("adapter_config.json", *b"{}")],
            ErrorCode::UnsupportedModel,
            &[name, "LoRA", "merge"],
        );
    }
}
