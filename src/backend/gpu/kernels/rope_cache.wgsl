// An RMSNorm of each head of q and k, their rotary position embedding (arXiv 2104.09864) and the cache writes of k and v, in one.
// Each part may be absent.
// Flags: Q, K, V, ROTARY, FACTORS, HALF_SPLIT (else neighbours are pairs), NORM; those of `stand.wgsl`.
// Constants: HEAD_DIM, ROTARY_DIM, THREADS. Numbers: ROWS, CAPACITY, and for each part its FIRST, STRIDE and HEADS (q, k) or WIDTH (v); EPS
// with NORM, MAGNITUDE with ROTARY.

#include stand
#if Q
@group(0) @binding(1) var<storage, read> q: array<f32>;                 // [ROWS, Q_STRIDE], from column Q_FIRST on
@group(0) @binding(6) var<storage, read_write> q_turned: array<f32>;    // [ROWS, Q_HEADS, HEAD_DIM]
#endif
#if K
@group(0) @binding(2) var<storage, read> k: array<f32>;                 // [ROWS, K_STRIDE], from column K_FIRST on
@group(0) @binding(7) var<storage, read_write> k_cache: array<f32>;     // [slots, CAPACITY, K_HEADS, HEAD_DIM]
#endif
#if V
@group(0) @binding(3) var<storage, read> v: array<f32>;                 // [ROWS, V_STRIDE], from column V_FIRST on
@group(0) @binding(8) var<storage, read_write> v_cache: array<f32>;     // [slots, CAPACITY, V_WIDTH]
#endif
#if NORM
@group(0) @binding(9) var<storage, read> q_norm: array<f32>;            // [HEAD_DIM]
@group(0) @binding(10) var<storage, read> k_norm: array<f32>;           // [HEAD_DIM]
#endif

#if ROTARY
// A head is ROTARY_DIM / 2 pairs to turn and the rest to leave: so many units of work.
const PAIRS: u32 = ROTARY_DIM / 2u;
// [ROTARY_DIM / 2], radians a position. Uniform, for a device may bind but eight storage buffers.
@group(0) @binding(4) var<uniform> frequencies: array<vec4<f32>, (PAIRS + 3u) / 4u>;
#if FACTORS
@group(0) @binding(5) var<storage, read> factors: array<f32>;           // [ROTARY_DIM / 2]
#endif

#include cos_sin

fn turn(pair: u32, position: u32, value: vec2<f32>) -> vec2<f32> {
    var frequency = frequencies[pair / 4u][pair % 4u];
#if FACTORS
    frequency /= factors[pair];
#endif
    let cs = MAGNITUDE * cos_sin(f32(position) * frequency);
    return vec2(value.x * cs.x - value.y * cs.y, value.x * cs.y + value.y * cs.x);
}

// The two columns of a pair within a head.
fn columns(pair: u32) -> vec2<u32> {
#if HALF_SPLIT
    return vec2(pair, pair + PAIRS);
#else
    return vec2(2u * pair, 2u * pair + 1u);
#endif
}
#else
const PAIRS: u32 = 0u;
#endif
#if HEADS
const UNITS: u32 = HEAD_DIM - PAIRS;
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let position = position_of(row);
    var unit = id.x;
#if Q
    if (unit < Q_HEADS * UNITS) {
        let head = (unit / UNITS) * HEAD_DIM;
        let i = unit % UNITS;
        let start = row * Q_STRIDE + Q_FIRST + head;
        let to = row * Q_HEADS * HEAD_DIM + head;
#if NORM
        // Every invocation of a head sums its squares: a few loads that all share cost less than a barrier, or a kernel of its own.
        var squares = 0.0;
        for (var j = 0u; j < HEAD_DIM; j++) { squares += q[start + j] * q[start + j]; }
        let scale = 1.0 / sqrt(squares / f32(HEAD_DIM) + EPS);
#endif
        if (i < PAIRS) {
            let at = columns(i);
            var pair = vec2(q[start + at.x], q[start + at.y]);
#if NORM
            pair *= scale * vec2(q_norm[at.x], q_norm[at.y]);
#endif
            let turned = turn(i, position, pair);
            q_turned[to + at.x] = turned.x;
            q_turned[to + at.y] = turned.y;
        } else {
            var value = q[start + PAIRS + i];
#if NORM
            value *= scale * q_norm[PAIRS + i];
#endif
            q_turned[to + PAIRS + i] = value;
        }
        return;
    }
    unit -= Q_HEADS * UNITS;
#endif
    // Rows past the capacity are dropped.
    if (position >= CAPACITY) { return; }
#if !PLACES
    // The sum above may have wrapped for an absurd position.
    if (position < row) { return; }
#endif
    let place = slot_of(row) * CAPACITY + position;
#if K
    if (unit < K_HEADS * UNITS) {
        let head = (unit / UNITS) * HEAD_DIM;
        let i = unit % UNITS;
        let start = row * K_STRIDE + K_FIRST + head;
        let to = place * K_HEADS * HEAD_DIM + head;
#if NORM
        var squares = 0.0;
        for (var j = 0u; j < HEAD_DIM; j++) { squares += k[start + j] * k[start + j]; }
        let scale = 1.0 / sqrt(squares / f32(HEAD_DIM) + EPS);
#endif
#if ROTARY
        if (i < PAIRS) {
            let at = columns(i);
            var pair = vec2(k[start + at.x], k[start + at.y]);
#if NORM
            pair *= scale * vec2(k_norm[at.x], k_norm[at.y]);
#endif
            let turned = turn(i, position, pair);
            k_cache[to + at.x] = turned.x;
            k_cache[to + at.y] = turned.y;
            return;
        }
#endif
        var value = k[start + PAIRS + i];
#if NORM
        value *= scale * k_norm[PAIRS + i];
#endif
        k_cache[to + PAIRS + i] = value;
        return;
    }
    unit -= K_HEADS * UNITS;
#endif
#if V
    if (unit < V_WIDTH) {
        v_cache[place * V_WIDTH + unit] = v[row * V_STRIDE + V_FIRST + unit];
    }
#endif
}
