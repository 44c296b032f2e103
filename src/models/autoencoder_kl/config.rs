//! What an autoencoder's configuration says, or the shapes of its weights.

use serde_json::Value;

use super::names::Names;
use crate::{Error, Result, models::Tensors};

/// What no file goes beyond.
mod most {
    pub const CHANNELS: usize = 8192;
    pub const LEVELS: usize = 8;
    pub const LAYERS: usize = 16;
}

/// Groups of the norms where nothing says another number.
const GROUPS: usize = 32;
/// Of Stable Diffusion 1.x and 2.x, where nothing says another number.
const SCALE: f32 = 0.18215;
/// Of XL, and tensors that its checkpoints and its U-Nets alone hold.
const XL: ([&str; 2], f32) = (["model.diffusion_model.label_emb.0.0.weight", "label_emb.0.0.weight"], 0.13025);

/// The numbers of an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct KlConfig {
    pub latent_channels: usize,
    /// Of each level, the finest first.
    pub channels: Vec<usize>,
    /// Residual blocks of an encoder's level; a decoder's has one more.
    pub layers: usize,
    /// Groups of every norm.
    pub groups: usize,
    /// Whether the middle has an attention.
    pub attention: bool,
    /// A denoiser works on `(z − shift) · scale`.
    pub scale: f32,
    pub shift: f32,
}

impl KlConfig {
    /// Reads diffusers' `config.json`.
    pub fn from_json(json: &Value) -> Result<Self> {
        let count = |key: &str| -> Result<Option<usize>> {
            match &json[key] {
                Value::Null => Ok(None),
                value => {
                    value.as_u64().and_then(|n| usize::try_from(n).ok()).map(Some).ok_or_else(|| wrong(key, value))
                }
            }
        };
        let number = |key: &str, or: f32| match &json[key] {
            Value::Null => Ok(or),
            value => value.as_f64().map(|v| v as f32).ok_or_else(|| wrong(key, value)),
        };
        for (key, known) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
            let mut kinds = json[key].as_array().into_iter().flatten();
            if let Some(other) = kinds.find(|kind| kind.as_str() != Some(known)) {
                return Err(Error::unsupported_model(format!(
                    "config.json asks for an autoencoder of {other}; of these only {known} runs here"
                )));
            }
        }
        if let Some(other) = json["act_fn"].as_str().filter(|act| *act != "silu") {
            return Err(Error::unsupported_model(format!(
                "config.json gives act_fn {other:?}; only \"silu\" runs here"
            )));
        }
        let channels = json["block_out_channels"].as_array().into_iter().flatten();
        let channels: Option<Vec<usize>> = channels.map(|n| n.as_u64().and_then(|n| n.try_into().ok())).collect();
        let config = Self {
            latent_channels: count("latent_channels")?.unwrap_or(4),
            channels: channels.ok_or_else(|| wrong("block_out_channels", &json["block_out_channels"]))?,
            layers: count("layers_per_block")?.unwrap_or(1),
            groups: count("norm_num_groups")?.unwrap_or(GROUPS),
            attention: json["mid_block_add_attention"].as_bool().unwrap_or(true),
            scale: number("scaling_factor", SCALE)?,
            shift: number("shift_factor", 0.0)?,
        };
        config.check()?;
        Ok(config)
    }

    /// Counts levels and blocks, and takes the latent's channels from the convolution that they go into or come out of.
    pub fn from_shapes(tensors: &dyn Tensors, names: &Names) -> Result<Self> {
        // The names of levels depend on how many there are: ask for each number, from few to many.
        let side = |name: &str, levels: usize, dimension: usize| {
            let (_, shape) = tensors.tensor(&names.in_file(&format!("{name}.weight"), levels))?;
            shape.get(dimension).copied()
        };
        let decodes = tensors.tensor(&names.in_file("decoder.conv_in.weight", 1)).is_some();
        let (part, level) = if decodes { ("decoder", "up_blocks") } else { ("encoder", "down_blocks") };
        // A block of the level that is last in the list of so many.
        let there = |levels: usize, block: usize| {
            let at = if decodes { 0 } else { levels - 1 };
            side(&format!("{part}.{level}.{at}.resnets.{block}.conv2"), levels, 0).is_some()
        };
        let at = |levels: usize, i: usize| side(&format!("{part}.{level}.{i}.resnets.0.conv2"), levels, 0);
        let levels = (1..=most::LEVELS)
            .rev()
            .find(|levels| (0..*levels).all(|i| at(*levels, i).is_some()) && there(*levels, 0))
            .unwrap_or(0);
        let mut channels: Vec<usize> = (0..levels).filter_map(|i| at(levels, i)).collect();
        let blocks = (0..most::LAYERS + 1).take_while(|block| levels > 0 && there(levels, *block)).count();
        let (layers, latent_channels) = if decodes {
            channels.reverse();
            (blocks.saturating_sub(1), side("decoder.conv_in", levels, 1))
        } else {
            (blocks, side("encoder.conv_out", levels, 0).map(|moments| moments / 2))
        };
        let config = Self {
            latent_channels: latent_channels.unwrap_or(0),
            channels,
            layers,
            groups: GROUPS,
            attention: side(&format!("{part}.mid_block.attentions.0.to_q"), levels, 0).is_some(),
            scale: if XL.0.iter().any(|name| tensors.tensor(name).is_some()) { XL.1 } else { SCALE },
            shift: 0.0,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let Self { latent_channels, channels, layers, groups, scale, shift, .. } = self;
        let sound = (1..=most::CHANNELS).contains(latent_channels)
            && (1..=most::LEVELS).contains(&channels.len())
            && *layers <= most::LAYERS
            && *groups > 0
            && channels.iter().all(|c| (1..=most::CHANNELS).contains(c) && c.is_multiple_of(*groups))
            && scale.is_finite()
            && *scale != 0.0
            && shift.is_finite();
        if sound {
            return Ok(());
        }
        Err(Error::corrupt_file(format!(
            "the autoencoder's configuration is impossible: {self:?}; give the config.json that belongs to the weights"
        )))
    }
}

fn wrong(key: &str, value: &Value) -> Error {
    Error::corrupt_file(format!(
        "config.json gives {value} for {key}; give the config.json that belongs to the weights"
    ))
}
