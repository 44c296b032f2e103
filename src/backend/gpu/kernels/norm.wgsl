// (x − mean) / sqrt(variance + EPS) · weight + bias over blocks of PIXELS rows and WIDTH columns: a row each for LayerNorm
// (arXiv 1607.06450), a group of channels of a picture each for GroupNorm (arXiv 1803.08494). A workgroup a block.
// Flags: SUBGROUPS; WEIGHT, BIAS; ACTIVATION (with a flag of `unary.wgsl`). Constant: THREADS. Numbers: BLOCKS, PIXELS, WIDTH, GROUPS, FIRST, STRIDE
// (of x), EPS.

#include reduce

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [rows, STRIDE], from column FIRST on
#if WEIGHT
@group(0) @binding(1) var<storage, read> weight: array<f32>;       // [GROUPS · WIDTH]
#endif
#if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;         // [GROUPS · WIDTH]
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;      // [rows, GROUPS · WIDTH]

#if ACTIVATION
alias Number = f32;
#include unary
#endif

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) ids: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
#endif
) {
    let block = id.y * ids.x + id.x;
    if (block >= BLOCKS) { return; }
    let first_column = block % GROUPS * WIDTH;
    let first_row = block / GROUPS * PIXELS;
    let start = first_row * STRIDE + FIRST + first_column;
    var sum = 0.0;
    for (var i = lid; i < PIXELS * WIDTH; i += THREADS) {
        sum += x[start + i / WIDTH * STRIDE + i % WIDTH];
    }
#if SUBGROUPS
    let mean = workgroup_sum(lid, lane, size, sum) / f32(PIXELS * WIDTH);
#else
    let mean = workgroup_sum(lid, sum) / f32(PIXELS * WIDTH);
#endif
    var squares = 0.0;
    for (var i = lid; i < PIXELS * WIDTH; i += THREADS) {
        let v = x[start + i / WIDTH * STRIDE + i % WIDTH] - mean;
        squares += v * v;
    }
#if SUBGROUPS
    let variance = workgroup_sum(lid, lane, size, squares) / f32(PIXELS * WIDTH);
#else
    let variance = workgroup_sum(lid, squares) / f32(PIXELS * WIDTH);
#endif
    let scale = 1.0 / sqrt(variance + EPS);
    let to = first_row * GROUPS * WIDTH + first_column;
    for (var i = lid; i < PIXELS * WIDTH; i += THREADS) {
        let column = i % WIDTH;
        var v = (x[start + i / WIDTH * STRIDE + column] - mean) * scale;
#if WEIGHT
        v *= weight[first_column + column];
#endif
#if BIAS
        v += bias[first_column + column];
#endif
#if ACTIVATION
        v = unary(v);
#endif
        y[to + i / WIDTH * GROUPS * WIDTH + column] = v;
    }
}
