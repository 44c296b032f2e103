//! RWKV-7's layers (Peng et al., arXiv 2503.14456), which have states of one size in the place of caches.

use super::{LanguageModel, config::Rwkv};
use crate::{
    Result,
    graph::{Binary, DType, Unary, ValueId},
    models::Builder,
    weights::Recipe,
};

/// `−e^(−1/2)`: what the sigmoid of a decay is multiplied by before it is an exponent.
const DECAY: f32 = -0.606_530_66;

impl LanguageModel {
    /// A whole layer: what the states give, then a feed-forward layer, each of rows mixed with those before them. States `wkv.N` `[dim, head]`,
    /// `time.N` and `channel.N` `[1, dim]`. `first` are the first layer's values.
    pub(super) fn rwkv(
        &self,
        b: &mut Builder,
        layer: usize,
        of: &Rwkv,
        first: &mut Option<ValueId>,
        x: ValueId,
    ) -> Result<ValueId> {
        let dim = self.config.dim;
        b.g.at(format!("layer {layer} time mix"));
        let h = self.norm(b, "attn_norm", x)?;
        let h = behind_the_last(b, &format!("time.{layer}"), h)?;
        let h = self.time_mix(b, layer, of, first, h)?;
        let x = b.g.binary(Binary::Add, x, h)?;
        b.g.at(format!("layer {layer} channel mix"));
        let h = self.norm(b, "attn_norm_2", x)?;
        let h = behind_the_last(b, &format!("channel.{layer}"), h)?;
        let mix = b.made("channel_mix_lerp_k", &[2 * dim], |tensor| Recipe::Mix { tensor, first: 0 })?;
        let h = b.g.causal_conv(mix, None, 2, h)?;
        let h = b.linear_without_bias("channel_mix_key", of.wide, h)?;
        let h = b.g.unary(Unary::LeakyRelu { slope: 0.0 }, h);
        let h = b.g.binary(Binary::Mul, h, h)?;
        let h = b.linear_without_bias("channel_mix_value", dim, h)?;
        b.g.binary(Binary::Add, x, h)
    }

    /// `h` `[1 + t, dim]`: the row before those of the step first.
    fn time_mix(
        &self,
        b: &mut Builder,
        layer: usize,
        of: &Rwkv,
        first: &mut Option<ValueId>,
        h: ValueId,
    ) -> Result<ValueId> {
        let dim = self.config.dim;
        let &Rwkv { head, ranks: [decay, rate, part, gate], .. } = of;
        // A GGUF, and the first files of fla-hub, have how a layer mixes neighbours in one tensor.
        let fused = b.has("time_mix_lerp_fused");
        let mix = |b: &mut Builder, kind: usize| {
            let letter = ["r", "w", "k", "v", "a", "g"][kind];
            let own = format!(".x_{letter}");
            let stored = |tensor: String| match tensor.strip_suffix(&own).filter(|_| fused) {
                Some(before) => format!("{before}.x_x"),
                None => tensor,
            };
            let recipe = |tensor| Recipe::Mix { tensor: stored(tensor), first: if fused { kind * dim } else { 0 } };
            let weight = b.made(&format!("time_mix_lerp_{letter}"), &[2 * dim], recipe)?;
            b.g.causal_conv(weight, None, 2, h)
        };
        let [for_r, for_w, for_k, for_v, for_a, for_g] =
            [mix(b, 0)?, mix(b, 1)?, mix(b, 2)?, mix(b, 3)?, mix(b, 4)?, mix(b, 5)?];
        let r = b.linear_without_bias("time_mix_receptance", dim, for_r)?;
        let k = b.linear_without_bias("time_mix_key", dim, for_k)?;
        let mut v = b.linear_without_bias("time_mix_value", dim, for_v)?;
        let w = low_rank(b, "w", decay, dim, Some(Unary::Tanh), for_w)?;
        let w = b.g.unary(Unary::Sigmoid, w);
        let w = b.g.unary(Unary::Affine { scale: DECAY, shift: 0.0 }, w);
        let w = b.g.unary(Unary::Exp, w);
        let rate = low_rank(b, "a", rate, dim, None, for_a)?;
        let rate = b.g.unary(Unary::Sigmoid, rate);
        match *first {
            None => *first = Some(v),
            Some(first) => {
                let part = low_rank(b, "v", part, dim, None, for_v)?;
                let part = b.g.unary(Unary::Sigmoid, part);
                let apart = b.g.binary(Binary::Sub, first, v)?;
                let moved = b.g.binary(Binary::Mul, apart, part)?;
                v = b.g.binary(Binary::Add, v, moved)?;
            }
        }
        // Keys of length 1 are taken out of the state, at their rate.
        let removed = scaled(b, "time_mix_k_k", dim, k)?;
        let shrink =
            b.made("unit_keys.weight", &[head], |_| Recipe::Computed(vec![1.0 / (head as f32).sqrt(); head]))?;
        let removed = b.g.rms_norm(shrink, 1e-12, removed)?;
        let at_rate = b.g.binary(Binary::Mul, removed, rate)?;
        // k · (1 + (rate − 1) · k_a)
        let less = b.g.unary(Unary::Affine { scale: 1.0, shift: -1.0 }, rate);
        let less = scaled(b, "time_mix_k_a", dim, less)?;
        let change = b.g.binary(Binary::Mul, k, less)?;
        let k = b.g.binary(Binary::Add, k, change)?;
        let state = b.g.state(&format!("wkv.{layer}"), &[dim, head], DType::F32)?;
        let y = b.g.delta_rule(state, [r, w, k, v, removed, at_rate])?;
        let t = b.g.shape(y)[0];
        let y = b.group_norm("time_mix_ln", dim / head, of.head_eps, t, y)?;
        let bonus = b.g.binary(Binary::Mul, r, k)?;
        let bonus = scaled(b, "time_mix_r_k", dim, bonus)?;
        let bonus = sums_of_heads(b, head, bonus)?;
        let bonus = b.g.binary(Binary::Mul, bonus, v)?;
        let y = b.g.binary(Binary::Add, y, bonus)?;
        let inner = b.linear_without_bias("time_mix_g1", gate, for_g)?;
        let inner = b.g.unary(Unary::Sigmoid, inner);
        let gate = b.linear_without_bias("time_mix_g2", dim, inner)?;
        let y = b.g.binary(Binary::Mul, y, gate)?;
        b.linear_without_bias("time_mix_output", dim, y)
    }
}

/// Rows behind the last one of the step before, of which theirs is kept for the next: `[1 + t, n]`.
fn behind_the_last(b: &mut Builder, state: &str, x: ValueId) -> Result<ValueId> {
    let [t, n] = [0, 1].map(|side| b.g.shape(x)[side]);
    let state = b.g.state(state, &[1, n], DType::F32)?;
    let before = b.g.read_state(state)?;
    let all = b.g.stack(before, x)?;
    let last = b.g.slice_rows(t, 1, all)?;
    b.g.write_state(state, last)?;
    Ok(all)
}

/// Each column times a number of its own: a convolution of one row.
fn scaled(b: &mut Builder, name: &str, dim: usize, x: ValueId) -> Result<ValueId> {
    let weight = b.made(name, &[dim], Recipe::Flat)?;
    b.g.causal_conv(weight, None, 1, x)
}

/// Two thin layers, the second with a bias.
fn low_rank(
    b: &mut Builder,
    kind: &str,
    rank: usize,
    dim: usize,
    between: Option<Unary>,
    x: ValueId,
) -> Result<ValueId> {
    let mut inner = b.linear_without_bias(&format!("time_mix_{kind}1"), rank, x)?;
    if let Some(f) = between {
        inner = b.g.unary(f, inner);
    }
    let weight = b.weight(&format!("time_mix_{kind}2.weight"), &[dim, rank])?;
    let bias = b.weight(&format!("time_mix_{kind}0"), &[dim])?;
    b.g.linear(weight, Some(bias), inner)
}

/// The sum of each head's numbers in the place of each: a product with ones.
fn sums_of_heads(b: &mut Builder, head: usize, x: ValueId) -> Result<ValueId> {
    let [t, dim] = [0, 1].map(|side| b.g.shape(x)[side]);
    let ones = b.made("ones.weight", &[head, head], |_| Recipe::Computed(vec![1.0; head * head]))?;
    let heads = b.g.reshape(t * dim / head, x)?;
    let sums = b.g.linear(ones, None, heads)?;
    b.g.reshape(t, sums)
}
