// Functions of one or two values, element by element; also copies rows out of a wider value.
// Flags: one of COPY, SILU, GELU_TANH, ADD, MUL, SILU_MUL; BINARY with the last three; SELECT.
// Constants: ROWS, COLS, A_FIRST, A_STRIDE, B_FIRST, B_STRIDE, THREADS.

#if SELECT
#include step
@group(0) @binding(0) var<uniform> step: Step;
#endif
@group(0) @binding(1) var<storage, read> a: array<f32>;           // [rows, A_STRIDE], from column A_FIRST on
#if BINARY
@group(0) @binding(2) var<storage, read> b: array<f32>;           // [ROWS, B_STRIDE], from column B_FIRST on
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;     // [ROWS, COLS]

#if SILU
fn f(a: f32) -> f32 { return a / (1.0 + exp(-a)); }
#endif
#if GELU_TANH
// The bound keeps exp finite inside drivers' tanh; tanh is 1 to the last bit long before it.
fn f(a: f32) -> f32 {
    let inner = 0.7978845608 * (a + 0.044715 * a * a * a);
    return 0.5 * a * (1.0 + tanh(clamp(inner, -15.0, 15.0)));
}
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < ROWS * COLS; i += groups.x * THREADS) {
        let col = i % COLS;
#if SELECT
        let row = step.row;
#else
        let row = i / COLS;
#endif
        let left = a[row * A_STRIDE + A_FIRST + col];
#if BINARY
        let right = b[row * B_STRIDE + B_FIRST + col];
#endif
#if COPY
        y[i] = left;
#endif
#if SILU
        y[i] = f(left);
#endif
#if GELU_TANH
        y[i] = f(left);
#endif
#if ADD
        y[i] = left + right;
#endif
#if MUL
        y[i] = left * right;
#endif
#if SILU_MUL
        y[i] = left / (1.0 + exp(-left)) * right;
#endif
    }
}
