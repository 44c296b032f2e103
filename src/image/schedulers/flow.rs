//! Euler steps along a rectified flow (arXiv 2209.03003): `x_t = (1 − t) · x₀ + t · noise`, and the denoiser predicts `noise − x₀`.

use super::{
    config::SchedulerConfig,
    ladder::Ladder,
    prediction::mix,
    scheduler::{Draw, Scheduler, Stepped},
};

/// From t = 1 to 0; the denoiser is told `1000 t`.
#[derive(Debug, Clone)]
pub struct FlowEuler {
    ladder: Ladder,
    /// Of each step, and behind the last.
    times: Vec<f64>,
}

impl FlowEuler {
    /// Steps as diffusers' `FlowMatchEulerDiscreteScheduler` spaces them: more of them near the noise where `shift` is above 1
    /// (arXiv 2403.03206, section 5.3.2).
    pub fn shifted(config: &SchedulerConfig, steps: usize) -> Self {
        let shift = config.shift.unwrap_or(1.0);
        let scale = config.train_steps() as f64;
        let shifted = |t: f64| shift * t / (1.0 + (shift - 1.0) * t);
        let least = shifted(1.0 / scale);
        let stride = if steps == 1 { 0.0 } else { (1.0 - least) / (steps - 1) as f64 };
        let times: Vec<f64> = (0..steps).map(|i| shifted(1.0 - i as f64 * stride)).chain([0.0]).collect();
        let timesteps = times[..steps].iter().map(|t| scale * t).collect();
        Self { ladder: Ladder::of_shares(timesteps, times.iter().map(|t| (1.0 - t, *t)).collect()), times }
    }
}

impl Scheduler for FlowEuler {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let (now, next) = (self.times[i], self.times[i + 1]);
        Stepped {
            latent: mix(&[(1.0, latent), (next - now, prediction)]),
            clean: mix(&[(1.0, latent), (-now, prediction)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_flow_arrives_in_any_number_of_steps() {
        let (clean, noise) = ([0.5f32, -2.0, 1.0], [1.0f32, 0.3, -0.7]);
        let velocity: Vec<f32> = noise.iter().zip(clean).map(|(n, x)| n - x).collect();
        for steps in [1, 3, 12] {
            let mut flow = FlowEuler::shifted(&SchedulerConfig::default(), steps);
            let mut latent = noise.to_vec();
            for i in 0..steps {
                let stepped = flow.step(i, &velocity, &latent, &mut Vec::new);
                assert!(stepped.clean.iter().zip(clean).all(|(a, b)| (a - b).abs() < 1e-5));
                latent = stepped.latent;
            }
            assert!(latent.iter().zip(clean).all(|(a, b)| (a - b).abs() < 1e-5), "{latent:?}");
        }
    }
}
