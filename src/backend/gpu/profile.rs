//! Where the time of a step goes: each kernel in a pass of its own with timestamps round it. A mode for measuring only,
//! since a step has one pass otherwise.

use super::{kernels::step::StepWords, plan::Plan};
use crate::{Error, Result, backend::profile::Timing, graph::StepParams};

impl Plan {
    /// Runs one step and tells how long each of its kernels took on the GPU.
    ///
    /// # Errors
    /// `bad-argument` where the device has no timestamps.
    pub async fn profile(&mut self, params: &StepParams) -> Result<Vec<Timing>> {
        let (context, dispatches, step) = self.parts();
        context.alive()?;
        let count = dispatches.len() as u32 * 2;
        if !context.features().timestamps || count > wgpu::QUERY_SET_MAX_QUERIES {
            return Err(Error::bad_argument("this device cannot time so many kernels; measure whole steps instead"));
        }
        let device = context.device();
        let watch = context.watch();
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        use wgpu::BufferUsages as Usage;
        let resolved = context.buffer("profile", count as u64 * 8, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        let staging = context.buffer("profile", count as u64 * 8, Usage::MAP_READ | Usage::COPY_DST)?;
        context.queue().write_buffer(step.raw(), 0, bytemuck::bytes_of(&StepWords::new(params)));
        let mut encoder = device.create_command_encoder(&Default::default());
        for (dispatch, i) in dispatches.iter().zip(0u32..) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(2 * i),
                    end_of_pass_write_index: Some(2 * i + 1),
                }),
            });
            dispatch.record(&mut pass);
        }
        encoder.resolve_query_set(&queries, 0..count, resolved.raw(), 0);
        encoder.copy_buffer_to_buffer(resolved.raw(), 0, staging.raw(), 0, count as u64 * 8);
        let submission = context.queue().submit([encoder.finish()]);
        let pending = super::staging::Staging::default().read(context, staging, vec![count as usize * 2], submission);
        watch.check().await?;
        let words = pending.await?.pop().unwrap_or_default();
        let ticks: Vec<u64> = words.chunks_exact(2).map(|w| w[0] as u64 | (w[1] as u64) << 32).collect();
        let period = context.queue().get_timestamp_period() as f64;
        let timings = dispatches.iter().zip(ticks.chunks_exact(2)).map(|(dispatch, t)| Timing {
            label: dispatch.label.clone(),
            milliseconds: t[1].saturating_sub(t[0]) as f64 * period * 1e-6,
        });
        Ok(timings.collect())
    }
}
