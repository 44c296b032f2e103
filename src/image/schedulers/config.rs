//! What a model's `scheduler_config.json` (diffusers) says, and the scheduler that comes of it.
//!
//! What the file leaves out is as the asked scheduler's own class has it in diffusers; a class that does not run here is taken for its nearest
//! relative. What would change the picture and cannot be done is refused.

use serde::Deserialize;

use super::{
    Betas, Ddim, Ddpm, DpmSolver, Euler, FlowEuler, Lcm, Prediction, Scheduler, SchedulerName, Spacing, UniPc,
    betas::cumulative_alphas, euler::Churn,
};
use crate::{Error, Result};

/// The largest number of training steps that is believed.
const MOST_STEPS: usize = 100_000;

/// Everything is optional: classes differ in what they leave out.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    #[serde(rename = "_class_name")]
    pub class: Option<String>,
    pub num_train_timesteps: Option<usize>,
    pub beta_start: Option<f64>,
    pub beta_end: Option<f64>,
    pub beta_schedule: Option<Betas>,
    pub trained_betas: Option<Vec<f64>>,
    pub prediction_type: Option<Prediction>,
    pub rescale_betas_zero_snr: Option<bool>,
    pub timestep_spacing: Option<Spacing>,
    pub steps_offset: Option<usize>,
    pub set_alpha_to_one: Option<bool>,
    pub clip_sample: Option<bool>,
    pub clip_sample_range: Option<f64>,
    pub thresholding: Option<bool>,
    pub variance_type: Option<String>,
    pub use_karras_sigmas: Option<bool>,
    pub use_exponential_sigmas: Option<bool>,
    pub use_beta_sigmas: Option<bool>,
    pub use_flow_sigmas: Option<bool>,
    pub use_dynamic_shifting: Option<bool>,
    pub interpolation_type: Option<String>,
    pub timestep_type: Option<String>,
    pub final_sigmas_type: Option<String>,
    pub lambda_min_clipped: Option<f64>,
    pub lower_order_final: Option<bool>,
    pub solver_type: Option<String>,
    pub solver_order: Option<usize>,
    pub original_inference_steps: Option<usize>,
    pub timestep_scaling: Option<f64>,
    pub shift: Option<f64>,
}

impl SchedulerConfig {
    /// Reads the JSON text.
    ///
    /// Errors: `corrupt-file` where it is none, `unsupported-model` where it asks for what cannot be done.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        // Python writes numbers that JSON does not have; here they mean "without bound".
        let text = String::from_utf8_lossy(text).replace("-Infinity", "null").replace("Infinity", "null");
        let config: Self = serde_json::from_str(&text).map_err(|e| {
            Error::corrupt_file(format!("scheduler_config.json cannot be read ({e}); fetch it again")).caused_by(e)
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let is = |flag: Option<bool>| flag == Some(true);
        let unfit = [
            ("thresholding", is(self.thresholding)),
            ("use_exponential_sigmas", is(self.use_exponential_sigmas)),
            ("use_beta_sigmas", is(self.use_beta_sigmas)),
            ("use_flow_sigmas", is(self.use_flow_sigmas)),
            ("use_dynamic_shifting", is(self.use_dynamic_shifting)),
            ("variance_type", self.variance_type.as_ref().is_some_and(|v| v.starts_with("learned"))),
            ("interpolation_type", self.interpolation_type.as_ref().is_some_and(|v| v != "linear")),
            ("timestep_type", self.timestep_type.as_ref().is_some_and(|v| v != "discrete")),
        ];
        if let Some((name, _)) = unfit.iter().find(|(_, unfit)| *unfit) {
            return Err(Error::unsupported_model(format!(
                "scheduler_config.json sets {name}, which Vitrine does not do; use another scheduler's configuration"
            )));
        }
        let sound = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        let betas = |v: &f64| (0.0..1.0).contains(v);
        let numbers = [self.beta_start, self.beta_end, self.clip_sample_range, self.timestep_scaling, self.shift];
        if !numbers.into_iter().all(sound)
            || !self.beta_start.iter().chain(&self.beta_end).all(betas)
            || !self.trained_betas.iter().flatten().all(betas)
            || self.num_train_timesteps.is_some_and(|n| !(2..=MOST_STEPS).contains(&n))
            || self.trained_betas.as_ref().is_some_and(|b| Some(b.len()) != self.num_train_timesteps.or(Some(1000)))
            || self.steps_offset.is_some_and(|n| n > 1000)
            || self.original_inference_steps.is_some_and(|n| n == 0 || n > self.train_steps())
        {
            return Err(Error::corrupt_file("scheduler_config.json holds numbers that cannot be; fetch it again"));
        }
        Ok(())
    }

    pub fn train_steps(&self) -> usize {
        self.num_train_timesteps.unwrap_or(1000)
    }

    /// The scheduler that the file names, or its nearest relative.
    pub fn named(&self) -> SchedulerName {
        let class = self.class.as_deref().unwrap_or_default();
        match class {
            "DDPMScheduler" => SchedulerName::Ddpm,
            "EulerDiscreteScheduler" | "HeunDiscreteScheduler" | "LMSDiscreteScheduler" => SchedulerName::Euler,
            "EulerAncestralDiscreteScheduler" => SchedulerName::EulerAncestral,
            "UniPCMultistepScheduler" => SchedulerName::UniPc,
            "LCMScheduler" => SchedulerName::Lcm,
            "FlowMatchEulerDiscreteScheduler" => SchedulerName::FlowEuler,
            _ if !class.starts_with("DPM") && !class.starts_with("DEIS") => SchedulerName::Ddim,
            _ if self.use_karras_sigmas == Some(true) => SchedulerName::DpmSolverKarras,
            _ => SchedulerName::DpmSolver,
        }
    }

    /// A run of `steps` steps.
    ///
    /// Errors: `bad-argument` where there can be no run of so many, `unsupported-model` where the scheduler cannot work on what the denoiser
    /// predicts.
    pub fn scheduler(&self, name: SchedulerName, steps: usize) -> Result<Box<dyn Scheduler>> {
        let most = match name {
            SchedulerName::Lcm => self.original_inference_steps.unwrap_or(50),
            _ => self.train_steps(),
        };
        if !(1..=most).contains(&steps) {
            return Err(Error::bad_argument(format!("steps is {steps}, but must be from 1 to {most}")));
        }
        let flow = name == SchedulerName::FlowEuler;
        if flow != (self.named() == SchedulerName::FlowEuler) {
            let kind = if flow { "not one" } else { "one" };
            return Err(Error::bad_argument(format!(
                "the scheduler {} does not fit this model, which is {kind} of flows",
                name.as_str()
            )));
        }
        if self.zero_snr() && self.prediction() == Prediction::Epsilon {
            return Err(Error::unsupported_model(
                "scheduler_config.json wants noise predicted where there is nothing but noise; set prediction_type or leave rescale_betas_zero_snr out",
            ));
        }
        Ok(match name {
            SchedulerName::Ddpm => Box::new(Ddpm::new(self, steps)),
            SchedulerName::Ddim => Box::new(Ddim::new(self, steps)),
            SchedulerName::Euler => Box::new(Euler::new(self, steps, Churn::None)),
            SchedulerName::EulerAncestral => Box::new(Euler::new(self, steps, Churn::Ancestral)),
            SchedulerName::DpmSolver => Box::new(DpmSolver::new(self, steps, false)),
            SchedulerName::DpmSolverKarras => Box::new(DpmSolver::new(self, steps, true)),
            SchedulerName::UniPc => Box::new(UniPc::new(self, steps)),
            SchedulerName::Lcm => Box::new(Lcm::new(self, steps)),
            SchedulerName::FlowEuler => Box::new(FlowEuler::shifted(self, steps)),
        })
    }

    pub(super) fn prediction(&self) -> Prediction {
        self.prediction_type.unwrap_or(Prediction::Epsilon)
    }

    pub(super) fn zero_snr(&self) -> bool {
        self.rescale_betas_zero_snr == Some(true)
    }

    /// The product of the first alphas, for every step of the training.
    pub(super) fn alphas(&self) -> Vec<f64> {
        cumulative_alphas(self, (0.0001, 0.02), Betas::Linear)
    }

    /// What follows the last step: nothing to remove, or what there was at the first step of the training.
    pub(super) fn final_alpha(&self, alphas: &[f64]) -> f64 {
        if self.set_alpha_to_one.unwrap_or(true) { 1.0 } else { alphas[0] }
    }

    /// Where a predicted picture is clipped.
    pub(super) fn clip(&self, by_default: bool) -> Option<f32> {
        self.clip_sample.unwrap_or(by_default).then_some(self.clip_sample_range.unwrap_or(1.0) as f32)
    }
}
