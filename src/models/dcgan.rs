//! The generator of a DCGAN (arXiv 1511.06434) as PyTorch's example saves it: transposed convolutions of 4×4 in a row, `main.N.weight`, each with a
//! batch norm and ReLU behind it, and tanh behind the last. The first makes 4×4 pixels of one, every other doubles the sides.
//!
//! Before it one linear layer with ReLU may stand (`mapping`). As `decoder.main.N` beside an `encoder.main.N` it is an autoencoder of a vector: the encoder is the same backwards, convolutions of 4×4 that halve
//! the sides with a batch norm and LeakyReLU (0.2) behind them, and a last one that gives the mean and the logarithm of the variance.
//!
//! Depth and widths follow from the file. The batch norms are folded into the convolutions while they load. Pictures are −1 … 1.

use super::{Builder, Origin, Search, Tensors, Weights};
use crate::{
    Error, Result,
    graph::{DType, Graph, Grid, Unary, WeightId, Window},
    weights::{BatchNorm, Recipe, Recipes, Storage, WeightFile},
};

/// Layers are looked for up to this number.
const MOST_LAYERS: usize = 64;
/// What may stand before a layer's number.
const PREFIXES: [&str; 5] = ["main.", "module.main.", "generator.main.", "netG.main.", "decoder.main."];
const ENCODER: &str = "encoder.main.";
const SIDE: usize = 4;
/// A picture's channels where there is an encoder.
const COLOURS: usize = 3;

/// From a latent to a picture, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

#[derive(Debug, Clone)]
struct Layer {
    name: String,
    inner: usize,
    out: usize,
    bias: bool,
    norm: Option<BatchNorm>,
}

/// A generator, perhaps with its encoder, whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Dcgan {
    layers: Vec<Layer>,
    /// A linear layer before them: its name and the numbers it takes.
    mapping: Option<(String, usize)>,
    /// Empty where there is none.
    encoder: Vec<Layer>,
    weights: Weights,
}

impl Dcgan {
    /// Whether a file holds such a generator.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        PREFIXES.iter().any(|prefix| layer(tensors, prefix, 0, Way::Up).is_some())
    }

    /// Finds the layers.
    ///
    /// Errors: `unsupported-model` where they are no chain from a latent to a picture of one or three channels, or an encoder is none from such a picture
    /// to such a latent; `corrupt-file` where a norm is misshapen.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let prefix = PREFIXES.into_iter().find(|prefix| layer(file, prefix, 0, Way::Up).is_some()).unwrap_or("main.");
        let all = |prefix, way| (0..MOST_LAYERS).filter_map(|number| layer(file, prefix, number, way)).collect();
        let (layers, encoder): (Vec<Layer>, Vec<Layer>) = (all(prefix, Way::Up), all(ENCODER, Way::Down));
        let last = layers.last().map(|last| last.out);
        if !chained(&layers) || layers.len() > 10 || !matches!(last, Some(1 | COLOURS)) {
            let widths: Vec<_> = layers.iter().map(|layer| (layer.inner, layer.out)).collect();
            return Err(Error::unsupported_model(format!(
                "the transposed convolutions {prefix}N.weight {widths:?} are no chain of 4×4 windows from a latent to a picture; give a \
                 DCGAN generator as PyTorch's example saves it"
            )));
        }
        let mapping = mapping(file, prefix.trim_end_matches("main."), layers.first().map_or(0, |first| first.inner));
        let ends = |layers: &[Layer]| Some((layers.first()?.inner, layers.last()?.out));
        if let (Some((from, to)), Some((first, channels))) = (ends(&encoder), ends(&layers)) {
            let latent = mapping.as_ref().map_or(first, |(_, latent)| *latent);
            let fits =
                from == COLOURS && channels == COLOURS && [Some(latent), latent.checked_mul(2)].contains(&Some(to));
            if !fits || !chained(&encoder) || encoder.len() != layers.len() {
                let widths: Vec<_> = encoder.iter().map(|layer| (layer.inner, layer.out)).collect();
                return Err(Error::unsupported_model(format!(
                    "the convolutions {ENCODER}N.weight {widths:?} are no chain of 4×4 windows from a coloured picture to the decoder's latent \
                     of {latent}, with as many layers as the decoder; give both halves of one model"
                )));
            }
        }
        let mut model = Self { layers, mapping, encoder, weights: Weights::declared(DType::F32) };
        let search = Search::new(file, storage, &Origin::same);
        model.generator(search.builder("dcgan"), 1)?;
        if model.has_encoder() {
            model.backwards(search.builder("dcgan encoder"), 1)?;
        }
        model.weights = search.finish();
        Ok(model)
    }

    /// Whether there is an encoder beside it, from pictures to means.
    pub fn has_encoder(&self) -> bool {
        !self.encoder.is_empty()
    }

    /// Numbers of a latent.
    pub fn latent(&self) -> usize {
        let first = self.layers.first().map_or(0, |layer| layer.inner);
        self.mapping.as_ref().map_or(first, |(_, latent)| *latent)
    }

    /// Sides of a picture in pixels.
    pub fn side(&self) -> usize {
        SIDE << self.layers.len().saturating_sub(1)
    }

    /// Channels of a picture: 3, or 1 for grey.
    pub fn channels(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.out)
    }

    /// How the weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Input `latent` `[batch, latent]` → output `picture` `[batch · side², channels]`.
    pub fn graph(&self, batch: usize) -> Result<Graph> {
        self.generator(self.weights.builder("dcgan"), batch)
    }

    /// Input `picture` `[batch · side², 3]` → output `moments` `[batch, latent or 2 · latent]`, whose first columns are the mean.
    ///
    /// Errors: `bad-argument` where there is no encoder.
    pub fn encoder(&self, batch: usize) -> Result<Graph> {
        if !self.has_encoder() {
            return Err(Error::bad_argument("a generator has no encoder; load an autoencoder for that"));
        }
        self.backwards(self.weights.builder("dcgan encoder"), batch)
    }

    fn generator(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let mut grid = Grid::new(batch, 1, 1);
        let mut x = b.g.input("latent", &[batch, self.latent()], DType::F32);
        if let (Some((name, _)), Some(first)) = (&self.mapping, self.layers.first()) {
            let mapped = b.linear(name, first.inner, x)?;
            x = b.g.unary(Unary::LeakyRelu { slope: 0.0 }, mapped);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            b.g.at(format!("layer {i}"));
            let window = if i == 0 { Window::square(SIDE, 1, 0) } else { Window::square(SIDE, 2, 1) };
            let (weight, bias) = layer.weights(&mut b, Recipe::conv_transpose)?;
            (x, grid) = b.g.conv_transpose2d(weight, bias, grid, window, x)?;
            let f = if i + 1 < self.layers.len() { Unary::LeakyRelu { slope: 0.0 } } else { Unary::Tanh };
            x = b.g.unary(f, x);
        }
        b.g.output("picture", x);
        Ok(b.finish())
    }

    fn backwards(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let mut grid = Grid::new(batch, self.side(), self.side());
        let mut x = b.g.input("picture", &[grid.rows(), COLOURS], DType::F32);
        for (i, layer) in self.encoder.iter().enumerate() {
            b.g.at(format!("layer {i}"));
            let last = i + 1 == self.encoder.len();
            let window = if last { Window::square(SIDE, 1, 0) } else { Window::square(SIDE, 2, 1) };
            let (weight, bias) = layer.weights(&mut b, Recipe::conv)?;
            (x, grid) = b.g.conv2d(weight, bias, grid, window, x)?;
            if !last {
                x = b.g.unary(Unary::LeakyRelu { slope: 0.2 }, x);
            }
        }
        b.g.output("moments", x);
        Ok(b.finish())
    }
}

impl Layer {
    /// Its weight and bias in a graph, with the norm folded in.
    fn weights(&self, b: &mut Builder, turn: fn(String, [usize; 2]) -> Recipe) -> Result<(WeightId, Option<WeightId>)> {
        let weight = |tensor: String| {
            let turned = turn(tensor, [SIDE; 2]);
            self.norm.clone().map_or(turned.clone(), |norm| turned.folded(norm))
        };
        let bias = |tensor: String| match self.norm.clone() {
            Some(norm) => Recipe::FoldedBias { bias: self.bias.then_some(tensor), norm },
            None => Recipe::Tensor(tensor),
        };
        let mut b = b.pp(&self.name);
        let weight = b.made("weight", &[self.out, SIDE * SIDE * self.inner], weight)?;
        let biased = self.bias || self.norm.is_some();
        Ok((weight, biased.then(|| b.made("bias", &[self.out], bias)).transpose()?))
    }
}

/// The linear layer below `stem` that gives `out` numbers, and how many it takes.
fn mapping(tensors: &dyn Tensors, stem: &str, out: usize) -> Option<(String, usize)> {
    let name = format!("{stem}mapping");
    match tensors.tensor(&format!("{name}.weight"))? {
        (_, &[rows, columns]) if rows == out => Some((name, columns)),
        _ => None,
    }
}

/// Whether each takes what the one before it gives.
fn chained(layers: &[Layer]) -> bool {
    layers.windows(2).all(|pair| pair[0].out == pair[1].inner)
}

/// The convolution with this number, transposed on the way up, and the norm behind it.
fn layer(tensors: &dyn Tensors, prefix: &str, number: usize, way: Way) -> Option<Layer> {
    let name = format!("{prefix}{number}");
    let (_, &[first, second, SIDE, SIDE]) = tensors.tensor(&format!("{name}.weight"))? else { return None };
    let (inner, out) = if way == Way::Up { (first, second) } else { (second, first) };
    let norm = BatchNorm::named(&format!("{prefix}{}", number + 1));
    let normed = tensors.tensor(&norm.mean).is_some();
    let bias = tensors.tensor(&format!("{name}.bias")).is_some();
    Some(Layer { name, inner, out, bias, norm: normed.then_some(norm) })
}
