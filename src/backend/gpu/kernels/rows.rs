//! What happens to rows one by one or one after another: softmax, pooling, recurrent cells, state spaces, causal convolutions.

use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, STAND, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::{Cell, Pooling, WeightId},
};

const SOFTMAX: Kernel = Kernel { name: "softmax", source: include_str!("softmax.wgsl") };
const POOL: Kernel = Kernel { name: "pool", source: include_str!("pool.wgsl") };
const CAUSAL_CONV: Kernel = Kernel { name: "causal_conv", source: include_str!("causal_conv.wgsl") };
const COPY_SLOTS: Kernel = Kernel { name: "copy_slots", source: include_str!("copy_slots.wgsl") };
const SELECTIVE_SCAN: Kernel = Kernel { name: "selective_scan", source: include_str!("selective_scan.wgsl") };
const DELTA_RULE: Kernel = Kernel { name: "delta_rule", source: include_str!("delta_rule.wgsl") };
const CELL: Kernel = Kernel { name: "cell", source: include_str!("cell.wgsl") };

/// Rows of `x` → `y` `[rows, cols]`.
pub fn softmax(x: &Tensor, y: StoreId) -> Result<Call> {
    let variant = Variant::new(&[("THREADS", Const::U32(if x.cols > 1024 { 256 } else { 64 }))]).with_numbers(&[
        ("ROWS", Const::size(x.rows)?),
        ("COLS", Const::size(x.cols)?),
        ("FIRST", Const::size(x.first)?),
        ("STRIDE", Const::size(x.stride)?),
    ]);
    let bound = vec![(0, Bound::Read(x.store)), (1, Bound::Write(y))];
    Ok(Call::new(SOFTMAX, variant, bound, [x.rows, 1, 1]).in_lines())
}

/// `batch` members of `x` and how many rows of each count → `y` `[batch, cols]`.
pub fn pool(how: Pooling, batch: usize, x: &Tensor, [lengths, y]: [StoreId; 2]) -> Result<Call> {
    let variant = Variant::default().with_numbers(&[
        ("BATCH", Const::size(batch)?),
        ("ROWS", Const::size(x.rows / batch)?),
        ("COLS", Const::size(x.cols)?),
        ("FIRST", Const::size(x.first)?),
        ("STRIDE", Const::size(x.stride)?),
    ]);
    let flags = [("MEAN", Pooling::Mean), ("MAX", Pooling::Max), ("LAST", Pooling::Last)];
    let variant = flags.into_iter().fold(variant, |variant, (flag, its)| variant.flag(flag, how == its));
    let bound = vec![(0, Bound::Read(x.store)), (1, Bound::Read(lengths)), (2, Bound::Write(y))];
    Ok(Call::new(POOL, variant, bound, [(batch * x.cols).div_ceil(64), 1, 1]))
}

/// One step: row `r` of each sequence's projections `x` and the states' `[batch, gates · width]` → the states, an LSTM's memories, and row
/// `r` of each sequence's results `y`.
pub fn cell(
    cell: Cell,
    r: usize,
    [x, y]: [&Tensor; 2],
    (projection, (hidden, memory)): (&Tensor, (StoreId, Option<StoreId>)),
) -> Result<Call> {
    let batch = projection.rows;
    let t = y.rows / batch;
    let variant = Variant::default().with_numbers(&[
        ("BATCH", Const::size(batch)?),
        ("WIDTH", Const::size(y.cols)?),
        ("X_FIRST", Const::size(x.first + r * x.stride)?),
        ("X_STRIDE", Const::size(t * x.stride)?),
        ("Y_FIRST", Const::size(y.first + r * y.stride)?),
        ("Y_STRIDE", Const::size(t * y.stride)?),
    ]);
    let variant = variant.flag("LSTM", cell == Cell::Lstm).flag("GRU", cell == Cell::Gru);
    let mut bound = vec![
        (1, Bound::Read(x.store)),
        (2, Bound::Read(projection.store)),
        (3, Bound::Write(hidden)),
        (4, Bound::Write(y.store)),
    ];
    bound.extend(memory.map(|memory| (5, Bound::Write(memory))));
    Ok(Call::new(CELL, variant, bound, [(batch * y.cols).div_ceil(64), 1, 1]))
}

/// The last `width` rows of `x` up to each of `y`'s own, column by column, by a weight and a bias → `y`. `cached`: x is a cache, where rows stand in slots if
/// there are any; else the rows before those of the step come first.
pub fn causal_conv(
    width: usize,
    cached: Option<Option<usize>>,
    x: &Tensor,
    (weight, bias): (WeightId, Option<WeightId>),
    y: &Tensor,
) -> Result<Call> {
    let slots = cached.flatten();
    let placed = slots.map(|_| Ok(("PLACED", Const::size(y.rows)?))).transpose()?;
    let variant = Variant::new(placed.as_slice()).with_numbers(&[
        ("ROWS", Const::size(y.rows)?),
        ("COLS", Const::size(y.cols)?),
        ("CAPACITY", Const::size(x.rows / slots.unwrap_or(1))?),
        ("WIDTH", Const::size(width)?),
    ]);
    let flags = [("BIAS", bias.is_some()), ("CACHED", cached.is_some()), ("PLACES", slots.is_some())];
    let variant = flags.into_iter().fold(variant, |variant, (flag, its)| variant.flag(flag, its));
    let stand = if slots.is_some() { Bound::Places } else { Bound::Step };
    let mut bound = vec![(0, Bound::Read(x.store)), (1, Bound::Vector(weight)), (3, Bound::Write(y.store))];
    bound.extend(cached.map(|_| (STAND, stand)));
    bound.extend(bias.map(|bias| (2, Bound::Vector(bias))));
    Ok(Call::new(CAUSAL_CONV, variant, bound, [(y.rows * y.cols).div_ceil(64), 1, 1]).in_lines())
}

/// Rows of x, steps and ends through the state → `y` `[rows, cols]`, by the weights `a` and `skip`.
pub fn selective_scan(
    [a, skip]: [WeightId; 2],
    [x, steps, ends]: [&Tensor; 3],
    state: &Tensor,
    y: StoreId,
) -> Result<Call> {
    let mut numbers = vec![("ROWS", Const::size(x.rows)?), ("COLS", Const::size(x.cols)?)];
    let names = [("X_FIRST", "X_STRIDE"), ("STEPS_FIRST", "STEPS_STRIDE"), ("ENDS_FIRST", "ENDS_STRIDE")];
    for ((first, stride), of) in names.into_iter().zip([x, steps, ends]) {
        numbers.extend([(first, Const::size(of.first)?), (stride, Const::size(of.stride)?)]);
    }
    let variant = Variant::new(&[("STATES", Const::size(state.cols)?)]).with_numbers(&numbers);
    let bound = vec![
        (0, Bound::Read(x.store)),
        (1, Bound::Read(steps.store)),
        (2, Bound::Read(ends.store)),
        (3, Bound::Vector(a)),
        (4, Bound::Vector(skip)),
        (5, Bound::Write(state.store)),
        (6, Bound::Write(y)),
    ];
    Ok(Call::new(SELECTIVE_SCAN, variant, bound, [x.cols.div_ceil(64), 1, 1]))
}

/// r, w, k, v, a and b through the state `[cols, head]` → `y` `[rows, cols]`.
pub fn delta_rule(inputs: &[StoreId], state: &Tensor, y: &Tensor) -> Result<Call> {
    let variant = Variant::new(&[("HEAD", Const::size(state.cols)?)])
        .with_numbers(&[("ROWS", Const::size(y.rows)?), ("COLS", Const::size(y.cols)?)]);
    let mut bound: Vec<_> = (0..).zip(inputs.iter().map(|store| Bound::Read(*store))).collect();
    bound.extend([(6, Bound::Write(state.store)), (7, Bound::Write(y.store))]);
    Ok(Call::new(DELTA_RULE, variant, bound, [y.cols / state.cols, 1, 1]))
}

/// Slots of `cache` become copies of one another, as `copies` `[slots, 2]` say.
pub fn copy_slots(slots: usize, cache: &Tensor, copies: StoreId) -> Result<Call> {
    let capacity = cache.rows / slots;
    let variant = Variant::new(&[("SLOTS", Const::size(slots)?)])
        .with_numbers(&[("CAPACITY", Const::size(capacity)?), ("COLS", Const::size(cache.cols)?)]);
    let bound = vec![(0, Bound::Write(cache.store)), (1, Bound::Read(copies))];
    Ok(Call::new(COPY_SLOTS, variant, bound, [(capacity * cache.cols).div_ceil(64), 1, 1]).in_lines())
}

/// Every path through these kernels, at sizes that stand for all.
pub fn every() -> Result<Vec<Call>> {
    let tensor = |rows, cols| Tensor { store: 0, first: 0, stride: cols, rows, cols };
    let mut all = vec![softmax(&tensor(4, 70), 1)?, softmax(&tensor(4, 2048), 1)?];
    for how in [Pooling::Mean, Pooling::Max, Pooling::First, Pooling::Last] {
        all.push(pool(how, 2, &tensor(8, 70), [1, 2])?);
    }
    for (kind, memory) in [(Cell::Lstm, Some(3)), (Cell::Gru, None), (Cell::Tanh, None)] {
        let x = tensor(6, kind.gates() * 70);
        all.push(cell(kind, 1, [&x, &tensor(6, 70)], (&Tensor { rows: 2, ..x }, (2, memory)))?);
    }
    all.push(copy_slots(4, &tensor(64, 70), 1)?);
    for cached in [None, Some(None), Some(Some(4))] {
        for bias in [None, Some(WeightId(1))] {
            all.push(causal_conv(3, cached, &tensor(64, 70), (WeightId(0), bias), &tensor(5, 70))?);
        }
    }
    let (weights, x) = ([WeightId(0), WeightId(1)], tensor(5, 70));
    all.push(delta_rule(
        &[0, 1, 2, 3, 4, 5],
        &Tensor { store: 6, ..tensor(128, 64) },
        &Tensor { store: 7, ..tensor(5, 128) },
    )?);
    all.push(selective_scan(weights, [&x, &x, &tensor(5, 32)], &tensor(70, 16), 1)?);
    Ok(all)
}
