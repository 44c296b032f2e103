// A convolution of each column by itself over the rows of a cache up to the row's own.
// Flags: BIAS; those of `stand.wgsl`. Numbers: ROWS, COLS, CAPACITY (rows of a slot), WIDTH.

#include stand
@group(0) @binding(0) var<storage, read> cache: array<f32>;     // [slots, CAPACITY, COLS]
@group(0) @binding(1) var<storage, read> weight: array<f32>;    // [COLS, WIDTH]
#if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;      // [COLS]
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [ROWS, COLS]

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + lid;
    if (i >= ROWS * COLS) { return; }
    let row = i / COLS;
    let column = i % COLS;
    let position = position_of(row);
    var v = 0.0;
#if BIAS
    v = bias[column];
#endif
    // Rows past the capacity were dropped.
    if (position < CAPACITY) {
        let place = slot_of(row) * CAPACITY + position;
        for (var back = 0u; back < min(WIDTH, position + 1u); back++) {
            v += weight[column * WIDTH + WIDTH - 1u - back] * cache[(place - back) * COLS + column];
        }
    }
    y[i] = v;
}
