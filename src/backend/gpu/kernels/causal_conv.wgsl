// A convolution of each column by itself over the rows up to the row's own: those of a cache, or of a value in which the rows before those of
// the step come first.
// Flags: BIAS, CACHED; with CACHED those of `stand.wgsl`. Numbers: ROWS, COLS, CAPACITY (rows of a slot), WIDTH.

#if CACHED
#include stand
#endif
@group(0) @binding(0) var<storage, read> x: array<f32>;         // [slots, CAPACITY, COLS], or [WIDTH - 1 + ROWS, COLS]
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
    var v = 0.0;
#if BIAS
    v = bias[column];
#endif
#if CACHED
    let position = position_of(row);
    let place = slot_of(row) * CAPACITY + position;
    // Rows past the capacity were dropped.
    let seen = select(0u, min(WIDTH, position + 1u), position < CAPACITY);
#else
    let place = row + WIDTH - 1u;
    let seen = WIDTH;
#endif
    for (var back = 0u; back < seen; back++) {
        v += weight[column * WIDTH + WIDTH - 1u - back] * x[(place - back) * COLS + column];
    }
    y[i] = v;
}
