// The second half of GroupNorm over large pictures: from what `norm_columns.wgsl` left to a factor and a summand for each channel.
// A workgroup a group of channels. Flags: SUBGROUPS. Constant: THREADS. Numbers: GROUPS, WIDTH, PIXELS, PARTS, PART_ROWS, EPS.

#include reduce

@group(0) @binding(0) var<storage, read> partial: array<vec2<f32>>;          // [BATCH, PARTS, GROUPS · WIDTH]
@group(0) @binding(1) var<storage, read> weight: array<f32>;                 // [GROUPS · WIDTH]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                   // [GROUPS · WIDTH]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;                // [BATCH, 2, GROUPS · WIDTH]

fn rows_of(part: u32) -> f32 {
    return f32(min((part + 1u) * PART_ROWS, PIXELS) - part * PART_ROWS);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
#endif
) {
    let columns = GROUPS * WIDTH;
    let first_column = id.x * WIDTH;
    let start = id.y * PARTS * columns + first_column;
    var sum = 0.0;
    for (var i = lid; i < PARTS * WIDTH; i += THREADS) {
        sum += partial[start + i / WIDTH * columns + i % WIDTH].x * rows_of(i / WIDTH);
    }
#if SUBGROUPS
    let mean = workgroup_sum(lid, lane, size, sum) / f32(PIXELS * WIDTH);
#else
    let mean = workgroup_sum(lid, sum) / f32(PIXELS * WIDTH);
#endif
    var squares = 0.0;
    for (var i = lid; i < PARTS * WIDTH; i += THREADS) {
        let part = partial[start + i / WIDTH * columns + i % WIDTH];
        let off = part.x - mean;
        squares += part.y + off * off * rows_of(i / WIDTH);
    }
#if SUBGROUPS
    let variance = workgroup_sum(lid, lane, size, squares) / f32(PIXELS * WIDTH);
#else
    let variance = workgroup_sum(lid, squares) / f32(PIXELS * WIDTH);
#endif
    let scale = 1.0 / sqrt(variance + EPS);
    let to = id.y * 2u * columns + first_column;
    for (var i = lid; i < WIDTH; i += THREADS) {
        let factor = scale * weight[first_column + i];
        y[to + i] = factor;
        y[to + columns + i] = bias[first_column + i] - mean * factor;
    }
}
