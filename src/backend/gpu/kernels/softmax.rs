//! Softmax over rows.

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        fuse::Tensor,
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "softmax", source: include_str!("softmax.wgsl") };

pub fn variant(x: &Tensor) -> Result<Variant> {
    Ok(Variant::new(&[
        ("THREADS", Const::U32(if x.cols > 1024 { 256 } else { 64 })),
        ("ROWS", Const::size(x.rows)?),
        ("COLS", Const::size(x.cols)?),
        ("FIRST", Const::size(x.first)?),
        ("STRIDE", Const::size(x.stride)?),
    ]))
}

/// Rows of `x` as `shape` says → `y` `[rows, cols]`.
pub fn softmax(ctx: &Context, shape: &Tensor, x: &View, y: &View, place: &str) -> Result<Dispatch> {
    let most = ctx.limits().max_compute_workgroups_per_dimension as usize;
    let lines = shape.rows.div_ceil(most);
    let grid = [shape.rows.div_ceil(lines) as u32, lines as u32, 1];
    ctx.dispatch(&KERNEL, &variant(shape)?, &[(0, x), (1, y)], grid, place)
}
