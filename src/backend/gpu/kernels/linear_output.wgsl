// Where four rows of a product go: y `[t, y_cols]`, with what happens on the way: f((W·x + bias) · gain + residual).
// Flags: BIAS, GAIN, RESIDUAL, IN_PLACE (y holds the residual), SHARED (several tokens meet one row of the residual), ACTIVATION (with one of
// `unary.wgsl`), GATED (rows are n of a gate, then n of what it gates: f(gate) · the other, f one of `unary.wgsl`), GATE_LAST (the other way
// round); UNARY with either function. The numbers are those of `Shape` in `linear.rs`.

@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [t, y_cols]
#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [all_rows]
#endif
#if RESIDUAL
@group(0) @binding(7) var<storage, read> residual: array<f32>; // [t / residual_rows, residual_stride]
#endif
#if GAIN
@group(0) @binding(8) var<storage, read> gain: array<f32>; // [t / gain_rows, gain_stride]
#endif
#if UNARY
alias Number = f32;
#include unary
#endif

// Numbers of y that four rows make, and how many this part of the weight makes.
#if GATED
const QUAD = 2u;
fn outputs() -> u32 { return ROWS / 2u; }
#else
const QUAD = 4u;
fn outputs() -> u32 { return ROWS; }
#endif

// The rows that outputs `first` .. `first + QUAD - 1` are made of; those past the end repeat the last.
fn quad_rows(first: u32) -> vec4<u32> {
    let last = outputs() - 1u;
#if GATED
    let a = min(first, last);
    let b = min(first + 1u, last);
    return vec4<u32>(a, b, a + outputs(), b + outputs());
#else
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(last));
#endif
}

fn store(output: u32, token: u32, value: f32) {
    // No early return: compilers make a loop of it wherever this stands.
    if (output < outputs() && token < T) {
        let column = FIRST_ROW + output;
        let at = token * Y_COLS + column;
        var v = value;
#if GAIN
        v *= gain[token / GAIN_ROWS * GAIN_STRIDE + GAIN_FIRST + column];
#endif
#if RESIDUAL
#if SHARED
        v += residual[token / RESIDUAL_ROWS * RESIDUAL_STRIDE + RESIDUAL_FIRST + column];
#else
        v += residual[token * RESIDUAL_STRIDE + RESIDUAL_FIRST + column];
#endif
#endif
#if IN_PLACE
        v += y[at];
#endif
#if ACTIVATION
        v = unary(v);
#endif
        y[at] = v;
    }
}

// The products of the four rows of `quad_rows(first)` with one token.
fn store_quad(first: u32, token: u32, product: vec4<f32>) {
    var p = product;
#if BIAS
    let rows = quad_rows(first) + FIRST_ROW;
    p += vec4<f32>(bias[rows.x], bias[rows.y], bias[rows.z], bias[rows.w]);
#endif
#if GATED
#if GATE_LAST
    p = p.zwxy;
#endif
    for (var i = 0u; i < 2u; i++) { store(first + i, token, unary(p[i]) * p[i + 2u]); }
#else
    for (var i = 0u; i < 4u; i++) { store(first + i, token, p[i]); }
#endif
}
