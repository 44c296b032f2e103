//! A small model that stands for a large one, to try a device with.

use super::{LanguageModel, Layer};
use crate::graph::WeightSpec;

/// What a probe keeps at most; multiples of the largest block.
const LAYERS: usize = 3;
const WIDTH: usize = 2048;
const VOCABULARY: usize = 512;

impl LanguageModel {
    /// A small model of the same widths, heads and types, whose steps take this one's paths through a backend's kernels. Layers
    /// of one kind whose weights are of the same types count once.
    pub fn probe(&self) -> Self {
        let mut probe = self.clone();
        let kind = |layer: &Layer| -> (bool, Vec<_>) {
            let types = layer.linears().into_iter().map(|linear| (linear.weight.dtype, linear.bias.is_some()));
            (layer.local, types.collect())
        };
        let mut seen = vec![];
        probe.layers.retain(|layer| {
            let kind = kind(layer);
            let new = !seen.contains(&kind) && seen.len() < LAYERS;
            if new {
                seen.push(kind);
            }
            new
        });
        for layer in &mut probe.layers {
            for linear in layer.gate.iter_mut().chain([&mut layer.up]) {
                shorten(&mut linear.weight, WIDTH);
                linear.bias.iter_mut().for_each(|bias| shorten(bias, WIDTH));
            }
            layer.down.weight.shape[1] = layer.down.weight.shape[1].min(WIDTH);
        }
        shorten(&mut probe.token_embedding, VOCABULARY);
        probe.output.iter_mut().for_each(|table| shorten(table, VOCABULARY));
        probe.config.layers = probe.layers.len();
        probe.config.vocabulary = probe.config.vocabulary.min(VOCABULARY);
        probe.config.feed_forward = probe.config.feed_forward.min(WIDTH);
        probe.alternatives = probe.alternatives.min(probe.config.vocabulary);
        probe
    }
}

fn shorten(weight: &mut WeightSpec, most: usize) {
    weight.shape[0] = weight.shape[0].min(most);
}
