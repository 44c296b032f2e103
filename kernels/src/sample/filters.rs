//! The numbers of a choice, declared once for both backends, and what drops tokens before the draw. A dropped token has the logit −∞.

use bytemuck::{Pod, Zeroable};

use crate::elementwise::{exp_below, largest};

/// Declares the numbers: what each means, what switches it off, and which values it may have. WGSL lays them out alike.
macro_rules! numbers {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ident = $neutral:expr, $sound:expr;)*) => {
        /// How a token is chosen. In this order, which is llama.cpp's: penalties on what stands in the text, bias, (temperature 0: the likeliest
        /// token, the lowest id among equals), top-n-sigma, top-k, typical-p, top-p, min-p, XTC, temperature, mirostat, a draw.
        /// All filters keep a *threshold's* worth: tokens as likely as the last one kept are kept too.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
        pub struct SampleParams {
            $($(#[doc = $doc])* pub $name: $kind,)*
        }

        impl Default for SampleParams {
            /// Greedy, with nothing held back.
            fn default() -> Self {
                Self { $($name: $neutral,)* }
            }
        }

        impl SampleParams {
            /// The numbers as the members of a WGSL structure.
            pub const WGSL: &str = concat!($("    ", stringify!($name), ": ", stringify!($kind), ",\n",)*);

            /// The same, where numbers that mean nothing (NaN, a negative temperature) are switched off.
            #[must_use]
            pub fn sound(self) -> Self {
                $(
                    let sound: fn($kind) -> bool = $sound;
                    let $name = if sound(self.$name) { self.$name } else { $neutral };
                )*
                Self { $($name,)* }
            }
        }
    };
}

numbers! {
    /// 0 is greedy.
    temperature: f32 = 0.0, |t| t > 0.0;
    /// Where above 0 the temperature lies between `temperature − range` and `temperature + range`: the higher, the less sure the model is (arXiv 2403.14541).
    dynamic_range: f32 = 0.0, |r| r > 0.0;
    /// The power of the entropy, as a share of the largest that as many tokens can have, by which a dynamic temperature rises.
    dynamic_exponent: f32 = 1.0, |e| e > 0.0;
    /// Keep tokens whose logits are at most so many standard deviations below the largest (arXiv 2411.07641); 0 keeps all.
    top_n_sigma: f32 = 0.0, |n| n > 0.0;
    /// Keep the `top_k` likeliest; 0 keeps all.
    top_k: u32 = 0, |_| true;
    /// Keep those whose surprise is nearest to the mean one, until their probabilities exceed it (arXiv 2202.00666); 1 keeps all.
    typical_p: f32 = 1.0, |p| p > 0.0 && p < 1.0;
    /// Keep the smallest set of likeliest tokens whose probabilities reach `top_p` (arXiv 1904.09751); 1 keeps all.
    top_p: f32 = 1.0, |p| (0.0..1.0).contains(&p);
    /// Drop tokens less likely than `min_p` times the likeliest (arXiv 2407.01082); 0 drops none.
    min_p: f32 = 0.0, |p| p > 0.0 && p <= 1.0;
    /// Exclude top choices: how often all but the least likely of the tokens that reach `xtc_threshold` are dropped; 0 is never.
    xtc_probability: f32 = 0.0, |p| p > 0.0;
    /// Above a half no two tokens can reach it.
    xtc_threshold: f32 = 0.1, |t| t >= 0.0;
    /// Drop tokens whose surprise is above so many bits, which the caller moves from token to token (arXiv 2007.14966, version 2 of llama.cpp); 0 drops none.
    mirostat_mu: f32 = 0.0, |mu| mu > 0.0;
    /// Divide positive and multiply negative logits of tokens already in the text (arXiv 1909.05858); 1 is none.
    repetition_penalty: f32 = 1.0, |p| p > 0.0;
    /// Taken from the logit of every token already in the text.
    presence_penalty: f32 = 0.0, f32::is_finite;
    /// Taken from a token's logit for each time that it stands in the text.
    frequency_penalty: f32 = 0.0, f32::is_finite;
    /// The token that is counted once less from now on, for it left the window of the penalties; [`NOTHING`](Self::NOTHING) where none did.
    leaving: u32 = Self::NOTHING, |_| true;
    /// The same seed and step give the same draw on the same backend.
    seed: u32 = 0, |_| true;
    /// Which token of the text this is: the other half of the draw's key.
    step: u32 = 0, |_| true;
}

impl SampleParams {
    /// No token.
    pub const NOTHING: u32 = u32::MAX;

    /// What keeps the draw of XTC apart from that of the token.
    pub const CHANCE: u32 = 0x9e37_79b9;

    /// The draw in `[0, 1)` for this seed and step: one round of the PCG output permutation (O'Neill 2014) over a mixed
    /// key, 24 bits. The GPU's kernel computes the same bits.
    pub fn uniform(&self) -> f32 {
        uniform(self.seed, self.step)
    }

    /// The draw that says whether XTC drops anything this time.
    pub fn chance(&self) -> f32 {
        uniform(self.seed ^ Self::CHANCE, self.step)
    }

    /// A dynamic temperature falls no lower.
    pub const COLDEST: f32 = 1e-4;

    pub fn has_penalties(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }
}

fn uniform(seed: u32, step: u32) -> f32 {
    let pcg = |v: u32| {
        let state = v.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
        (word >> 22) ^ word
    };
    (pcg(seed ^ pcg(step)) >> 8) as f32 / 16_777_216.0
}

/// What may keep a token from being chosen, in the order of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// A bias that no logit makes up for: a ban.
    Ban,
    TopNSigma,
    TopK,
    TypicalP,
    TopP,
    MinP,
    Xtc,
    Mirostat,
    /// A temperature of 0, which leaves the likeliest.
    Temperature,
}

impl Filter {
    /// As the option of that name is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::TopNSigma => "topNSigma",
            Self::TopK => "topK",
            Self::TypicalP => "typicalP",
            Self::TopP => "topP",
            Self::MinP => "minP",
            Self::Xtc => "xtc",
            Self::Mirostat => "mirostat",
            Self::Temperature => "temperature",
        }
    }
}

pub(super) const DROPPED: f32 = f32::NEG_INFINITY;

/// What filters look at of the tokens that are left: their likeliest logit, `Σ e^(l − top)`, the mean of the logits by these weights, and how many there are.
struct Moments {
    top: f32,
    mass: f64,
    mean: f64,
    count: usize,
}

/// Puts the weights `e^(l − top)` of `logits` into `weights`, 0 for a token that was dropped.
fn weigh(logits: &[f32], weights: &mut Vec<f32>) -> Moments {
    let top = largest(logits);
    weights.clear();
    weights.extend_from_slice(logits);
    exp_below(weights, top);
    let (mut mass, mut spread, mut count) = (0.0, 0.0, 0);
    for (weight, logit) in weights.iter_mut().zip(logits) {
        if *logit == DROPPED {
            *weight = 0.0;
            continue;
        }
        count += 1;
        mass += f64::from(*weight);
        spread += f64::from(*weight) * f64::from(*logit - top);
    }
    Moments { top, mass, mean: f64::from(top) + spread / mass, count }
}

fn drop_where(logits: &mut [f32], dropped: impl Fn(f32) -> bool) {
    for logit in logits {
        if dropped(*logit) {
            *logit = DROPPED;
        }
    }
}

/// Drops what the filters drop; `cut` is shown what each left. Returns the temperature.
pub(super) fn filter(
    params: &SampleParams,
    logits: &mut [f32],
    room: &mut Vec<f32>,
    mut cut: impl FnMut(Filter, &[f32]),
) -> f32 {
    if params.top_n_sigma > 0.0 {
        top_n_sigma(params.top_n_sigma, logits);
        cut(Filter::TopNSigma, logits);
    }
    if params.top_k > 0 && (params.top_k as usize) < logits.len() {
        room.clear();
        room.extend_from_slice(logits);
        let (_, least, _) = room.select_nth_unstable_by(params.top_k as usize - 1, |a, b| b.total_cmp(a));
        let least = *least;
        drop_where(logits, |logit| logit < least);
        cut(Filter::TopK, logits);
    }
    if params.typical_p < 1.0 {
        typical(params.typical_p, logits, room);
        cut(Filter::TypicalP, logits);
    }
    if params.top_p < 1.0 {
        top_p(params.top_p, logits, room);
        cut(Filter::TopP, logits);
    }
    if params.min_p > 0.0 {
        let least = largest(logits) + params.min_p.ln();
        drop_where(logits, |logit| logit < least);
        cut(Filter::MinP, logits);
    }
    if params.chance() < params.xtc_probability {
        exclude_top(params.xtc_threshold, logits, room);
        cut(Filter::Xtc, logits);
    }
    let temperature = if params.dynamic_range > 0.0 { dynamic(params, logits, room) } else { params.temperature };
    if params.mirostat_mu > 0.0 {
        mirostat(params.mirostat_mu, temperature, logits, room);
        cut(Filter::Mirostat, logits);
    }
    temperature
}

fn top_n_sigma(n: f32, logits: &mut [f32]) {
    let top = largest(logits);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for logit in logits.iter().filter(|logit| **logit != DROPPED) {
        let below = f64::from(*logit - top);
        count += 1.0;
        sum += below;
        squares += below * below;
    }
    let mean = sum / count;
    let deviation = (squares / count - mean * mean).max(0.0).sqrt();
    let least = top - n * deviation as f32;
    drop_where(logits, |logit| logit < least);
}

fn typical(p: f32, logits: &mut [f32], weights: &mut Vec<f32>) {
    let Moments { mass, mean, .. } = weigh(logits, weights);
    // How far a token's surprise is from the mean one is how far its logit is from theirs.
    let mean = mean as f32;
    let mut ranked: Vec<(f32, f32)> =
        logits.iter().zip(weights.iter()).filter(|(_, w)| **w > 0.0).map(|(l, w)| ((l - mean).abs(), *w)).collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let last = ranked.iter().find(|(_, weight)| {
        sum += f64::from(*weight);
        sum > f64::from(p) * mass
    });
    if let Some((farthest, _)) = last {
        drop_where(logits, |logit| (logit - mean).abs() > *farthest);
    }
}

fn top_p(p: f32, logits: &mut [f32], ranked: &mut Vec<f32>) {
    ranked.clear();
    ranked.extend(logits.iter().filter(|logit| **logit != DROPPED));
    ranked.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut weights = ranked.clone();
    exp_below(&mut weights, ranked.first().copied().unwrap_or(0.0));
    let mass: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let mut sum = 0.0;
    let reached = weights.iter().position(|weight| {
        sum += f64::from(*weight);
        sum >= f64::from(p) * mass
    });
    if let Some(least) = reached.and_then(|last| ranked.get(last)) {
        drop_where(logits, |logit| logit < *least);
    }
}

fn exclude_top(threshold: f32, logits: &mut [f32], weights: &mut Vec<f32>) {
    let Moments { mass, .. } = weigh(logits, weights);
    let least_weight = f64::from(threshold) * mass;
    let reaching = || logits.iter().zip(weights.iter()).filter(|(_, w)| **w > 0.0 && f64::from(**w) >= least_weight);
    if threshold > 0.5 || reaching().count() < 2 {
        return;
    }
    let last = reaching().map(|(logit, _)| *logit).fold(f32::INFINITY, f32::min);
    drop_where(logits, |logit| logit > last);
}

/// The less sure the model is of what is left, the higher.
fn dynamic(params: &SampleParams, logits: &[f32], weights: &mut Vec<f32>) -> f32 {
    let Moments { top, mass, mean, count } = weigh(logits, weights);
    let entropy = mass.ln() + f64::from(top) - mean;
    let most = (count as f64).ln();
    let share = if most > 0.0 { (entropy / most).clamp(0.0, 1.0) } else { 0.0 };
    let (low, high) = ((params.temperature - params.dynamic_range).max(0.0), params.temperature + params.dynamic_range);
    let temperature = f64::from(low) + f64::from(high - low) * share.powf(params.dynamic_exponent.into());
    (temperature as f32).max(SampleParams::COLDEST)
}

fn mirostat(mu: f32, temperature: f32, logits: &mut [f32], weights: &mut Vec<f32>) {
    let top = largest(logits);
    let mass = temper(temperature, logits, weights);
    // The likeliest, whose weight is 1, always stays.
    let least = ((-mu).exp2() as f64 * mass).min(1.0) as f32;
    for (logit, weight) in logits.iter_mut().zip(weights.iter()) {
        if *weight < least && *logit != top {
            *logit = DROPPED;
        }
    }
}

/// Puts the weights `e^((l − top) / temperature)` into `weights`; returns their sum.
pub(super) fn temper(temperature: f32, logits: &[f32], weights: &mut Vec<f32>) -> f64 {
    weights.clear();
    weights.extend(logits.iter().map(|logit| logit / temperature));
    let top = largest(weights);
    exp_below(weights, top);
    for (weight, logit) in weights.iter_mut().zip(logits) {
        if *logit == DROPPED {
            *weight = 0.0;
        }
    }
    weights.iter().map(|weight| f64::from(*weight)).sum()
}
