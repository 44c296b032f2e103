// A function of one value. Needs `alias Number` (f32 or vec4<f32>).
// Flags, one of: SILU, GELU_TANH, GELU, QUICK_GELU, RELU, LEAKY_RELU (constant SLOPE), TANH, SIGMOID, EXP, LOG, SQRT, SIN, AFFINE (constants SCALE, SHIFT).

fn unary(a: Number) -> Number {
#if SILU
    return a / (1.0 + exp(-a));
#endif
#if GELU_TANH
    // The bound keeps exp finite inside drivers' tanh; tanh is 1 to the last bit long before it.
    let inner = 0.7978845608 * (a + 0.044715 * a * a * a);
    return 0.5 * a * (1.0 + tanh(clamp(inner, Number(-15.0), Number(15.0))));
#endif
#if GELU
    // The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26).
    let z = abs(a) * 0.7071067812;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return 0.5 * (a + abs(a) * (1.0 - series * exp(-z * z)));
#endif
#if QUICK_GELU
    return a / (1.0 + exp(-1.702 * a));
#endif
#if RELU
    return max(a, Number(0.0));
#endif
#if LEAKY_RELU
    return select(SLOPE * a, a, a > Number(0.0));
#endif
#if TANH
    return tanh(clamp(a, Number(-15.0), Number(15.0)));
#endif
#if SIGMOID
    return 1.0 / (1.0 + exp(-a));
#endif
#if EXP
    return exp(a);
#endif
#if LOG
    return log(a);
#endif
#if SQRT
    return sqrt(a);
#endif
#if SIN
    return sin(a);
#endif
#if AFFINE
    return SCALE * a + SHIFT;
#endif
}
