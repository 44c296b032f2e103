//! Which device computes, and why.

use crate::{
    Error, Result,
    backend::{Device, cpu, gpu},
};

/// Opens the device that the page asked for.
///
/// `"auto"` takes WebGPU where it is hardware; where there is none, or one made of software (slower than the CPU's own
/// vector instructions), it takes the CPU and keeps the reason to be shown. `"webgpu"` and `"cpu"` insist.
///
/// Errors: `bad-argument` for another word, and for `"webgpu"` where there is none.
pub async fn open(wanted: &str) -> Result<Device> {
    match wanted {
        "cpu" => Ok(Device::Cpu(cpu::Device::new("The page asked for the CPU."))),
        "webgpu" => gpu::Device::open(gpu::Preference::Any).await.map(Device::Gpu).map_err(|none| {
            Error::bad_argument(format!("WebGPU was asked for. {none} Ask for \"auto\" or \"cpu\" instead."))
                .caused_by(none)
        }),
        "auto" => Ok(match gpu::Device::open(gpu::Preference::Hardware).await {
            Ok(device) => Device::Gpu(device),
            Err(none) => Device::Cpu(cpu::Device::new(none.to_string())),
        }),
        other => Err(Error::bad_argument(format!("device is {other:?}, but must be \"auto\", \"webgpu\" or \"cpu\""))),
    }
}
