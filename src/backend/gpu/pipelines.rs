//! The pipelines of a device, one for each variant of a kernel that was asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::wgsl::{self, Kernel, Variant};
use crate::Result;

/// A kernel's name, a piece of its text, and what stands there instead.
#[cfg(test)]
pub type Fault = (&'static str, &'static str, &'static str);

#[derive(Debug, Default)]
pub struct Pipelines {
    made: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    /// What a driver might make of a kernel: tests put faults into its text.
    #[cfg(test)]
    faults: Mutex<Vec<Fault>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipelines {
    /// Made where it was not.
    pub fn get(&self, device: &wgpu::Device, kernel: &Kernel, variant: &Variant) -> Result<wgpu::ComputePipeline> {
        let key = variant.key(kernel);
        if let Some(known) = lock(&self.made).get(&key) {
            return Ok(known.clone());
        }
        let module = self.module(device, kernel, variant)?;
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&key),
            layout: None,
            module: &module,
            entry_point: None,
            // No kernel reads workgroup memory that it has not written.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        lock(&self.made).insert(key, pipeline.clone());
        Ok(pipeline)
    }

    pub fn module(&self, device: &wgpu::Device, kernel: &Kernel, variant: &Variant) -> Result<wgpu::ShaderModule> {
        let text = wgsl::render(kernel, variant)?;
        #[cfg(test)]
        let text = self.with_faults(kernel, text);
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let label = variant.key(kernel);
        Ok(device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(&label), source }))
    }

    pub fn clear(&self) {
        lock(&self.made).clear();
    }

    /// From now on the device computes wrongly, or refuses what it is given.
    #[cfg(test)]
    pub fn break_kernel(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// The names of those that were made.
    #[cfg(test)]
    pub fn names(&self) -> Vec<String> {
        lock(&self.made).keys().cloned().collect()
    }

    #[cfg(test)]
    fn with_faults(&self, kernel: &Kernel, text: String) -> String {
        let faults = lock(&self.faults);
        let of_it = faults.iter().filter(|(name, ..)| *name == kernel.name);
        of_it.fold(text, |text, (_, right, wrong)| text.replace(right, wrong))
    }
}
