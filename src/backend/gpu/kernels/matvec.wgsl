// Matrix times vector: y = W·x (decode), four rows a workgroup, whose threads share the columns.
// Flags: those of the snippets; SUBGROUPS, of any size, and with it ALONE (the workgroup lies in one subgroup: no barrier).
// Constants: THREADS (a power of two), and those of the snippets.

#include linear_weight
#include linear_input
#include linear_output

#if SUBGROUPS
#if ALONE
fn sum_over_threads(lid: u32, lane: u32, size: u32, value: vec4<f32>) -> vec4<f32> {
    return subgroupAdd(value);
}
#else
var<workgroup> partial: array<vec4<f32>, THREADS>;

// Invocations of a one-dimensional workgroup lie in subgroups in order.
fn sum_over_threads(lid: u32, lane: u32, size: u32, value: vec4<f32>) -> vec4<f32> {
    let own = subgroupAdd(value);
    if (lane == 0u) { partial[lid / size] = own; }
    workgroupBarrier();
    var sum = vec4<f32>();
    for (var i = 0u; i < (THREADS + size - 1u) / size; i++) { sum += partial[i]; }
    return sum;
}
#endif
#else
var<workgroup> partial: array<vec4<f32>, THREADS>;

fn sum_over_threads(lid: u32, value: vec4<f32>) -> vec4<f32> {
    partial[lid] = value;
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if (lid < width) { partial[lid] += partial[lid + width]; }
    }
    return partial[0]; // of use to thread 0 alone
}
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
    let first = (group.y * groups.x + group.x) * QUAD;
    if (first >= outputs()) { return; }
    let rows = quad_rows(first);
    let start = spot(0u);
    var sums = vec4<f32>();
#if NORM
    var squares = vec4<f32>();
#endif
    for (var chunk = lid; chunk < chunks(); chunk += THREADS) {
        var a = array<vec4<f32>, 4>(x4(start, 4u * chunk), x4(start, 4u * chunk + 1u), x4(start, 4u * chunk + 2u), x4(start, 4u * chunk + 3u));
#if NORM
        for (var i = 0u; i < 4u; i++) {
            squares.x += dot(a[i], a[i]);
            a[i] *= norm4(4u * chunk + i);
        }
#endif
        let total = dot(a[0] + a[1] + a[2] + a[3], vec4<f32>(1.0));
        sums += vec4<f32>(dot16(rows.x, chunk, a, total), dot16(rows.y, chunk, a, total), dot16(rows.z, chunk, a, total), dot16(rows.w, chunk, a, total));
    }
#if SUBGROUPS
    sums = sum_over_threads(lid, lane, size, sums);
#else
    sums = sum_over_threads(lid, sums);
#endif
#if NORM
#if !ALONE
    workgroupBarrier();
#endif
#if SUBGROUPS
    let square = sum_over_threads(lid, lane, size, squares).x;
#else
    let square = sum_over_threads(lid, squares).x;
#endif
    sums *= inverseSqrt(square / f32(COLS) + EPS);
#endif
    if (lid == 0u) { store_quad(first, 0u, sums); }
}
