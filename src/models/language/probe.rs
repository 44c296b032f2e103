//! A small model that stands for a large one, to try a device with.

use super::LanguageModel;

/// What a probe keeps at most; multiples of the largest block.
const LAYERS: usize = 3;
const WIDTH: usize = 2048;
const VOCABULARY: usize = 512;

impl LanguageModel {
    /// A small model of the same widths, heads and types, whose steps take this one's paths through a backend's kernels. Layers
    /// of one kind whose weights are of the same types count once.
    pub fn probe(&self) -> Self {
        let mut probe = self.clone();
        let kind = |i: usize| -> ([bool; 2], Vec<_>) {
            let prefix = format!("blk.{i}.");
            let types = self.weights.below(&prefix).map(|spec| (spec.name[prefix.len()..].to_string(), spec.dtype));
            ([self.config.is_local(i), self.config.turns(i)], types.collect())
        };
        let mut seen = vec![];
        probe.layers.retain(|layer| {
            let kind = kind(*layer);
            let new = !seen.contains(&kind) && seen.len() < LAYERS;
            if new {
                seen.push(kind);
            }
            new
        });
        let c = &mut probe.config;
        (c.layers, c.vocabulary) = (probe.layers.len(), c.vocabulary.min(VOCABULARY));
        c.feed_forward = c.feed_forward.min(WIDTH);
        probe.alternatives = probe.alternatives.min(c.vocabulary);
        probe.weights = self.weights.reshaped(|spec| {
            let part = spec.name.rsplit('.').nth(1).unwrap_or_default();
            let (side, most) = match part {
                "ffn_up" if c.block.fused_gate => (0, 2 * c.feed_forward),
                "ffn_gate" | "ffn_up" => (0, c.feed_forward),
                "ffn_down" if spec.shape.len() == 2 => (1, c.feed_forward),
                "token_embd" | "output" => (0, c.vocabulary),
                _ => return,
            };
            spec.shape[side] = spec.shape[side].min(most);
        });
        probe
    }
}
