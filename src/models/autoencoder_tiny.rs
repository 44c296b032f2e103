//! Tiny autoencoders (<https://github.com/madebyollin/taesd>): residual blocks of three convolutions with ReLU, a level for every halving of
//! the sides. Reads diffusers' `AutoencoderTiny` and the encoder and decoder files that TAESD itself publishes, whose layers are known
//! by their numbers alone; the structure follows from which numbers there are.
//!
//! Pictures are 0 … 1. A file may hold the encoder, the decoder, or both.

use super::{Index, Tensors, named::Named};
use crate::{
    Error, Result,
    graph::{Binary, DType, Graph, Grid, Unary, ValueId, Window},
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

/// An encoder or a decoder.
#[derive(Debug, Clone)]
struct Stack {
    layers: Vec<Layer>,
    /// Channels of what goes in and comes out.
    inner: usize,
    out: usize,
}

/// A tiny autoencoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct AutoencoderTiny {
    index: Index,
    storage: Storage,
    encoder: Option<Stack>,
    decoder: Option<Stack>,
    recipes: Recipes,
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
        let mut model = Self {
            index: Index::of(file),
            storage,
            encoder: prefix(file, "encoder").map(|p| Stack::read(file, p, false)).transpose()?,
            decoder: prefix(file, "decoder").map(|p| Stack::read(file, p, true)).transpose()?,
            recipes: Recipes::default(),
            scale: number("scaling_factor", 1.0),
            shift: number("shift_factor", 0.0),
        };
        if !(model.scale.is_finite() && model.scale != 0.0 && model.shift.is_finite()) {
            return Err(Error::corrupt_file("config.json: scaling_factor and shift_factor cannot be; fetch it again"));
        }
        let factor = model.factor();
        let mut recipes = Recipes::default();
        if model.has_encoder() {
            recipes.extend(model.build(false, Grid::new(1, factor, factor))?.1);
        }
        if model.has_decoder() {
            recipes.extend(model.build(true, Grid::new(1, 1, 1))?.1);
        }
        model.recipes = recipes;
        Ok(model)
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
        let halvings = |layer: &&Layer| matches!(layer, Layer::Upsample | Layer::Conv { stride: 2, .. });
        let of = |stack: &Stack| 1 << stack.layers.iter().filter(halvings).count();
        self.decoder.as_ref().or(self.encoder.as_ref()).map_or(1, of)
    }

    /// How the weights of both graphs are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        &self.recipes
    }

    /// Input `latent` `[grid.rows(), channels]` → output `picture` `[factor² · grid.rows(), 3]`, 0 … 1 (a little beyond, where the model is
    /// not sure).
    ///
    /// Errors: `bad-argument` where the file holds no decoder.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        Ok(self.build(true, grid)?.0)
    }

    /// Input `picture` `[grid.rows(), 3]`, 0 … 1 → output `latent` `[grid.rows() / factor², channels]`; sides are multiples of the factor.
    ///
    /// Errors: `bad-argument` where the file holds no encoder.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        Ok(self.build(false, grid)?.0)
    }

    fn build(&self, decodes: bool, mut grid: Grid) -> Result<(Graph, Recipes)> {
        let (what, from, to) =
            if decodes { ("decoder", "latent", "picture") } else { ("encoder", "picture", "latent") };
        let Some(stack) = (if decodes { &self.decoder } else { &self.encoder }) else {
            return Err(Error::bad_argument(format!("this file holds no {what}; give the {what}'s own file")));
        };
        let own_names = |name: &str| name.to_string();
        let mut n = Named::of_file(format!("tiny {what}"), &self.index, self.storage, &own_names);
        let mut x = n.g.input(from, &[grid.rows(), stack.inner], DType::F32);
        if decodes {
            n.g.at("clamp");
            x = n.g.unary(Unary::Affine { scale: 1.0 / CLAMP, shift: 0.0 }, x);
            x = n.g.unary(Unary::Tanh, x);
            x = n.g.unary(Unary::Affine { scale: CLAMP, shift: 0.0 }, x);
        }
        for (i, layer) in stack.layers.iter().enumerate() {
            n.g.at(format!("{what} layer {i}"));
            (x, grid) = layer.apply(&mut n, grid, x)?;
        }
        n.g.output(to, x);
        Ok(n.finish_with_recipes())
    }
}

impl Layer {
    fn apply(&self, n: &mut Named, grid: Grid, x: ValueId) -> Result<(ValueId, Grid)> {
        match self {
            Self::Conv { name, out, bias, stride } => {
                let window = Window { stride: *stride, ..SAME };
                if *bias {
                    n.conv(name, *out, grid, window, x)
                } else {
                    n.conv_without_bias(name, *out, grid, window, x)
                }
            }
            Self::Block(block) => Ok((block.apply(n, grid, x)?, grid)),
            Self::Upsample => n.g.upsample(grid, 2, x),
            Self::Relu => Ok((n.g.unary(RELU, x), grid)),
        }
    }
}

impl Block {
    fn apply(&self, n: &mut Named, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        let Self { name, out, .. } = self;
        if let Some(wide) = self.pool {
            let channels = n.columns_of(x);
            let h = n.linear_without_bias(&format!("{name}.pool.0"), wide, x)?;
            let h = n.group_norm(&format!("{name}.pool.1"), POOL_GROUPS, POOL_EPS, grid.batch, h)?;
            let h = n.g.unary(RELU, h);
            let h = n.linear_without_bias(&format!("{name}.pool.3"), channels, h)?;
            x = n.g.binary(Binary::Add, x, h)?;
        }
        let (h, _) = n.conv(&format!("{name}.conv.0"), *out, grid, SAME, x)?;
        let h = n.g.unary(RELU, h);
        let (h, _) = n.conv(&format!("{name}.conv.2"), *out, grid, SAME, h)?;
        let h = n.g.unary(RELU, h);
        let (h, _) = n.conv(&format!("{name}.conv.4"), *out, grid, SAME, h)?;
        let skipped = if self.skip { n.linear_without_bias(&format!("{name}.skip"), *out, x)? } else { x };
        let sum = n.g.binary(Binary::Add, h, skipped)?;
        Ok(n.g.unary(RELU, sum))
    }
}

/// What stands before the numbers of the encoder's or decoder's layers. A file of its own has nothing there: an encoder begins
/// with a convolution, a decoder with the clamp, which has no weights.
fn prefix(tensors: &dyn Tensors, what: &str) -> Option<String> {
    let has = |prefix: &str, layer: &str| tensors.tensor(&format!("{prefix}{layer}.weight")).is_some();
    let own = |prefix: &str| match what {
        "encoder" => has(prefix, "0") && has(prefix, "1.conv.0"),
        _ => !has(prefix, "0") && has(prefix, "1") && has(prefix, "3.conv.0"),
    };
    let diffusers = format!("{what}.layers.");
    if has(&diffusers, "0") && (has(&diffusers, "1.conv.0") || has(&diffusers, "2.conv.0")) {
        return Some(diffusers);
    }
    [format!("{what}."), format!("taesd_{what}."), String::new()].into_iter().find(|prefix| own(prefix))
}

impl Stack {
    /// Layers without weights are the gaps between the numbers: ReLU after a decoder's first convolution, then upsampling.
    fn read(tensors: &dyn Tensors, prefix: String, decodes: bool) -> Result<Self> {
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
            if let Some(last) = last.filter(|last| decodes && last + 1 < number) {
                layers.push(if last + 2 == number && layers.len() == 1 { Layer::Relu } else { Layer::Upsample });
            }
            last = Some(number);
            layers.push(layer);
        }
        match layers.last() {
            Some(Layer::Conv { out, bias: true, .. }) if (if decodes { *out } else { inner }) == 3 => {
                Ok(Self { out: *out, layers, inner })
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
