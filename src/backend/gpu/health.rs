//! What a device was found to be since it was opened: lost, wrong, bad at some kernels; and the driver's complaints as [`Error`]s.
//!
//! A lost device or an error outside every [`Watch`] is remembered, and [`Health::alive`] reports it from then on.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::features::Features;
use crate::{Error, ErrorCode, Result};

/// What went wrong, and in which words.
type Failure = Arc<Mutex<Option<(ErrorCode, String)>>>;

#[derive(Debug)]
pub struct Health {
    failure: Failure,
    /// Why kernels with subgroups are not used any more.
    plainer: OnceLock<String>,
    /// Why none are: the device refuses even the plainest.
    refused: OnceLock<String>,
    /// The kernels of pictures were seen to compute what the CPU does.
    passed_picture_check: AtomicBool,
}

fn set(failure: &Failure, what: impl FnOnce(&mut Option<(ErrorCode, String)>)) {
    what(&mut failure.lock().unwrap_or_else(PoisonError::into_inner));
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

pub(super) fn describe(code: ErrorCode, message: &str) -> Error {
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

/// Natively: runs the callbacks that are due. A browser does so by itself.
fn look(device: &wgpu::Device) {
    // What goes wrong here shows in the callbacks.
    let _ = device.poll(wgpu::PollType::Poll);
}

impl Health {
    /// Listens from now on.
    pub(super) fn of(device: &wgpu::Device) -> Self {
        let failure = Failure::default();
        let lost = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            let message = if message.trim().is_empty() { format!("{reason:?}") } else { message };
            set(&lost, |failure| *failure = Some((ErrorCode::DeviceLost, message)));
        });
        let uncaptured = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            set(&uncaptured, |failure| {
                failure.get_or_insert((classify(&error), error.to_string()));
            });
        }));
        Self {
            failure,
            plainer: OnceLock::new(),
            refused: OnceLock::new(),
            passed_picture_check: AtomicBool::new(false),
        }
    }

    /// Of `opened` what is still used.
    pub(super) fn features(&self, opened: Features) -> Features {
        if self.plainer.get().is_some() { opened.without_subgroups() } else { opened }
    }

    pub(super) fn make_do(&self, tried: Features, why: &str) -> bool {
        let next = if tried.subgroups { &self.plainer } else { &self.refused };
        next.get_or_init(|| why.into());
        tried.subgroups
    }

    /// Why subgroups are left alone, where they once were not.
    pub fn plainer(&self) -> Option<&str> {
        self.plainer.get().map(String::as_str)
    }

    /// Why the device is of no use, once it refused the plainest of kernels.
    pub fn refused(&self) -> Option<&str> {
        self.refused.get().map(String::as_str)
    }

    /// Whether somebody has told that this device computes pictures as the CPU does.
    pub fn passed_picture_check(&self) -> bool {
        self.passed_picture_check.load(Ordering::Relaxed)
    }

    pub fn found_to_paint_well(&self) {
        self.passed_picture_check.store(true, Ordering::Relaxed);
    }

    /// An error where the device is lost or has refused a command that no [`Watch`] saw.
    pub(super) fn alive(&self, device: &wgpu::Device) -> Result<()> {
        let Some((mut code, mut message)) = self.failed() else { return Ok(()) };
        // Errors that a lost device caused come before the news of it.
        if code != ErrorCode::DeviceLost {
            look(device);
            (code, message) = self.failed().unwrap_or((code, message));
        }
        Err(describe(code, &message))
    }

    /// What to say when the device gave no answer to a request that was sound.
    pub(super) fn gone(&self, device: &wgpu::Device) -> Error {
        self.alive(device).err().unwrap_or_else(|| describe(ErrorCode::DeviceLost, "a request was dropped"))
    }

    fn failed(&self) -> Option<(ErrorCode, String)> {
        let mut failed = None;
        set(&self.failure, |failure| failed.clone_from(failure));
        failed
    }
}

/// Open error scopes; see [`Context::watch`](super::context::Context::watch).
#[must_use = "a watch tells nothing unless it is checked"]
pub struct Watch {
    memory: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
    validation: wgpu::ErrorScopeGuard,
    device: wgpu::Device,
    health: Arc<Health>,
}

impl Watch {
    pub(super) fn open(device: &wgpu::Device, health: &Arc<Health>) -> Self {
        Self {
            memory: device.push_error_scope(wgpu::ErrorFilter::OutOfMemory),
            internal: device.push_error_scope(wgpu::ErrorFilter::Internal),
            validation: device.push_error_scope(wgpu::ErrorFilter::Validation),
            device: device.clone(),
            health: health.clone(),
        }
    }

    /// Closes the scopes at once; the future tells what they caught. Memory first: what follows a failed allocation is noise.
    pub fn check(self) -> impl Future<Output = Result<()>> {
        let Self { memory, internal, validation, device, health } = self;
        let validation = validation.pop();
        let internal = internal.pop();
        let memory = memory.pop();
        async move {
            let (memory, internal, validation) = (memory.await, internal.await, validation.await);
            let caught = memory.or(internal).or(validation);
            if caught.is_some() {
                look(&device);
            }
            health.alive(&device)?;
            match caught {
                Some(error) => Err(describe(classify(&error), &error.to_string())),
                None => Ok(()),
            }
        }
    }
}
