// Attention of query rows one by one, first half: a workgroup takes the query heads that share a key head, over a run of keys
// (flash-decoding). Each leaves an unscaled sum, its maximum and its weight for `attention_reduce`.
// Flags: VEC4 (HEAD_DIM and the rows are multiples of 4); SLIDING (the last WINDOW keys alone are seen), MEMORY (those that were stored);
// BIAS; SOFTCAP (scores are kept below CAP); those of `stand.wgsl`.
// Constants: THREADS (also the keys of a tile), SHARE (query heads a workgroup takes, a divisor of HEADS / KV_HEADS), HEAD_DIM.
// Numbers: HEADS, KV_HEADS, CAPACITY, SPLITS, SCALE; WINDOW with SLIDING, ZERO with BIAS, CAP with SOFTCAP.

#if VEC4
alias Lanes = vec4<f32>;
const LANES: u32 = 4u;
fn inner(a: Lanes, b: Lanes) -> f32 { return dot(a, b); }
#else
alias Lanes = f32;
const LANES: u32 = 1u;
fn inner(a: Lanes, b: Lanes) -> f32 { return a * b; }
#endif

#include stand
#include keys_seen
@group(0) @binding(1) var<storage, read> q: array<Lanes>;                 // [rows, HEADS, HEAD_DIM]
@group(0) @binding(2) var<storage, read> k: array<Lanes>;                 // [slots, CAPACITY, KV_HEADS, HEAD_DIM]
@group(0) @binding(3) var<storage, read> v: array<f32>;                   // [slots, CAPACITY, KV_HEADS, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;       // [rows, HEADS, SPLITS, HEAD_DIM + 2]
#if BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;                // [distances, HEADS]
#include attention_bias
#endif
#if SOFTCAP
#include attention_softcap
#endif

const WIDTH: u32 = HEAD_DIM / LANES;
const COLUMNS: u32 = (HEAD_DIM + THREADS - 1u) / THREADS;

var<workgroup> queries: array<Lanes, SHARE * WIDTH>;
var<workgroup> scores: array<f32, SHARE * THREADS>;
var<workgroup> weights: array<f32, SHARE * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    // Every split takes the same number of tiles, as few as will do.
    let row = group.z;
    let cache = slot_of(row) * CAPACITY;
    let seen = keys_seen(position_of(row));
    let keys = seen.y - seen.x;
    let tiles = (keys + THREADS - 1u) / THREADS;
    let run = (tiles + SPLITS - 1u) / SPLITS;
    let first = group.x * run;
    if (first >= tiles) { return; }
    let last = min(first + run, tiles);

    let head = group.y * SHARE;
    let kv_head = head / (HEADS / KV_HEADS);
    for (var i = lid; i < SHARE * WIDTH; i += THREADS) {
        queries[i] = q[(row * HEADS + head) * WIDTH + i] * SCALE;
    }
    var highest: array<f32, SHARE>;
    var weight: array<f32, SHARE>;
    var sum: array<f32, SHARE * COLUMNS>;
    for (var g = 0u; g < SHARE; g++) { highest[g] = -3.0e38; }

    for (var tile = first; tile < last; tile++) {
        workgroupBarrier();
        let key = tile * THREADS + lid;
        if (key < keys) {
            var score: array<f32, SHARE>;
            let start = ((cache + seen.x + key) * KV_HEADS + kv_head) * WIDTH;
            for (var i = 0u; i < WIDTH; i++) {
                let lanes = k[start + i];
                for (var g = 0u; g < SHARE; g++) { score[g] += inner(queries[g * WIDTH + i], lanes); }
            }
#if SOFTCAP
            for (var g = 0u; g < SHARE; g++) { score[g] = capped(score[g]); }
#endif
#if BIAS
            for (var g = 0u; g < SHARE; g++) { score[g] += bias_of(head + g, position_of(row), seen.x + key); }
#endif
            for (var g = 0u; g < SHARE; g++) { scores[g * THREADS + lid] = score[g]; }
        }
        workgroupBarrier();
        let here = min(keys - tile * THREADS, THREADS);
        for (var g = 0u; g < SHARE; g++) {
            var top = highest[g];
            for (var j = 0u; j < here; j++) { top = max(top, scores[g * THREADS + j]); }
            let shrink = exp(highest[g] - top);
            highest[g] = top;
            weight[g] *= shrink;
            for (var c = 0u; c < COLUMNS; c++) { sum[g * COLUMNS + c] *= shrink; }
            if (lid < here) { weights[g * THREADS + lid] = exp(scores[g * THREADS + lid] - top); }
        }
        workgroupBarrier();
        for (var j = 0u; j < here; j++) {
            let start = ((cache + seen.x + tile * THREADS + j) * KV_HEADS + kv_head) * HEAD_DIM;
            for (var g = 0u; g < SHARE; g++) { weight[g] += weights[g * THREADS + j]; }
            for (var c = 0u; c < COLUMNS; c++) {
                let column = c * THREADS + lid;
                if (column < HEAD_DIM) {
                    let value = v[start + column];
                    for (var g = 0u; g < SHARE; g++) { sum[g * COLUMNS + c] += weights[g * THREADS + j] * value; }
                }
            }
        }
    }

    for (var g = 0u; g < SHARE; g++) {
        let to = ((row * HEADS + head + g) * SPLITS + group.x) * (HEAD_DIM + 2u);
        for (var c = 0u; c < COLUMNS; c++) {
            let column = c * THREADS + lid;
            if (column < HEAD_DIM) { partial[to + column] = sum[g * COLUMNS + c]; }
        }
        if (lid == 0u) {
            partial[to + HEAD_DIM] = highest[g];
            partial[to + HEAD_DIM + 1u] = weight[g];
        }
    }
}
