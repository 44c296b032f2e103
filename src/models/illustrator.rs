//! The house illustrator: a caption encoder, a DiT with cross-attention (arXiv 2212.09748) trained as a rectified flow
//! (arXiv 2209.03003), and a [`ConvVae`]. `docs/illustrator.md` describes the file.
//!
//! Four graphs name one set of weights: [`Illustrator::text`], [`Illustrator::denoiser`], [`Illustrator::decoder`] and
//! [`Illustrator::encoder`]; [`Illustrator::whole`] names them all, for loading.

use serde::Deserialize;

use super::{
    Builder, ConvVae, Denoiser, TextEncoder, Weights,
    builder::Heads,
    diffusion::{Constant, counted},
};
use crate::{
    Error, Result,
    graph::{Binary, DType, Graph, Grid, Mask, Unary, ValueId, Window},
    weights::{Metadata, Recipes, WeightFile},
};

/// `general.architecture` of its GGUF.
pub const ARCHITECTURE: &str = "vitrine-illustrator";

/// The `text` part of the configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TextConfig {
    pub vocabulary: usize,
    /// Tokens of a caption, pads included.
    pub length: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// The token that fills a short caption; a caption of it alone is the empty one.
    pub pad: u32,
}

/// The `denoiser` part.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DenoiserConfig {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Sides of a patch of the latent that is one row.
    pub patch: usize,
    pub latent_channels: usize,
    /// Sides of the latent.
    pub latent_size: usize,
    /// Half the columns of the time's sines and cosines.
    pub frequencies: usize,
}

/// The `sampler` part: what does well.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SamplerConfig {
    pub steps: usize,
    pub guidance: f32,
    pub scheduler: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct IllustratorConfig {
    pub text: TextConfig,
    pub denoiser: DenoiserConfig,
    pub vae: ConvVae,
    pub sampler: SamplerConfig,
}

impl IllustratorConfig {
    /// Reads `vitrine.config`.
    ///
    /// Errors: `corrupt-file` where it is missing, no JSON of this kind, or says what cannot be.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let text: &str = metadata.require("vitrine.config")?;
        let config: Self = serde_json::from_str(text).map_err(|e| {
            Error::corrupt_file(format!("vitrine.config cannot be read ({e}); fetch the file again")).caused_by(e)
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        self.vae.check()?;
        let Self { text, denoiser, vae, sampler } = self;
        let heads = |width: usize, heads: usize| (1..=64).contains(&heads) && width.is_multiple_of(heads);
        let sound = (1..=1 << 20).contains(&text.vocabulary)
            && (text.pad as usize) < text.vocabulary
            && (1..=1024).contains(&text.length)
            && (1..=8192).contains(&text.width)
            && text.layers <= 64
            && heads(text.width, text.heads)
            && (1..=8192).contains(&denoiser.width)
            && denoiser.layers <= 128
            && heads(denoiser.width, denoiser.heads)
            && denoiser.latent_channels == vae.latent_channels
            && (1..=16).contains(&denoiser.patch)
            && (1..=1024).contains(&denoiser.latent_size)
            && denoiser.latent_size.is_multiple_of(denoiser.patch)
            && (1..=4096).contains(&denoiser.frequencies)
            && text.width == denoiser.width
            && (1..=1000).contains(&sampler.steps)
            && sampler.guidance.is_finite();
        if sound {
            return Ok(());
        }
        Err(Error::corrupt_file(format!("vitrine.config says what cannot be: {self:?}; fetch the file again")))
    }
}

/// An illustrator whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Illustrator {
    config: IllustratorConfig,
    weights: Weights,
}

impl Illustrator {
    pub fn from_gguf(file: &WeightFile) -> Result<Self> {
        Ok(Self::new(IllustratorConfig::from_gguf(&file.metadata)?, Weights::stored(file)))
    }

    pub fn new(config: IllustratorConfig, weights: Weights) -> Self {
        Self { config, weights }
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    pub fn config(&self) -> &IllustratorConfig {
        &self.config
    }

    fn latents(&self, batch: usize) -> Grid {
        let side = self.config.denoiser.latent_size;
        Grid::new(batch, side, side)
    }

    /// Inputs `ids` and `positions` `[batch · length]` U32 → `context` `[batch · length, width]`.
    pub fn text(&self, batch: usize) -> Result<Graph> {
        let mut n = self.weights.builder("illustrator text");
        let (ids, positions) = self.text_inputs(&mut n, batch);
        let context = self.add_text(&mut n, batch, ids, positions)?;
        n.g.output("context", context);
        Ok(n.finish())
    }

    /// Inputs `latent` `[batch · side², channels]`, `timestep` `[batch, 1]` (1000 t), `context` `[batch · length, width]`, `places` `[batch · rows]` U32
    /// (the rows of each picture, counted from 0) → `prediction` like the latent: `noise − x₀`.
    pub fn denoiser(&self, batch: usize) -> Result<Graph> {
        let mut n = self.weights.builder("illustrator denoiser");
        let prediction = self.add_denoiser(&mut n, batch)?;
        n.g.output("prediction", prediction);
        Ok(n.finish())
    }

    /// Input `latent` `[grid.rows(), channels]` (the autoencoder's own, unscaled) → `picture` `[factor² · grid.rows(), 3]` in −1 … 1.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        let mut n = self.weights.builder("illustrator decoder");
        let latent = n.g.input("latent", &[grid.rows(), self.config.vae.latent_channels], DType::F32);
        let (picture, _) = self.config.vae.decode(&mut n.pp("vae"), grid, latent)?;
        n.g.output("picture", picture);
        Ok(n.finish())
    }

    /// Input `picture` `[grid.rows(), 3]` → `latent` `[grid.rows() / factor², channels]`.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        let mut n = self.weights.builder("illustrator encoder");
        let picture = n.g.input("picture", &[grid.rows(), 3], DType::F32);
        let (latent, _) = self.config.vae.encode(&mut n.pp("vae"), grid, picture)?;
        n.g.output("latent", latent);
        Ok(n.finish())
    }

    /// All four in one: it names every weight, and nobody runs it.
    pub fn whole(&self) -> Result<Graph> {
        let mut n = self.weights.builder("illustrator");
        let (ids, positions) = self.text_inputs(&mut n, 1);
        let context = self.add_text(&mut n, 1, ids, positions)?;
        n.g.output("context", context);
        let prediction = self.add_denoiser(&mut n, 1)?;
        n.g.output("prediction", prediction);
        let grid = self.latents(1);
        let latent = n.g.input("z", &[grid.rows(), self.config.vae.latent_channels], DType::F32);
        let (picture, pixels) = self.config.vae.decode(&mut n.pp("vae"), grid, latent)?;
        n.g.output("picture", picture);
        let given = n.g.input("picture", &[pixels.rows(), 3], DType::F32);
        let (latent, _) = self.config.vae.encode(&mut n.pp("vae"), pixels, given)?;
        n.g.output("latent", latent);
        Ok(n.finish())
    }

    fn text_inputs(&self, n: &mut Builder, batch: usize) -> (ValueId, ValueId) {
        let rows = [batch * self.config.text.length];
        (n.g.input("ids", &rows, DType::U32), n.g.input("positions", &rows, DType::U32))
    }

    fn add_text(&self, n: &mut Builder, batch: usize, ids: ValueId, positions: ValueId) -> Result<ValueId> {
        let c = &self.config.text;
        let mut n = n.pp("text");
        n.g.at("text embedding");
        let tokens = n.embedding("token", c.vocabulary, c.width, ids)?;
        let places = n.embedding("position", c.length, c.width, positions)?;
        let mut x = n.add(tokens, places)?;
        let heads = Heads { batch, heads: c.heads, width: c.width };
        for i in 0..c.layers {
            n.g.at(format!("text layer {i}"));
            let mut layer = n.pp(format!("layers.{i}"));
            let h = layer.layer_norm("norm1", 1e-5, x)?;
            let h = attention(&mut layer.pp("attention"), heads, h, h)?;
            x = layer.add(x, h)?;
            let h = layer.layer_norm("norm2", 1e-5, x)?;
            let h = mlp(&mut layer.pp("mlp"), h)?;
            x = layer.add(x, h)?;
        }
        n.g.at("text norm");
        n.layer_norm("norm", 1e-5, x)
    }

    fn add_denoiser(&self, n: &mut Builder, batch: usize) -> Result<ValueId> {
        let c = &self.config.denoiser;
        let grid = self.latents(batch);
        let mut n = n.pp("denoiser");
        let latent = n.g.input("latent", &[grid.rows(), c.latent_channels], DType::F32);
        let timestep = n.g.input("timestep", &[batch, 1], DType::F32);
        let context = n.g.input("context", &[batch * self.config.text.length, self.config.text.width], DType::F32);

        n.g.at("patches");
        let (x, patches) = n.conv("patch", c.width, grid, Window::square(c.patch, c.patch, 0), latent)?;
        let places = n.g.input("places", &[patches.rows()], DType::U32);
        let places = n.embedding("position", patches.height * patches.width, c.width, places)?;
        let mut x = n.add(x, places)?;

        n.g.at("time");
        let t = n.g.timestep_embedding(2 * c.frequencies, 10_000.0, 0.0, true, timestep)?;
        let t = n.linear("time.in", c.width, t)?;
        let t = n.g.unary(Unary::Silu, t);
        let t = n.linear("time.out", c.width, t)?;
        let t = n.g.unary(Unary::Silu, t);

        let heads = Heads { batch, heads: c.heads, width: c.width };
        for i in 0..c.layers {
            let mut block = n.pp(format!("blocks.{i}"));
            block.g.at(format!("layer {i} modulation"));
            let m = block.linear("modulation", 6 * c.width, t)?;
            block.g.at(format!("layer {i} attention"));
            let h = modulated(&mut block, batch, c.width, m, 0, x)?;
            let h = attention(&mut block.pp("attention"), heads, h, h)?;
            x = gated(&mut block, batch, c.width, m, 2, x, h)?;
            block.g.at(format!("layer {i} cross-attention"));
            let h = block.layer_norm("norm_cross", 1e-6, x)?;
            let h = attention(&mut block.pp("cross"), heads, h, context)?;
            x = block.add(x, h)?;
            block.g.at(format!("layer {i} feed-forward"));
            let h = modulated(&mut block, batch, c.width, m, 3, x)?;
            let h = mlp(&mut block.pp("mlp"), h)?;
            x = gated(&mut block, batch, c.width, m, 5, x, h)?;
        }

        n.g.at("output");
        let m = n.linear("modulation", 2 * c.width, t)?;
        let x = modulated(&mut n, batch, c.width, m, 0, x)?;
        let window = Window::square(c.patch, c.patch, 0);
        Ok(n.conv_transpose("out", c.latent_channels, patches, window, x)?.0)
    }
}

/// `query`, `key`, `value`, `output`: rows of x look at all rows of y of their member of the batch.
fn attention(b: &mut Builder, of: Heads, x: ValueId, y: ValueId) -> Result<ValueId> {
    let q = b.linear("query", of.width, x)?;
    let k = b.linear("key", of.width, y)?;
    let v = b.linear("value", of.width, y)?;
    let a = b.attend(of, Mask::FULL, q, k, v)?;
    b.linear("output", of.width, a)
}

/// `in`, GELU (tanh), `out`, four times as wide between them.
fn mlp(b: &mut Builder, x: ValueId) -> Result<ValueId> {
    let width = b.columns_of(x);
    let h = b.linear("in", 4 * width, x)?;
    let h = b.g.unary(Unary::GeluTanh, h);
    b.linear("out", width, h)
}

impl TextEncoder for Illustrator {
    fn graph(&self, batch: usize) -> Result<Graph> {
        self.text(batch)
    }

    fn length(&self) -> usize {
        self.config.text.length
    }

    fn width(&self) -> usize {
        self.config.text.width
    }

    fn vocabulary(&self) -> usize {
        self.config.text.vocabulary
    }
}

/// Its timesteps are 1000 t.
impl Denoiser for Illustrator {
    fn graph(&self, batch: usize, height: usize, width: usize, tokens: usize) -> Result<Graph> {
        let side = self.config.denoiser.latent_size;
        if [height, width, tokens] != [side, side, self.config.text.length] {
            return Err(Error::bad_argument(format!(
                "this model paints latents of {side} by {side} from {} tokens alone, not {height} by {width} from {tokens}; \
                 leave the size as the model has it",
                self.config.text.length
            )));
        }
        self.denoiser(batch)
    }

    fn latent_channels(&self) -> usize {
        self.config.denoiser.latent_channels
    }

    fn context_width(&self) -> usize {
        self.config.text.width
    }

    fn only_size(&self) -> Option<(usize, usize)> {
        Some((self.config.denoiser.latent_size, self.config.denoiser.latent_size))
    }

    fn constants(&self, batch: usize, height: usize, width: usize) -> Vec<Constant> {
        let patch = self.config.denoiser.patch;
        vec![("places", counted(batch, (height / patch) * (width / patch)))]
    }
}

/// A norm without weights, then shift and scale: rows `at` and `at + 1` of the modulation `m`.
fn modulated(n: &mut Builder, batch: usize, width: usize, m: ValueId, at: usize, x: ValueId) -> Result<ValueId> {
    let h = n.g.layer_norm(None, None, 1e-6, x)?;
    let shift = n.g.slice_columns(at * width, width, m)?;
    let scale = n.g.slice_columns((at + 1) * width, width, m)?;
    n.g.modulate(batch, h, shift, scale)
}

/// `x + gate · h`: the gate is row `at` of the modulation `m`.
fn gated(
    n: &mut Builder,
    batch: usize,
    width: usize,
    m: ValueId,
    at: usize,
    x: ValueId,
    h: ValueId,
) -> Result<ValueId> {
    let gate = n.g.slice_columns(at * width, width, m)?;
    let h = n.g.broadcast(Binary::Mul, batch, h, gate)?;
    n.add(x, h)
}
