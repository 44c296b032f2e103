//! What happens to rows one by one or one after another: softmax, pooling, recurrent cells.

use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::{Cell, Pooling},
};

const SOFTMAX: Kernel = Kernel { name: "softmax", source: include_str!("softmax.wgsl") };
const POOL: Kernel = Kernel { name: "pool", source: include_str!("pool.wgsl") };
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

/// One step: row `x` of the inputs' projections and the state's `[gates · width]` → the state, an LSTM's memory, and row `y` of the
/// results.
pub fn cell(
    cell: Cell,
    [x, y]: [&Tensor; 2],
    projection: StoreId,
    (hidden, memory): (StoreId, Option<StoreId>),
) -> Result<Call> {
    let firsts = [("X_FIRST", Const::size(x.first)?), ("Y_FIRST", Const::size(y.first)?)];
    let variant = Variant::default().with_numbers(&firsts).with_numbers(&[("WIDTH", Const::size(y.cols)?)]);
    let variant = variant.flag("LSTM", cell == Cell::Lstm).flag("GRU", cell == Cell::Gru);
    let mut bound = vec![
        (1, Bound::Read(x.store)),
        (2, Bound::Read(projection)),
        (3, Bound::Write(hidden)),
        (4, Bound::Write(y.store)),
    ];
    bound.extend(memory.map(|memory| (5, Bound::Write(memory))));
    Ok(Call::new(CELL, variant, bound, [y.cols.div_ceil(64), 1, 1]))
}

/// Every path through these kernels, at sizes that stand for all.
pub fn every() -> Result<Vec<Call>> {
    let tensor = |rows, cols| Tensor { store: 0, first: 0, stride: cols, rows, cols };
    let mut all = vec![softmax(&tensor(4, 70), 1)?, softmax(&tensor(4, 2048), 1)?];
    for how in [Pooling::Mean, Pooling::Max, Pooling::First, Pooling::Last] {
        all.push(pool(how, 2, &tensor(8, 70), [1, 2])?);
    }
    for (kind, memory) in [(Cell::Lstm, Some(3)), (Cell::Gru, None), (Cell::Tanh, None)] {
        all.push(cell(kind, [&tensor(1, kind.gates() * 70), &tensor(1, 70)], 1, (2, memory))?);
    }
    Ok(all)
}
