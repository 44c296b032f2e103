//! What looks back along a sequence: recurrent cells, selective state spaces, causal convolutions, and what sequences become at their end.

use crate::{
    elementwise, matmul,
    matrix::Matrix,
    ops::{Cell, Pooling, Unary},
};

/// Room for a layer that goes from row to row.
#[derive(Default)]
pub struct Scratch {
    /// The state, and an LSTM's memory.
    pub hidden: Vec<f32>,
    pub memory: Vec<f32>,
    /// The state's projection.
    projection: Vec<f32>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        4 * (self.hidden.capacity() + self.memory.capacity() + self.projection.capacity())
    }

    /// Begins with this state.
    pub fn read(&mut self, hidden: &[f32]) {
        self.hidden.clear();
        self.hidden.extend_from_slice(hidden);
    }

    /// Begins with this memory.
    pub fn remember(&mut self, memory: &[f32]) {
        self.memory.clear();
        self.memory.extend_from_slice(memory);
    }

    /// Meets the projection `x` of one input.
    pub fn advance(&mut self, cell: Cell, w: &Matrix, bias: Option<&[f32]>, x: &[f32], matmul: &mut matmul::Scratch) {
        let Self { hidden, memory, projection: u } = self;
        u.resize(w.rows, 0.0);
        if w.dtype.is_quantised() {
            matmul.rows.fill(hidden, w.columns);
        }
        matmul::linear(w, bias, hidden, u, matmul);
        let n = hidden.len();
        match cell {
            Cell::Lstm => {
                elementwise::add(u, x);
                let (input_and_forget, rest) = u.split_at_mut(2 * n);
                let (candidate, output) = rest.split_at_mut(n);
                elementwise::unary(Unary::Sigmoid, input_and_forget);
                elementwise::unary(Unary::Tanh, candidate);
                elementwise::unary(Unary::Sigmoid, output);
                let (input, forget) = input_and_forget.split_at(n);
                for (i, c) in memory.iter_mut().enumerate() {
                    *c = forget[i] * *c + input[i] * candidate[i];
                }
                hidden.copy_from_slice(memory);
                elementwise::unary(Unary::Tanh, hidden);
                elementwise::mul(hidden, output);
            }
            Cell::Gru => {
                let (gates, candidate) = u.split_at_mut(2 * n);
                elementwise::add(gates, &x[..2 * n]);
                elementwise::unary(Unary::Sigmoid, gates);
                let (reset, update) = gates.split_at(n);
                elementwise::mul(candidate, reset);
                elementwise::add(candidate, &x[2 * n..]);
                elementwise::unary(Unary::Tanh, candidate);
                for (i, h) in hidden.iter_mut().enumerate() {
                    *h = (1.0 - update[i]) * candidate[i] + update[i] * *h;
                }
            }
            Cell::Tanh => {
                elementwise::add(u, x);
                elementwise::unary(Unary::Tanh, u);
                hidden.copy_from_slice(u);
            }
        }
    }
}

/// The rows `x` as one, `out`.
pub fn pool(how: Pooling, x: &[f32], out: &mut [f32]) {
    let n = out.len();
    let mut rows = x.chunks_exact(n);
    match how {
        Pooling::First => out.copy_from_slice(&x[..n]),
        Pooling::Last => out.copy_from_slice(&x[x.len() - n..]),
        Pooling::Mean => {
            out.fill(0.0);
            rows.by_ref().for_each(|row| elementwise::add(out, row));
            let count = (x.len() / n) as f32;
            out.iter_mut().for_each(|v| *v /= count);
        }
        Pooling::Max => {
            out.copy_from_slice(&x[..n]);
            for row in rows {
                out.iter_mut().zip(row).for_each(|(v, x)| *v = v.max(*x));
            }
        }
    }
}

/// `ln(1 + e^x)`
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// A selective state space (arXiv 2312.00752): rows `x` and `steps` `[t, n]`, and `ends` `[t, 2 · s]`, how states are fed and read → `out` `[t, n]`. `state`
/// `[n, s]` goes on from row to row; `a` is `[n · s]`, `skip` `[n]`.
pub fn selective_scan(
    state: &mut [f32],
    [a, skip]: [&[f32]; 2],
    x: &[f32],
    steps: &[f32],
    ends: &[f32],
    out: &mut [f32],
) {
    let n = skip.len();
    let s = a.len() / n;
    let (mut decay, mut fed) = (vec![0.0; a.len()], vec![0.0; n]);
    for (r, out) in out.chunks_exact_mut(n).enumerate() {
        let (x, steps) = (&x[r * n..][..n], &steps[r * n..][..n]);
        let (b, c) = ends[r * 2 * s..][..2 * s].split_at(s);
        for (i, decay) in decay.chunks_exact_mut(s).enumerate() {
            let step = softplus(steps[i]);
            fed[i] = step * x[i];
            decay.iter_mut().zip(&a[i * s..]).for_each(|(decay, a)| *decay = step * a);
        }
        elementwise::unary(Unary::Exp, &mut decay);
        for (i, (h, decay)) in state.chunks_exact_mut(s).zip(decay.chunks_exact(s)).enumerate() {
            let mut sum = skip[i] * x[i];
            for (j, h) in h.iter_mut().enumerate() {
                *h = decay[j] * *h + fed[i] * b[j];
                sum += c[j] * *h;
            }
            out[i] = sum;
        }
    }
}

/// One row of the generalised delta rule (arXiv 2503.14456): r, w, k, v, a and b of heads `head` wide → `out`, as wide together as they. `state` holds for each
/// value of a head what it has by each key.
pub fn delta_rule(state: &mut [f32], head: usize, [r, w, k, v, a, b]: [&[f32]; 6], out: &mut [f32]) {
    for (i, state) in state.chunks_exact_mut(head).enumerate() {
        let [r, w, k, a, b] = [r, w, k, a, b].map(|x| &x[i / head * head..][..head]);
        let replaced = elementwise::dot(state, a);
        for (j, s) in state.iter_mut().enumerate() {
            *s = *s * w[j] - replaced * b[j] + v[i] * k[j];
        }
        out[i] = elementwise::dot(state, r);
    }
}

/// What a convolution adds to.
pub fn begin(out: &mut [f32], bias: Option<&[f32]>) {
    match bias {
        Some(bias) => out.copy_from_slice(bias),
        None => out.fill(0.0),
    }
}

/// Adds to the row `out` what the last `width` rows of `seen` up to `position` give, column by column.
pub fn causal_conv(out: &mut [f32], weight: &[f32], width: usize, seen: &[f32], position: usize) {
    let columns = out.len();
    for back in 0..width.min(position + 1) {
        let row = &seen[(position - back) * columns..][..columns];
        for (column, (out, x)) in out.iter_mut().zip(row).enumerate() {
            *out += weight[column * width + width - 1 - back] * x;
        }
    }
}
