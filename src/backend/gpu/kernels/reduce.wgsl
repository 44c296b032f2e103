// Sums and maxima over a workgroup, the same in every invocation.
// Takes: THREADS (a power of two, at least 4). Needs in scope: `lid` is passed as the invocation's index.

var<workgroup> reduce_scratch: array<f32, THREADS>;

// A tree with a radix of four: half the barriers of a binary one, and barriers are what costs on software adapters.
fn workgroup_sum(lid: u32, value: f32) -> f32 {
    reduce_scratch[lid] = value;
    var width = THREADS;
    loop {
        workgroupBarrier();
        if (width == 1u) { break; }
        if (width == 2u) {
            if (lid == 0u) { reduce_scratch[0] += reduce_scratch[1]; }
            width = 1u;
        } else {
            width /= 4u;
            if (lid < width) {
                reduce_scratch[lid] += reduce_scratch[lid + width] + reduce_scratch[lid + 2u * width] + reduce_scratch[lid + 3u * width];
            }
        }
    }
    let sum = reduce_scratch[0];
    workgroupBarrier();
    return sum;
}
