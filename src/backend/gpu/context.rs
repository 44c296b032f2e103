//! What every part of this room needs to make things on the GPU: the device and its queue, what it can do, a cache of
//! pipelines, counted buffers, and error scopes that turn the driver's complaints into [`Error`]s.
//!
//! Objects are made without waiting; whoever makes them opens a [`Watch`] first and awaits it afterwards, since a browser
//! tells only later what went wrong. A lost device or an error outside every watch is remembered, and [`Context::alive`]
//! reports it from then on.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    buffer::{Buffer, Ledger, View},
    wgsl::{self, Kernel, NUMBERS, Variant},
};
use crate::{Error, ErrorCode, Result};

/// What the device was opened with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    pub subgroups: bool,
    /// The sizes a subgroup may have; zeros where there are none.
    pub subgroup_sizes: (u32, u32),
    pub f16: bool,
    pub timestamps: bool,
    /// The device is made of software: barriers and dispatches are dear there.
    pub software: bool,
}

impl Features {
    /// The same, but for subgroups.
    pub fn without_subgroups(self) -> Self {
        Self { subgroups: false, subgroup_sizes: (0, 0), ..self }
    }
}

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
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    failure: Arc<Mutex<Option<(ErrorCode, String)>>>,
    /// Why kernels with subgroups are not used any more.
    plainer: OnceLock<String>,
    /// Why none are: the device refuses even the plainest.
    refused: OnceLock<String>,
    /// The kernels of pictures were seen to compute what the CPU does.
    passed_picture_check: AtomicBool,
    /// What a driver might make of a kernel: tests put faults into its text.
    #[cfg(test)]
    faults: Mutex<Vec<Fault>>,
}

/// A kernel's name, a piece of its text, and what stands there instead.
#[cfg(test)]
pub type Fault = (&'static str, &'static str, &'static str);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the error begins that tells of a command, a shader or a pipeline that is not taken.
pub(super) const REFUSED: &str = "the GPU refused what it was given: ";

/// Where an error of wgpu's belongs.
fn classify(error: &wgpu::Error) -> ErrorCode {
    match error {
        wgpu::Error::OutOfMemory { .. } => ErrorCode::OutOfMemory,
        wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. } => ErrorCode::Internal,
    }
}

fn describe(code: ErrorCode, message: &str) -> Error {
    let message = message.trim();
    let text = match code {
        ErrorCode::DeviceLost => {
            format!(
                "the GPU device was lost ({message}); open a new engine, or one on the CPU, and load the model again"
            )
        }
        ErrorCode::OutOfMemory => {
            format!(
                "the GPU has no room for this ({message}); unload a model, take a smaller one or a shorter context, or use the CPU"
            )
        }
        _ => format!("{REFUSED}{message}"),
    };
    Error::new(code, text)
}

impl Context {
    /// Takes over a device that was just opened.
    pub(super) fn new(device: wgpu::Device, queue: wgpu::Queue, features: Features) -> Self {
        let failure = Arc::new(Mutex::new(None));
        let lost = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            let message = if message.trim().is_empty() { format!("{reason:?}") } else { message };
            *lock(&lost) = Some((ErrorCode::DeviceLost, message));
        });
        let uncaptured = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&uncaptured).get_or_insert((classify(&error), error.to_string()));
        }));
        let limits = device.limits();
        let pipelines = Mutex::new(HashMap::new());
        // The browser's handles live on one thread, like everything that holds a context there.
        #[cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]
        let shared = Arc::new(Shared {
            device,
            queue,
            limits,
            pipelines,
            failure,
            plainer: OnceLock::new(),
            refused: OnceLock::new(),
            passed_picture_check: AtomicBool::new(false),
            #[cfg(test)]
            faults: Mutex::default(),
        });
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

    /// What kernels may use: less than the device has where it was found to do that badly.
    pub fn features(&self) -> Features {
        match self.shared.plainer.get() {
            Some(_) => self.features.without_subgroups(),
            None => self.features,
        }
    }

    /// The device refused or botched a kernel made for `tried`: whether there are plainer ones, which are used from now on.
    pub fn make_do(&self, tried: Features, why: &str) -> bool {
        // Among them are some that were refused.
        lock(&self.shared.pipelines).clear();
        let next = if tried.subgroups { &self.shared.plainer } else { &self.shared.refused };
        next.get_or_init(|| why.into());
        tried.subgroups
    }

    /// Why subgroups are left alone, where they once were not.
    pub fn plainer(&self) -> Option<&str> {
        self.shared.plainer.get().map(String::as_str)
    }

    /// Why the device is of no use, once it refused the plainest of kernels.
    pub fn refused(&self) -> Option<&str> {
        self.shared.refused.get().map(String::as_str)
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
        let failed = || lock(&self.shared.failure).clone();
        let Some((mut code, mut message)) = failed() else { return Ok(()) };
        // Errors that a lost device caused come before the news of it.
        if code != ErrorCode::DeviceLost {
            self.look();
            (code, message) = failed().unwrap_or((code, message));
        }
        Err(describe(code, &message))
    }

    /// Natively: runs the callbacks that are due. A browser does so by itself.
    fn look(&self) {
        // What goes wrong here shows in the callbacks.
        let _ = self.device().poll(wgpu::PollType::Poll);
    }

    /// What to say when the device gave no answer to a request that was sound.
    pub(super) fn gone(&self) -> Error {
        self.alive().err().unwrap_or_else(|| describe(ErrorCode::DeviceLost, "a request was dropped"))
    }

    /// Opens error scopes round what is made next. Close it with [`Watch::check`] in the same function: scopes nest.
    pub fn watch(&self) -> Watch {
        let device = self.device();
        Watch {
            memory: device.push_error_scope(wgpu::ErrorFilter::OutOfMemory),
            internal: device.push_error_scope(wgpu::ErrorFilter::Internal),
            validation: device.push_error_scope(wgpu::ErrorFilter::Validation),
            context: self.clone(),
        }
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
            return Err(describe(ErrorCode::OutOfMemory, &why));
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
        let key = variant.key(kernel);
        if let Some(known) = lock(&self.shared.pipelines).get(&key) {
            return Ok(known.clone());
        }
        let module = self.module(kernel, variant)?;
        let pipeline = self.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
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
        lock(&self.shared.pipelines).insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// The text of a variant, given to the browser's or the driver's shader compiler. What it refuses comes out of [`Self::watch`].
    pub fn module(&self, kernel: &Kernel, variant: &Variant) -> Result<wgpu::ShaderModule> {
        self.alive()?;
        let text = wgsl::render(kernel, variant)?;
        #[cfg(test)]
        let text = self.with_faults(kernel, text);
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let label = variant.key(kernel);
        Ok(self.device().create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(&label), source }))
    }

    /// Whether somebody has told that this device computes pictures as the CPU does.
    pub fn passed_picture_check(&self) -> bool {
        self.shared.passed_picture_check.load(Ordering::Relaxed)
    }

    pub fn found_to_paint_well(&self) {
        self.shared.passed_picture_check.store(true, Ordering::Relaxed);
    }

    /// From now on this device computes wrongly, or refuses what it is given.
    #[cfg(test)]
    pub fn break_kernel(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// The names of the pipelines that were made.
    #[cfg(test)]
    pub fn pipelines(&self) -> Vec<String> {
        lock(&self.shared.pipelines).keys().cloned().collect()
    }

    #[cfg(test)]
    fn with_faults(&self, kernel: &Kernel, text: String) -> String {
        let faults = lock(&self.shared.faults);
        let of_it = faults.iter().filter(|(name, ..)| *name == kernel.name);
        of_it.fold(text, |text, (_, right, wrong)| text.replace(right, wrong))
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

/// Open error scopes; see [`Context::watch`].
#[must_use = "a watch tells nothing unless it is checked"]
pub struct Watch {
    memory: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
    validation: wgpu::ErrorScopeGuard,
    context: Context,
}

impl Watch {
    /// Closes the scopes at once; the future tells what they caught. Memory first: what follows a failed allocation is noise.
    pub fn check(self) -> impl Future<Output = Result<()>> {
        let Self { memory, internal, validation, context } = self;
        let validation = validation.pop();
        let internal = internal.pop();
        let memory = memory.pop();
        async move {
            let (memory, internal, validation) = (memory.await, internal.await, validation.await);
            let caught = memory.or(internal).or(validation);
            if caught.is_some() {
                context.look();
            }
            context.alive()?;
            match caught {
                Some(error) => Err(describe(classify(&error), &error.to_string())),
                None => Ok(()),
            }
        }
    }
}
