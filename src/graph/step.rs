//! What changes from step to step while the graph stays.

/// How [`Op::Sample`](super::Op::Sample) chooses. The order of the filters: repetition penalty, (temperature 0: the likeliest
/// token, the lowest id among equals), top-k on the logits, temperature, top-p over what top-k kept, min-p, then a draw.
/// All filters keep a *threshold's* worth: tokens as likely as the last one kept are kept too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// Keep the `top_k` likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of likeliest tokens whose probabilities reach `top_p` (arXiv 1904.09751); 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than `min_p` times the likeliest (arXiv 2407.01082); 0 drops none.
    pub min_p: f32,
    /// Divide positive and multiply negative logits of tokens already in the text (arXiv 1909.05858); 1 is none.
    pub repetition_penalty: f32,
    /// The same seed and step give the same draw on the same backend.
    pub seed: u32,
    /// Which token of the text this is: the other half of the draw's key.
    pub step: u32,
}

impl Default for SampleParams {
    /// Greedy, with nothing held back.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0, step: 0 }
    }
}

impl SampleParams {
    /// The draw in `[0, 1)` for this seed and step: one round of the PCG output permutation (O'Neill 2014) over a mixed
    /// key, 24 bits. The GPU's kernel computes the same bits.
    pub fn uniform(&self) -> f32 {
        let pcg = |v: u32| {
            let state = v.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
            (word >> 22) ^ word
        };
        (pcg(self.seed ^ pcg(self.step)) >> 8) as f32 / 16_777_216.0
    }
}

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepParams {
    /// How many tokens the caches already hold: the first row of the step stands here.
    pub position: u32,
    /// The row that [`Op::SelectRow`](super::Op::SelectRow) takes.
    pub row: u32,
    /// Of how many rows of keys and values that were stored before an attention with [`Keys::Memory`](super::Keys::Memory) may see.
    pub memory: u32,
    pub sample: SampleParams,
}

/// What [`Op::Sample`](super::Op::Sample) writes: `[token, bits of its log-probability, (id, bits of log-probability) × alternatives]`.
/// Log-probabilities are of the model's own distribution: before penalty, temperature and filters. Alternatives come
/// likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    pub token: u32,
    pub logprob: f32,
    pub alternatives: Vec<(u32, f32)>,
}

impl Sampled {
    /// Length of the record in u32 words.
    pub fn words(alternatives: usize) -> usize {
        2 + 2 * alternatives
    }

    /// Reads a record; `None` where it is too short.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [token, logprob, rest @ ..] = words else { return None };
        let alternatives = rest.chunks_exact(2).map(|pair| (pair[0], f32::from_bits(pair[1]))).collect();
        Some(Self { token: *token, logprob: f32::from_bits(*logprob), alternatives })
    }

    /// Writes a record.
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = vec![self.token, self.logprob.to_bits()];
        for (id, logprob) in &self.alternatives {
            words.extend([*id, logprob.to_bits()]);
        }
        words
    }
}
