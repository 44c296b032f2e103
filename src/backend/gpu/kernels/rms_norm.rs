//! RMSNorm over rows, or over groups within rows (a norm per head).

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "rms_norm", source: include_str!("rms_norm.wgsl") };

/// Which numbers are normed together.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub groups: usize,
    pub width: usize,
    /// Where a row of `x` begins: `first + row · stride`.
    pub first: usize,
    pub stride: usize,
    pub eps: f32,
}

pub fn variant(subgroups: bool, shape: &Shape) -> Result<Variant> {
    let threads = if shape.width > 1024 { 256 } else { 64 };
    Ok(Variant::new(&[
        ("THREADS", Const::U32(threads)),
        ("WIDTH", Const::size(shape.width)?),
        ("FIRST", Const::size(shape.first)?),
        ("STRIDE", Const::size(shape.stride)?),
        ("EPS", Const::F32(shape.eps)),
    ])
    .flag("SUBGROUPS", subgroups))
}

/// `x` as `shape` says → `y` `[rows, groups, width]`.
pub fn rms_norm(ctx: &Context, shape: &Shape, x: &View, weight: &View, y: &View, place: &str) -> Result<Dispatch> {
    let variant = variant(ctx.features().subgroups, shape)?;
    let grid = [shape.groups as u32, shape.rows as u32, 1];
    ctx.dispatch(&KERNEL, &variant, &[(0, x), (1, weight), (2, y)], grid, place)
}
