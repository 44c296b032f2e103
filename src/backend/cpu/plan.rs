//! A graph as a list of steps over buffers.
//!
//! Values that are never needed together share a buffer. An operation that can works in place where its input is needed
//! no longer; `silu` and the product after it are one step; rows that several products read are rounded once.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
};

use web_time::Instant;

use super::{
    attention,
    compile::{Compiler, Place, Rope, Step},
    elementwise, matmul,
    matrix::Matrix,
    pictures,
    resident::{Shared, State, Weight},
    sample,
};
use crate::{
    Error, Result,
    backend::{Pending, StepCost, profile::Timing},
    graph::{Binary, Graph, Sampled, StepParams, Unary, ValueId},
};

/// Room that steps need and keep.
#[derive(Default)]
struct Scratch {
    matmul: matmul::Scratch,
    attention: attention::Scratch,
    sample: sample::Scratch,
    /// Rows of a convolution's patches.
    patches: Vec<f32>,
}

/// A compiled graph.
pub struct Plan {
    shared: Arc<Shared>,
    steps: Vec<Step>,
    /// Operation and place of each step.
    labels: Vec<String>,
    buffers: Vec<Vec<f32>>,
    ropes: Vec<Rope>,
    inputs: Vec<(String, usize, usize)>,
    outputs: Vec<(String, Place, usize)>,
    scratch: Scratch,
    /// What [`Shared::plan_bytes`] counts for this plan.
    bytes: usize,
}

impl Drop for Plan {
    fn drop(&mut self) {
        self.shared.plan_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Plan {
    pub fn new(shared: Arc<Shared>, graph: &Graph) -> Result<Self> {
        let mut compiler = Compiler::new(&shared, graph)?;
        let mut labels = vec![];
        for (i, node) in graph.nodes.iter().enumerate() {
            compiler.node(i)?;
            labels.resize_with(compiler.steps.len(), || format!("{} @ {}", node.op.name(), node.label));
        }
        let Compiler { steps, sizes, ropes, places, .. } = compiler;
        let len = |v: ValueId| graph.node(v).shape.iter().product::<usize>();
        let place = |v: ValueId| places[v.0 as usize].unwrap_or(Place::Buffer(0));
        let outputs = graph.outputs.iter().map(|(name, v)| (name.clone(), place(*v), len(*v))).collect();
        let inputs = graph
            .inputs()
            .filter_map(|(name, v)| match place(v) {
                Place::Buffer(b) => Some((name.to_string(), b, len(v))),
                Place::State(_) => None,
            })
            .collect();
        let buffers =
            sizes.iter().map(|n| super::matrix::zeros(*n, "intermediate values")).collect::<Result<Vec<_>>>()?;
        let mut plan =
            Self { shared, steps, labels, buffers, ropes, inputs, outputs, scratch: Scratch::default(), bytes: 0 };
        plan.count_bytes();
        Ok(plan)
    }

    fn count_bytes(&mut self) {
        let s = &self.scratch;
        let now = 4 * self.buffers.iter().map(Vec::capacity).sum::<usize>()
            + s.matmul.bytes()
            + s.attention.bytes()
            + s.sample.bytes()
            + 4 * s.patches.capacity();
        self.shared.plan_bytes.fetch_add(now.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = now;
    }

    pub fn write_input(&mut self, name: &str, words: &[u32]) -> Result<()> {
        let Some((_, buffer, len)) = self.inputs.iter().find(|(n, ..)| n == name) else {
            return Err(Error::invalid_graph(format!("the graph has no input {name}")));
        };
        if words.len() != *len {
            return Err(Error::bad_argument(format!("input {name} holds {len} words, and {} were given", words.len())));
        }
        self.buffers[*buffer][..*len].copy_from_slice(bytemuck::cast_slice(words));
        Ok(())
    }

    pub fn step(&mut self, params: &StepParams, outputs: &[&str]) -> Result<Pending> {
        for name in outputs {
            if !self.outputs.iter().any(|(n, ..)| n == name) {
                return Err(Error::invalid_graph(format!("the graph has no output {name}")));
            }
        }
        let shared = self.shared.clone();
        let mut states = shared.states();
        self.turn_ropes(params);
        for i in 0..self.steps.len() {
            self.run(i, params, &mut states)?;
        }
        let read = |name: &&str| -> Vec<u32> {
            let Some((_, place, len)) = self.outputs.iter().find(|(n, ..)| n == name) else { return vec![] };
            match *place {
                Place::Buffer(b) => bytemuck::cast_slice(&self.buffers[b][..*len]).to_vec(),
                Place::State(s) => {
                    let mut words: Vec<u32> = bytemuck::cast_slice(states[s].written()).to_vec();
                    words.resize(*len, 0);
                    words
                }
            }
        };
        let words: Vec<Vec<u32>> = outputs.iter().map(read).collect();
        drop(states);
        self.count_bytes();
        Ok(Box::pin(std::future::ready(Ok(words))))
    }

    fn turn_ropes(&mut self, params: &StepParams) {
        for rope in &mut self.ropes {
            if rope.at != Some(params.position) {
                rope.table.turn_to(params.position, rope.rows);
                rope.at = Some(params.position);
            }
        }
    }

    /// Runs a step and tells how long each operation took.
    pub fn profile(&mut self, params: &StepParams) -> Result<Vec<Timing>> {
        let shared = self.shared.clone();
        let mut states = shared.states();
        self.turn_ropes(params);
        let mut timings = Vec::with_capacity(self.steps.len());
        for i in 0..self.steps.len() {
            let begun = Instant::now();
            self.run(i, params, &mut states)?;
            let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            timings.push(Timing { label: self.labels[i].clone(), milliseconds });
        }
        Ok(timings)
    }

    /// One thread runs the steps one after the other: there is nothing to dispatch.
    pub fn cost(&self) -> StepCost {
        StepCost::default()
    }

    fn run(&mut self, i: usize, params: &StepParams, states: &mut [State]) -> Result<()> {
        let Self { shared, steps, buffers, ropes, scratch, .. } = self;
        match &steps[i] {
            Step::LastToken { token, out } => {
                let last = states[*token].first(1)?[0];
                buffers[*out][0] = last;
            }
            Step::Embedding { table, ids, out } => {
                let table = matrix(shared, *table)?;
                with(buffers, *out, |buffers, out| {
                    let ids: &[u32] = bytemuck::cast_slice(&buffers[*ids]);
                    for (id, row) in ids.iter().zip(out.chunks_exact_mut(table.columns)) {
                        let id = *id as usize;
                        table.read_row(if id < table.rows { id } else { 0 }, row);
                    }
                });
            }
            Step::Linear { weight, bias, x, out, round } => {
                let w = matrix(shared, *weight)?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                if *round {
                    scratch.matmul.rows.fill(&buffers[*x], w.columns);
                }
                with(buffers, *out, |buffers, out| matmul::linear(w, bias, &buffers[*x], out, &mut scratch.matmul));
            }
            Step::RmsNorm { weight, eps, x, out } => {
                let weight = vector(shared, *weight)?;
                in_place(buffers, *x, *out, |_, v| elementwise::rms_norm(v, weight, *eps));
            }
            Step::Rope { table, heads, head_dim, layout, x, out } => {
                let table = &ropes[*table].table;
                in_place(buffers, *x, *out, |_, v| table.apply(v, *heads, *head_dim, *layout));
            }
            Step::CacheWrite { cache, width, x } => {
                let state = &mut states[*cache];
                let first = (params.position as usize).saturating_mul(*width).min(state.len());
                let rows = &buffers[*x];
                let n = rows.len().min(state.len() - first);
                state.first(first + n)?[first..].copy_from_slice(&rows[..n]);
            }
            Step::Attention { heads, q, k, v, out } => {
                let t = buffers[*q].len() / (heads.heads * heads.head_dim);
                let width = heads.kv_heads * heads.head_dim;
                let end = (params.position as usize).saturating_add(t);
                // Rows past the capacity were dropped: no query sees them.
                let wanted = end.saturating_mul(width).min(states[*k].len());
                for cache in [k, v] {
                    states[*cache].first(wanted)?;
                }
                let (k, v) = (&states[*k].written()[..wanted], &states[*v].written()[..wanted]);
                with(buffers, *out, |buffers, out| {
                    let position = params.position as usize;
                    attention::attention(heads, position, &buffers[*q], k, v, out, &mut scratch.attention);
                });
            }
            Step::SelectRow { x, out } => {
                let n = buffers[*out].len();
                let rows = buffers[*x].len() / n;
                if params.row as usize >= rows {
                    return Err(Error::bad_argument(format!(
                        "row {} of a step of {rows} rows was asked for",
                        params.row
                    )));
                }
                with(buffers, *out, |buffers, out| out.copy_from_slice(&buffers[*x][params.row as usize * n..][..n]));
            }
            Step::Unary { f, x, out } => in_place(buffers, *x, *out, |_, v| match f {
                Unary::Silu => elementwise::silu(v),
                Unary::GeluTanh => elementwise::gelu_tanh(v),
                Unary::Gelu => elementwise::gelu(v),
                Unary::QuickGelu => elementwise::quick_gelu(v),
                Unary::LeakyRelu { slope } => elementwise::leaky_relu(v, *slope),
                Unary::Tanh => elementwise::tanh(v),
                Unary::Sigmoid => elementwise::sigmoids(v),
                Unary::Affine { scale, shift } => elementwise::affine(v, *scale, *shift),
            }),
            Step::Binary { f, a, b, out } => {
                // Both operations commute: the operand that is overwritten goes first.
                let (a, b) = if b == out { (b, a) } else { (a, b) };
                in_place(buffers, *a, *out, |buffers, v| {
                    let same;
                    let other = if b == out {
                        same = v.to_vec();
                        &same
                    } else {
                        &buffers[*b]
                    };
                    match f {
                        Binary::Add => elementwise::add(v, other),
                        Binary::Mul => elementwise::mul(v, other),
                    }
                });
            }
            Step::SiluMul { x, y, out } => {
                in_place(buffers, *x, *out, |buffers, v| elementwise::silu_mul(v, &buffers[*y]))
            }
            Step::Sample { seen, token, alternatives, logits, out } => {
                let all = states[*seen].len();
                let counts: &mut [u32] = bytemuck::cast_slice_mut(states[*seen].first(all)?);
                let chosen =
                    sample::sample(&params.sample, &buffers[*logits], counts, *alternatives, &mut scratch.sample);
                if let Some(n) = counts.get_mut(chosen.token as usize) {
                    *n = n.saturating_add(1);
                }
                states[*token].first(1)?[0] = f32::from_bits(chosen.token);
                buffers[*out].copy_from_slice(bytemuck::cast_slice(&chosen.to_words()));
                debug_assert_eq!(buffers[*out].len(), Sampled::words(*alternatives));
            }
            Step::AttentionBetween { heads, batch, causal, q, k, v, out } => with(buffers, *out, |buffers, out| {
                let (queries, keys) = (out.len() / batch, buffers[*k].len() / batch);
                let width = heads.kv_heads * heads.head_dim;
                // A position past all keys lets every row see all of them.
                let position = if *causal { 0 } else { keys / width };
                let members = buffers[*q].chunks_exact(queries).zip(out.chunks_exact_mut(queries));
                let kv = buffers[*k].chunks_exact(keys).zip(buffers[*v].chunks_exact(keys));
                for ((q, out), (k, v)) in members.zip(kv) {
                    attention::attention(heads, position, q, k, v, out, &mut scratch.attention);
                }
            }),
            Step::Broadcast { f, batch, x, y, out } => {
                in_place(buffers, *x, *out, |buffers, v| pictures::broadcast(*f, v, &buffers[*y], *batch));
            }
            Step::Modulate { batch, x, shift, scale, out } => in_place(buffers, *x, *out, |buffers, v| {
                pictures::modulate(v, &buffers[*shift], &buffers[*scale], *batch);
            }),
            Step::Columns { first, columns, width, x, out } => {
                with(buffers, *out, |buffers, out| pictures::columns(&buffers[*x], *width, *first, *columns, out));
            }
            Step::Concat { rows, a, b, out } => {
                with(buffers, *out, |buffers, out| pictures::concat(&buffers[*a], &buffers[*b], *rows, out));
            }
            Step::LayerNorm { weight, bias, eps, width, x, out } => {
                let weight = weight.map(|w| vector(shared, w)).transpose()?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                in_place(buffers, *x, *out, |_, v| pictures::layer_norm(v, *width, weight, bias, *eps));
            }
            Step::GroupNorm { weight, bias, groups, eps, batch, x, out } => {
                let (weight, bias) = (vector(shared, *weight)?, vector(shared, *bias)?);
                in_place(buffers, *x, *out, |_, v| pictures::group_norm(v, weight, bias, *groups, *eps, *batch));
            }
            Step::Convolution { weight, bias, reach, channels, x, out } => {
                let w = matrix(shared, *weight)?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                let Scratch { matmul, patches, .. } = scratch;
                with(buffers, *out, |buffers, out| {
                    for (tile, out) in out.chunks_mut(pictures::PATCHES * w.rows).enumerate() {
                        let first = tile * pictures::PATCHES;
                        reach.gather(&buffers[*x], *channels, first, out.len() / w.rows, patches);
                        if w.dtype.is_quantised() {
                            matmul.rows.fill(patches, w.columns);
                        }
                        matmul::linear(w, bias, patches, out, matmul);
                    }
                });
            }
            Step::Upsample { input, factor, x, out } => {
                with(buffers, *out, |buffers, out| pictures::upsample(&buffers[*x], *input, *factor, out));
            }
            Step::TimestepEmbedding { max_period, shift, cosine_first, x, out } => {
                with(buffers, *out, |buffers, out| {
                    pictures::timestep_embedding(&buffers[*x], *max_period, *shift, *cosine_first, out);
                });
            }
        }
        Ok(())
    }
}

/// Lends buffer `out` beside the others.
fn with(buffers: &mut [Vec<f32>], out: usize, f: impl FnOnce(&[Vec<f32>], &mut [f32])) {
    let mut lent = mem::take(&mut buffers[out]);
    f(buffers, &mut lent);
    buffers[out] = lent;
}

/// The same, with the numbers of buffer `x` in it.
fn in_place(buffers: &mut [Vec<f32>], x: usize, out: usize, f: impl FnOnce(&[Vec<f32>], &mut [f32])) {
    with(buffers, out, |buffers, v| {
        if x != out {
            v.copy_from_slice(&buffers[x]);
        }
        f(buffers, v);
    });
}

fn matrix(shared: &Shared, weight: usize) -> Result<&Matrix> {
    match &shared.weights[weight] {
        Weight::Matrix(m) => Ok(m),
        Weight::Vector(_) => Err(Error::invalid_graph("a vector stands where a matrix is expected")),
    }
}

fn vector(shared: &Shared, weight: usize) -> Result<&[f32]> {
    match &shared.weights[weight] {
        Weight::Vector(v) => Ok(v),
        Weight::Matrix(_) => Err(Error::invalid_graph("a matrix stands where a vector is expected")),
    }
}
