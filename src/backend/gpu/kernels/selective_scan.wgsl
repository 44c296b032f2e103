// A selective state space (Mamba, arXiv 2312.00752): row by row each state becomes e^(d · a) · h + d · b · x with d = ln(1 + e^step), and a column
// gives the sum of c · h, and skip · x. A column's states stay with one invocation from the first row to the last.
// Constant: STATES (of a column). Numbers: ROWS, COLS, and of x, steps and ends their FIRST and STRIDE.

@group(0) @binding(0) var<storage, read> x: array<f32>;             // [ROWS, X_STRIDE], from column X_FIRST on
@group(0) @binding(1) var<storage, read> steps: array<f32>;         // [ROWS, STEPS_STRIDE], from column STEPS_FIRST on
@group(0) @binding(2) var<storage, read> ends: array<f32>;          // [ROWS, ENDS_STRIDE], from column ENDS_FIRST on: STATES of b, STATES of c
@group(0) @binding(3) var<storage, read> a: array<f32>;             // [COLS, STATES]
@group(0) @binding(4) var<storage, read> skip: array<f32>;          // [COLS]
@group(0) @binding(5) var<storage, read_write> state: array<f32>;   // [COLS, STATES]
@group(0) @binding(6) var<storage, read_write> y: array<f32>;       // [ROWS, COLS]

// Where e^-|v| is small, 1 would swallow its digits.
fn softplus(v: f32) -> f32 {
    let e = exp(-abs(v));
    return max(v, 0.0) + select(log(1.0 + e), e * (1.0 - e * (0.5 - e * 0.33333334)), e < 0.02);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    if (column >= COLS) { return; }
    let own = column * STATES;
    var h: array<f32, STATES>;
    for (var s = 0u; s < STATES; s++) { h[s] = state[own + s]; }
    for (var row = 0u; row < ROWS; row++) {
        let value = x[row * X_STRIDE + X_FIRST + column];
        let step = softplus(steps[row * STEPS_STRIDE + STEPS_FIRST + column]);
        let b = row * ENDS_STRIDE + ENDS_FIRST;
        var sum = skip[column] * value;
        for (var s = 0u; s < STATES; s++) {
            h[s] = exp(step * a[own + s]) * h[s] + step * ends[b + s] * value;
            sum += ends[b + STATES + s] * h[s];
        }
        y[row * COLS + column] = sum;
    }
    for (var s = 0u; s < STATES; s++) { state[own + s] = h[s]; }
}
