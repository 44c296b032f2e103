// Functions of up to three values, element by element; also copies rows out of a wider value, or into one.
// Flags: one of ADD, SUB, MUL, DIV, SILU_MUL, MODULATE, SCALE_SHIFT, or none; UNARY (a function after it, with a flag of `unary.wgsl`); BINARY,
// TERNARY (there are b, and c); SELECT, UPSAMPLE, CROP (which row of a is read); VEC4 (all that follows is counted in fours).
// Constant: THREADS. Numbers: ROWS, COLS, A_FIRST, A_STRIDE, Y_FIRST, Y_STRIDE; B_FIRST, B_STRIDE, SHARE (rows of y that meet one row of b and c)
// with BINARY; C_FIRST, C_STRIDE with TERNARY; WIDTH (of y's pictures), FACTOR with UPSAMPLE; WIDTH, HEIGHT, FROM_WIDTH, FROM_HEIGHT with CROP.

#if VEC4
alias Number = vec4<f32>;
#else
alias Number = f32;
#endif

#if SELECT
#include step
@group(0) @binding(0) var<uniform> step: Step;
#endif
@group(0) @binding(1) var<storage, read> a: array<Number>;
#if BINARY
@group(0) @binding(2) var<storage, read> b: array<Number>;
#endif
@group(0) @binding(3) var<storage, read_write> y: array<Number>;
#if TERNARY
@group(0) @binding(4) var<storage, read> c: array<Number>;
#endif

#if UNARY
#include unary
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < ROWS * COLS; i += groups.x * THREADS) {
        let row = i / COLS;
        let col = i % COLS;
        var source = row;
#if SELECT
        source = step.row;
#endif
#if UPSAMPLE
        // Whole pictures one below the other have lines that repeat like the pixels in them.
        source = (row / WIDTH / FACTOR) * (WIDTH / FACTOR) + row % WIDTH / FACTOR;
#endif
#if CROP
        source = (row / (HEIGHT * WIDTH) * FROM_HEIGHT + row / WIDTH % HEIGHT) * FROM_WIDTH + row % WIDTH;
#endif
        let left = a[source * A_STRIDE + A_FIRST + col];
#if BINARY
        let right = b[row / SHARE * B_STRIDE + B_FIRST + col];
#endif
#if TERNARY
        let third = c[row / SHARE * C_STRIDE + C_FIRST + col];
#endif
        var v = left;
#if ADD
        v += right;
#endif
#if SUB
        v -= right;
#endif
#if MUL
        v *= right;
#endif
#if DIV
        v /= right;
#endif
#if SILU_MUL
        v = left / (1.0 + exp(-left)) * right;
#endif
#if MODULATE
        v = left * (1.0 + third) + right;
#endif
#if SCALE_SHIFT
        v = left * right + third;
#endif
#if UNARY
        v = unary(v);
#endif
        y[row * Y_STRIDE + Y_FIRST + col] = v;
    }
}
