//! A language model's graphs.

use super::LanguageModel;
use crate::{
    Result,
    graph::{Attention, Binary, DType, Graph, Mask, Sampled, StateId, Unary, ValueId, WeightId},
    models::Builder,
    weights::Recipe,
};

/// Holds one frequency divisor for each rotated pair (Llama 3).
const ROPE_FACTORS: &str = "rope_freqs.weight";

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
        let table = b.weight("token_embd.weight", &[c.vocabulary, c.dim])?;
        let factors = self.rope_factors(&mut b)?;
        let seen = b.g.state("seen", &[c.vocabulary], DType::U32)?;
        let token = b.g.state("token", &[1], DType::U32)?;

        b.g.at("embedding");
        let ids = match rows {
            Rows::Last => b.g.last_token(token),
            Rows::One(t) | Rows::All(t) | Rows::Watched(t) => b.g.input("ids", &[t], DType::U32),
        };
        let mut x = b.g.embedding(table, ids)?;
        if let Some(scale) = c.embedding_scale {
            x = b.g.unary(Unary::Affine { scale, shift: 0.0 }, x);
        }
        if c.rotary.is_none() {
            let positions = b.weight("position_embd.weight", &[c.context_length, c.dim])?;
            x = b.g.add_positions(positions, x)?;
        }
        for i in self.layers.iter().copied() {
            let cache = [self.capacity, c.kv_heads * c.head_dim];
            let keys = b.g.state(&format!("cache.k.{i}"), &cache, DType::F32)?;
            let values = b.g.state(&format!("cache.v.{i}"), &cache, DType::F32)?;
            let mut layer = b.pp(format!("blk.{i}"));
            layer.g.at(format!("layer {i} attention"));
            let watched = matches!(rows, Rows::Watched(_));
            x = self.attention(&mut layer, i, watched, [keys, values], factors, x)?;
            layer.g.at(format!("layer {i} feed-forward"));
            x = self.feed_forward(&mut layer, x)?;
        }

        b.g.at("output");
        if let Rows::One(_) = rows {
            x = b.g.select_row(x)?;
        }
        let head = match self.own_output {
            true => b.weight("output.weight", &[c.vocabulary, c.dim])?,
            false => table,
        };
        let x = self.norm(&mut b, "output_norm", x)?;
        let logits = b.g.linear(head, None, x)?;
        if matches!(rows, Rows::Last | Rows::One(_)) {
            let sampled = b.g.sample(seen, token, self.alternatives, logits)?;
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
        if let Some(factors) = &rotary.factors {
            return b.made(ROPE_FACTORS, &pairs, |_| Recipe::Computed(factors.clone())).map(Some);
        }
        b.has(ROPE_FACTORS).then(|| b.weight(ROPE_FACTORS, &pairs)).transpose()
    }

    /// Of rows of the model's width, or of each head.
    fn norm(&self, b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        if c.block.layer_norms {
            return b.layer_norm(name, c.eps, x);
        }
        let head = name == "attn_q_norm" || name == "attn_k_norm";
        b.rms_norm(name, if head { c.head_dim } else { c.dim }, c.eps, x)
    }

    fn linear(&self, b: &mut Builder, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        if self.config.block.biases { b.linear(name, out, x) } else { b.linear_as_stored(name, out, x) }
    }

    /// What a part of a layer gives, normed where it is, and what went in.
    fn add(&self, b: &mut Builder, x: ValueId, norm: &str, result: ValueId) -> Result<ValueId> {
        let result = if self.config.block.result_norms { self.norm(b, norm, result)? } else { result };
        b.g.binary(Binary::Add, x, result)
    }

    fn attention(
        &self,
        b: &mut Builder,
        layer: usize,
        watched: bool,
        [keys, values]: [StateId; 2],
        factors: Option<WeightId>,
        x: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        let local = c.is_local(layer);
        let (q_width, kv_width) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let h = self.norm(b, "attn_norm", x)?;
        let [mut q, mut k, v] = if c.block.fused_attention {
            let all = self.linear(b, "attn_qkv", q_width + 2 * kv_width, h)?;
            let v = q_width + kv_width;
            [
                b.g.slice_columns(0, q_width, all)?,
                b.g.slice_columns(q_width, kv_width, all)?,
                b.g.slice_columns(v, kv_width, all)?,
            ]
        } else {
            let q = self.linear(b, "attn_q", q_width, h)?;
            [q, self.linear(b, "attn_k", kv_width, h)?, self.linear(b, "attn_v", kv_width, h)?]
        };
        if c.block.head_norms {
            (q, k) = (self.norm(b, "attn_q_norm", q)?, self.norm(b, "attn_k_norm", k)?);
        }
        if let Some(rotary) = &c.rotary {
            let (base, scale) = match &c.local {
                Some(window) if local => (window.base, 1.0),
                _ => (rotary.base, rotary.frequency_scale),
            };
            let mut turn = |heads: usize, x: ValueId| {
                b.g.rope(heads, c.head_dim, rotary.dim, base, scale, factors, rotary.layout, x)
            };
            (q, k) = (turn(c.heads, q)?, turn(c.kv_heads, k)?);
        }
        let k = b.g.cache_write(keys, k)?;
        let v = b.g.cache_write(values, v)?;
        let window = c.local.as_ref().filter(|_| local).map(|local| local.window);
        let mask = Mask::CACHED.within(window);
        let of = Attention::plain(c.heads, c.kv_heads, c.head_dim, c.attention_scale, mask, 1);
        let a = b.g.attend(of, [q, k, v], None, None)?;
        if watched {
            let weights = b.g.attention_weights(of, [q, k], None, None)?;
            b.g.output(&format!("attention.{layer}"), weights);
        }
        let o = self.linear(b, "attn_output", c.dim, a)?;
        self.add(b, x, "post_attention_norm", o)
    }

    fn feed_forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let h = self.norm(b, "ffn_norm", x)?;
        let h = if c.block.gated {
            let gate = self.linear(b, "ffn_gate", c.feed_forward, h)?;
            let up = self.linear(b, "ffn_up", c.feed_forward, h)?;
            let gate = b.g.unary(c.block.activation, gate);
            b.g.binary(Binary::Mul, gate, up)?
        } else {
            let up = self.linear(b, "ffn_up", c.feed_forward, h)?;
            b.g.unary(c.block.activation, up)
        };
        let down = self.linear(b, "ffn_down", c.dim, h)?;
        self.add(b, x, "post_ffw_norm", down)
    }
}
