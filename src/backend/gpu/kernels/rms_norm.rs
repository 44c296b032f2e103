//! RMSNorm over rows, or over groups within rows (a norm per head), and the addition after it.

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
    /// The same of what is added to the result.
    pub residual: Option<[usize; 2]>,
}

pub fn variant(subgroups: bool, shape: &Shape) -> Result<Variant> {
    let threads = if shape.width > 1024 { 256 } else { 64 };
    let mut variant = Variant::new(&[
        ("THREADS", Const::U32(threads)),
        ("WIDTH", Const::size(shape.width)?),
        ("FIRST", Const::size(shape.first)?),
        ("STRIDE", Const::size(shape.stride)?),
        ("EPS", Const::F32(shape.eps)),
    ]);
    if let Some([first, stride]) = shape.residual {
        variant.constants.push(("RESIDUAL_FIRST", Const::size(first)?));
        variant.constants.push(("RESIDUAL_STRIDE", Const::size(stride)?));
    }
    Ok(variant.flag("SUBGROUPS", subgroups).flag("RESIDUAL", shape.residual.is_some()))
}

/// `x` as `shape` says → `y` `[rows, groups, width]`; `residual` is there where the shape has one.
pub fn rms_norm(
    ctx: &Context,
    shape: &Shape,
    [x, weight, y]: [&View; 3],
    residual: Option<&View>,
    place: &str,
) -> Result<Dispatch> {
    let variant = variant(ctx.features().subgroups, shape)?;
    let grid = [shape.groups as u32, shape.rows as u32, 1];
    let bound: Vec<_> = [(0, x), (1, weight), (2, y)].into_iter().chain(residual.map(|r| (3, r))).collect();
    ctx.dispatch(&KERNEL, &variant, &bound, grid, place)
}
