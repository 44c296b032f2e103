//! Where the cases lie, which the repository does not hold.

use std::path::PathBuf;

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
