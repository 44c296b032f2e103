//! RMSNorm over rows, or over groups within rows (a norm per head), and the addition after it.

use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::WeightId,
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
    let mut variant = Variant::new(&[("THREADS", Const::U32(threads)), ("WIDTH", Const::size(shape.width)?)])
        .with_numbers(&[
            ("FIRST", Const::size(shape.first)?),
            ("STRIDE", Const::size(shape.stride)?),
            ("EPS", Const::F32(shape.eps)),
        ]);
    if let Some([first, stride]) = shape.residual {
        variant.numbers.push(("RESIDUAL_FIRST", Const::size(first)?));
        variant.numbers.push(("RESIDUAL_STRIDE", Const::size(stride)?));
    }
    Ok(variant.flag("SUBGROUPS", subgroups).flag("RESIDUAL", shape.residual.is_some()))
}

/// Each `width` numbers of the rows of `x` → `y` `[rows, groups, width]`, with `residual` added.
pub fn rms_norm(
    subgroups: bool,
    (weight, width, eps): (WeightId, usize, f32),
    x: &Tensor,
    residual: Option<&Tensor>,
    y: StoreId,
) -> Result<Call> {
    let shape = Shape {
        rows: x.rows,
        groups: x.cols / width,
        width,
        first: x.first,
        stride: x.stride,
        eps,
        residual: residual.map(|r| [r.first, r.stride]),
    };
    let bound = [(0, Bound::Read(x.store)), (1, Bound::Vector(weight)), (2, Bound::Write(y))];
    let bound = bound.into_iter().chain(residual.map(|r| (3, Bound::Read(r.store)))).collect();
    Ok(Call::new(KERNEL, variant(subgroups, &shape)?, bound, [shape.groups, shape.rows, 1]))
}
