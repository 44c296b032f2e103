//! Layers by the names of their weights: what a model of many parts is written with. A weight's shape is the model's, its type what
//! [`Types`] or a file's tensors say; one that does not fit the file is a corrupt file by its name.

use super::{Index, Tensors};
use crate::{
    Error, Result,
    graph::{Binary, DType, Graph, GraphBuilder, Grid, Mask, Unary, ValueId, WeightId, Window},
    weights::{Recipe, Recipes, Storage, WeightFinder},
};

/// The type in which each weight of a model is kept on the device.
#[derive(Debug, Clone)]
pub enum Types {
    /// As an index has them.
    Index(Index),
    /// Matrices (convolutions among them) in this type where their rows are whole blocks of it, else in F16; vectors in F32.
    Matrices(DType),
}

impl Types {
    fn of(&self, name: &str, shape: &[usize]) -> Result<DType> {
        let index = match self {
            Self::Index(index) => index,
            Self::Matrices(_) if shape.len() < 2 => return Ok(DType::F32),
            Self::Matrices(dtype) => {
                let whole = shape.last().is_some_and(|columns| dtype.row_bytes(*columns).is_some());
                return Ok(if whole { *dtype } else { DType::F16 });
            }
        };
        let Some((dtype, found)) = index.tensor(name) else {
            return Err(Error::corrupt_file(format!(
                "the file has no weight {name} {shape:?}, which its configuration asks for; fetch the whole file again"
            )));
        };
        if found != shape {
            return Err(Error::corrupt_file(format!(
                "weight {name} is {found:?} in the file, but the configuration asks for {shape:?}; the file is damaged or mislabelled"
            )));
        }
        Ok(dtype)
    }
}

/// A graph in the making.
pub struct Named<'a> {
    pub g: GraphBuilder,
    source: Source<'a>,
}

/// What says the types of weights.
enum Source<'a> {
    Types(&'a Types),
    /// A file's tensors, each checked and with its recipe; and from a weight's name here to its tensor's there.
    File(WeightFinder<'a>, &'a dyn Fn(&str) -> String),
}

/// Heads of an attention and the batch it is for.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub batch: usize,
    pub heads: usize,
    pub width: usize,
}

impl<'a> Named<'a> {
    pub fn new(graph: impl Into<String>, types: &'a Types) -> Self {
        Self { g: GraphBuilder::new(graph), source: Source::Types(types) }
    }

    /// For a model whose weights are made of a file's tensors while they load: [`Self::finish_with_recipes`] says how.
    pub fn of_file(
        graph: impl Into<String>,
        tensors: &'a dyn Tensors,
        storage: Storage,
        file_name: &'a dyn Fn(&str) -> String,
    ) -> Self {
        let finder = WeightFinder::new(tensors, storage);
        Self { g: GraphBuilder::new(graph), source: Source::File(finder, file_name) }
    }

    pub fn finish(self) -> Graph {
        self.g.finish()
    }

    /// The graph, and how its weights are made of the file's tensors.
    pub fn finish_with_recipes(self) -> (Graph, Recipes) {
        let recipes = match self.source {
            Source::Types(_) => Recipes::default(),
            Source::File(finder, _) => finder.finish(),
        };
        (self.g.finish(), recipes)
    }

    /// The weight called `name`, of `shape`.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<WeightId> {
        self.made(name, shape, Recipe::Tensor)
    }

    /// The same, made of its tensor in the file by a recipe.
    pub fn made(&mut self, name: &str, shape: &[usize], recipe: impl FnOnce(String) -> Recipe) -> Result<WeightId> {
        match &mut self.source {
            Source::Types(types) => {
                let dtype = types.of(name, shape)?;
                self.g.weight(name, shape, dtype)
            }
            Source::File(finder, file_name) => {
                let spec = finder.find(name, shape, recipe(file_name(name)))?;
                self.g.declare(&spec)
            }
        }
    }

    /// A convolution's weight `[out, window · in]`; PyTorch's layout in a file.
    fn window_weight(&mut self, name: &str, out: usize, channels: usize, window: Window) -> Result<WeightId> {
        let sides = [window.height, window.width];
        self.made(&format!("{name}.weight"), &[out, window.area() * channels], |tensor| Recipe::conv(tensor, sides))
    }

    /// `name.weight` `[out, in]` and `name.bias` `[out]`: x `[t, in]` → `[t, out]`.
    pub fn linear(&mut self, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        let inner = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.linear(weight, Some(bias), x)
    }

    /// The same without a bias.
    pub fn linear_without_bias(&mut self, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        let inner = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        self.g.linear(weight, None, x)
    }

    /// `name.weight` `[rows, width]`: ids `[t]` → `[t, width]`.
    pub fn embedding(&mut self, name: &str, rows: usize, width: usize, ids: ValueId) -> Result<ValueId> {
        let table = self.weight(&format!("{name}.weight"), &[rows, width])?;
        self.g.embedding(table, ids)
    }

    /// `name.weight` `[out, window · in]` and `name.bias` `[out]`.
    pub fn conv(&mut self, name: &str, out: usize, grid: Grid, window: Window, x: ValueId) -> Result<(ValueId, Grid)> {
        let weight = self.window_weight(name, out, self.columns_of(x), window)?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.conv2d(weight, Some(bias), grid, window, x)
    }

    /// The same without a bias.
    pub fn conv_without_bias(
        &mut self,
        name: &str,
        out: usize,
        grid: Grid,
        window: Window,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let weight = self.window_weight(name, out, self.columns_of(x), window)?;
        self.g.conv2d(weight, None, grid, window, x)
    }

    /// A convolution of 3×3 pixels that leaves a picture as large as it was.
    pub fn conv3(&mut self, name: &str, out: usize, grid: Grid, x: ValueId) -> Result<ValueId> {
        Ok(self.conv(name, out, grid, Window::square(3, 1, 1), x)?.0)
    }

    /// As [`conv`](Self::conv), for a transposed convolution.
    pub fn conv_transpose(
        &mut self,
        name: &str,
        out: usize,
        grid: Grid,
        window: Window,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let inner = window.area() * self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.conv_transpose2d(weight, Some(bias), grid, window, x)
    }

    /// A LayerNorm with `name.weight` and `name.bias`.
    pub fn layer_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId> {
        let n = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[n])?;
        let bias = self.weight(&format!("{name}.bias"), &[n])?;
        self.g.layer_norm(Some(weight), Some(bias), eps, x)
    }

    /// A GroupNorm with `name.weight` and `name.bias`.
    pub fn group_norm(&mut self, name: &str, groups: usize, eps: f32, batch: usize, x: ValueId) -> Result<ValueId> {
        let n = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[n])?;
        let bias = self.weight(&format!("{name}.bias"), &[n])?;
        self.g.group_norm(weight, bias, groups, eps, batch, x)
    }

    /// The same, then SiLU.
    pub fn group_norm_silu(
        &mut self,
        name: &str,
        groups: usize,
        eps: f32,
        batch: usize,
        x: ValueId,
    ) -> Result<ValueId> {
        let x = self.group_norm(name, groups, eps, batch, x)?;
        Ok(self.g.unary(Unary::Silu, x))
    }

    /// `name.query`, `name.key`, `name.value`, `name.output`: rows of x look at all rows of y of their member of the batch.
    pub fn attention(&mut self, name: &str, of: Heads, x: ValueId, y: ValueId) -> Result<ValueId> {
        let width = of.width;
        let q = self.linear(&format!("{name}.query"), width, x)?;
        let k = self.linear(&format!("{name}.key"), width, y)?;
        let v = self.linear(&format!("{name}.value"), width, y)?;
        let a = self.attend(of, Mask::FULL, q, k, v)?;
        self.linear(&format!("{name}.output"), width, a)
    }

    /// Attention without its layers, scaled by the root of a head's width.
    pub fn attend(&mut self, of: Heads, mask: Mask, q: ValueId, k: ValueId, v: ValueId) -> Result<ValueId> {
        let Heads { batch, heads, width } = of;
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(Error::corrupt_file(format!(
                "{heads} heads cannot share a width of {width}; give the configuration that belongs to these weights"
            )));
        }
        let dim = width / heads;
        self.g.attention_between(batch, heads, heads, dim, 1.0 / (dim as f32).sqrt(), mask, q, k, v)
    }

    /// `name.in`, GELU (tanh), `name.out`, four times as wide between them.
    pub fn mlp(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let width = self.columns_of(x);
        let h = self.linear(&format!("{name}.in"), 4 * width, x)?;
        let h = self.g.unary(Unary::GeluTanh, h);
        self.linear(&format!("{name}.out"), width, h)
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.g.binary(Binary::Add, a, b)
    }

    pub fn columns_of(&self, x: ValueId) -> usize {
        self.g.shape(x).last().copied().unwrap_or(0)
    }
}
