//! Brings a graph's weights to a device: in file order, in pieces of whole rows, a few megabytes each, made as their recipes say.

use std::borrow::Cow;

use async_trait::async_trait;

use super::{
    contents::TensorInfo,
    encode,
    file::WeightFile,
    recipe::{BatchNorm, Recipe, Recipes, SpectralNorm},
};
use crate::{
    Error, Result,
    backend::Loader,
    cancel::Cancel,
    graph::{Graph, WeightId, WeightSpec},
};

/// Large enough that a piece's costs vanish, small enough that a page stays light and an abort is quick.
const PIECE: u64 = 4 << 20;
/// A device is let catch up each time that so much was given to it.
const SETTLE_EVERY: u64 = 32 << 20;

/// Takes rows of weights: a backend's loader.
#[async_trait(?Send)]
pub trait RowSink {
    /// Whole rows of a weight, in order, in the file's own encoding.
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()>;
    /// Lets the device catch up.
    async fn settle(&mut self) -> Result<()>;
}

#[async_trait(?Send)]
impl RowSink for Loader {
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        Loader::put(self, weight, first_row, bytes)
    }

    async fn settle(&mut self) -> Result<()> {
        Loader::settle(self).await
    }
}

impl WeightFile {
    /// Checks that every weight of `graph` is here with its shape and type, without reading any.
    ///
    /// Errors: `corrupt-file` that names the weight and both shapes.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        self.wanted(graph, &Recipes::default()).map(|_| ())
    }

    /// Reads each weight that `graph` names and gives it to `loader`. `progress` is told the bytes read and the bytes
    /// in all; `cancel` stops the work between pieces and during reads.
    ///
    /// Errors: those of [`check`](Self::check), of the source and of the loader; `aborted`.
    pub async fn stream(
        &self,
        graph: &Graph,
        loader: &mut impl RowSink,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<()> {
        self.stream_with(graph, &Recipes::default(), loader, progress, cancel).await
    }

    /// The same, with weights that are made as `recipes` say. A transposed convolution is read whole, all else in pieces.
    pub async fn stream_with(
        &self,
        graph: &Graph,
        recipes: &Recipes,
        loader: &mut impl RowSink,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<()> {
        self.stream_some(graph, recipes, loader, progress, cancel).await?;
        self.finish(cancel).await
    }

    /// The bytes that [`Self::stream_with`] will read.
    pub fn bytes_of(&self, graph: &Graph, recipes: &Recipes) -> Result<u64> {
        Ok(self.wanted(graph, recipes)?.iter().map(|wanted| wanted.bytes).sum())
    }

    /// Ends the reading: sources bring what is left of their files, for the cache, and compare checksums.
    pub async fn finish(&self, cancel: &Cancel) -> Result<()> {
        for part in self.parts() {
            cancel.race(part.source.finish()).await?;
            part.source.release();
        }
        Ok(())
    }

    /// As [`Self::stream_with`], for one graph among several of a model: [`Self::finish`] follows the last.
    pub async fn stream_some(
        &self,
        graph: &Graph,
        recipes: &Recipes,
        loader: &mut impl RowSink,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<()> {
        let wanted = self.wanted(graph, recipes)?;
        let total = wanted.iter().map(|wanted| wanted.bytes).sum();
        progress(0, total);
        let mut stream = Stream { file: self, loader, progress, cancel, loaded: 0, total, unsettled: 0 };
        for wanted in &wanted {
            stream.make(wanted.weight, wanted.spec, &wanted.recipe).await?;
        }
        cancel.race(stream.loader.settle()).await
    }

    /// The graph's weights in the order in which they lie in the files; computed ones first.
    fn wanted<'a>(&'a self, graph: &'a Graph, recipes: &'a Recipes) -> Result<Vec<Wanted<'a>>> {
        let mut wanted = Vec::with_capacity(graph.weights.len());
        for (id, spec) in graph.weights.iter().enumerate() {
            let recipe = match recipes.get(&spec.name) {
                Some(recipe) => {
                    recipe.check(self, &spec.shape)?;
                    Cow::Borrowed(recipe)
                }
                None => {
                    self.as_it_is(spec)?;
                    Cow::Owned(Recipe::tensor(&spec.name))
                }
            };
            let mut bytes = 0u64;
            for name in recipe.tensors() {
                let tensor = self.tensor(name)?;
                let part = if matches!(*recipe, Recipe::Rows { .. } | Recipe::Runs { .. }) {
                    line_bytes(tensor)?.saturating_mul(spec.shape.first().copied().unwrap_or(0) as u64)
                } else {
                    tensor.bytes
                };
                bytes = bytes.saturating_add(part);
            }
            let place = match recipe.tensors().first() {
                Some(name) => self.tensor(name).map(|t| Some((t.part, t.offset)))?,
                None => None,
            };
            wanted.push((place, Wanted { weight: WeightId(id as u32), spec, recipe, bytes }));
        }
        wanted.sort_by_key(|(place, _)| *place);
        Ok(wanted.into_iter().map(|(_, wanted)| wanted).collect())
    }

    /// Refuses a weight that is not the tensor of its own name, shape and type.
    fn as_it_is(&self, spec: &WeightSpec) -> Result<()> {
        let tensor = self.tensor(&spec.name)?;
        if tensor.shape != spec.shape || tensor.dtype != spec.dtype {
            return Err(Error::corrupt_file(format!(
                "tensor {} is {:?} {} in the file, but the model's configuration asks for {:?} {}; \
                 convert the model again",
                spec.name, tensor.shape, tensor.dtype, spec.shape, spec.dtype
            )));
        }
        Ok(())
    }
}

/// A weight and what it is made of.
struct Wanted<'a> {
    weight: WeightId,
    spec: &'a WeightSpec,
    recipe: Cow<'a, Recipe>,
    /// That are read for it.
    bytes: u64,
}

/// Bytes of one step along a tensor's first dimension.
fn line_bytes(tensor: &TensorInfo) -> Result<u64> {
    let lines = tensor.shape.first().copied().unwrap_or(1).max(1) as u64;
    if !tensor.bytes.is_multiple_of(lines) {
        return Err(Error::unsupported_model(format!(
            "tensor {} is {} and cannot be split; take the model in F32, F16 or BF16",
            tensor.name, tensor.dtype
        )));
    }
    Ok(tensor.bytes / lines)
}

/// A stream on its way.
struct Stream<'a, L> {
    file: &'a WeightFile,
    loader: &'a mut L,
    progress: &'a mut dyn FnMut(u64, u64),
    cancel: &'a Cancel,
    loaded: u64,
    total: u64,
    unsettled: u64,
}

/// A weight of PyTorch's LSTM from the numbers of TensorFlow's.
fn of_basic_lstm(spec: &WeightSpec, first: usize, numbers: &[f32]) -> Vec<f32> {
    /// Where the gates of PyTorch's order stand.
    const GATES: [usize; 4] = [0, 2, 1, 3];
    const FORGET: usize = 1;
    let gates = spec.shape.first().copied().unwrap_or(0);
    let width = (gates / 4).max(1);
    let from = |row: usize| GATES.get(row / width).map_or(0, |gate| gate * width) + row % width;
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0.0);
    match spec.shape.get(1) {
        None => (0..gates).map(|row| number(from(row)) + f32::from(row / width == FORGET)).collect(),
        Some(columns) => {
            let row = |row: usize| (0..*columns).map(move |i| (first + i) * gates + from(row));
            (0..gates).flat_map(row).map(number).collect()
        }
    }
}

/// What happens to each row between the file and the device.
struct Rows<'a> {
    weight: WeightId,
    spec: &'a WeightSpec,
    /// Pixels of a window that lie innermost in the file and go outside; 1 where nothing turns.
    area: usize,
    /// A factor for each row; empty for none.
    factors: Vec<f32>,
}

impl<L: RowSink> Stream<'_, L> {
    async fn make(&mut self, weight: WeightId, spec: &WeightSpec, recipe: &Recipe) -> Result<()> {
        let (recipe, factors) = self.factors(recipe, rows_of(spec)).await?;
        let area = match recipe {
            Recipe::Conv { window: [height, width], .. } | Recipe::ConvTranspose { window: [height, width], .. } => {
                height * width
            }
            _ => 1,
        };
        let rows = Rows { weight, spec, area, factors };
        match recipe {
            Recipe::Tensor(tensor) | Recipe::Conv { tensor, .. } => {
                let tensor = self.file.tensor(tensor)?;
                self.pieces(&rows, tensor, 0, tensor.offset, rows_of(spec)).await
            }
            Recipe::Flat(tensor) => {
                let numbers = self.numbers(tensor).await?;
                self.put(&rows, 0, numbers)
            }
            Recipe::MinusExp(tensor) => {
                let numbers = self.numbers(tensor).await?;
                self.put(&rows, 0, numbers.into_iter().map(|v| -v.exp()).collect())
            }
            Recipe::Mix { tensor, first } => {
                let numbers = self.numbers(tensor).await?;
                let mixed = numbers.iter().skip(*first).take(row_len(spec) / 2).flat_map(|m| [*m, 1.0 - m]);
                self.put(&rows, 0, mixed.collect())
            }
            Recipe::Plus { tensor, plus } => {
                let numbers = self.numbers(tensor).await?;
                self.put(&rows, 0, numbers.into_iter().map(|v| v + plus).collect())
            }
            Recipe::Rows { tensor, first } => {
                let tensor = self.file.tensor(tensor)?;
                let start = tensor.offset + *first as u64 * line_bytes(tensor)?;
                self.pieces(&rows, tensor, 0, start, rows_of(spec)).await
            }
            Recipe::Runs { tensor, run, of, which } if spec.shape.len() == 1 => {
                let numbers = self.numbers(tensor).await?;
                let runs = numbers.chunks_exact(*run).skip(*which).step_by(*of).flatten().copied().collect();
                self.put(&rows, 0, runs)
            }
            Recipe::Runs { tensor, run, of, which } => {
                let tensor = self.file.tensor(tensor)?;
                let bytes = line_bytes(tensor)? * *run as u64;
                for i in 0..rows_of(spec) / run {
                    let start = tensor.offset + (i * of + which) as u64 * bytes;
                    self.pieces(&rows, tensor, i * run, start, *run).await?;
                }
                Ok(())
            }
            Recipe::Join(names) if spec.shape.len() == 1 => {
                let mut numbers = vec![];
                for name in names {
                    numbers.extend(self.numbers(name).await?);
                }
                self.put(&rows, 0, numbers)
            }
            Recipe::Join(names) => {
                let mut first = 0;
                for name in names {
                    let tensor = self.file.tensor(name)?;
                    let count = tensor.shape.first().copied().unwrap_or(0);
                    self.pieces(&rows, tensor, first, tensor.offset, count).await?;
                    first += count;
                }
                Ok(())
            }
            Recipe::ConvTranspose { tensor, .. } => {
                let numbers = self.numbers(tensor).await?;
                self.transposed(&rows, &numbers)
            }
            Recipe::FoldedBias { bias, norm } => {
                let shifts = self.shifts(bias.as_deref(), norm).await?;
                self.put(&rows, 0, shifts)
            }
            Recipe::BasicLstm { tensor, first } => {
                let numbers = self.numbers(tensor).await?;
                self.put(&rows, 0, of_basic_lstm(spec, *first, &numbers))
            }
            Recipe::NormScale(norm) => {
                let (factors, _) = self.norm(norm).await?;
                self.put(&rows, 0, factors)
            }
            Recipe::Pixels { of, area } => {
                let (of, factors) = self.factors(of, rows_of(spec)).await?;
                let mut numbers = match of {
                    Recipe::FoldedBias { bias, norm } => self.shifts(bias.as_deref(), norm).await?,
                    other => self.first_of(other).await?,
                };
                scale(&mut numbers, row_len(spec), &factors);
                let row = numbers.len() / spec.shape.first().copied().unwrap_or(1).max(1);
                self.put(&rows, 0, by_pixels(&numbers, row, *area))
            }
            Recipe::Computed(numbers) => self.put(&rows, 0, numbers.clone()),
            Recipe::Folded { .. } | Recipe::Spectral { .. } => {
                Err(Error::internal(format!("{}: two norms of one kind at one layer", spec.name)))
            }
        }
    }

    /// `count` rows of a tensor from the byte `start` on, a few megabytes at a time, as rows `first ..` of the weight.
    async fn pieces(
        &mut self,
        rows: &Rows<'_>,
        tensor: &TensorInfo,
        first: usize,
        start: u64,
        count: usize,
    ) -> Result<()> {
        let bytes_of = |lines: usize| {
            let bytes = lines.checked_mul(row_len(rows.spec)).and_then(|numbers| tensor.dtype.row_bytes(numbers));
            bytes.map(|bytes| bytes as u64).ok_or_else(|| {
                Error::unsupported_model(format!(
                    "tensor {} is {} in rows that cannot be split; take the model in F32, F16 or BF16",
                    tensor.name, tensor.dtype
                ))
            })
        };
        // Where blocks run on from one row into the next, so many rows end with one.
        let together =
            (1..tensor.dtype.block_size()).find(|n| bytes_of(*n).is_ok()).unwrap_or(tensor.dtype.block_size());
        let rows_a_piece = (PIECE / bytes_of(together)?.max(1)).clamp(1, count.max(1) as u64) as usize * together;
        let as_they_are = tensor.dtype == rows.spec.dtype && rows.area == 1 && rows.factors.is_empty();
        let mut row = 0;
        while row < count {
            let count = rows_a_piece.min(count - row);
            let piece = self.read(tensor, start + bytes_of(row)?, bytes_of(count)?).await?;
            if as_they_are {
                self.loader.put(rows.weight, first + row, &piece)?;
            } else {
                let numbers = encode::decode(&tensor.name, tensor.dtype, &piece)?;
                drop(piece);
                self.put(rows, first + row, turned(numbers, rows.area, row_len(rows.spec)))?;
            }
            row += count;
            self.report().await?;
        }
        Ok(())
    }

    /// Rows of a transposed convolution `[in, out, area]`, whose numbers are all here.
    fn transposed(&mut self, rows: &Rows<'_>, numbers: &[f32]) -> Result<()> {
        let (out, columns) = (rows_of(rows.spec), row_len(rows.spec));
        let channels = columns / rows.area;
        let rows_a_piece = (PIECE as usize / 4 / columns.max(1)).max(1);
        for first in (0..out).step_by(rows_a_piece) {
            let mut piece = Vec::with_capacity(rows_a_piece * columns);
            for row in first..(first + rows_a_piece).min(out) {
                for pixel in 0..rows.area {
                    piece.extend((0..channels).filter_map(|c| numbers.get((c * out + row) * rows.area + pixel)));
                }
            }
            self.put(rows, first, piece)?;
        }
        Ok(())
    }

    /// Numbers of whole rows from `first` on, in the weight's layout, to the device.
    fn put(&mut self, rows: &Rows<'_>, first: usize, mut numbers: Vec<f32>) -> Result<()> {
        scale(&mut numbers, row_len(rows.spec), rows.factors.get(first..).unwrap_or_default());
        let bytes = encode::encode(&rows.spec.name, rows.spec.dtype, &numbers)?;
        self.loader.put(rows.weight, first, &bytes)
    }

    /// What is left of a recipe without the norms that are folded into a weight of so many rows, and a factor for each row; none where there is no norm.
    async fn factors<'r>(&mut self, recipe: &'r Recipe, rows: usize) -> Result<(&'r Recipe, Vec<f32>)> {
        let (recipe, mut factors) = match recipe {
            Recipe::Folded { weight, norm } => (&**weight, self.norm(norm).await?.0),
            other => (other, vec![]),
        };
        let Recipe::Spectral { weight, norm } = recipe else { return Ok((recipe, factors)) };
        let divisor = self.spectral(weight, norm).await?;
        if !divisor.is_normal() {
            return Err(Error::corrupt_file(format!(
                "the spectral norm of {} and {} is {divisor}, by which nothing can be divided; save the model again",
                norm.u, norm.v
            )));
        }
        factors.resize(rows, 1.0);
        factors.iter_mut().for_each(|factor| *factor /= divisor);
        Ok((&**weight, factors))
    }

    /// The largest singular value of a weight, as far as its training came to it.
    async fn spectral(&mut self, weight: &Recipe, norm: &SpectralNorm) -> Result<f32> {
        let numbers = self.first_of(weight).await?;
        let (u, v) = (self.numbers(&norm.u).await?, self.numbers(&norm.v).await?);
        let (out, inner) = (u.len(), v.len());
        let area = match weight {
            Recipe::ConvTranspose { window: [height, width], .. } => Some(height * width),
            _ => None,
        };
        let product = |(row, column): (usize, usize)| {
            let at = match area {
                Some(area) => (column / area * out + row) * area + column % area,
                None => row * inner + column,
            };
            let weight = numbers.get(at).copied().unwrap_or(0.0);
            f64::from(u[row]) * f64::from(weight) * f64::from(v[column])
        };
        let sum: f64 = (0..out).flat_map(|row| (0..inner).map(move |column| (row, column))).map(product).sum();
        Ok(sum as f32)
    }

    /// What a batch norm does to each channel: a factor and a shift.
    async fn norm(&mut self, norm: &BatchNorm) -> Result<(Vec<f32>, Vec<f32>)> {
        let (weight, bias) = (self.numbers(&norm.weight).await?, self.numbers(&norm.bias).await?);
        let (mean, variance) = (self.numbers(&norm.mean).await?, self.numbers(&norm.variance).await?);
        let factors: Vec<f32> = weight.iter().zip(&variance).map(|(w, v)| w / (v + norm.eps).sqrt()).collect();
        let shifts = bias.iter().zip(mean.iter().zip(&factors)).map(|(b, (m, f))| b - m * f).collect();
        Ok((factors, shifts))
    }

    /// The bias that goes with weights into which a norm is folded.
    async fn shifts(&mut self, bias: Option<&str>, norm: &BatchNorm) -> Result<Vec<f32>> {
        let (factors, mut shifts) = self.norm(norm).await?;
        if let Some(bias) = bias {
            let bias = self.numbers(bias).await?;
            shifts.iter_mut().zip(bias.iter().zip(&factors)).for_each(|(shift, (b, f))| *shift += b * f);
        }
        Ok(shifts)
    }

    /// All numbers of a recipe's main tensor.
    async fn first_of(&mut self, recipe: &Recipe) -> Result<Vec<f32>> {
        match recipe.tensors().first() {
            Some(tensor) => self.numbers(tensor).await,
            None => Err(Error::internal(format!("{recipe:?} reads no tensor"))),
        }
    }

    /// All numbers of a tensor.
    async fn numbers(&mut self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.file.tensor(name)?;
        let bytes = self.read(tensor, tensor.offset, tensor.bytes).await?;
        self.report().await?;
        encode::decode(name, tensor.dtype, &bytes)
    }

    async fn read(&mut self, tensor: &TensorInfo, start: u64, len: u64) -> Result<Vec<u8>> {
        let Some(part) = self.file.parts().get(tensor.part) else {
            return Err(Error::internal(format!("tensor {} lies in a part that is not there", tensor.name)));
        };
        let bytes = self.cancel.race(part.read(start..start.saturating_add(len))).await?;
        self.loaded += bytes.len() as u64;
        self.unsettled += bytes.len() as u64;
        Ok(bytes)
    }

    /// Tells how far it is, and lets the device catch up now and then.
    async fn report(&mut self) -> Result<()> {
        if self.unsettled >= SETTLE_EVERY {
            self.cancel.race(self.loader.settle()).await?;
            self.unsettled = 0;
        }
        (self.progress)(self.loaded, self.total);
        Ok(())
    }
}

/// Rows as a loader takes them: a vector is one.
fn rows_of(spec: &WeightSpec) -> usize {
    if spec.shape.len() > 1 { spec.shape[0] } else { 1 }
}

fn row_len(spec: &WeightSpec) -> usize {
    match spec.shape.as_slice() {
        [n] => *n,
        shape => shape.iter().skip(1).product(),
    }
}

/// Multiplies each row by its factor, as far as there are factors.
fn scale(numbers: &mut [f32], row_len: usize, factors: &[f32]) {
    for (row, factor) in numbers.chunks_exact_mut(row_len.max(1)).zip(factors) {
        row.iter_mut().for_each(|v| *v *= factor);
    }
}

/// Rows of `row` numbers, `[channels, area]` of them, as `[area, channels]`.
fn by_pixels(numbers: &[f32], row: usize, area: usize) -> Vec<f32> {
    let rows = numbers.len() / row.max(1);
    let order = (0..area).flat_map(|pixel| (pixel..rows).step_by(area.max(1)));
    order.flat_map(|at| &numbers[at * row..][..row]).copied().collect()
}

/// Rows `[channels, area]` to `[area, channels]`.
fn turned(numbers: Vec<f32>, area: usize, row_len: usize) -> Vec<f32> {
    if area == 1 || row_len == 0 {
        return numbers;
    }
    let mut out = Vec::with_capacity(numbers.len());
    for row in numbers.chunks_exact(row_len) {
        for pixel in 0..area {
            out.extend(row.iter().skip(pixel).step_by(area));
        }
    }
    out
}
