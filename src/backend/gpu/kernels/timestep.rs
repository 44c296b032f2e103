//! Timesteps of a diffusion as sines and cosines.

use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "timestep", source: include_str!("timestep.wgsl") };

pub fn variant(batch: usize, columns: usize, max_period: f32, shift: f32, cosine_first: bool) -> Result<Variant> {
    let half = columns / 2;
    let step = f64::from(max_period).ln() / (half as f64 - f64::from(shift));
    let numbers = [("BATCH", Const::size(batch)?), ("HALF", Const::size(half)?), ("STEP", Const::F32(step as f32))];
    Ok(Variant::default().with_numbers(&numbers).flag("COSINE_FIRST", cosine_first))
}

/// Timesteps `[batch]` → y `[batch, columns]`.
pub fn timestep(max_period: f32, shift: f32, cosine_first: bool, t: &Tensor, y: &Tensor) -> Result<Call> {
    let variant = variant(y.rows, y.cols, max_period, shift, cosine_first)?;
    let groups = (y.rows * y.cols / 2).div_ceil(64);
    Ok(Call::new(KERNEL, variant, vec![(0, Bound::Read(t.store)), (1, Bound::Write(y.store))], [groups, 1, 1]))
}
