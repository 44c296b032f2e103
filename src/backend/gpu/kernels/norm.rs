//! LayerNorm and GroupNorm: numbers of a row, or of a group of channels of a picture, to mean 0 and variance 1.
//!
//! A row or a small picture's group is one workgroup's work. A large picture's groups are summed up by columns first, since a group's
//! few channels lie far apart; a factor and a summand for each channel come of it, and any element-by-element kernel applies them.

use super::unary;
use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::{Unary, WeightId},
};

pub const KERNEL: Kernel = Kernel { name: "norm", source: include_str!("norm.wgsl") };
pub const COLUMNS: Kernel = Kernel { name: "norm_columns", source: include_str!("norm_columns.wgsl") };
pub const FOLD: Kernel = Kernel { name: "norm_fold", source: include_str!("norm_fold.wgsl") };

/// Numbers that one workgroup norms by itself, at most.
const MOST_ALONE: usize = 4096;
/// Rows that an invocation sums up, at least; and parts that a picture's rows are cut into, at most.
const LEAST_ROWS: usize = 32;
const MOST_PARTS: usize = 256;

/// Which numbers are normed together: `pixels` rows of `width` columns.
#[derive(Debug, Clone, Copy, PartialEq)]
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

impl Shape {
    /// Whether the numbers of a block are too many for one workgroup.
    pub fn is_large(&self) -> bool {
        self.pixels * self.width > MOST_ALONE && self.pixels >= 2 * LEAST_ROWS
    }

    fn part_rows(&self) -> usize {
        self.pixels.div_ceil(MOST_PARTS).max(LEAST_ROWS)
    }

    fn parts(&self) -> usize {
        self.pixels.div_ceil(self.part_rows())
    }

    fn batch(&self) -> usize {
        self.blocks / self.groups
    }

    /// 32-bit words between [`COLUMNS`] and [`FOLD`].
    pub fn partial_words(&self) -> usize {
        2 * self.blocks * self.width * self.parts()
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
    let variant = Variant::new(&[("THREADS", Const::U32(threads))])
        .with_numbers(&[
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

/// Weight and bias of a norm, where there are some.
pub type Weights = (Option<WeightId>, Option<WeightId>);

/// `x` as `shape` says → `y`, without gaps.
pub fn norm(
    subgroups: bool,
    shape: &Shape,
    activation: Option<Unary>,
    (weight, bias): Weights,
    [x, y]: [StoreId; 2],
) -> Result<Call> {
    let affine = Affine { weight: weight.is_some(), bias: bias.is_some() };
    let variant = variant(subgroups, shape, affine, activation)?;
    let bound = [
        (0, Some(Bound::Read(x))),
        (1, weight.map(Bound::Vector)),
        (2, bias.map(Bound::Vector)),
        (3, Some(Bound::Write(y))),
    ];
    let bound = bound.into_iter().filter_map(|(at, bound)| Some((at, bound?))).collect();
    Ok(Call::new(KERNEL, variant, bound, [shape.blocks, 1, 1]).in_lines())
}

pub fn columns_variant(shape: &Shape) -> Result<Variant> {
    Ok(Variant::default().with_numbers(&[
        ("BATCH", Const::size(shape.batch())?),
        ("PIXELS", Const::size(shape.pixels)?),
        ("COLS", Const::size(shape.groups * shape.width)?),
        ("FIRST", Const::size(shape.first)?),
        ("STRIDE", Const::size(shape.stride)?),
        ("PARTS", Const::size(shape.parts())?),
        ("PART_ROWS", Const::size(shape.part_rows())?),
    ]))
}

pub fn fold_variant(subgroups: bool, shape: &Shape) -> Result<Variant> {
    Ok(Variant::new(&[("THREADS", Const::U32(64))])
        .with_numbers(&[
            ("GROUPS", Const::size(shape.groups)?),
            ("WIDTH", Const::size(shape.width)?),
            ("PIXELS", Const::size(shape.pixels)?),
            ("PARTS", Const::size(shape.parts())?),
            ("PART_ROWS", Const::size(shape.part_rows())?),
            ("EPS", Const::F32(shape.eps)),
        ])
        .flag("SUBGROUPS", subgroups))
}

/// Sums `x` up into `partial`, of [`Shape::partial_words`] words, and these → y `[batch, 2, channels]`: factors, then summands.
pub fn factors(
    subgroups: bool,
    shape: &Shape,
    [weight, bias]: [WeightId; 2],
    [x, partial, y]: [StoreId; 3],
) -> Result<[Call; 2]> {
    let groups = (shape.partial_words() / 2).div_ceil(64);
    let bound = vec![(0, Bound::Read(x)), (1, Bound::Write(partial))];
    let columns = Call::new(COLUMNS, columns_variant(shape)?, bound, [groups, 1, 1]);
    let vectors = [(1, Bound::Vector(weight)), (2, Bound::Vector(bias))];
    let bound = [(0, Bound::Read(partial))].into_iter().chain(vectors).chain([(3, Bound::Write(y))]).collect();
    let grid = [shape.groups, shape.batch(), 1];
    Ok([columns, Call::new(FOLD, fold_variant(subgroups, shape)?, bound, grid)])
}
