// e^x over the sum of the row's, each row by one workgroup.
// Constant: THREADS. Numbers: ROWS, COLS, FIRST, STRIDE (of x).

#include reduce

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [ROWS, STRIDE], from column FIRST on
@group(0) @binding(1) var<storage, read_write> y: array<f32>;      // [ROWS, COLS]

var<workgroup> tops: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) ids: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let row = id.y * ids.x + id.x;
    if (row >= ROWS) { return; }
    let start = row * STRIDE + FIRST;
    var top = x[start];
    for (var i = lid; i < COLS; i += THREADS) { top = max(top, x[start + i]); }
    tops[lid] = top;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        if (lid < width) { tops[lid] = max(tops[lid], tops[lid + width]); }
        workgroupBarrier();
    }
    top = tops[0];
    var sum = 0.0;
    for (var i = lid; i < COLS; i += THREADS) { sum += exp(x[start + i] - top); }
    let scale = 1.0 / workgroup_sum(lid, sum);
    for (var i = lid; i < COLS; i += THREADS) { y[row * COLS + i] = exp(x[start + i] - top) * scale; }
}
