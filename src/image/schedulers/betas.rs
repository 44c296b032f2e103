//! How much noise each step of the training added: the schedules of betas, and what they multiply up to.

/// The schedules by diffusers' names; the classes that have but their own are in the check of a file.
pub const SCHEDULES: [&str; 6] = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp"];

/// The betas of `n` steps of a training, from `start` to `end`: linear (DDPM, arXiv 2006.11239), linear in the square root (latent diffusion), along a
/// sigmoid (GeoDiff, arXiv 2203.02923); or by how much of the picture should be left, capped at 0.999: a cosine (improved DDPM, arXiv 2102.09672),
/// Laplace's distribution (arXiv 2407.03297), an exponential.
pub fn betas(schedule: &str, (start, end): (f64, f64), n: usize) -> Vec<f64> {
    let between = |from: f64, to: f64, i: usize| f64::from(between(from as f32, to as f32, i, n));
    let left = |t: f64| match schedule {
        "exp" => (-12.0 * t).exp(),
        "laplace" => {
            let half = if t > 0.5 { 0.5 } else { -0.5 };
            let lambda = half * (1.0 - 2.0 * (0.5 - t).abs() + 1e-6).ln();
            (1.0 / (1.0 + (-lambda).exp())).sqrt()
        }
        _ => ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2),
    };
    let beta = |i: usize| match schedule {
        "linear" => between(start, end, i),
        "scaled_linear" => between(start.sqrt(), end.sqrt(), i).powi(2),
        "sigmoid" => (end - start) / (1.0 + (-between(-6.0, 6.0, i)).exp()) + start,
        _ => (1.0 - left((i + 1) as f64 / n as f64) / left(i as f64 / n as f64)).min(0.999),
    };
    (0..n).map(beta).collect()
}

/// Number `i` of `n` from one to another in 32 bits, from the nearer end, as PyTorch reckons it.
fn between(from: f32, to: f32, i: usize, n: usize) -> f32 {
    let step = f64::from((to - from) / (n - 1) as f32);
    let exact = if i < n / 2 { f64::from(from) + step * i as f64 } else { f64::from(to) - step * (n - 1 - i) as f64 };
    exact as f32
}

/// For every step of the training, the product of `1 − beta` up to it. Numbers are of 32 bits, as in diffusers: where a timestep is cut to a
/// whole number, the last bit of a product decides which.
pub fn cumulative_alphas(betas: &[f64], zero_snr: bool) -> Vec<f64> {
    let mut product = 1.0;
    let times = |beta: &f64| {
        product *= f64::from(1.0 - *beta as f32);
        f64::from(product as f32)
    };
    let mut alphas: Vec<f64> = betas.iter().map(times).collect();
    if zero_snr {
        to_zero_snr(&mut alphas);
    }
    alphas
}

/// Shifts and stretches the square roots so that the last is 0 and the first stays (arXiv 2305.08891, algorithm 1).
fn to_zero_snr(alphas: &mut [f64]) {
    let (first, last) = (alphas[0].sqrt(), alphas[alphas.len() - 1].sqrt());
    for alpha in alphas {
        *alpha = ((alpha.sqrt() - last) * first / (first - last)).powi(2);
    }
}
