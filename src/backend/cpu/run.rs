//! Runs the steps of a plan: which numbers an operation reads, and where its own go.
//!
//! A step that may compute for long is cut into parts, so that whoever runs a plan can give way between them.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
};

use super::{
    attention,
    compile::{Place, Rope, Step},
    elementwise, matmul,
    matrix::Matrix,
    pictures,
    resident::{Shared, State, Weight},
    sample,
    winograd::{self, Made},
};
use crate::{
    Error, Result,
    graph::{Binary, Sampled, StepParams},
};

/// Rows of a product that are computed in one go: some ten milliseconds of work for the widest of layers.
pub const LINEAR_ROWS: usize = 256;

/// What a plan does, step by step.
pub struct Program {
    pub shared: Arc<Shared>,
    pub steps: Vec<Step>,
    /// Operation and place of each step.
    pub labels: Vec<String>,
    /// Lengths of the buffers in words.
    pub sizes: Vec<usize>,
    /// Buffers that each step fills, and those that nothing needs after it.
    pub made: Vec<Vec<usize>>,
    pub done: Vec<Vec<usize>>,
    /// Name, buffer and length.
    pub inputs: Vec<(String, usize, usize)>,
    pub outputs: Vec<(String, Place, usize)>,
}

/// Room that steps need and keep.
#[derive(Default)]
struct Scratch {
    matmul: matmul::Scratch,
    attention: attention::Scratch,
    sample: sample::Scratch,
    /// Rows of a convolution's patches.
    patches: Vec<f32>,
    winograd: winograd::Scratch,
}

/// What steps change.
pub struct Room {
    shared: Arc<Shared>,
    pub buffers: Vec<Vec<f32>>,
    pub ropes: Vec<Rope>,
    scratch: Scratch,
    /// What [`Shared::plan_bytes`] counts for this room.
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.plan_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Room {
    /// Without any buffer yet.
    pub fn new(program: &Program, ropes: Vec<Rope>) -> Self {
        let buffers = vec![vec![]; program.sizes.len()];
        Self { shared: program.shared.clone(), buffers, ropes, scratch: Scratch::default(), bytes: 0 }
    }

    /// Makes buffer `b` if it is not there.
    pub fn make(&mut self, b: usize, len: usize) -> Result<()> {
        let buffer = &mut self.buffers[b];
        if buffer.len() != len {
            buffer.try_reserve_exact(len).map_err(|e| {
                let bytes = len.saturating_mul(4);
                Error::out_of_memory(format!("no room for the {bytes} bytes of a step's values; ask for less at once (a smaller picture, a shorter text), or use a smaller model"))
                    .caused_by(e)
            })?;
            buffer.resize(len, 0.0);
        }
        Ok(())
    }

    /// Gives all memory back.
    pub fn clear(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| *buffer = vec![]);
        self.scratch = Scratch::default();
        self.count_bytes();
    }

    pub fn count_bytes(&mut self) {
        let s = &self.scratch;
        let now = 4 * self.buffers.iter().map(Vec::capacity).sum::<usize>()
            + s.matmul.bytes()
            + s.attention.bytes()
            + s.sample.bytes()
            + s.winograd.bytes()
            + 4 * s.patches.capacity();
        self.shared.plan_bytes.fetch_add(now.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = now;
    }

    pub fn turn_ropes(&mut self, params: &StepParams) {
        for rope in &mut self.ropes {
            if rope.at != Some(params.position) {
                rope.table.turn_to(params.position, rope.rows);
                rope.at = Some(params.position);
            }
        }
    }
}

impl Program {
    /// Readies a room for a step: its inputs and rotary tables.
    pub fn begin(&self, room: &mut Room, inputs: &[Vec<f32>], params: &StepParams) -> Result<()> {
        for ((_, buffer, len), values) in self.inputs.iter().zip(inputs) {
            room.make(*buffer, *len)?;
            room.buffers[*buffer].copy_from_slice(values);
        }
        room.turn_ropes(params);
        Ok(())
    }

    /// Makes room for what step `i` makes.
    pub fn make(&self, i: usize, room: &mut Room) -> Result<()> {
        self.made[i].iter().try_for_each(|b| room.make(*b, self.sizes[*b]))
    }

    /// Gives back what nothing needs after step `i`.
    pub fn unmake(&self, i: usize, room: &mut Room) {
        for b in &self.done[i] {
            room.buffers[*b] = vec![];
        }
    }

    /// Into how many parts step `i` is cut.
    pub fn parts(&self, i: usize) -> usize {
        match &self.steps[i] {
            Step::Linear { rows, .. } => rows.div_ceil(LINEAR_ROWS),
            Step::Convolution { winograd: Some(winograd), .. } => winograd.parts(),
            Step::Convolution { reach, .. } => reach.output.rows().div_ceil(pictures::PATCHES),
            Step::AttentionBetween { heads, batch, rows, .. } => {
                batch * heads.kv_heads * rows.div_ceil(attention::ROWS)
            }
            _ => 1,
        }
    }

    /// Runs a part of step `i`; parts go in order. What it makes has room already.
    pub fn run(&self, i: usize, part: usize, room: &mut Room, params: &StepParams, states: &mut [State]) -> Result<()> {
        let Self { shared, steps, .. } = self;
        let Room { buffers, ropes, scratch, .. } = room;
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
            Step::AddPositions { table, x, out } => {
                let table = matrix(shared, *table)?;
                in_place(buffers, *x, *out, |_, v| {
                    let mut row = vec![0.0; table.columns];
                    for (r, v) in v.chunks_exact_mut(table.columns).enumerate() {
                        let position = (params.position as usize).saturating_add(r);
                        table.read_row(if position < table.rows { position } else { 0 }, &mut row);
                        elementwise::add(v, &row);
                    }
                });
            }
            Step::Linear { weight, bias, rows, x, out, round } => {
                let w = matrix(shared, *weight)?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                let first = part * LINEAR_ROWS;
                let count = LINEAR_ROWS.min(rows - first);
                let Scratch { matmul, .. } = scratch;
                with(buffers, *out, |buffers, out| {
                    let x = &buffers[*x][first * w.columns..][..count * w.columns];
                    if *round {
                        matmul.rows.fill(x, w.columns);
                    }
                    matmul::linear(w, bias, x, &mut out[first * w.rows..][..count * w.rows], matmul);
                });
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
                    let all = attention::Share { kv: 0..heads.kv_heads, rows: 0..t };
                    attention::attention(heads, position, all, &buffers[*q], k, v, out, &mut scratch.attention);
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
            Step::Unary { f, x, out } => in_place(buffers, *x, *out, |_, v| elementwise::unary(*f, v)),
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
            Step::AttentionBetween { heads, batch, causal, rows, q, k, v, out } => {
                with(buffers, *out, |buffers, out| {
                    let blocks = rows.div_ceil(attention::ROWS);
                    let (block, kv, member) =
                        (part % blocks, part / blocks % heads.kv_heads, part / blocks / heads.kv_heads);
                    let (queries, keys) = (out.len() / batch, buffers[*k].len() / batch);
                    let first = block * attention::ROWS;
                    let share = attention::Share { kv: kv..kv + 1, rows: first..(first + attention::ROWS).min(*rows) };
                    // A position past all keys lets every row see all of them.
                    let position = if *causal { 0 } else { keys / (heads.kv_heads * heads.head_dim) };
                    let q = &buffers[*q][member * queries..][..queries];
                    let [k, v] = [k, v].map(|b| &buffers[*b][member * keys..][..keys]);
                    let out = &mut out[member * queries..][..queries];
                    attention::attention(heads, position, share, q, k, v, out, &mut scratch.attention);
                })
            }
            Step::Broadcast { f, batch, x, y, out } => {
                in_place(buffers, *x, *out, |buffers, v| pictures::broadcast(*f, v, &buffers[*y], *batch));
            }
            Step::Modulate { batch, x, shift, scale, out } => in_place(buffers, *x, *out, |buffers, v| {
                pictures::modulate(v, &buffers[*shift], &buffers[*scale], *batch);
            }),
            Step::Columns { first, columns, width, x, out } => {
                with(buffers, *out, |buffers, out| pictures::columns(&buffers[*x], *width, *first, *columns, out));
            }
            Step::Gated { f, last, n, x, out } => {
                with(buffers, *out, |buffers, out| pictures::gated(*f, *last, &buffers[*x], *n, out));
            }
            Step::Concat { rows, a, b, out } => {
                with(buffers, *out, |buffers, out| pictures::concat(&buffers[*a], &buffers[*b], *rows, out));
            }
            Step::LayerNorm { weight, bias, eps, width, x, out } => {
                let weight = weight.map(|w| vector(shared, w)).transpose()?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                in_place(buffers, *x, *out, |_, v| pictures::layer_norm(v, *width, weight, bias, *eps));
            }
            Step::GroupNorm { weight, bias, groups, eps, batch, silu, x, out } => {
                let (weight, bias) = (vector(shared, *weight)?, vector(shared, *bias)?);
                let norm = pictures::GroupNorm { weight, bias, groups: *groups, eps: *eps, silu: *silu };
                let out_at = out;
                with(buffers, *out, |buffers, out| {
                    norm.apply((x != out_at).then(|| &buffers[*x][..]), out, *batch);
                });
            }
            Step::Convolution { weight, bias, reach, channels, winograd, plus, then, x, out } => {
                let w = matrix(shared, *weight)?;
                let bias = bias.map(|b| vector(shared, b)).transpose()?;
                let Scratch { matmul, winograd: room, patches, .. } = scratch;
                if let (Some(winograd), 0) = (winograd, part) {
                    winograd.reserve(room)?;
                }
                with(buffers, *out, |buffers, out| {
                    let x = &buffers[*x];
                    let made = if let Some(winograd) = winograd {
                        winograd.run(part, w, bias, x, out, room)
                    } else {
                        let first = part * pictures::PATCHES;
                        let rows = pictures::PATCHES.min(reach.output.rows() - first);
                        reach.gather(x, *channels, first, rows, patches);
                        if w.dtype.is_quantised() {
                            matmul.rows.fill(patches, w.columns);
                        }
                        matmul::linear(w, bias, patches, &mut out[first * w.rows..][..rows * w.rows], matmul);
                        Made { rows: first..first + rows, complete: true }
                    };
                    if made.complete {
                        let range = made.rows.start * w.rows..made.rows.end * w.rows;
                        let out = &mut out[range.clone()];
                        if let Some(plus) = plus {
                            elementwise::add(out, &buffers[*plus][range]);
                        }
                        if let Some(f) = then {
                            elementwise::unary(*f, out);
                        }
                    }
                });
            }
            Step::Upsample { input, factor, x, out } => {
                with(buffers, *out, |buffers, out| pictures::upsample(&buffers[*x], *input, *factor, out));
            }
            Step::Crop { input, output, x, out } => {
                with(buffers, *out, |buffers, out| pictures::crop(&buffers[*x], *input, *output, out));
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
