// (cos, sin) to f32's precision: drivers' own may be 5e-4 off and worse far from zero. The angle is brought within π/4 in
// two exact steps (good up to 2^16 quarter turns), then come Taylor polynomials.
fn cos_sin(angle: f32) -> vec2<f32> {
    let turns = round(angle * 0.63661977);
    let r = (angle - turns * 1.5703125) - turns * 4.838267949e-4;
    let r2 = r * r;
    let s = r * (1.0 + r2 * (-0.16666667 + r2 * (8.3333333e-3 + r2 * (-1.9841270e-4 + r2 * 2.7557319e-6))));
    let c = 1.0 + r2 * (-0.5 + r2 * (4.1666667e-2 + r2 * (-1.3888889e-3 + r2 * 2.4801587e-5)));
    let quadrant = u32(i32(turns)) & 3u;
    let swapped = select(vec2(c, s), vec2(-s, c), (quadrant & 1u) == 1u);
    return select(swapped, -swapped, quadrant >= 2u);
}
