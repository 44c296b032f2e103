//! Plain networks: linear layers or convolutions one after another, with norms and functions between, as PyTorch's `Sequential` and modules written like
//! one save them. What a layer is follows from its tensors, their order from names and shapes together, so that any prefix and any numbers will do.
//!
//! What leaves no tensor behind (functions, strides, the way a label goes in) follows from the designs that people publish; a `config.json` beside the
//! weights says otherwise ([`Settings`]). docs/models.md has the rules in words.

mod settings;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

pub use settings::Settings;
pub use windows::{Step, windows};

use super::{Builder, Tensors};
use crate::{
    Error, Result,
    graph::{Binary, DType, Grid, Unary, ValueId, WeightId, Window},
    weights::{BatchNorm, Recipe, SpectralNorm, shown},
};

/// Layers of no plain network go beyond.
const MOST_LAYERS: usize = 32;
/// Orders of layers that are tried before a file is given up.
const MOST_TRIES: usize = 10_000;
/// PyTorch's own, of every norm.
pub const EPS: f32 = 1e-5;
pub const RELU: Unary = Unary::LeakyRelu { slope: 0.0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Linear,
    Conv,
    Transposed,
}

/// A norm behind a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    name: String,
    channels: usize,
    /// A batch norm, with running statistics; else each picture's own (arXiv 1607.08022), or each row's.
    running: bool,
    /// How many modules without weights stand before it, where a `Sequential` numbers them.
    gap: usize,
    pub eps: f32,
}

/// A layer, the norm and the function behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub name: String,
    pub kind: Kind,
    pub inner: usize,
    pub out: usize,
    /// The window's side; 1 for a linear layer.
    pub kernel: usize,
    bias: bool,
    /// What its weight is called and divided by, where a spectral norm was trained with it.
    spectral: Option<(String, SpectralNorm)>,
    pub norm: Option<Norm>,
    pub function: Option<Unary>,
}

/// A table of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub classes: usize,
    pub width: usize,
    /// Whether it stands in no file: each row is nothing but a one at the label's place.
    pub is_one_hot: bool,
}

impl Table {
    /// Of a network that takes labels as ones and zeros.
    pub fn one_hot(classes: usize) -> Self {
        Self { name: "label".into(), classes, width: classes, is_one_hot: true }
    }
}

/// A layer whose kind is not known yet.
#[derive(Debug)]
struct Raw {
    name: String,
    shape: Vec<usize>,
    bias: Option<usize>,
    spectral: Option<(String, SpectralNorm)>,
    norm: Option<Norm>,
}

/// A tensor's module and what it is there. A spectral norm of today's kind puts its own names between; they become those of the older kind.
fn field(tensor: &str) -> (&str, &str) {
    let known = [
        (".parametrizations.weight.original", "weight_orig"),
        (".parametrizations.weight.0._u", "weight_u"),
        (".parametrizations.weight.0._v", "weight_v"),
    ];
    let spectral = known.iter().find_map(|(end, field)| Some((tensor.strip_suffix(end)?, *field)));
    spectral.or_else(|| tensor.rsplit_once('.')).unwrap_or(("", tensor))
}

/// The layers of a file, in the order of their names, linear ones first.
#[derive(Debug)]
pub struct Net {
    layers: Vec<Raw>,
    pub table: Option<Table>,
}

impl Net {
    /// Reads the modules for whose names `of` holds.
    ///
    /// Errors: `unsupported-model` that names a tensor which no plain network has.
    pub fn read(tensors: &dyn Tensors, of: &dyn Fn(&str) -> bool) -> Result<Self> {
        let names = tensors.names_ending("");
        let modules: BTreeSet<(Vec<(&str, u64)>, &str)> = names
            .iter()
            .map(|name| if name.contains('.') { field(name).0 } else { *name })
            .filter(|module| of(module) && !judges(module))
            .map(|module| (natural(module), module))
            .collect();
        let plain = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
        let fields = [&plain[..], &["weight_orig", "weight_u", "weight_v"]].concat();
        // The tensors of spectral norms, by module and field.
        let spectral: BTreeMap<(&str, &str), &str> = names
            .iter()
            .map(|name| (field(name), *name))
            .filter(|((_, field), _)| field.starts_with("weight_"))
            .collect();
        let strange = names.iter().find(|name| {
            let (module, field) = field(name);
            of(module) && !judges(module) && (module.is_empty() || !fields.contains(&field))
        });
        if let Some(name) = strange {
            return Err(foreign(name));
        }
        let side = |name: String| tensors.tensor(&name).map(|(_, shape)| shape.iter().product::<usize>());
        let (mut layers, mut norms, mut table): (Vec<Raw>, Vec<Norm>, _) = (vec![], vec![], None);
        for (_, module) in &modules {
            let part = |field: &'static str| spectral.get(&(*module, field)).copied();
            let divided = match (part("weight_orig"), part("weight_u"), part("weight_v")) {
                (Some(weight), Some(u), Some(v)) => {
                    Some((weight.to_owned(), SpectralNorm { u: u.into(), v: v.into() }))
                }
                (None, None, None) => None,
                (weight, u, v) => return Err(foreign(weight.or(v).or(u).unwrap_or(*module))),
            };
            let weight = divided.as_ref().map_or_else(|| format!("{module}.weight"), |(weight, _)| weight.clone());
            let Some((_, shape)) = tensors.tensor(&weight) else {
                return Err(foreign(&weight));
            };
            let (name, bias) = ((*module).to_owned(), side(format!("{module}.bias")));
            match *shape {
                [classes, width] if bias.is_none() && is_table(module) && table.is_none() && divided.is_none() => {
                    table = Some(Table { name, classes, width, is_one_hot: false });
                }
                [_, _] | [_, _, _, _] if !shape.contains(&0) => {
                    layers.push(Raw { name, shape: shape.to_vec(), bias, spectral: divided, norm: None });
                }
                [channels] if divided.is_none() && bias == Some(channels) && channels > 0 => {
                    let running = side(format!("{module}.running_mean")).is_some();
                    norms.push(Norm { name, channels, running, gap: 0, eps: EPS });
                }
                _ => return Err(foreign(&weight)),
            }
        }
        if layers.len() > MOST_LAYERS {
            return Err(Error::unsupported_model(format!("{} layers are more than a plain network has", layers.len())));
        }
        for norm in norms {
            let Some(at) = owner(&layers, &norm) else { return Err(foreign(&format!("{}.weight", norm.name))) };
            let gap = between(&layers[at].name, &norm.name).unwrap_or(0);
            layers[at].norm = Some(Norm { gap, ..norm });
        }
        layers.sort_by_key(|layer| layer.shape.len());
        Ok(Self { layers, table })
    }

    pub fn has_convolutions(&self) -> bool {
        self.layers.iter().any(|layer| layer.shape.len() == 4)
    }

    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Whether every norm has the statistics of its training.
    pub fn has_batch_norms_alone(&self) -> bool {
        self.layers.iter().all(|layer| layer.norm.as_ref().is_none_or(|norm| norm.running))
    }

    /// All linear layers, in the order of their names.
    pub fn linears(&self) -> Vec<Layer> {
        self.layers.iter().filter_map(|raw| raw.of(Kind::Linear)).collect()
    }

    /// All convolutions, in the order of their names, none of them transposed.
    pub fn convolutions(&self) -> Vec<Layer> {
        self.layers.iter().filter_map(|raw| raw.of(Kind::Conv)).collect()
    }

    /// All layers, each taking what the one before it gives, the last such a one as `ends` says.
    ///
    /// Errors: `unsupported-model` with the shapes, where there is no such order.
    pub fn chain(&self, ends: &dyn Fn(&Layer) -> bool) -> Result<Vec<Layer>> {
        let raws = &self.layers;
        // Backwards a discriminator is a chain too, so the order of names goes before any other.
        for in_order in [true, false] {
            for kinds in [&[Kind::Transposed][..], &[Kind::Conv], &[Kind::Transposed, Kind::Conv]] {
                let mut search = Search { raws, kinds, ends, in_order, used: vec![false; raws.len()], tries: 0 };
                let mut chain = vec![];
                if search.go_on(&mut chain) {
                    return Ok(chain);
                }
            }
        }
        let shapes: Vec<String> =
            self.layers.iter().map(|layer| format!("{}.weight {:?}", shown(&layer.name), layer.shape)).collect();
        Err(Error::unsupported_model(format!(
            "these layers are no chain from a latent to a picture, each taking what another gives: {}; give the generator's or decoder's own state_dict",
            shapes.join(", ")
        )))
    }
}

/// A search for the order of layers.
struct Search<'a> {
    raws: &'a [Raw],
    /// What a convolution may be.
    kinds: &'a [Kind],
    ends: &'a dyn Fn(&Layer) -> bool,
    /// Whether the order is that of the names.
    in_order: bool,
    used: Vec<bool>,
    tries: usize,
}

impl Search<'_> {
    fn go_on(&mut self, chain: &mut Vec<Layer>) -> bool {
        if chain.len() == self.raws.len() {
            return chain.last().is_some_and(self.ends);
        }
        self.tries += 1;
        let candidates = if self.in_order { chain.len()..chain.len() + 1 } else { 0..self.raws.len() };
        for (at, raw) in candidates.filter_map(|at| Some((at, self.raws.get(at)?))) {
            let kinds = if raw.shape.len() == 2 { &[Kind::Linear] } else { self.kinds };
            for kind in kinds {
                let Some(layer) = raw.of(*kind).filter(|_| !self.used[at] && self.tries < MOST_TRIES) else { continue };
                if chain.last().is_some_and(|before| before.pixels_for(&layer).is_none()) {
                    continue;
                }
                self.used[at] = true;
                chain.push(layer);
                if self.go_on(chain) {
                    return true;
                }
                chain.pop();
                self.used[at] = false;
            }
        }
        false
    }
}

impl Raw {
    /// The layer that this is, if it is of this kind.
    fn of(&self, kind: Kind) -> Option<Layer> {
        let (out, inner, kernel) = match (kind, &self.shape[..]) {
            (Kind::Linear, &[out, inner]) => (out, inner, 1),
            (Kind::Conv, &[out, inner, height, width]) if height == width => (out, inner, height),
            (Kind::Transposed, &[inner, out, height, width]) if height == width => (out, inner, height),
            _ => return None,
        };
        let fits = |channels| if kind == Kind::Linear { out.is_multiple_of(channels) } else { out == channels };
        let fit = self.bias.is_none_or(|bias| bias == out) && self.norm.as_ref().is_none_or(|norm| fits(norm.channels));
        let (name, norm, spectral) = (self.name.clone(), self.norm.clone(), self.spectral.clone());
        fit.then(|| Layer { name, kind, inner, out, kernel, bias: self.bias.is_some(), spectral, norm, function: None })
    }
}

impl Layer {
    /// Pixels into which what it gives is viewed for the next; `None` where that does not take it.
    pub fn pixels_for(&self, next: &Self) -> Option<usize> {
        match (self.kind, next.kind) {
            (Kind::Linear, Kind::Conv | Kind::Transposed) => {
                let pixels = self.out.is_multiple_of(next.inner).then(|| self.out / next.inner)?;
                let side = pixels.isqrt();
                (side * side == pixels && side <= 64).then_some(pixels)
            }
            (Kind::Conv | Kind::Transposed, Kind::Linear) => None,
            _ => (self.out == next.inner).then_some(1),
        }
    }

    /// Whether the function stands before the norm, as the numbers of a `Sequential` tell; where the norm is that of a view as pixels, the view has a number too.
    fn is_late(&self, norm: &Norm) -> bool {
        norm.gap > usize::from(norm.channels != self.out)
    }

    /// The statistics that go into its weights.
    fn folded(&self) -> Option<BatchNorm> {
        let norm =
            self.norm.as_ref().filter(|norm| norm.running && norm.channels == self.out && !self.is_late(norm))?;
        Some(norm.statistics())
    }

    /// Weight `[out, kernel² · inner]` and bias, the norm folded in; rows turned for a view as so many pixels.
    fn weights(&self, b: &mut Builder, pixels: usize) -> Result<(WeightId, Option<WeightId>)> {
        let (fold, window) = (self.folded(), [self.kernel; 2]);
        let viewed = |recipe| if pixels > 1 { Recipe::Pixels { of: Box::new(recipe), area: pixels } } else { recipe };
        let weight = |tensor: String| {
            let tensor = self.spectral.as_ref().map_or(tensor, |(weight, _)| weight.clone());
            let made = match self.kind {
                Kind::Linear => Recipe::Tensor(tensor),
                Kind::Conv => Recipe::conv(tensor, window),
                Kind::Transposed => Recipe::conv_transpose(tensor, window),
            };
            let made = match &self.spectral {
                Some((_, norm)) => made.spectral(norm.clone()),
                None => made,
            };
            viewed(fold.clone().map_or(made.clone(), |norm| made.folded(norm)))
        };
        let bias = |tensor: String| {
            viewed(match fold.clone() {
                Some(norm) => Recipe::FoldedBias { bias: self.bias.then_some(tensor), norm },
                None => Recipe::Tensor(tensor),
            })
        };
        let mut b = b.pp(&self.name);
        let weight = b.made("weight", &[self.out, self.kernel * self.kernel * self.inner], weight)?;
        let biased = self.bias || fold.is_some();
        Ok((weight, biased.then(|| b.made("bias", &[self.out], bias)).transpose()?))
    }

    /// A linear layer: x `[batch, inner]` → `[batch · pixels, out / pixels]`.
    pub fn linear(&self, b: &mut Builder, batch: usize, pixels: usize, x: ValueId) -> Result<ValueId> {
        b.g.at(self.name.clone());
        if pixels > 1 && self.norm.as_ref().is_some_and(|norm| norm.channels == self.out && self.folded().is_none()) {
            return Err(Error::unsupported_model(format!(
                "the norm {} stands behind a function and before a view as pixels, which does not run here",
                self.norm.as_ref().map_or("", |norm| &norm.name)
            )));
        }
        let (weight, bias) = self.weights(b, pixels)?;
        let mut x = b.g.linear(weight, bias, x)?;
        if pixels > 1 {
            x = b.g.reshape(batch * pixels, x)?;
        }
        self.behind(b, batch, x)
    }

    /// A linear layer over pictures whose `side²` pixels lie one after another, channels innermost, and whose weights expect each channel's one after another: x
    /// `[batch, inner]` → `[batch, out]`.
    pub fn flattened(&self, b: &mut Builder, batch: usize, side: usize, x: ValueId) -> Result<ValueId> {
        let window = Self { kind: Kind::Conv, kernel: side, inner: self.inner / (side * side), ..self.clone() };
        b.g.at(self.name.clone());
        let (weight, bias) = window.weights(b, 1)?;
        let x = b.g.linear(weight, bias, x)?;
        self.behind(b, batch, x)
    }

    /// A convolution of either kind.
    pub fn convolve(&self, b: &mut Builder, grid: Grid, window: Window, x: ValueId) -> Result<(ValueId, Grid)> {
        b.g.at(self.name.clone());
        let (weight, bias) = self.weights(b, 1)?;
        let (x, grid) = match self.kind {
            Kind::Transposed => b.g.conv_transpose2d(weight, bias, grid, window, x)?,
            _ => b.g.conv2d(weight, bias, grid, window, x)?,
        };
        Ok((self.behind(b, grid.batch, x)?, grid))
    }

    /// The norm, where it is not folded into the weights, and the function.
    fn behind(&self, b: &mut Builder, batch: usize, x: ValueId) -> Result<ValueId> {
        let function = |b: &mut Builder, x| self.function.map_or(x, |f| b.g.unary(f, x));
        match &self.norm {
            Some(norm) if self.folded().is_none() => {
                if self.is_late(norm) {
                    let x = function(b, x);
                    return norm.apply(b, batch, x);
                }
                let x = norm.apply(b, batch, x)?;
                Ok(function(b, x))
            }
            _ => Ok(function(b, x)),
        }
    }
}

impl Norm {
    fn statistics(&self) -> BatchNorm {
        BatchNorm { eps: self.eps, ..BatchNorm::named(&self.name) }
    }

    fn apply(&self, b: &mut Builder, batch: usize, x: ValueId) -> Result<ValueId> {
        if !self.running {
            return match b.g.shape(x)[0] {
                rows if rows == batch => b.layer_norm(&self.name, self.eps, x),
                _ => b.group_norm(&self.name, self.channels, self.eps, batch, x),
            };
        }
        let (norm, row) = (self.statistics(), [1, self.channels]);
        let mut b = b.pp(&self.name);
        let scale = b.made("scale", &row, |_| Recipe::NormScale(norm.clone()))?;
        let shift = b.made("shift", &row, |_| Recipe::FoldedBias { bias: None, norm: norm.clone() })?;
        let ids = b.g.ids(&vec![0; batch]);
        let (scale, shift) = (b.g.embedding(scale, ids)?, b.g.embedding(shift, ids)?);
        let x = b.g.broadcast(Binary::Mul, batch, x, scale)?;
        b.g.broadcast(Binary::Add, batch, x, shift)
    }
}

/// How a label meets a latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Its row is multiplied with the latent (ACGAN, arXiv 1610.09585, as PyTorch-GAN writes it).
    Multiplied,
    /// Its row stands before the latent, or behind it (arXiv 1411.1784).
    First,
    Last,
}

/// A table of labels and how its rows meet a latent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub table: Table,
    how: Meeting,
}

impl Label {
    /// The way into a layer that takes `width` numbers.
    ///
    /// Errors: `unsupported-model` where the table's rows are too wide for it.
    pub fn of(table: Table, width: usize, settings: &Settings, or: Meeting) -> Result<Self> {
        let how = settings.meeting()?.unwrap_or(if table.width == width { Meeting::Multiplied } else { or });
        let fits = if how == Meeting::Multiplied { table.width == width } else { table.width < width };
        if !fits || table.classes == 0 {
            return Err(Error::unsupported_model(format!(
                "the table {}.weight [{}, {}] meets a layer that takes {width} numbers, and fits it neither multiplied with a latent nor beside one",
                shown(&table.name),
                table.classes,
                table.width
            )));
        }
        Ok(Self { table, how })
    }

    /// Of a network whose mean has fewer numbers than its decoder's first layer takes: the others are a label's ones and zeros, behind the latent where
    /// nothing else is said.
    ///
    /// Errors: `unsupported-model` where they are none.
    pub fn beside(mean: &Layer, width: usize, settings: &Settings) -> Result<Self> {
        let classes = width.checked_sub(mean.out).filter(|classes| *classes > 1).ok_or_else(|| {
            Error::unsupported_model(format!(
                "the decoder's first layer takes {width} numbers, and the mean {} has {}, which leaves no label; give the autoencoder's own state_dict",
                shown(&mean.name),
                mean.out
            ))
        })?;
        Self::of(Table::one_hot(classes), width, settings, Meeting::Last)
    }

    /// Numbers of a latent, of the `width` that the first layer takes.
    pub fn latent(&self, width: usize) -> usize {
        if self.how == Meeting::Multiplied { width } else { width - self.table.width }
    }

    /// Input `label` `[batch]` U32 and the latent → what the first layer takes.
    pub fn meet(&self, b: &mut Builder, batch: usize, latent: ValueId) -> Result<ValueId> {
        b.g.at("label");
        let ids = b.g.input("label", &[batch], DType::U32);
        let Table { name, classes, width, is_one_hot } = &self.table;
        let row = if *is_one_hot {
            let ones = (0..classes * classes).map(|at| f32::from(at / classes == at % classes)).collect::<Vec<_>>();
            let table = b.made("one for each label", &[*classes, *classes], |_| Recipe::Computed(ones.clone()))?;
            b.g.embedding(table, ids)?
        } else {
            b.embedding(name, *classes, *width, ids)?
        };
        match self.how {
            Meeting::Multiplied => b.g.binary(Binary::Mul, row, latent),
            Meeting::First => b.g.concat(row, latent),
            Meeting::Last => b.g.concat(latent, row),
        }
    }
}

/// How many modules without weights stand between two of one `Sequential`.
pub fn between(first: &str, second: &str) -> Option<usize> {
    let numbered = |name: &str| {
        let (parent, number) = name.rsplit_once('.').unwrap_or(("", name));
        Some((parent.to_owned(), number.parse::<usize>().ok()?))
    };
    let ((parent, from), (other, to)) = (numbered(first)?, numbered(second)?);
    (parent == other).then(|| to.checked_sub(from + 1)).flatten()
}

/// Modules without weights before a layer: behind the one before it and its norm, in their `Sequential`, or from the beginning of its own. `None` where
/// names do not tell.
pub fn gap_before(layer: &Layer, before: Option<&Layer>) -> Option<usize> {
    let behind = before.and_then(|before| {
        let last = before.norm.as_ref().map_or(&before.name, |norm| &norm.name);
        between(last, &layer.name).or_else(|| between(&before.name, &layer.name))
    });
    let begins = || layer.name.rsplit_once('.').map_or(&*layer.name, |(_, number)| number).parse().ok();
    behind.or_else(begins)
}

/// Which of the layers a norm stands behind: of one `Sequential` the one before it, else the one beside it, by number or by name, else the first that gives
/// as many channels and has none.
fn owner(layers: &[Raw], norm: &Norm) -> Option<usize> {
    let parent = |name: &str| name.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned());
    let last = |name: &str| name.rsplit_once('.').map_or(name, |(_, last)| last).to_owned();
    let digits = |name: &str| last(name).chars().filter(char::is_ascii_digit).collect::<String>();
    let free = |layer: &Raw| {
        let gives = |out: usize| out == norm.channels || (layer.shape.len() == 2 && out.is_multiple_of(norm.channels));
        // Which of a convolution's channels it gives its bias tells, where there is one.
        let outs = if layer.shape.len() == 2 { 1 } else { 2 };
        let fits = layer.shape.iter().take(outs).any(|out| gives(*out)) && layer.bias.is_none_or(gives);
        layer.norm.is_none() && fits
    };
    let find = |holds: &dyn Fn(&Raw) -> bool| layers.iter().rposition(|layer| free(layer) && holds(layer));
    let beside = |layer: &Raw| parent(&layer.name) == parent(&norm.name);
    if last(&norm.name).parse::<u64>().is_ok() {
        let before = find(&|layer| beside(layer) && between(&layer.name, &norm.name).is_some());
        return before
            .or_else(|| layers.iter().position(|layer| free(layer) && layer.shape.len() == 2))
            .or_else(|| find(&|layer| natural(&layer.name) < natural(&norm.name)));
    }
    let alone = || find(&beside).filter(|_| layers.iter().filter(|layer| beside(layer)).count() == 1);
    let named = || find(&|layer| beside(layer) && norm.name.starts_with(&layer.name));
    let number = digits(&norm.name);
    let numbered = || find(&|layer| beside(layer) && !number.is_empty() && digits(&layer.name) == number);
    alone().or_else(named).or_else(numbered).or_else(|| layers.iter().position(free))
}

/// A name as words and numbers by turns, so that `10` follows `9`.
fn natural(name: &str) -> Vec<(&str, u64)> {
    let mut parts = vec![];
    let mut rest = name;
    while !rest.is_empty() {
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, digits) = rest.split_at(word);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        parts.push((text, digits[..end].parse().unwrap_or(u64::MAX)));
        rest = &digits[end..];
    }
    parts
}

/// Whether a module belongs to what judges pictures in a training.
fn judges(module: &str) -> bool {
    let words = ["d", "netd", "model_d", "d_model", "disc", "critic"];
    module.split('.').next().is_some_and(|part| {
        let part = part.to_ascii_lowercase();
        words.contains(&&*part) || part.contains("discriminator")
    })
}

/// Whether a matrix without a bias is a table of labels, by its name.
fn is_table(module: &str) -> bool {
    let name = module.to_ascii_lowercase();
    ["emb", "label", "class"].iter().any(|word| name.contains(word))
}

fn foreign(tensor: &str) -> Error {
    let norm = match tensor {
        _ if tensor.contains("parametrizations")
            || ["weight_g", "weight_v"].iter().any(|end| tensor.ends_with(end)) =>
        {
            " (of a weight norm, or of another that is not divided out while it loads: remove it with torch.nn.utils before saving)"
        }
        _ if tensor.ends_with("weight_orig") || tensor.ends_with("weight_u") => {
            " (of a spectral norm that lacks its weight_u or weight_v, by which it is divided: remove it with torch.nn.utils before saving)"
        }
        _ => "",
    };
    Error::unsupported_model(format!(
        "tensor {}{norm} is no part of a generator or an autoencoder that runs here: chains of linear layers or convolutions with norms, and a table of labels",
        shown(tensor)
    ))
}

/// The layers' names by whether they belong to an encoder, or to what brings a label into a picture before one (`embed_class`, `embed_data`).
pub fn encodes(module: &str) -> bool {
    module.split('.').any(|part| ["enc", "embed_class", "embed_data"].iter().any(|word| part.starts_with(word)))
}

/// The names of two layers of one shape that say what they give: a mean, and a variance or its logarithm.
pub fn heads(layers: &[Layer]) -> Option<[&Layer; 2]> {
    let says = |layer: &Layer, words: &[&str]| {
        let name = layer.name.to_ascii_lowercase();
        words.iter().any(|word| name.contains(word))
    };
    let spreads = |layer: &&Layer| says(layer, &["var", "std", "sigma"]);
    let means = |layer: &&Layer| says(layer, &["mu", "mean", "loc"]) && !spreads(layer) && layer.out < layer.inner;
    layers.iter().filter(means).find_map(|mean| {
        let alike = |layer: &&Layer| (layer.inner, layer.out) == (mean.inner, mean.out);
        Some([mean, layers.iter().filter(spreads).find(alike)?])
    })
}

/// How many layers each `Sequential` or module holds.
pub fn by_parent(layers: &[Layer]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for layer in layers {
        *counts.entry(layer.name.rsplit_once('.').map_or("", |(parent, _)| parent)).or_insert(0) += 1;
    }
    counts
}
