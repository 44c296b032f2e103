//! BART (arXiv 1910.13461) and what is built like it: Marian's translators (arXiv 1804.00344) and Pegasus (arXiv 1912.08777). Attention and feed-forward
//! layers with biases and LayerNorm; they differ in where the norms stand and how positions come in.

use std::rc::Rc;

use super::{EncoderDecoder, Keys, LayerStates, Layers, PROBE_VOCABULARY, PROBE_WIDTH, Sizes, Start};
use crate::{
    Error, Result,
    graph::{Unary, ValueId, WeightId},
    models::{Builder, Origin, Search, Tensors, config::Json},
    weights::{Recipe, Storage},
};

/// `model_type` of those that are built so.
pub const KINDS: [&str; 3] = ["bart", "marian", "pegasus"];

/// In none of their configurations.
const EPS: f32 = 1e-5;
/// Positions at most whose sines are computed here: no file bounds their table.
const MOST_SINES: usize = 1 << 14;
/// Rows of BART's table of positions before the first.
const BEFORE_POSITIONS: usize = 2;

/// In what the families differ.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Family {
    architecture: &'static str,
    /// Norms stand before the layers, and one more behind all of them; else behind each.
    pre_norm: bool,
    /// Positions are a table of the file's; else sines.
    learned_positions: bool,
    /// A norm follows the embedding.
    embedding_norm: bool,
}

const BART: Family = Family { architecture: "bart", pre_norm: false, learned_positions: true, embedding_norm: true };
const MARIAN: Family =
    Family { architecture: "marian", pre_norm: false, learned_positions: false, embedding_norm: false };
const PEGASUS: Family = Family { architecture: "pegasus", pre_norm: true, ..MARIAN };

/// Of one side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Side {
    name: &'static str,
    vocabulary: usize,
    layers: usize,
    heads: usize,
    feed_forward: usize,
}

#[derive(Debug, Clone)]
struct Bart {
    family: Family,
    encoder: Side,
    decoder: Side,
    width: usize,
    activation: Unary,
    /// What embeddings are multiplied by.
    scale: Option<f32>,
    positions: usize,
    start: Start,
    /// Whether both sides read one table.
    shared: bool,
    own_head: bool,
    logits_bias: bool,
}

/// Finds every weight in a file.
pub(super) fn find(json: &Json, tensors: &dyn Tensors, storage: Storage) -> Result<EncoderDecoder> {
    let family = match json.word_or("model_type", "bart")? {
        "marian" => MARIAN,
        "pegasus" => PEGASUS,
        _ => BART,
    };
    let width = json.count_or("d_model", 1024)?;
    let vocabulary = json.count_or("vocab_size", 50265)?;
    let written = json.count_or("decoder_vocab_size", vocabulary)?;
    let side = |name: &'static str, vocabulary| -> Result<Side> {
        let count = |what: &str, usual| json.count_or(&format!("{name}_{what}"), usual);
        let side = Side {
            name,
            vocabulary,
            layers: count("layers", 12)?,
            heads: count("attention_heads", 16)?,
            feed_forward: count("ffn_dim", 4096)?,
        };
        if side.layers > 1024 || !width.is_multiple_of(side.heads) {
            return Err(Error::corrupt_file(format!(
                "{} layers and {} heads in a width of {width} cannot be; give the model's own configuration",
                side.layers, side.heads
            )));
        }
        Ok(side)
    };
    let positions = json.count_or("max_position_embeddings", 1024)?;
    if !family.learned_positions && positions > MOST_SINES {
        return Err(Error::corrupt_file(format!(
            "config.json: max_position_embeddings {positions} is more than {MOST_SINES}; give the model's own configuration"
        )));
    }
    let names = |weight: &str| {
        let below = format!("model.{weight}");
        Origin::whole(if tensors.tensor(&below).is_some() { below } else { weight.into() })
    };
    let search = Search::new(tensors, storage, &names);
    let own_head = search.has("lm_head.weight");
    if !own_head && !json.flag_or("tie_word_embeddings", true)? {
        return Err(Error::corrupt_file(
            "the file has no weight lm_head.weight, which its configuration asks for; fetch the whole file again",
        ));
    }
    let bart = Bart {
        family,
        encoder: side("encoder", vocabulary)?,
        decoder: side("decoder", written)?,
        width,
        activation: json.activation_or("activation_function", "gelu")?,
        scale: json.flag_or("scale_embedding", false)?.then(|| (width as f32).sqrt()),
        positions,
        start: Start::of(json, written)?,
        shared: search.has("shared.weight"),
        own_head,
        logits_bias: search.has("final_logits_bias"),
    };
    EncoderDecoder::new(Rc::new(bart), search)
}

impl Bart {
    fn table(&self, side: Side) -> String {
        if self.shared { "shared".into() } else { format!("{}.embed_tokens", side.name) }
    }

    fn positions(&self, b: &mut Builder, side: Side) -> Result<WeightId> {
        let shape = [self.positions, self.width];
        match self.family.learned_positions {
            true => {
                b.made(&format!("{}.embed_positions.weight", side.name), &shape, |t| Recipe::rows(t, BEFORE_POSITIONS))
            }
            false => b.made("positions", &shape, |_| Recipe::Computed(sines(self.positions, self.width))),
        }
    }

    fn embed(&self, b: &mut Builder, side: Side, ids: ValueId) -> Result<ValueId> {
        let mut x = b.embedding(&self.table(side), side.vocabulary, self.width, ids)?;
        if let Some(scale) = self.scale {
            x = b.g.unary(Unary::Affine { scale, shift: 0.0 }, x);
        }
        let positions = self.positions(b, side)?;
        x = b.g.add_positions(positions, x)?;
        if self.family.embedding_norm {
            x = b.pp(side.name).layer_norm("layernorm_embedding", EPS, x)?;
        }
        Ok(x)
    }

    /// A part of a layer between its norm and what went in.
    fn part(
        &self,
        b: &mut Builder,
        norm: &str,
        x: ValueId,
        work: impl FnOnce(&mut Builder, ValueId) -> Result<ValueId>,
    ) -> Result<ValueId> {
        let h = if self.family.pre_norm { b.layer_norm(norm, EPS, x)? } else { x };
        let h = work(b, h)?;
        let x = b.add(x, h)?;
        if self.family.pre_norm { Ok(x) } else { b.layer_norm(norm, EPS, x) }
    }

    fn attention(&self, b: &mut Builder, side: Side, name: &str, keys: Keys, x: ValueId) -> Result<ValueId> {
        self.part(b, &format!("{name}_layer_norm"), x, |b, h| {
            let mut b = b.pp(name);
            let (width, dim) = (self.width, self.width / side.heads);
            let q = b.linear("q_proj", width, h)?;
            let made = |b: &mut Builder| Ok([b.linear("k_proj", width, h)?, b.linear("v_proj", width, h)?]);
            let h = keys.attend(&mut b, (side.heads, dim, 1.0 / (dim as f32).sqrt()), None, q, made)?;
            b.linear("out_proj", self.width, h)
        })
    }

    fn feed_forward(&self, b: &mut Builder, side: Side, x: ValueId) -> Result<ValueId> {
        self.part(b, "final_layer_norm", x, |b, h| {
            let h = b.linear("fc1", side.feed_forward, h)?;
            let h = b.g.unary(self.activation, h);
            b.linear("fc2", self.width, h)
        })
    }

    /// Behind all layers of a side.
    fn end(&self, b: &mut Builder, side: Side, x: ValueId) -> Result<ValueId> {
        if self.family.pre_norm { b.pp(side.name).layer_norm("layer_norm", EPS, x) } else { Ok(x) }
    }
}

impl Layers for Bart {
    fn sizes(&self) -> Sizes {
        Sizes {
            architecture: self.family.architecture,
            vocabulary: self.encoder.vocabulary,
            written: self.decoder.vocabulary,
            width: self.width,
            inner: self.width,
            layers: self.encoder.layers,
            decoder_layers: self.decoder.layers,
            context_length: self.positions,
            bounded: true,
            start: self.start.clone(),
        }
    }

    fn probe(&self) -> Rc<dyn Layers> {
        let small = |side: Side| Side {
            vocabulary: side.vocabulary.min(PROBE_VOCABULARY),
            feed_forward: side.feed_forward.min(PROBE_WIDTH),
            layers: 1,
            ..side
        };
        let (encoder, decoder) = (small(self.encoder), small(self.decoder));
        Rc::new(Self { encoder, decoder, start: Start::default(), ..self.clone() })
    }

    fn read(&self, b: &mut Builder, _: usize, ids: ValueId, lengths: ValueId) -> Result<ValueId> {
        let side = self.encoder;
        let mut x = self.embed(b, side, ids)?;
        for i in 0..side.layers {
            let mut layer = b.pp(format!("encoder.layers.{i}"));
            layer.g.at(format!("encoder layer {i}"));
            x = self.attention(&mut layer, side, "self_attn", Keys::Read(lengths), x)?;
            x = self.feed_forward(&mut layer, side, x)?;
        }
        self.end(b, side, x)
    }

    fn memory(&self, b: &mut Builder, layer: usize, hidden: ValueId) -> Result<[ValueId; 2]> {
        let mut cross = b.pp(format!("decoder.layers.{layer}.encoder_attn"));
        Ok([cross.linear("k_proj", self.width, hidden)?, cross.linear("v_proj", self.width, hidden)?])
    }

    fn write(&self, b: &mut Builder, _: usize, ids: ValueId, states: &[LayerStates]) -> Result<ValueId> {
        let side = self.decoder;
        let mut x = self.embed(b, side, ids)?;
        for (i, [cache, memory]) in states.iter().enumerate() {
            let mut layer = b.pp(format!("decoder.layers.{i}"));
            layer.g.at(format!("decoder layer {i}"));
            x = self.attention(&mut layer, side, "self_attn", Keys::Cached(*cache), x)?;
            x = self.attention(&mut layer, side, "encoder_attn", Keys::Memory(*memory), x)?;
            x = self.feed_forward(&mut layer, side, x)?;
        }
        Ok(x)
    }

    fn head(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = self.end(b, self.decoder, x)?;
        let head = if self.own_head { "lm_head".into() } else { self.table(self.decoder) };
        let weight = b.weight(&format!("{head}.weight"), &[self.decoder.vocabulary, self.width])?;
        let bias = match self.logits_bias {
            true => Some(b.weight("final_logits_bias", &[self.decoder.vocabulary])?),
            false => None,
        };
        b.g.linear(weight, bias, x)
    }
}

/// The table of "Attention Is All You Need" (arXiv 1706.03762), all sines before all cosines.
fn sines(rows: usize, width: usize) -> Vec<f32> {
    let sines = width.div_ceil(2);
    let angle = |row: usize, pair: usize| row as f64 / 10000f64.powf(2.0 * pair as f64 / width as f64);
    let column = |row: usize, column: usize| match column.checked_sub(sines) {
        None => angle(row, column).sin(),
        Some(pair) => angle(row, pair).cos(),
    };
    (0..rows).flat_map(|row| (0..width).map(move |at| column(row, at) as f32)).collect()
}
