//! Tiny autoencoders (<https://github.com/madebyollin/taesd>): residual blocks of three convolutions with ReLU, a level for every halving of
//! the sides. Reads diffusers' `AutoencoderTiny` and the encoder and decoder files that TAESD itself publishes, whose layers are known
//! by their numbers alone; the structure follows from which numbers there are.
//!
//! Pictures are 0 … 1. A file may hold the encoder, the decoder, or both.

use super::{Builder, Origin, Search, Tensors, Weights};
use crate::{
    Error, Result,
    graph::{DType, Graph, Grid, Unary, ValueId, Window},
    weights::{Recipes, Storage, WeightFile},
};

/// Layers are looked for up to this number.
const MOST_LAYERS: usize = 64;
/// Latents are held within three of zero, softly.
const CLAMP: f32 = 3.0;
const RELU: Unary = Unary::LeakyRelu { slope: 0.0 };
/// Of the norm in the blocks that have one (TAEF2's deepest).
const POOL_GROUPS: usize = 4;
const POOL_EPS: f32 = 1e-5;
const SAME: Window = Window { height: 3, width: 3, stride: 1, dilation: 1, padding: [1; 4] };

/// A layer whose weights are known.
#[derive(Debug, Clone)]
enum Layer {
    /// A convolution of 3×3.
    Conv {
        name: String,
        out: usize,
        bias: bool,
        stride: usize,
    },
    Block(Block),
    /// Nearest neighbour, twice the sides.
    Upsample,
    Relu,
}

/// `relu(conv(x) + skip(x))`, x having passed through the branch with a norm where there is one.
#[derive(Debug, Clone)]
struct Block {
    name: String,
    out: usize,
    /// Whether a convolution of one pixel brings x to `out` channels.
    skip: bool,
    /// Channels within the branch.
    pool: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Encode,
    Decode,
}

/// An encoder or a decoder.
#[derive(Debug, Clone)]
struct Stack {
    way: Way,
    layers: Vec<Layer>,
    /// Channels of what goes in and comes out.
    inner: usize,
    out: usize,
}

/// A tiny autoencoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct AutoencoderTiny {
    encoder: Option<Stack>,
    decoder: Option<Stack>,
    weights: Weights,
    /// A denoiser works on `(z − shift) · scale`.
    pub scale: f32,
    pub shift: f32,
}

impl AutoencoderTiny {
    /// Whether a file holds layers by these names.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        prefix(tensors, "encoder").is_some() || prefix(tensors, "decoder").is_some()
    }

    /// Reads the structure from the names and shapes in the file, and `scaling_factor` and `shift_factor` from `config.json` where there is
    /// one.
    ///
    /// Errors: `corrupt-file` that names what is missing or misshapen, `unsupported-model` for another activation or upsampling.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let config = file.config_of_class("AutoencoderTiny")?.map(|(json, _)| json).unwrap_or_default();
        for (key, known) in [("act_fn", "relu"), ("upsample_fn", "nearest")] {
            if let Some(other) = config[key].as_str().filter(|value| *value != known) {
                return Err(Error::unsupported_model(format!(
                    "config.json gives {key} {other:?}; of tiny autoencoders only {known:?} runs here"
                )));
            }
        }
        if config["upsampling_scaling_factor"].as_u64().is_some_and(|factor| factor != 2) {
            return Err(Error::unsupported_model("config.json: only an upsampling_scaling_factor of 2 runs here"));
        }
        let number = |key: &str, or: f64| config[key].as_f64().unwrap_or(or) as f32;
        let (scale, shift) = (number("scaling_factor", 1.0), number("shift_factor", 0.0));
        if !(scale.is_finite() && scale != 0.0 && shift.is_finite()) {
            return Err(Error::corrupt_file("config.json: scaling_factor and shift_factor cannot be; fetch it again"));
        }
        let read = |what, way| prefix(file, what).map(|prefix| Stack::read(file, prefix, way)).transpose();
        let (encoder, decoder) = (read("encoder", Way::Encode)?, read("decoder", Way::Decode)?);
        let search = Search::new(file, storage, &Origin::same);
        for stack in encoder.iter().chain(&decoder) {
            let side = if stack.way == Way::Encode { stack.factor() } else { 1 };
            stack.graph(search.builder("tiny"), Grid::new(1, side, side))?;
        }
        let weights = search.finish();
        Ok(Self { encoder, decoder, weights, scale, shift })
    }

    pub fn has_encoder(&self) -> bool {
        self.encoder.is_some()
    }

    pub fn has_decoder(&self) -> bool {
        self.decoder.is_some()
    }

    pub fn latent_channels(&self) -> usize {
        let decoder = self.decoder.as_ref().map(|stack| stack.inner);
        decoder.or(self.encoder.as_ref().map(|stack| stack.out)).unwrap_or(0)
    }

    /// Pixels of a picture's side for one of the latent's.
    pub fn factor(&self) -> usize {
        self.decoder.as_ref().or(self.encoder.as_ref()).map_or(1, Stack::factor)
    }

    /// How the weights of both graphs are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Input `latent` `[grid.rows(), channels]` → output `picture` `[factor² · grid.rows(), 3]`, 0 … 1 (a little beyond, where the model is
    /// not sure).
    ///
    /// Errors: `bad-argument` where the file holds no decoder.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        self.build("decoder", self.decoder.as_ref(), grid)
    }

    /// Input `picture` `[grid.rows(), 3]`, 0 … 1 → output `latent` `[grid.rows() / factor², channels]`; sides are multiples of the factor.
    ///
    /// Errors: `bad-argument` where the file holds no encoder.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        self.build("encoder", self.encoder.as_ref(), grid)
    }

    fn build(&self, what: &str, stack: Option<&Stack>, grid: Grid) -> Result<Graph> {
        let Some(stack) = stack else {
            return Err(Error::bad_argument(format!("this file holds no {what}; give the {what}'s own file")));
        };
        stack.graph(self.weights.builder(format!("tiny {what}")), grid)
    }
}

impl Stack {
    /// Pixels of a picture's side for one of the latent's.
    fn factor(&self) -> usize {
        let halves = |layer: &&Layer| matches!(layer, Layer::Upsample | Layer::Conv { stride: 2, .. });
        1 << self.layers.iter().filter(halves).count()
    }

    fn graph(&self, mut b: Builder, mut grid: Grid) -> Result<Graph> {
        let (from, to) = if self.way == Way::Decode { ("latent", "picture") } else { ("picture", "latent") };
        let mut x = b.g.input(from, &[grid.rows(), self.inner], DType::F32);
        if self.way == Way::Decode {
            b.g.at("clamp");
            x = b.g.unary(Unary::Affine { scale: 1.0 / CLAMP, shift: 0.0 }, x);
            x = b.g.unary(Unary::Tanh, x);
            x = b.g.unary(Unary::Affine { scale: CLAMP, shift: 0.0 }, x);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            b.g.at(format!("layer {i}"));
            (x, grid) = layer.apply(&mut b, grid, x)?;
        }
        b.g.output(to, x);
        Ok(b.finish())
    }
}

impl Layer {
    fn apply(&self, b: &mut Builder, grid: Grid, x: ValueId) -> Result<(ValueId, Grid)> {
        match self {
            Self::Conv { name, out, bias, stride } => {
                let window = Window { stride: *stride, ..SAME };
                if *bias {
                    b.conv(name, *out, grid, window, x)
                } else {
                    b.conv_without_bias(name, *out, grid, window, x)
                }
            }
            Self::Block(block) => Ok((block.apply(&mut b.pp(&block.name), grid, x)?, grid)),
            Self::Upsample => b.g.upsample(grid, 2, x),
            Self::Relu => Ok((b.g.unary(RELU, x), grid)),
        }
    }
}

impl Block {
    fn apply(&self, b: &mut Builder, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        if let Some(wide) = self.pool {
            let channels = b.columns_of(x);
            let h = b.linear_without_bias("pool.0", wide, x)?;
            let h = b.group_norm("pool.1", POOL_GROUPS, POOL_EPS, grid.batch, h)?;
            let h = b.g.unary(RELU, h);
            let h = b.linear_without_bias("pool.3", channels, h)?;
            x = b.add(x, h)?;
        }
        let (h, _) = b.conv("conv.0", self.out, grid, SAME, x)?;
        let h = b.g.unary(RELU, h);
        let (h, _) = b.conv("conv.2", self.out, grid, SAME, h)?;
        let h = b.g.unary(RELU, h);
        let (h, _) = b.conv("conv.4", self.out, grid, SAME, h)?;
        let skipped = if self.skip { b.linear_without_bias("skip", self.out, x)? } else { x };
        let sum = b.add(h, skipped)?;
        Ok(b.g.unary(RELU, sum))
    }
}

/// What stands before the numbers of the encoder's or decoder's layers. A file of its own has nothing there: an encoder begins
/// with a convolution, a decoder with the clamp, which has no weights.
fn prefix(tensors: &dyn Tensors, what: &str) -> Option<String> {
    let has = |prefix: &str, layer: &str| tensors.tensor(&format!("{prefix}{layer}.weight")).is_some();
    let has_blocks = |prefix: &str| (1..MOST_LAYERS).any(|number| has(prefix, &format!("{number}.conv.0")));
    let own = |prefix: &str| match what {
        "encoder" => has(prefix, "0") && has_blocks(prefix),
        _ => !has(prefix, "0") && has(prefix, "1") && has_blocks(prefix),
    };
    let diffusers = format!("{what}.layers.");
    if has(&diffusers, "0") && has_blocks(&diffusers) {
        return Some(diffusers);
    }
    [format!("{what}."), format!("taesd_{what}."), String::new()].into_iter().find(|prefix| own(prefix))
}

impl Stack {
    /// Layers without weights are the gaps between the numbers: ReLU after a decoder's first convolution, then upsampling.
    fn read(tensors: &dyn Tensors, prefix: String, way: Way) -> Result<Self> {
        let decodes = way == Way::Decode;
        let sides = |name: &str| tensors.tensor(&format!("{name}.weight")).map(|(_, shape)| shape);
        let (mut layers, mut inner, mut last): (Vec<Layer>, _, Option<usize>) = (vec![], 0, None);
        for number in 0..MOST_LAYERS {
            let name = format!("{prefix}{number}");
            let layer = if let Some(shape) = sides(&name) {
                let bias = tensors.tensor(&format!("{name}.bias")).is_some();
                if last.is_none() {
                    inner = shape.get(1).copied().unwrap_or(0);
                }
                Layer::Conv { out: rows(shape), bias, stride: if decodes || bias { 1 } else { 2 }, name }
            } else if let Some(shape) = sides(&format!("{name}.conv.0")) {
                Layer::Block(Block {
                    out: rows(shape),
                    skip: sides(&format!("{name}.skip")).is_some(),
                    pool: sides(&format!("{name}.pool.0")).map(rows),
                    name,
                })
            } else {
                continue;
            };
            if let Some(gap) = last.map(|last| number - last - 1).filter(|gap| decodes && *gap > 0) {
                let first = layers.len() == 1;
                layers.extend(first.then_some(Layer::Relu));
                layers.extend((!first || gap > 1).then_some(Layer::Upsample));
            }
            last = Some(number);
            layers.push(layer);
        }
        match layers.last() {
            Some(Layer::Conv { out, bias: true, .. }) if (if decodes { *out } else { inner }) == 3 => {
                Ok(Self { way, out: *out, layers, inner })
            }
            _ => Err(Error::corrupt_file(format!(
                "the layers {prefix}0 … of the tiny autoencoder do not end as one does; fetch the whole file again"
            ))),
        }
    }
}

fn rows(shape: &[usize]) -> usize {
    shape.first().copied().unwrap_or(0)
}
