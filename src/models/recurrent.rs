//! A recurrent model of characters, as tutorials write it: an embedding or none, layers of LSTM (Hochreiter & Schmidhuber, 1997), GRU (arXiv 1406.1078) or
//! plain tanh cells, and a linear layer. Or two of them, an RNN encoder and decoder (arXiv 1406.1078): one reads a text, and the other begins a text of
//! another alphabet with the state that this leaves.
//!
//! One [`Recurrent`] makes graphs over the same weights and states: [`Recurrent::prefill`], [`Recurrent::decode`] and [`Recurrent::score`]. All that it is
//! is told by its tensors, whatever its author called the layers: PyTorch's `weight_ih_lN` and `weight_hh_lN` below any name, or TensorFlow's `BasicLSTMCell`s.
//! States: `h.N` and, of LSTMs, `c.N` `[1, width]` F32, `seen` `[vocabulary]` U32, `token` `[1]` U32. Zeros in `h` and `c` begin a text, or in `h`
//! what [`Recurrent::read`] gave, whose own state is `read.h` `[1, width]` F32.

use super::{Builder, Form, Origin, Search, Tensors, Weights, encoder_decoder::Start, language::ALTERNATIVES};
use crate::{
    Error, Result,
    graph::{Cell, DType, Graph, Pooling},
    weights::{Recipe, Recipes, Storage},
};

/// How PyTorch ends the name of a first layer's weights.
const FIRST_LAYER: &str = "weight_ih_l0";
/// The token that a written text begins with, as g2p-en numbers its phonemes: behind `<pad>` and `<unk>`.
const FIRST_PHONEME: u32 = 2;
/// What a reader met, while it reads.
pub const READ_STATE: &str = "read.h";
/// Tokens at most where each stands for itself: a table of one row and column each is made.
const MOST_ONE_HOT: usize = 4096;
/// What a probe keeps at most of the vocabulary.
const PROBE_VOCABULARY: usize = 512;
/// Layers at most.
const LAYERS: usize = 64;

/// The numbers of a recurrent model.
#[derive(Debug, Clone, PartialEq)]
pub struct RecurrentConfig {
    pub cell: Cell,
    pub vocabulary: usize,
    /// Columns of the embedding; as many as there are characters where each stands for itself.
    pub embedding: usize,
    /// Columns of a cell's state.
    pub width: usize,
    pub layers: usize,
    /// What reads a text before another is written, where there is such a one.
    pub reader: Option<Reader>,
}

/// The encoder of a pair: one layer, as wide as the decoder's.
#[derive(Debug, Clone, PartialEq)]
pub struct Reader {
    pub vocabulary: usize,
    pub embedding: usize,
    pub start: Start,
}

/// What the file calls its layers.
#[derive(Debug, Clone, PartialEq)]
struct Names {
    embedding: Option<String>,
    cells: Cells,
    /// The linear layer's weight and bias.
    head: [Option<String>; 2],
}

#[derive(Debug, Clone, PartialEq)]
enum Cells {
    /// Below this prefix, with its dot.
    PyTorch(String),
    /// Kernel and bias of each layer. Kernels are `[in + width, 4 · width]`.
    BasicLstm(Vec<[String; 2]>),
    /// g2p-en's GRUs: `enc_w_ih` and its kin read, `dec_w_ih` and its kin write.
    Pair,
}

/// A matrix in a file, with the layer's name.
fn matrix(tensors: &dyn Tensors, name: &str) -> Option<[usize; 2]> {
    tensors.tensor(name).and_then(|(_, shape)| <[usize; 2]>::try_from(shape).ok())
}

/// Whether these are an encoder's and a decoder's cells.
fn is_pair(tensors: &dyn Tensors) -> bool {
    ["enc_w_hh", "dec_w_hh"].iter().all(|name| tensors.tensor(name).is_some())
}

fn unclear(what: &str) -> Error {
    Error::unsupported_model(format!(
        "the file holds a recurrent network, and {what}; one that runs here has an embedding or none, layers of one kind, and one linear layer"
    ))
}

impl Names {
    /// PyTorch's layers, below whatever name.
    fn of_pytorch(tensors: &dyn Tensors) -> Result<(Self, RecurrentConfig)> {
        let firsts = tensors.names_ending(FIRST_LAYER);
        let [first] = firsts.as_slice() else {
            return Err(unclear(&format!("it has {} of them ({})", firsts.len(), firsts.join(", "))));
        };
        let below = &first[..first.len() - FIRST_LAYER.len()];
        for (part, what) in [("weight_ih_l0_reverse", "both ways"), ("weight_hr_l0", "with projected states")] {
            if tensors.tensor(&format!("{below}{part}")).is_some() {
                return Err(Error::unsupported_model(format!(
                    "the layers go {what} ({below}{part}); one way alone runs here"
                )));
            }
        }
        let of = |part: &str| matrix(tensors, &format!("{below}{part}"));
        let ([_, embedding], [rows, width]) = of(FIRST_LAYER).zip(of("weight_hh_l0")).ok_or_else(|| {
            Error::corrupt_file(format!("the file has no matrix {below}weight_hh_l0; fetch the whole file again"))
        })?;
        let cell =
            [Cell::Lstm, Cell::Gru, Cell::Tanh].into_iter().find(|cell| cell.gates().checked_mul(width) == Some(rows));
        let cell = cell.ok_or_else(|| {
            Error::corrupt_file(format!(
                "the file's {below}weight_hh_l0 has {rows} rows, and cells of {width} have 4, 3 or 1 times as many; fetch the file again"
            ))
        })?;
        let layers = (0..=LAYERS).find(|i| of(&format!("weight_ih_l{i}")).is_none()).unwrap_or(LAYERS);
        // What is left are the two tables: a linear layer reads states and most often has a bias, an embedding has none.
        let others = || {
            let weights =
                tensors.names_ending(".weight").into_iter().filter(|name| !name.starts_with(below) || below.is_empty());
            weights.filter_map(|name| Some((name, matrix(tensors, name)?)))
        };
        let bias_of = |name: &str| {
            let bias = format!("{}.bias", name.strip_suffix(".weight")?);
            tensors.tensor(&bias).is_some().then_some(bias)
        };
        let named = |name: &str, part: &str| name.to_ascii_lowercase().contains(part);
        let heads = || others().filter(|(name, [_, columns])| *columns == width && !named(name, "emb"));
        let head = heads().find(|(name, _)| bias_of(name).is_some()).or(heads().last());
        let Some((head, [vocabulary, _])) = head else {
            return Err(unclear(&format!("no linear layer reads its {width} columns")));
        };
        let tables: Vec<&str> = others()
            .filter(|(name, shape)| *name != head && *shape == [vocabulary, embedding] && bias_of(name).is_none())
            .map(|(name, _)| name)
            .collect();
        if let Some((other, _)) = others().find(|(name, _)| *name != head && !tables.contains(name)) {
            return Err(unclear(&format!("it has another layer besides, {other}")));
        }
        let embedding_name = match tables.as_slice() {
            [] if embedding == vocabulary && vocabulary <= MOST_ONE_HOT => None,
            [table] => Some((*table).to_string()),
            // An embedding that is the linear layer's own table.
            [] if embedding == width => Some(head.to_string()),
            _ => return Err(unclear(&format!("it is not told what its first layer reads, {embedding} columns"))),
        };
        let config = RecurrentConfig { cell, vocabulary, embedding, width, layers, reader: None };
        let cells = Cells::PyTorch(below.into());
        Ok((Self { embedding: embedding_name, cells, head: [Some(head.into()), bias_of(head)] }, config))
    }

    /// TensorFlow's `BasicLSTMCell`s in a `MultiRNNCell`, an embedding and a softmax layer beside them.
    fn of_tensorflow(tensors: &dyn Tensors) -> Result<(Self, RecurrentConfig)> {
        const CELL: &str = "basic_lstm_cell";
        let ending =
            |ends: [&str; 2]| ends.into_iter().map(|end| tensors.names_ending(end)).find(|names| !names.is_empty());
        let all = |ends: [&str; 2]| ending(ends).unwrap_or_default();
        let in_cell = |names: Vec<&str>| -> Vec<String> {
            let mut names: Vec<String> =
                names.into_iter().filter(|name| name.contains(CELL)).map(str::to_owned).collect();
            names.sort_by_key(|name| (name.len(), name.clone()));
            names
        };
        let kernels = in_cell(all(["/weights", "/kernel"]));
        let biases = in_cell(all(["/biases", "/bias"]));
        let shapes: Option<Vec<[usize; 2]>> = kernels.iter().map(|name| matrix(tensors, name)).collect();
        let shapes =
            shapes.filter(|shapes| !shapes.is_empty() && shapes.len() == biases.len() && shapes.len() <= LAYERS);
        let Some(shapes) = shapes else { return Err(unclear("its cells are no BasicLSTMCells of TensorFlow's")) };
        let width = shapes[0][1] / 4;
        let Some(embedding) = shapes[0][0].checked_sub(width).filter(|_| width > 0) else {
            return Err(unclear(&format!("its first kernel is {:?}", shapes[0])));
        };
        let find = |ends: [&str; 2]| ending(ends).filter(|names| names.len() == 1).map(|names| names[0].to_owned());
        let head = [find(["softmax_w", "softmax/kernel"]), find(["softmax_b", "softmax/bias"])];
        let shape = head[0].as_ref().and_then(|name| matrix(tensors, name));
        let Some([_, vocabulary]) = shape else { return Err(unclear("it has no softmax_w")) };
        let (cell, layers) = (Cell::Lstm, shapes.len());
        let config = RecurrentConfig { cell, vocabulary, embedding, width, layers, reader: None };
        let cells = Cells::BasicLstm(kernels.into_iter().zip(biases).map(|(kernel, bias)| [kernel, bias]).collect());
        Ok((Self { embedding: find(["embedding", "embedding/weights"]), cells, head }, config))
    }

    /// The GRU encoder and decoder of g2p-en, whose arrays are PyTorch's under names of their own.
    fn of_pair(tensors: &dyn Tensors) -> Result<(Self, RecurrentConfig)> {
        let sizes = |name: &str| {
            matrix(tensors, name).ok_or_else(|| {
                Error::corrupt_file(format!("the file has no matrix {name}; fetch the whole file again"))
            })
        };
        let ([read, read_embedding], [vocabulary, embedding]) = (sizes("enc_emb")?, sizes("dec_emb")?);
        let [_, width] = sizes("dec_w_hh")?;
        if vocabulary <= FIRST_PHONEME as usize {
            return Err(Error::corrupt_file(format!(
                "the file's dec_emb has {vocabulary} rows, too few to begin a text with; fetch the file again"
            )));
        }
        let start = Start { first: FIRST_PHONEME, ..Start::default() };
        let reader = Some(Reader { vocabulary: read, embedding: read_embedding, start });
        let config = RecurrentConfig { cell: Cell::Gru, vocabulary, embedding, width, layers: 1, reader };
        let named = |name: &str| Some(name.to_owned());
        Ok((Self { embedding: named("dec_emb"), cells: Cells::Pair, head: [named("fc_w"), named("fc_b")] }, config))
    }

    /// From a weight's name in the graphs to its place in the file.
    fn origin(&self, weight: &str) -> Origin {
        let absent = || format!("no {weight}");
        let turned = matches!(self.cells, Cells::BasicLstm(_));
        match (weight, &self.cells) {
            ("embedding.weight", _) => Origin::whole(self.embedding.clone().unwrap_or_else(absent)),
            ("head.weight", _) => {
                let name = self.head[0].clone().unwrap_or_else(absent);
                Origin { name, form: if turned { Form::Transposed } else { Form::Whole } }
            }
            ("head.bias", _) => Origin::whole(self.head[1].clone().unwrap_or_else(absent)),
            ("read.embedding.weight", _) => Origin::whole("enc_emb"),
            (_, Cells::Pair) => {
                let side = if weight.starts_with("read.") { "enc" } else { "dec" };
                let part = if weight.contains("bias") { "b" } else { "w" };
                let of = if weight.contains("_ih_") { "ih" } else { "hh" };
                Origin::whole(format!("{side}_{part}_{of}"))
            }
            (_, Cells::PyTorch(below)) => Origin::whole(weight.replacen("rnn.", below, 1)),
            (_, Cells::BasicLstm(_)) => Origin::whole(absent()),
        }
    }
}

/// Where the rows of a graph come from, and which go on to the head.
#[derive(Clone, Copy)]
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// So many ids from the caller, of which the last is read.
    Given(usize),
    /// The same, all of which are read.
    All(usize),
}

/// A recurrent model whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Recurrent {
    config: RecurrentConfig,
    names: Names,
    alternatives: usize,
    weights: Weights,
}

impl Recurrent {
    /// Whether these are the tensors of one: no other model has cells.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        !tensors.names_ending(FIRST_LAYER).is_empty()
            || is_pair(tensors)
            || ["/weights", "/kernel"]
                .iter()
                .any(|end| tensors.names_ending(end).iter().any(|name| name.contains("basic_lstm_cell")))
    }

    /// Tells by its tensors what it is, and finds every weight.
    ///
    /// Errors: `unsupported-model` where layers read both ways, project their states or are others than those described above; `corrupt-file` that names the
    /// weight which is missing, or is of another shape.
    pub fn find(tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let (names, config) = match tensors.names_ending(FIRST_LAYER).is_empty() {
            true if is_pair(tensors) => Names::of_pair(tensors)?,
            true => Names::of_tensorflow(tensors)?,
            false => Names::of_pytorch(tensors)?,
        };
        let origin = |weight: &str| names.origin(weight);
        let search = Search::new(tensors, storage, &origin);
        let alternatives = ALTERNATIVES.min(config.vocabulary);
        let mut model = Self { config, names: names.clone(), alternatives, weights: Weights::declared(DType::F32) };
        model.everything(search.builder("recurrent"))?;
        model.weights = search.finish();
        Ok(model)
    }

    pub fn config(&self) -> &RecurrentConfig {
        &self.config
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(mut self, alternatives: usize) -> Self {
        self.alternatives = alternatives.min(self.config.vocabulary);
        self
    }

    /// A model of one layer and few tokens, whose steps take this one's paths through a backend's kernels.
    pub fn probe(&self) -> Self {
        let mut probe = Self { weights: self.weights.alike(), ..self.clone() };
        let c = &mut probe.config;
        c.layers = 1;
        if probe.names.embedding.is_some() {
            c.vocabulary = c.vocabulary.min(PROBE_VOCABULARY);
        }
        if let Some(reader) = &mut c.reader {
            reader.vocabulary = reader.vocabulary.min(PROBE_VOCABULARY);
        }
        probe.alternatives = probe.alternatives.min(c.vocabulary);
        probe
    }

    /// The states `[1, width]` that hold what was met.
    pub fn states(&self) -> impl Iterator<Item = String> {
        let kinds: &[&str] = if self.config.cell == Cell::Lstm { &["h", "c"] } else { &["h"] };
        (0..self.config.layers).flat_map(|i| kinds.iter().map(move |kind| format!("{kind}.{i}")))
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Every weight and state, for loading: a graph that is never run.
    pub fn whole(&self) -> Result<Graph> {
        self.everything(self.weights.builder("recurrent"))
    }

    /// Reads `t` tokens, `ids` `[t]` U32, of which the first `lengths` `[1]` U32 count, from zeros in `read.h` on. Output `hidden` `[1, width]`: what begins a text
    /// in `h.0`.
    pub fn read(&self, t: usize) -> Result<Graph> {
        let mut b = self.weights.builder(format!("recurrent read {t}"));
        match &self.config.reader {
            Some(reader) => self.encode(&mut b, reader, t)?,
            None => return Err(Error::internal("this recurrent model goes on with a text and reads no other")),
        }
        Ok(b.finish())
    }

    fn everything(&self, mut b: Builder) -> Result<Graph> {
        if let Some(reader) = &self.config.reader {
            self.encode(&mut b, reader, 1)?;
        }
        self.graph(b, Rows::Last)
    }

    fn encode(&self, b: &mut Builder, reader: &Reader, t: usize) -> Result<()> {
        let c = &self.config;
        b.g.at("encoder");
        let ids = b.g.input("ids", &[t], DType::U32);
        let lengths = b.g.input("lengths", &[1], DType::U32);
        let mut below = b.pp("read");
        let x = below.embedding("embedding", reader.vocabulary, reader.embedding, ids)?;
        let state = below.g.state(READ_STATE, &[1, c.width], DType::F32)?;
        let x = below.recurrent(0, c.cell, c.width, (state, None), x)?;
        drop(below);
        let last = b.g.pool(Pooling::Last, x, lengths)?;
        b.g.output("hidden", last);
        Ok(())
    }

    /// One step: the token chosen before → logits → the next. Outputs `sampled`, `logits` `[1, vocabulary]`, and each layer's state `h.N` and memory `c.N` `[1, width]`
    /// after the step.
    pub fn decode(&self) -> Result<Graph> {
        self.graph(self.weights.builder("recurrent decode"), Rows::Last)
    }

    /// `t` tokens, one after another, exactly so many: what is met is not forgotten. Input `ids` `[t]` U32; the last row is sampled from. Outputs as those of
    /// [`Self::decode`].
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        self.graph(self.weights.builder(format!("recurrent prefill {t}")), Rows::Given(t))
    }

    /// `t` tokens, one after another, and the logits of all of them; input `ids` `[t]` U32. Output `logits` `[t, vocabulary]`.
    pub fn score(&self, t: usize) -> Result<Graph> {
        self.graph(self.weights.builder(format!("recurrent score {t}")), Rows::All(t))
    }

    fn graph(&self, mut b: Builder, rows: Rows) -> Result<Graph> {
        let c = &self.config;
        let states = b.g.sample_states(c.vocabulary)?;
        b.g.at("embedding");
        let ids = match rows {
            Rows::Last => b.g.last_token(states.token),
            Rows::Given(t) | Rows::All(t) => b.g.input("ids", &[t], DType::U32),
        };
        let mut x = match self.names.embedding {
            Some(_) => b.embedding("embedding", c.vocabulary, c.embedding, ids)?,
            None => {
                let one_hot = |_| Recipe::Computed(identity(c.vocabulary));
                let table = b.made("one-hot", &[c.vocabulary, c.vocabulary], one_hot)?;
                b.g.embedding(table, ids)?
            }
        };
        for i in 0..c.layers {
            b.g.at(format!("layer {i}"));
            let mut state = |name: &str| b.g.state(&format!("{name}.{i}"), &[1, c.width], DType::F32);
            let hidden = state("h")?;
            let memory = (c.cell == Cell::Lstm).then(|| state("c")).transpose()?;
            x = match &self.names.cells {
                Cells::PyTorch(_) | Cells::Pair => b.pp("rnn").recurrent(i, c.cell, c.width, (hidden, memory), x)?,
                Cells::BasicLstm(cells) => {
                    let [kernel, bias] = &cells[i];
                    let (gates, inner) = (4 * c.width, b.columns_of(x));
                    let of = |tensor: &str, first| Recipe::BasicLstm { tensor: tensor.into(), first };
                    let weight = b.made(&format!("ih.{i}"), &[gates, inner], |_| of(kernel, 0))?;
                    let own = b.made(&format!("hh.{i}"), &[gates, c.width], |_| of(kernel, inner))?;
                    let bias = b.made(&format!("bias.{i}"), &[gates], |_| of(bias, 0))?;
                    let projected = b.g.linear(weight, Some(bias), x)?;
                    b.g.recurrent(c.cell, (own, None), (hidden, memory), projected)?
                }
            };
            for (name, state) in [("h", Some(hidden)), ("c", memory)] {
                let Some(state) = state else { continue };
                let after = b.g.read_state(state)?;
                b.g.output(&format!("{name}.{i}"), after);
            }
        }
        b.g.at("output");
        if let Rows::Given(t) = rows {
            x = b.g.slice_rows(t.saturating_sub(1), 1, x)?;
        }
        let logits = match self.names.head[1] {
            Some(_) => b.linear("head", c.vocabulary, x)?,
            None => b.linear_without_bias("head", c.vocabulary, x)?,
        };
        if !matches!(rows, Rows::All(_)) {
            let sampled = b.g.sample(states, self.alternatives, logits)?;
            b.g.output("sampled", sampled);
        }
        b.g.output("logits", logits);
        Ok(b.finish())
    }
}

/// Each token a row of its own.
fn identity(side: usize) -> Vec<f32> {
    (0..side * side).map(|at| f32::from(at % side == at / side)).collect()
}
