//! Chooses the next token on the GPU, so that the next step need not wait for the page.

use crate::{
    Error, Result,
    backend::gpu::{
        program::{Bound, Call, StoreId, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "sample", source: include_str!("sample.wgsl") };

/// Each is ranked against all the others.
pub const MOST_ALTERNATIVES: usize = 256;

/// Tokens that an invocation looks through at most where there are few of them: lavapipe ends the loops of an invocation for good after
/// 65,536 turns together, and a choice goes through the vocabulary up to 27 times.
const MOST_FOR_ONE: usize = 2400;

/// On `software` the one workgroup is one core's anyway, and every invocation more makes its barriers dearer.
pub fn variant(vocabulary: usize, alternatives: usize, seeded: bool, software: bool) -> Result<Variant> {
    if alternatives > MOST_ALTERNATIVES || vocabulary == 0 {
        let why = format!("sample: {alternatives} alternatives of {vocabulary} tokens");
        return Err(Error::invalid_graph(format!("{why}: the GPU tells at most {MOST_ALTERNATIVES} of at least one")));
    }
    let enough = [16, 32, 64].into_iter().find(|threads| software && vocabulary <= *threads as usize * MOST_FOR_ONE);
    let threads = enough.unwrap_or(256);
    let mut variant = Variant::new(&[("THREADS", Const::U32(threads))]);
    if alternatives > 0 {
        variant.constants.push(("ALTERNATIVES", Const::size(alternatives)?));
    }
    let variant = variant.flag("ALTERNATIVES", alternatives > 0).flag("SEEDS", seeded);
    Ok(variant.with_numbers(&[("VOCABULARY", Const::size(vocabulary)?)]))
}

/// Chooses from `logits`, a workgroup a row; shapes as in [`crate::graph::Op::Sample`].
pub fn sample(
    software: bool,
    alternatives: usize,
    [logits, bias]: [&Tensor; 2],
    seeds: Option<StoreId>,
    [seen, token, record]: [&Tensor; 3],
) -> Result<Call> {
    let written = [seen, token, record].map(|tensor| Bound::Write(tensor.store));
    let bound = [Bound::Step, Bound::Read(logits.store), Bound::Read(bias.store)].into_iter().chain(written);
    let bound = (0..).zip(bound.chain(seeds.map(Bound::Read))).collect();
    let variant = variant(logits.cols, alternatives, seeds.is_some(), software)?;
    Ok(Call::new(KERNEL, variant, bound, [logits.rows, 1, 1]))
}
