//! The files that tests read and make: fixtures, the models that ship, and reference data, which the repository does not hold.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel, Result,
    backend::{Device, Resident},
    graph::Graph,
    weights::{PathSource, Recipes, SharedSource, WeightFile},
};

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The file or folder `name` in the reference data. Where it is absent this prints `needs-reference: NAME` for the
/// count and gives `None`; with `VITRINE_REQUIRE_REFERENCE=1` it panics.
pub fn reference(name: &str) -> Option<PathBuf> {
    let path = in_repository("../shared/reference").join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("VITRINE_REQUIRE_REFERENCE").is_ok_and(|v| v == "1");
    assert!(!required, "the reference data lacks {name}, and VITRINE_REQUIRE_REFERENCE=1 asks for it");
    println!("needs-reference: {name}");
    None
}

/// The file or folder `name` of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    in_repository("tests/fixtures").join(name)
}

/// The file `name` of `models`, as visitors download it.
pub fn shipped(name: &str) -> PathBuf {
    in_repository("models").join(name)
}

/// What the fixture `name` says.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).expect("a fixture")).expect("JSON")
}

/// The files of one model.
pub fn opened(paths: &[impl AsRef<Path>]) -> WeightFile {
    let sources = paths.iter().map(|path| Rc::new(PathSource::open(path.as_ref()).expect("a file")) as SharedSource);
    block_on(WeightFile::open_parts(sources.collect())).expect("a model's files")
}

/// The weights of `graph` from a file.
pub async fn streamed(device: &Device, file: &WeightFile, graph: &Graph, recipes: &Recipes) -> Result<Resident> {
    let mut loader = device.begin(graph).await?;
    file.stream_with(graph, recipes, &mut loader, &mut |_, _| (), &Cancel::new()).await?;
    loader.finish().await
}

/// A safetensors file of F32 tensors: their names, shapes and numbers.
pub fn safetensors<N: AsRef<[f32]>>(tensors: &[(&str, &[usize], N)]) -> Vec<u8> {
    let (mut entries, mut data) = (vec![], vec![]);
    for (name, shape, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.as_ref().iter().flat_map(|v| v.to_le_bytes()));
        entries
            .push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#, data.len()));
    }
    let header = format!("{{{}}}", entries.join(","));
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}
