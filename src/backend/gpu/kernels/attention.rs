//! Grouped-query attention over the caches: split and reduced for one row, tiled for several.

use crate::{
    Error, Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        wgsl::{Const, Kernel, Variant},
    },
};

pub const SPLIT: Kernel = Kernel { name: "attention_split", source: include_str!("attention_split.wgsl") };
pub const LANES: Kernel = Kernel { name: "attention_lanes", source: include_str!("attention_lanes.wgsl") };
pub const REDUCE: Kernel = Kernel { name: "attention_reduce", source: include_str!("attention_reduce.wgsl") };
pub const TILED: Kernel = Kernel { name: "attention_tiled", source: include_str!("attention_tiled.wgsl") };

/// Invocations of a split, and the keys it looks at together.
const THREADS: usize = 64;
/// At most so many splits: beyond it each takes several tiles.
const MOST_SPLITS: usize = 64;
/// On a device made of software: invocations a workgroup, few so that every core gets some, and splits of a head's keys.
const LANES_A_GROUP: usize = 8;
const LANES_SPLITS: usize = 8;
/// TILE_ROWS of the tiled kernel.
const TILE_ROWS: usize = 16;

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub capacity: usize,
    pub scale: f32,
}

impl Shape {
    fn splits(&self) -> usize {
        self.capacity.div_ceil(THREADS).clamp(1, MOST_SPLITS)
    }

    fn lanes_splits(&self) -> usize {
        self.splits().min(LANES_SPLITS)
    }

    /// 32-bit words between the two halves; 0 where there is but one.
    pub fn partial_words(&self) -> usize {
        if self.rows == 1 { self.heads * self.splits() * (self.head_dim + 2) } else { 0 }
    }

    /// How many of the query heads of a key head one workgroup takes: what fits its memory and registers.
    fn share(&self) -> usize {
        let group = self.heads / self.kv_heads;
        (1..=group.min(8)).rev().find(|n| group.is_multiple_of(*n) && n * self.head_dim <= 1024).unwrap_or(1)
    }

    fn check(&self) -> Result<()> {
        if self.head_dim > 1024 || self.capacity == 0 {
            let why = format!("attention with heads of {} over {} keys", self.head_dim, self.capacity);
            return Err(Error::invalid_graph(format!("{why}: the GPU takes heads up to 1024 and at least one key")));
        }
        Ok(())
    }
}

pub fn split_variant(shape: &Shape) -> Result<Variant> {
    Ok(Variant::new(&[
        ("THREADS", Const::size(THREADS)?),
        ("HEADS", Const::size(shape.heads)?),
        ("KV_HEADS", Const::size(shape.kv_heads)?),
        ("SHARE", Const::size(shape.share())?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
        ("SPLITS", Const::size(shape.splits())?),
        ("SCALE", Const::F32(shape.scale)),
    ])
    .flag("VEC4", shape.head_dim.is_multiple_of(4)))
}

pub fn lanes_variant(shape: &Shape) -> Result<Variant> {
    Ok(Variant::new(&[
        ("THREADS", Const::size(LANES_A_GROUP)?),
        ("HEADS", Const::size(shape.heads)?),
        ("KV_HEADS", Const::size(shape.kv_heads)?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
        ("SPLITS", Const::size(shape.lanes_splits())?),
        ("SCALE", Const::F32(shape.scale)),
    ])
    .flag("VEC4", shape.head_dim.is_multiple_of(4)))
}

/// Puts together what [`SPLIT`] left or, on `software`, [`LANES`].
pub fn reduce_variant(shape: &Shape, software: bool) -> Result<Variant> {
    let (tile, splits) = if software { (1, shape.lanes_splits()) } else { (THREADS, shape.splits()) };
    Ok(Variant::new(&[
        ("THREADS", Const::size(THREADS)?),
        ("TILE", Const::size(tile)?),
        ("SPLITS", Const::size(splits)?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
    ]))
}

pub fn tiled_variant(shape: &Shape) -> Result<Variant> {
    Ok(Variant::new(&[
        ("ROWS", Const::size(shape.rows)?),
        ("HEADS", Const::size(shape.heads)?),
        ("KV_HEADS", Const::size(shape.kv_heads)?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
        ("SCALE", Const::F32(shape.scale)),
    ])
    .flag("VEC4", shape.head_dim.is_multiple_of(4)))
}

/// q `[rows, heads · head_dim]`, k and v `[capacity, kv_heads · head_dim]` → y like q. `partial` holds
/// [`Shape::partial_words`] words where there is one row.
#[allow(clippy::too_many_arguments)]
pub fn attention(
    ctx: &Context,
    shape: &Shape,
    q: &View,
    k: &View,
    v: &View,
    partial: Option<&View>,
    y: &View,
    step: &View,
    place: &str,
) -> Result<Vec<Dispatch>> {
    shape.check()?;
    if let Some(partial) = partial {
        let software = ctx.features().software;
        let bound = [(0, step), (1, q), (2, k), (3, v), (4, partial)];
        let split = if software {
            let grid = [(shape.heads * shape.lanes_splits()).div_ceil(LANES_A_GROUP) as u32, 1, 1];
            ctx.dispatch(&LANES, &lanes_variant(shape)?, &bound, grid, place)?
        } else {
            let grid = [shape.splits() as u32, (shape.heads / shape.share()) as u32, 1];
            ctx.dispatch(&SPLIT, &split_variant(shape)?, &bound, grid, place)?
        };
        let bound = [(0, step), (1, partial), (2, y)];
        let reduce =
            ctx.dispatch(&REDUCE, &reduce_variant(shape, software)?, &bound, [shape.heads as u32, 1, 1], place)?;
        return Ok(vec![split, reduce]);
    }
    let grid = [shape.rows.div_ceil(TILE_ROWS) as u32, shape.heads as u32, 1];
    let bound = [(0, step), (1, q), (2, k), (3, v), (4, y)];
    Ok(vec![ctx.dispatch(&TILED, &tiled_variant(shape)?, &bound, grid, place)?])
}
