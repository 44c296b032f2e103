// The activations x, four columns at a time.
// Flags: ALIGNED (columns, rows and channels come in fours), TAIL (cols is no multiple of 16), NORM (an RMSNorm weight is bound),
// and those of `linear_gather.wgsl`. The numbers are those of `Shape` in `linear.rs`.

#include linear_gather

#if ALIGNED
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>; // [rows, x_stride]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>; // [cols / 4]
#endif
#else
@group(0) @binding(3) var<storage, read> x: array<f32>; // [rows, x_stride]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<f32>; // [cols]
#endif
#endif

#if ALIGNED
// Columns 4·k4 .. 4·k4 + 3 of the token at `s`, which lie under `t`; zeros past the end and outside a picture.
fn x4_under(s: Spot, t: Tap, k4: u32) -> vec4<f32> {
    var at = under(s, t);
    var inside = true;
#if TAIL
    inside = k4 < COLS / 4u;
#endif
#if CONV
    inside &= at != OUTSIDE;
#endif
    at = select(0u, at, inside);
    return select(vec4<f32>(), x[at], inside);
}
#endif

fn x4(s: Spot, k4: u32) -> vec4<f32> {
#if ALIGNED
    return x4_under(s, tap(k4), k4);
#else
    var v = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        let k = 4u * k4 + i;
        if (k < COLS) {
            let at = under(s, tap(k));
#if CONV
            if (at != OUTSIDE) { v[i] = x[at]; }
#else
            v[i] = x[at];
#endif
        }
    }
    return v;
#endif
}

#if NORM
fn norm4(k4: u32) -> vec4<f32> {
#if ALIGNED
#if TAIL
    if (k4 >= COLS / 4u) { return vec4<f32>(); }
#endif
    return norm[k4];
#else
    var v = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        if (4u * k4 + i < COLS) { v[i] = norm[4u * k4 + i]; }
    }
    return v;
#endif
}
#endif
