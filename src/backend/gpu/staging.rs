//! Buffers in which outputs come back: a pool, so that steps make none after the first few.

use std::sync::{Arc, Mutex, PoisonError};

use super::{buffer::Buffer, context::Context};
use crate::{Result, backend::Pending};

/// Unmapped buffers that wait for their next use. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Staging(Arc<Mutex<Vec<Buffer>>>);

impl Staging {
    /// A buffer of at least `bytes`: the smallest that waits, or a new one.
    pub fn take(&self, context: &Context, bytes: u64) -> Result<Buffer> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = waiting.iter().enumerate().filter(|(_, b)| b.bytes() >= bytes);
        match fits.min_by_key(|(_, b)| b.bytes()).map(|(i, _)| i) {
            Some(i) => Ok(waiting.swap_remove(i)),
            None => context.buffer("staging", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        }
    }

    fn give(&self, buffer: Buffer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// Maps `buffer`, which the work just submitted fills, and reads it as vectors of `lengths` words one after the other.
    pub fn read(
        &self,
        context: &Context,
        buffer: Buffer,
        lengths: Vec<usize>,
        submission: wgpu::SubmissionIndex,
    ) -> Pending {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let bytes = lengths.iter().sum::<usize>() as u64 * 4;
        buffer.raw().slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result);
        });
        let (pool, context) = (self.clone(), context.clone());
        Box::pin(async move {
            context.wait(Some(submission))?;
            // A refused mapping has one cause: the device went away.
            let Ok(Ok(())) = receiver.await else { return Err(context.gone()) };
            let mut outputs = Vec::with_capacity(lengths.len());
            {
                let view = buffer.raw().slice(..bytes).get_mapped_range().map_err(|_| context.gone())?;
                let mut rest: &[u8] = &view;
                for length in lengths {
                    let (own, after) = rest.split_at(length * 4);
                    outputs.push(own.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect());
                    rest = after;
                }
            }
            buffer.raw().unmap();
            pool.give(buffer);
            context.alive()?;
            Ok(outputs)
        })
    }
}
