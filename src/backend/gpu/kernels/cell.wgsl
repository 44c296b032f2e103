// One step of a recurrent cell, from the projections of its input and of its state (both with their biases).
// LSTM (arXiv 1402.1128) with gates i, f, g, o; GRU (arXiv 1406.1078, as PyTorch has it) with gates r, z, n; else tanh(x + u).
// Flags: LSTM, GRU or none. Numbers: WIDTH (of the state), X_FIRST, Y_FIRST (where this step's rows begin).

@group(0) @binding(1) var<storage, read> x: array<f32>;              // [t, gates · WIDTH]
@group(0) @binding(2) var<storage, read> u: array<f32>;              // [gates · WIDTH]
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>;   // [WIDTH]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;        // [t, WIDTH]
#if LSTM
@group(0) @binding(5) var<storage, read_write> memory: array<f32>;   // [WIDTH]
#endif

fn sigmoid(a: f32) -> f32 { return 1.0 / (1.0 + exp(-a)); }

// The bound keeps exp finite inside drivers' tanh.
fn bounded_tanh(a: f32) -> f32 { return tanh(clamp(a, -15.0, 15.0)); }

fn sum(gate: u32, i: u32) -> f32 { return x[X_FIRST + gate * WIDTH + i] + u[gate * WIDTH + i]; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i >= WIDTH) { return; }
    var h = 0.0;
#if LSTM
    let c = sigmoid(sum(1u, i)) * memory[i] + sigmoid(sum(0u, i)) * bounded_tanh(sum(2u, i));
    memory[i] = c;
    h = sigmoid(sum(3u, i)) * bounded_tanh(c);
#else
#if GRU
    let candidate = bounded_tanh(x[X_FIRST + 2u * WIDTH + i] + sigmoid(sum(0u, i)) * u[2u * WIDTH + i]);
    let update = sigmoid(sum(1u, i));
    h = (1.0 - update) * candidate + update * hidden[i];
#else
    h = bounded_tanh(sum(0u, i));
#endif
#endif
    hidden[i] = h;
    y[Y_FIRST + i] = h;
}
