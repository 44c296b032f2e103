// Thirty-two activations of a token, ready for `lanes_weight.wgsl`: each scaled down by the place of its field in a word.
// Flags: those of `linear_input.wgsl` and of the weight's form; HALVES (a scale per 16); QUARTETS (a subgroup has exactly four invocations, which load a
// quarter each); WHOLE (cols is a multiple of 32). Needs `shape`, `lane` is the invocation's number in its subgroup.

struct Activations {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
    // Their sum, the sum of those whose weights are not in a word's top field, and that of the second sixteen alone (HALVES).
    total: f32,
    shifted: f32,
    shifted_late: f32,
}

#if Q4
// Nibbles lie in the order 0, 4, 1, 5, 2, 6, 3, 7.
const EVEN = vec4<f32>(1.0, 0.00390625, 0.0000152587890625, 0.000000059604644775390625);
const ODD = EVEN * 0.0625;
#endif
#if Q8
const EVEN = vec4<f32>(1.0, 0.00390625, 0.0000152587890625, 0.000000059604644775390625);
const ODD = EVEN;
#endif
#if !QUANT
const EVEN = vec4<f32>(1.0);
const ODD = EVEN;
#endif

#if QUARTETS
@group(0) @binding(3) var<storage, read> x: array<f32>; // [t, cols]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<f32>; // [cols]
#endif

var<private> squares: f32;
var<private> cols: u32;

fn prepare() {
    cols = shape.cols;
}

fn own(at: u32, k: u32) -> f32 {
    let v = x[at + k];
#if NORM
    squares += v * v;
    return v * norm[k];
#else
    return v;
#endif
}

fn spread(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}

fn activations(token: u32, step: u32, lane: u32) -> Activations {
    let at = token * cols;
    let k = 32u * step + lane;
    let a = own(at, k);
    let b = own(at, k + 4u);
    let c = own(at, k + 8u);
    let d = own(at, k + 12u);
    let e = own(at, k + 16u);
    let f = own(at, k + 20u);
    let g = own(at, k + 24u);
    let h = own(at, k + 28u);
    let even = EVEN[lane];
    let odd = ODD[lane];
    let evens = (a + c) + (e + g);
    let odds = (b + d) + (f + h);
    let top = lane == 3u;
#if Q4
    let shifted = subgroupAdd(evens + select(odds, 0.0, top));
#else
    let shifted = subgroupAdd(select(evens + odds, 0.0, top));
#endif
#if HALVES
    let late = subgroupAdd(select((e + f) + (g + h), 0.0, top));
#else
    let late = 0.0;
#endif
#if MIN
    let total = subgroupAdd(evens + odds);
#else
    let total = 0.0;
#endif
    return Activations(
        spread(a * even), spread(b * odd), spread(c * even), spread(d * odd),
        spread(e * even), spread(f * odd), spread(g * even), spread(h * odd),
        total, shifted, late);
}

fn norm_scale() -> f32 {
    return inverseSqrt(subgroupAdd(squares) / f32(shape.cols) + shape.eps);
}
#else
#include linear_input

var<private> squares: f32;
var<private> cols4: u32;

fn prepare() {
    cols4 = shape.cols / 4u;
}

fn own(token: u32, k4: u32) -> vec4<f32> {
#if WHOLE
    let v = x[token * cols4 + k4];
#else
    let v = x4(token, k4);
#endif
#if NORM
    squares += dot(v, v);
#if WHOLE
    return v * norm[k4];
#else
    return v * norm4(k4);
#endif
#else
    return v;
#endif
}

fn activations(token: u32, step: u32, lane: u32) -> Activations {
    let k4 = 8u * step;
    let a = own(token, k4);
    let b = own(token, k4 + 1u);
    let c = own(token, k4 + 2u);
    let d = own(token, k4 + 3u);
    let e = own(token, k4 + 4u);
    let f = own(token, k4 + 5u);
    let g = own(token, k4 + 6u);
    let h = own(token, k4 + 7u);
    let evens = (a + c) + (e + g);
    let odds = (b + d) + (f + h);
    let sums = evens + odds;
    let total = (sums.x + sums.y) + (sums.z + sums.w);
#if Q4
    let shifted = total - odds.w;
#else
    let shifted = total - sums.w;
#endif
#if HALVES
    let late = (e.x + e.y + e.z) + (f.x + f.y + f.z) + (g.x + g.y + g.z) + (h.x + h.y + h.z);
#else
    let late = 0.0;
#endif
    return Activations(a * EVEN, b * ODD, c * EVEN, d * ODD, e * EVEN, f * ODD, g * EVEN, h * ODD, total, shifted, late);
}

fn norm_scale() -> f32 {
    return inverseSqrt(squares / f32(shape.cols) + shape.eps);
}
#endif
