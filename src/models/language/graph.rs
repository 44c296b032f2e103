//! A language model's graphs.

use super::{
    LanguageModel,
    config::{Biases, HeadNorms, Projections, Residual},
};
use crate::{
    Result,
    graph::{Attention, Binary, DType, Graph, Mask, Rope, Sampled, Unary, ValueId, WeightId},
    models::Builder,
    weights::Recipe,
};

/// Holds one frequency divisor for each rotated pair (Llama 3).
const ROPE_FACTORS: &str = "rope_freqs.weight";
/// The same of LongRoPE, for short texts and for long ones.
pub(super) const LONG_ROPE_FACTORS: [&str; 2] = ["rope_factors_short.weight", "rope_factors_long.weight"];

/// Where the rows of a graph come from and which of them go on to the head.
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// `t` ids from the caller, of which one row is read.
    One(usize),
    /// `t` ids from the caller, all of which are read.
    All(usize),
    /// The same, and how each looks back.
    Watched(usize),
    /// The same as of one row, and what the head reads of all.
    Hidden(usize),
    /// An id from the caller for each of several texts, all of which are read; each stands in one of so many slots of the caches. What the head reads comes with the logits
    /// where it is asked for.
    Placed { rows: usize, slots: usize, hidden: bool },
}

impl LanguageModel {
    /// One step: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        self.graph("decode", Rows::Last)
    }

    /// `t` tokens into the caches; input `ids` `[t]` U32. The row that the step names is sampled from. Outputs
    /// `sampled` and `logits` `[1, vocabulary]`.
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        self.graph(&format!("prefill {t}"), Rows::One(t))
    }

    /// `t` tokens into the caches and the logits of all of them; input `ids` `[t]` U32. Output `logits` `[t, vocabulary]`.
    pub fn score(&self, t: usize) -> Result<Graph> {
        self.graph(&format!("score {t}"), Rows::All(t))
    }

    /// The same with outputs `attention.N` `[heads · t, capacity]` of each layer N beside: how much row `r` of head `h` takes from each token in the caches, in row
    /// `h · t + r`; 0 where it sees none.
    pub fn score_with_attention(&self, t: usize) -> Result<Graph> {
        self.graph(&format!("score {t} with attention"), Rows::Watched(t))
    }

    /// One step of several texts, which the caches are cut into `slots` for; inputs `ids` `[rows]` and `places` `[rows, 2]` U32, a slot and a position there for each.
    /// Output `logits` `[rows, vocabulary]`.
    pub fn decode_rows(&self, rows: usize, slots: usize) -> Result<Graph> {
        self.graph(&format!("decode {rows} of {slots}"), Rows::Placed { rows, slots, hidden: false })
    }

    /// The same with the output `hidden` `[rows, width]` beside, which the head makes logits of.
    pub fn decode_rows_with_hidden(&self, rows: usize, slots: usize) -> Result<Graph> {
        self.graph(&format!("decode {rows} of {slots} with hidden"), Rows::Placed { rows, slots, hidden: true })
    }

    /// `t` tokens into the caches; input `ids` `[t]` U32. Outputs `hidden` `[t, width]`, which the head reads of all, and `logits` `[1, vocabulary]` of the row that the step names.
    pub fn prefill_with_hidden(&self, t: usize) -> Result<Graph> {
        self.graph(&format!("prefill {t} with hidden"), Rows::Hidden(t))
    }

    fn graph(&self, work: &str, rows: Rows) -> Result<Graph> {
        self.build(self.weights.builder(format!("{} {work}", self.config.architecture)), rows)
    }

    /// Asks for every weight.
    pub(super) fn visit_weights(&self, b: Builder) -> Result<()> {
        self.build(b, Rows::Last).map(drop)
    }

    fn build(&self, mut b: Builder, rows: Rows) -> Result<Graph> {
        let c = &self.config;
        // Every graph declares all weights and states, so that any of them can say what to load.
        let embedding_dim = c.embedding_dim.unwrap_or(c.dim);
        let table = b.weight("token_embd.weight", &[c.vocabulary, embedding_dim])?;
        let factors = self.rope_factors(&mut b)?;
        let states = b.g.sample_states(c.vocabulary)?;

        b.g.at("embedding");
        let ids = match rows {
            Rows::Last => b.g.last_token(states.token),
            Rows::One(t) | Rows::All(t) | Rows::Watched(t) | Rows::Hidden(t) => b.g.input("ids", &[t], DType::U32),
            Rows::Placed { rows, slots, .. } => {
                b.g.place_rows(rows, slots)?;
                b.g.input("ids", &[rows], DType::U32)
            }
        };
        let mut x = b.g.embedding(table, ids)?;
        x = scaled(&mut b, c.embedding_scale, x);
        if c.embedding_dim.is_some() {
            x = b.linear_without_bias("project_in", c.dim, x)?;
        }
        if c.rwkv.is_some() {
            x = self.norm(&mut b, "token_embd_norm", x)?;
        }
        if c.rotary.is_none() && !c.is_recurrent() {
            let positions = b.weight("position_embd.weight", &[c.context_length, c.dim])?;
            x = b.g.add_positions(positions, x)?;
        }
        // What RWKV's first layer makes of values, which the others mix with their own.
        let mut first_values = None;
        for i in self.layers.iter().copied() {
            let mut layer = b.pp(format!("blk.{i}"));
            if let Some(of) = &c.mamba {
                x = self.mamba(&mut layer, i, of, x)?;
                continue;
            }
            if let Some(of) = &c.rwkv {
                x = self.rwkv(&mut layer, i, of, &mut first_values, x)?;
                continue;
            }
            let (h, looked_back) = match c.conv_width(i) {
                Some(width) => {
                    layer.g.at(format!("layer {i} convolution"));
                    let h = self.input_norm(&mut layer, "attn_norm", x)?;
                    (h, self.short_conv(&mut layer, i, width, h)?)
                }
                None => {
                    layer.g.at(format!("layer {i} attention"));
                    let watched = matches!(rows, Rows::Watched(_));
                    let h = self.input_norm(&mut layer, "attn_norm", x)?;
                    (h, self.attention(&mut layer, i, watched, factors, h)?)
                }
            };
            let after = self.add(&mut layer, x, "post_attention_norm", looked_back)?;
            layer.g.at(format!("layer {i} feed-forward"));
            let h = match c.block.residual {
                Residual::Sequential => self.input_norm(&mut layer, "ffn_norm", after)?,
                Residual::Parallel => self.input_norm(&mut layer, "ffn_norm", x)?,
                Residual::ParallelOneNorm => h,
            };
            let down = self.feed_forward(&mut layer, h)?;
            x = self.add(&mut layer, after, "post_ffw_norm", down)?;
        }

        b.g.at("output");
        if let Rows::One(_) = rows {
            x = b.g.select_row(x)?;
        }
        let head = match self.own_output {
            true => b.weight("output.weight", &[c.vocabulary, embedding_dim])?,
            false => table,
        };
        if c.output_norm {
            x = self.norm(&mut b, "output_norm", x)?;
        }
        if c.embedding_dim.is_some() {
            x = b.linear_without_bias("project_out", embedding_dim, x)?;
        }
        if let Rows::Hidden(_) | Rows::Placed { hidden: true, .. } = rows {
            b.g.output("hidden", x);
        }
        if let Rows::Hidden(_) = rows {
            x = b.g.select_row(x)?;
        }
        let logits = b.g.linear(head, None, x)?;
        let logits = scaled(&mut b, c.logit_scale, logits);
        let logits = kept_below(&mut b, c.logit_softcap, logits);
        if matches!(rows, Rows::Last | Rows::One(_)) {
            let sampled = b.g.sample(states, self.alternatives, logits)?;
            debug_assert_eq!(b.g.shape(sampled), [Sampled::words(self.alternatives)]);
            b.g.output("sampled", sampled);
        }
        b.g.output("logits", logits);
        Ok(b.finish())
    }

    /// Divisors of the rotary frequencies, which the configuration or the file has.
    fn rope_factors(&self, b: &mut Builder) -> Result<Option<WeightId>> {
        let Some(rotary) = &self.config.rotary else { return Ok(None) };
        let pairs = [rotary.dim / 2];
        if let Some(long) = &rotary.long {
            let mut weight = |which: usize| match &long.factors {
                Some(lists) => b.made(LONG_ROPE_FACTORS[which], &pairs, |_| Recipe::Computed(lists[which].clone())),
                None => b.weight(LONG_ROPE_FACTORS[which], &pairs),
            };
            let factors = [weight(0)?, weight(1)?];
            return Ok(Some(factors[usize::from(self.past_bound)]));
        }
        if let Some(factors) = &rotary.factors {
            return b.made(ROPE_FACTORS, &pairs, |_| Recipe::Computed(factors.clone())).map(Some);
        }
        b.has(ROPE_FACTORS).then(|| b.weight(ROPE_FACTORS, &pairs)).transpose()
    }

    /// Of rows of the model's width.
    pub(super) fn norm(&self, b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        if c.block.layer_norms {
            return b.layer_norm(name, c.eps, x);
        }
        b.rms_norm(name, b.columns_of(x), c.eps, x)
    }

    /// Of queries or keys, where they are normed.
    fn head_norm(&self, b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let columns = b.columns_of(x);
        let stacked = match c.block.head_norms {
            HeadNorms::None => return Ok(x),
            HeadNorms::Heads => return b.rms_norm(name, c.head_dim, c.eps, x),
            HeadNorms::Row => return b.rms_norm(name, columns, c.eps, x),
            HeadNorms::Apart { stacked } => stacked,
        };
        let (heads, rows) = (columns / c.head_dim, b.g.shape(x)[0]);
        let recipe = |tensor: String| match tensor.strip_suffix(".weight").filter(|_| !stacked) {
            Some(norms) => Recipe::Join((0..heads).map(|head| format!("{norms}.{head}.weight")).collect()),
            None => Recipe::Flat(tensor),
        };
        let weight = b.made(&format!("{name}.weight"), &[columns], recipe)?;
        let bias = b.made(&format!("{name}.bias"), &[columns], |_| Recipe::Computed(vec![0.0; columns]))?;
        // Each row is a picture of one pixel, each head a group of channels.
        b.g.group_norm(weight, bias, heads, c.eps, rows, x)
    }

    /// What goes into a part of a layer, normed where it is.
    fn input_norm(&self, b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
        if self.config.block.input_norms { self.norm(b, name, x) } else { Ok(x) }
    }

    fn has_bias(&self, b: &Builder, name: &str) -> bool {
        let projection = ["attn_q", "attn_k", "attn_v", "attn_qkv"].contains(&name);
        match self.config.block.biases {
            Biases::All => true,
            Biases::Projections if projection => true,
            Biases::Projections | Biases::AsStored => b.has(&format!("{name}.bias")),
        }
    }

    pub(super) fn linear(&self, b: &mut Builder, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        if self.has_bias(b, name) { b.linear(name, out, x) } else { b.linear_without_bias(name, out, x) }
    }

    /// What a part of a layer gives, normed and scaled where it is, and what went in; their sum normed where that is.
    fn add(&self, b: &mut Builder, x: ValueId, norm: &str, result: ValueId) -> Result<ValueId> {
        let result = if self.config.block.result_norms { self.norm(b, norm, result)? } else { result };
        let result = scaled(b, self.config.residual_scale, result);
        let sum = b.g.binary(Binary::Add, x, result)?;
        if self.config.block.sum_norms { self.norm(b, norm, sum) } else { Ok(sum) }
    }

    /// Queries, keys and values of rows that are normed.
    fn projections(&self, b: &mut Builder, h: ValueId) -> Result<[ValueId; 3]> {
        let c = &self.config;
        let (q_width, kv_width) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        match c.block.attention {
            Projections::Apart => {
                let q = self.linear(b, "attn_q", q_width, h)?;
                Ok([q, self.linear(b, "attn_k", kv_width, h)?, self.linear(b, "attn_v", kv_width, h)?])
            }
            Projections::Fused => {
                let all = self.linear(b, "attn_qkv", q_width + 2 * kv_width, h)?;
                Ok([
                    b.g.slice_columns(0, q_width, all)?,
                    b.g.slice_columns(q_width, kv_width, all)?,
                    b.g.slice_columns(q_width + kv_width, kv_width, all)?,
                ])
            }
            Projections::FusedByHead => {
                let mut part = |name: &str, which: usize| -> Result<ValueId> {
                    let recipe = |tensor| Recipe::Runs { tensor, run: c.head_dim, of: 3, which };
                    let weight = b.made(&format!("{name}.weight"), &[q_width, c.dim], recipe)?;
                    let bias = match self.has_bias(b, name) {
                        true => Some(b.made(&format!("{name}.bias"), &[q_width], recipe)?),
                        false => None,
                    };
                    b.g.linear(weight, bias, h)
                };
                Ok([part("attn_q", 0)?, part("attn_k", 1)?, part("attn_v", 2)?])
            }
        }
    }

    fn attention(
        &self,
        b: &mut Builder,
        layer: usize,
        watched: bool,
        factors: Option<WeightId>,
        h: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        let cache = [self.capacity, c.kv_heads * c.head_dim];
        let keys = b.g.state(&format!("cache.k.{layer}"), &cache, DType::F32)?;
        let values = b.g.state(&format!("cache.v.{layer}"), &cache, DType::F32)?;
        let local = c.local.as_ref().filter(|_| c.is_local(layer));
        let [mut q, mut k, v] = self.projections(b, h)?;
        (q, k) = (self.head_norm(b, "attn_q_norm", q)?, self.head_norm(b, "attn_k_norm", k)?);
        if let Some(rotary) = c.rotary.as_ref().filter(|_| c.turns(layer)) {
            let plain = Rope { rotary_dim: rotary.dim, ..Rope::plain(c.heads, c.head_dim, rotary.base, rotary.layout) };
            let of = match local.and_then(|local| local.base) {
                Some(base) => Rope { base, ..plain },
                None => Rope { frequency_scale: rotary.frequency_scale, magnitude: rotary.magnitude, factors, ..plain },
            };
            (q, k) = (b.g.rope(of, q)?, b.g.rope(Rope { heads: c.kv_heads, ..of }, k)?);
        }
        let k = b.g.cache_write(keys, k)?;
        let v = b.g.cache_write(values, v)?;
        let mask = Mask::CACHED.within(local.map(|local| local.window));
        let plain = Attention::plain(c.heads, c.kv_heads, c.head_dim, c.attention_scale, mask, 1);
        let of = Attention { softcap: c.attention_softcap, ..plain };
        let a = b.g.attend(of, [q, k, v], None, None)?;
        if watched {
            let weights = b.g.attention_weights(of, [q, k], None, None)?;
            b.g.output(&format!("attention.{layer}"), weights);
        }
        self.linear(b, "attn_output", c.dim, a)
    }

    /// A causal convolution over the last `width` tokens, each column by itself, between two gates.
    fn short_conv(&self, b: &mut Builder, layer: usize, width: usize, h: ValueId) -> Result<ValueId> {
        let dim = self.config.dim;
        let cache = b.g.state(&format!("cache.conv.{layer}"), &[self.capacity, dim], DType::F32)?;
        let all = self.linear(b, "shortconv.in_proj", 3 * dim, h)?;
        let before = b.g.slice_columns(0, dim, all)?;
        let after = b.g.slice_columns(dim, dim, all)?;
        let x = b.g.slice_columns(2 * dim, dim, all)?;
        let gated = b.g.binary(Binary::Mul, before, x)?;
        let cached = b.g.cache_write(cache, gated)?;
        let weight = b.made("shortconv.conv.weight", &[dim * width], Recipe::Flat)?;
        let bias = match self.has_bias(b, "shortconv.conv") {
            true => Some(b.weight("shortconv.conv.bias", &[dim])?),
            false => None,
        };
        let y = b.g.causal_conv(weight, bias, width, cached)?;
        let y = b.g.binary(Binary::Mul, after, y)?;
        self.linear(b, "shortconv.out_proj", dim, y)
    }

    fn feed_forward(&self, b: &mut Builder, h: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let h = if c.block.gated {
            let [gate, up] = if c.block.fused_gate {
                let both = self.linear(b, "ffn_up", 2 * c.feed_forward, h)?;
                [b.g.slice_columns(0, c.feed_forward, both)?, b.g.slice_columns(c.feed_forward, c.feed_forward, both)?]
            } else {
                [self.linear(b, "ffn_gate", c.feed_forward, h)?, self.linear(b, "ffn_up", c.feed_forward, h)?]
            };
            let gate = b.g.unary(c.block.activation, gate);
            b.g.binary(Binary::Mul, gate, up)?
        } else {
            let up = self.linear(b, "ffn_up", c.feed_forward, h)?;
            b.g.unary(c.block.activation, up)
        };
        self.linear(b, "ffn_down", c.dim, h)
    }
}

fn scaled(b: &mut Builder, scale: Option<f32>, x: ValueId) -> ValueId {
    scale.map_or(x, |scale| b.g.unary(Unary::Affine { scale, shift: 0.0 }, x))
}

/// `cap · tanh(x / cap)`
fn kept_below(b: &mut Builder, cap: Option<f32>, x: ValueId) -> ValueId {
    let Some(cap) = cap else { return x };
    let x = scaled(b, Some(1.0 / cap), x);
    let x = b.g.unary(Unary::Tanh, x);
    scaled(b, Some(cap), x)
}
