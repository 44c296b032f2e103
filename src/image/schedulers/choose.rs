//! The scheduler that comes of a file's settings and a name.

use super::{
    config::{SchedulerConfig, is},
    ddim::Ddim,
    ddpm::Ddpm,
    dpm_solver::DpmSolver,
    euler::Euler,
    flow::FlowEuler,
    lcm::Lcm,
    lms::Lms,
    names::{Class, SchedulerName},
    pndm::Pndm,
    scheduler::Scheduler,
    second_order::SecondOrder,
    setup::Setup,
    tcd::Tcd,
    unipc::UniPc,
};
use crate::{Error, Result};

impl SchedulerConfig {
    /// The settings for a scheduler: the file's for its own, and for another what diffusers' `from_config` takes over, and what its name says.
    fn settings_for(&self, name: SchedulerName) -> Self {
        let mut settings = self.clone();
        if name == self.named() {
            return settings;
        }
        settings.algorithm_type = (name == SchedulerName::DpmSolverSde).then(|| "sde-dpmsolver++".into());
        if matches!(name, SchedulerName::DpmSolver | SchedulerName::DpmSolverKarras) {
            let karras = name == SchedulerName::DpmSolverKarras;
            settings.use_karras_sigmas = Some(karras);
            settings.use_exponential_sigmas = settings.use_exponential_sigmas.filter(|_| !karras);
            settings.use_beta_sigmas = settings.use_beta_sigmas.filter(|_| !karras);
        }
        settings
    }

    /// A run of `steps` steps.
    ///
    /// Errors: `bad-argument` where there can be no run of so many, `unsupported-model` where the scheduler cannot work on what the denoiser
    /// predicts.
    pub fn scheduler(&self, name: SchedulerName, steps: usize) -> Result<Box<dyn Scheduler>> {
        self.scheduler_within(name, steps, 1.0)
    }

    /// The same where latent consistency runs all its steps within the last `strength` of the way.
    pub fn scheduler_within(&self, name: SchedulerName, steps: usize, strength: f64) -> Result<Box<dyn Scheduler>> {
        let class = Class::of(name);
        let own = self.named();
        if name.family() != own.family() {
            let names: Vec<_> = own.kin().iter().map(|each| each.as_str()).collect();
            return Err(Error::bad_argument(format!(
                "the scheduler {} does not fit this model, which takes {}",
                name.as_str(),
                names.join(", ")
            )));
        }
        let settings = self.settings_for(name);
        settings.check(class)?;
        let taught = settings.original_inference_steps.unwrap_or(50);
        let (least, most) = match name {
            SchedulerName::Lcm => (1, (taught as f64 * strength) as usize),
            SchedulerName::Tcd => (1, taught),
            // Runge-Kutta's three steps come before its own.
            SchedulerName::Pndm if !is(settings.skip_prk_steps) => (4, self.train_steps()),
            _ => (1, self.train_steps()),
        };
        if !(least..=most).contains(&steps) {
            return Err(Error::bad_argument(format!(
                "steps is {steps}, but must be from {least} to {most} for the scheduler {}",
                name.as_str()
            )));
        }
        let setup = Setup { file: &settings, class, name, steps };
        Ok(match name {
            SchedulerName::Ddpm => Box::new(Ddpm::new(&setup)),
            SchedulerName::Ddim => Box::new(Ddim::new(&setup)),
            SchedulerName::Pndm => Box::new(Pndm::new(&setup)),
            SchedulerName::Euler | SchedulerName::EulerAncestral | SchedulerName::EdmEuler => {
                Box::new(Euler::new(&setup))
            }
            SchedulerName::Heun | SchedulerName::Kdpm2 | SchedulerName::Kdpm2Ancestral | SchedulerName::DpmSde => {
                Box::new(SecondOrder::new(&setup))
            }
            SchedulerName::Lms => Box::new(Lms::new(&setup)),
            SchedulerName::UniPc => Box::new(UniPc::new(&setup)),
            SchedulerName::Lcm => Box::new(Lcm::new(&setup, strength)),
            SchedulerName::Tcd => Box::new(Tcd::new(&setup)),
            SchedulerName::FlowEuler => Box::new(FlowEuler::shifted(&settings, steps)),
            _ => Box::new(DpmSolver::new(&setup)),
        })
    }
}
