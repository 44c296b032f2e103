//! The faces that the networks of a text-to-image model show to whoever runs them, whatever family they are of.
//!
//! Uses `graph` alone. Pictures are rows, channels last ([`Grid`](crate::graph::Grid)); a batch is what one graph was made for,
//! and both halves of classifier-free guidance (arXiv 2207.12598) go through as one batch.

use crate::{Result, graph::Graph};

/// An input whose values follow from the sizes of a graph alone: its name and its words. It is written once, after
/// [`compile`](crate::backend::Resident::compile).
pub type Constant = (&'static str, Vec<u32>);

/// Turns token ids into the rows that a denoiser looks at.
pub trait TextEncoder {
    /// Inputs: ids `[batch · length]` U32 by each of the names of [`id_inputs`](Self::id_inputs), and `positions` `[batch · length]` U32 (see
    /// [`constants`](Self::constants)); output: `context` `[batch · length, width]`. With a [`pooled_width`](Self::pooled_width) also the input
    /// `lengths` `[batch]` U32, the ids of each text as far as its end mark, and the output `pooled` `[batch, pooled_width]`.
    fn graph(&self, batch: usize) -> Result<Graph>;

    /// Ids of one text, padding included.
    fn length(&self) -> usize;

    /// Columns of `context`.
    fn width(&self) -> usize;

    /// The inputs that take ids: one for each encoder that it is made of, which may have tokenizers of their own.
    fn id_inputs(&self) -> &'static [&'static str] {
        &["ids"]
    }

    /// Columns of `context` that each of these encoders made, one after another.
    fn widths(&self) -> Vec<usize> {
        vec![self.width()]
    }

    /// Columns of `pooled`, where a row for each whole text comes out too.
    fn pooled_width(&self) -> Option<usize> {
        None
    }

    /// How many ids there are: one past it is none of this encoder's.
    fn vocabulary(&self) -> usize;

    /// `positions`: 0, 1 … for each text of the batch.
    fn constants(&self, batch: usize) -> Vec<Constant> {
        vec![("positions", counted(batch, self.length()))]
    }
}

/// Says what of a noisy latent is noise (or the clean latent, or a velocity: the scheduler knows).
pub trait Denoiser {
    /// One evaluation for `batch` latents of `height` by `width` pixels that look at `tokens` rows of text each.
    ///
    /// Inputs: `latent` `[batch · height · width, latent_channels]`; `timestep` `[batch, 1]`, in the unit of the scheduler that the
    /// model was trained with (0 … 999 for Stable Diffusion, 1000 t for the illustrator's flow); `context` `[batch · tokens, context_width]`; where
    /// [`takes_guidance`](Self::takes_guidance), `guidance` `[batch, 1]`, the guidance scale itself; with a [`pooled_width`](Self::pooled_width),
    /// `pooled` `[batch, pooled_width]` and `sizes` `[batch · 6, 1]`; and the [`constants`](Self::constants). Output: `prediction` `[batch · height · width, prediction_channels]`.
    ///
    /// Errors: `bad-argument` for sides that this model cannot take, `invalid-graph` where the configuration contradicts itself.
    fn graph(&self, batch: usize, height: usize, width: usize, tokens: usize) -> Result<Graph>;

    /// Columns of `latent`: the latent's own, and those of a mask and a masked latent in a model made for inpainting.
    fn latent_channels(&self) -> usize;

    /// Columns of `prediction`.
    fn prediction_channels(&self) -> usize {
        self.latent_channels()
    }

    /// Columns of `context`.
    fn context_width(&self) -> usize;

    /// The only height and width that it takes, where there is but one.
    fn only_size(&self) -> Option<(usize, usize)> {
        None
    }

    /// Whether guidance was distilled into the model (arXiv 2210.03142, as latent consistency models have it): it is then an
    /// input, and one half of the batch does.
    fn takes_guidance(&self) -> bool {
        false
    }

    /// Columns of `pooled`, where it looks at a row for the whole text too, and at six sizes (arXiv 2307.01952): height and width that a picture had
    /// before it was cut, how far from its top and its left it was cut, height and width that are wanted, in pixels.
    fn pooled_width(&self) -> Option<usize> {
        None
    }

    /// Inputs that depend on nothing but the sizes.
    fn constants(&self, batch: usize, height: usize, width: usize) -> Vec<Constant> {
        let _ = (batch, height, width);
        vec![]
    }
}

/// 0, 1 … `length` − 1, `batch` times.
pub(super) fn counted(batch: usize, length: usize) -> Vec<u32> {
    (0..batch).flat_map(|_| 0..length as u32).collect()
}
