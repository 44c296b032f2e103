//! Euler steps along a rectified flow (arXiv 2209.03003): `x_t = (1 − t) · x₀ + t · noise`, and the denoiser predicts `noise − x₀`.

use super::{Noise, Scheduler, Stepped};

/// Equal steps from t = 1 to 0; the denoiser is told `1000 t`.
#[derive(Debug, Clone)]
pub struct FlowEuler {
    steps: usize,
}

impl FlowEuler {
    pub fn new(steps: usize) -> Self {
        Self { steps }
    }

    fn time(&self, i: usize) -> f32 {
        1.0 - i as f32 / self.steps as f32
    }
}

impl Scheduler for FlowEuler {
    fn steps(&self) -> usize {
        self.steps
    }

    fn timestep(&self, i: usize) -> f32 {
        1000.0 * self.time(i)
    }

    fn input_scale(&self, _: usize) -> f32 {
        1.0
    }

    fn noised(&self, i: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let t = self.time(i);
        clean.iter().zip(noise).map(|(x, n)| (1.0 - t) * x + t * n).collect()
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: &mut Noise) -> Stepped {
        let (now, next) = (self.time(i), self.time(i + 1));
        let pairs = || latent.iter().zip(prediction);
        Stepped {
            latent: pairs().map(|(x, v)| x + (next - now) * v).collect(),
            clean: pairs().map(|(x, v)| x - now * v).collect(),
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
            let mut flow = FlowEuler::new(steps);
            let mut latent = flow.noised(0, &[0.0; 3], &noise);
            assert_eq!(latent, noise);
            for i in 0..steps {
                let stepped = flow.step(i, &velocity, &latent, &mut Noise::new(0, 0));
                assert!(stepped.clean.iter().zip(clean).all(|(a, b)| (a - b).abs() < 1e-5));
                latent = stepped.latent;
            }
            assert!(latent.iter().zip(clean).all(|(a, b)| (a - b).abs() < 1e-5), "{latent:?}");
        }
    }
}
