//! Which files are measured: the page's own models, random weights in well-known shapes for decoders, and those for language models
//! where there are some.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::shapes::Shape;
use crate::workspace::Workspace;

/// A model, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    /// In one folder.
    pub files: Vec<PathBuf>,
    /// Prompts of fixed length, where it has some.
    pub prompts: Option<PathBuf>,
    /// The side of the latent that a decoder is given.
    pub latent: Option<usize>,
}

impl Model {
    pub fn folder(&self) -> Result<&Path> {
        self.files.first().and_then(|file| file.parent()).context("a model without a folder")
    }
}

/// The types that the shapes are measured in; f16 and f32 are for comparing results, not speed.
const SCHEMES: [&str; 3] = ["q4_0", "q8_0", "q4_k_m"];

/// A decoder at one size of picture.
struct Decoding {
    name: &'static str,
    shape: Shape,
    latent: usize,
    /// Measured only where it is asked for by name: it takes minutes.
    long: bool,
}

const DECODINGS: [Decoding; 6] = [
    Decoding { name: "taesd-128", shape: Shape::Taesd, latent: 16, long: false },
    Decoding { name: "taesd-512", shape: Shape::Taesd, latent: 64, long: false },
    Decoding { name: "taesd-1024", shape: Shape::Taesd, latent: 128, long: true },
    Decoding { name: "vae-256", shape: Shape::Vae, latent: 32, long: true },
    Decoding { name: "vae-512", shape: Shape::Vae, latent: 64, long: true },
    Decoding { name: "vae-1024", shape: Shape::Vae, latent: 128, long: true },
];

/// A file that `wanted` names, or all models whose names contain it.
pub fn find(workspace: &Workspace, shapes: Option<&Path>, wanted: Option<&str>) -> Result<Vec<Model>> {
    if let Some(file) = wanted.map(Path::new).filter(|file| file.is_file()) {
        return Ok(vec![model(fs::canonicalize(file)?)]);
    }
    let mut files = ggufs_below(&workspace.root.join("models"));
    if let Some(folder) = shapes {
        let measured = |file: &PathBuf| SCHEMES.iter().any(|scheme| stem(file).ends_with(scheme));
        files.extend(ggufs_below(&fs::canonicalize(folder)?).into_iter().filter(measured));
    }
    let mut models: Vec<Model> =
        files.into_iter().map(model).filter(|model| wanted.is_none_or(|part| model.name.contains(part))).collect();
    for decoding in DECODINGS {
        if wanted.map_or(!decoding.long, |part| decoding.name.contains(part)) {
            models.push(Model {
                name: decoding.name.to_owned(),
                files: decoding.shape.files(&workspace.target.join("shapes"))?,
                prompts: None,
                latent: Some(decoding.latent),
            });
        }
    }
    if models.is_empty() {
        let names = DECODINGS.map(|decoding| decoding.name).join(", ");
        bail!(
            "there is no such model; give a file, a part of one of {names}, or a folder of shapes with --models (made by training/smol_shapes.py)"
        );
    }
    Ok(models)
}

fn model(file: PathBuf) -> Model {
    let prompts = file.with_file_name("prompts.json");
    Model { name: stem(&file), prompts: prompts.is_file().then_some(prompts), files: vec![file], latent: None }
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// All GGUF files one folder down, in the order of their names.
fn ggufs_below(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut files: Vec<PathBuf> = entries(folder).iter().flat_map(|folder| entries(folder)).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "gguf"));
    files.sort();
    files
}
