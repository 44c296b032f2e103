//! What a model's `scheduler_config.json` (diffusers) says.
//!
//! A setting is done as diffusers does it, or refused by its name; what the class does not read changes nothing and is passed over, as it is there.
//! What the file leaves out is as the class has it.

use serde_json::Value;

use super::{
    betas::SCHEDULES,
    names::{Class, FLOW, Family, LAST, RESCALE, SAMPLE, SPACING, SPREAD, SchedulerName, THRESHOLD, VARIANCE},
    prediction::Prediction,
    spacing::SPACINGS,
};
use crate::{Error, Result};

/// The largest number of training steps that is believed.
const MOST_STEPS: usize = 100_000;
/// Beyond it UniPC's equations are noise in diffusers' 32 bits.
const MOST_ORDER: usize = 6;

/// The settings, each by the name that it has in the file, and how it is read there.
macro_rules! settings {
    ($($name:ident: $kind:ty,)*) => {
        /// Everything is optional: classes differ in what they leave out.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct SchedulerConfig {
            pub class: Option<String>,
            $(pub $name: Option<$kind>,)*
        }

        impl SchedulerConfig {
            /// What the file sets.
            fn read(json: &Value) -> Result<Self> {
                let mut wrong = None;
                let read = Self {
                    class: setting(json, "_class_name", &mut wrong),
                    $($name: setting(json, stringify!($name), &mut wrong),)*
                };
                wrong.map_or(Ok(read), Err)
            }
        }
    };
}

settings! {
    num_train_timesteps: usize,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: String,
    trained_betas: Vec<f64>,
    prediction_type: String,
    rescale_betas_zero_snr: bool,
    timestep_spacing: String,
    steps_offset: usize,
    set_alpha_to_one: bool,
    skip_prk_steps: bool,
    clip_sample: bool,
    clip_sample_range: f64,
    thresholding: bool,
    variance_type: String,
    use_karras_sigmas: bool,
    use_exponential_sigmas: bool,
    use_beta_sigmas: bool,
    use_lu_lambdas: bool,
    use_flow_sigmas: bool,
    use_dynamic_shifting: bool,
    stochastic_sampling: bool,
    invert_sigmas: bool,
    shift_terminal: f64,
    interpolation_type: String,
    timestep_type: String,
    final_sigmas_type: String,
    sigma_min: f64,
    sigma_max: f64,
    sigma_data: f64,
    sigma_schedule: String,
    rho: f64,
    lambda_min_clipped: f64,
    algorithm_type: String,
    lower_order_final: bool,
    euler_at_final: bool,
    solver_type: String,
    solver_order: usize,
    predict_x0: bool,
    disable_corrector: Vec<usize>,
    solver_p: Value,
    original_inference_steps: usize,
    timestep_scaling: f64,
    shift: f64,
}

/// A value as JSON has it.
trait Setting: Sized {
    fn of(value: &Value) -> Option<Self>;
}

impl Setting for bool {
    fn of(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Setting for f64 {
    fn of(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Setting for usize {
    fn of(value: &Value) -> Option<Self> {
        value.as_u64().and_then(|n| n.try_into().ok())
    }
}

impl Setting for String {
    fn of(value: &Value) -> Option<Self> {
        value.as_str().map(Into::into)
    }
}

impl Setting for Value {
    fn of(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn of(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::of).collect()
    }
}

/// What is set under a key; nothing where the file says that nobody set it, since each class has its own habit then. The caller looks for what was
/// wrong once, behind all keys: a way out of each costs kilobytes.
#[inline(never)]
fn setting<T: Setting>(json: &Value, key: &str, wrong: &mut Option<Error>) -> Option<T> {
    let value = &json[key];
    let unset = json["_use_default_values"].as_array().is_some_and(|keys| keys.iter().any(|each| each == key));
    if value.is_null() || unset {
        return None;
    }
    let read = T::of(value);
    if read.is_none() {
        *wrong = Some(cannot_be(key, value));
    }
    read
}

fn cannot_be(key: &str, value: &Value) -> Error {
    Error::corrupt_file(format!("scheduler_config.json sets {key} to {value}, which cannot be; fetch it again"))
}

/// Whether a flag is set.
pub(super) fn is(flag: Option<bool>) -> bool {
    flag == Some(true)
}

impl SchedulerConfig {
    /// Reads the JSON text.
    ///
    /// Errors: `corrupt-file` where it is none, `unsupported-model` where it asks for what cannot be done.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        Self::from_json_of(text, None)
    }

    /// The same with the class that holds where the file names none.
    pub fn from_json_of(text: &[u8], class: Option<&str>) -> Result<Self> {
        // Python writes numbers that JSON does not have; here they mean "without bound".
        let text = String::from_utf8_lossy(text).replace("-Infinity", "null").replace("Infinity", "null");
        let json: Value = serde_json::from_str(&text).map_err(|e| {
            Error::corrupt_file(format!("scheduler_config.json cannot be read ({e}); fetch it again")).caused_by(e)
        })?;
        if !json.is_object() {
            return Err(Error::corrupt_file("scheduler_config.json cannot be read (it is no object); fetch it again"));
        }
        let mut config = Self::read(&json)?;
        config.class = config.class.or_else(|| class.map(Into::into));
        let class = Class::named(config.class.as_deref())?;
        config.check_numbers()?;
        config.check(class)?;
        Ok(config)
    }

    fn check_numbers(&self) -> Result<()> {
        let above = [
            self.beta_start,
            self.beta_end,
            self.clip_sample_range,
            self.timestep_scaling,
            self.shift,
            self.sigma_min,
            self.sigma_max,
            self.sigma_data,
            self.rho,
        ];
        let betas = |v: &f64| (0.0..1.0).contains(v);
        if !above.into_iter().flatten().all(|v| v.is_finite() && v > 0.0)
            || !self.beta_start.iter().chain(&self.beta_end).all(betas)
            || !self.trained_betas.iter().flatten().all(betas)
            || self.num_train_timesteps.is_some_and(|n| !(2..=MOST_STEPS).contains(&n))
            || self.trained_betas.as_ref().is_some_and(|b| Some(b.len()) != self.num_train_timesteps.or(Some(1000)))
            || self.steps_offset.is_some_and(|n| n > 1000)
            || self.original_inference_steps.is_some_and(|n| n == 0 || n > self.train_steps())
            || self.solver_order == Some(0)
        {
            return Err(Error::corrupt_file("scheduler_config.json holds numbers that cannot be; fetch it again"));
        }
        Ok(())
    }

    /// Refuses what a class would read and cannot be done here.
    pub(super) fn check(&self, class: &Class) -> Result<()> {
        let refuse = |key: &str, value: &str| {
            Err(Error::unsupported_model(format!(
                "scheduler_config.json sets {key} to {value}, which Vitrine does not do for {}; leave {key} out, or name another scheduler",
                class.class
            )))
        };
        let flow = class.name == SchedulerName::FlowEuler;
        let spreads = [self.use_karras_sigmas, self.use_exponential_sigmas, self.use_beta_sigmas].map(is);
        let many = class.reads(SPREAD) && spreads.iter().filter(|set| **set).count() > 1;
        let flags = [
            ("thresholding", class.reads(THRESHOLD) && is(self.thresholding)),
            ("use_flow_sigmas", class.reads(FLOW) && is(self.use_flow_sigmas)),
            ("use_beta_sigmas", (many || flow) && spreads[2]),
            ("use_exponential_sigmas", (many || flow) && spreads[1]),
            ("use_karras_sigmas", flow && spreads[0]),
            ("use_dynamic_shifting", (flow || class.name == SchedulerName::UniPc) && is(self.use_dynamic_shifting)),
            ("shift_terminal", (flow || class.name == SchedulerName::UniPc) && self.shift_terminal.is_some()),
            ("invert_sigmas", flow && is(self.invert_sigmas)),
            ("stochastic_sampling", flow && is(self.stochastic_sampling)),
            ("solver_p", class.name == SchedulerName::UniPc && self.solver_p.is_some()),
        ];
        if let Some((key, _)) = flags.iter().find(|(_, unfit)| *unfit) {
            return refuse(key, if *key == "solver_p" || *key == "shift_terminal" { "a value" } else { "true" });
        }
        use SchedulerName as Name;
        let solving = matches!(class.name, Name::DpmSolver | Name::DpmSolverSingle | Name::EdmDpmSolver);
        let schedules: &[&str] = match class.name {
            Name::Ddpm => &SCHEDULES[..5],
            Name::Heun => &["linear", "scaled_linear", "squaredcos_cap_v2", "exp"],
            _ => &SCHEDULES[..3],
        };
        let predictions: &[&str] = match class.name {
            Name::Euler => &["epsilon", "v_prediction", "sample", "original_sample"],
            _ if class.reads(SAMPLE) => &["epsilon", "v_prediction", "sample"],
            _ => &["epsilon", "v_prediction"],
        };
        let solvers = &["midpoint", "heun", "logrho", "bh1", "bh2"];
        let algorithms: &[&str] = match class.name {
            Name::DpmSolver => &["dpmsolver++", "sde-dpmsolver++", "deis", "dpmsolver", "sde-dpmsolver"],
            Name::DpmSolverSingle => &["dpmsolver++", "sde-dpmsolver++", "deis", "dpmsolver"],
            Name::EdmDpmSolver => &["dpmsolver++", "sde-dpmsolver++", "deis"],
            _ => &["deis", "dpmsolver", "dpmsolver++"],
        };
        let family = class.name.family();
        // Whether the class reads a key, and what it may be set to.
        let choices = [
            ("beta_schedule", &self.beta_schedule, family == Family::Betas && self.trained_betas.is_none(), schedules),
            ("prediction_type", &self.prediction_type, !flow, predictions),
            ("timestep_spacing", &self.timestep_spacing, class.reads(SPACING), &SPACINGS),
            ("final_sigmas_type", &self.final_sigmas_type, class.reads(LAST), &["zero", "sigma_min"]),
            ("interpolation_type", &self.interpolation_type, class.name == Name::Euler, &["linear", "log_linear"]),
            ("sigma_schedule", &self.sigma_schedule, family == Family::Edm, &["karras", "exponential"]),
            ("solver_type", &self.solver_type, solving || class.reads(FLOW), solvers),
            ("algorithm_type", &self.algorithm_type, solving || class.name == Name::Deis, algorithms),
            (
                "variance_type",
                &self.variance_type,
                class.name == Name::Ddpm,
                &["fixed_small", "fixed_small_log", "fixed_large"],
            ),
        ];
        for (key, value, reads, known) in choices {
            if let Some(value) = value.as_deref().filter(|value| reads && !known.contains(value)) {
                return refuse(key, &format!("{value:?}"));
            }
        }
        let learned = |value: &&str| class.reads(VARIANCE) && value.starts_with("learned");
        if let Some(value) = self.variance_type.as_deref().filter(learned) {
            return refuse("variance_type", &format!("{value:?}"));
        }
        let algorithm = self.algorithm_type.as_deref().filter(|_| solving).unwrap_or("dpmsolver++");
        let order = self.solver_order.unwrap_or(2);
        let noise = ["dpmsolver", "sde-dpmsolver"].contains(&algorithm);
        if noise && self.final_sigmas_type.as_deref() != Some("sigma_min") {
            return refuse(
                "final_sigmas_type",
                &format!("\"zero\" with the algorithm {algorithm}, which divides by it"),
            );
        }
        if class.name == SchedulerName::UniPc
            && self.predict_x0 == Some(false)
            && self.final_sigmas_type.as_deref() != Some("sigma_min")
        {
            return refuse("predict_x0", "false while final_sigmas_type is \"zero\", by which it divides");
        }
        let third = match class.name {
            Name::DpmSolver => algorithm == "sde-dpmsolver",
            Name::EdmDpmSolver => algorithm == "sde-dpmsolver++",
            _ => false,
        };
        if (third && order > 2)
            || (class.name == Name::DpmSolverSingle && order > 3)
            || (class.name == Name::UniPc && order > MOST_ORDER)
        {
            return refuse("solver_order", &order.to_string());
        }
        // At the noisiest step nothing of the picture is left to divide by; the others put the least that 32 bits hold in its place.
        let divides = matches!(class.name, Name::Ddpm | Name::Ddim | Name::Lcm | Name::Tcd);
        if divides && is(self.rescale_betas_zero_snr) && self.prediction() == Prediction::Epsilon {
            return refuse("rescale_betas_zero_snr", "true while noise is predicted (prediction_type)");
        }
        Ok(())
    }

    pub fn train_steps(&self) -> usize {
        self.num_train_timesteps.unwrap_or(1000)
    }

    /// The scheduler that the file names. A class that does not run here is refused when the file is read.
    pub fn named(&self) -> SchedulerName {
        let name = Class::named(self.class.as_deref()).map_or(SchedulerName::Ddim, |class| class.name);
        match name {
            SchedulerName::DpmSolver if self.algorithm_type.as_deref().is_some_and(|a| a.starts_with("sde")) => {
                SchedulerName::DpmSolverSde
            }
            SchedulerName::DpmSolver if is(self.use_karras_sigmas) => SchedulerName::DpmSolverKarras,
            name => name,
        }
    }

    /// The noise where the file says nothing, or nothing that is known.
    pub(super) fn prediction(&self) -> Prediction {
        let name = self.prediction_type.as_deref().unwrap_or("epsilon");
        Prediction::named(name.trim_start_matches("original_")).unwrap_or(Prediction::Epsilon)
    }

    pub(super) fn zero_snr(&self, class: &Class) -> bool {
        class.reads(RESCALE) && is(self.rescale_betas_zero_snr)
    }

    /// Where a predicted picture is clipped.
    pub(super) fn clip(&self, by_default: bool) -> Option<f32> {
        self.clip_sample.unwrap_or(by_default).then_some(self.clip_sample_range.unwrap_or(1.0) as f32)
    }
}
