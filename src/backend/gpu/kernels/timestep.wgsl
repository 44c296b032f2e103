// Timesteps as sines and cosines of falling frequencies (arXiv 1706.03762, 2006.11239).
// Flags: COSINE_FIRST. Numbers: BATCH, HALF (frequencies), STEP (the logarithm of one frequency's ratio to the next).

#include cos_sin

@group(0) @binding(0) var<storage, read> t: array<f32>;           // [BATCH]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;     // [BATCH, 2 · HALF]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= BATCH * HALF) { return; }
    let member = id.x / HALF;
    let i = id.x % HALF;
    var pair = cos_sin(t[member] * exp(-STEP * f32(i)));
#if !COSINE_FIRST
    pair = pair.yx;
#endif
    y[member * 2u * HALF + i] = pair.x;
    y[member * 2u * HALF + HALF + i] = pair.y;
}
