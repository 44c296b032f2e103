// A sum over a workgroup, the same in every invocation. Takes: THREADS (a power of two, at most 256).
// Every invocation of the workgroup must call it.

var<workgroup> reduce_scratch: array<f32, THREADS>;

#if SUBGROUPS
// `size` and `lane` are the subgroup builtins. Invocations of a one-dimensional workgroup lie in subgroups in order.
fn workgroup_sum(lid: u32, lane: u32, size: u32, value: f32) -> f32 {
    let own = subgroupAdd(value);
    if (lane == 0u) { reduce_scratch[lid / size] = own; }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < (THREADS + size - 1u) / size; i++) { sum += reduce_scratch[i]; }
    workgroupBarrier();
    return sum;
}
#else
// A tree of radix four: half the barriers of a binary one, and barriers are what costs on software adapters.
fn workgroup_sum(lid: u32, value: f32) -> f32 {
    reduce_scratch[lid] = value;
    workgroupBarrier();
    var width = THREADS;
    while (width > 8u) {
        width /= 4u;
        if (lid < width) {
            reduce_scratch[lid] += reduce_scratch[lid + width] + reduce_scratch[lid + 2u * width] + reduce_scratch[lid + 3u * width];
        }
        workgroupBarrier();
    }
    var sum = 0.0;
    for (var i = 0u; i < width; i++) { sum += reduce_scratch[i]; }
    workgroupBarrier();
    return sum;
}
#endif
