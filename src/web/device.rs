//! Which device computes, and why.

use crate::{
    Error, Result,
    backend::{
        Device, cpu,
        gpu::{self, features::Features},
    },
};

/// What an engine may be told about the device it opens.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// `"auto"`, `"webgpu"` or `"cpu"`.
    pub device: String,
    /// `"hardware"` or `"software"`: what WebGPU's adapter is taken for, whatever it is made of.
    pub taken_for: Option<String>,
    /// Whether its kernels may use subgroups.
    pub subgroups: Option<bool>,
}

/// Opens the device that the page asked for.
///
/// `"auto"` takes WebGPU where it is hardware; where there is none, or one made of software (slower than the CPU's own
/// vector instructions), it takes the CPU and keeps the reason to be shown. `"webgpu"` and `"cpu"` insist.
///
/// Errors: `bad-argument` for another word, for `"webgpu"` where there is none, and for what does not go with `"cpu"`.
pub async fn open(wish: &Wish) -> Result<Device> {
    let software = match wish.taken_for.as_deref() {
        None => None,
        Some("hardware") => Some(false),
        Some("software") => Some(true),
        Some(other) => {
            return Err(Error::bad_argument(format!("as is {other:?}, but must be \"hardware\" or \"software\"")));
        }
    };
    let insists = wish.device == "webgpu";
    match wish.device.as_str() {
        "cpu" if software.is_some() || wish.subgroups.is_some() => {
            Err(Error::bad_argument("as and subgroups are about WebGPU; leave them out where device is \"cpu\""))
        }
        "cpu" => Ok(Device::Cpu(cpu::Device::new("The page asked for the CPU."))),
        "auto" if software == Some(true) => Ok(Device::Cpu(cpu::Device::new(
            "WebGPU is taken for software, as the page asked, and the CPU itself is faster.",
        ))),
        "auto" | "webgpu" => {
            let any = insists || software == Some(false);
            let preference = if any { gpu::Preference::Any } else { gpu::Preference::Hardware };
            match gpu::Device::open(preference).await {
                Ok(device) => Ok(Device::Gpu(as_wished(&device, software, wish.subgroups))),
                Err(none) if insists => {
                    let why = format!("WebGPU was asked for. {none} Ask for \"auto\" or \"cpu\" instead.");
                    Err(Error::bad_argument(why).caused_by(none))
                }
                Err(none) => Ok(Device::Cpu(cpu::Device::new(none.to_string()))),
            }
        }
        other => Err(Error::bad_argument(format!("device is {other:?}, but must be \"auto\", \"webgpu\" or \"cpu\""))),
    }
}

fn as_wished(device: &gpu::Device, software: Option<bool>, subgroups: Option<bool>) -> gpu::Device {
    let found = device.context().features();
    let wanted = Features { software: software.unwrap_or(found.software), ..found };
    device.used_as(if subgroups == Some(false) { wanted.without_subgroups() } else { wanted })
}
