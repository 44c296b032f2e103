//! Causal grouped-query attention over caches: straight loops for a row or a few (decode), panels of keys and values
//! for many (prefill).

use std::ops::Range;

use crate::{
    elementwise::{dot, softmax},
    matmul::float_panel,
    rows::TILE,
    units::{FloatColumn, PANEL},
};

/// The numbers of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub scale: f32,
    /// What scores are kept below.
    pub softcap: Option<f32>,
}

impl Heads {
    fn cap(&self, scores: &mut [f32]) {
        let Some(cap) = self.softcap else { return };
        for score in scores {
            *score = cap * (*score / cap).tanh();
        }
    }
}

/// Which keys a row sees, and how far they are from it.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Where row 0 stands among the keys.
    pub position: usize,
    /// How many places away a key is not seen any more.
    pub window: Option<usize>,
    /// Whether a row sees none of those after it.
    pub causal: bool,
    /// Rows `[distances, heads]`, and which of them is that of a key at the row's own place.
    pub bias: Option<(&'a [f32], usize)>,
}

impl Sight<'_> {
    /// The keys that row `row` sees of `keys` in all.
    fn seen(&self, row: usize, keys: usize) -> Range<usize> {
        let window = self.window.unwrap_or(usize::MAX);
        let next = self.position.saturating_add(row + 1);
        if self.causal {
            let end = next.min(keys);
            return end.saturating_sub(window)..end;
        }
        // Whoever stands further from all than the window reaches sees the last.
        let end = (next - 1).saturating_add(window).min(keys);
        next.saturating_sub(window).min(end - 1)..end
    }

    /// Adds the bias to the scores of keys `first ..` for a head's row.
    fn lean(&self, scores: &mut [f32], first: usize, row: usize, head: usize, heads: usize) {
        let Some((bias, zero)) = self.bias else { return };
        for (key, score) in (first..).zip(scores) {
            // Rows past a cache's capacity stand further on than their keys can be.
            *score += bias[(key + zero).saturating_sub(self.position + row) * heads + head];
        }
    }
}

/// Room that attention needs and keeps.
#[derive(Default)]
pub struct Scratch {
    scores: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<FloatColumn>,
    values: Vec<FloatColumn>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        4 * (self.scores.capacity() + self.queries.capacity())
            + size_of::<FloatColumn>() * (self.keys.capacity() + self.values.capacity())
    }
}

/// Rows of queries that meet the keys of a head in one go: enough to spread the packing of keys over, and some tens of
/// milliseconds of work where there are thousands of keys.
pub const ROWS: usize = 256;

/// Which part of an attention to compute: key heads, and rows of queries.
pub struct Share {
    pub kv: Range<usize>,
    pub rows: Range<usize>,
}

/// q and out `[t, heads · head_dim]`; k and v `[keys, kv_heads · head_dim]`.
#[allow(clippy::too_many_arguments)]
pub fn attention(
    h: &Heads,
    sight: &Sight,
    share: Share,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    if q.len() / (h.heads * h.head_dim) < TILE {
        few_rows(h, sight, share, q, k, v, out, scratch);
    } else {
        many_rows(h, sight, share, q, k, v, out, scratch);
    }
}

#[allow(clippy::too_many_arguments)]
fn few_rows(
    h: &Heads,
    sight: &Sight,
    share: Share,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (dim, width) = (h.head_dim, h.heads * h.head_dim);
    let shared = h.heads / h.kv_heads;
    let keys = k.len() / (h.kv_heads * dim);
    for r in share.rows {
        let seen = sight.seen(r, keys);
        for head in share.kv.start * shared..share.kv.end * shared {
            let at = head / shared * dim;
            let (q, out) = (&q[r * width + head * dim..][..dim], &mut out[r * width + head * dim..][..dim]);
            scratch.scores.clear();
            let stride = h.kv_heads * dim;
            let rows = k[seen.start * stride..seen.end * stride].chunks_exact(stride);
            scratch.scores.extend(rows.map(|row| dot(q, &row[at..at + dim]) * h.scale));
            h.cap(&mut scratch.scores);
            sight.lean(&mut scratch.scores, seen.start, r, head, h.heads);
            softmax(&mut scratch.scores);
            weighted_sum(&scratch.scores, &v[seen.start * stride..], stride, at, out);
        }
    }
}

/// How much each row takes from each key: out `[heads, t, columns]`, where `k` may have fewer rows than there are columns.
pub fn weights(h: &Heads, sight: &Sight, q: &[f32], k: &[f32], columns: usize, out: &mut [f32]) {
    let (dim, width, stride) = (h.head_dim, h.heads * h.head_dim, h.kv_heads * h.head_dim);
    let (t, keys) = (q.len() / width, k.len() / stride);
    out.fill(0.0);
    for (at, out) in out.chunks_exact_mut(columns).enumerate() {
        let (head, r) = (at / t, at % t);
        let seen = sight.seen(r, keys);
        let (q, column) = (&q[r * width + head * dim..][..dim], head / (h.heads / h.kv_heads) * dim);
        let scores = &mut out[seen.clone()];
        for (score, row) in scores.iter_mut().zip(k[seen.start * stride..].chunks_exact(stride)) {
            *score = dot(q, &row[column..column + dim]) * h.scale;
        }
        h.cap(scores);
        sight.lean(scores, seen.start, r, head, h.heads);
        softmax(scores);
    }
}

/// `out = Σ weights[j] · v[j · stride + at ..]`
fn weighted_sum(weights: &[f32], v: &[f32], stride: usize, at: usize, out: &mut [f32]) {
    let dim = out.len();
    out.fill(0.0);
    let row = |j: usize| &v[j * stride + at..][..dim];
    let (fours, rest) = weights.as_chunks::<4>();
    for (j, w) in fours.iter().enumerate() {
        let rows = [row(4 * j), row(4 * j + 1), row(4 * j + 2), row(4 * j + 3)];
        for (d, out) in out.iter_mut().enumerate() {
            *out += (w[0] * rows[0][d] + w[1] * rows[1][d]) + (w[2] * rows[2][d] + w[3] * rows[3][d]);
        }
    }
    for (j, w) in rest.iter().enumerate() {
        for (out, v) in out.iter_mut().zip(row(fours.len() * 4 + j)) {
            *out += w * v;
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn many_rows(
    h: &Heads,
    sight: &Sight,
    share: Share,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let Heads { heads, kv_heads, head_dim: dim, scale, .. } = *h;
    let (width, kv_width, shared) = (heads * dim, kv_heads * dim, heads / kv_heads);
    let keys = k.len() / kv_width;
    let padded = keys.next_multiple_of(PANEL);
    let Scratch { scores, queries, keys: key_panels, values: value_panels } = scratch;
    scores.resize(TILE * padded, 0.0);
    queries.resize(TILE * dim, 0.0);
    for kv in share.kv {
        pack_keys(k, kv_width, kv * dim, dim, key_panels);
        pack_values(v, kv_width, kv * dim, dim, value_panels);
        for first in share.rows.clone().step_by(TILE) {
            // A last tile that is not full repeats its last row.
            let row = |l: usize| (first + l).min(share.rows.end - 1);
            // Keys from the first that the first row of the tile sees to the last that the last does, in whole panels.
            let begin = sight.seen(row(0), keys).start / PANEL * PANEL;
            let end = sight.seen(row(TILE - 1), keys).end.next_multiple_of(PANEL);
            let span = end - begin;
            for head in kv * shared..(kv + 1) * shared {
                for l in 0..TILE {
                    let from = &q[row(l) * width + head * dim..][..dim];
                    for (to, from) in queries[l * dim..][..dim].iter_mut().zip(from) {
                        *to = from * scale;
                    }
                }
                let query: [&[f32]; TILE] = std::array::from_fn(|l| &queries[l * dim..][..dim]);
                let panels = &key_panels[begin / PANEL * dim..end / PANEL * dim];
                for (p, panel) in panels.chunks_exact(dim).enumerate() {
                    for (l, s) in float_panel(panel, &query).iter().enumerate() {
                        scores[l * padded + p * PANEL..][..PANEL].copy_from_slice(s);
                    }
                }
                for l in 0..TILE {
                    let scores = &mut scores[l * padded..][..span];
                    let seen = sight.seen(row(l), keys);
                    let those = &mut scores[seen.start - begin..seen.end - begin];
                    h.cap(those);
                    sight.lean(those, seen.start, row(l), head, heads);
                    softmax(those);
                    scores[..seen.start - begin].fill(0.0);
                    scores[seen.end - begin..].fill(0.0);
                }
                let weights: [&[f32]; TILE] = std::array::from_fn(|l| &scores[l * padded..][..span]);
                for (p, panel) in value_panels.chunks_exact(padded).enumerate() {
                    let n = PANEL.min(dim - p * PANEL);
                    for (l, s) in float_panel(&panel[begin..end], &weights).iter().enumerate() {
                        if first + l < share.rows.end {
                            out[(first + l) * width + head * dim + p * PANEL..][..n].copy_from_slice(&s[..n]);
                        }
                    }
                }
            }
        }
    }
}

/// Columns `at .. at + dim` of the rows of `k`, eight rows side by side: `[row / 8][dim][row % 8]`.
fn pack_keys(k: &[f32], stride: usize, at: usize, dim: usize, panels: &mut Vec<FloatColumn>) {
    panels.clear();
    for eight in k.chunks(stride * PANEL) {
        let first = panels.len();
        panels.resize(first + dim, [[0.0; 4]; 2]);
        for (r, row) in eight.chunks_exact(stride).enumerate() {
            for (to, from) in panels[first..].iter_mut().zip(&row[at..at + dim]) {
                to[r / 4][r % 4] = *from;
            }
        }
    }
}

/// Columns `at .. at + dim` of the rows of `v`, eight columns side by side: `[column / 8][row, padded][column % 8]`.
fn pack_values(v: &[f32], stride: usize, at: usize, dim: usize, panels: &mut Vec<FloatColumn>) {
    let padded = (v.len() / stride).next_multiple_of(PANEL);
    panels.clear();
    for first in (0..dim).step_by(PANEL) {
        let n = PANEL.min(dim - first);
        for row in v.chunks_exact(stride) {
            let mut eight = [0.0; PANEL];
            eight[..n].copy_from_slice(&row[at + first..][..n]);
            let [a, b, c, d, e, f, g, h] = eight;
            panels.push([[a, b, c, d], [e, f, g, h]]);
        }
        panels.resize((first / PANEL + 1) * padded, [[0.0; 4]; 2]);
    }
}
