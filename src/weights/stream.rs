//! Brings a graph's weights to a device: in file order, in pieces of whole rows, a few megabytes each.

use async_trait::async_trait;

use super::file::{TensorInfo, WeightFile};
use crate::{
    Error, Result,
    backend::Loader,
    cancel::Cancel,
    graph::{Graph, WeightId},
};

/// Large enough that a piece's costs vanish, small enough that a page stays light and an abort is quick.
const PIECE: u64 = 4 << 20;
/// A device is let catch up each time that so much was given to it.
const SETTLE_EVERY: u64 = 32 << 20;

/// Takes rows of weights: a backend's loader.
#[async_trait(?Send)]
pub trait RowSink {
    /// Whole rows of a weight, in order, in the file's own encoding.
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()>;
    /// Lets the device catch up.
    async fn settle(&mut self) -> Result<()>;
}

#[async_trait(?Send)]
impl RowSink for Loader {
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        Loader::put(self, weight, first_row, bytes)
    }

    async fn settle(&mut self) -> Result<()> {
        Loader::settle(self).await
    }
}

impl WeightFile {
    /// Checks that every weight of `graph` is here with its shape and type, without reading any.
    ///
    /// Errors: `corrupt-file` that names the weight and both shapes.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        self.wanted(graph, &[]).map(|_| ())
    }

    /// Reads each weight that `graph` names and gives it to `loader`. `progress` is told the bytes given and the bytes
    /// in all; `cancel` stops the work between pieces and during reads.
    ///
    /// Errors: those of [`check`](Self::check), of the source and of the loader; `aborted`.
    pub async fn stream(
        &self,
        graph: &Graph,
        loader: &mut impl RowSink,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<()> {
        self.stream_with(graph, &[], loader, progress, cancel).await
    }

    /// The same, with vectors that stand in no file because the model computes them: name and numbers.
    pub async fn stream_with(
        &self,
        graph: &Graph,
        computed: &[(&str, &[f32])],
        loader: &mut impl RowSink,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<()> {
        let wanted = self.wanted(graph, computed)?;
        for (name, numbers) in computed {
            if let Some(weight) = graph.weights.iter().position(|w| w.name == *name) {
                let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
                loader.put(WeightId(weight as u32), 0, &bytes)?;
            }
        }
        let total = wanted.iter().map(|(_, tensor)| tensor.bytes).sum();
        let (mut loaded, mut unsettled) = (0, 0);
        progress(0, total);
        for (weight, tensor) in wanted {
            let Some(part) = self.parts().get(tensor.part) else {
                return Err(Error::internal(format!("tensor {} lies in a part that is not there", tensor.name)));
            };
            let (rows, row_bytes) = tensor.rows();
            let rows_a_piece = (PIECE / row_bytes.max(1)).clamp(1, rows.max(1) as u64) as usize;
            let mut row = 0;
            while row < rows {
                let count = rows_a_piece.min(rows - row);
                let start = tensor.offset + row as u64 * row_bytes;
                let piece = cancel.race(part.read(start..start + count as u64 * row_bytes)).await?;
                loader.put(weight, row, &piece)?;
                row += count;
                loaded += piece.len() as u64;
                unsettled += piece.len() as u64;
                if unsettled >= SETTLE_EVERY {
                    cancel.race(loader.settle()).await?;
                    unsettled = 0;
                }
                progress(loaded, total);
            }
        }
        for part in self.parts() {
            cancel.race(part.source.finish()).await?;
            part.source.release();
        }
        cancel.race(loader.settle()).await
    }

    /// The graph's weights in the order in which they lie in the files.
    fn wanted(&self, graph: &Graph, computed: &[(&str, &[f32])]) -> Result<Vec<(WeightId, &TensorInfo)>> {
        let mut wanted = Vec::with_capacity(graph.weights.len());
        for (id, spec) in graph.weights.iter().enumerate() {
            if computed.iter().any(|(name, _)| *name == spec.name) {
                continue;
            }
            let tensor = self.tensor(&spec.name)?;
            if tensor.shape != spec.shape || tensor.dtype != spec.dtype {
                return Err(Error::corrupt_file(format!(
                    "tensor {} is {:?} {} in the file, but the model's configuration asks for {:?} {}; \
                     convert the model again",
                    spec.name, tensor.shape, tensor.dtype, spec.shape, spec.dtype
                )));
            }
            wanted.push((WeightId(id as u32), tensor));
        }
        wanted.sort_by_key(|(_, tensor)| (tensor.part, tensor.offset));
        Ok(wanted)
    }
}
