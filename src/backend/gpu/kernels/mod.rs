//! The kernels: one `.wgsl` a kernel, its `.rs` beside it. A kernel's `.rs` knows its constants, its bindings and its grid.

pub mod attention;
pub mod elementwise;
pub mod linear;
pub mod norm;
pub mod rms_norm;
pub mod rope_cache;
pub mod rows;
pub mod sample;
pub mod step;
pub mod timestep;
pub mod unary;

use elementwise::{Function, Source};

use super::{
    Device,
    adapters::ADAPTERS,
    features::Features,
    program::{AttentionShape, Leanings, Operands, Rotary, Tensor},
    wgsl::{Kernel, Variant, render},
};
use crate::{
    Error, Result,
    graph::{Binary, Mask, RopeLayout, Unary},
};

/// Every path through every kernel that a device with `features` may take, at sizes that stand for all.
pub fn all_variants(features: Features) -> Result<Vec<(Kernel, Variant)>> {
    let mut all: Vec<(Kernel, Variant)> =
        linear::variants(features).into_iter().map(|(kernel, variant)| (*kernel, variant)).collect();

    let norm = rms_norm::Shape { rows: 1, groups: 1, width: 576, first: 0, stride: 576, eps: 1e-5, residual: None };
    let added = rms_norm::Shape { residual: Some([0, 576]), ..norm };
    for subgroups in [false, true] {
        if !subgroups || features.subgroups {
            for shape in [norm, rms_norm::Shape { width: 2048, ..norm }, added] {
                all.push((rms_norm::KERNEL, rms_norm::variant(subgroups, &shape)?));
            }
        }
    }

    let tensor = |rows, cols| Tensor { store: 0, first: 0, stride: cols, rows, cols };
    for cols in [64, 70] {
        let operand = |rows| Some(Tensor { first: cols, stride: 3 * cols, ..tensor(rows, cols) });
        let mut shapes = vec![
            elementwise::Shape::of(Function::Copy, [operand(4), None, None], Source::Selected, tensor(1, cols)),
            elementwise::Shape::of(
                Function::Copy,
                [operand(6), None, None],
                Source::Upsampled { width: 6, factor: 2 },
                tensor(24, cols),
            ),
            elementwise::Shape::of(
                Function::Copy,
                [operand(6), None, None],
                Source::Cropped { from: [2, 3], to: [1, 2] },
                tensor(2, cols),
            ),
        ];
        let unary = unary::EVERY.map(|f| (Function::Unary(f), 0));
        let more = [
            (Function::Copy, 0),
            (Function::Binary(Binary::Add), 4),
            (Function::Binary(Binary::Add), 2),
            (Function::Binary(Binary::Sub), 4),
            (Function::Binary(Binary::Sub), 2),
            (Function::Binary(Binary::Mul), 4),
            (Function::Binary(Binary::Mul), 2),
            (Function::Binary(Binary::Div), 4),
            (Function::Binary(Binary::Div), 2),
            (Function::SiluMul, 4),
            (Function::Modulate, 2),
            (Function::ScaleShift(None), 2),
            (Function::ScaleShift(Some(Unary::Silu)), 2),
        ];
        for (function, members) in unary.into_iter().chain(more) {
            let b = if members > 0 { operand(members) } else { None };
            let ternary = matches!(function, Function::Modulate | Function::ScaleShift(_));
            let c = if ternary { b } else { None };
            shapes.push(elementwise::Shape::of(function, [operand(4), b, c], Source::Same, tensor(4, cols)));
        }
        for shape in shapes {
            all.push((elementwise::KERNEL, elementwise::variant(&shape)?));
        }
    }
    all.extend(rows::every()?.into_iter().map(|call| (call.kernel, call.variant)));
    all.push((timestep::KERNEL, timestep::variant(2, 320, 10_000.0, 0.0, true)?));

    for subgroups in [false, true] {
        if !subgroups || features.subgroups {
            let shape = norm::Shape::of_rows(&tensor(77, 768), 1e-5);
            let plain = norm::Affine::default();
            let whole = norm::Affine { weight: true, bias: true };
            all.push((norm::KERNEL, norm::variant(subgroups, &shape, plain, None)?));
            all.push((norm::KERNEL, norm::variant(subgroups, &shape, whole, None)?));
            let shape = norm::Shape::of_groups(&tensor(512, 320), 32, 2, 1e-5);
            all.push((norm::KERNEL, norm::variant(subgroups, &shape, whole, Some(Unary::Silu))?));
            all.push((norm::COLUMNS, norm::columns_variant(&shape)?));
            all.push((norm::FOLD, norm::fold_variant(subgroups, &shape)?));
        }
    }

    let rotary = |factors, layout| Rotary {
        head_dim: 64,
        rotary_dim: 48,
        base: 10_000.0,
        frequency_scale: 1.0,
        magnitude: 1.0,
        factors,
        layout,
    };
    let (q, k, cache) = (tensor(1, 576), tensor(1, 192), tensor(128, 192));
    let whole = rope_cache::Parts { q: Some((q, q)), k: Some((k, cache)), v: Some((k, cache)) };
    let turn = rope_cache::Parts { k: None, v: None, ..whole };
    let write = rope_cache::Parts { q: None, k: None, ..whole };
    for factors in [None, Some(crate::graph::WeightId(0))] {
        for layout in [RopeLayout::Interleaved, RopeLayout::HalfSplit] {
            for parts in [whole, turn] {
                all.push((
                    rope_cache::KERNEL,
                    rope_cache::variant(Some(&rotary(factors, layout)), None, None, &parts)?.0,
                ));
            }
        }
    }
    let halves = rotary(None, RopeLayout::HalfSplit);
    all.push((rope_cache::KERNEL, rope_cache::variant(Some(&halves), Some(1e-6), None, &whole)?.0));
    for parts in [write, rope_cache::Parts { q: None, ..whole }] {
        all.push((rope_cache::KERNEL, rope_cache::variant(None, None, None, &parts)?.0));
    }

    for slots in [None, Some(4)] {
        all.push((rope_cache::KERNEL, rope_cache::variant(Some(&halves), Some(1e-6), slots, &whole)?.0));
        all.push((rope_cache::KERNEL, rope_cache::variant(None, None, slots, &write)?.0));
    }
    let heads = AttentionShape {
        rows: 1,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        capacity: 2048,
        scale: 0.125,
        softcap: None,
        mask: Mask::CACHED,
        batch: 1,
        zero: None,
        lengths: false,
        placed: false,
    };
    for (head_dim, alone) in
        [(63, Mask::CACHED), (64, Mask::CACHED), (256, Mask::CACHED), (256, Mask::CACHED.within(Some(512)))]
    {
        let shape = AttentionShape { head_dim, mask: alone, ..heads };
        all.push((attention::SPLIT, attention::split_variant(&shape)?));
        all.push((attention::LANES, attention::lanes_variant(&shape)?));
        for software in [false, true] {
            all.push((attention::REDUCE, attention::reduce_variant(&shape, software)?));
        }
        let (q, kv) = (tensor(128, 9 * head_dim), tensor(2048, 3 * head_dim));
        for mask in [alone, Mask::CAUSAL, Mask::FULL, Mask::CAUSAL.within(Some(9)), Mask::FULL.within(Some(9))] {
            let shape = AttentionShape { rows: 128, mask, ..shape };
            let operands = Operands { q, k: kv, v: kv };
            let variant = attention::tiled_variant(&shape, &operands, 0)?;
            if !mask.is_cached() {
                all.push((attention::ROWS, variant.clone()));
            }
            all.push((attention::TILED, variant));
        }
    }
    // With a bias, over what was stored, and with members of several lengths.
    let (q, kv) = (tensor(128, 9 * 64), tensor(2048, 3 * 64));
    let operands = Operands { q, k: kv, v: kv };
    let biased = AttentionShape { zero: Some(2047), softcap: Some(50.0), ..heads };
    let placed = AttentionShape { placed: true, rows: 5, ..biased };
    let call = attention::weights(&placed, [&q, &kv], Leanings { bias: Some(3), lengths: None }, 2)?;
    all.push((call.kernel, call.variant));
    for shape in [biased, placed, AttentionShape { mask: Mask::MEMORY, ..heads }] {
        all.push((attention::SPLIT, attention::split_variant(&shape)?));
        all.push((attention::LANES, attention::lanes_variant(&shape)?));
        for software in [false, true] {
            all.push((attention::REDUCE, attention::reduce_variant(&shape, software)?));
        }
        // Placed rows go one by one.
        if !shape.placed {
            let shape = AttentionShape { rows: 128, ..shape };
            all.push((attention::TILED, attention::tiled_variant(&shape, &operands, 0)?));
        }
    }
    let leanings = Leanings { bias: Some(3), lengths: Some(4) };
    for mask in [Mask::CAUSAL, Mask::FULL] {
        let shape = AttentionShape { rows: 128, mask, lengths: true, ..biased };
        for kernel in [attention::ROWS, attention::TILED] {
            all.push((kernel, attention::tiled_variant(&shape, &operands, 0)?));
        }
        let call = attention::weights(&shape, [&q, &kv], leanings, 2)?;
        all.push((call.kernel, call.variant));
    }
    let call = attention::weights(&AttentionShape { rows: 128, ..heads }, [&q, &kv], Leanings::default(), 2)?;
    all.push((call.kernel, call.variant));
    for alternatives in [0, 1, 20] {
        for software in [false, true] {
            for seeded in [false, true] {
                all.push((sample::KERNEL, sample::variant(49_152, alternatives, seeded, software)?));
            }
        }
    }
    Ok(all)
}

/// What any of the [`ADAPTERS`] may take, each once.
pub fn every_variant() -> Result<Vec<(Kernel, Variant)>> {
    let (mut all, mut known) = (vec![], std::collections::HashSet::new());
    for adapter in ADAPTERS {
        let variants = all_variants(adapter.features)?;
        all.extend(variants.into_iter().filter(|(kernel, variant)| known.insert(variant.key(kernel))));
    }
    Ok(all)
}

/// Has the text of every variant of every adapter compiled on `device` and returns their names, those with subgroups only where it has some:
/// browsers refuse shaders that naga takes, and the other way. Pipelines are left to the models that use them: a software adapter takes half a
/// second for each.
///
/// # Errors
/// Names the first kernel that was refused, and what the compiler said.
pub async fn compile_all(device: &Device) -> Result<Vec<String>> {
    let context = device.context();
    let mut names = vec![];
    for (kernel, variant) in every_variant()? {
        if variant.flags.contains(&"SUBGROUPS") && !context.features().subgroups {
            continue;
        }
        let name = variant.key(&kernel);
        let watch = context.watch();
        let made = context.module(&kernel, &variant);
        let refused = |error: Error| Error::internal(format!("kernel {name}: {error}"));
        watch.check().await.map_err(refused)?;
        made.map_err(refused)?;
        names.push(name);
    }
    Ok(names)
}

/// The final text of every variant with its name, for tools that compile them elsewhere.
pub fn sources() -> Result<Vec<(String, String)>> {
    every_variant()?.iter().map(|(kernel, variant)| Ok((variant.key(kernel), render(kernel, variant)?))).collect()
}

/// Of the pipelines that a device has made, those that read a weight or end a product in a way that no variant of [`every_variant`] does. How a
/// product ends depends on nothing that comes before.
#[cfg(test)]
pub fn unlisted(device: &Device) -> Vec<String> {
    const ENDS: [&str; 9] =
        ["BIAS", "GAIN", "RESIDUAL", "SHARED", "IN_PLACE", "GATED", "GATE_LAST", "ACTIVATION", "UNARY"];
    let functions = unary::EVERY.map(|f| unary::with(Variant::default(), f).flags[1]);
    let ends = |word: &&str| ENDS.contains(word) || functions.contains(word);
    let halves = |name: &str| {
        let mut words = name.split(' ').filter(|word| !word.contains('='));
        let kernel = words.next().unwrap_or_default();
        let (ending, reading): (Vec<_>, Vec<_>) = words.partition(ends);
        [format!("{kernel} reads {reading:?}"), format!("{kernel} ends {ending:?}")]
    };
    let every = every_variant().expect("variants");
    let listed: std::collections::HashSet<_> =
        every.iter().flat_map(|(kernel, variant)| halves(&variant.key(kernel))).collect();
    device
        .context()
        .pipelines()
        .names()
        .into_iter()
        .filter(|name| !halves(name).iter().all(|half| listed.contains(half)))
        .collect()
}
