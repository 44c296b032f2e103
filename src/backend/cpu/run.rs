//! Runs the steps of a plan: which numbers an operation reads, and where its own go.
//!
//! A step that may compute for long is cut into parts, so that whoever runs a plan can give way between them.

use std::{
    mem,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use vitrine_kernels::{
    attention::{self, Heads, Sight},
    elementwise, matmul,
    matrix::Matrix,
    pictures, recurrent, sample,
    winograd::{self, Made},
};

use super::{
    compile::{Found, LINEAR_ROWS, Place, Rope, Step},
    resident::{Shared, State, Weight},
};
use crate::{
    Error, Result,
    graph::{Attention, Binary, Choice, Grid, Keys, Op, SampleStates, Sampled, StateId, StepParams, WeightId},
};

/// What a plan does, step by step.
pub struct Program {
    pub shared: Arc<Shared>,
    /// Places of the graph's weights and states in `shared`.
    pub weights: Vec<usize>,
    pub states: Vec<usize>,
    pub steps: Vec<Step>,
    /// Lengths of the buffers in words.
    pub sizes: Vec<usize>,
    /// Buffers that each step fills, and those that nothing needs after it.
    pub made: Vec<Vec<usize>>,
    pub done: Vec<Vec<usize>>,
    /// Name, buffer and length.
    pub inputs: Vec<(String, usize, usize)>,
    pub outputs: Vec<(String, Place, usize)>,
    /// Where the rows of a step stand, if not one after another.
    pub places: Option<Places>,
}

/// The buffer of a slot and a position for each row, and how many slots caches have.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub buffer: usize,
    pub slots: usize,
}

impl Places {
    /// Slot and position of each row.
    fn read(self, buffers: &[Vec<f32>]) -> Vec<[usize; 2]> {
        let words: &[u32] = bytemuck::cast_slice(&buffers[self.buffer]);
        words.as_chunks::<2>().0.iter().map(|place| place.map(|n| n as usize)).collect()
    }
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
    recurrent: recurrent::Scratch,
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
            + s.recurrent.bytes()
            + 4 * s.patches.capacity();
        self.shared.plan_bytes.fetch_add(now.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = now;
    }

    pub fn turn_ropes(&mut self, params: &StepParams, places: Option<Places>) {
        if let Some(places) = places {
            let places = places.read(&self.buffers);
            self.ropes
                .iter_mut()
                .for_each(|rope| rope.table.turn_to(places.iter().map(|[_, position]| *position as u32)));
            return;
        }
        for rope in &mut self.ropes {
            if rope.at != Some(params.position) {
                rope.table.turn_to((0..rope.rows as u32).map(|r| params.position.saturating_add(r)));
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
        room.turn_ropes(params, self.places);
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
        let step = &self.steps[i];
        match (&step.op, &step.found) {
            (Op::Linear { .. }, _) => step.rows.div_ceil(LINEAR_ROWS),
            (_, Found::Convolution { winograd: Some(winograd), .. }) => winograd.parts(),
            (_, Found::Convolution { reach, .. }) => reach.output.rows().div_ceil(pictures::PATCHES),
            (Op::Attention(of), _) if !of.mask.is_cached() => {
                of.batch * of.kv_heads * (step.rows / of.batch).div_ceil(attention::ROWS)
            }
            _ => 1,
        }
    }

    fn matrix(&self, weight: WeightId) -> Result<&Matrix> {
        match &self.shared.weights[self.weights[weight.0 as usize]] {
            Weight::Matrix(m) => Ok(m),
            Weight::Vector(_) => Err(Error::invalid_graph("a vector stands where a matrix is expected")),
        }
    }

    fn vector(&self, weight: WeightId) -> Result<&[f32]> {
        match &self.shared.weights[self.weights[weight.0 as usize]] {
            Weight::Vector(v) => Ok(v),
            Weight::Matrix(_) => Err(Error::invalid_graph("a matrix stands where a vector is expected")),
        }
    }

    fn state<'a>(&self, states: &'a mut [State], state: StateId) -> &'a mut State {
        &mut states[self.states[state.0 as usize]]
    }

    /// Runs a part of step `i`; parts go in order. What it makes has room already.
    pub fn run(&self, i: usize, part: usize, room: &mut Room, params: &StepParams, states: &mut [State]) -> Result<()> {
        let Room { buffers, ropes, scratch, .. } = room;
        let step = &self.steps[i];
        let (rows, columns) = (step.rows, step.columns);
        let input = |n: usize| step.inputs[n];
        match &step.op {
            Op::Input { .. } => {}
            Op::LastToken { token } => {
                let last = self.state(states, *token).first(columns)?;
                buffers[step.out].copy_from_slice(last);
            }
            Op::Embedding { table } => {
                let table = self.matrix(*table)?;
                with(buffers, step.out, |buffers, out| {
                    let ids: &[u32] = bytemuck::cast_slice(&buffers[input(0)]);
                    for (id, row) in ids.iter().zip(out.chunks_exact_mut(table.columns)) {
                        let id = *id as usize;
                        table.read_row(if id < table.rows { id } else { 0 }, row);
                    }
                });
            }
            Op::AddPositions { table } => {
                let table = self.matrix(*table)?;
                let places = self.places.map(|places| places.read(buffers));
                in_place(buffers, step, |_, v| {
                    let mut row = vec![0.0; table.columns];
                    for (r, v) in v.chunks_exact_mut(table.columns).enumerate() {
                        let follows = (params.position as usize).saturating_add(r);
                        let position = places.as_ref().map_or(follows, |places| places[r][1]);
                        table.read_row(if position < table.rows { position } else { 0 }, &mut row);
                        elementwise::add(v, &row);
                    }
                });
            }
            Op::Linear { weight, bias } => {
                let w = self.matrix(*weight)?;
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                let first = part * LINEAR_ROWS;
                let count = LINEAR_ROWS.min(rows - first);
                let Scratch { matmul, .. } = scratch;
                with(buffers, step.out, |buffers, out| {
                    let x = &buffers[input(0)][first * w.columns..][..count * w.columns];
                    if let Found::Linear { round: true } = step.found {
                        matmul.rows.fill(x, w.columns);
                    }
                    let out = &mut out[first * w.rows..][..count * w.rows];
                    matmul::linear(w, bias, x, out, matmul);
                    step.finish(buffers, first, out);
                });
            }
            Op::RmsNorm { weight, eps } => {
                let weight = self.vector(*weight)?;
                in_place(buffers, step, |buffers, v| {
                    elementwise::rms_norm(v, weight, *eps);
                    step.finish(buffers, 0, v);
                });
            }
            Op::Rope(of) => {
                let Found::Rope(table) = step.found else {
                    return Err(Error::internal("a rotation without its table"));
                };
                in_place(buffers, step, |_, v| ropes[table].table.apply(v, of.heads, of.head_dim, of.layout));
            }
            Op::CacheWrite { cache } if let Some(places) = self.places => {
                let state = self.state(states, *cache);
                let capacity = state.len() / columns / places.slots;
                for ([slot, position], row) in places.read(buffers).iter().zip(buffers[input(0)].chunks_exact(columns))
                {
                    let first = (slot * capacity + position) * columns;
                    state.first(first + columns)?[first..].copy_from_slice(row);
                }
            }
            Op::CausalConv { weight, bias, width, cached: false } => {
                let (weight, bias) = (self.vector(*weight)?, bias.map(|bias| self.vector(bias)).transpose()?);
                with(buffers, step.out, |buffers, out| {
                    for (r, out) in out.chunks_exact_mut(columns).enumerate() {
                        recurrent::begin(out, bias);
                        recurrent::causal_conv(out, weight, *width, &buffers[input(0)], r + width - 1);
                    }
                });
            }
            Op::CausalConv { weight, bias, width, cached: true } => {
                let (weight, bias) = (self.vector(*weight)?, bias.map(|bias| self.vector(bias)).transpose()?);
                let slots = self.places.map_or(1, |places| places.slots);
                let capacity = states[input(0)].len() / columns / slots;
                let standing: Vec<[usize; 2]> = match self.places {
                    Some(places) => places.read(buffers),
                    None => (0..rows).map(|r| [0, params.position as usize + r]).collect(),
                };
                for (r, [slot, position]) in standing.into_iter().enumerate() {
                    let out = &mut buffers[step.out][r * columns..][..columns];
                    recurrent::begin(out, bias);
                    // Rows past the capacity were dropped.
                    if position < capacity {
                        let first = slot * capacity;
                        let seen = states[input(0)].first((first + position + 1) * columns)?;
                        recurrent::causal_conv(out, weight, *width, &seen[first * columns..], position);
                    }
                }
            }
            Op::CopySlots { cache } => {
                let copies: &[u32] = bytemuck::cast_slice(&buffers[input(0)]);
                let copies = copies.as_chunks::<2>().0;
                let state = self.state(states, *cache);
                let slot_len = state.len() / copies.len();
                let copied = copies.iter().map(|[source, rows]| {
                    let first = *source as usize * slot_len;
                    let last = first + *rows as usize * columns;
                    Ok(state.first(last)?[first..].to_vec())
                });
                for (slot, rows) in copied.collect::<Result<Vec<_>>>()?.iter().enumerate() {
                    let first = slot * slot_len;
                    state.first(first + rows.len())?[first..first + rows.len()].copy_from_slice(rows);
                }
            }
            Op::CacheWrite { cache } => {
                let state = self.state(states, *cache);
                let first = (params.position as usize).saturating_mul(columns).min(state.len());
                let rows = &buffers[input(0)];
                let n = rows.len().min(state.len() - first);
                state.first(first + n)?[first..].copy_from_slice(&rows[..n]);
            }
            Op::Stored { .. } => {}
            Op::Constant { words } => buffers[step.out].copy_from_slice(bytemuck::cast_slice(words)),
            Op::Attention(of) => {
                let heads = heads(of);
                let (width, rows) = (of.kv_heads * of.head_dim, rows / of.batch);
                let bias = of.bias.map(|zero| (input(3), zero));
                if let Some(places) = self.places.filter(|_| of.mask.keys == Keys::Cache) {
                    // Each row by itself, over its own slot.
                    let [k, v] = [input(1), input(2)];
                    let columns = heads.heads * heads.head_dim;
                    for (r, [slot, position]) in places.read(buffers).into_iter().enumerate() {
                        let seen = slot_rows(states, [k, v], places.slots, slot, position, width)?;
                        let [k, v] = [k, v].map(|cache| &states[cache].written()[seen.clone()]);
                        with(buffers, step.out, |buffers, out| {
                            let bias = bias.map(|(b, zero)| (&buffers[b][..], zero));
                            let sight = Sight { position, window: of.mask.window, causal: true, bias };
                            let all = attention::Share { kv: 0..heads.kv_heads, rows: 0..1 };
                            let q = &buffers[input(0)][r * columns..][..columns];
                            let out = &mut out[r * columns..][..columns];
                            attention::attention(&heads, &sight, all, q, k, v, out, &mut scratch.attention);
                        });
                    }
                } else if of.mask.is_cached() {
                    let [k, v] = [input(1), input(2)];
                    let wanted = stored(of, params, rows, width, &states[k]);
                    for cache in [k, v] {
                        states[cache].first(wanted)?;
                    }
                    let (k, v) = (&states[k].written()[..wanted], &states[v].written()[..wanted]);
                    with(buffers, step.out, |buffers, out| {
                        let sight = sight(of, params, bias.map(|(b, zero)| (&buffers[b][..], zero)));
                        let all = attention::Share { kv: 0..heads.kv_heads, rows: 0..rows };
                        let q = &buffers[input(0)];
                        attention::attention(&heads, &sight, all, q, k, v, out, &mut scratch.attention);
                    });
                } else {
                    // Each member of the batch for itself.
                    with(buffers, step.out, |buffers, out| {
                        let blocks = rows.div_ceil(attention::ROWS);
                        let (block, kv, member) =
                            (part % blocks, part / blocks % heads.kv_heads, part / blocks / heads.kv_heads);
                        let q = &buffers[input(0)][member * rows * heads.heads * heads.head_dim..];
                        let q = &q[..rows * heads.heads * heads.head_dim];
                        let last = step.inputs.last().filter(|_| of.lengths).map(|b| &buffers[*b][..]);
                        let [k, v] = [1, 2].map(|n| counted(&buffers[input(n)], of.batch, member, width, last));
                        let first = block * attention::ROWS;
                        let share =
                            attention::Share { kv: kv..kv + 1, rows: first..(first + attention::ROWS).min(rows) };
                        let sight = sight(of, params, bias.map(|(b, zero)| (&buffers[b][..], zero)));
                        let out = &mut out[member * q.len()..][..q.len()];
                        attention::attention(&heads, &sight, share, q, k, v, out, &mut scratch.attention);
                    });
                }
            }
            Op::AttentionWeights(of) => {
                let heads = heads(of);
                let (width, t) = (of.kv_heads * of.head_dim, rows / of.batch / of.heads);
                let bias = of.bias.map(|zero| (input(2), zero));
                if let Some(places) = self.places.filter(|_| of.mask.keys == Keys::Cache) {
                    let queries = heads.heads * heads.head_dim;
                    for (r, [slot, position]) in places.read(buffers).into_iter().enumerate() {
                        let seen = slot_rows(states, [input(1); 2], places.slots, slot, position, width)?;
                        let k = &states[input(1)].written()[seen];
                        with(buffers, step.out, |buffers, out| {
                            let bias = bias.map(|(b, zero)| (&buffers[b][..], zero));
                            let sight = Sight { position, window: of.mask.window, causal: true, bias };
                            let q = &buffers[input(0)][r * queries..][..queries];
                            // Of one row the heads lie apart by all rows.
                            let mut own = vec![0.0; of.heads * columns];
                            attention::weights(&heads, &sight, q, k, columns, &mut own);
                            for (head, own) in own.chunks_exact(columns).enumerate() {
                                out[(head * t + r) * columns..][..columns].copy_from_slice(own);
                            }
                        });
                    }
                    return Ok(());
                }
                let cached = if of.mask.is_cached() {
                    let wanted = stored(of, params, t, width, &states[input(1)]);
                    states[input(1)].first(wanted)?;
                    Some(&states[input(1)].written()[..wanted])
                } else {
                    None
                };
                with(buffers, step.out, |buffers, out| {
                    let sight = sight(of, params, bias.map(|(b, zero)| (&buffers[b][..], zero)));
                    let last = step.inputs.last().filter(|_| of.lengths).map(|b| &buffers[*b][..]);
                    let queries = t * heads.heads * heads.head_dim;
                    for (member, out) in out.chunks_exact_mut(of.heads * t * columns).enumerate() {
                        let q = &buffers[input(0)][member * queries..][..queries];
                        let k = cached.unwrap_or_else(|| counted(&buffers[input(1)], of.batch, member, width, last));
                        attention::weights(&heads, &sight, q, k, columns, out);
                    }
                });
            }
            Op::SelectRow => {
                let x = &buffers[input(0)];
                let (row, count) = (params.row as usize, x.len() / columns);
                if row >= count {
                    return Err(Error::bad_argument(format!("row {row} of a step of {count} rows was asked for")));
                }
                with(buffers, step.out, |buffers, out| {
                    out.copy_from_slice(&buffers[input(0)][row * columns..][..columns]);
                });
            }
            Op::Unary(f) => in_place(buffers, step, |_, v| elementwise::unary(*f, v)),
            Op::Binary(_) if let (Some(gate), [both]) = (step.gate, step.inputs.as_slice()) => {
                with(buffers, step.out, |buffers, out| {
                    pictures::gated(gate.f, gate.last, &buffers[*both], columns, out);
                });
            }
            Op::Binary(_) if step.gate.is_some() => {
                in_place(buffers, step, |buffers, v| elementwise::silu_mul(v, &buffers[input(1)]));
            }
            Op::Binary(f) => {
                // Where the second operand is overwritten the function commutes.
                let (a, b) = if input(1) == step.out { (input(1), input(0)) } else { (input(0), input(1)) };
                overwrite(buffers, a, step.out, |buffers, v| elementwise::binary(*f, v, &buffers[b]));
            }
            Op::Sample { states: SampleStates { seen, bias, token }, alternatives } => {
                let (vocabulary, words) = (buffers[input(0)].len() / rows, Sampled::words(*alternatives));
                let bias = self.state(states, *bias).first(vocabulary)?.to_vec();
                for r in 0..rows {
                    let mut how = params.sample;
                    if let Some(seeds) = step.inputs.get(1) {
                        how.seed = buffers[*seeds][r].to_bits();
                    }
                    let counts = self.state(states, *seen).first((r + 1) * vocabulary)?;
                    let counts: &mut [u32] = bytemuck::cast_slice_mut(&mut counts[r * vocabulary..]);
                    if let Some(n) = counts.get_mut(how.leaving as usize) {
                        *n = n.saturating_sub(1);
                    }
                    let logits = &buffers[input(0)][r * vocabulary..][..vocabulary];
                    let choice = Choice { logits, seen: counts, bias: &bias };
                    let chosen = sample::sample(&how, choice, *alternatives, &mut scratch.sample);
                    if let Some(n) = counts.get_mut(chosen.token as usize) {
                        *n = n.saturating_add(1);
                    }
                    self.state(states, *token).first(r + 1)?[r] = f32::from_bits(chosen.token);
                    buffers[step.out][r * words..][..words].copy_from_slice(bytemuck::cast_slice(&chosen.to_words()));
                }
            }
            Op::Broadcast { f, batch } => {
                in_place(buffers, step, |buffers, v| {
                    elementwise::meet(*f, v, columns, 0, &buffers[input(1)], rows / batch);
                });
            }
            Op::Modulate { batch } => in_place(buffers, step, |buffers, v| {
                pictures::modulate(v, &buffers[input(1)], &buffers[input(2)], *batch);
            }),
            Op::SliceColumns { first } => with(buffers, step.out, |buffers, out| {
                let x = &buffers[input(0)];
                pictures::columns(x, x.len() / rows, *first, columns, out);
            }),
            Op::Rows { first } => with(buffers, step.out, |buffers, out| {
                out.copy_from_slice(&buffers[input(0)][first * columns..][..rows * columns]);
            }),
            Op::Reshape => with(buffers, step.out, |buffers, out| out.copy_from_slice(&buffers[input(0)])),
            Op::Concat => with(buffers, step.out, |buffers, out| {
                pictures::concat(&buffers[input(0)], &buffers[input(1)], rows, out);
            }),
            Op::Stack => with(buffers, step.out, |buffers, out| {
                let (above, below) = (&buffers[input(0)], &buffers[input(1)]);
                out[..above.len()].copy_from_slice(above);
                out[above.len()..].copy_from_slice(below);
            }),
            Op::Softmax => in_place(buffers, step, |_, v| {
                v.chunks_exact_mut(columns).for_each(elementwise::softmax);
            }),
            Op::Pool { how, batch } => with(buffers, step.out, |buffers, out| {
                let lengths: &[u32] = bytemuck::cast_slice(&buffers[input(1)]);
                let x = &buffers[input(0)];
                let members = x.chunks_exact(x.len() / batch).zip(lengths).zip(out.chunks_exact_mut(columns));
                for ((x, length), out) in members {
                    let count = (*length as usize).clamp(1, x.len() / columns);
                    recurrent::pool(*how, &x[..count * columns], out);
                }
            }),
            Op::ReadState { state } => {
                let from = self.state(states, *state).written();
                let out = &mut buffers[step.out];
                out[..from.len()].copy_from_slice(from);
                out[from.len()..].fill(0.0);
            }
            Op::WriteState { state } => {
                let x = &buffers[input(0)];
                self.state(states, *state).first(x.len())?.copy_from_slice(x);
            }
            Op::Recurrent { cell, weight, bias, hidden, memory } => {
                let w = self.matrix(*weight)?;
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                let Scratch { matmul, recurrent: scratch, .. } = scratch;
                let batch = self.state(states, *hidden).spec.shape[0];
                for member in 0..batch {
                    let own = member * columns..(member + 1) * columns;
                    scratch.read(&self.state(states, *hidden).first(batch * columns)?[own.clone()]);
                    if let Some(memory) = memory {
                        scratch.remember(&self.state(states, *memory).first(batch * columns)?[own.clone()]);
                    }
                    with(buffers, step.out, |buffers, out| {
                        let t = out.len() / columns / batch;
                        let (x, out) = (&buffers[input(0)][member * t * w.rows..], &mut out[member * t * columns..]);
                        for (x, out) in x.chunks_exact(w.rows).zip(out.chunks_exact_mut(columns)).take(t) {
                            scratch.advance(*cell, w, bias, x, matmul);
                            out.copy_from_slice(&scratch.hidden);
                        }
                    });
                    self.state(states, *hidden).first(batch * columns)?[own.clone()].copy_from_slice(&scratch.hidden);
                    if let Some(memory) = memory {
                        self.state(states, *memory).first(batch * columns)?[own].copy_from_slice(&scratch.memory);
                    }
                }
            }
            Op::SelectiveScan { a, skip, state } => {
                let (a, skip) = (self.vector(*a)?, self.vector(*skip)?);
                let state = self.state(states, *state).first(a.len())?;
                with(buffers, step.out, |buffers, out| {
                    let [x, steps, ends] = [0, 1, 2].map(|n| &buffers[input(n)][..]);
                    recurrent::selective_scan(state, [a, skip], x, steps, ends, out);
                });
            }
            Op::DeltaRule { state } => {
                let state = self.state(states, *state);
                let head = state.len() / columns;
                let state = state.first(columns * head)?;
                with(buffers, step.out, |buffers, out| {
                    for (r, out) in out.chunks_exact_mut(columns).enumerate() {
                        let inputs = [0, 1, 2, 3, 4, 5].map(|n| &buffers[input(n)][r * columns..][..columns]);
                        recurrent::delta_rule(state, head, inputs, out);
                    }
                });
            }
            Op::LayerNorm { weight, bias, eps } => {
                let weight = weight.map(|w| self.vector(w)).transpose()?;
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                in_place(buffers, step, |buffers, v| {
                    pictures::layer_norm(v, columns, weight, bias, *eps);
                    step.finish(buffers, 0, v);
                });
            }
            Op::GroupNorm { weight, bias, groups, eps, batch } => {
                let (weight, bias) = (self.vector(*weight)?, self.vector(*bias)?);
                let norm =
                    pictures::GroupNorm { weight, bias, groups: *groups, eps: *eps, activation: step.activation };
                with(buffers, step.out, |buffers, out| {
                    norm.apply((input(0) != step.out).then(|| &buffers[input(0)][..]), out, *batch);
                });
            }
            Op::Conv2d { weight, bias, .. } | Op::ConvTranspose2d { weight, bias, .. } => {
                let Found::Convolution { reach, winograd } = &step.found else {
                    return Err(Error::internal("a convolution without its reach"));
                };
                let w = self.matrix(*weight)?;
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                let Scratch { matmul, winograd: room, patches, .. } = scratch;
                if let (Some(winograd), 0) = (winograd, part) {
                    winograd.reserve(room).map_err(|e| {
                        Error::out_of_memory(
                            "no room for the transformed weights of a convolution; ask for a smaller picture",
                        )
                        .caused_by(e)
                    })?;
                }
                with(buffers, step.out, |buffers, out| {
                    let x = &buffers[input(0)];
                    let made = if let Some(winograd) = winograd {
                        winograd.run(part, w, bias, x, out, room)
                    } else {
                        let first = part * pictures::PATCHES;
                        let rows = pictures::PATCHES.min(reach.output.rows() - first);
                        reach.gather(x, x.len() / reach.input.rows(), first, rows, patches);
                        if w.dtype.is_quantised() {
                            matmul.rows.fill(patches, w.columns);
                        }
                        matmul::linear(w, bias, patches, &mut out[first * w.rows..][..rows * w.rows], matmul);
                        Made { rows: first..first + rows, complete: true }
                    };
                    if made.complete {
                        let range = made.rows.start * columns..made.rows.end * columns;
                        step.finish(buffers, made.rows.start, &mut out[range]);
                    }
                });
            }
            Op::Upsample { input: grid, factor } => with(buffers, step.out, |buffers, out| {
                pictures::upsample(&buffers[input(0)], *grid, *factor, out);
            }),
            Op::Crop { input: grid, height, width } => with(buffers, step.out, |buffers, out| {
                let output = Grid { height: *height, width: *width, ..*grid };
                pictures::crop(&buffers[input(0)], *grid, output, out);
            }),
            Op::TimestepEmbedding { max_period, shift, cosine_first } => with(buffers, step.out, |buffers, out| {
                pictures::timestep_embedding(&buffers[input(0)], *max_period, *shift, *cosine_first, out);
            }),
        }
        Ok(())
    }
}

impl Step {
    /// What is done with rows `first_row ..` of the result, which are `out`.
    fn finish(&self, buffers: &[Vec<f32>], first_row: usize, out: &mut [f32]) {
        for (f, side) in [(Binary::Mul, self.gain), (Binary::Add, self.residual)] {
            if let Some(side) = side {
                elementwise::meet(f, out, self.columns, first_row, &buffers[side.buffer], side.rows);
            }
        }
        if let Some(f) = self.activation {
            elementwise::unary(f, out);
        }
    }
}

fn heads(of: &Attention) -> Heads {
    Heads { heads: of.heads, kv_heads: of.kv_heads, head_dim: of.head_dim, scale: of.scale, softcap: of.softcap }
}

fn sight<'a>(of: &Attention, params: &StepParams, bias: Option<(&'a [f32], usize)>) -> Sight<'a> {
    let position = if of.mask.is_cached() { params.position as usize } else { 0 };
    Sight { position, window: of.mask.window, causal: of.mask.causal, bias }
}

/// How many words of keys that are a state an attention of `rows` queries may see; those past the capacity were dropped.
fn stored(of: &Attention, params: &StepParams, rows: usize, width: usize, keys: &State) -> usize {
    let seen = match of.mask.keys {
        Keys::Memory => params.memory as usize,
        _ => (params.position as usize).saturating_add(rows),
    };
    seen.saturating_mul(width).min(keys.len())
}

/// The words of a slot's rows up to `position` in caches of `slots` slots, which are in memory afterwards.
fn slot_rows(
    states: &mut [State],
    caches: [usize; 2],
    slots: usize,
    slot: usize,
    position: usize,
    width: usize,
) -> Result<Range<usize>> {
    let first = slot * (states[caches[0]].len() / slots);
    let seen = first..first + (position + 1) * width;
    caches.iter().try_for_each(|cache| states[*cache].first(seen.end).map(drop))?;
    Ok(seen)
}

/// The rows of one member of a batch, as many as count.
fn counted<'a>(all: &'a [f32], batch: usize, member: usize, width: usize, lengths: Option<&[f32]>) -> &'a [f32] {
    let len = all.len() / batch;
    let rows = lengths.map_or(len / width, |lengths| (lengths[member].to_bits() as usize).clamp(1, len / width));
    &all[member * len..][..rows * width]
}

/// Lends buffer `out` beside the others.
fn with(buffers: &mut [Vec<f32>], out: usize, f: impl FnOnce(&[Vec<f32>], &mut [f32])) {
    let mut lent = mem::take(&mut buffers[out]);
    f(buffers, &mut lent);
    buffers[out] = lent;
}

/// The same, with the numbers of buffer `x` in it.
fn overwrite(buffers: &mut [Vec<f32>], x: usize, out: usize, f: impl FnOnce(&[Vec<f32>], &mut [f32])) {
    with(buffers, out, |buffers, v| {
        if x != out {
            v.copy_from_slice(&buffers[x]);
        }
        f(buffers, v);
    });
}

/// The same, with the numbers of the step's first input in its result.
fn in_place(buffers: &mut [Vec<f32>], step: &Step, f: impl FnOnce(&[Vec<f32>], &mut [f32])) {
    overwrite(buffers, step.inputs[0], step.out, f);
}
