//! LayerNorm and GroupNorm: numbers of a row, or of a group of channels of a picture, to mean 0 and variance 1.

use super::unary;
use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        fuse::Tensor,
        wgsl::{Const, Kernel, Variant},
    },
    graph::Unary,
};

pub const KERNEL: Kernel = Kernel { name: "norm", source: include_str!("norm.wgsl") };

/// Which numbers are normed together: `pixels` rows of `width` columns.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    blocks: usize,
    groups: usize,
    pixels: usize,
    width: usize,
    first: usize,
    stride: usize,
    eps: f32,
}

impl Shape {
    /// Each row of `x` by itself.
    pub fn of_rows(x: &Tensor, eps: f32) -> Self {
        Self::of_groups(x, 1, x.rows, eps)
    }

    /// Each of `groups` groups of channels of each of `batch` pictures.
    pub fn of_groups(x: &Tensor, groups: usize, batch: usize, eps: f32) -> Self {
        let (pixels, width) = (x.rows / batch, x.cols / groups);
        Self { blocks: groups * batch, groups, pixels, width, first: x.first, stride: x.stride, eps }
    }
}

/// Which of the two vectors there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Affine {
    pub weight: bool,
    pub bias: bool,
}

pub fn variant(subgroups: bool, shape: &Shape, affine: Affine, activation: Option<Unary>) -> Result<Variant> {
    let threads = if shape.pixels * shape.width > 1024 { 256 } else { 64 };
    let variant = Variant::new(&[
        ("THREADS", Const::U32(threads)),
        ("BLOCKS", Const::size(shape.blocks)?),
        ("PIXELS", Const::size(shape.pixels)?),
        ("WIDTH", Const::size(shape.width)?),
        ("GROUPS", Const::size(shape.groups)?),
        ("FIRST", Const::size(shape.first)?),
        ("STRIDE", Const::size(shape.stride)?),
        ("EPS", Const::F32(shape.eps)),
    ])
    .flag("SUBGROUPS", subgroups)
    .flag("WEIGHT", affine.weight)
    .flag("BIAS", affine.bias)
    .flag("ACTIVATION", activation.is_some());
    Ok(match activation {
        Some(f) => unary::with(variant, f),
        None => variant,
    })
}

/// `x` as `shape` says → `y`, without gaps.
#[allow(clippy::too_many_arguments)]
pub fn norm(
    ctx: &Context,
    shape: &Shape,
    activation: Option<Unary>,
    x: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    y: &View,
    place: &str,
) -> Result<Dispatch> {
    let affine = Affine { weight: weight.is_some(), bias: bias.is_some() };
    let variant = variant(ctx.features().subgroups, shape, affine, activation)?;
    let most = ctx.limits().max_compute_workgroups_per_dimension as usize;
    let lines = shape.blocks.div_ceil(most);
    let grid = [shape.blocks.div_ceil(lines) as u32, lines as u32, 1];
    let bound = [(0, Some(x)), (1, weight), (2, bias), (3, Some(y))];
    let views: Vec<_> = bound.into_iter().filter_map(|(at, view)| Some((at, view?))).collect();
    ctx.dispatch(&KERNEL, &variant, &views, grid, place)
}
