// The first half of GroupNorm over large pictures: mean and sum of squared differences from it of each column of a few rows. Neighbouring
// invocations read neighbouring columns, and no barrier is needed.
// Numbers: BATCH, PIXELS (rows of a member), COLS, FIRST, STRIDE (of x), PARTS, PART_ROWS.

@group(0) @binding(0) var<storage, read> x: array<f32>;                      // [BATCH, PIXELS, STRIDE], from column FIRST on
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;    // [BATCH, PARTS, COLS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= BATCH * PARTS * COLS) { return; }
    let column = id.x % COLS;
    let part = id.x / COLS % PARTS;
    let member = id.x / COLS / PARTS;
    let first = part * PART_ROWS;
    let end = min(first + PART_ROWS, PIXELS);
    let start = member * PIXELS * STRIDE + FIRST + column;
    // Sums of differences from a number that is among them lose nothing where the mean is far from zero.
    let near = x[start + first * STRIDE];
    var sum = 0.0;
    var squares = 0.0;
    for (var row = first + 1u; row < end; row++) {
        let v = x[start + row * STRIDE] - near;
        sum += v;
        squares += v * v;
    }
    let mean = sum / f32(end - first);
    partial[id.x] = vec2(near + mean, max(squares - sum * mean, 0.0));
}
