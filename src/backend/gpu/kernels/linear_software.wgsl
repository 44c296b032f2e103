// A linear layer or a convolution for adapters made of software, where a barrier or a shift costs more than a row of products: each invocation
// makes whole rows, four at a time, and shares nothing but the loading of x.
// A field of a word becomes a float by a mask and one conversion, without a shift: it is too large by a power of two that x was
// divided by beforehand, and the top field is a signed one (`repack.rs`). There is no fma(): it is a call a lane there.
// Flags: those of the snippets; TOKENS4 (four tokens an invocation, else one), QUADS2 (eight rows an invocation, else four).
// Constant: LANES (invocations a workgroup). With TOKENS4 two to the power of ROW_SHIFT of them take different rows; the others take other tokens.

#include linear_software_input
#include linear_output

#if Q4
@group(0) @binding(0) var<storage, read> quants: array<vec4<i32>>; // [rows, cols / 32]
#endif
#if Q8
@group(0) @binding(0) var<storage, read> quants: array<vec4<i32>>; // [rows, cols / 16]
#endif
#if HALF
@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>; // [rows, padded / 8]
#endif
#if F32
@group(0) @binding(0) var<storage, read> quants: array<vec4<f32>>; // [rows, padded / 4]
#endif
#if QUANT
#if MIN
@group(0) @binding(1) var<storage, read> scales: array<vec2<f32>>; // [rows, cols / BLOCK] (scale, min)
#else
@group(0) @binding(1) var<storage, read> scales: array<f32>; // [rows, cols / BLOCK]
#endif
#endif

#if TOKENS4
alias Each = vec4<f32>; // a number for each token
alias Four = mat4x4<f32>; // four columns of x
alias Sums = mat4x4<f32>; // four rows for each token
fn outer(w: vec4<f32>, x: Each) -> Sums {
    return Sums(w * x.x, w * x.y, w * x.z, w * x.w);
}
#else
alias Each = f32;
alias Four = vec4<f32>;
alias Sums = vec4<f32>;
fn outer(w: vec4<f32>, x: Each) -> Sums {
    return w * x;
}
#endif

// Four rows' weights in four columns, times x.
fn floats4(p: vec4<f32>, q: vec4<f32>, r: vec4<f32>, s: vec4<f32>, x: Four) -> Sums {
    return (outer(vec4<f32>(p.x, q.x, r.x, s.x), x[0]) + outer(vec4<f32>(p.y, q.y, r.y, s.y), x[1]))
        + (outer(vec4<f32>(p.z, q.z, r.z, s.z), x[2]) + outer(vec4<f32>(p.w, q.w, r.w, s.w), x[3]));
}

// One word of each of four rows: eight nibbles, even ones times `a`, odd ones times `b`.
fn nibbles8(w: vec4<i32>, a: Four, b: Four) -> Sums {
    return outer(vec4<f32>(w & vec4<i32>(0xf)), a[0]) + outer(vec4<f32>(w & vec4<i32>(0xf0)), b[0])
        + outer(vec4<f32>(w & vec4<i32>(0xf00)), a[1]) + outer(vec4<f32>(w & vec4<i32>(0xf000)), b[1])
        + outer(vec4<f32>(w & vec4<i32>(0xf0000)), a[2]) + outer(vec4<f32>(w & vec4<i32>(0xf00000)), b[2])
        + outer(vec4<f32>(w & vec4<i32>(0xf000000)), a[3]) + outer(vec4<f32>(w & vec4<i32>(-268435456)), b[3]);
}

// One word of each of four rows: four bytes.
fn bytes4(w: vec4<i32>, a: Four) -> Sums {
    return outer(vec4<f32>(w & vec4<i32>(0xff)), a[0]) + outer(vec4<f32>(w & vec4<i32>(0xff00)), a[1])
        + outer(vec4<f32>(w & vec4<i32>(0xff0000)), a[2]) + outer(vec4<f32>(w & vec4<i32>(-16777216)), a[3]);
}

struct Step {
    a: Four, b: Four, c: Four, d: Four,
    e: Four, f: Four, g: Four, h: Four,
    total: Each,
    shifted: Each,
    shifted_late: Each,
    total_late: Each,
}

#if QUANT
// scale · (sum + offset)
fn settle(sum: Sums, scale: vec4<f32>, offset: Each) -> Sums {
#if TOKENS4
    return Sums(
        scale * (sum[0] + offset.x), scale * (sum[1] + offset.y),
        scale * (sum[2] + offset.z), scale * (sum[3] + offset.w));
#else
    return scale * (sum + offset);
#endif
}
#endif

#if HALF
fn halves(word: u32) -> vec2<f32> {
#if BF16
    return vec2<f32>(bitcast<f32>(word * 65536u), bitcast<f32>(word & 0xffff0000u));
#else
    return unpack2x16float(word);
#endif
}

fn halves8(at: vec4<u32>, a: Four, b: Four) -> Sums {
    let p = quants[at.x];
    let q = quants[at.y];
    let r = quants[at.z];
    let s = quants[at.w];
    return floats4(
        vec4<f32>(halves(p.x), halves(p.y)), vec4<f32>(halves(q.x), halves(q.y)),
        vec4<f32>(halves(r.x), halves(r.y)), vec4<f32>(halves(s.x), halves(s.y)), a)
        + floats4(
        vec4<f32>(halves(p.z), halves(p.w)), vec4<f32>(halves(q.z), halves(q.w)),
        vec4<f32>(halves(r.z), halves(r.w)), vec4<f32>(halves(s.z), halves(s.w)), b);
}
#endif

// Words of quants, in fours, that a step reads of a row, and those a row has; scales likewise.
#if Q4
const STRIDE = 1u;
#endif
#if Q8
const STRIDE = 2u;
#endif
#if HALF
const STRIDE = 4u;
#endif
#if F32
const STRIDE = 8u;
#endif
#if QUANT
const SCALES = 32u / BLOCK;
#else
const SCALES = 0u;
#endif

fn row_stride(steps: u32) -> u32 {
#if QUANT
    return steps * STRIDE;
#else
    return (COLS + 15u) / 16u * (STRIDE / 2u);
#endif
}

// Thirty-two columns of four rows, times x. `at` is where their quants begin, `block` where their scales do.
fn products(at: vec4<u32>, block: vec4<u32>, x: Step) -> Sums {
#if QUANT
#if MIN
    let p_scale = scales[block.x];
    let q_scale = scales[block.y];
    let r_scale = scales[block.z];
    let s_scale = scales[block.w];
    let scale = vec4<f32>(p_scale.x, q_scale.x, r_scale.x, s_scale.x);
#if HALVES
    let least = outer(vec4<f32>(p_scale.y, q_scale.y, r_scale.y, s_scale.y), x.total - x.total_late);
#else
    let least = outer(vec4<f32>(p_scale.y, q_scale.y, r_scale.y, s_scale.y), x.total);
#endif
#else
    let scale = vec4<f32>(scales[block.x], scales[block.y], scales[block.z], scales[block.w]);
#endif
#endif
#if Q4
    let p = quants[at.x];
    let q = quants[at.y];
    let r = quants[at.z];
    let s = quants[at.w];
    let sum = (nibbles8(vec4<i32>(p.x, q.x, r.x, s.x), x.a, x.b) + nibbles8(vec4<i32>(p.y, q.y, r.y, s.y), x.c, x.d))
        + (nibbles8(vec4<i32>(p.z, q.z, r.z, s.z), x.e, x.f) + nibbles8(vec4<i32>(p.w, q.w, r.w, s.w), x.g, x.h));
#if MIN
    return settle(sum, scale, 8.0 * (x.total - x.shifted)) + least;
#else
    return settle(sum, scale, -8.0 * x.shifted);
#endif
#endif
#if Q8
    let p = quants[at.x];
    let q = quants[at.y];
    let r = quants[at.z];
    let s = quants[at.w];
    let early = (bytes4(vec4<i32>(p.x, q.x, r.x, s.x), x.a) + bytes4(vec4<i32>(p.y, q.y, r.y, s.y), x.b))
        + (bytes4(vec4<i32>(p.z, q.z, r.z, s.z), x.c) + bytes4(vec4<i32>(p.w, q.w, r.w, s.w), x.d));
    let t = quants[at.x + 1u];
    let u = quants[at.y + 1u];
    let v = quants[at.z + 1u];
    let w = quants[at.w + 1u];
    let late = (bytes4(vec4<i32>(t.x, u.x, v.x, w.x), x.e) + bytes4(vec4<i32>(t.y, u.y, v.y, w.y), x.f))
        + (bytes4(vec4<i32>(t.z, u.z, v.z, w.z), x.g) + bytes4(vec4<i32>(t.w, u.w, v.w, w.w), x.h));
#if HALVES
    let next = block + vec4<u32>(1u);
    let first = settle(early, scale, -128.0 * (x.shifted - x.shifted_late));
#if MIN
    let t_scale = scales[next.x];
    let u_scale = scales[next.y];
    let v_scale = scales[next.z];
    let w_scale = scales[next.w];
    let late_scale = vec4<f32>(t_scale.x, u_scale.x, v_scale.x, w_scale.x);
    let late_least = outer(vec4<f32>(t_scale.y, u_scale.y, v_scale.y, w_scale.y), x.total_late);
    return (first + least) + (settle(late, late_scale, -128.0 * x.shifted_late) + late_least);
#else
    let late_scale = vec4<f32>(scales[next.x], scales[next.y], scales[next.z], scales[next.w]);
    return first + settle(late, late_scale, -128.0 * x.shifted_late);
#endif
#else
    let sum = settle(early + late, scale, -128.0 * x.shifted);
#if MIN
    return sum + least;
#else
    return sum;
#endif
#endif
#endif
#if HALF
    return (halves8(at, x.a, x.b) + halves8(at + vec4<u32>(1u), x.c, x.d))
        + (halves8(at + vec4<u32>(2u), x.e, x.f) + halves8(at + vec4<u32>(3u), x.g, x.h));
#endif
#if F32
    return ((floats4(quants[at.x], quants[at.y], quants[at.z], quants[at.w], x.a)
        + floats4(quants[at.x + 1u], quants[at.y + 1u], quants[at.z + 1u], quants[at.w + 1u], x.b))
        + (floats4(quants[at.x + 2u], quants[at.y + 2u], quants[at.z + 2u], quants[at.w + 2u], x.c)
        + floats4(quants[at.x + 3u], quants[at.y + 3u], quants[at.z + 3u], quants[at.w + 3u], x.d)))
        + ((floats4(quants[at.x + 4u], quants[at.y + 4u], quants[at.z + 4u], quants[at.w + 4u], x.e)
        + floats4(quants[at.x + 5u], quants[at.y + 5u], quants[at.z + 5u], quants[at.w + 5u], x.f))
        + (floats4(quants[at.x + 6u], quants[at.y + 6u], quants[at.z + 6u], quants[at.w + 6u], x.g)
        + floats4(quants[at.x + 7u], quants[at.y + 7u], quants[at.z + 7u], quants[at.w + 7u], x.h)));
#endif
}

#if TOKENS4
fn columns(p: vec4<f32>, q: vec4<f32>, r: vec4<f32>, s: vec4<f32>) -> Four {
    return transpose(mat4x4<f32>(p, q, r, s));
}

alias Spots = array<Spot, 4>;

fn spots_of(token: u32) -> Spots {
    let last = T - 1u;
    return Spots(spot(min(token, last)), spot(min(token + 1u, last)), spot(min(token + 2u, last)), spot(min(token + 3u, last)));
}

fn load(spots: Spots, step: u32, lane: u32) -> Step {
    let t = taps_of(step);
    let p = activations(spots[0], t, step, lane);
    let q = activations(spots[1], t, step, lane);
    let r = activations(spots[2], t, step, lane);
    let s = activations(spots[3], t, step, lane);
    return Step(
        columns(p.a, q.a, r.a, s.a), columns(p.b, q.b, r.b, s.b), columns(p.c, q.c, r.c, s.c), columns(p.d, q.d, r.d, s.d),
        columns(p.e, q.e, r.e, s.e), columns(p.f, q.f, r.f, s.f), columns(p.g, q.g, r.g, s.g), columns(p.h, q.h, r.h, s.h),
        vec4<f32>(p.total, q.total, r.total, s.total),
        vec4<f32>(p.shifted, q.shifted, r.shifted, s.shifted),
        vec4<f32>(p.shifted_late, q.shifted_late, r.shifted_late, s.shifted_late),
        vec4<f32>(p.total_late, q.total_late, r.total_late, s.total_late));
}
#else
alias Spots = Spot;

fn spots_of(token: u32) -> Spots {
    return spot(token);
}

fn load(spots: Spots, step: u32, lane: u32) -> Step {
    let p = activations(spots, taps_of(step), step, lane);
    return Step(p.a, p.b, p.c, p.d, p.e, p.f, p.g, p.h, p.total, p.shifted, p.shifted_late, p.total_late);
}
#endif

fn store_sums(first: u32, token: u32, sums: Sums) {
#if TOKENS4
    var each = sums;
    for (var i = 0u; i < 4u; i++) { store_quad(first, token + i, each[i]); }
#else
    store_quad(first, token, sums);
#endif
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
#if QUARTETS
    @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
#if !QUARTETS
    let lane = 0u;
#endif
#if TOKENS4
    let token = FIRST_TOKEN + (group.y * (LANES >> ROW_SHIFT) + (lid >> ROW_SHIFT)) * 4u;
    let unit = (group.x << ROW_SHIFT) + (lid & ((1u << ROW_SHIFT) - 1u));
#else
    let token = 0u;
    let unit = (group.y * groups.x + group.x) * LANES + lid;
#endif
    let spots = spots_of(token);
#if QUADS2
    let first = unit * 2u * QUAD;
    let more_rows = quad_rows(first + QUAD);
    var more = Sums();
#else
    let first = unit * QUAD;
#endif
    let rows = quad_rows(first);
    var sums = Sums();
    // Divisions are done here, once: a vector has none on a processor.
    let steps = (COLS + 31u) / 32u;
    let stride = row_stride(steps);
    var at = rows * stride;
    var block = rows * (steps * SCALES);
#if QUADS2
    var more_at = more_rows * stride;
    var more_block = more_rows * (steps * SCALES);
#endif
    // Every invocation runs to the end, those without rows too: x is loaded by all of them together.
    for (var step = 0u; step < steps; step++) {
        let x = load(spots, step, lane);
        sums += products(at, block, x);
        at += vec4<u32>(STRIDE);
        block += vec4<u32>(SCALES);
#if QUADS2
        more += products(more_at, more_block, x);
        more_at += vec4<u32>(STRIDE);
        more_block += vec4<u32>(SCALES);
#endif
    }
#if NORM
    let scale = norm_scale();
    sums *= scale;
#if QUADS2
    more *= scale;
#endif
#endif
#if QUADS2
    var all = array<Sums, 2>(sums, more);
    for (var i = 0u; i < 2u; i++) { store_sums(first + i * QUAD, token, all[i]); }
#else
    store_sums(first, token, sums);
#endif
}
