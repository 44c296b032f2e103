// The generalised delta rule (RWKV-7, arXiv 2503.14456): row by row each head's state S, values by keys, becomes S · diag(w) - (S · a) bᵀ + v kᵀ and gives
// S · r. A head is a workgroup; a value's row of S stays with one invocation from the first row to the last.
// Constant: HEAD (numbers of a head). Numbers: ROWS, COLS (of all heads).

@group(0) @binding(0) var<storage, read> r: array<f32>;             // [ROWS, COLS], and so the next five
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<f32>;
@group(0) @binding(5) var<storage, read> b: array<f32>;
@group(0) @binding(6) var<storage, read_write> state: array<f32>;   // [COLS, HEAD]
@group(0) @binding(7) var<storage, read_write> y: array<f32>;       // [ROWS, COLS]

// r, w, k and a of a row, and b.
var<workgroup> keys: array<vec4<f32>, HEAD>;
var<workgroup> removed: array<f32, HEAD>;

@compute @workgroup_size(HEAD)
fn main(@builtin(workgroup_id) head: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let column = head.x * HEAD + lid;
    var s: array<f32, HEAD>;
    for (var j = 0u; j < HEAD; j++) { s[j] = state[column * HEAD + j]; }
    for (var row = 0u; row < ROWS; row++) {
        let at = row * COLS + column;
        keys[lid] = vec4(r[at], w[at], k[at], a[at]);
        removed[lid] = b[at];
        workgroupBarrier();
        var replaced = 0.0;
        for (var j = 0u; j < HEAD; j++) { replaced += s[j] * keys[j].w; }
        let value = v[at];
        var sum = 0.0;
        for (var j = 0u; j < HEAD; j++) {
            s[j] = s[j] * keys[j].y - replaced * removed[j] + value * keys[j].z;
            sum += s[j] * keys[j].x;
        }
        y[at] = sum;
        workgroupBarrier();
    }
    for (var j = 0u; j < HEAD; j++) { state[column * HEAD + j] = s[j]; }
}
