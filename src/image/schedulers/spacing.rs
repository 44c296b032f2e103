//! Which steps of the training a run visits.

use serde::Deserialize;

use super::SchedulerConfig;

/// arXiv 2305.08891, table 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// From the first step of the training on, moved by `steps_offset`.
    Leading,
    /// From the last step of the training back.
    Trailing,
    /// Both ends and equal steps between them.
    Linspace,
}

impl SchedulerConfig {
    /// `steps` timesteps, latest first; `spacing` where the configuration leaves it out. With `rounded`, linspace gives whole numbers.
    pub(super) fn timesteps(&self, steps: usize, spacing: Spacing, rounded: bool) -> Vec<f64> {
        let n = self.train_steps();
        match self.timestep_spacing.unwrap_or(spacing) {
            Spacing::Linspace => {
                let stride = if steps == 1 { 0.0 } else { (n - 1) as f64 / (steps - 1) as f64 };
                let exact = (0..steps).rev().map(|i| i as f64 * stride);
                exact.map(|t| if rounded { t.round_ties_even() } else { t }).collect()
            }
            Spacing::Leading => self.leading(n / steps, 0..steps),
            Spacing::Trailing => self.trailing(steps, n),
        }
    }

    /// The same for solvers that count the end of the run as a timestep too, and never visit it; from `last` on.
    pub(super) fn solver_timesteps(&self, steps: usize, last: usize) -> Vec<f64> {
        match self.timestep_spacing.unwrap_or(Spacing::Linspace) {
            Spacing::Linspace => {
                let stride = (last - 1) as f64 / steps as f64;
                (1..=steps).rev().map(|i| (i as f64 * stride).round_ties_even()).collect()
            }
            Spacing::Leading => self.leading(last / (steps + 1), 1..steps + 1),
            Spacing::Trailing => self.trailing(steps, last),
        }
    }

    fn leading(&self, stride: usize, range: std::ops::Range<usize>) -> Vec<f64> {
        let offset = self.steps_offset.unwrap_or(0);
        range.rev().map(|i| (i * stride + offset).min(self.train_steps() - 1) as f64).collect()
    }

    fn trailing(&self, steps: usize, last: usize) -> Vec<f64> {
        let stride = self.train_steps() as f64 / steps as f64;
        let exact = (0..steps).map(|i| last as f64 - i as f64 * stride);
        exact.map(|t| (t.round_ties_even() - 1.0).max(0.0)).collect()
    }
}
