//! What crates.io would get of the workspace: `cargo package` makes the archives, which are looked at here.
