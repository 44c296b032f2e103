//! Finds a GPU and opens it, natively and in a browser (a page or a dedicated worker).

use super::{context::Context, features::Features, resident::Loader};
use crate::{Result, backend::DeviceInfo, graph::Graph};

/// Which GPUs will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// A GPU made of silicon only: the CPU backend is faster than one made of software.
    Hardware,
    /// Any that WebGPU finds, a software one included.
    Any,
}

/// Why there is no GPU to use, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoDevice {
    pub reason: String,
}

/// An open GPU. Clones share it.
#[derive(Clone)]
pub struct Device {
    pub(super) context: Context,
    info: DeviceInfo,
}

/// Software adapters by name, for those that do not say so themselves.
const SOFTWARE: [&str; 5] = ["swiftshader", "llvmpipe", "lavapipe", "basic render driver", "softpipe"];

impl Device {
    /// What this room's parts make things with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Opens the GPU that suits best.
    ///
    /// # Errors
    /// [`NoDevice`] with the reason, fit to be shown: no WebGPU, no adapter, one made of software where that was not
    /// wanted, or a refusal of the driver.
    pub async fn open(preference: Preference) -> Result<Self, NoDevice> {
        let none = |reason: String| NoDevice { reason };
        let mut options = wgpu::InstanceDescriptor::new_without_display_handle();
        options.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(options);
        let request = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&request).await.map_err(|_| {
            none(if cfg!(target_arch = "wasm32") {
                "This browser gives no WebGPU adapter: it has no WebGPU, or the GPU is blocked or switched off.".into()
            } else {
                "No Vulkan, Metal or Direct3D 12 adapter was found.".into()
            })
        })?;
        let found = adapter.get_info();
        let name = if found.name.trim().is_empty() { "a GPU without a name".into() } else { found.name.clone() };
        let lower = format!("{} {} {}", found.name, found.driver, found.driver_info).to_lowercase();
        let software = found.device_type == wgpu::DeviceType::Cpu || SOFTWARE.iter().any(|s| lower.contains(s));
        if software && preference == Preference::Hardware {
            return Err(none(format!(
                "The only WebGPU adapter is made of software ({name}), and the CPU itself is faster."
            )));
        }

        let offered = adapter.features();
        let wanted =
            offered & (wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY);
        #[cfg(target_arch = "wasm32")]
        super::subgroups_shim::ask_for_subgroups();
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("vitrine"),
                required_features: wanted,
                required_limits: limits(&adapter.limits()),
                ..Default::default()
            })
            .await
            .map_err(|error| none(format!("{name} could not be opened: {error}.")))?;

        #[cfg(target_arch = "wasm32")]
        let subgroups = super::subgroups_shim::subgroups_were_offered();
        #[cfg(not(target_arch = "wasm32"))]
        let subgroups = wanted.contains(wgpu::Features::SUBGROUP);
        let features = Features {
            subgroups,
            subgroup_sizes: if subgroups { (found.subgroup_min_size, found.subgroup_max_size) } else { (0, 0) },
            f16: wanted.contains(wgpu::Features::SHADER_F16),
            timestamps: wanted.contains(wgpu::Features::TIMESTAMP_QUERY),
            software,
        };
        let context = Context::new(device, queue, features);
        let reason = match software {
            true => format!("WebGPU runs on {name}, which is made of software: expect the CPU to be faster."),
            false => format!("WebGPU runs on {name}."),
        };
        let info = DeviceInfo {
            kind: "webgpu",
            name,
            reason,
            software,
            subgroups,
            f16: features.f16,
            max_buffer_bytes: context.limits().max_buffer_size,
            max_binding_bytes: context.limits().max_storage_buffer_binding_size,
        };
        Ok(Self { context, info })
    }

    /// The same device, used as one that has other features: to try the kernels of hardware on software, and plainer ones on hardware.
    pub fn used_as(&self, features: Features) -> Self {
        Self { context: self.context.used_as(features), info: self.info.clone() }
    }

    pub fn info(&self) -> DeviceInfo {
        let features = self.context.features();
        let mut info = self.info.clone();
        if features.software != info.software {
            let whose = if features.software { "software" } else { "hardware" };
            info.reason += &format!(" It is taken for {whose}, as was asked for.");
        }
        if let Some(why) = self.context.health().plainer() {
            info.reason += &format!(" It computes without subgroups: with them {why}.");
        } else if info.subgroups && !features.subgroups {
            info.reason += " It computes without subgroups, as was asked for.";
        }
        info.subgroups = features.subgroups;
        info
    }

    /// Enough that the queue never runs dry while the page handles a token.
    pub fn steps_in_flight(&self) -> usize {
        4
    }

    /// Long chunks fill the GPU, short ones spare a short prompt the padding.
    pub fn prefill_rows(&self) -> &'static [usize] {
        &[128, 16, 1]
    }

    pub async fn begin(&self, graph: &Graph) -> Result<Loader> {
        Loader::begin(&self.context, graph).await
    }

    /// Bytes that all models hold on this device.
    pub fn bytes(&self) -> u64 {
        self.context.bytes()
    }

    /// Gives the device back at once; everything on it ends with a device-lost error.
    pub fn destroy(&self) {
        self.context.device().destroy();
    }
}

/// WebGPU's defaults, with the real values of the adapter where more of something is of use.
fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_buffer_size: adapter.max_buffer_size,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: adapter.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: adapter.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: adapter.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: adapter.max_compute_workgroup_size_x,
        max_compute_workgroups_per_dimension: adapter.max_compute_workgroups_per_dimension,
        min_storage_buffer_offset_alignment: adapter.min_storage_buffer_offset_alignment,
        ..wgpu::Limits::defaults().or_worse_values_from(adapter)
    }
}
