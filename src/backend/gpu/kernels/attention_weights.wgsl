// How much each row of an attention takes from each key, for those who want to see it: each invocation takes one row of one head, and goes
// through its keys three times (products and their top, exponentials and their sum, shares).
// Flags: BETWEEN (keys are values of the step, for each member of the batch its own; else they are a cache), FULL, SLIDING, MEMORY, BIAS,
// SOFTCAP, LENGTHS as in `attention_tiled.wgsl`. Numbers: ROWS, CAPACITY (of a member), BATCH, HEADS, KV_HEADS, HEAD_DIM, SCALE; Q_FIRST, Q_STRIDE,
// K_FIRST, K_STRIDE; WINDOW with SLIDING, ZERO with BIAS, CAP with SOFTCAP.

#if !BETWEEN
#include stand
#include keys_seen
#endif
@group(0) @binding(1) var<storage, read> q: array<f32>;                   // [batch, ROWS, Q_STRIDE], from column Q_FIRST on
@group(0) @binding(2) var<storage, read> k: array<f32>;                   // [batch, CAPACITY, K_STRIDE], from column K_FIRST on
@group(0) @binding(3) var<storage, read_write> y: array<f32>;             // [batch, HEADS, ROWS, CAPACITY]
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

#if BETWEEN
#include keys_between
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= BATCH * HEADS * ROWS) { return; }
    let row = id.x % ROWS;
    let head = id.x / ROWS % HEADS;
    let member = id.x / (ROWS * HEADS);
#if BETWEEN
    let query = row;
    let seen = keys_between(member, row);
    let of_keys = member;
#else
    let query = position_of(row);
    let seen = keys_seen(query);
    let of_keys = slot_of(row);
#endif
    let q_start = (member * ROWS + row) * Q_STRIDE + Q_FIRST + head * HEAD_DIM;
    let k_start = of_keys * CAPACITY * K_STRIDE + K_FIRST + head / (HEADS / KV_HEADS) * HEAD_DIM;
    let to = id.x * CAPACITY;
    var top = -3.0e38;
    for (var key = seen.x; key < seen.y; key++) {
        var score = 0.0;
        for (var i = 0u; i < HEAD_DIM; i++) { score += q[q_start + i] * k[k_start + key * K_STRIDE + i]; }
        score *= SCALE;
#if SOFTCAP
        score = capped(score);
#endif
#if BIAS
        score += bias_of(head, query, key);
#endif
        y[to + key] = score;
        top = max(top, score);
    }
    var sum = 0.0;
    for (var key = seen.x; key < seen.y; key++) {
        let share = exp(y[to + key] - top);
        y[to + key] = share;
        sum += share;
    }
    for (var key = 0u; key < CAPACITY; key++) {
        y[to + key] = select(0.0, y[to + key] / sum, key >= seen.x && key < seen.y);
    }
}
