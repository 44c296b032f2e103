//! The schedulers that run here: their published names, what diffusers calls them, and what each class of diffusers takes for granted.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Ways from noise to a picture, by the names of their papers and of k-diffusion. Those of Heun, KDPM2 and DPM++ SDE ask the denoiser twice a step, PNDM
/// twice in its first. "ddpm", "euler-ancestral", "kdpm2-ancestral", "dpm++-2m-sde", "dpm++-sde", "lcm" and "tcd" (eta 0.3) draw noise on the way, all of it
/// from the seed. A model's own (the `scheduler` of its info) runs with every setting of its files, and another with
/// what diffusers' `from_config` takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerName {
    Ddpm,
    Ddim,
    Pndm,
    Euler,
    EulerAncestral,
    Heun,
    Lms,
    Kdpm2,
    Kdpm2Ancestral,
    Deis,
    #[serde(rename = "dpm++-2m")]
    DpmSolver,
    #[serde(rename = "dpm++-2m-karras")]
    DpmSolverKarras,
    #[serde(rename = "dpm++-2m-sde")]
    DpmSolverSde,
    #[serde(rename = "dpm++-2s")]
    DpmSolverSingle,
    #[serde(rename = "dpm++-sde")]
    DpmSde,
    #[serde(rename = "unipc")]
    UniPc,
    Lcm,
    Tcd,
    EdmEuler,
    #[serde(rename = "edm-dpm++-2m")]
    EdmDpmSolver,
    FlowEuler,
}

use SchedulerName as Name;

/// The kinds of noise that a model may be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A schedule of betas.
    Betas,
    /// Standard deviations, and a network preconditioned by them (arXiv 2206.00364).
    Edm,
    /// A straight line to noise.
    Flow,
}

/// A class of diffusers.
#[derive(Debug)]
pub struct Class {
    pub class: &'static str,
    /// The first of its names: with the settings of the file alone.
    pub name: SchedulerName,
    /// What holds where the file is silent: the range and the schedule of the betas.
    pub betas: (f64, f64, &'static str),
    /// What else it reads of a file; the others' settings do nothing to it.
    pub reads: u16,
}

/// Takes a denoiser that predicts the picture.
pub const SAMPLE: u16 = 1;
/// `rescale_betas_zero_snr`.
pub const RESCALE: u16 = 1 << 1;
/// `thresholding`.
pub const THRESHOLD: u16 = 1 << 2;
/// `use_karras_sigmas`, `use_exponential_sigmas`, `use_beta_sigmas`.
pub const SPREAD: u16 = 1 << 3;
/// `use_flow_sigmas`.
pub const FLOW: u16 = 1 << 4;
/// `variance_type`, which may say that the network predicts more than the noise.
pub const VARIANCE: u16 = 1 << 5;
/// `timestep_spacing` and `steps_offset`.
pub const SPACING: u16 = 1 << 6;
/// `final_sigmas_type`.
pub const LAST: u16 = 1 << 7;

const DDPM: (f64, f64, &str) = (0.0001, 0.02, "linear");
const LATENT: (f64, f64, &str) = (0.00085, 0.012, "linear");
const SCALED: (f64, f64, &str) = (0.00085, 0.012, "scaled_linear");

const fn class(class: &'static str, name: Name, betas: (f64, f64, &'static str), reads: u16) -> Class {
    Class { class, name, betas, reads }
}

/// As diffusers 0.42 has them.
const CLASSES: [Class; 21] = [
    class("DDIMScheduler", Name::Ddim, DDPM, SAMPLE | RESCALE | THRESHOLD | SPACING),
    class("DDIMParallelScheduler", Name::Ddim, DDPM, SAMPLE | RESCALE | THRESHOLD | SPACING),
    class("DDPMScheduler", Name::Ddpm, DDPM, SAMPLE | RESCALE | THRESHOLD | SPACING),
    class("DDPMParallelScheduler", Name::Ddpm, DDPM, SAMPLE | RESCALE | THRESHOLD | SPACING),
    class("PNDMScheduler", Name::Pndm, DDPM, SPACING),
    class("EulerDiscreteScheduler", Name::Euler, DDPM, SAMPLE | RESCALE | SPREAD | SPACING | LAST),
    class("EulerAncestralDiscreteScheduler", Name::EulerAncestral, DDPM, RESCALE | SPACING),
    class("HeunDiscreteScheduler", Name::Heun, LATENT, SAMPLE | SPREAD | SPACING),
    class("LMSDiscreteScheduler", Name::Lms, DDPM, SAMPLE | SPREAD | SPACING),
    class("KDPM2DiscreteScheduler", Name::Kdpm2, LATENT, SPREAD | SPACING),
    class("KDPM2AncestralDiscreteScheduler", Name::Kdpm2Ancestral, LATENT, SPREAD | SPACING),
    class("DEISMultistepScheduler", Name::Deis, DDPM, SAMPLE | THRESHOLD | SPREAD | FLOW | SPACING),
    class(
        "DPMSolverMultistepScheduler",
        Name::DpmSolver,
        DDPM,
        SAMPLE | RESCALE | THRESHOLD | SPREAD | FLOW | VARIANCE | SPACING | LAST,
    ),
    class(
        "DPMSolverSinglestepScheduler",
        Name::DpmSolverSingle,
        DDPM,
        SAMPLE | THRESHOLD | SPREAD | FLOW | VARIANCE | LAST,
    ),
    class("DPMSolverSDEScheduler", Name::DpmSde, LATENT, SPREAD | SPACING),
    class("UniPCMultistepScheduler", Name::UniPc, DDPM, SAMPLE | RESCALE | THRESHOLD | SPREAD | FLOW | SPACING | LAST),
    class("LCMScheduler", Name::Lcm, SCALED, SAMPLE | RESCALE | THRESHOLD),
    class("TCDScheduler", Name::Tcd, SCALED, SAMPLE | RESCALE),
    class("EDMEulerScheduler", Name::EdmEuler, DDPM, LAST),
    class("EDMDPMSolverMultistepScheduler", Name::EdmDpmSolver, DDPM, THRESHOLD | LAST),
    class("FlowMatchEulerDiscreteScheduler", Name::FlowEuler, DDPM, 0),
];

impl Class {
    /// The class of this name in a file; DDIM's where a file names none.
    ///
    /// Errors: `unsupported-model` that names what does not run here.
    pub fn named(class: Option<&str>) -> Result<&'static Self> {
        let Some(class) = class else { return Ok(&CLASSES[0]) };
        CLASSES.iter().find(|each| each.class == class).ok_or_else(|| {
            let known: Vec<_> = CLASSES.iter().map(|each| each.class).collect();
            Error::unsupported_model(format!(
                "scheduler_config.json names {class} (_class_name), which does not run here; these do: {}",
                known.join(", ")
            ))
        })
    }

    pub fn of(name: SchedulerName) -> &'static Self {
        let first = match name {
            Name::DpmSolverKarras | Name::DpmSolverSde => Name::DpmSolver,
            name => name,
        };
        CLASSES.iter().find(|each| each.name == first).unwrap_or(&CLASSES[0])
    }

    pub fn reads(&self, setting: u16) -> bool {
        self.reads & setting != 0
    }
}

impl SchedulerName {
    /// Those that take noise out of a picture of variance 1: any of them runs a model that was trained so.
    pub const DIFFUSION: [Self; 18] = [
        Self::Ddpm,
        Self::Ddim,
        Self::Pndm,
        Self::Euler,
        Self::EulerAncestral,
        Self::Heun,
        Self::Lms,
        Self::Kdpm2,
        Self::Kdpm2Ancestral,
        Self::Deis,
        Self::DpmSolver,
        Self::DpmSolverKarras,
        Self::DpmSolverSde,
        Self::DpmSolverSingle,
        Self::DpmSde,
        Self::UniPc,
        Self::Lcm,
        Self::Tcd,
    ];

    /// Those that run a model whose own scheduler is this one.
    pub fn kin(self) -> &'static [Self] {
        match self.family() {
            Family::Betas => &Self::DIFFUSION,
            Family::Edm => &[Self::EdmEuler, Self::EdmDpmSolver],
            Family::Flow => &[Self::FlowEuler],
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::EdmEuler | Self::EdmDpmSolver => Family::Edm,
            Self::FlowEuler => Family::Flow,
            _ => Family::Betas,
        }
    }

    /// Errors: `bad-argument` that names those that are known.
    pub fn parse(name: &str, known: &[Self]) -> Result<Self> {
        known.iter().copied().find(|each| each.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|each| each.as_str()).collect();
            Error::bad_argument(format!("scheduler is {name:?}, but this model takes {}", names.join(", ")))
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-ancestral",
            Self::Heun => "heun",
            Self::Lms => "lms",
            Self::Kdpm2 => "kdpm2",
            Self::Kdpm2Ancestral => "kdpm2-ancestral",
            Self::Deis => "deis",
            Self::DpmSolver => "dpm++-2m",
            Self::DpmSolverKarras => "dpm++-2m-karras",
            Self::DpmSolverSde => "dpm++-2m-sde",
            Self::DpmSolverSingle => "dpm++-2s",
            Self::DpmSde => "dpm++-sde",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
            Self::Tcd => "tcd",
            Self::EdmEuler => "edm-euler",
            Self::EdmDpmSolver => "edm-dpm++-2m",
            Self::FlowEuler => "flow-euler",
        }
    }
}
