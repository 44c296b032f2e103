//! What every part of this room needs to make things on the GPU: the device and its queue, its pipelines, counted buffers, dispatches.
//!
//! Objects are made without waiting; whoever makes them opens a [`Watch`] first and awaits it afterwards, since a browser
//! tells only later what went wrong.

use std::sync::Arc;

use super::{
    buffer::{Buffer, Ledger, View},
    features::Features,
    health::{self, Health, Watch},
    pipelines::Pipelines,
    wgsl::{Kernel, NUMBERS, Variant},
};
use crate::{Error, ErrorCode, Result};

/// One dispatch, ready to run: everything it binds lives as long as it does.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub pipeline: wgpu::ComputePipeline,
    pub bind_group: wgpu::BindGroup,
    /// Workgroups in x, y, z; each at most the device's `max_compute_workgroups_per_dimension`.
    pub grid: [u32; 3],
    /// Which kernel at which place of the model, e.g. `attention_split @ layer 3 attention`.
    pub label: String,
    /// Keeps the buffers of the bind group.
    pub held: Vec<Buffer>,
}

impl Dispatch {
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
    }
}

/// The device and what belongs to it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Context {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    features: Features,
}

#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    limits: wgpu::Limits,
    pipelines: Pipelines,
    health: Arc<Health>,
}

impl Context {
    /// Takes over a device that was just opened.
    pub(super) fn new(device: wgpu::Device, queue: wgpu::Queue, features: Features) -> Self {
        let (limits, health) = (device.limits(), Arc::new(Health::of(&device)));
        // The browser's handles live on one thread, like everything that holds a context there.
        #[cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]
        let shared = Arc::new(Shared { device, queue, limits, pipelines: Pipelines::default(), health });
        Self { shared, ledger: Arc::default(), features }
    }

    /// The same device with a ledger of its own, for one model.
    pub fn with_own_ledger(&self) -> Self {
        Self { shared: self.shared.clone(), ledger: Arc::new(Ledger::under(&self.ledger)), features: self.features }
    }

    /// The same device, used as one that has other features: to try the kernels of hardware on software.
    pub fn used_as(&self, features: Features) -> Self {
        Self { shared: self.shared.clone(), ledger: self.ledger.clone(), features }
    }

    pub fn device(&self) -> &wgpu::Device {
        &self.shared.device
    }

    pub fn queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }

    pub fn limits(&self) -> &wgpu::Limits {
        &self.shared.limits
    }

    /// What the device was found to be since it was opened.
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// What kernels may use: less than the device has where it was found to do that badly.
    pub fn features(&self) -> Features {
        self.health().features(self.features)
    }

    /// The device refused or botched a kernel made for `tried`: whether there are plainer ones, which are used from now on.
    pub fn make_do(&self, tried: Features, why: &str) -> bool {
        // Among them are some that were refused.
        self.shared.pipelines.clear();
        self.health().make_do(tried, why)
    }

    /// Bytes in buffers made through this context (and, for a device's first context, through all of its models').
    pub fn bytes(&self) -> u64 {
        self.ledger.bytes()
    }

    /// The largest piece of a buffer that one binding may show, in bytes, rounded down to what every kernel can index.
    pub fn max_binding(&self) -> u64 {
        let limits = self.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u32::MAX as u64) & !255
    }

    /// An error where the device is lost or has refused a command that no [`Watch`] saw.
    pub fn alive(&self) -> Result<()> {
        self.health().alive(self.device())
    }

    /// What to say when the device gave no answer to a request that was sound.
    pub(super) fn gone(&self) -> Error {
        self.health().gone(self.device())
    }

    /// Opens error scopes round what is made next. Close it with [`Watch::check`] in the same function: scopes nest.
    pub fn watch(&self) -> Watch {
        Watch::open(self.device(), &self.shared.health)
    }

    /// A storage buffer that can be bound, written, and copied from and to. Zeroed. `bytes` is rounded up to 16.
    pub fn storage(&self, label: &str, bytes: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as Usage;
        self.buffer(label, bytes, Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC)
    }

    /// A buffer of any usage. One larger than the device's limit is an out-of-memory error at once.
    pub fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        self.alive()?;
        let size = bytes.max(16).checked_next_multiple_of(16).unwrap_or(u64::MAX);
        let limit = self.limits().max_buffer_size;
        if size > limit {
            let why = format!("{label}: {size} bytes in one buffer, and the device allows {limit}");
            return Err(health::describe(ErrorCode::OutOfMemory, &why));
        }
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        Ok(Buffer::new(self.device().create_buffer(&descriptor), &self.ledger))
    }

    /// `groups` workgroups as a grid within the device's limit; kernels count along x, then y, and there may be a few more.
    pub fn line(&self, groups: usize) -> [u32; 3] {
        let most = self.limits().max_compute_workgroups_per_dimension as usize;
        let y = groups.div_ceil(most).max(1);
        [groups.div_ceil(y) as u32, y as u32, 1]
    }

    /// A small uniform buffer of words.
    pub fn words(&self, label: &str, words: &[u32]) -> Result<Buffer> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(label, words.len() as u64 * 4, usage)?;
        self.queue().write_buffer(buffer.raw(), 0, bytemuck::cast_slice(words));
        Ok(buffer)
    }

    /// The pipeline of one variant of a kernel, made once a device.
    pub fn pipeline(&self, kernel: &Kernel, variant: &Variant) -> Result<wgpu::ComputePipeline> {
        self.alive()?;
        self.shared.pipelines.get(self.device(), kernel, variant)
    }

    /// The text of a variant, given to the browser's or the driver's shader compiler. What it refuses comes out of [`Self::watch`].
    pub fn module(&self, kernel: &Kernel, variant: &Variant) -> Result<wgpu::ShaderModule> {
        self.alive()?;
        self.shared.pipelines.module(self.device(), kernel, variant)
    }

    #[cfg(test)]
    pub fn pipelines(&self) -> &Pipelines {
        &self.shared.pipelines
    }

    /// A dispatch of one variant of a kernel: `(binding, what it shows)`, all in group 0. The bindings must be exactly
    /// those that the variant uses, since the layout is read off the shader; its numbers are bound here.
    pub fn dispatch(
        &self,
        kernel: &Kernel,
        variant: &Variant,
        views: &[(u32, &View)],
        grid: [u32; 3],
        place: &str,
    ) -> Result<Dispatch> {
        let most = self.limits().max_compute_workgroups_per_dimension;
        if grid.iter().any(|n| *n > most) {
            let why = format!("kernel {} at {place}: a grid of {grid:?}, and the device allows {most}", kernel.name);
            return Err(Error::internal(why));
        }
        let pipeline = self.pipeline(kernel, variant)?;
        let words = variant.words();
        let numbers = if words.is_empty() { None } else { Some(self.words(kernel.name, &words)?.view()) };
        let views: Vec<_> = views.iter().copied().chain(numbers.iter().map(|view| (NUMBERS, view))).collect();
        let entries: Vec<_> = views
            .iter()
            .map(|(binding, view)| wgpu::BindGroupEntry { binding: *binding, resource: view.binding() })
            .collect();
        let bind_group = self.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let held = views.iter().map(|(_, view)| view.buffer.clone()).collect();
        Ok(Dispatch { pipeline, bind_group, grid, label: format!("{} @ {place}", kernel.name), held })
    }

    /// Resolves when the device has done all that was submitted so far.
    pub async fn idle(&self) -> Result<()> {
        self.alive()?;
        let (sender, receiver) = futures_channel::oneshot::channel();
        self.queue().on_submitted_work_done(move || {
            let _ = sender.send(());
        });
        self.wait(None)?;
        receiver.await.map_err(|_| self.gone())?;
        self.alive()
    }

    /// Natively: blocks until the submission (or all of them) is done and its callbacks have run. In a browser callbacks
    /// run by themselves, and this does nothing.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        if self.device().poll(wgpu::PollType::Wait { submission_index: submission, timeout: None }).is_err() {
            return Err(self.gone());
        }
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
        Ok(())
    }
}
