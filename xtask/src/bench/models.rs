//! Which files are measured: the page's own models and, where there are some, random weights in well-known shapes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// A model file, and its prompts of fixed length where it has some.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub file: PathBuf,
    pub prompts: Option<PathBuf>,
}

/// The types that the shapes are measured in; f16 and f32 are for comparing results, not speed.
const SCHEMES: [&str; 3] = ["q4_0", "q8_0", "q4_k_m"];

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
    let models: Vec<Model> =
        files.into_iter().map(model).filter(|model| wanted.is_none_or(|part| model.name.contains(part))).collect();
    if models.is_empty() {
        bail!(
            "there is no such model; give a file, or a folder of shapes with --models (made by training/smol_shapes.py)"
        );
    }
    Ok(models)
}

fn model(file: PathBuf) -> Model {
    let prompts = file.with_file_name("prompts.json");
    Model { name: stem(&file), prompts: prompts.is_file().then_some(prompts), file }
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
