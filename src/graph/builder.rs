//! Makes graphs and refuses shapes that do not fit, with the operation, both shapes and the weight by name.

use super::{
    Attention, Binary, DType, Graph, Mask, Node, Op, Rope, SampleStates, Sampled, StateId, StateSpec, Unary, ValueId,
    WeightId, WeightSpec,
};
use crate::{Error, Result};

/// Builds a [`Graph`] node by node. Weights and states are declared once by name: a second declaration with the same
/// name gives the same id (tied embeddings), and is refused where the shape differs.
#[derive(Debug)]
pub struct GraphBuilder {
    pub(super) graph: Graph,
    label: String,
}

impl GraphBuilder {
    pub fn new(name: impl Into<String>) -> Self {
        let graph =
            Graph { name: name.into(), nodes: vec![], weights: vec![], states: vec![], outputs: vec![], places: None };
        Self { graph, label: String::new() }
    }

    /// Names the place in the model for the nodes that follow.
    pub fn at(&mut self, label: impl Into<String>) {
        self.label = label.into();
    }

    pub fn weight(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<WeightId> {
        if let Some(i) = self.graph.weights.iter().position(|w| w.name == name) {
            let known = &self.graph.weights[i];
            if known.shape != shape || known.dtype != dtype {
                return Err(Error::invalid_graph(format!(
                    "weight {name}: declared as {:?} {} and again as {shape:?} {dtype}",
                    known.shape, known.dtype
                )));
            }
            return Ok(WeightId(i as u32));
        }
        self.graph.weights.push(WeightSpec { name: name.into(), shape: shape.into(), dtype });
        Ok(WeightId(self.graph.weights.len() as u32 - 1))
    }

    /// The weight that `spec` describes.
    pub fn declare(&mut self, spec: &WeightSpec) -> Result<WeightId> {
        self.weight(&spec.name, &spec.shape, spec.dtype)
    }

    pub fn state(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<StateId> {
        if let Some(i) = self.graph.states.iter().position(|s| s.name == name) {
            let known = &self.graph.states[i];
            if known.shape != shape || known.dtype != dtype {
                return Err(Error::invalid_graph(format!(
                    "state {name}: declared as {:?} {} and again as {shape:?} {dtype}",
                    known.shape, known.dtype
                )));
            }
            return Ok(StateId(i as u32));
        }
        self.graph.states.push(StateSpec { name: name.into(), shape: shape.into(), dtype });
        Ok(StateId(self.graph.states.len() as u32 - 1))
    }

    pub fn output(&mut self, name: &str, value: ValueId) {
        self.graph.outputs.push((name.into(), value));
    }

    pub fn finish(self) -> Graph {
        self.graph
    }

    pub fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.node(value).shape
    }

    pub(super) fn push(&mut self, op: Op, inputs: &[ValueId], shape: Vec<usize>, dtype: DType) -> ValueId {
        self.graph.nodes.push(Node { op, inputs: inputs.into(), shape, dtype, label: self.label.clone() });
        ValueId(self.graph.nodes.len() as u32 - 1)
    }

    pub(super) fn misfit(&self, op: &Op, inputs: &[ValueId], why: &str) -> Error {
        let shapes: Vec<String> = inputs.iter().map(|v| format!("{:?}", self.shape(*v))).collect();
        let weights: Vec<String> = op
            .weights()
            .map(|w| format!(" with {} {:?}", self.graph.weight(w).name, self.graph.weight(w).shape))
            .collect();
        let place = if self.label.is_empty() { String::new() } else { format!(" at {}", self.label) };
        Error::invalid_graph(format!("{}{place}: {}{}: {why}", op.name(), shapes.join(" and "), weights.concat()))
    }

    /// The last two dimensions of a `[t, n]` value.
    pub(super) fn rows(&self, op: &Op, x: ValueId) -> Result<(usize, usize)> {
        match self.shape(x) {
            [t, n] => Ok((*t, *n)),
            _ => Err(self.misfit(op, &[x], "expected [rows, columns]")),
        }
    }

    pub fn input(&mut self, name: &str, shape: &[usize], dtype: DType) -> ValueId {
        self.push(Op::Input { name: name.into() }, &[], shape.into(), dtype)
    }

    /// The token chosen in the step before: `[1]` U32.
    pub fn last_token(&mut self, token: StateId) -> ValueId {
        let shape = self.graph.state(token).shape.clone();
        self.push(Op::LastToken { token }, &[], shape, DType::U32)
    }

    /// ids `[t]` → `[t, dim]`.
    pub fn embedding(&mut self, table: WeightId, ids: ValueId) -> Result<ValueId> {
        let op = Op::Embedding { table };
        let ([t], [_, dim]) = (self.shape(ids), self.graph.weight(table).shape.as_slice()) else {
            return Err(self.misfit(&op, &[ids], "expected ids [t] and a table [vocabulary, dim]"));
        };
        let shape = vec![*t, *dim];
        if self.graph.node(ids).dtype != DType::U32 {
            return Err(self.misfit(&op, &[ids], "ids must be U32"));
        }
        Ok(self.push(op, &[ids], shape, DType::F32))
    }

    /// `[t, dim]` → the same shape; the table is `[length, dim]`.
    pub fn add_positions(&mut self, table: WeightId, x: ValueId) -> Result<ValueId> {
        let op = Op::AddPositions { table };
        let (t, n) = self.rows(&op, x)?;
        self.placed(&op, t, &[x])?;
        match self.graph.weight(table).shape.as_slice() {
            [_, dim] if *dim == n => Ok(self.push(op, &[x], vec![t, n], DType::F32)),
            _ => Err(self.misfit(&op, &[x], "expected a table [length, dim] as wide as the value")),
        }
    }

    /// `[t, in]` → `[t, out]`.
    pub fn linear(&mut self, weight: WeightId, bias: Option<WeightId>, x: ValueId) -> Result<ValueId> {
        let op = Op::Linear { weight, bias };
        let (t, n) = self.rows(&op, x)?;
        let &[out, inner] = self.graph.weight(weight).shape.as_slice() else {
            return Err(self.misfit(&op, &[x], "expected a weight [out, in]"));
        };
        if inner != n {
            return Err(self.misfit(&op, &[x], "the weight's columns must equal the value's"));
        }
        if let Some(b) = bias
            && self.graph.weight(b).shape != [out]
        {
            return Err(self.misfit(&op, &[x], "the bias must be as long as the weight has rows"));
        }
        Ok(self.push(op, &[x], vec![t, out], DType::F32))
    }

    /// `[t, n]` → `[t, n]`; the weight is `[n]`, or `[g]` with `n` a multiple of `g` (a norm per head).
    pub fn rms_norm(&mut self, weight: WeightId, eps: f32, x: ValueId) -> Result<ValueId> {
        let op = Op::RmsNorm { weight, eps };
        let (t, n) = self.rows(&op, x)?;
        match self.graph.weight(weight).shape.as_slice() {
            [g] if *g > 0 && n.is_multiple_of(*g) => Ok(self.push(op, &[x], vec![t, n], DType::F32)),
            _ => Err(self.misfit(&op, &[x], "the weight's length must divide the row")),
        }
    }

    /// `[t, heads · head_dim]` → the same shape.
    pub fn rope(&mut self, of: Rope, x: ValueId) -> Result<ValueId> {
        let op = Op::Rope(of);
        let Rope { heads, head_dim, rotary_dim, factors, .. } = of;
        let (t, n) = self.rows(&op, x)?;
        self.placed(&op, t, &[x])?;
        if n != heads * head_dim || rotary_dim > head_dim || !rotary_dim.is_multiple_of(2) || rotary_dim == 0 {
            let why =
                format!("expected {heads} heads of {head_dim}, an even rotary size ≤ {head_dim}, got {rotary_dim}");
            return Err(self.misfit(&op, &[x], &why));
        }
        if let Some(w) = factors
            && self.graph.weight(w).shape != [rotary_dim / 2]
        {
            return Err(self.misfit(&op, &[x], "one frequency factor a pair is expected"));
        }
        Ok(self.push(op, &[x], vec![t, n], DType::F32))
    }

    /// `[t, n]` into a cache `[slots · capacity, n]`.
    pub fn cache_write(&mut self, cache: StateId, x: ValueId) -> Result<ValueId> {
        let op = Op::CacheWrite { cache };
        let (t, n) = self.rows(&op, x)?;
        self.placed(&op, t, &[x])?;
        let (shape, slots) = (self.graph.state(cache).shape.clone(), self.slots());
        if shape.len() != 2 || shape[1] != n || !shape[0].is_multiple_of(slots) {
            return Err(self.misfit(&op, &[x], &format!("the cache is {shape:?}, of {slots} slots")));
        }
        Ok(self.push(op, &[x], shape, DType::F32))
    }

    /// Each column of a cache `[slots · capacity, n]` that this step wrote, or of a value `[width − 1 + t, n]`, convolved over the last `width` rows up
    /// to each of the step's `t` → `[t, n]`; weight `[n · width]`, bias `[n]`.
    pub fn causal_conv(
        &mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        width: usize,
        x: ValueId,
    ) -> Result<ValueId> {
        let node = self.graph.node(x);
        let cached = matches!(node.op, Op::CacheWrite { .. });
        let op = Op::CausalConv { weight, bias, width, cached };
        let (rows, n) = self.rows(&op, if cached { node.inputs[0] } else { x })?;
        if width == 0 || width.checked_mul(n) != Some(self.graph.weight(weight).shape.iter().product()) {
            return Err(self.misfit(&op, &[x], &format!("expected a weight of {n} · {width} numbers")));
        }
        if bias.is_some_and(|bias| self.graph.weight(bias).shape != [n]) {
            return Err(self.misfit(&op, &[x], "expected one bias a column"));
        }
        let before = if cached { 0 } else { width - 1 };
        let t = rows.checked_sub(before).filter(|t| *t > 0);
        let t = t.ok_or_else(|| self.misfit(&op, &[x], &format!("expected {before} rows before those of the step")))?;
        Ok(self.push(op, &[x], vec![t, n], DType::F32))
    }

    /// q `[t, heads · head_dim]`, k and v caches `[capacity, kv_heads · head_dim]` → `[t, heads · head_dim]`. With a `window` each row
    /// sees so many tokens at most, itself among them.
    #[allow(clippy::too_many_arguments)]
    pub fn attention(
        &mut self,
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        scale: f32,
        window: Option<usize>,
        q: ValueId,
        k: ValueId,
        v: ValueId,
    ) -> Result<ValueId> {
        let mask = Mask::CACHED.within(window);
        self.attend(Attention::plain(heads, kv_heads, head_dim, scale, mask, 1), [q, k, v], None, None)
    }

    /// `[t, n]` → `[1, n]`.
    pub fn select_row(&mut self, x: ValueId) -> Result<ValueId> {
        let (_, n) = self.rows(&Op::SelectRow, x)?;
        Ok(self.push(Op::SelectRow, &[x], vec![1, n], DType::F32))
    }

    pub fn unary(&mut self, f: Unary, x: ValueId) -> ValueId {
        let shape = self.shape(x).to_vec();
        self.push(Op::Unary(f), &[x], shape, DType::F32)
    }

    pub fn binary(&mut self, f: Binary, a: ValueId, b: ValueId) -> Result<ValueId> {
        let op = Op::Binary(f);
        if self.shape(a) != self.shape(b) {
            return Err(self.misfit(&op, &[a, b], "both must have one shape"));
        }
        let shape = self.shape(a).to_vec();
        Ok(self.push(op, &[a, b], shape, DType::F32))
    }

    /// The states of [`Self::sample`] over one row of `vocabulary` logits: `seen`, `bias` and `token`.
    pub fn sample_states(&mut self, vocabulary: usize) -> Result<SampleStates> {
        Ok(SampleStates {
            seen: self.state("seen", &[vocabulary], DType::U32)?,
            bias: self.state("bias", &[vocabulary], DType::F32)?,
            token: self.state("token", &[1], DType::U32)?,
        })
    }

    /// logits `[1, vocabulary]` → a [`Sampled`] record.
    pub fn sample(&mut self, states: SampleStates, alternatives: usize, logits: ValueId) -> Result<ValueId> {
        let op = Op::Sample { states, alternatives };
        let (rows, vocabulary) = self.rows(&op, logits)?;
        let fits = [states.seen, states.bias].iter().all(|state| self.graph.state(*state).shape == [vocabulary]);
        if rows != 1 || !fits || alternatives > vocabulary {
            return Err(self.misfit(
                &op,
                &[logits],
                "expected one row, and a `seen` count and a bias for each of its tokens",
            ));
        }
        Ok(self.push(op, &[logits], vec![Sampled::words(alternatives)], DType::U32))
    }

    /// logits `[rows, vocabulary]` and seeds `[rows]` U32 → a [`Sampled`] record for each row.
    pub fn sample_rows(
        &mut self,
        states: SampleStates,
        alternatives: usize,
        logits: ValueId,
        seeds: ValueId,
    ) -> Result<ValueId> {
        let op = Op::Sample { states, alternatives };
        let (rows, vocabulary) = self.rows(&op, logits)?;
        let shape = |state| self.graph.state(state).shape.as_slice();
        let fits = shape(states.seen) == [rows, vocabulary]
            && shape(states.bias) == [vocabulary]
            && shape(states.token) == [rows];
        let seeded = self.shape(seeds) == [rows] && self.graph.node(seeds).dtype == DType::U32;
        if !fits || !seeded || alternatives > vocabulary {
            let why = "expected for each row a token, `seen` counts and a seed, and a bias for each token";
            return Err(self.misfit(&op, &[logits, seeds], why));
        }
        Ok(self.push(op, &[logits, seeds], vec![rows, Sampled::words(alternatives)], DType::U32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_layer_of_the_wrong_width_is_refused_by_name_and_shapes() {
        let mut g = GraphBuilder::new("t");
        let w = g.weight("blk.0.ffn_up.weight", &[8, 5], DType::F32).unwrap();
        let x = g.input("x", &[2, 4], DType::F32);
        g.at("layer 0 feed-forward");
        let error = g.linear(w, None, x).unwrap_err().to_string();
        for part in ["linear", "layer 0", "[2, 4]", "blk.0.ffn_up.weight", "[8, 5]"] {
            assert!(error.contains(part), "{error:?} does not name {part}");
        }
    }

    #[test]
    fn a_weight_declared_twice_with_another_shape_is_refused() {
        let mut g = GraphBuilder::new("t");
        let a = g.weight("w", &[8, 4], DType::Q8_0).unwrap();
        assert_eq!(g.weight("w", &[8, 4], DType::Q8_0).unwrap(), a);
        assert!(g.weight("w", &[4, 8], DType::Q8_0).is_err());
    }

    #[test]
    fn heads_that_cannot_share_keys_are_refused() {
        let mut g = GraphBuilder::new("t");
        let cache = g.state("k", &[16, 24], DType::F32).unwrap();
        let q = g.input("q", &[1, 40], DType::F32);
        let k = g.input("k", &[1, 24], DType::F32);
        let k = g.cache_write(cache, k).unwrap();
        assert!(g.attention(5, 3, 8, 1.0, None, q, k, k).unwrap_err().to_string().contains("5 heads"));
    }

    #[test]
    fn a_printed_graph_names_weights_shapes_and_places() {
        let mut g = GraphBuilder::new("demo");
        let table = g.weight("token_embd.weight", &[10, 4], DType::Q8_0).unwrap();
        let ids = g.input("ids", &[3], DType::U32);
        g.at("embedding");
        let x = g.embedding(table, ids).unwrap();
        g.output("x", x);
        let text = g.finish().to_string();
        assert!(text.contains("%1 = embedding(%0) token_embd.weight [10, 4] Q8_0 : [3, 4] F32  # embedding"), "{text}");
    }
}
