//! The transformers between residual blocks: pixels look at each other, then at the prompt, then through a gated layer.

use super::{Step, config::Attention};
use crate::{
    Result,
    graph::{Binary, Grid, Mask, Unary, ValueId},
    models::named::Heads,
};

/// `diffusers` gives these norms numbers of their own.
const GROUP_EPS: f32 = 1e-6;
const LAYER_EPS: f32 = 1e-5;

impl Step<'_, '_> {
    /// A picture through `attention.depth` blocks. Pixels are rows already: nothing is turned on the way in or out, and a 1×1
    /// convolution is what a linear projection is.
    pub fn transformer(&mut self, at: &str, attention: &Attention, grid: Grid, x: ValueId) -> Result<ValueId> {
        debug_assert_eq!(self.m.g.shape(x)[0], grid.rows());
        let channels = self.m.columns_of(x);
        self.m.g.at(at);
        let h = self.m.group_norm(&format!("{at}.norm"), self.config.norm_groups, GROUP_EPS, self.batch, x)?;
        let mut h = self.m.linear(&format!("{at}.proj_in"), channels, h)?;
        for k in 0..attention.depth {
            h = self.block(&format!("{at}.transformer_blocks.{k}"), attention.heads, h)?;
        }
        self.m.g.at(at);
        let h = self.m.linear(&format!("{at}.proj_out"), channels, h)?;
        self.m.add(x, h)
    }

    fn block(&mut self, at: &str, heads: usize, x: ValueId) -> Result<ValueId> {
        self.m.g.at(format!("{at} pixels"));
        let h = self.m.layer_norm(&format!("{at}.norm1"), LAYER_EPS, x)?;
        let h = self.attention(&format!("{at}.attn1"), heads, h, h)?;
        let x = self.m.add(x, h)?;
        self.m.g.at(format!("{at} prompt"));
        let h = self.m.layer_norm(&format!("{at}.norm2"), LAYER_EPS, x)?;
        let h = self.attention(&format!("{at}.attn2"), heads, h, self.context)?;
        let x = self.m.add(x, h)?;
        self.m.g.at(format!("{at} feed-forward"));
        let h = self.m.layer_norm(&format!("{at}.norm3"), LAYER_EPS, x)?;
        let h = self.gated(&format!("{at}.ff"), h)?;
        self.m.add(x, h)
    }

    /// Rows of `x` look at rows of `y`.
    fn attention(&mut self, at: &str, heads: usize, x: ValueId, y: ValueId) -> Result<ValueId> {
        let m = &mut self.m;
        let width = m.columns_of(x);
        let q = m.linear_without_bias(&format!("{at}.to_q"), width, x)?;
        let k = m.linear_without_bias(&format!("{at}.to_k"), width, y)?;
        let v = m.linear_without_bias(&format!("{at}.to_v"), width, y)?;
        let h = m.attend(Heads { batch: self.batch, heads, width }, Mask::FULL, q, k, v)?;
        m.linear(&format!("{at}.to_out.0"), width, h)
    }

    /// GEGLU (arXiv 2002.05202), four times as wide: one half of the columns by the GELU of the other.
    fn gated(&mut self, at: &str, x: ValueId) -> Result<ValueId> {
        let m = &mut self.m;
        let width = m.columns_of(x);
        let both = m.linear(&format!("{at}.net.0.proj"), 8 * width, x)?;
        let (h, gate) = (m.g.columns(0, 4 * width, both)?, m.g.columns(4 * width, 4 * width, both)?);
        let gate = m.g.unary(Unary::Gelu, gate);
        let h = m.g.binary(Binary::Mul, h, gate)?;
        m.linear(&format!("{at}.net.2"), width, h)
    }
}
