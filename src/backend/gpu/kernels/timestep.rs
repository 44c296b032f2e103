//! Timesteps of a diffusion as sines and cosines.

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "timestep", source: include_str!("timestep.wgsl") };

pub fn variant(batch: usize, columns: usize, max_period: f32, shift: f32, cosine_first: bool) -> Result<Variant> {
    let half = columns / 2;
    let step = f64::from(max_period).ln() / (half as f64 - f64::from(shift));
    let constants = [("BATCH", Const::size(batch)?), ("HALF", Const::size(half)?), ("STEP", Const::F32(step as f32))];
    Ok(Variant::new(&constants).flag("COSINE_FIRST", cosine_first))
}

/// Timesteps `[batch]` → y `[batch, columns]`.
pub fn timestep(
    ctx: &Context,
    (batch, columns): (usize, usize),
    variant: &Variant,
    t: &View,
    y: &View,
    place: &str,
) -> Result<Dispatch> {
    let groups = (batch * columns / 2).div_ceil(64) as u32;
    ctx.dispatch(&KERNEL, variant, &[(0, t), (1, y)], [groups, 1, 1], place)
}
