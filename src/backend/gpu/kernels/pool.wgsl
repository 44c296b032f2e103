// One row for each member of a batch: the mean, the maximum, the first or the last of as many of its rows as count.
// Flags: MEAN, MAX, LAST or none (the first). Numbers: BATCH, ROWS (of a member), COLS, FIRST, STRIDE (of x).

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [BATCH · ROWS, STRIDE], from column FIRST on
@group(0) @binding(1) var<storage, read> lengths: array<u32>;      // [BATCH]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;      // [BATCH, COLS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= BATCH * COLS) { return; }
    let member = id.x / COLS;
    let count = clamp(lengths[member], 1u, ROWS);
    let start = member * ROWS * STRIDE + FIRST + id.x % COLS;
    var v = x[start];
#if MEAN
    for (var r = 1u; r < count; r++) { v += x[start + r * STRIDE]; }
    v /= f32(count);
#endif
#if MAX
    for (var r = 1u; r < count; r++) { v = max(v, x[start + r * STRIDE]); }
#endif
#if LAST
    v = x[start + (count - 1u) * STRIDE];
#endif
    y[id.x] = v;
}
