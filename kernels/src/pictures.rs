//! What happens to pictures and to the members of a batch: rows `[pixels, channels]`, channels last.

use crate::{
    elementwise,
    ops::{Grid, Unary, Window},
    simd::F32x4,
};

/// Rows of patches that go through a product together: enough to spread the unpacking of weights over, few enough to stay in a cache.
pub const PATCHES: usize = 64;

/// `x · (1 + scale) + shift`
pub fn modulate(x: &mut [f32], shift: &[f32], scale: &[f32], batch: usize) {
    let (n, member) = (shift.len() / batch, x.len() / batch);
    let rows = shift.chunks_exact(n).zip(scale.chunks_exact(n));
    for (x, (shift, scale)) in x.chunks_exact_mut(member).zip(rows) {
        for row in x.chunks_exact_mut(n) {
            for ((x, shift), scale) in row.iter_mut().zip(shift).zip(scale) {
                *x = *x * (1.0 + scale) + shift;
            }
        }
    }
}

/// Columns `first ..` of rows of `width`, as many as `out` has in each of its `rows`.
pub fn columns(x: &[f32], width: usize, first: usize, columns: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(columns)) {
        out.copy_from_slice(&row[first..first + columns]);
    }
}

/// Each row of `x` is two halves: `f` of the one, the last where `last` holds, times the other.
pub fn gated(f: Unary, last: bool, x: &[f32], n: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(2 * n).zip(out.chunks_exact_mut(n)) {
        let (left, right) = row.split_at(n);
        let (gate, other) = if last { (right, left) } else { (left, right) };
        out.copy_from_slice(gate);
        elementwise::unary(f, out);
        elementwise::mul(out, other);
    }
}

/// Rows of `a` and `b` side by side.
pub fn concat(a: &[f32], b: &[f32], rows: usize, out: &mut [f32]) {
    let (left, right) = (a.len() / rows, b.len() / rows);
    for (r, out) in out.chunks_exact_mut(left + right).enumerate() {
        let (to_a, to_b) = out.split_at_mut(left);
        to_a.copy_from_slice(&a[r * left..][..left]);
        to_b.copy_from_slice(&b[r * right..][..right]);
    }
}

/// Sum and sum of squares of differences from the mean, in two passes over what `rows` yields.
fn mean_and_scale<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, count: usize, eps: f32) -> (f32, f32) {
    let mean = rows.clone().map(sum).sum::<f64>() / count as f64;
    let shift = mean as f32;
    let squares: f64 = rows.map(|row| squares(row, shift)).sum();
    (shift, 1.0 / (squares as f32 / count as f32 + eps).sqrt())
}

fn sum(row: &[f32]) -> f64 {
    let (fours, rest) = row.as_chunks::<4>();
    let total = fours.iter().fold(F32x4::splat(0.0), |total, v| total.add(F32x4::load(v)));
    f64::from(total.sum() + rest.iter().sum::<f32>())
}

fn squares(row: &[f32], shift: f32) -> f64 {
    let (fours, rest) = row.as_chunks::<4>();
    let by = F32x4::splat(shift);
    let total = fours.iter().fold(F32x4::splat(0.0), |total, v| {
        let v = F32x4::load(v).sub(by);
        total.add(v.mul(v))
    });
    f64::from(total.sum() + rest.iter().map(|v| (v - shift) * (v - shift)).sum::<f32>())
}

/// Each row of `n` to mean 0 and variance 1, then times `weight` plus `bias`.
pub fn layer_norm(x: &mut [f32], n: usize, weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32) {
    for row in x.chunks_exact_mut(n) {
        let (mean, scale) = mean_and_scale(std::iter::once(&*row), n, eps);
        for (i, v) in row.iter_mut().enumerate() {
            *v = (*v - mean) * scale * weight.map_or(1.0, |w| w[i]) + bias.map_or(0.0, |b| b[i]);
        }
    }
}

/// Each group of neighbouring channels of each picture to mean 0 and variance 1, then times `weight` plus `bias`, then the function that
/// follows, if any.
pub struct GroupNorm<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub groups: usize,
    pub eps: f32,
    pub activation: Option<Unary>,
}

impl GroupNorm<'_> {
    /// From `x` to `out`, or in `out` alone. Three passes: means, variances, results.
    pub fn apply(&self, x: Option<&[f32]>, out: &mut [f32], batch: usize) {
        let (n, member) = (self.weight.len(), out.len() / batch);
        let (mut scales, mut shifts) = (vec![0.0; n], vec![0.0; n]);
        for picture in 0..batch {
            let at = picture * member..(picture + 1) * member;
            let from = x.map(|x| &x[at.clone()]);
            let out = &mut out[at];
            self.weigh(from.unwrap_or(out), &mut scales, &mut shifts);
            match from {
                Some(from) => {
                    for (to, from) in out.chunks_exact_mut(n).zip(from.chunks_exact(n)) {
                        to.copy_from_slice(from);
                        self.finish(to, &scales, &shifts);
                    }
                }
                None => out.chunks_exact_mut(n).for_each(|row| self.finish(row, &scales, &shifts)),
            }
        }
    }

    /// What each channel is multiplied by and what is added then.
    fn weigh(&self, x: &[f32], scales: &mut [f32], shifts: &mut [f32]) {
        let n = self.weight.len();
        let width = n / self.groups;
        let count = (width * (x.len() / n)) as f64;
        let mut sums = vec![0.0f64; n];
        by_channel(x, n, &mut sums, |v, _| v, shifts);
        for (means, sums) in shifts.chunks_exact_mut(width).zip(sums.chunks_exact(width)) {
            means.fill((sums.iter().sum::<f64>() / count) as f32);
        }
        let mut squares = vec![0.0f64; n];
        by_channel(x, n, &mut squares, |v, mean| v.sub(mean).mul(v.sub(mean)), shifts);
        for (group, squares) in squares.chunks_exact(width).enumerate() {
            let scale = 1.0 / ((squares.iter().sum::<f64>() / count) as f32 + self.eps).sqrt();
            for c in group * width..(group + 1) * width {
                scales[c] = scale * self.weight[c];
                shifts[c] = self.bias[c] - shifts[c] * scales[c];
            }
        }
    }

    fn finish(&self, row: &mut [f32], scales: &[f32], shifts: &[f32]) {
        for ((v, scale), shift) in row.iter_mut().zip(scales).zip(shifts) {
            *v = *v * scale + shift;
        }
        if let Some(f) = self.activation {
            elementwise::unary(f, row);
        }
    }
}

/// Adds up `f(number, y of its channel)` for each channel of rows of `n`; some rows at a time in f32.
fn by_channel(x: &[f32], n: usize, sums: &mut [f64], f: impl Fn(F32x4, F32x4) -> F32x4, y: &[f32]) {
    let mut some = vec![0.0f32; n];
    for rows in x.chunks(n * 64) {
        some.fill(0.0);
        for row in rows.chunks_exact(n) {
            let ((sums, sums_rest), (v, v_rest), (y, y_rest)) =
                (some.as_chunks_mut::<4>(), row.as_chunks::<4>(), y.as_chunks::<4>());
            for ((sum, v), y) in sums.iter_mut().zip(v).zip(y) {
                F32x4::load(sum).add(f(F32x4::load(v), F32x4::load(y))).store(sum);
            }
            for ((sum, v), y) in sums_rest.iter_mut().zip(v_rest).zip(y_rest) {
                *sum += f(F32x4::splat(*v), F32x4::splat(*y)).to_array()[0];
            }
        }
        for (sum, some) in sums.iter_mut().zip(&some) {
            *sum += f64::from(*some);
        }
    }
}

/// Every pixel becomes a square of `factor²`.
pub fn upsample(x: &[f32], input: Grid, factor: usize, out: &mut [f32]) {
    let channels = x.len() / input.rows();
    let output = input.times(factor);
    for (row, out) in out.chunks_exact_mut(output.width * channels).enumerate() {
        let line = &x[row / factor * input.width * channels..][..input.width * channels];
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            out.copy_from_slice(&line[column / factor * channels..][..channels]);
        }
    }
}

/// The top left of every picture.
pub fn crop(x: &[f32], input: Grid, output: Grid, out: &mut [f32]) {
    let channels = x.len() / input.rows();
    for (row, out) in out.chunks_exact_mut(output.width * channels).enumerate() {
        let line = row / output.height * input.height + row % output.height;
        out.copy_from_slice(&x[line * input.width * channels..][..output.width * channels]);
    }
}

/// Sines and cosines of timesteps: `out` `[batch, columns]`.
pub fn timestep_embedding(t: &[f32], max_period: f32, shift: f32, cosine_first: bool, out: &mut [f32]) {
    let columns = out.len() / t.len();
    let half = columns / 2;
    for (t, out) in t.iter().zip(out.chunks_exact_mut(columns)) {
        let (left, right) = out.split_at_mut(half);
        for i in 0..half {
            let exponent = -f64::from(max_period).ln() * i as f64 / (half as f64 - f64::from(shift));
            let (sin, cos) = (f64::from(*t) * exponent.exp()).sin_cos();
            (left[i], right[i]) = if cosine_first { (cos as f32, sin as f32) } else { (sin as f32, cos as f32) };
        }
    }
}

/// A convolution's geometry: which input pixel each pixel of its window reads.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    pub input: Grid,
    /// Pixels that each pixel of the input stands for on a side, as if it had been upsampled before.
    pub factor: usize,
    pub output: Grid,
    pub window: Window,
    pub transposed: bool,
}

impl Reach {
    /// The input row that output coordinate `at` reads by the window's `k`-th row (or column); `None` where zeros lie there.
    fn source(&self, at: usize, k: usize, padding: usize, side: usize) -> Option<usize> {
        let Window { stride, dilation, .. } = self.window;
        let k = k * dilation;
        let source = if self.transposed {
            let from = (at + padding).checked_sub(k)?;
            from.is_multiple_of(stride).then_some(from / stride)?
        } else {
            (at * stride + k).checked_sub(padding)?
        };
        (source < side * self.factor).then_some(source / self.factor)
    }

    /// The input row that output pixel `(y, x)` of a picture reads at `(ky, kx)` of its window.
    #[inline(always)]
    pub fn pixel(&self, picture: usize, y: usize, x: usize, ky: usize, kx: usize) -> Option<usize> {
        let y = self.source(y, ky, self.window.padding[0], self.input.height)?;
        let x = self.source(x, kx, self.window.padding[2], self.input.width)?;
        Some((picture * self.input.height + y) * self.input.width + x)
    }

    /// The patches of output rows `first .. first + rows`, `[rows, height · width · channels]`.
    pub fn gather(&self, x: &[f32], channels: usize, first: usize, rows: usize, patches: &mut Vec<f32>) {
        let Self { input, output, window, .. } = *self;
        patches.clear();
        patches.resize(rows * window.area() * channels, 0.0);
        for (r, patch) in patches.chunks_exact_mut(window.area() * channels).enumerate() {
            let at = first + r;
            let (column, line) = (at % output.width, at / output.width);
            let (y, n) = (line % output.height, line / output.height);
            for (ky, patch) in patch.chunks_exact_mut(window.width * channels).enumerate() {
                let Some(sy) = self.source(y, ky, window.padding[0], input.height) else { continue };
                let line = &x[(n * input.height + sy) * input.width * channels..][..input.width * channels];
                for (kx, to) in patch.chunks_exact_mut(channels).enumerate() {
                    if let Some(sx) = self.source(column, kx, window.padding[2], input.width) {
                        to.copy_from_slice(&line[sx * channels..][..channels]);
                    }
                }
            }
        }
    }
}
