//! What a scheduler is made of: a file's settings for a run of so many steps, with what its class takes for granted.

use super::{
    betas::{betas, cumulative_alphas},
    config::{SchedulerConfig, is},
    names::{Class, LAST, SPACING, SPREAD, SchedulerName},
    prediction::Reading,
    sigmas::{Sigmas, Spread},
    spacing::Spacing,
};

pub struct Setup<'a> {
    pub file: &'a SchedulerConfig,
    pub class: &'static Class,
    pub name: SchedulerName,
    pub steps: usize,
}

impl<'a> Setup<'a> {
    /// For every step of the training, the product of `1 − beta` up to it.
    pub fn alphas(&self) -> Vec<f64> {
        let (start, end, schedule) = self.class.betas;
        let range = (self.file.beta_start.unwrap_or(start), self.file.beta_end.unwrap_or(end));
        let schedule = self.file.beta_schedule.as_deref().unwrap_or(schedule);
        let betas = match &self.file.trained_betas {
            Some(betas) => betas.clone(),
            None => betas(schedule, range, self.file.train_steps()),
        };
        cumulative_alphas(&betas, self.file.zero_snr(self.class))
    }

    /// The sigmas of the training.
    pub fn sigmas(&self) -> Sigmas {
        Sigmas::of(&self.alphas(), self.file.zero_snr(self.class))
    }

    /// What follows the last step: nothing to remove, or what there was at the first step of the training.
    pub fn final_alpha(&self, alphas: &[f64], one: bool) -> f64 {
        if self.file.set_alpha_to_one.unwrap_or(one) { 1.0 } else { alphas[0] }
    }

    pub fn spacing(&self, default: &'a str) -> Spacing<'a> {
        let named = self.file.timestep_spacing.as_deref().filter(|_| self.class.reads(SPACING));
        let offset = self.file.steps_offset.unwrap_or(0);
        Spacing { name: named.unwrap_or(default), offset, all: self.file.train_steps() }
    }

    pub fn reading(&self) -> Reading {
        Reading { prediction: self.file.prediction(), clip: None, edm: None }
    }

    /// Whether a run ends at the least noise of the training instead of none.
    pub fn ends_at_least(&self) -> bool {
        self.class.reads(LAST) && self.file.final_sigmas_type.as_deref() == Some("sigma_min")
    }

    pub fn spread(&self) -> Option<Spread> {
        let reads = self.class.reads(SPREAD);
        let lu = self.class.name == SchedulerName::DpmSolver && is(self.file.use_lu_lambdas);
        match () {
            () if reads && is(self.file.use_karras_sigmas) => Some(Spread::Karras(7.0)),
            () if lu || (reads && is(self.file.use_exponential_sigmas)) => Some(Spread::Exponential),
            () if reads && is(self.file.use_beta_sigmas) => Some(Spread::Beta),
            () => None,
        }
    }

    /// The most and the least sigma of a spread, where the file sets them.
    pub fn bounds(&self, (most, least): (f64, f64)) -> (f64, f64) {
        let file = self.file;
        let karras = is(file.use_karras_sigmas);
        // Two classes read the bounds for the other spreads alone, and Lu's lambdas have none.
        let own = match self.class.name {
            SchedulerName::Lms | SchedulerName::DpmSde => karras,
            SchedulerName::DpmSolver => is(file.use_lu_lambdas) && !karras,
            _ => false,
        };
        if own { (most, least) } else { (file.sigma_max.unwrap_or(most), file.sigma_min.unwrap_or(least)) }
    }

    /// Timesteps, and a sigma for each and for what is behind the last: for schedulers that visit both ends of the training.
    pub fn discrete(&self) -> (Vec<f64>, Vec<f64>) {
        let all = self.sigmas();
        let mut timesteps = self.spacing("linspace").timesteps(self.steps, false);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| all.at(*t)).collect();
        let log_linear =
            self.class.name == SchedulerName::Euler && self.file.interpolation_type.as_deref() == Some("log_linear");
        if log_linear {
            sigmas = Spread::Exponential.sigmas((all.most(), all.least()), self.steps + 1);
        }
        if let Some(spread) = self.spread() {
            let bounds = self.bounds((sigmas[0], sigmas[sigmas.len() - 1]));
            sigmas = spread.sigmas(bounds, self.steps);
            timesteps = sigmas.iter().map(|s| all.timestep(*s)).collect();
        }
        sigmas.push(if self.ends_at_least() { all.least() } else { 0.0 });
        sigmas.truncate(timesteps.len() + 1);
        (timesteps, sigmas)
    }

    /// The noise that such a run begins with.
    pub fn start(&self, sigmas: &[f64]) -> f64 {
        let most = sigmas.iter().copied().fold(0.0, f64::max);
        if self.spacing("linspace").name == "leading" { (most * most + 1.0).sqrt() } else { most }
    }

    /// The same for solvers that do not visit the end.
    pub fn solved(&self) -> (Vec<f64>, Vec<f64>) {
        let all = self.sigmas();
        let clipped = self
            .file
            .lambda_min_clipped
            .filter(|_| matches!(self.class.name, SchedulerName::DpmSolver | SchedulerName::DpmSolverSingle));
        let last = clipped.map_or(self.file.train_steps(), |lambda| all.steps_above(lambda).max(2));
        let mut timesteps = self.spacing("linspace").solver_timesteps(self.steps, last);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| all.at(*t)).collect();
        let spread = self.spread();
        if let Some(spread) = spread {
            sigmas = spread.sigmas(self.bounds((all.most(), all.least())), self.steps);
            // Some are rounded, others cut.
            let lu = self.class.name == SchedulerName::DpmSolver && is(self.file.use_lu_lambdas);
            let cosine = self.file.beta_schedule.as_deref() == Some("squaredcos_cap_v2");
            let whole = matches!(spread, Spread::Karras(_)) || lu;
            let whole = whole && !(cosine && self.class.name == SchedulerName::DpmSolver);
            let to_whole = |t: f64| if whole { t.round_ties_even() } else { t.floor() };
            timesteps = sigmas.iter().map(|s| to_whole(all.timestep(*s))).collect();
        }
        let end = sigmas[sigmas.len() - 1];
        sigmas.push(match self.class.name {
            SchedulerName::Deis | SchedulerName::UniPc if spread.is_some() => end,
            _ => all.least(),
        });
        if self.class.name != SchedulerName::Deis && !self.ends_at_least() {
            sigmas[timesteps.len()] = 0.0;
        }
        (timesteps, sigmas)
    }

    /// Of EDM's kind: by sigma alone; the network is told a quarter of its logarithm.
    pub fn edm(&self) -> (Vec<f64>, Vec<f64>, Reading) {
        let file = self.file;
        let spread = match file.sigma_schedule.as_deref() {
            Some("exponential") => Spread::Exponential,
            _ => Spread::Karras(file.rho.unwrap_or(7.0)),
        };
        let bounds = (file.sigma_max.unwrap_or(80.0), file.sigma_min.unwrap_or(0.002));
        let mut sigmas = spread.sigmas(bounds, self.steps);
        let timesteps = sigmas.iter().map(|s| 0.25 * s.ln()).collect();
        sigmas.push(if self.ends_at_least() { bounds.1 } else { 0.0 });
        let data = file.sigma_data.unwrap_or(0.5);
        let gain = if file.prediction() == super::Prediction::Epsilon { -data } else { data };
        let reading = Reading { prediction: super::Prediction::Velocity, clip: None, edm: Some((data, gain)) };
        (timesteps, sigmas, reading)
    }
}
