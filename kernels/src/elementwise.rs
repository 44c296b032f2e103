//! What happens to each row by itself: norms, rotary positions, activations, softmax.

use crate::{
    ops::{Binary, RopeLayout, Unary},
    simd::F32x4,
};

/// A function of one value, in place.
pub fn unary(f: Unary, x: &mut [f32]) {
    match f {
        Unary::Silu => silu(x),
        Unary::GeluTanh => gelu_tanh(x),
        Unary::Gelu => gelu(x),
        Unary::QuickGelu => quick_gelu(x),
        Unary::LeakyRelu { slope } => leaky_relu(x, slope),
        Unary::Tanh => tanh(x),
        Unary::Sigmoid => sigmoids(x),
        Unary::Exp => by_four(x, F32x4::exp),
        Unary::Log => x.iter_mut().for_each(|v| *v = v.ln()),
        Unary::Sqrt => x.iter_mut().for_each(|v| *v = v.sqrt()),
        Unary::Sin => x.iter_mut().for_each(|v| *v = v.sin()),
        Unary::Affine { scale, shift } => affine(x, scale, shift),
    }
}

/// Calls `f` for every four numbers of `x`; the last are padded with zeros.
fn by_four(x: &mut [f32], f: impl Fn(F32x4) -> F32x4) {
    let (fours, rest) = x.as_chunks_mut::<4>();
    for v in fours {
        f(F32x4::load(v)).store(v);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let last = f(F32x4::load(&last)).to_array();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Divides each group of `weight.len()` numbers by its root mean square and multiplies by `weight`.
pub fn rms_norm(x: &mut [f32], weight: &[f32], eps: f32) {
    for group in x.chunks_exact_mut(weight.len()) {
        let (fours, rest) = group.as_chunks::<4>();
        let mut sums = [F32x4::splat(0.0); 2];
        for (i, v) in fours.iter().enumerate() {
            let v = F32x4::load(v);
            sums[i % 2] = sums[i % 2].add(v.mul(v));
        }
        let squares = sums[0].add(sums[1]).sum() + rest.iter().map(|v| v * v).sum::<f32>();
        let scale = 1.0 / (squares / weight.len() as f32 + eps).sqrt();
        for (v, w) in group.iter_mut().zip(weight) {
            *v = *v * scale * w;
        }
    }
}

#[inline(always)]
pub fn sigmoid(x: F32x4) -> F32x4 {
    let one = F32x4::splat(1.0);
    one.div(one.add(F32x4::splat(0.0).sub(x).exp()))
}

/// `x · sigmoid(x)`
pub fn silu(x: &mut [f32]) {
    by_four(x, |v| v.mul(sigmoid(v)));
}

/// `silu(x) · y` into `x`.
pub fn silu_mul(x: &mut [f32], y: &[f32]) {
    let ((x4, x_rest), (y4, y_rest)) = (x.as_chunks_mut::<4>(), y.as_chunks::<4>());
    for (x, y) in x4.iter_mut().zip(y4) {
        let v = F32x4::load(x);
        v.mul(sigmoid(v)).mul(F32x4::load(y)).store(x);
    }
    silu(x_rest);
    mul(x_rest, y_rest);
}

/// The tanh approximation of GELU: `x · sigmoid(2 · √(2/π) · (x + 0.044715 x³))`.
fn gelu_tanh(x: &mut [f32]) {
    let twice = F32x4::splat(2.0 * (2.0 / std::f32::consts::PI).sqrt());
    by_four(x, |v| {
        let cubic = v.mul(v).mul(v).mul(F32x4::splat(0.044_715));
        v.mul(sigmoid(twice.mul(v.add(cubic))))
    });
}

/// `x · Φ(x)`, with the error function to 1.5e-7 (Abramowitz and Stegun 7.1.26).
fn gelu(x: &mut [f32]) {
    const SERIES: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6];
    let (zero, half, one) = (F32x4::splat(0.0), F32x4::splat(0.5), F32x4::splat(1.0));
    let (root, by) = (F32x4::splat(std::f32::consts::FRAC_1_SQRT_2), F32x4::splat(0.327_591_1));
    by_four(x, |v| {
        let size = v.at_least(zero.sub(v));
        let z = size.mul(root);
        let t = one.div(one.add(by.mul(z)));
        let series = SERIES.iter().fold(zero, |sum, c| sum.add(F32x4::splat(*c)).mul(t));
        let tail = series.mul(zero.sub(z.mul(z)).exp());
        half.mul(v.add(size.mul(one.sub(tail))))
    });
}

/// `x · sigmoid(1.702 x)`
fn quick_gelu(x: &mut [f32]) {
    let by = F32x4::splat(1.702);
    by_four(x, |v| v.mul(sigmoid(v.mul(by))));
}

fn leaky_relu(x: &mut [f32], slope: f32) {
    for v in x {
        *v = if *v > 0.0 { *v } else { slope * *v };
    }
}

/// `2 · sigmoid(2 x) − 1`
fn tanh(x: &mut [f32]) {
    let (one, two) = (F32x4::splat(1.0), F32x4::splat(2.0));
    by_four(x, |v| sigmoid(v.mul(two)).mul(two).sub(one));
}

fn sigmoids(x: &mut [f32]) {
    by_four(x, sigmoid);
}

fn affine(x: &mut [f32], scale: f32, shift: f32) {
    for v in x {
        *v = *v * scale + shift;
    }
}

pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// `Σ a · b`
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a4, a_rest), (b4, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [F32x4::splat(0.0); 4];
    let ((a16, a4), (b16, b4)) = (a4.as_chunks::<4>(), b4.as_chunks::<4>());
    for (a, b) in a16.iter().zip(b16) {
        for i in 0..4 {
            sums[i] = sums[i].add(F32x4::load(&a[i]).mul(F32x4::load(&b[i])));
        }
    }
    for (a, b) in a4.iter().zip(b4) {
        sums[0] = sums[0].add(F32x4::load(a).mul(F32x4::load(b)));
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum() + rest
}

pub fn mul(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x *= y;
    }
}

/// Rows `first_row ..` of `n` numbers meet rows of `y`, each of which meets `share` rows one after another.
pub fn meet(f: Binary, x: &mut [f32], n: usize, first_row: usize, y: &[f32], share: usize) {
    if share == 1 {
        binary(f, x, &y[first_row * n..][..x.len()]);
        return;
    }
    for (r, row) in x.chunks_exact_mut(n).enumerate() {
        binary(f, row, &y[(first_row + r) / share * n..][..n]);
    }
}

/// Each number of `x` and that of `y` in its place, in `x`.
pub fn binary(f: Binary, x: &mut [f32], y: &[f32]) {
    match f {
        Binary::Add => add(x, y),
        Binary::Mul => mul(x, y),
        Binary::Sub => x.iter_mut().zip(y).for_each(|(x, y)| *x -= y),
        Binary::Div => x.iter_mut().zip(y).for_each(|(x, y)| *x /= y),
    }
}

/// The largest number; −∞ of none.
pub fn largest(x: &[f32]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let floor = F32x4::splat(f32::NEG_INFINITY);
    let top = fours.iter().fold(floor, |top, v| F32x4::load(v).at_least(top));
    rest.iter().fold(top.largest(), |top, v| top.max(*v))
}

/// `eˣ⁻ᵗᵒᵖ` in place; returns the sum.
pub fn exp_below(x: &mut [f32], top: f32) -> f32 {
    let shift = F32x4::splat(top);
    let (fours, rest) = x.as_chunks_mut::<4>();
    let mut sum = F32x4::splat(0.0);
    for v in fours {
        let e = F32x4::load(v).sub(shift).exp();
        sum = sum.add(e);
        e.store(v);
    }
    let mut total = sum.sum();
    for v in rest {
        *v = F32x4::splat(*v - top).exp().to_array()[0];
        total += *v;
    }
    total
}

/// `eˣ / Σ eˣ` in place.
pub fn softmax(x: &mut [f32]) {
    let top = largest(x);
    let scale = 1.0 / exp_below(x, top);
    for v in x {
        *v *= scale;
    }
}

/// Cosines and sines of the rows of a step: `[row][pair]`.
#[derive(Default)]
pub struct RopeTable {
    pub frequencies: Vec<f32>,
    magnitude: f32,
    cos_sin: Vec<[f32; 2]>,
}

impl RopeTable {
    /// Frequencies `base^(-2i / rotary_dim) · scale / factors[i]`.
    /// Of frequencies `base^(-2i / rotary_dim) · scale`, each divided by its factor; what is turned grows by `magnitude`.
    pub fn new(rotary_dim: usize, [base, scale, magnitude]: [f32; 3], factors: Option<&[f32]>) -> Self {
        let frequency = |i: usize| {
            let plain = f64::from(base).powf(-2.0 * i as f64 / rotary_dim as f64) as f32 * scale;
            factors.map_or(plain, |f| plain / f[i])
        };
        Self { frequencies: (0..rotary_dim / 2).map(frequency).collect(), magnitude, cos_sin: vec![] }
    }

    /// Makes the table for rows at `positions`.
    pub fn turn_to(&mut self, positions: impl Iterator<Item = u32>) {
        self.cos_sin.clear();
        for position in positions {
            let at = position as f32;
            self.cos_sin.extend(self.frequencies.iter().map(|f| {
                let (sin, cos) = (at * f).sin_cos();
                [cos * self.magnitude, sin * self.magnitude]
            }));
        }
    }

    /// Turns `x` `[rows, heads · head_dim]`.
    pub fn apply(&self, x: &mut [f32], heads: usize, head_dim: usize, layout: RopeLayout) {
        let pairs = self.frequencies.len();
        for (row, turns) in x.chunks_exact_mut(heads * head_dim).zip(self.cos_sin.chunks_exact(pairs)) {
            for head in row.chunks_exact_mut(head_dim) {
                match layout {
                    RopeLayout::Interleaved => {
                        for (pair, [cos, sin]) in head.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
                            let [a, b] = *pair;
                            *pair = [a * cos - b * sin, a * sin + b * cos];
                        }
                    }
                    RopeLayout::HalfSplit => {
                        let (left, right) = head.split_at_mut(pairs);
                        for ((l, r), [cos, sin]) in left.iter_mut().zip(right).zip(turns) {
                            (*l, *r) = (*l * cos - *r * sin, *l * sin + *r * cos);
                        }
                    }
                }
            }
        }
    }
}
