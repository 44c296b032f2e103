// y = f(gate) · other over `[t, 2n]` → `[t, n]`: for gated layers whose weight lies in several parts. f is one of `unary.wgsl`.
// Flags: GATE_LAST (the gate is the second half).

#include linear_shape
alias Number = f32;
#include unary

@group(0) @binding(3) var<storage, read> x: array<f32>; // [t, 2 · y_cols]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [t, y_cols]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= shape.y_cols) { return; }
    let at = id.y * 2u * shape.y_cols + id.x;
#if GATE_LAST
    let value = x[at] * unary(x[at + shape.y_cols]);
#else
    let value = unary(x[at]) * x[at + shape.y_cols];
#endif
    y[id.y * shape.y_cols + id.x] = value;
}
