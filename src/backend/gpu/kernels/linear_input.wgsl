// The activations x `[t, cols]`.
// Flags: ALIGNED (cols is a multiple of four), TAIL (cols is no multiple of 16), NORM (an RMSNorm weight is bound).
// Needs `shape`.

#if ALIGNED
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>; // [t, cols / 4]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>; // [cols / 4]
#endif
#else
@group(0) @binding(3) var<storage, read> x: array<f32>; // [t, cols]
#if NORM
@group(0) @binding(5) var<storage, read> norm: array<f32>; // [cols]
#endif
#endif

// Columns 4·k4 .. 4·k4 + 3 of a token; zeros past the end.
fn x4(token: u32, k4: u32) -> vec4<f32> {
#if ALIGNED
    let cols4 = shape.cols / 4u;
#if TAIL
    if (k4 >= cols4) { return vec4<f32>(); }
#endif
    return x[token * cols4 + k4];
#else
    var v = vec4<f32>();
    let at = token * shape.cols;
    for (var i = 0u; i < 4u; i++) {
        if (4u * k4 + i < shape.cols) { v[i] = x[at + 4u * k4 + i]; }
    }
    return v;
#endif
}

#if NORM
fn norm4(k4: u32) -> vec4<f32> {
#if ALIGNED
#if TAIL
    if (k4 >= shape.cols / 4u) { return vec4<f32>(); }
#endif
    return norm[k4];
#else
    var v = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        if (4u * k4 + i < shape.cols) { v[i] = norm[4u * k4 + i]; }
    }
    return v;
#endif
}
#endif
