//! Grouped-query attention: over the caches split and reduced for one row, tiled for several; between values
//! always tiled, or row by row on a device made of software.

use crate::{
    Error, Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        program::{AttentionShape, Bound, Call, Leanings, Operands, STAND, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::Keys,
};

pub const SPLIT: Kernel = Kernel { name: "attention_split", source: include_str!("attention_split.wgsl") };
pub const LANES: Kernel = Kernel { name: "attention_lanes", source: include_str!("attention_lanes.wgsl") };
pub const REDUCE: Kernel = Kernel { name: "attention_reduce", source: include_str!("attention_reduce.wgsl") };
pub const ROWS: Kernel = Kernel { name: "attention_rows", source: include_str!("attention_rows.wgsl") };
pub const WEIGHTS: Kernel = Kernel { name: "attention_weights", source: include_str!("attention_weights.wgsl") };
pub const TILED: Kernel = Kernel { name: "attention_tiled", source: include_str!("attention_tiled.wgsl") };

/// Invocations of a split, and the keys it looks at together.
const THREADS: usize = 64;
/// At most so many splits: beyond it each takes several tiles.
const MOST_SPLITS: usize = 64;
/// On a device made of software: invocations a workgroup, few so that every core gets some, and splits of a head's keys.
const LANES_A_GROUP: usize = 8;
const LANES_SPLITS: usize = 8;
/// TILE_ROWS of the tiled kernel, and of the one that goes row by row.
const TILE_ROWS: usize = 16;
/// No key is as far from a query, and the sum of both is still a number of 32 bits.
const FARTHEST: usize = 1 << 30;
/// Products that one dispatch may make: more, and slow devices seem to hang to those who watch over them.
const MOST_PRODUCTS: u64 = 2 << 30;

impl AttentionShape {
    /// Flags and constants of what is seen, how far away, and what scores become.
    fn windowed(&self, mut variant: Variant) -> Result<Variant> {
        if let Some(window) = self.mask.window {
            variant.numbers.push(("WINDOW", Const::size(window.min(FARTHEST))?));
        }
        if let Some(zero) = self.zero {
            variant.numbers.push(("ZERO", Const::size(zero)?));
        }
        if let Some(cap) = self.softcap {
            variant.numbers.push(("CAP", Const::F32(cap)));
        }
        if self.placed {
            variant.constants.push(("PLACED", Const::size(self.rows)?));
        }
        let variant = variant.flag("PLACES", self.placed).flag("SLIDING", self.mask.window.is_some());
        let variant = variant.flag("MEMORY", self.mask.keys == Keys::Memory).flag("BIAS", self.zero.is_some());
        Ok(variant.flag("LENGTHS", self.lengths).flag("SOFTCAP", self.softcap.is_some()))
    }

    fn splits(&self) -> usize {
        let keys = self.mask.window.map_or(self.capacity, |window| window.min(self.capacity));
        keys.div_ceil(THREADS).clamp(1, MOST_SPLITS)
    }

    fn lanes_splits(&self) -> usize {
        self.splits().min(LANES_SPLITS)
    }

    /// 32-bit words between the two halves; 0 where there is but one.
    pub fn partial_words(&self) -> usize {
        let apart = self.mask.is_cached() && (self.rows == 1 || self.placed);
        if apart { self.rows * self.heads * self.splits() * (self.head_dim + 2) } else { 0 }
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

pub fn split_variant(shape: &AttentionShape) -> Result<Variant> {
    shape.windowed(
        Variant::new(&[
            ("THREADS", Const::size(THREADS)?),
            ("SHARE", Const::size(shape.share())?),
            ("HEAD_DIM", Const::size(shape.head_dim)?),
        ])
        .with_numbers(&[
            ("HEADS", Const::size(shape.heads)?),
            ("KV_HEADS", Const::size(shape.kv_heads)?),
            ("CAPACITY", Const::size(shape.capacity)?),
            ("SPLITS", Const::size(shape.splits())?),
            ("SCALE", Const::F32(shape.scale)),
        ])
        .flag("VEC4", shape.head_dim.is_multiple_of(4)),
    )
}

pub fn lanes_variant(shape: &AttentionShape) -> Result<Variant> {
    shape.windowed(
        Variant::new(&[("THREADS", Const::size(LANES_A_GROUP)?), ("HEAD_DIM", Const::size(shape.head_dim)?)])
            .with_numbers(&[
                ("HEADS", Const::size(shape.heads)?),
                ("KV_HEADS", Const::size(shape.kv_heads)?),
                ("CAPACITY", Const::size(shape.capacity)?),
                ("SPLITS", Const::size(shape.lanes_splits())?),
                ("SCALE", Const::F32(shape.scale)),
            ])
            .flag("VEC4", shape.head_dim.is_multiple_of(4)),
    )
}

/// Puts together what [`SPLIT`] left or, on `software`, [`LANES`].
pub fn reduce_variant(shape: &AttentionShape, software: bool) -> Result<Variant> {
    let (tile, splits) = if software { (1, shape.lanes_splits()) } else { (THREADS, shape.splits()) };
    let shape = &AttentionShape { zero: None, softcap: None, ..*shape };
    shape.windowed(Variant::new(&[("THREADS", Const::size(THREADS)?)]).with_numbers(&[
        ("TILE", Const::size(tile)?),
        ("SPLITS", Const::size(splits)?),
        ("HEADS", Const::size(shape.heads)?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
    ]))
}

/// `first_tile` is the first 16 rows of a dispatch between values.
pub fn tiled_variant(shape: &AttentionShape, operands: &Operands, first_tile: usize) -> Result<Variant> {
    let Operands { q, k, v } = operands;
    let windows = [q, k, v].map(|t| [t.first, t.stride]);
    let fours = shape.head_dim.is_multiple_of(4) && windows.as_flattened().iter().all(|n| n.is_multiple_of(4));
    let lanes = if fours { 4 } else { 1 };
    let mut variant = Variant::new(&[("HEAD_DIM", Const::size(shape.head_dim)?)]).with_numbers(&[
        ("ROWS", Const::size(shape.rows)?),
        ("HEADS", Const::size(shape.heads)?),
        ("KV_HEADS", Const::size(shape.kv_heads)?),
        ("CAPACITY", Const::size(shape.capacity)?),
        ("SCALE", Const::F32(shape.scale)),
    ]);
    let names = [("Q_FIRST", "Q_STRIDE"), ("K_FIRST", "K_STRIDE"), ("V_FIRST", "V_STRIDE")];
    for ((first, stride), window) in names.into_iter().zip(windows) {
        variant.numbers.push((first, Const::size(window[0] / lanes)?));
        variant.numbers.push((stride, Const::size(window[1] / lanes)?));
    }
    if !shape.mask.is_cached() {
        variant.numbers.push(("FIRST_TILE", Const::size(first_tile)?));
    }
    let variant = variant.flag("VEC4", fours).flag("BETWEEN", !shape.mask.is_cached());
    shape.windowed(variant.flag("FULL", !shape.mask.causal))
}

/// q, k and v where `operands` say in their views → y `[rows, heads · head_dim]`. `partial` holds [`AttentionShape::partial_words`] words where
/// there are some; then q, k and v have no gaps.
#[allow(clippy::too_many_arguments)]
pub fn attention(
    ctx: &Context,
    shape: &AttentionShape,
    operands: &Operands,
    [q, k, v]: [&View; 3],
    (bias, lengths): (Option<&View>, Option<&View>),
    partial: Option<&View>,
    y: &View,
    stand: &View,
    place: &str,
) -> Result<Vec<Dispatch>> {
    shape.check()?;
    if let Some(partial) = partial {
        let software = ctx.features().software;
        let bound: Vec<_> = [(STAND, stand), (1, q), (2, k), (3, v), (4, partial)]
            .into_iter()
            .chain(bias.map(|bias| (5, bias)))
            .collect();
        let split = if software {
            let grid = [(shape.heads * shape.lanes_splits()).div_ceil(LANES_A_GROUP) as u32, 1, shape.rows as u32];
            ctx.dispatch(&LANES, &lanes_variant(shape)?, &bound, grid, place)?
        } else {
            let grid = [shape.splits() as u32, (shape.heads / shape.share()) as u32, shape.rows as u32];
            ctx.dispatch(&SPLIT, &split_variant(shape)?, &bound, grid, place)?
        };
        let bound = [(STAND, stand), (1, partial), (2, y)];
        let reduce = ctx.dispatch(
            &REDUCE,
            &reduce_variant(shape, software)?,
            &bound,
            [shape.heads as u32, shape.rows as u32, 1],
            place,
        )?;
        return Ok(vec![split, reduce]);
    }
    let tiles = shape.rows.div_ceil(TILE_ROWS);
    let grid = |tiles: usize| [tiles as u32, shape.heads as u32, shape.batch as u32];
    if shape.mask.is_cached() {
        let bound: Vec<_> =
            [(STAND, stand), (1, q), (2, k), (3, v), (4, y)].into_iter().chain(bias.map(|bias| (5, bias))).collect();
        let variant = tiled_variant(shape, operands, 0)?;
        return Ok(vec![ctx.dispatch(&TILED, &variant, &bound, grid(tiles), place)?]);
    }
    let of_a_tile = [TILE_ROWS, shape.heads, shape.batch, shape.head_dim, 2, shape.capacity];
    let of_a_tile = of_a_tile.iter().fold(1u64, |all, n| all.saturating_mul(*n as u64));
    let at_once = (MOST_PRODUCTS / of_a_tile.max(1)).clamp(1, tiles as u64) as usize;
    let kernel = if ctx.features().software { &ROWS } else { &TILED };
    let mut dispatches = vec![];
    for first in (0..tiles).step_by(at_once) {
        let variant = tiled_variant(shape, operands, first)?;
        let more = bias.map(|bias| (5, bias)).into_iter().chain(lengths.map(|lengths| (6, lengths)));
        let bound: Vec<_> = [(1, q), (2, k), (3, v), (4, y)].into_iter().chain(more).collect();
        dispatches.push(ctx.dispatch(kernel, &variant, &bound, grid(at_once.min(tiles - first)), place)?);
    }
    Ok(dispatches)
}

/// How much each row takes from each key: q and k → y `[batch · heads · rows, capacity]`.
pub fn weights(shape: &AttentionShape, [q, k]: [&Tensor; 2], leanings: Leanings, y: StoreId) -> Result<Call> {
    shape.check()?;
    let variant = Variant::default().with_numbers(&[
        ("ROWS", Const::size(shape.rows)?),
        ("BATCH", Const::size(shape.batch)?),
        ("HEADS", Const::size(shape.heads)?),
        ("KV_HEADS", Const::size(shape.kv_heads)?),
        ("HEAD_DIM", Const::size(shape.head_dim)?),
        ("CAPACITY", Const::size(shape.capacity)?),
        ("SCALE", Const::F32(shape.scale)),
        ("Q_FIRST", Const::size(q.first)?),
        ("Q_STRIDE", Const::size(q.stride)?),
        ("K_FIRST", Const::size(k.first)?),
        ("K_STRIDE", Const::size(k.stride)?),
    ]);
    let between = !shape.mask.is_cached();
    let variant = shape.windowed(variant.flag("BETWEEN", between).flag("FULL", !shape.mask.causal))?;
    let bound = [
        (STAND, (!between).then_some(if shape.placed { Bound::Places } else { Bound::Step })),
        (1, Some(Bound::Read(q.store))),
        (2, Some(Bound::Read(k.store))),
        (3, Some(Bound::Write(y))),
        (5, leanings.bias.map(Bound::Read)),
        (6, leanings.lengths.map(Bound::Read)),
    ];
    let bound = bound.into_iter().filter_map(|(at, bound)| Some((at, bound?))).collect();
    let groups = (shape.batch * shape.heads * shape.rows).div_ceil(64);
    Ok(Call::new(WEIGHTS, variant, bound, [groups, 1, 1]))
}
