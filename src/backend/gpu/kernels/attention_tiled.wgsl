// Attention of several query rows with an online softmax (FlashAttention, arXiv 2205.14135): a workgroup takes 16 rows of
// one head over its keys, 32 at a time. Scores go through workgroup memory; q, k and v come through the caches.
// Flags: VEC4 (HEAD_DIM and all windows are multiples of 4, and counted in fours); BETWEEN (keys are values of the step, for each member of
// the batch its own; else they are a cache), FULL (every row sees all keys; else those up to its own), SLIDING (of a
// cache each row sees the last WINDOW alone), MEMORY (of a cache each row sees what was stored); BIAS; SOFTCAP (scores are kept below CAP); LENGTHS (of each member's keys so many
// count, with BETWEEN).
// Constant: HEAD_DIM. Numbers: ROWS, CAPACITY (of a member), HEADS, KV_HEADS, SCALE; Q_FIRST, Q_STRIDE, K_FIRST, K_STRIDE, V_FIRST, V_STRIDE;
// FIRST_TILE (the first 16 rows of this dispatch) with BETWEEN, WINDOW with SLIDING, ZERO with BIAS, CAP with SOFTCAP.

#if VEC4
alias Lanes = vec4<f32>;
const LANES: u32 = 4u;
fn inner(a: Lanes, b: Lanes) -> f32 { return dot(a, b); }
#else
alias Lanes = f32;
const LANES: u32 = 1u;
fn inner(a: Lanes, b: Lanes) -> f32 { return a * b; }
#endif

#if !BETWEEN
#include stand
#include keys_seen
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
const TILE_ROWS: u32 = 16u;
const TILE_KEYS: u32 = 32u;
// A score tile's rows are one longer than its keys, so that a column falls into different memory banks.
const PITCH: u32 = TILE_KEYS + 1u;
// In the second product an invocation holds 4 rows and every 16th column.
const COLUMNS: u32 = (WIDTH + 15u) / 16u;

var<workgroup> scores: array<f32, TILE_ROWS * PITCH>;
var<workgroup> partial_top: array<f32, 64>;
var<workgroup> partial_sum: array<f32, 64>;
var<workgroup> shrinks: array<f32, TILE_ROWS>;
var<workgroup> totals: array<f32, TILE_ROWS>;

#if BETWEEN
#include keys_between
#endif

// The first key that a row of a member sees, and the one after the last.
fn seen_by(member: u32, row: u32) -> vec2<u32> {
#if BETWEEN
    return keys_between(member, row);
#else
    return keys_seen(position_of(row));
#endif
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let head = group.y;
    let kv_head = head / (HEADS / KV_HEADS);
#if BETWEEN
    let first_row = (FIRST_TILE + group.x) * TILE_ROWS;
#else
    let first_row = group.x * TILE_ROWS;
#endif
    let last_row = min(first_row + TILE_ROWS, ROWS) - 1u;
#if BIAS
#if BETWEEN
    let first_query = 0u;
#else
    let first_query = step.position;
#endif
#endif
    let keys = seen_by(group.z, last_row).y;
    let member_row = group.z * ROWS;
    let k_start = group.z * CAPACITY * K_STRIDE + K_FIRST + kv_head * WIDTH;
    let v_start = group.z * CAPACITY * V_STRIDE + V_FIRST + kv_head * WIDTH;

    // First product: 2 rows by 4 keys.
    let score_row = (lid / 8u) * 2u;
    let score_key = (lid % 8u) * 4u;
    let row_a = min(first_row + score_row, last_row);
    let row_b = min(first_row + score_row + 1u, last_row);
    let q_a = (member_row + row_a) * Q_STRIDE + Q_FIRST + head * WIDTH;
    let q_b = (member_row + row_b) * Q_STRIDE + Q_FIRST + head * WIDTH;
    // Softmax: four invocations a row, eight keys each.
    let soft_row = lid / 4u;
    let soft_key = (lid % 4u) * 8u;
    let seen = seen_by(group.z, min(first_row + soft_row, last_row));
    var top = -3.0e38;
    var total = 0.0;
    // Second product.
    let value_row = (lid / 16u) * 4u;
    let value_column = lid % 16u;
    var sum: array<Lanes, 4u * COLUMNS>;

    for (var first_key = seen_by(group.z, first_row).x; first_key < keys; first_key += TILE_KEYS) {
        var a = vec4(0.0);
        var b = vec4(0.0);
        // Past the last key the last is read again, and weighs nothing.
        let at = min(vec4(first_key + score_key) + vec4(0u, 1u, 2u, 3u), vec4(keys - 1u)) * K_STRIDE + k_start;
        for (var i = 0u; i < WIDTH; i++) {
            let x = q[q_a + i];
            let z = q[q_b + i];
            let k0 = k[at.x + i];
            let k1 = k[at.y + i];
            let k2 = k[at.z + i];
            let k3 = k[at.w + i];
            a += vec4(inner(x, k0), inner(x, k1), inner(x, k2), inner(x, k3));
            b += vec4(inner(z, k0), inner(z, k1), inner(z, k2), inner(z, k3));
        }
        for (var j = 0u; j < 4u; j++) {
            var score_a = a[j] * SCALE;
            var score_b = b[j] * SCALE;
#if SOFTCAP
            score_a = capped(score_a);
            score_b = capped(score_b);
#endif
#if BIAS
            let key = min(first_key + score_key + j, keys - 1u);
            score_a += bias_of(head, first_query + row_a, key);
            score_b += bias_of(head, first_query + row_b, key);
#endif
            scores[score_row * PITCH + score_key + j] = score_a;
            scores[(score_row + 1u) * PITCH + score_key + j] = score_b;
        }
        workgroupBarrier();

        var tile_top = -3.0e38;
        for (var j = 0u; j < 8u; j++) {
            let key = first_key + soft_key + j;
            if (key >= seen.x && key < seen.y) { tile_top = max(tile_top, scores[soft_row * PITCH + soft_key + j]); }
        }
        partial_top[lid] = tile_top;
        workgroupBarrier();
        for (var j = 0u; j < 4u; j++) { tile_top = max(tile_top, partial_top[soft_row * 4u + j]); }
        let new_top = max(top, tile_top);
        let shrink = exp(top - new_top);
        top = new_top;
        var tile_sum = 0.0;
        for (var j = 0u; j < 8u; j++) {
            let slot = soft_row * PITCH + soft_key + j;
            let key = first_key + soft_key + j;
            var weight = 0.0;
            if (key >= seen.x && key < seen.y) { weight = exp(scores[slot] - top); }
            scores[slot] = weight;
            tile_sum += weight;
        }
        partial_sum[lid] = tile_sum;
        if (lid % 4u == 0u) { shrinks[soft_row] = shrink; }
        workgroupBarrier();

        total = total * shrink;
        for (var j = 0u; j < 4u; j++) { total += partial_sum[soft_row * 4u + j]; }
        for (var r = 0u; r < 4u; r++) {
            for (var c = 0u; c < COLUMNS; c++) { sum[r * COLUMNS + c] *= shrinks[value_row + r]; }
        }
        let here = min(keys - first_key, TILE_KEYS);
        for (var j = 0u; j < here; j++) {
            let start = (first_key + j) * V_STRIDE + v_start;
            for (var c = 0u; c < COLUMNS; c++) {
                let column = c * 16u + value_column;
                if (column < WIDTH) {
                    let value = v[start + column];
                    for (var r = 0u; r < 4u; r++) {
                        sum[r * COLUMNS + c] += scores[(value_row + r) * PITCH + j] * value;
                    }
                }
            }
        }
        workgroupBarrier();
    }

    if (lid % 4u == 0u) { totals[soft_row] = total; }
    workgroupBarrier();
    for (var r = 0u; r < 4u; r++) {
        let row = first_row + value_row + r;
        if (row > last_row) { break; }
        for (var c = 0u; c < COLUMNS; c++) {
            let column = c * 16u + value_column;
            if (column < WIDTH) {
                y[((member_row + row) * HEADS + head) * WIDTH + column] = sum[r * COLUMNS + c] / totals[value_row + r];
            }
        }
    }
}
