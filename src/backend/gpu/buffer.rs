//! GPU memory that counts itself and frees itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How many bytes are held: one ledger for a model, with the device's above it.
#[derive(Debug, Default)]
pub struct Ledger {
    bytes: AtomicU64,
    above: Option<Arc<Ledger>>,
}

impl Ledger {
    pub fn under(above: &Arc<Ledger>) -> Self {
        Self { bytes: AtomicU64::new(0), above: Some(above.clone()) }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.add(bytes);
        }
    }

    fn sub(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.sub(bytes);
        }
    }
}

/// A buffer that gives its memory back when the last clone goes, without waiting for a garbage collector. Whoever binds
/// it keeps a clone for as long as the bind group is in use.
#[derive(Debug, Clone)]
pub struct Buffer(Arc<Held>);

#[derive(Debug)]
struct Held {
    raw: wgpu::Buffer,
    ledger: Arc<Ledger>,
}

impl Buffer {
    #[allow(clippy::arc_with_non_send_sync)] // a buffer can be sent between threads natively, where there are any
    pub(super) fn new(raw: wgpu::Buffer, ledger: &Arc<Ledger>) -> Self {
        ledger.add(raw.size());
        Self(Arc::new(Held { raw, ledger: ledger.clone() }))
    }

    pub fn raw(&self) -> &wgpu::Buffer {
        &self.0.raw
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.raw.size()
    }

    /// The whole buffer.
    pub fn view(&self) -> View {
        View { buffer: self.clone(), offset: 0, bytes: self.bytes() }
    }

    /// `bytes` from the start.
    pub fn first(&self, bytes: u64) -> View {
        View { buffer: self.clone(), offset: 0, bytes: bytes.min(self.bytes()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Work already submitted still ends: a queue keeps what it uses.
        self.raw.destroy();
        self.ledger.sub(self.raw.size());
    }
}

/// A piece of a buffer, as a kernel sees it.
#[derive(Debug, Clone)]
pub struct View {
    pub buffer: Buffer,
    /// In bytes; a multiple of the device's `min_storage_buffer_offset_alignment`.
    pub offset: u64,
    pub bytes: u64,
}

impl View {
    pub fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.buffer.raw(),
            offset: self.offset,
            size: wgpu::BufferSize::new(self.bytes),
        })
    }
}
