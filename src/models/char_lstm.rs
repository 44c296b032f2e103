//! A recurrent model of characters, as tutorials write it: an embedding, layers of LSTM (Hochreiter & Schmidhuber, 1997), GRU (arXiv 1406.1078) or plain
//! tanh cells, and a linear layer.
//!
//! One [`CharLstm`] makes two graphs over the same weights and states: [`CharLstm::prefill`] and [`CharLstm::decode`]. Weights are called as in PyTorch's example
//! of a language model: `encoder`, `rnn`, `decoder`. Which cell it is, the shapes say. States: `h.N` and, of LSTMs, `c.N` `[1, width]` F32, `seen`
//! `[vocabulary]` U32, `token` `[1]` U32. Zeros in `h` and `c` begin a text.

use super::{Builder, Origin, Search, Tensors, Weights, config::Json, language::ALTERNATIVES};
use crate::{
    Error, Result,
    graph::{Cell, DType, Graph},
    weights::{Recipes, Storage},
};

/// The numbers of a recurrent model.
#[derive(Debug, Clone, PartialEq)]
pub struct CharLstmConfig {
    pub vocabulary: usize,
    /// Columns of the embedding.
    pub embedding: usize,
    /// Columns of a cell's state.
    pub width: usize,
    pub layers: usize,
    /// What each id stands for; empty where the configuration does not say.
    pub characters: Vec<String>,
}

impl CharLstmConfig {
    /// From the text of a `config.json`: `vocab_size`, `embedding_dim`, `hidden_size`, `num_layers`, and `vocab` with all characters.
    ///
    /// Errors: `corrupt-file` where a number is missing, or characters are not as many as it says.
    pub fn from_json(config_json: &str) -> Result<Self> {
        const WHAT: &str = "the recurrent model's config.json";
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let vocab = json.get("vocab").map(|_| json.words("vocab")).transpose()?.unwrap_or_default();
        let config = Self {
            vocabulary: json.count("vocab_size")?,
            embedding: json.count("embedding_dim")?,
            width: json.count("hidden_size")?,
            layers: json.count_or("num_layers", 1)?,
            characters: vocab.into_iter().map(String::from).collect(),
        };
        if config.layers > 64 || ![0, config.vocabulary].contains(&config.characters.len()) {
            return Err(Error::corrupt_file(format!(
                "{WHAT}: {} layers, {} characters of {} cannot be; give the model's own configuration",
                config.layers,
                config.characters.len(),
                config.vocabulary
            )));
        }
        Ok(config)
    }
}

/// Where the rows of a graph come from.
#[derive(Clone, Copy)]
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// So many ids from the caller, of which the last is read.
    Given(usize),
}

/// A recurrent model whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct CharLstm {
    config: CharLstmConfig,
    cell: Cell,
    alternatives: usize,
    weights: Weights,
}

impl CharLstm {
    /// Finds every weight in a file, and tells the cell by them.
    ///
    /// Errors: `unsupported-model` where layers read both ways, or project their states; `corrupt-file` that names the weight which is missing, or is of another
    /// shape than the configuration says.
    pub fn find(config: CharLstmConfig, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        for (name, what) in [("rnn.weight_ih_l0_reverse", "both ways"), ("rnn.weight_hr_l0", "with projected states")] {
            if tensors.tensor(name).is_some() {
                return Err(Error::unsupported_model(format!(
                    "the layers go {what} ({name}); one way alone runs here"
                )));
            }
        }
        let rows = tensors.tensor("rnn.weight_hh_l0").and_then(|(_, shape)| shape.first().copied()).unwrap_or(0);
        let cell = [Cell::Lstm, Cell::Gru, Cell::Tanh].into_iter().find(|cell| cell.gates() * config.width == rows);
        let cell = cell.ok_or_else(|| {
            Error::corrupt_file(format!(
                "the file's rnn.weight_hh_l0 has {rows} rows, and cells of {} have 4, 3 or 1 times as many; give the model's own configuration",
                config.width
            ))
        })?;
        let search = Search::new(tensors, storage, &Origin::same);
        let alternatives = ALTERNATIVES.min(config.vocabulary);
        let mut model = Self { config, cell, alternatives, weights: Weights::declared(DType::F32) };
        model.graph(search.builder("characters"), Rows::Last)?;
        model.weights = search.finish();
        Ok(model)
    }

    pub fn config(&self) -> &CharLstmConfig {
        &self.config
    }

    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// One step: the token chosen before → logits → the next. Outputs `sampled`, `logits` `[1, vocabulary]`, and each layer's state `h.N` and memory `c.N` `[1, width]`
    /// after the step.
    pub fn decode(&self) -> Result<Graph> {
        self.graph(self.weights.builder("characters decode"), Rows::Last)
    }

    /// `t` tokens, one after another, exactly so many: what is met is not forgotten. Input `ids` `[t]` U32; the last row is sampled from. Outputs as those of
    /// [`Self::decode`].
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        self.graph(self.weights.builder(format!("characters prefill {t}")), Rows::Given(t))
    }

    fn graph(&self, mut b: Builder, rows: Rows) -> Result<Graph> {
        let c = &self.config;
        let seen = b.g.state("seen", &[c.vocabulary], DType::U32)?;
        let token = b.g.state("token", &[1], DType::U32)?;
        b.g.at("embedding");
        let ids = match rows {
            Rows::Last => b.g.last_token(token),
            Rows::Given(t) => b.g.input("ids", &[t], DType::U32),
        };
        let mut x = b.embedding("encoder", c.vocabulary, c.embedding, ids)?;
        for i in 0..c.layers {
            b.g.at(format!("layer {i}"));
            let mut state = |name: &str| b.g.state(&format!("{name}.{i}"), &[1, c.width], DType::F32);
            let hidden = state("h")?;
            let memory = (self.cell == Cell::Lstm).then(|| state("c")).transpose()?;
            x = b.pp("rnn").recurrent(i, self.cell, c.width, (hidden, memory), x)?;
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
        let logits = b.linear("decoder", c.vocabulary, x)?;
        let sampled = b.g.sample(seen, token, self.alternatives, logits)?;
        b.g.output("sampled", sampled);
        b.g.output("logits", logits);
        Ok(b.finish())
    }
}
