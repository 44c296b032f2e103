//! The generator of a DCGAN (arXiv 1511.06434) as PyTorch's example saves it: transposed convolutions of 4×4 in a row, `main.N.weight`, each with a
//! batch norm and ReLU behind it, and tanh behind the last. The first makes 4×4 pixels of one, every other doubles the sides.
//!
//! Depth and widths follow from the file. The batch norms are folded into the convolutions while they load. Pictures are −1 … 1.

use super::{Index, Tensors, named::Named};
use crate::{
    Error, Result,
    graph::{DType, Graph, Grid, Unary, Window},
    weights::{BatchNorm, Recipe, Recipes, Storage, WeightFile},
};

/// Layers are looked for up to this number.
const MOST_LAYERS: usize = 64;
/// What may stand before a layer's number.
const PREFIXES: [&str; 4] = ["main.", "module.main.", "generator.main.", "netG.main."];
const SIDE: usize = 4;

#[derive(Debug, Clone)]
struct Layer {
    name: String,
    inner: usize,
    out: usize,
    bias: bool,
    norm: Option<BatchNorm>,
}

/// A generator whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Dcgan {
    layers: Vec<Layer>,
    index: Index,
    storage: Storage,
    recipes: Recipes,
}

impl Dcgan {
    /// Whether a file holds such a generator.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        PREFIXES.iter().any(|prefix| layer(tensors, prefix, 0).is_some())
    }

    /// Finds the layers.
    ///
    /// Errors: `unsupported-model` where they are no chain from a latent to a picture of one or three channels, `corrupt-file` where a norm is
    /// misshapen.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let prefix = PREFIXES.into_iter().find(|prefix| layer(file, prefix, 0).is_some()).unwrap_or("main.");
        let layers: Vec<Layer> = (0..MOST_LAYERS).filter_map(|number| layer(file, prefix, number)).collect();
        let chained = layers.windows(2).all(|pair| pair[0].out == pair[1].inner);
        let last = layers.last().map(|last| last.out);
        if !chained || layers.len() > 10 || !matches!(last, Some(1 | 3)) {
            let widths: Vec<_> = layers.iter().map(|layer| (layer.inner, layer.out)).collect();
            return Err(Error::unsupported_model(format!(
                "the transposed convolutions {prefix}N.weight {widths:?} are no chain of 4×4 windows from a latent to a picture; give a \
                 DCGAN generator as PyTorch's example saves it"
            )));
        }
        let mut model = Self { layers, index: Index::of(file), storage, recipes: Recipes::default() };
        model.recipes = model.build(1)?.1;
        Ok(model)
    }

    /// Numbers of a latent.
    pub fn latent(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inner)
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
        &self.recipes
    }

    /// Input `latent` `[batch, latent]` → output `picture` `[batch · side², channels]`.
    pub fn graph(&self, batch: usize) -> Result<Graph> {
        Ok(self.build(batch)?.0)
    }

    fn build(&self, batch: usize) -> Result<(Graph, Recipes)> {
        let own_names = |name: &str| name.to_string();
        let mut n = Named::of_file("dcgan", &self.index, self.storage, &own_names);
        let mut grid = Grid::new(batch, 1, 1);
        let mut x = n.g.input("latent", &[batch, self.latent()], DType::F32);
        for (i, layer) in self.layers.iter().enumerate() {
            n.g.at(format!("layer {i}"));
            let name = format!("{}.weight", layer.name);
            let window = if i == 0 { Window::square(SIDE, 1, 0) } else { Window::square(SIDE, 2, 1) };
            let turned = Recipe::conv_transpose(&name, [SIDE, SIDE]);
            let own_bias = layer.bias.then(|| format!("{}.bias", layer.name));
            let (weight, bias) = match layer.norm.clone() {
                Some(norm) => (turned.folded(norm.clone()), Some(Recipe::FoldedBias { bias: own_bias, norm })),
                None => (turned, own_bias.map(Recipe::Tensor)),
            };
            let weight = n.made(&name, &[layer.out, SIDE * SIDE * layer.inner], |_| weight)?;
            let bias = bias.map(|bias| n.made(&format!("{}.bias", layer.name), &[layer.out], |_| bias)).transpose()?;
            (x, grid) = n.g.conv_transpose2d(weight, bias, grid, window, x)?;
            let f = if i + 1 < self.layers.len() { Unary::LeakyRelu { slope: 0.0 } } else { Unary::Tanh };
            x = n.g.unary(f, x);
        }
        n.g.output("picture", x);
        Ok(n.finish_with_recipes())
    }
}

/// The transposed convolution with this number, and the norm behind it.
fn layer(tensors: &dyn Tensors, prefix: &str, number: usize) -> Option<Layer> {
    let name = format!("{prefix}{number}");
    let (_, &[inner, out, SIDE, SIDE]) = tensors.tensor(&format!("{name}.weight"))? else { return None };
    let norm = BatchNorm::named(&format!("{prefix}{}", number + 1));
    let normed = tensors.tensor(&norm.mean).is_some();
    let bias = tensors.tensor(&format!("{name}.bias")).is_some();
    Some(Layer { name, inner, out, bias, norm: normed.then_some(norm) })
}
