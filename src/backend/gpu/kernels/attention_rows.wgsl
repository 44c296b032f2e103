// Attention between values for adapters made of software, where a barrier costs more than a row of products: each invocation takes one
// row of one head over its keys, four at a time, with an online softmax. Neighbours take neighbouring rows, so that all read one key.
// Flags, constant and numbers: those of `attention_tiled.wgsl` with BETWEEN.

#if VEC4
alias Lanes = vec4<f32>;
const LANES: u32 = 4u;
fn inner(a: Lanes, b: Lanes) -> f32 { return dot(a, b); }
#else
alias Lanes = f32;
const LANES: u32 = 1u;
fn inner(a: Lanes, b: Lanes) -> f32 { return a * b; }
#endif

@group(0) @binding(1) var<storage, read> q: array<Lanes>;                 // [batch, ROWS, Q_STRIDE], from column Q_FIRST on
@group(0) @binding(2) var<storage, read> k: array<Lanes>;                 // [batch, CAPACITY, K_STRIDE], from column K_FIRST on
@group(0) @binding(3) var<storage, read> v: array<Lanes>;                 // [batch, CAPACITY, V_STRIDE], from column V_FIRST on
@group(0) @binding(4) var<storage, read_write> y: array<Lanes>;           // [batch, ROWS, HEADS, HEAD_DIM]
#if BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;                // [distances, HEADS]
#include attention_bias
#endif
#if SOFTCAP
#include attention_softcap
#endif
#if LENGTHS
@group(0) @binding(6) var<storage, read> lengths: array<u32>;             // [batch]
#endif

const WIDTH: u32 = HEAD_DIM / LANES;

#include keys_between

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = (FIRST_TILE + group.x) * 16u + lid;
    if (row >= ROWS) { return; }
    let head = group.y;
    let kv_head = head / (HEADS / KV_HEADS);
    let seen = keys_between(group.z, row);
    let keys = seen.y;
    let q_start = (group.z * ROWS + row) * Q_STRIDE + Q_FIRST + head * WIDTH;
    let k_start = group.z * CAPACITY * K_STRIDE + K_FIRST + kv_head * WIDTH;
    let v_start = group.z * CAPACITY * V_STRIDE + V_FIRST + kv_head * WIDTH;
    var query: array<Lanes, WIDTH>;
    var sum: array<Lanes, WIDTH>;
    for (var i = 0u; i < WIDTH; i++) { query[i] = q[q_start + i] * SCALE; }
    var top = -3.0e38;
    var total = 0.0;
    for (var first = seen.x; first < keys; first += 4u) {
        let four = vec4(first) + vec4(0u, 1u, 2u, 3u);
        // Past the last key the last is read again, and weighs nothing.
        let key = min(four, vec4(keys - 1u));
        let k_at = key * K_STRIDE + k_start;
        var scores = vec4(0.0);
        for (var i = 0u; i < WIDTH; i++) {
            let x = query[i];
            scores += vec4(inner(x, k[k_at.x + i]), inner(x, k[k_at.y + i]), inner(x, k[k_at.z + i]), inner(x, k[k_at.w + i]));
        }
#if SOFTCAP
        scores = vec4(capped(scores.x), capped(scores.y), capped(scores.z), capped(scores.w));
#endif
#if BIAS
        scores += vec4(bias_of(head, row, key.x), bias_of(head, row, key.y), bias_of(head, row, key.z), bias_of(head, row, key.w));
#endif
        let new_top = max(top, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let shrink = exp(top - new_top);
        let weights = select(vec4(0.0), exp(scores - new_top), four < vec4(keys));
        top = new_top;
        total = total * shrink + (weights.x + weights.y) + (weights.z + weights.w);
        let v_at = key * V_STRIDE + v_start;
        for (var i = 0u; i < WIDTH; i++) {
            sum[i] = sum[i] * shrink + (v[v_at.x + i] * weights.x + v[v_at.y + i] * weights.y)
                + (v[v_at.z + i] * weights.z + v[v_at.w + i] * weights.w);
        }
    }
    let to = ((group.z * ROWS + row) * HEADS + head) * WIDTH;
    for (var i = 0u; i < WIDTH; i++) { y[to + i] = sum[i] / total; }
}
