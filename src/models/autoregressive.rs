//! What writes a text a token at a time, whatever it is made of: a decoder alone, an encoder and a decoder, a recurrent network.

use super::{EncoderDecoder, LanguageModel, Recurrent};
use crate::{
    Error, Result,
    graph::{DType, Graph, GraphBuilder, StepParams},
    models::encoder_decoder::Start,
    weights::Recipes,
};

/// A model that writes a text a token at a time.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // one a load
pub enum Autoregressive {
    Decoder(LanguageModel),
    EncoderDecoder(EncoderDecoder),
    Recurrent(Recurrent),
}

/// A step of a small model that stands for a large one, to try a device with.
pub struct Trial {
    pub graph: Graph,
    pub inputs: Vec<(&'static str, Vec<u32>)>,
    pub states: Vec<(&'static str, Vec<u32>)>,
    pub params: StepParams,
    pub output: &'static str,
    pub sampled: Option<&'static str>,
}

/// How many words of a state hold a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A row of so many for each token of the text, from the first on.
    Token(usize),
    /// Likewise for each token that an encoder read.
    Read(usize),
    /// All of its words, whatever the text.
    Whole(usize),
}

impl Autoregressive {
    /// As `general.architecture` of a GGUF or `model_type` of a `config.json` spells it.
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Decoder(model) => model.config().architecture,
            Self::EncoderDecoder(model) => model.sizes().architecture,
            Self::Recurrent(model) => model.config().cell.name(),
        }
    }

    /// Tokens that it can write.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Decoder(model) => model.config().vocabulary,
            Self::EncoderDecoder(model) => model.sizes().written,
            Self::Recurrent(model) => model.config().vocabulary,
        }
    }

    /// Tokens that it can read.
    pub fn read_vocabulary(&self) -> usize {
        match self {
            Self::EncoderDecoder(model) => model.sizes().vocabulary,
            Self::Recurrent(model) => {
                model.config().reader.as_ref().map_or(self.vocabulary(), |reader| reader.vocabulary)
            }
            Self::Decoder(_) => self.vocabulary(),
        }
    }

    /// Layers, those of both sides where there are two.
    pub fn layers(&self) -> usize {
        match self {
            Self::Decoder(model) => model.config().layers,
            Self::EncoderDecoder(model) => model.sizes().layers + model.sizes().decoder_layers,
            Self::Recurrent(model) => model.config().layers,
        }
    }

    pub fn width(&self) -> usize {
        match self {
            Self::Decoder(model) => model.config().dim,
            Self::EncoderDecoder(model) => model.sizes().width,
            Self::Recurrent(model) => model.config().width,
        }
    }

    /// The most tokens that it was made for; `None` where its state has one size whatever was met.
    pub fn context_length(&self) -> Option<usize> {
        match self {
            Self::Decoder(model) => model.config().trained_context(),
            Self::EncoderDecoder(model) => Some(model.sizes().context_length),
            Self::Recurrent(_) => None,
        }
    }

    /// Tokens that its caches have room for.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Decoder(model) if model.config().is_recurrent() => usize::MAX,
            Self::Decoder(model) => model.capacity(),
            Self::EncoderDecoder(model) => model.capacity(),
            Self::Recurrent(_) => usize::MAX,
        }
    }

    /// Gives the caches room for `rows` tokens.
    pub fn with_capacity(self, rows: usize) -> Self {
        match self {
            Self::Decoder(model) => Self::Decoder(model.with_capacity(rows)),
            Self::EncoderDecoder(model) => Self::EncoderDecoder(model.with_capacity(rows)),
            Self::Recurrent(_) => self,
        }
    }

    /// The most tokens of a text that what was computed for a shorter one serves, where there is such a bound within the context (LongRoPE).
    pub fn bound(&self) -> Option<usize> {
        match self {
            Self::Decoder(model) => model.bound(),
            Self::EncoderDecoder(_) | Self::Recurrent(_) => None,
        }
    }

    /// Makes graphs for texts past the bound, or for those within it.
    pub fn with_texts_past_bound(self, past: bool) -> Self {
        match self {
            Self::Decoder(model) => Self::Decoder(model.with_texts_past_bound(past)),
            other => other,
        }
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(self, alternatives: usize) -> Self {
        match self {
            Self::Decoder(model) => Self::Decoder(model.with_alternatives(alternatives)),
            Self::EncoderDecoder(model) => Self::EncoderDecoder(model.with_alternatives(alternatives)),
            Self::Recurrent(model) => Self::Recurrent(model.with_alternatives(alternatives)),
        }
    }

    /// Whether what it met lies in states that each step writes over: nothing is taken back, and no row may be padding.
    pub fn is_recurrent(&self) -> bool {
        match self {
            Self::Decoder(model) => model.config().is_recurrent(),
            Self::EncoderDecoder(_) => false,
            Self::Recurrent(_) => true,
        }
    }

    /// The states that hold what a recurrent one met, and the words of each. Zeros begin a text.
    pub fn running_states(&self) -> Vec<(String, usize)> {
        match self {
            Self::Decoder(model) => model.running_states(),
            Self::EncoderDecoder(_) => vec![],
            Self::Recurrent(model) => model.states().map(|state| (state, model.config().width)).collect(),
        }
    }

    /// The states that hold a text, all that goes on with it needs.
    pub fn text_states(&self) -> Result<Vec<(String, Extent)>> {
        let whole = self.running_states().into_iter().map(|(state, words)| (state, Extent::Whole(words)));
        let of_rows = self.whole()?.states.into_iter().filter_map(|state| {
            let row = state.shape.iter().skip(1).product();
            let extent = match state.name.split_once('.')?.0 {
                "cache" => Extent::Token(row),
                "memory" => Extent::Read(row),
                _ => return None,
            };
            Some((state.name, extent))
        });
        Ok(whole.chain(of_rows).collect())
    }

    /// What a written text begins and ends with, where another is read before it.
    pub fn start(&self) -> Option<&Start> {
        match self {
            Self::EncoderDecoder(model) => Some(&model.sizes().start),
            Self::Recurrent(model) => model.config().reader.as_ref().map(|reader| &reader.start),
            Self::Decoder(_) => None,
        }
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        match self {
            Self::Decoder(model) => model.recipes(),
            Self::EncoderDecoder(model) => model.recipes(),
            Self::Recurrent(model) => model.recipes(),
        }
    }

    /// Every weight and state, for loading.
    pub fn whole(&self) -> Result<Graph> {
        match self {
            Self::EncoderDecoder(model) => model.whole(),
            Self::Recurrent(model) => model.whole(),
            Self::Decoder(model) => model.decode(),
        }
    }

    /// `t` tokens as one text for the decoder, of a recurrent one's reader to the output `hidden` that a text begins with; input `ids` `[t]` and `lengths` `[1]` U32.
    pub fn read(&self, t: usize) -> Result<Graph> {
        match self {
            Self::EncoderDecoder(model) => model.read(t),
            Self::Recurrent(model) => model.read(t),
            Self::Decoder(_) => Err(Error::internal(format!("{} reads and writes one text", self.architecture()))),
        }
    }

    /// One step: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        match self {
            Self::Decoder(model) => model.decode(),
            Self::EncoderDecoder(model) => model.decode(),
            Self::Recurrent(model) => model.decode(),
        }
    }

    /// `t` tokens, the last of which (or the row that the step names, where the model is not recurrent) is sampled from; input `ids` `[t]` U32.
    /// Outputs as those of [`Self::decode`].
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        match self {
            Self::Decoder(model) => model.prefill(t),
            Self::EncoderDecoder(model) => model.prefill(t),
            Self::Recurrent(model) => model.prefill(t),
        }
    }

    /// `t` tokens and the logits of all of them; input `ids` `[t]` U32. Output `logits` `[t, vocabulary]`.
    pub fn score(&self, t: usize) -> Result<Graph> {
        match self {
            Self::Decoder(model) => model.score(t),
            Self::Recurrent(model) => model.score(t),
            Self::EncoderDecoder(_) => Err(Error::internal("what an encoder-decoder writes belongs to what it read")),
        }
    }

    /// Whether several texts can be written in one step, each in a slot of the caches, and tokens be taken back.
    pub fn has_slots(&self) -> bool {
        !self.is_recurrent()
    }

    /// One step of several texts; see [`LanguageModel::decode_rows`].
    pub fn decode_rows(&self, rows: usize, slots: usize) -> Result<Graph> {
        match self {
            Self::Decoder(model) => model.decode_rows(rows, slots),
            Self::EncoderDecoder(model) => model.decode_rows(rows, slots),
            Self::Recurrent(_) => Err(Error::internal(format!("{} keeps no slots", self.architecture()))),
        }
    }

    /// The same with what the head reads of each row; see [`LanguageModel::decode_rows_with_hidden`].
    pub fn decode_rows_with_hidden(&self, rows: usize, slots: usize) -> Result<Graph> {
        self.decoder()?.decode_rows_with_hidden(rows, slots)
    }

    /// See [`LanguageModel::prefill_with_hidden`].
    pub fn prefill_with_hidden(&self, t: usize) -> Result<Graph> {
        self.decoder()?.prefill_with_hidden(t)
    }

    fn decoder(&self) -> Result<&LanguageModel> {
        match self {
            Self::Decoder(model) if !self.is_recurrent() => Ok(model),
            _ => Err(Error::internal(format!("{} tells nothing of its rows", self.architecture()))),
        }
    }

    /// Slots of the caches become others: input `copies` `[slots, 2]` U32, the source of each and how many rows of it.
    pub fn copy_slots(&self, slots: usize) -> Result<Graph> {
        let mut g = GraphBuilder::new(format!("{} copy {slots} slots", self.architecture()));
        let copies = g.input("copies", &[slots, 2], DType::U32);
        for state in self.decode()?.states.iter().filter(|state| state.name.starts_with("cache.")) {
            let cache = g.state(&state.name, &state.shape, state.dtype)?;
            g.copy_slots(cache, copies)?;
        }
        Ok(g.finish())
    }

    /// A small model that stands for this one: a graph that names all its weights and states, and steps to try a device with. A prompt of few tokens is padded to
    /// `rows`.
    pub fn trials(&self, rows: usize) -> Result<(Graph, Vec<Trial>)> {
        let ids = |rows: usize, vocabulary: usize| (0..rows).map(|row| (row * 7 % vocabulary) as u32).collect();
        let written = |graph, position: usize, vocabulary| Trial {
            graph,
            inputs: vec![],
            states: vec![("seen", vec![0; vocabulary]), ("token", vec![0])],
            params: StepParams { position: position as u32, ..StepParams::default() },
            output: "logits",
            sampled: Some("sampled"),
        };
        match self {
            Self::Decoder(model) => {
                let probe = model.probe();
                let (rows, vocabulary) = (rows.min(probe.capacity()), probe.config().vocabulary);
                let prefill = Trial {
                    graph: probe.prefill(rows)?,
                    inputs: vec![("ids", ids(rows, vocabulary))],
                    states: vec![("seen", vec![0; vocabulary])],
                    params: StepParams { row: rows as u32 - 1, ..StepParams::default() },
                    output: "logits",
                    sampled: Some("sampled"),
                };
                let next = rows.min(probe.capacity() - 1);
                Ok((probe.decode()?, vec![prefill, written(probe.decode()?, next, vocabulary)]))
            }
            Self::EncoderDecoder(model) => {
                let probe = model.probe();
                let rows = rows.min(probe.capacity());
                let count = (rows * 3 / 4).max(1);
                let read = Trial {
                    graph: probe.read(rows)?,
                    inputs: vec![("ids", ids(rows, probe.sizes().vocabulary)), ("lengths", vec![count as u32])],
                    states: vec![],
                    params: StepParams::default(),
                    output: "hidden",
                    sampled: None,
                };
                let mut write = written(probe.decode()?, 0, probe.sizes().written);
                write.params.memory = count as u32;
                Ok((probe.whole()?, vec![read, write]))
            }
            Self::Recurrent(model) => {
                let probe = model.probe();
                let vocabulary = probe.config().vocabulary;
                let prefill = Trial {
                    graph: probe.prefill(rows)?,
                    inputs: vec![("ids", ids(rows, vocabulary))],
                    states: vec![("seen", vec![0; vocabulary])],
                    params: StepParams::default(),
                    output: "logits",
                    sampled: Some("sampled"),
                };
                let mut trials = vec![prefill, written(probe.decode()?, 0, vocabulary)];
                if let Some(reader) = &probe.config().reader {
                    trials.push(Trial {
                        graph: probe.read(rows)?,
                        inputs: vec![("ids", ids(rows, reader.vocabulary)), ("lengths", vec![rows as u32])],
                        states: vec![],
                        params: StepParams::default(),
                        output: "hidden",
                        sampled: None,
                    });
                }
                Ok((probe.whole()?, trials))
            }
        }
    }
}
