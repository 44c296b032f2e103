// One step of a recurrent cell for each sequence of a batch, from the projections of its input and of its state (both with their biases).
// LSTM (arXiv 1402.1128) with gates i, f, g, o; GRU (arXiv 1406.1078, as PyTorch has it) with gates r, z, n; else tanh(x + u).
// Flags: LSTM, GRU or none. Numbers: BATCH, WIDTH (of a state), X_FIRST, Y_FIRST (where this step's rows of the first sequence begin),
// X_STRIDE, Y_STRIDE (from there to those of the next).

@group(0) @binding(1) var<storage, read> x: array<f32>;              // [BATCH, t, gates · WIDTH]
@group(0) @binding(2) var<storage, read> u: array<f32>;              // [BATCH, gates · WIDTH]
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>;   // [BATCH, WIDTH]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;        // [BATCH, t, WIDTH]
#if LSTM
@group(0) @binding(5) var<storage, read_write> memory: array<f32>;   // [BATCH, WIDTH]
#endif

#if LSTM
const GATES = 4u;
#else
#if GRU
const GATES = 3u;
#else
const GATES = 1u;
#endif
#endif

fn sigmoid(a: f32) -> f32 { return 1.0 / (1.0 + exp(-a)); }

// The bound keeps exp finite inside drivers' tanh.
fn bounded_tanh(a: f32) -> f32 { return tanh(clamp(a, -15.0, 15.0)); }

fn of_input(member: u32, gate: u32, i: u32) -> f32 { return x[member * X_STRIDE + X_FIRST + gate * WIDTH + i]; }

fn of_state(member: u32, gate: u32, i: u32) -> f32 { return u[(member * GATES + gate) * WIDTH + i]; }

fn sum(member: u32, gate: u32, i: u32) -> f32 { return of_input(member, gate, i) + of_state(member, gate, i); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= BATCH * WIDTH) { return; }
    let b = id.x / WIDTH;
    let i = id.x % WIDTH;
    var h = 0.0;
#if LSTM
    let c = sigmoid(sum(b, 1u, i)) * memory[id.x] + sigmoid(sum(b, 0u, i)) * bounded_tanh(sum(b, 2u, i));
    memory[id.x] = c;
    h = sigmoid(sum(b, 3u, i)) * bounded_tanh(c);
#else
#if GRU
    let candidate = bounded_tanh(of_input(b, 2u, i) + sigmoid(sum(b, 0u, i)) * of_state(b, 2u, i));
    let update = sigmoid(sum(b, 1u, i));
    h = (1.0 - update) * candidate + update * hidden[id.x];
#else
    h = bounded_tanh(sum(b, 0u, i));
#endif
#endif
    hidden[id.x] = h;
    y[b * Y_STRIDE + Y_FIRST + i] = h;
}
