//! Recurrent cells, a row at a time, and what sequences become at their end.

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        fuse::Tensor,
        wgsl::{Const, Kernel, Variant},
    },
    graph::{Cell, Pooling},
};

pub const CELL: Kernel = Kernel { name: "cell", source: include_str!("cell.wgsl") };
pub const POOL: Kernel = Kernel { name: "pool", source: include_str!("pool.wgsl") };

pub fn cell_variant(cell: Cell, width: usize) -> Result<Variant> {
    let variant = Variant::new(&[("WIDTH", Const::size(width)?)]);
    Ok(variant.flag("LSTM", cell == Cell::Lstm).flag("GRU", cell == Cell::Gru))
}

/// What a step of a cell reads and writes.
pub struct CellViews<'a> {
    pub x: &'a View,
    /// The state's projection `[gates · width]`.
    pub projection: &'a View,
    pub hidden: &'a View,
    /// An LSTM's alone.
    pub memory: Option<&'a View>,
    pub y: &'a View,
}

/// One row: `x_row` of the inputs' projections, `y_row` of the results.
pub fn cell(
    ctx: &Context,
    cell: Cell,
    [x_row, y_row]: [&Tensor; 2],
    views: CellViews<'_>,
    place: &str,
) -> Result<Dispatch> {
    let first = ctx.numbers("rows of a cell", &[x_row.first, y_row.first])?.view();
    let CellViews { x, projection, hidden, memory, y } = views;
    let bound = [(0, Some(&first)), (1, Some(x)), (2, Some(projection)), (3, Some(hidden)), (4, Some(y)), (5, memory)];
    let views: Vec<_> = bound.into_iter().filter_map(|(at, view)| Some((at, view?))).collect();
    ctx.dispatch(&CELL, &cell_variant(cell, y_row.cols)?, &views, [y_row.cols.div_ceil(64) as u32, 1, 1], place)
}

pub fn pool_variant(how: Pooling, batch: usize, x: &Tensor) -> Result<Variant> {
    let variant = Variant::new(&[
        ("BATCH", Const::size(batch)?),
        ("ROWS", Const::size(x.rows / batch)?),
        ("COLS", Const::size(x.cols)?),
        ("FIRST", Const::size(x.first)?),
        ("STRIDE", Const::size(x.stride)?),
    ]);
    let flags = [("MEAN", Pooling::Mean), ("MAX", Pooling::Max), ("LAST", Pooling::Last)];
    Ok(flags.into_iter().fold(variant, |variant, (flag, its)| variant.flag(flag, how == its)))
}

/// `batch` members of `shape` and how many rows of each count → `y` `[batch, cols]`.
pub fn pool(
    ctx: &Context,
    (how, batch): (Pooling, usize),
    shape: &Tensor,
    [x, lengths, y]: [&View; 3],
    place: &str,
) -> Result<Dispatch> {
    let grid = [(batch * shape.cols).div_ceil(64) as u32, 1, 1];
    ctx.dispatch(&POOL, &pool_variant(how, batch, shape)?, &[(0, x), (1, lengths), (2, y)], grid, place)
}
