// A score kept below CAP (Gemma 2, arXiv 2408.00118); drivers' own tanh overflows far from zero. Number: CAP.
fn capped(score: f32) -> f32 {
    let fall = exp(-2.0 * abs(score) / CAP);
    return CAP * sign(score) * (1.0 - fall) / (1.0 + fall);
}
