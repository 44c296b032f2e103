//! Norms and turns q and k, and writes k and v into their caches.

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        program::{Rotary, STAND, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::RopeLayout,
};

pub const KERNEL: Kernel = Kernel { name: "rope_cache", source: include_str!("rope_cache.wgsl") };

const THREADS: u32 = 64;

/// The parts at hand: where each comes from and where it goes. q comes with a rotary alone.
#[derive(Debug, Clone, Copy)]
pub struct Parts<T> {
    pub q: Option<(T, T)>,
    pub k: Option<(T, T)>,
    pub v: Option<(T, T)>,
}

/// `base^(-2i / rotary_dim) · scale` for each pair, in f32 as the other backend has it.
pub fn frequencies(rotary: &Rotary) -> Vec<f32> {
    (0..rotary.rotary_dim / 2)
        .map(|i| {
            let exponent = -2.0 * i as f64 / rotary.rotary_dim as f64;
            (rotary.base as f64).powf(exponent) as f32 * rotary.frequency_scale
        })
        .collect()
}

/// The variant, and how many workgroups a row takes. `norm` is the epsilon of the heads' norms, which come with a rotary alone.
/// `slots` are those of the caches where rows are placed.
pub fn variant(
    rotary: Option<&Rotary>,
    norm: Option<f32>,
    slots: Option<usize>,
    parts: &Parts<Tensor>,
) -> Result<(Variant, u32)> {
    let rows = [parts.q, parts.k, parts.v].into_iter().flatten().map(|p| p.0.rows).max().unwrap_or(0);
    let capacity = [parts.k, parts.v].into_iter().flatten().map(|p| p.1.rows).min().unwrap_or(u32::MAX as usize);
    let mut constants = vec![("THREADS", Const::U32(THREADS))];
    let capacity = capacity / slots.unwrap_or(1);
    let mut numbers = vec![("ROWS", Const::size(rows)?), ("CAPACITY", Const::size(capacity)?)];
    if slots.is_some() {
        constants.push(("PLACED", Const::size(rows)?));
    }
    let mut units = 0;
    // Without a rotary a row of k is as good as one head.
    let head_dim = rotary.map(|r| r.head_dim).or(parts.k.map(|k| k.0.cols)).unwrap_or(1).max(1);
    let mut head_units = head_dim;
    if let Some(rotary) = rotary {
        constants.push(("ROTARY_DIM", Const::size(rotary.rotary_dim)?));
        numbers.push(("MAGNITUDE", Const::F32(rotary.magnitude)));
        head_units -= rotary.rotary_dim / 2;
    }
    let has_heads = parts.q.is_some() || parts.k.is_some();
    if has_heads {
        constants.push(("HEAD_DIM", Const::size(head_dim)?));
    }
    if let Some(eps) = norm {
        numbers.push(("EPS", Const::F32(eps)));
    }
    if let Some((q, _)) = &parts.q {
        numbers.extend([("Q_FIRST", Const::size(q.first)?), ("Q_STRIDE", Const::size(q.stride)?)]);
        numbers.push(("Q_HEADS", Const::size(q.cols / head_dim)?));
        units += q.cols / head_dim * head_units;
    }
    if let Some((k, _)) = &parts.k {
        numbers.extend([("K_FIRST", Const::size(k.first)?), ("K_STRIDE", Const::size(k.stride)?)]);
        numbers.push(("K_HEADS", Const::size(k.cols / head_dim)?));
        units += k.cols / head_dim * head_units;
    }
    if let Some((v, _)) = &parts.v {
        numbers.extend([("V_FIRST", Const::size(v.first)?), ("V_STRIDE", Const::size(v.stride)?)]);
        numbers.push(("V_WIDTH", Const::size(v.cols)?));
        units += v.cols;
    }
    let variant = Variant::new(&constants)
        .with_numbers(&numbers)
        .flag("PLACES", slots.is_some())
        .flag("Q", parts.q.is_some())
        .flag("K", parts.k.is_some())
        .flag("V", parts.v.is_some())
        .flag("HEADS", has_heads)
        .flag("NORM", norm.is_some())
        .flag("ROTARY", rotary.is_some())
        .flag("FACTORS", rotary.is_some_and(|r| r.factors.is_some()))
        .flag("HALF_SPLIT", rotary.is_some_and(|r| r.layout == RopeLayout::HalfSplit));
    Ok((variant, units.div_ceil(THREADS as usize) as u32))
}

/// `tables` are the frequencies and, where there are any, the factors; `norm` holds the weights for q and k and an epsilon. Where rows are
/// placed they stand so, and the caches have so many slots.
#[allow(clippy::too_many_arguments)]
pub fn rope_cache(
    ctx: &Context,
    rotary: Option<&Rotary>,
    shapes: &Parts<Tensor>,
    views: &Parts<View>,
    tables: (Option<&View>, Option<&View>),
    norm: Option<([&View; 2], f32)>,
    (stand, slots): (&View, Option<usize>),
    place: &str,
) -> Result<Dispatch> {
    let (variant, groups) = variant(rotary, norm.map(|(_, eps)| eps), slots, shapes)?;
    let mut bound = vec![(STAND, stand)];
    for (part, from, to) in [(&views.q, 1, 6), (&views.k, 2, 7), (&views.v, 3, 8)] {
        if let Some((source, target)) = part {
            bound.extend([(from, source), (to, target)]);
        }
    }
    bound.extend(tables.0.map(|t| (4, t)));
    bound.extend(tables.1.map(|t| (5, t)));
    if let Some(([q, k], _)) = norm {
        bound.extend([(9, q), (10, k)]);
    }
    let rows = [shapes.q, shapes.k, shapes.v].into_iter().flatten().map(|p| p.0.rows).max().unwrap_or(0);
    ctx.dispatch(&KERNEL, &variant, &bound, [groups, rows as u32, 1], place)
}
