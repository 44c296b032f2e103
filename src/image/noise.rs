//! Gaussian noise that follows from a seed alone, the same on every machine.

/// Draws from the normal distribution: PCG-XSH-RR (O'Neill 2014, 64-bit state, 32-bit output) and the Box–Muller transform in f64.
#[derive(Debug, Clone)]
pub struct Noise {
    state: u64,
    stream: u64,
    spare: Option<f32>,
}

impl Noise {
    /// `stream` tells apart what one seed is used for: a picture's place in its batch.
    pub fn new(seed: u32, stream: u32) -> Self {
        let mut noise = Self { state: 0, stream: u64::from(stream) << 1 | 1, spare: None };
        noise.bits();
        noise.state = noise.state.wrapping_add(u64::from(seed));
        noise.bits();
        noise
    }

    fn bits(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(self.stream);
        let word = (((old >> 18) ^ old) >> 27) as u32;
        word.rotate_right((old >> 59) as u32)
    }

    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        (f64::from(self.bits()) + 0.5) / 4_294_967_296.0
    }

    pub fn next_number(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }

    /// `n` numbers of mean 0 and variance 1.
    pub fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next_number()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_moments_of_a_normal_distribution() {
        let x = Noise::new(7, 0).numbers(200_000);
        let n = x.len() as f64;
        let moment = |k: i32| x.iter().map(|v| f64::from(*v).powi(k)).sum::<f64>() / n;
        assert!(
            moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02 && moment(3).abs() < 0.05,
            "{:?}",
            [1, 2, 3].map(moment)
        );
        assert!((moment(4) - 3.0).abs() < 0.15);
    }

    #[test]
    fn seeds_and_streams_differ_and_repeat() {
        assert_eq!(Noise::new(3, 1).numbers(9), Noise::new(3, 1).numbers(9));
        assert_ne!(Noise::new(3, 1).numbers(9), Noise::new(3, 2).numbers(9));
        assert_ne!(Noise::new(3, 1).numbers(9), Noise::new(4, 1).numbers(9));
    }
}
