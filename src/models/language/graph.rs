//! A language model's three graphs.

use super::{LanguageModel, Layer, Linear, Norm, Projections};
use crate::{
    Result,
    graph::{Binary, DType, Graph, GraphBuilder, Sampled, Unary, ValueId, WeightId},
};

/// Where the rows of a graph come from and which of them go on to the head.
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// `t` ids from the caller, of which one row is read.
    One(usize),
    /// `t` ids from the caller, all of which are read.
    All(usize),
}

impl LanguageModel {
    /// One step: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        self.graph("decode".into(), Rows::Last)
    }

    /// `t` tokens into the caches; input `ids` `[t]` U32. The row that the step names is sampled from. Outputs
    /// `sampled` and `logits` `[1, vocabulary]`.
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        self.graph(format!("prefill {t}"), Rows::One(t))
    }

    /// `t` tokens into the caches and the logits of all of them; input `ids` `[t]` U32. Output `logits` `[t, vocabulary]`.
    pub fn score(&self, t: usize) -> Result<Graph> {
        self.graph(format!("score {t}"), Rows::All(t))
    }

    fn graph(&self, work: String, rows: Rows) -> Result<Graph> {
        let c = &self.config;
        let mut g = GraphBuilder::new(format!("{} {work}", c.architecture.name()));
        // Every graph declares all weights and states, so that any of them can say what to load.
        let table = g.declare(&self.token_embedding)?;
        let factors = self.rope_factors.as_ref().map(|t| g.declare(t)).transpose()?;
        let seen = g.state("seen", &[c.vocabulary], DType::U32)?;
        let token = g.state("token", &[1], DType::U32)?;

        g.at("embedding");
        let ids = match rows {
            Rows::Last => g.last_token(token),
            Rows::One(t) | Rows::All(t) => g.input("ids", &[t], DType::U32),
        };
        let mut x = g.embedding(table, ids)?;
        if let Some(scale) = c.embedding_scale {
            x = g.unary(Unary::Affine { scale, shift: 0.0 }, x);
        }
        if let Some(positions) = &self.positions {
            let positions = g.declare(positions)?;
            x = g.add_positions(positions, x)?;
        }
        for (i, layer) in self.layers.iter().enumerate() {
            g.at(format!("layer {i} attention"));
            x = self.attention(&mut g, i, layer, factors, x)?;
            g.at(format!("layer {i} feed-forward"));
            x = self.feed_forward(&mut g, layer, x)?;
        }

        g.at("output");
        if let Rows::One(_) = rows {
            x = g.select_row(x)?;
        }
        let head = self.output.as_ref().map_or(Ok(table), |t| g.declare(t))?;
        let x = self.norm(&mut g, &self.output_norm, x)?;
        let logits = g.linear(head, None, x)?;
        if !matches!(rows, Rows::All(_)) {
            let sampled = g.sample(seen, token, self.alternatives, logits)?;
            debug_assert_eq!(g.shape(sampled), [Sampled::words(self.alternatives)]);
            g.output("sampled", sampled);
        }
        g.output("logits", logits);
        Ok(g.finish())
    }

    fn norm(&self, g: &mut GraphBuilder, norm: &Norm, x: ValueId) -> Result<ValueId> {
        let weight = g.declare(&norm.weight)?;
        match &norm.bias {
            None => g.rms_norm(weight, self.config.eps, x),
            Some(bias) => {
                let bias = g.declare(bias)?;
                g.layer_norm(Some(weight), Some(bias), self.config.eps, x)
            }
        }
    }

    /// What a part of a layer gives, normed where it is, and what went in.
    fn add(&self, g: &mut GraphBuilder, x: ValueId, norm: &Option<Norm>, result: ValueId) -> Result<ValueId> {
        let result = norm.as_ref().map_or(Ok(result), |norm| self.norm(g, norm, result))?;
        g.binary(Binary::Add, x, result)
    }

    fn attention(
        &self,
        g: &mut GraphBuilder,
        i: usize,
        layer: &Layer,
        factors: Option<WeightId>,
        x: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        let (q_width, kv_width) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let cache = [self.capacity, kv_width];
        let keys = g.state(&format!("cache.k.{i}"), &cache, DType::F32)?;
        let values = g.state(&format!("cache.v.{i}"), &cache, DType::F32)?;
        let h = self.norm(g, &layer.attention_norm, x)?;
        let [mut q, mut k, v] = match &layer.projections {
            Projections::Apart(three) => {
                let [q, k, v] = &**three;
                [linear(g, q, h)?, linear(g, k, h)?, linear(g, v, h)?]
            }
            Projections::Fused(all) => {
                let all = linear(g, all, h)?;
                let v = q_width + kv_width;
                [g.columns(0, q_width, all)?, g.columns(q_width, kv_width, all)?, g.columns(v, kv_width, all)?]
            }
        };
        if let Some([of_q, of_k]) = &layer.head_norms {
            (q, k) = (self.norm(g, of_q, q)?, self.norm(g, of_k, k)?);
        }
        if let Some(rotary) = &c.rotary {
            let (base, scale) = match &c.local {
                Some(local) if layer.local => (local.base, 1.0),
                _ => (rotary.base, rotary.frequency_scale),
            };
            let turn = |g: &mut GraphBuilder, heads: usize, x: ValueId| {
                g.rope(heads, c.head_dim, rotary.dim, base, scale, factors, rotary.layout, x)
            };
            (q, k) = (turn(g, c.heads, q)?, turn(g, c.kv_heads, k)?);
        }
        let k = g.cache_write(keys, k)?;
        let v = g.cache_write(values, v)?;
        let window = c.local.as_ref().filter(|_| layer.local).map(|local| local.window);
        let a = g.attention(c.heads, c.kv_heads, c.head_dim, c.attention_scale, window, q, k, v)?;
        let o = linear(g, &layer.attention_output, a)?;
        self.add(g, x, &layer.post_attention_norm, o)
    }

    fn feed_forward(&self, g: &mut GraphBuilder, layer: &Layer, x: ValueId) -> Result<ValueId> {
        let f = self.config.architecture.activation();
        let h = self.norm(g, &layer.feed_forward_norm, x)?;
        let h = match &layer.gate {
            Some(gate) => {
                let gate = linear(g, gate, h)?;
                let up = linear(g, &layer.up, h)?;
                let gate = g.unary(f, gate);
                g.binary(Binary::Mul, gate, up)?
            }
            None => {
                let up = linear(g, &layer.up, h)?;
                g.unary(f, up)
            }
        };
        let down = linear(g, &layer.down, h)?;
        self.add(g, x, &layer.post_feed_forward_norm, down)
    }
}

fn linear(g: &mut GraphBuilder, linear: &Linear, x: ValueId) -> Result<ValueId> {
    let weight = g.declare(&linear.weight)?;
    let bias = linear.bias.as_ref().map(|b| g.declare(b)).transpose()?;
    g.linear(weight, bias, x)
}
