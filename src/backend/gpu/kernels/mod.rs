//! The kernels: one `.wgsl` a kernel, its `.rs` beside it.

pub mod linear;

/// A piece of WGSL that several kernels include.
pub(super) fn snippet(name: &str) -> Option<&'static str> {
    match name {
        "reduce" => Some(include_str!("reduce.wgsl")),
        _ => linear::snippet(name),
    }
}
