// A packed weight `[rows, cols]` and how to read it; `repack.rs` writes what is read here.
// Flags, one of: F32, F16W, BF16, Q4, Q8. Quantised forms also: MIN (w = scale·q + min), WIDE (scales are f32, not f16).
// Constant: BLOCK (weights a scale). The numbers are those of `Shape` in `linear.rs`.

#if Q4
#if MIN
const CENTRE = 0.0;
#else
const CENTRE = 8.0;
#endif
@group(0) @binding(0) var<storage, read> quants: array<u32>; // [rows, cols / 8]
#endif
#if Q8
const CENTRE = 0.0;
@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>; // [rows, cols / 16]
#endif
#if QUANT
#if WIDE
#if MIN
@group(0) @binding(1) var<storage, read> scales: array<vec2<f32>>; // [rows, cols / BLOCK] (scale, min)
#else
@group(0) @binding(1) var<storage, read> scales: array<f32>; // [rows, cols / BLOCK]
#endif
#else
@group(0) @binding(1) var<storage, read> scales: array<u32>; // [rows, cols / BLOCK] (scale, min), or two scales a word
#endif
#endif
#if F16W
@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>; // [rows, padded / 8]
#endif
#if BF16
@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>; // [rows, padded / 8]
#endif
#if F32
@group(0) @binding(0) var<storage, read> quants: array<vec4<f32>>; // [rows, padded / 4]
#endif

// Sixteen weights in a row: every form is padded to whole chunks.
fn chunks() -> u32 {
    return (COLS + 15u) / 16u;
}

#if QUANT
// The scale and the constant part of block `block` of a row: w = scale · q + constant.
fn block_scale(row: u32, block: u32) -> vec2<f32> {
#if WIDE
    let at = row * (COLS / BLOCK) + block;
#if MIN
    return scales[at];
#else
    let d = scales[at];
    return vec2<f32>(d, -CENTRE * d);
#endif
#else
#if MIN
    return unpack2x16float(scales[row * (COLS / BLOCK) + block]);
#else
    let stride = (COLS / BLOCK + 1u) / 2u;
    let pair = unpack2x16float(scales[row * stride + block / 2u]);
    let d = select(pair.x, pair.y, (block & 1u) == 1u);
    return vec2<f32>(d, -CENTRE * d);
#endif
#endif
}
#endif

#if Q4
// Nibbles in the order 0, 4, 1, 5, 2, 6, 3, 7 from the lowest; the highest is stored less eight, in two's complement.
fn nibbles(word: u32, half: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xU8(((word ^ 0x80000000u) >> (4u * half)) & 0x0f0f0f0fu));
}
#endif
#if Q8
// Signed bytes, the lowest three stored plus 128.
fn bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(word ^ 0x00808080u));
}
#endif
#if BF16
fn halves(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(
        bitcast<f32>(words.x << 16u), bitcast<f32>(words.x & 0xffff0000u),
        bitcast<f32>(words.y << 16u), bitcast<f32>(words.y & 0xffff0000u));
}
#endif
#if F16W
fn halves(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
#endif

// Weights 4·k4 .. 4·k4 + 3 of a row.
fn weight4(row: u32, k4: u32) -> vec4<f32> {
#if Q4
    let s = block_scale(row, 4u * k4 / BLOCK);
    return nibbles(quants[row * (COLS / 8u) + k4 / 2u], k4 & 1u) * s.x + s.y;
#endif
#if Q8
    let s = block_scale(row, 4u * k4 / BLOCK);
    return bytes(quants[row * (COLS / 16u) + k4 / 4u][k4 & 3u]) * s.x + s.y;
#endif
#if HALF
    let words = quants[row * chunks() * 2u + k4 / 2u];
    return halves(select(words.xy, words.zw, (k4 & 1u) == 1u));
#endif
#if F32
    return quants[row * chunks() * 4u + k4];
#endif
}

// The dot product of chunk `chunk` of a row with sixteen activations, whose sum is `total`.
fn dot16(row: u32, chunk: u32, x: array<vec4<f32>, 4>, total: f32) -> f32 {
#if Q4
    let at = row * (COLS / 8u) + chunk * 2u;
    let a = quants[at];
    let b = quants[at + 1u];
    let s = block_scale(row, 16u * chunk / BLOCK);
    let sum = dot(nibbles(a, 0u), x[0]) + dot(nibbles(a, 1u), x[1]) + dot(nibbles(b, 0u), x[2]) + dot(nibbles(b, 1u), x[3]);
    return s.x * sum + s.y * total;
#endif
#if Q8
    let words = quants[row * (COLS / 16u) + chunk];
    let s = block_scale(row, 16u * chunk / BLOCK);
    let sum = dot(bytes(words.x), x[0]) + dot(bytes(words.y), x[1]) + dot(bytes(words.z), x[2]) + dot(bytes(words.w), x[3]);
    return s.x * sum + s.y * total;
#endif
#if HALF
    let at = (row * chunks() + chunk) * 2u;
    let a = quants[at];
    let b = quants[at + 1u];
    return dot(halves(a.xy), x[0]) + dot(halves(a.zw), x[1]) + dot(halves(b.xy), x[2]) + dot(halves(b.zw), x[3]);
#endif
#if F32
    let at = (row * chunks() + chunk) * 4u;
    return dot(quants[at], x[0]) + dot(quants[at + 1u], x[1]) + dot(quants[at + 2u], x[2]) + dot(quants[at + 3u], x[3]);
#endif
}
