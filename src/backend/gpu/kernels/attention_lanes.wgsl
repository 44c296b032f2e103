// Attention of query rows one by one on a device made of software, first half: an invocation takes one query head over a run of
// keys by itself, without a barrier. Leaves what `attention_split` leaves, for `attention_reduce` with TILE 1.
// Flags: VEC4 (HEAD_DIM and the rows are multiples of 4); SLIDING (the last WINDOW keys alone are seen), MEMORY (those that were stored);
// BIAS; SOFTCAP (scores are kept below CAP).
// Constants: THREADS, HEAD_DIM. Numbers: HEADS, KV_HEADS, CAPACITY, SPLITS, SCALE; WINDOW with SLIDING, ZERO with BIAS, CAP with SOFTCAP.

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
@group(0) @binding(3) var<storage, read> v: array<Lanes>;                 // [slots, CAPACITY, KV_HEADS, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;       // [rows, HEADS, SPLITS, HEAD_DIM + 2]
#if BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;                // [distances, HEADS]
#include attention_bias
#endif
#if SOFTCAP
#include attention_softcap
#endif

const WIDTH: u32 = HEAD_DIM / LANES;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.z;
    let cache = slot_of(row) * CAPACITY;
    // Invocations beside each other take heads of one run of keys, and so as many steps.
    let head = id.x % HEADS;
    let split = id.x / HEADS;
    let keys = keys_seen(position_of(row));
    let run = (keys.y - keys.x + SPLITS - 1u) / SPLITS;
    let first = keys.x + split * run;
    if (split >= SPLITS || first >= keys.y) { return; }
    let last = min(first + run, keys.y);

    var query: array<Lanes, WIDTH>;
    var sum: array<Lanes, WIDTH>;
    for (var i = 0u; i < WIDTH; i++) { query[i] = q[(row * HEADS + head) * WIDTH + i] * SCALE; }
    var highest = -3.0e38;
    var weight = 0.0;
    let kv_head = head / (HEADS / KV_HEADS);
    for (var key = first; key < last; key++) {
        let start = ((cache + key) * KV_HEADS + kv_head) * WIDTH;
        var score = 0.0;
        for (var i = 0u; i < WIDTH; i++) { score += inner(query[i], k[start + i]); }
#if SOFTCAP
        score = capped(score);
#endif
#if BIAS
        score += bias_of(head, position_of(row), key);
#endif
        let top = max(highest, score);
        let shrink = exp(highest - top);
        let share = exp(score - top);
        highest = top;
        weight = weight * shrink + share;
        for (var i = 0u; i < WIDTH; i++) { sum[i] = sum[i] * shrink + share * v[start + i]; }
    }

    let to = ((row * HEADS + head) * SPLITS + split) * (HEAD_DIM + 2u);
    for (var i = 0u; i < WIDTH; i++) {
#if VEC4
        for (var lane = 0u; lane < 4u; lane++) { partial[to + i * 4u + lane] = sum[i][lane]; }
#else
        partial[to + i] = sum[i];
#endif
    }
    partial[to + HEAD_DIM] = highest;
    partial[to + HEAD_DIM + 1u] = weight;
}
