// Matrix times matrix: y = x·Wᵀ (prefill, pictures), and convolutions as such a product whose x is gathered (implicit GEMM). A workgroup
// makes a tile of 4 · ROW_QUADS products (rows of W) for TOKENS tokens; both sides pass through workgroup memory 32 columns at a time,
// and a thread keeps four rows by four tokens in registers.
// Flags: those of the snippets but NORM. Constants: TOKENS (a multiple of four), ROW_QUADS, and those of the snippets.

#include linear_weight
#include linear_input
#include linear_output

const TOKEN_QUADS = TOKENS / 4u;
const THREADS = ROW_QUADS * TOKEN_QUADS;
const DEPTH4 = 8u; // columns a step, in fours
const X_TASKS = (TOKEN_QUADS * DEPTH4 + THREADS - 1u) / THREADS; // of a thread, a step

var<workgroup> w_tile: array<vec4<f32>, ROW_QUADS * DEPTH4 * 4u>; // [column, row quad] four rows
var<workgroup> x_tile: array<vec4<f32>, TOKEN_QUADS * DEPTH4 * 4u>; // [column, token quad] four tokens

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row_quad = lid % ROW_QUADS;
    let token_quad = lid / ROW_QUADS;
    let first = group.x * ROW_QUADS * QUAD;
    let first_token = FIRST_TOKEN + group.y * TOKENS;
    let padded4 = chunks() * 4u;
    var sums = array<vec4<f32>, 4>();
    // Where the tokens that this thread loads lie does not change from step to step.
    var spots: array<Spot, 4u * X_TASKS>;
    for (var i = 0u; i < 4u * X_TASKS; i++) {
        let quad = (lid + i / 4u * THREADS) / DEPTH4;
        spots[i] = spot(min(first_token + 4u * quad + i % 4u, T - 1u));
    }
    for (var k4 = 0u; k4 < padded4; k4 += DEPTH4) {
        for (var task = lid; task < ROW_QUADS * DEPTH4; task += THREADS) {
            let quad = task / DEPTH4;
            let k = task % DEPTH4;
            let rows = quad_rows(first + quad * QUAD);
            var block = mat4x4<f32>();
            if (k4 + k < padded4) {
                block = transpose(mat4x4<f32>(
                    weight4(rows.x, k4 + k), weight4(rows.y, k4 + k), weight4(rows.z, k4 + k), weight4(rows.w, k4 + k)));
            }
            for (var i = 0u; i < 4u; i++) { w_tile[(4u * k + i) * ROW_QUADS + quad] = block[i]; }
        }
        for (var j = 0u; j < X_TASKS; j++) {
            let task = lid + j * THREADS;
            if (task < TOKEN_QUADS * DEPTH4) {
                let quad = task / DEPTH4;
                let k = task % DEPTH4;
                var block = mat4x4<f32>();
                if (k4 + k < padded4) {
                    block = transpose(mat4x4<f32>(
                        x4(spots[4u * j], k4 + k), x4(spots[4u * j + 1u], k4 + k),
                        x4(spots[4u * j + 2u], k4 + k), x4(spots[4u * j + 3u], k4 + k)));
                }
                for (var i = 0u; i < 4u; i++) { x_tile[(4u * k + i) * TOKEN_QUADS + quad] = block[i]; }
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < 4u * DEPTH4; k++) {
            let w = w_tile[k * ROW_QUADS + row_quad];
            let a = x_tile[k * TOKEN_QUADS + token_quad];
            sums[0] += w * a.x;
            sums[1] += w * a.y;
            sums[2] += w * a.z;
            sums[3] += w * a.w;
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        store_quad(first + row_quad * QUAD, first_token + 4u * token_quad + i, sums[i]);
    }
}
