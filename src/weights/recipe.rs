//! How a graph's weights are made from a file's tensors while they stream: under other names, turned to the house's layout, split,
//! joined, folded, quantised.
//!
//! A model finds its weights with a [`WeightFinder`]: for each it names the weight as its graph will, the shape there, and a
//! [`Recipe`]; the finder checks the file's tensors and says how the weight will be stored. The [`Recipes`] that
//! come of it go to [`WeightFile::stream_with`](super::WeightFile::stream_with). No number is read here.

use std::collections::BTreeMap;

use super::{Tensors, contents::shown, encode::BLOCK};
use crate::{
    Error, Result,
    graph::{DType, WeightSpec},
};

/// How the matrices of a model are to be stored on the device. Vectors are always F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// As the file stores them; quantised ones that must be turned, or whose blocks run on from row to row, become F16.
    #[default]
    Keep,
    F32,
    F16,
    /// Quantised while they load. Rows that are no whole blocks of 32 stay as they are, and so does what is quantised already.
    Q8_0,
    Q4_0,
}

/// The statistics and weights of a batch norm (arXiv 1502.03167) that is folded into the convolution before it.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    pub weight: String,
    pub bias: String,
    pub mean: String,
    pub variance: String,
    pub eps: f32,
}

impl BatchNorm {
    /// PyTorch's names below `stem`, and its `eps`.
    pub fn named(stem: &str) -> Self {
        let name = |part: &str| format!("{stem}.{part}");
        Self {
            weight: name("weight"),
            bias: name("bias"),
            mean: name("running_mean"),
            variance: name("running_var"),
            eps: 1e-5,
        }
    }

    pub(super) fn tensors(&self) -> [&str; 4] {
        [&self.weight, &self.bias, &self.mean, &self.variance]
    }
}

/// The vectors that a spectral norm (arXiv 1802.05957) came to in training: a weight is divided by `u · W v`, `W` being the weight as a matrix of one row
/// for each channel that it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpectralNorm {
    pub u: String,
    pub v: String,
}

/// How one weight is made of the file's tensors, which it names.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipe {
    /// One tensor; sides of 1 may come and go: `[out, in, 1, 1]` serves as `[out, in]`, `[n, 1, 1]` as `[n]`.
    Tensor(String),
    /// Rows `first ..` of a tensor, as many as the weight has.
    Rows { tensor: String, first: usize },
    /// Every `of`th of the runs of `run` rows of a tensor, from the run `which` on: the queries, say, of heads whose queries, keys and values lie
    /// head by head.
    Runs { tensor: String, run: usize, of: usize, which: usize },
    /// The rows of several tensors, one after another.
    Join(Vec<String>),
    /// PyTorch's convolution `[out, in, height, width]` → `[out, height · width · in]`; a matrix `[out, in · height · width]` that reads such a
    /// picture flattened serves too.
    Conv { tensor: String, window: [usize; 2] },
    /// PyTorch's transposed convolution `[in, out, height, width]` → `[out, height · width · in]`, read whole; a window of `[1, 1]`
    /// takes a plain matrix `[in, out]` too.
    ConvTranspose { tensor: String, window: [usize; 2] },
    /// A convolution's weight of one of these kinds with the batch norm after it folded in.
    Folded { weight: Box<Recipe>, norm: BatchNorm },
    /// A tensor, a convolution or a transposed one divided by its spectral norm.
    Spectral { weight: Box<Recipe>, norm: SpectralNorm },
    /// The bias that goes with a folded weight; `None` where the convolution has none.
    FoldedBias { bias: Option<String>, norm: BatchNorm },
    /// What the norm multiplies by, `[1, channels]`, where it stands for itself; the shift is a [`Self::FoldedBias`].
    NormScale(BatchNorm),
    /// Rows that are the channels of `area` pixels, pixel by pixel within each, to the channels of each pixel: a layer whose values PyTorch views as
    /// `[channels, height, width]`. Read whole.
    Pixels { of: Box<Recipe>, area: usize },
    /// Of a vector's numbers m from `first` on, `m, 1 − m` for each: a convolution of a row and the one before that mixes them so.
    Mix { tensor: String, first: usize },
    /// One tensor, a number added to all of it: Gemma's norms in safetensors lie about 0.
    Plus { tensor: String, plus: f32 },
    /// All numbers of one tensor, one after another.
    Flat(String),
    /// The same, of each number v `−e^v`: a state space's decay, of which files hold the logarithm.
    MinusExp(String),
    /// The rows from `first` on of the kernel `[in + width, 4 · width]` of TensorFlow's `BasicLSTMCell`, turned to PyTorch's `[4 · width, in]`: there the gates
    /// are input, candidate, forget and output, here input, forget, candidate and output. Of its bias `[4 · width]`, the forget gate's plus 1.
    BasicLstm { tensor: String, first: usize },
    /// Numbers that stand in no file because the model computes them.
    Computed(Vec<f32>),
}

impl Recipe {
    pub fn tensor(name: impl Into<String>) -> Self {
        Self::Tensor(name.into())
    }

    pub fn rows(tensor: impl Into<String>, first: usize) -> Self {
        Self::Rows { tensor: tensor.into(), first }
    }

    pub fn conv(tensor: impl Into<String>, window: [usize; 2]) -> Self {
        Self::Conv { tensor: tensor.into(), window }
    }

    pub fn conv_transpose(tensor: impl Into<String>, window: [usize; 2]) -> Self {
        Self::ConvTranspose { tensor: tensor.into(), window }
    }

    pub fn spectral(self, norm: SpectralNorm) -> Self {
        Self::Spectral { weight: Box::new(self), norm }
    }

    pub fn folded(self, norm: BatchNorm) -> Self {
        Self::Folded { weight: Box::new(self), norm }
    }

    /// Whether rows of the file's tensors are rows of the weight, so that their bytes may serve as they are.
    pub(super) fn keeps_rows(&self) -> bool {
        matches!(self, Self::Tensor(_) | Self::Rows { .. } | Self::Runs { .. } | Self::Join(_))
    }

    /// The tensors that it reads, its main one first.
    pub(super) fn tensors(&self) -> Vec<&str> {
        match self {
            Self::Tensor(tensor)
            | Self::Flat(tensor)
            | Self::MinusExp(tensor)
            | Self::Plus { tensor, .. }
            | Self::Mix { tensor, .. }
            | Self::Rows { tensor, .. }
            | Self::Runs { tensor, .. }
            | Self::BasicLstm { tensor, .. }
            | Self::Conv { tensor, .. }
            | Self::ConvTranspose { tensor, .. } => vec![tensor],
            Self::Join(tensors) => tensors.iter().map(String::as_str).collect(),
            Self::Folded { weight, norm } => weight.tensors().into_iter().chain(norm.tensors()).collect(),
            // The weight is read for its norm, and then again.
            Self::Spectral { weight, norm } => [weight.tensors(), vec![&norm.u, &norm.v], weight.tensors()].concat(),
            Self::FoldedBias { bias, norm } => bias.as_deref().into_iter().chain(norm.tensors()).collect(),
            Self::NormScale(norm) => norm.tensors().to_vec(),
            Self::Pixels { of, .. } => of.tensors(),
            Self::Computed(_) => vec![],
        }
    }

    /// Checks that the tensors are there in shapes that make a weight `[rows, columns]` or `[n]`; gives the type of the main one.
    pub(super) fn check(&self, tensors: &dyn Tensors, shape: &[usize]) -> Result<DType> {
        let find = |name: &str| find(tensors, name);
        let expect = |name: &str, wanted: &[usize]| -> Result<DType> {
            let (dtype, found) = find(name)?;
            if without_ones(found) != without_ones(wanted) {
                return Err(misfit(name, found, wanted));
            }
            Ok(dtype)
        };
        let (rows, columns) = match *shape {
            [n] => (n, 1),
            [rows, columns] => (rows, columns),
            _ => return Err(Error::internal(format!("{self:?} cannot make a weight {shape:?}"))),
        };
        let side = |area: usize| {
            let whole = area > 0 && columns.is_multiple_of(area);
            whole.then(|| columns / area).ok_or_else(|| Error::internal(format!("{self:?}: {columns} columns")))
        };
        match self {
            Self::Tensor(tensor) | Self::Plus { tensor, .. } => expect(tensor, shape),
            Self::Flat(tensor) | Self::MinusExp(tensor) => {
                let (_, found) = find(tensor)?;
                let count = found.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
                if count == Some(rows) && shape.len() == 1 { Ok(DType::F32) } else { Err(misfit(tensor, found, shape)) }
            }
            Self::Mix { tensor, first } => {
                let (_, found) = find(tensor)?;
                let count = found.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
                let wide = found.last().copied().unwrap_or(0);
                let whole = wide > 0 && first.is_multiple_of(wide) && rows == 2 * wide;
                let there = count.is_some_and(|count| first.checked_add(wide).is_some_and(|end| end <= count));
                if whole && there && shape.len() == 1 {
                    Ok(DType::F32)
                } else {
                    Err(misfit(tensor, found, &[rows / 2]))
                }
            }
            Self::Runs { tensor, run, of, which } => {
                if *run == 0 || !rows.is_multiple_of(*run) || which >= of {
                    return Err(Error::internal(format!("{self:?} cannot make a weight {shape:?}")));
                }
                expect(tensor, &[&[rows.saturating_mul(*of)], &shape[1..]].concat())
            }
            Self::Rows { tensor, first } => {
                let (dtype, found) = find(tensor)?;
                let there = found.first().copied().unwrap_or(0);
                let end = first.checked_add(rows).filter(|end| *end <= there);
                if end.is_none() || found.get(1..).map(without_ones) != Some(without_ones(&shape[1..])) {
                    let wanted = [&[first.saturating_add(rows)], &shape[1..]].concat();
                    return Err(misfit(tensor, found, &wanted));
                }
                Ok(dtype)
            }
            Self::Join(names) => {
                let (mut sum, mut first) = (0usize, None);
                for name in names {
                    let (dtype, found) = find(name)?;
                    let there = found.first().copied().unwrap_or(0);
                    let wanted = [&[there], &shape[1..]].concat();
                    if found.get(1..).map(without_ones) != Some(without_ones(&shape[1..])) {
                        return Err(misfit(name, found, &wanted));
                    }
                    sum = sum.saturating_add(there);
                    first.get_or_insert(dtype);
                }
                match first {
                    Some(dtype) if sum == rows => Ok(dtype),
                    _ => Err(Error::corrupt_file(format!(
                        "tensors {} have {sum} rows together, but the model's configuration asks for {rows}; fetch the \
                         model again",
                        names.join(", ")
                    ))),
                }
            }
            Self::Conv { tensor, window: [height, width] } => {
                let wanted = [rows, side(height * width)?, *height, *width];
                match find(tensor)? {
                    (dtype, found) if found == [rows, columns] => Ok(dtype),
                    other => expect_sides(tensor, other, &wanted),
                }
            }
            Self::ConvTranspose { tensor, window: [height, width] } => {
                let wanted = [side(height * width)?, rows, *height, *width];
                expect_sides(tensor, find(tensor)?, &wanted)
            }
            Self::Folded { weight, norm } => {
                for name in norm.tensors() {
                    expect(name, &[rows])?;
                }
                weight.check(tensors, shape)
            }
            Self::Spectral { weight, norm } => {
                expect(&norm.u, &[rows])?;
                expect(&norm.v, &[columns])?;
                weight.check(tensors, shape)
            }
            Self::FoldedBias { bias, norm } => {
                for name in norm.tensors().into_iter().chain(bias.as_deref()) {
                    expect(name, shape)?;
                }
                Ok(DType::F32)
            }
            Self::BasicLstm { tensor, .. } if shape.len() == 1 => expect(tensor, shape),
            Self::BasicLstm { tensor, first } => match *find(tensor)?.1 {
                [there, gates] if gates == rows && first.checked_add(columns).is_some_and(|end| end <= there) => {
                    Ok(DType::F32)
                }
                ref found => Err(misfit(tensor, found, &[first.saturating_add(columns), rows])),
            },
            Self::NormScale(norm) => {
                norm.tensors().into_iter().try_for_each(|name| expect(name, shape).map(|_| ()))?;
                Ok(DType::F32)
            }
            Self::Pixels { of, area } if *area > 0 && rows.is_multiple_of(*area) => of.check(tensors, shape),
            Self::Computed(numbers) if Some(numbers.len()) == rows.checked_mul(columns) => Ok(DType::F32),
            Self::Computed(_) | Self::Pixels { .. } => {
                Err(Error::internal(format!("{self:?} cannot make a weight {shape:?}")))
            }
        }
    }
}

fn find<'a>(tensors: &'a dyn Tensors, name: &str) -> Result<(DType, &'a [usize])> {
    tensors.tensor(name).ok_or_else(|| {
        Error::corrupt_file(format!(
            "the file has no weight {}, which its configuration asks for; fetch the whole file again",
            shown(name)
        ))
    })
}

/// Sides of 1 that trail may be left out: a convolution of one pixel may be a plain matrix.
fn expect_sides(name: &str, (dtype, found): (DType, &[usize]), wanted: &[usize; 4]) -> Result<DType> {
    let trimmed = |shape: &[usize]| {
        let len = shape.iter().rposition(|side| *side != 1).map_or(0, |last| last + 1).max(2);
        shape.get(..len).unwrap_or(shape).to_vec()
    };
    if trimmed(found) == trimmed(wanted) { Ok(dtype) } else { Err(misfit(name, found, wanted)) }
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|side| *side != 1).collect()
}

fn misfit(name: &str, found: &[usize], wanted: &[usize]) -> Error {
    Error::corrupt_file(format!(
        "tensor {} is {found:?} in the file, but the model's configuration asks for {wanted:?}; give the configuration that \
         belongs to these weights",
        shown(name)
    ))
}

/// The recipes of a model, by the names of its weights. A weight without one is the tensor of its own name, shape and type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipes(BTreeMap<String, Recipe>);

impl Recipes {
    pub fn add(&mut self, weight: impl Into<String>, recipe: Recipe) {
        self.0.insert(weight.into(), recipe);
    }

    /// Takes the recipes of another graph of the same model over.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn get(&self, weight: &str) -> Option<&Recipe> {
        self.0.get(weight)
    }
}

/// Finds the weights of a model in the index of a file.
pub struct WeightFinder<'a> {
    tensors: &'a dyn Tensors,
    storage: Storage,
    recipes: Recipes,
}

impl<'a> WeightFinder<'a> {
    pub fn new(tensors: &'a dyn Tensors, storage: Storage) -> Self {
        Self { tensors, storage, recipes: Recipes::default() }
    }

    /// The shape of a tensor of the file.
    pub fn shape(&self, tensor: &str) -> Option<&'a [usize]> {
        self.tensors.tensor(tensor).map(|(_, shape)| shape)
    }

    /// The weight `name` of `shape` by a recipe: what the graph is to declare.
    ///
    /// Errors: `corrupt-file` that names the tensor which is missing, or is of another shape, with both shapes.
    pub fn find(&mut self, name: impl Into<String>, shape: &[usize], recipe: Recipe) -> Result<WeightSpec> {
        let name = name.into();
        let mut dtype = recipe.check(self.tensors, shape)?;
        if let Recipe::Join(names) = &recipe
            && names.iter().any(|other| self.tensors.tensor(other).is_none_or(|(d, _)| d != dtype))
        {
            dtype = DType::F16;
        }
        let dtype = stored_as(self.storage, dtype, recipe.keeps_rows(), shape);
        self.recipes.add(&name, recipe);
        Ok(WeightSpec { name, shape: shape.into(), dtype })
    }

    pub fn finish(self) -> Recipes {
        self.recipes
    }
}

/// The type of a weight on the device.
fn stored_as(storage: Storage, source: DType, keeps_rows: bool, shape: &[usize]) -> DType {
    let &[_, columns] = shape else { return DType::F32 };
    let whole = keeps_rows && source.row_bytes(columns).is_some();
    let kept = if source.is_quantised() && !whole { DType::F16 } else { source };
    let blocks = columns.is_multiple_of(BLOCK) && !kept.is_quantised();
    match storage {
        Storage::F32 => DType::F32,
        Storage::F16 => DType::F16,
        Storage::Q8_0 if blocks => DType::Q8_0,
        Storage::Q4_0 if blocks => DType::Q4_0,
        Storage::Keep | Storage::Q8_0 | Storage::Q4_0 => kept,
    }
}
