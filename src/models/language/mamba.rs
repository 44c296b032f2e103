//! Layers of a selective state space (Mamba, arXiv 2312.00752), which have states of one size in the place of caches.

use super::{LanguageModel, config::Mamba};
use crate::{
    Result,
    graph::{Binary, DType, Unary, ValueId},
    models::Builder,
    weights::Recipe,
};

impl LanguageModel {
    /// A whole layer: `x + out(scan(silu(conv(a))) · silu(b))` of a and b side by side. States `ssm.N` `[inner, states]` and `conv.N`
    /// `[width − 1, inner]`.
    pub(super) fn mamba(&self, b: &mut Builder, layer: usize, of: &Mamba, x: ValueId) -> Result<ValueId> {
        let &Mamba { inner, states, rank, norms, logarithms, .. } = of;
        b.g.at(format!("layer {layer} state space"));
        let state = b.g.state(&format!("ssm.{layer}"), &[inner, states], DType::F32)?;
        let h = self.norm(b, "attn_norm", x)?;
        let both = self.linear(b, "ssm_in", 2 * inner, h)?;
        let h = b.g.slice_columns(0, inner, both)?;
        let gate = b.g.slice_columns(inner, inner, both)?;
        let h = conv(b, layer, of, h)?;
        let h = b.g.unary(Unary::Silu, h);
        let all = b.linear_without_bias("ssm_x", rank + 2 * states, h)?;
        let steps = b.g.slice_columns(0, rank, all)?;
        let ends = b.g.slice_columns(rank, 2 * states, all)?;
        let (steps, ends) = match norms {
            Some(eps) => {
                (plain_norm(b, "ssm_dt_norm", rank, eps, steps)?, plain_norm(b, "ssm_b_c_norm", states, eps, ends)?)
            }
            None => (steps, ends),
        };
        let steps = b.linear("ssm_dt", inner, steps)?;
        let a = b.made("ssm_a", &[inner * states], if logarithms { Recipe::MinusExp } else { Recipe::Flat })?;
        let skip = b.weight("ssm_d", &[inner])?;
        let y = b.g.selective_scan([a, skip], state, [h, steps, ends])?;
        let gate = b.g.unary(Unary::Silu, gate);
        let y = b.g.binary(Binary::Mul, gate, y)?;
        let y = self.linear(b, "ssm_out", self.config.dim, y)?;
        b.g.binary(Binary::Add, x, y)
    }
}

/// Each column convolved over its last rows, those of the steps before among them.
fn conv(b: &mut Builder, layer: usize, of: &Mamba, x: ValueId) -> Result<ValueId> {
    let &Mamba { inner, width, conv_bias, .. } = of;
    let mut all = x;
    if width > 1 {
        let tail = b.g.state(&format!("conv.{layer}"), &[width - 1, inner], DType::F32)?;
        let before = b.g.read_state(tail)?;
        all = b.g.stack(before, x)?;
        let last = b.g.slice_rows(b.g.shape(x)[0], width - 1, all)?;
        b.g.write_state(tail, last)?;
    }
    let weight = b.made("ssm_conv1d.weight", &[inner * width], Recipe::Flat)?;
    let bias = if conv_bias { Some(b.weight("ssm_conv1d.bias", &[inner])?) } else { None };
    b.g.causal_conv(weight, bias, width, all)
}

/// An RMSNorm of each `columns` of a row, by no weight of the file's.
fn plain_norm(b: &mut Builder, name: &str, columns: usize, eps: f32, x: ValueId) -> Result<ValueId> {
    let ones = b.made(&format!("{name}.weight"), &[columns], |_| Recipe::Computed(vec![1.0; columns]))?;
    b.g.rms_norm(ones, eps, x)
}
