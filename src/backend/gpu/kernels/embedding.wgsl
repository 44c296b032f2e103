// Rows of a table: ids `[t]` to y `[t, cols]`. An id past the table reads row 0. A table in parts takes a dispatch a part:
// each writes the tokens whose rows it holds.
// Flags: those of the weight; POSITIONS (the rows are those of the tokens' positions, and are added to x), with it those of `stand.wgsl`.

#include linear_weight

#if POSITIONS
#include stand
@group(0) @binding(3) var<storage, read> x: array<f32>; // [t, cols]
#else
@group(0) @binding(3) var<storage, read> ids: array<u32>; // [t]
#endif
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [t, cols]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let k4 = id.x;
    let token = group.y;
    if (4u * k4 >= COLS) { return; }
#if POSITIONS
    var row = position_of(token);
#else
    var row = ids[token];
#endif
    if (row >= ALL_ROWS) { row = 0u; }
    if (row < FIRST_ROW || row - FIRST_ROW >= ROWS) { return; }
    let w = weight4(row - FIRST_ROW, k4);
    for (var i = 0u; i < 4u; i++) {
        let at = token * COLS + 4u * k4 + i;
        if (4u * k4 + i < COLS) {
#if POSITIONS
            y[at] = x[at] + w[i];
#else
            y[at] = w[i];
#endif
        }
    }
}
