//! The transformers between residual blocks: pixels look at each other, then at the prompt, then through a gated layer.

use super::{Network, config::Attention};
use crate::{
    Result,
    graph::{Binary, Mask, Unary, ValueId},
    models::{Builder, builder::Heads},
};

/// `diffusers` gives these norms numbers of their own.
const GROUP_EPS: f32 = 1e-6;
const LAYER_EPS: f32 = 1e-5;

impl Network<'_> {
    /// A picture through `attention.depth` blocks. Pixels are rows already: nothing is turned on the way in or out, and a 1×1
    /// convolution is what a linear projection is.
    pub fn transformer(&self, b: &mut Builder, attention: &Attention, x: ValueId) -> Result<ValueId> {
        let channels = b.columns_of(x);
        b.label();
        let h = b.group_norm("norm", self.config.norm_groups, GROUP_EPS, self.batch, x)?;
        let mut h = b.linear("proj_in", channels, h)?;
        for k in 0..attention.depth {
            h = self.block(&mut b.pp(format!("transformer_blocks.{k}")), attention.heads, h)?;
        }
        b.label();
        let h = b.linear("proj_out", channels, h)?;
        b.add(x, h)
    }

    fn block(&self, b: &mut Builder, heads: usize, x: ValueId) -> Result<ValueId> {
        b.label();
        let h = b.layer_norm("norm1", LAYER_EPS, x)?;
        let h = self.attention(&mut b.pp("attn1"), heads, h, h)?;
        let x = b.add(x, h)?;
        let h = b.layer_norm("norm2", LAYER_EPS, x)?;
        let h = self.attention(&mut b.pp("attn2"), heads, h, self.context)?;
        let x = b.add(x, h)?;
        let h = b.layer_norm("norm3", LAYER_EPS, x)?;
        let h = gated(&mut b.pp("ff"), h)?;
        b.add(x, h)
    }

    /// Rows of `x` look at rows of `y`.
    fn attention(&self, b: &mut Builder, heads: usize, x: ValueId, y: ValueId) -> Result<ValueId> {
        b.label();
        let width = b.columns_of(x);
        let q = b.linear_without_bias("to_q", width, x)?;
        let k = b.linear_without_bias("to_k", width, y)?;
        let v = b.linear_without_bias("to_v", width, y)?;
        let h = b.attend(Heads { batch: self.batch, heads, width }, Mask::FULL, q, k, v)?;
        b.linear("to_out.0", width, h)
    }
}

/// GEGLU (arXiv 2002.05202), four times as wide: one half of the columns by the GELU of the other.
fn gated(b: &mut Builder, x: ValueId) -> Result<ValueId> {
    b.label();
    let width = b.columns_of(x);
    let both = b.linear("net.0.proj", 8 * width, x)?;
    let (h, gate) = (b.g.slice_columns(0, 4 * width, both)?, b.g.slice_columns(4 * width, 4 * width, both)?);
    let gate = b.g.unary(Unary::Gelu, gate);
    let h = b.g.binary(Binary::Mul, h, gate)?;
    b.linear("net.2", width, h)
}
