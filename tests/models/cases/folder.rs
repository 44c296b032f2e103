//! Where the cases lie, which the repository does not hold, and how their models are loaded.

use std::path::PathBuf;

use pollster::block_on;
use vitrine::{
    Cancel, Result,
    text::{LoadOptions, TextModel},
    weights::WeightFile,
};

use crate::common::on_cpu;

/// The folder of the case `name`. Where it is absent this prints `needs-case: NAME`, by which the test counts as ignored, and
/// gives `None`.
pub fn case(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/cases").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("needs-case: {name}");
    None
}

pub fn load(file: &WeightFile) -> Result<TextModel> {
    block_on(TextModel::load(file, &on_cpu(), LoadOptions::default(), &mut |_, _| (), &Cancel::new()))
}
