//! What a family of models is written with: a graph in the making, the name one stands below, and where the weights come from.
//!
//! A family calls its weights by names of its own and says their shapes, from top to bottom of the model:
//! [`Builder::pp`] goes below a name, [`Builder::linear`] and its kin make a layer of the weights there. Once, when a model is read,
//! a [`Search`] looks for each weight in the file, by the name that the file has for it ([`Origin`]), and says how it is made while it loads;
//! what it found are the model's [`Weights`], from which every later graph is built.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt::Display,
    ops::{Deref, DerefMut},
};

use super::Tensors;
use crate::{
    Error, Result,
    graph::{
        Binary, Cell, DType, Graph, GraphBuilder, Grid, Mask, StateId, Unary, ValueId, WeightId, WeightSpec, Window,
    },
    weights::{Recipe, Recipes, Storage, WeightFile, WeightFinder},
};

/// Where a file keeps a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The tensor's name in the file.
    pub name: String,
    pub form: Form,
}

/// What a tensor is to a weight that is read from it without a layer's own turning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// The same.
    Whole,
    /// Several weights on top of each other, this one the part `which` of its rows.
    Part { which: usize },
    /// The rows from `first` on.
    From { first: usize },
    /// The matrix turned, `[in, out]`.
    Transposed,
    /// Less by this number.
    Plus(f32),
}

impl Origin {
    /// The whole tensor of the same name.
    pub fn same(name: &str) -> Self {
        Self::whole(name)
    }

    pub fn whole(name: impl Into<String>) -> Self {
        Self { name: name.into(), form: Form::Whole }
    }

    fn recipe(self, shape: &[usize]) -> Recipe {
        let Self { name, form } = self;
        match form {
            Form::Whole => Recipe::Tensor(name),
            Form::Part { which } => Recipe::rows(name, which * shape.first().copied().unwrap_or(0)),
            Form::From { first } => Recipe::rows(name, first),
            Form::Transposed => Recipe::conv_transpose(name, [1, 1]),
            Form::Plus(plus) => Recipe::Plus { tensor: name, plus },
        }
    }
}

/// Makes the recipe of a weight from its tensor's name in the file.
type Make<'a> = &'a dyn Fn(String) -> Recipe;

/// What says of a weight how it is stored.
trait Binding {
    /// The weight by its whole name; made of its tensor as its [`Origin`] says, or by `make`.
    fn weight(&self, name: &str, shape: &[usize], make: Option<Make>) -> Result<WeightSpec>;

    /// Whether there is a weight by this name.
    fn has(&self, name: &str) -> bool;
}

/// The weights of a model by the names that its graphs give them: shapes, types on the device, and how each is made of a file's tensors.
#[derive(Debug, Clone)]
pub struct Weights {
    known: Known,
    recipes: Recipes,
}

#[derive(Debug, Clone)]
enum Known {
    Specs(BTreeMap<String, WeightSpec>),
    /// Whatever a graph asks for: matrices of this type, vectors in F32.
    Declared(DType),
}

impl Weights {
    /// Those of a file that names them as the graphs do and lays them out as the device has them.
    pub fn stored(file: &WeightFile) -> Self {
        let of = |name: &String, shape: &[usize], dtype| WeightSpec { name: name.clone(), shape: shape.into(), dtype };
        let specs = file.tensors.iter().map(|(name, t)| (name.clone(), of(name, &t.shape, t.dtype))).collect();
        Self { known: Known::Specs(specs), recipes: Recipes::default() }
    }

    /// Those that graphs ask for, in no file: matrices (convolutions among them) in this type where their rows are whole blocks of it, else in F16;
    /// vectors in F32.
    pub fn declared(matrices: DType) -> Self {
        Self { known: Known::Declared(matrices), recipes: Recipes::default() }
    }

    /// How they are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        &self.recipes
    }

    /// Begins a graph over these weights.
    pub fn builder(&self, graph: impl Into<String>) -> Builder<'_> {
        Builder::new(graph, self)
    }

    /// Those whose names begin so; none where they are declared only.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a WeightSpec> {
        let specs = match &self.known {
            Known::Specs(specs) => Some(specs),
            Known::Declared(_) => None,
        };
        specs.into_iter().flat_map(BTreeMap::values).filter(move |spec| spec.name.starts_with(prefix))
    }

    /// Any, with matrices of the type that most of these have, for a model that stands for another.
    pub fn alike(&self) -> Self {
        let mut counts: HashMap<DType, usize> = HashMap::new();
        for spec in self.below("").filter(|spec| spec.shape.len() > 1) {
            *counts.entry(spec.dtype).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        Self::declared(most.map_or(DType::F32, |(dtype, _)| dtype))
    }

    /// The same with other shapes, for a model that stands for another.
    pub fn reshaped(&self, change: impl Fn(&mut WeightSpec)) -> Self {
        let mut weights = self.clone();
        if let Known::Specs(specs) = &mut weights.known {
            specs.values_mut().for_each(change);
        }
        weights
    }
}

impl Binding for Weights {
    fn weight(&self, name: &str, shape: &[usize], _: Option<Make>) -> Result<WeightSpec> {
        let specs = match &self.known {
            Known::Specs(specs) => specs,
            Known::Declared(matrices) => {
                let whole = shape.last().is_some_and(|columns| matrices.row_bytes(*columns).is_some());
                let dtype = match shape.len() {
                    0 | 1 => DType::F32,
                    _ if whole => *matrices,
                    _ => DType::F16,
                };
                return Ok(WeightSpec { name: name.into(), shape: shape.into(), dtype });
            }
        };
        let Some(spec) = specs.get(name) else {
            return Err(Error::corrupt_file(format!(
                "the file has no weight {name} {shape:?}, which its configuration asks for; fetch the whole file again"
            )));
        };
        if spec.shape != shape {
            return Err(Error::corrupt_file(format!(
                "weight {name} is {:?} in the file, but the configuration asks for {shape:?}; the file is damaged or mislabelled",
                spec.shape
            )));
        }
        Ok(spec.clone())
    }

    fn has(&self, name: &str) -> bool {
        matches!(&self.known, Known::Specs(specs) if specs.contains_key(name))
    }
}

/// Finds a model's weights in a file, graph by graph.
pub struct Search<'a> {
    tensors: &'a dyn Tensors,
    /// From a weight's name here to its place in the file.
    names: &'a dyn Fn(&str) -> Origin,
    found: RefCell<(WeightFinder<'a>, BTreeMap<String, WeightSpec>)>,
}

impl<'a> Search<'a> {
    pub fn new(tensors: &'a dyn Tensors, storage: Storage, names: &'a dyn Fn(&str) -> Origin) -> Self {
        Self { tensors, names, found: RefCell::new((WeightFinder::new(tensors, storage), BTreeMap::new())) }
    }

    /// Begins a graph. Errors that the builder's methods give, beside the graph's own: `corrupt-file` that names the tensor which is missing, or is of another shape.
    pub fn builder(&self, graph: impl Into<String>) -> Builder<'_> {
        Builder::new(graph, self)
    }

    /// Whether the file has a weight by this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(&(self.names)(name).name).is_some()
    }

    /// All that the graphs asked for.
    pub fn finish(self) -> Weights {
        let (finder, specs) = self.found.into_inner();
        Weights { known: Known::Specs(specs), recipes: finder.finish() }
    }
}

impl Binding for Search<'_> {
    fn weight(&self, name: &str, shape: &[usize], make: Option<Make>) -> Result<WeightSpec> {
        let origin = (self.names)(name);
        let recipe = match make {
            Some(make) => make(origin.name),
            None => origin.recipe(shape),
        };
        let (finder, specs) = &mut *self.found.borrow_mut();
        let spec = finder.find(name, shape, recipe)?;
        specs.insert(name.into(), spec.clone());
        Ok(spec)
    }

    fn has(&self, name: &str) -> bool {
        Search::has(self, name)
    }
}

/// A graph in the making.
pub struct Builder<'a> {
    pub g: GraphBuilder,
    weights: &'a dyn Binding,
    /// Before every name, with a dot at its end unless it is empty.
    prefix: String,
}

/// A [`Builder`] below a name, while this lives.
pub struct Below<'b, 'a> {
    builder: &'b mut Builder<'a>,
    /// Bytes of the prefix before.
    outer: usize,
}

impl<'a> Deref for Below<'_, 'a> {
    type Target = Builder<'a>;

    fn deref(&self) -> &Builder<'a> {
        self.builder
    }
}

impl<'a> DerefMut for Below<'_, 'a> {
    fn deref_mut(&mut self) -> &mut Builder<'a> {
        self.builder
    }
}

impl Drop for Below<'_, '_> {
    fn drop(&mut self) {
        self.builder.prefix.truncate(self.outer);
    }
}

/// Heads of an attention and the batch it is for.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub batch: usize,
    pub heads: usize,
    pub width: usize,
}

impl<'a> Builder<'a> {
    fn new(graph: impl Into<String>, weights: &'a dyn Binding) -> Self {
        Self { g: GraphBuilder::new(graph), weights, prefix: String::new() }
    }

    /// Goes below `name` until what this gives is dropped: `b.pp("self_attn").linear("q_proj", …)` reads `self_attn.q_proj.weight`.
    pub fn pp(&mut self, name: impl Display) -> Below<'_, 'a> {
        let outer = self.prefix.len();
        self.prefix += &format!("{name}.");
        Below { builder: self, outer }
    }

    /// Labels what follows with the name it stands below.
    pub fn label(&mut self) {
        let name = self.prefix.trim_end_matches('.').to_string();
        self.g.at(name);
    }

    pub fn finish(self) -> Graph {
        self.g.finish()
    }

    fn whole(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether there is a weight by this name; none is where weights are declared only.
    pub fn has(&self, name: &str) -> bool {
        self.weights.has(&self.whole(name))
    }

    /// The weight called `name`, of `shape`.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<WeightId> {
        let spec = self.weights.weight(&self.whole(name), shape, None)?;
        self.g.declare(&spec)
    }

    /// The same, made of its tensor in the file by a recipe of the layer's.
    pub fn made(&mut self, name: &str, shape: &[usize], recipe: impl Fn(String) -> Recipe) -> Result<WeightId> {
        let spec = self.weights.weight(&self.whole(name), shape, Some(&recipe))?;
        self.g.declare(&spec)
    }

    /// `name.weight` `[out, in]`, for a layer over `x`.
    fn matrix(&mut self, name: &str, out: usize, x: ValueId) -> Result<WeightId> {
        let inner = self.columns_of(x);
        self.weight(&format!("{name}.weight"), &[out, inner])
    }

    /// A convolution's weight `[out, window · in]`; PyTorch's layout in a file.
    fn window_weight(&mut self, name: &str, out: usize, channels: usize, window: Window) -> Result<WeightId> {
        let sides = [window.height, window.width];
        self.made(&format!("{name}.weight"), &[out, window.area() * channels], |tensor| Recipe::conv(tensor, sides))
    }

    /// `name.weight` `[out, in]` and `name.bias` `[out]`: x `[t, in]` → `[t, out]`.
    pub fn linear(&mut self, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        let weight = self.matrix(name, out, x)?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.linear(weight, Some(bias), x)
    }

    /// The same without a bias.
    pub fn linear_without_bias(&mut self, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        let weight = self.matrix(name, out, x)?;
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
        let (inner, sides) = (window.area() * self.columns_of(x), [window.height, window.width]);
        let turned = |tensor| Recipe::conv_transpose(tensor, sides);
        let weight = self.made(&format!("{name}.weight"), &[out, inner], turned)?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.conv_transpose2d(weight, Some(bias), grid, window, x)
    }

    /// `name.weight` and `name.bias`, one number each for every column of `x`.
    fn scale_and_shift(&mut self, name: &str, x: ValueId) -> Result<(WeightId, WeightId)> {
        let columns = [self.columns_of(x)];
        Ok((self.weight(&format!("{name}.weight"), &columns)?, self.weight(&format!("{name}.bias"), &columns)?))
    }

    /// A LayerNorm with `name.weight` and `name.bias`.
    pub fn layer_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId> {
        let (weight, bias) = self.scale_and_shift(name, x)?;
        self.g.layer_norm(Some(weight), Some(bias), eps, x)
    }

    /// An RMSNorm with `name.weight`: of whole rows of `x`, or of each `columns` of them.
    pub fn rms_norm(&mut self, name: &str, columns: usize, eps: f32, x: ValueId) -> Result<ValueId> {
        let weight = self.weight(&format!("{name}.weight"), &[columns])?;
        self.g.rms_norm(weight, eps, x)
    }

    /// A recurrent layer as PyTorch's `LSTM`, `GRU` and `RNN` call its weights: `weight_ih_lN` `[gates · width, in]`, `weight_hh_lN` `[gates · width, width]`,
    /// and where the file has them `bias_ih_lN` and `bias_hh_lN`. The states are `[batch, width]`; x `[batch · t, in]` → `[batch · t, width]`.
    pub fn recurrent(
        &mut self,
        layer: usize,
        cell: Cell,
        width: usize,
        states: (StateId, Option<StateId>),
        x: ValueId,
    ) -> Result<ValueId> {
        let (wide, inner) = (cell.gates() * width, self.columns_of(x));
        let mut half = |part: &str, columns: usize| -> Result<(WeightId, Option<WeightId>)> {
            let bias = format!("bias_{part}_l{layer}");
            let weight = self.weight(&format!("weight_{part}_l{layer}"), &[wide, columns])?;
            Ok((weight, self.has(&bias).then(|| self.weight(&bias, &[wide])).transpose()?))
        };
        let ((weight, bias), of_states) = (half("ih", inner)?, half("hh", width)?);
        let x = self.g.linear(weight, bias, x)?;
        self.g.recurrent(cell, of_states, states, x)
    }

    /// A GroupNorm with `name.weight` and `name.bias`.
    pub fn group_norm(&mut self, name: &str, groups: usize, eps: f32, batch: usize, x: ValueId) -> Result<ValueId> {
        let (weight, bias) = self.scale_and_shift(name, x)?;
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

    pub fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.g.binary(Binary::Add, a, b)
    }

    pub fn columns_of(&self, x: ValueId) -> usize {
        self.g.shape(x).last().copied().unwrap_or(0)
    }
}
