// x / sqrt(mean(x²) + EPS) · w (+ residual) over groups of WIDTH columns (arXiv 1910.07467). A workgroup a group.
// Flags: SUBGROUPS, RESIDUAL. Constants: THREADS, WIDTH. Numbers: FIRST, STRIDE (of x), EPS; RESIDUAL_FIRST, RESIDUAL_STRIDE.

#include reduce

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [rows, STRIDE], from column FIRST on
@group(0) @binding(1) var<storage, read> weight: array<f32>;       // [WIDTH]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;      // [rows, groups, WIDTH]
#if RESIDUAL
@group(0) @binding(3) var<storage, read> residual: array<f32>;     // [rows, RESIDUAL_STRIDE], from column RESIDUAL_FIRST on
#endif

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
#endif
) {
    let start = group.y * STRIDE + FIRST + group.x * WIDTH;
    let to = (group.y * groups.x + group.x) * WIDTH;
    var squares = 0.0;
    for (var i = lid; i < WIDTH; i += THREADS) {
        let v = x[start + i];
        squares += v * v;
    }
#if SUBGROUPS
    let total = workgroup_sum(lid, lane, size, squares);
#else
    let total = workgroup_sum(lid, squares);
#endif
    let scale = 1.0 / sqrt(total / f32(WIDTH) + EPS);
    for (var i = lid; i < WIDTH; i += THREADS) {
        var v = x[start + i] * scale * weight[i];
#if RESIDUAL
        v += residual[group.y * RESIDUAL_STRIDE + RESIDUAL_FIRST + group.x * WIDTH + i];
#endif
        y[to + i] = v;
    }
}
