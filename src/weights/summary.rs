//! What a model's files say of themselves at a glance.

use serde::Serialize;

use super::WeightFile;
use crate::graph::DType;

/// A model in a few words.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `general.name`, or the file's.
    pub name: String,
    pub parameters: u64,
    /// The type that most of the weights have.
    pub quantization: String,
    /// Bytes of the weights in the file.
    pub weight_bytes: u64,
}

impl WeightFile {
    pub fn summary(&self) -> Summary {
        let name = self.metadata.get::<&str>("general.name").ok().flatten().map(str::to_owned);
        let mut by_type: Vec<(DType, u64)> = vec![];
        let (mut parameters, mut weight_bytes) = (0u64, 0u64);
        for tensor in self.tensors.values() {
            let count = tensor.shape.iter().map(|n| *n as u64).product::<u64>();
            parameters += count;
            weight_bytes += tensor.bytes;
            match by_type.iter_mut().find(|(dtype, _)| *dtype == tensor.dtype) {
                Some((_, total)) => *total += count,
                None => by_type.push((tensor.dtype, count)),
            }
        }
        let most = by_type.iter().max_by_key(|(_, count)| *count);
        Summary {
            name: name.or_else(|| self.part_names().next()).unwrap_or_default(),
            parameters,
            quantization: most.map(|(dtype, _)| dtype.to_string()).unwrap_or_default(),
            weight_bytes,
        }
    }
}
