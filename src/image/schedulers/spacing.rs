//! Which steps of the training a run visits (arXiv 2305.08891, table 2).

/// From the first step of the training on, moved by an offset; from the last one back; or both ends and equal steps between them.
pub const SPACINGS: [&str; 3] = ["leading", "trailing", "linspace"];

/// Of `all` steps of a training.
#[derive(Debug, Clone, Copy)]
pub struct Spacing<'a> {
    pub name: &'a str,
    pub offset: usize,
    pub all: usize,
}

impl Spacing<'_> {
    /// `steps` timesteps, latest first. With `rounded`, linspace gives whole numbers.
    pub fn timesteps(&self, steps: usize, rounded: bool) -> Vec<f64> {
        match self.name {
            "leading" => self.leading(self.all / steps, 0..steps),
            "trailing" => self.trailing(steps, self.all),
            _ => {
                let stride = if steps == 1 { 0.0 } else { (self.all - 1) as f64 / (steps - 1) as f64 };
                let exact = (0..steps).rev().map(|i| i as f64 * stride);
                exact.map(|t| if rounded { t.round_ties_even() } else { t }).collect()
            }
        }
    }

    /// The same for solvers that count the end of the run as a timestep too, and never visit it; from `last` on.
    pub fn solver_timesteps(&self, steps: usize, last: usize) -> Vec<f64> {
        match self.name {
            "leading" => self.leading(last / (steps + 1), 1..steps + 1),
            "trailing" => self.trailing(steps, last),
            _ => {
                let stride = (last - 1) as f64 / steps as f64;
                (1..=steps).rev().map(|i| (i as f64 * stride).round_ties_even()).collect()
            }
        }
    }

    fn leading(&self, stride: usize, range: std::ops::Range<usize>) -> Vec<f64> {
        range.rev().map(|i| (i * stride + self.offset).min(self.all - 1) as f64).collect()
    }

    fn trailing(&self, steps: usize, last: usize) -> Vec<f64> {
        let stride = self.all as f64 / steps as f64;
        // Where the run is cut short at its noisy end there are fewer.
        let exact = (0..steps).map(|i| last as f64 - i as f64 * stride).take_while(|t| *t > 1e-6);
        exact.map(|t| (t.round_ties_even() - 1.0).max(0.0)).collect()
    }
}
