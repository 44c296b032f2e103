//! Which files are measured: the page's own models, random weights in well-known shapes for pictures, and for language models
//! where there are some.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use super::shapes::Shape;
use crate::workspace::Workspace;

/// A model, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub folder: PathBuf,
    /// Below the folder.
    pub files: Vec<String>,
    /// Prompts of fixed length, where it has some.
    pub prompts: Option<String>,
    pub picture: Option<Picture>,
}

/// What is asked of a model of pictures in a well-known shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// A latent with sides of so many pixels becomes a picture.
    Decode(usize),
    /// Three steps of a painting with sides of so many pixels, without guidance.
    Paint(usize),
}

impl Model {
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|file| self.folder.join(file))
    }
}

/// The types that the shapes are measured in; f16 and f32 are for comparing results, not speed.
const SCHEMES: [&str; 3] = ["q4_0", "q8_0", "q4_k_m"];

/// Work of a well-known shape at one size, and whether it takes minutes: then it is measured only where it is asked for by name.
const PICTURES: [(&str, Shape, Picture, bool); 8] = [
    ("taesd-128", Shape::Taesd, Picture::Decode(16), false),
    ("taesd-512", Shape::Taesd, Picture::Decode(64), false),
    ("taesd-1024", Shape::Taesd, Picture::Decode(128), true),
    ("vae-256", Shape::Vae, Picture::Decode(32), true),
    ("vae-512", Shape::Vae, Picture::Decode(64), true),
    ("vae-1024", Shape::Vae, Picture::Decode(128), true),
    ("tiny-sd-128", Shape::TinySd, Picture::Paint(128), true),
    ("tiny-sd-512", Shape::TinySd, Picture::Paint(512), true),
];

/// A file that `wanted` names, or all models whose names contain it.
pub fn find(workspace: &Workspace, shapes: Option<&Path>, wanted: Option<&str>) -> Result<Vec<Model>> {
    if let Some(file) = wanted.map(Path::new).filter(|file| file.is_file()) {
        return Ok(vec![model(&fs::canonicalize(file)?)]);
    }
    let mut files = ggufs_below(&workspace.root.join("models"));
    if let Some(folder) = shapes {
        let measured = |file: &PathBuf| SCHEMES.iter().any(|scheme| stem(file).ends_with(scheme));
        files.extend(ggufs_below(&fs::canonicalize(folder)?).into_iter().filter(measured));
    }
    let mut models: Vec<Model> = files
        .iter()
        .map(|file| model(file))
        .filter(|model| wanted.is_none_or(|part| model.name.contains(part)))
        .collect();
    for (name, shape, picture, long) in PICTURES {
        if wanted.map_or(!long, |part| name.contains(part)) {
            let (folder, files) = shape.files(&workspace.target.join("shapes"))?;
            models.push(Model { name: name.to_owned(), folder, files, prompts: None, picture: Some(picture) });
        }
    }
    if models.is_empty() {
        let names = PICTURES.map(|(name, ..)| name).join(", ");
        bail!(
            "there is no such model; give a file, a part of one of {names}, or a folder of shapes with --models (made by training/smol_shapes.py)"
        );
    }
    Ok(models)
}

fn model(file: &Path) -> Model {
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let prompts = file.with_file_name("prompts.json");
    Model {
        name: stem(file),
        folder: file.parent().unwrap_or(Path::new("")).to_path_buf(),
        files: vec![name(file)],
        prompts: prompts.is_file().then(|| name(&prompts)),
        picture: None,
    }
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
