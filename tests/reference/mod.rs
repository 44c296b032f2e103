//! Where the reference data lies that some tests need and the repository does not hold.

use std::path::PathBuf;

/// The file or folder `name` in the reference data. Where it is absent this prints `needs-reference: NAME` for the
/// count and gives `None`; with `VITRINE_REQUIRE_REFERENCE=1` it panics.
pub fn reference(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference").join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("VITRINE_REQUIRE_REFERENCE").is_ok_and(|v| v == "1");
    assert!(!required, "the reference data lacks {name}, and VITRINE_REQUIRE_REFERENCE=1 asks for it");
    println!("needs-reference: {name}");
    None
}
