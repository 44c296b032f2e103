//! The two text encoders of Stable Diffusion XL (arXiv 2307.01952), read as one: CLIP's ViT-L and OpenCLIP's ViT-bigG. Both read every prompt; what
//! the denoiser looks at are their rows before the last layer, side by side, without the norm behind it. The second also goes on to its end, and the
//! row there of a text's end mark, projected, stands for the whole text.

use super::{ClipConfig, Names, Place};
use crate::{
    Error, Result,
    graph::{DType, Graph, Pooling},
    models::{Builder, Search, Tensors, TextEncoder, Weights},
    weights::{Recipes, Storage},
};

/// Two text encoders.
#[derive(Debug, Clone)]
pub struct ClipPair {
    first: ClipConfig,
    second: ClipConfig,
    /// Columns of the row of a whole text.
    projected: usize,
    weights: Weights,
}

/// Before the names of each one's weights.
const BELOW: [&str; 2] = ["text_encoder", "text_encoder_2"];

impl ClipPair {
    /// Errors: `corrupt-file` where they do not read texts of one length, or the second has no projection.
    pub fn new([first, second]: [ClipConfig; 2], weights: Weights) -> Result<Self> {
        let projected = second.projected.ok_or_else(|| {
            Error::corrupt_file(
                "the second text encoder has no text_projection; give the model's own CLIPTextModelWithProjection",
            )
        })?;
        if first.length != second.length {
            return Err(Error::corrupt_file(format!(
                "the text encoders read {} and {} tokens, which must be as many; give the parts of one model",
                first.length, second.length
            )));
        }
        Ok(Self { first, second, projected, weights })
    }

    /// Finds every weight in a file; where one has no configuration, the shapes of its tensors say it.
    ///
    /// Errors: `corrupt-file` where one of them is missing, or not as its configuration says.
    pub fn find(configs: [Option<ClipConfig>; 2], tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let find = |config: Option<ClipConfig>, place: Place| {
            let names = Names::of(tensors, place).ok_or_else(|| {
                let which = if place == Place::First { "first (text_encoder)" } else { "second (text_encoder_2)" };
                Error::corrupt_file(format!(
                    "the file holds no {which} of the two text encoders that Stable Diffusion XL reads with, by a known name; give it too"
                ))
            })?;
            let config = config.map_or_else(|| ClipConfig::from_tensors(names, place, tensors), Ok)?;
            Ok::<_, Error>((config, names))
        };
        let [first, second] = configs;
        let ((first, of_first), (second, of_second)) = (find(first, Place::First)?, find(second, Place::Second)?);
        let origin = |weight: &str| {
            let (folder, weight) = weight.split_once('.').unwrap_or(("", weight));
            if folder == BELOW[0] {
                of_first.origin(Place::First, weight)
            } else {
                of_second.origin(Place::Second, weight)
            }
        };
        let search = Search::new(tensors, storage, &origin);
        let mut pair = Self::new([first, second], Weights::declared(DType::F32))?;
        pair.written(search.builder("clip pair"), 1)?;
        pair.weights = search.finish();
        Ok(pair)
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    fn written(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let Self { first, second, projected, .. } = self;
        let before = |config: &ClipConfig| config.layers.saturating_sub(1);
        let rows = batch.saturating_mul(first.length);
        let [ids, second_ids, positions] =
            ["ids", "second_ids", "positions"].map(|name| b.g.input(name, &[rows], DType::U32));
        let lengths = b.g.input("lengths", &[batch], DType::U32);

        let mut text = b.pp(format!("{}.text_model", BELOW[0]));
        let x = first.embedded(&mut text, ids, positions)?;
        let x = first.through(&mut text, 0..before(first), batch, x)?;
        drop(text);
        let mut text = b.pp(format!("{}.text_model", BELOW[1]));
        let y = second.embedded(&mut text, second_ids, positions)?;
        let y = second.through(&mut text, 0..before(second), batch, y)?;
        let context = text.g.concat(x, y)?;
        let y = second.through(&mut text, before(second)..second.layers, batch, y)?;
        text.g.at("text output");
        let y = text.layer_norm("final_layer_norm", second.eps, y)?;
        drop(text);
        let y = b.g.pool(Pooling::Last, y, lengths)?;
        let pooled = b.linear_without_bias(&format!("{}.text_projection", BELOW[1]), *projected, y)?;
        b.g.output("context", context);
        b.g.output("pooled", pooled);
        Ok(b.finish())
    }
}

impl TextEncoder for ClipPair {
    fn graph(&self, batch: usize) -> Result<Graph> {
        self.written(self.weights.builder(format!("clip pair {batch}")), batch)
    }

    fn length(&self) -> usize {
        self.first.length
    }

    fn width(&self) -> usize {
        self.first.width + self.second.width
    }

    fn id_inputs(&self) -> &'static [&'static str] {
        &["ids", "second_ids"]
    }

    fn widths(&self) -> Vec<usize> {
        vec![self.first.width, self.second.width]
    }

    fn pooled_width(&self) -> Option<usize> {
        Some(self.projected)
    }

    fn vocabulary(&self) -> usize {
        self.first.vocabulary.min(self.second.vocabulary)
    }
}
