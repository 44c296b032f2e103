// y = f(gate) · other over `[t, 2n]` → `[t, n]`: for gated layers whose weight lies in several parts. f is one of `unary.wgsl`.
// Flags: GATE_LAST (the gate is the second half).

alias Number = f32;
#include unary

@group(0) @binding(3) var<storage, read> x: array<f32>; // [t, 2 · y_cols]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [t, y_cols]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= Y_COLS) { return; }
    let at = id.y * 2u * Y_COLS + id.x;
#if GATE_LAST
    let value = x[at] * unary(x[at + Y_COLS]);
#else
    let value = unary(x[at]) * x[at + Y_COLS];
#endif
    y[id.y * Y_COLS + id.x] = value;
}
