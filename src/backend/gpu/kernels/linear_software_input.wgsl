// Thirty-two activations of a token, ready for `linear_software.wgsl`: each scaled down by the place of its field in a word.
// Flags: those of `linear_input.wgsl` and of the weight's form; HALVES (a scale per 16); QUARTETS (a subgroup has exactly four invocations, which load a
// quarter each, float by float); WHOLE (cols, or the channels of a convolution, are a multiple of 32: a step lies in one pixel).
// `lane` is the invocation's number in its subgroup.

struct Activations {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
    // Their sum, the sum of those whose weights are not in a word's top field, and both of the second sixteen alone (HALVES).
    total: f32,
    shifted: f32,
    shifted_late: f32,
    total_late: f32,
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
#include linear_gather

@group(0) @binding(3) var<storage, read> x: array<f32>; // [rows, x_stride]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<f32>; // [cols]
#endif

var<private> squares: f32;

fn own(at: u32, k: u32) -> f32 {
    let v = x[at];
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

// The part of a pixel that a step reads, the same for all tokens.
alias Taps = Tap;
fn taps_of(step: u32) -> Taps {
    return tap(32u * step);
}

fn activations(s: Spot, t: Taps, step: u32, lane: u32) -> Activations {
    let k = 32u * step + lane;
#if CONV
    let found = under(s, t);
    let inside = found != OUTSIDE;
    let at = select(0u, found, inside) + lane;
    let a = select(0.0, own(at, k), inside);
    let b = select(0.0, own(at + 4u, k + 4u), inside);
    let c = select(0.0, own(at + 8u, k + 8u), inside);
    let d = select(0.0, own(at + 12u, k + 12u), inside);
    let e = select(0.0, own(at + 16u, k + 16u), inside);
    let f = select(0.0, own(at + 20u, k + 20u), inside);
    let g = select(0.0, own(at + 24u, k + 24u), inside);
    let h = select(0.0, own(at + 28u, k + 28u), inside);
#else
    let at = under(s, t) + lane;
    let a = own(at, k);
    let b = own(at + 4u, k + 4u);
    let c = own(at + 8u, k + 8u);
    let d = own(at + 12u, k + 12u);
    let e = own(at + 16u, k + 16u);
    let f = own(at + 20u, k + 20u);
    let g = own(at + 24u, k + 24u);
    let h = own(at + 28u, k + 28u);
#endif
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
#if HALVES
    let total_late = subgroupAdd((e + f) + (g + h));
#else
    let total_late = 0.0;
#endif
#else
    let total = 0.0;
    let total_late = 0.0;
#endif
    return Activations(
        spread(a * even), spread(b * odd), spread(c * even), spread(d * odd),
        spread(e * even), spread(f * odd), spread(g * even), spread(h * odd),
        total, shifted, late, total_late);
}

fn norm_scale() -> f32 {
    return inverseSqrt(subgroupAdd(squares) / f32(COLS) + EPS);
}
#else
#include linear_input

var<private> squares: f32;

// The parts of pixels that a step reads, the same for all tokens.
#if WHOLE
alias Taps = Tap;
fn taps_of(step: u32) -> Taps {
#if ALIGNED
    return tap(8u * step);
#else
    return tap(32u * step);
#endif
}
#else
struct Taps {
    a: Tap, b: Tap, c: Tap, d: Tap,
    e: Tap, f: Tap, g: Tap, h: Tap,
}

fn taps_of(step: u32) -> Taps {
    let k4 = 8u * step;
    return Taps(tap(k4), tap(k4 + 1u), tap(k4 + 2u), tap(k4 + 3u), tap(k4 + 4u), tap(k4 + 5u), tap(k4 + 6u), tap(k4 + 7u));
}
#endif

#if WHOLE
fn own(at: u32, k4: u32) -> vec4<f32> {
    let v = x[at];
#if NORM
    squares += dot(v, v);
    return v * norm[k4];
#else
    return v;
#endif
}
#else
// `t` lies over the four columns where x is loaded by fours; else each has one of its own.
fn own(s: Spot, t: Tap, k4: u32) -> vec4<f32> {
#if ALIGNED
    let v = x4_under(s, t, k4);
#else
    let v = x4(s, k4);
#endif
#if NORM
    squares += dot(v, v);
    return v * norm4(k4);
#else
    return v;
#endif
}
#endif

fn activations(s: Spot, t: Taps, step: u32, lane: u32) -> Activations {
    let k4 = 8u * step;
#if WHOLE
#if CONV
    let found = under(s, t);
    let inside = found != OUTSIDE;
    let at = select(0u, found, inside);
    let a = select(vec4<f32>(), own(at, k4), inside);
    let b = select(vec4<f32>(), own(at + 1u, k4 + 1u), inside);
    let c = select(vec4<f32>(), own(at + 2u, k4 + 2u), inside);
    let d = select(vec4<f32>(), own(at + 3u, k4 + 3u), inside);
    let e = select(vec4<f32>(), own(at + 4u, k4 + 4u), inside);
    let f = select(vec4<f32>(), own(at + 5u, k4 + 5u), inside);
    let g = select(vec4<f32>(), own(at + 6u, k4 + 6u), inside);
    let h = select(vec4<f32>(), own(at + 7u, k4 + 7u), inside);
#else
    let at = under(s, t);
    let a = own(at, k4);
    let b = own(at + 1u, k4 + 1u);
    let c = own(at + 2u, k4 + 2u);
    let d = own(at + 3u, k4 + 3u);
    let e = own(at + 4u, k4 + 4u);
    let f = own(at + 5u, k4 + 5u);
    let g = own(at + 6u, k4 + 6u);
    let h = own(at + 7u, k4 + 7u);
#endif
#else
    let a = own(s, t.a, k4);
    let b = own(s, t.b, k4 + 1u);
    let c = own(s, t.c, k4 + 2u);
    let d = own(s, t.d, k4 + 3u);
    let e = own(s, t.e, k4 + 4u);
    let f = own(s, t.f, k4 + 5u);
    let g = own(s, t.g, k4 + 6u);
    let h = own(s, t.h, k4 + 7u);
#endif
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
    let total_late = late + ((e.w + f.w) + (g.w + h.w));
#else
    let late = 0.0;
    let total_late = 0.0;
#endif
    return Activations(
        a * EVEN, b * ODD, c * EVEN, d * ODD, e * EVEN, f * ODD, g * EVEN, h * ODD, total, shifted, late, total_late);
}

fn norm_scale() -> f32 {
    return inverseSqrt(squares / f32(COLS) + EPS);
}
#endif
