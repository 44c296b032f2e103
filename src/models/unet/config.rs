//! What a U-Net is made of, from a `config.json` of `diffusers`.

use serde_json::Value;

use super::SIZES;
use crate::{Error, Result, models::config::Json};

const WHAT: &str = "the U-Net's config.json";

/// The numbers of a U-Net.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Of each level, the finest first.
    pub channels: Vec<usize>,
    pub down: Vec<DownBlock>,
    /// `None`: there is no middle. `Some(None)`: it is one residual block.
    pub middle: Option<Option<Attention>>,
    pub up: Vec<UpBlock>,
    /// Columns of the prompt's rows.
    pub context_width: usize,
    pub norm_groups: usize,
    pub norm_eps: f32,
    /// Zeros around a picture that is halved; 0: below and on the right alone.
    pub down_padding: usize,
    pub time_width: usize,
    pub cosine_first: bool,
    pub frequency_shift: f32,
    /// Columns of the embedding of the guidance scale, where guidance is an input (latent consistency models).
    pub guidance_columns: Option<usize>,
    /// What is added to the time, where there is anything (XL).
    pub addition: Option<Addition>,
}

/// A row for the whole text and the picture's sizes (`text_time`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Columns of the text's row.
    pub pooled: usize,
    /// Columns of the embedding of each size.
    pub columns: usize,
}

impl Addition {
    /// From all that the first of its layers takes.
    ///
    /// Errors: `unsupported-model` for the refiner, which is told five numbers and not six; `corrupt-file` where nothing is left for a text.
    pub fn new(inputs: usize, columns: usize, context_width: usize) -> Result<Self> {
        let pooled =
            columns.checked_mul(SIZES).and_then(|sizes| inputs.checked_sub(sizes)).filter(|pooled| *pooled > 0);
        // The refiner looks at the second encoder's rows alone, and its row is as wide as they are.
        if context_width.checked_add(columns.saturating_mul(SIZES - 1)) == Some(inputs) {
            return Err(Error::unsupported_model(
                "this is the refiner of Stable Diffusion XL, which goes on with what its base model painted and does not run here; load the base \
                 model (stable-diffusion-xl-base-1.0), whose pictures need no refiner",
            ));
        }
        let pooled = pooled.ok_or_else(|| {
            Error::corrupt_file(format!(
                "the U-Net's add_embedding takes {inputs} numbers, which {SIZES} sizes of {columns} and a text do not fit in; give the model's own \
                 configuration"
            ))
        })?;
        Ok(Self { pooled, columns })
    }
}

/// The transformers of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    pub heads: usize,
    /// Blocks of each transformer.
    pub depth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownBlock {
    pub channels: usize,
    pub layers: usize,
    pub attention: Option<Attention>,
    pub halves: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpBlock {
    pub channels: usize,
    pub layers: usize,
    pub attention: Option<Attention>,
    pub doubles: bool,
}

/// Options that change what is computed and that no model of these families sets: with the values that leave it alone.
const UNUSED: &[(&str, &[&str])] = &[
    ("class_embed_type", &[]),
    ("num_class_embeds", &[]),
    ("class_embeddings_concat", &["false"]),
    ("addition_embed_type", &["\"text_time\""]),
    ("encoder_hid_dim", &[]),
    ("encoder_hid_dim_type", &[]),
    ("dual_cross_attention", &["false"]),
    ("only_cross_attention", &["false"]),
    ("mid_block_only_cross_attention", &["false"]),
    ("cross_attention_norm", &[]),
    ("attention_type", &["\"default\""]),
    ("time_embedding_type", &["\"positional\""]),
    ("time_embedding_act_fn", &[]),
    ("timestep_post_act", &[]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("resnet_skip_time_act", &["false"]),
    ("resnet_out_scale_factor", &["1", "1.0"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("center_input_sample", &["false"]),
    ("reverse_transformer_layers_per_block", &[]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("act_fn", &["\"silu\"", "\"swish\""]),
];

impl UNetConfig {
    /// From the text of a `config.json` of `diffusers` (`unet/config.json` of a pipeline).
    ///
    /// Errors: `unsupported-model` for options that do not run here, by name; `corrupt-file` where numbers are missing or do not
    /// go together.
    pub fn from_diffusers(config_json: &str) -> Result<Self> {
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let class = json.word_or("_class_name", "UNet2DConditionModel")?;
        if class != "UNet2DConditionModel" {
            return Err(unsupported(format!("it is a {class}")));
        }
        for (key, harmless) in UNUSED {
            if let Some(value) = json.get(key).map(Value::to_string)
                && !harmless.contains(&value.as_str())
            {
                return Err(unsupported(format!("its {key} is {}", value.chars().take(60).collect::<String>())));
            }
        }

        let channels = json.list("block_out_channels")?;
        let n = channels.len();
        let (down_types, up_types) = (json.words("down_block_types")?, json.words("up_block_types")?);
        if down_types.len() != n || up_types.len() != n || n > 8 {
            return Err(Error::corrupt_file(format!(
                "{WHAT}: {n} block_out_channels, {} down_block_types and {} up_block_types should be as many, 8 at the most; \
                 give the model's own configuration",
                down_types.len(),
                up_types.len()
            )));
        }
        let layers = json.counts_or("layers_per_block", n, 2)?;
        // The field is misnamed in every file there is: it says how many heads there are.
        let heads_key =
            if json.get("num_attention_heads").is_some() { "num_attention_heads" } else { "attention_head_dim" };
        let heads = json.counts_or(heads_key, n, 8)?;
        let depth = json.counts_or("transformer_layers_per_block", n, 1)?;
        let widths = json.counts_or("cross_attention_dim", n, 1280)?;
        if widths.iter().any(|width| *width != widths[0]) || layers.iter().chain(&depth).any(|n| *n > 64) {
            return Err(unsupported("its blocks look at prompts of several widths, or are too deep".into()));
        }
        let attention = |i: usize| Attention { heads: heads[i], depth: depth[i] };

        let mut down = vec![];
        for (i, kind) in down_types.iter().enumerate() {
            let attention = match *kind {
                "CrossAttnDownBlock2D" => Some(attention(i)),
                "DownBlock2D" => None,
                other => return Err(unsupported(format!("a block of it is a {other}"))),
            };
            down.push(DownBlock { channels: channels[i], layers: layers[i], attention, halves: i + 1 < n });
        }
        let middle = match json.word_or("mid_block_type", "UNetMidBlock2DCrossAttn")? {
            _ if json.is_null("mid_block_type") => None,
            "UNetMidBlock2DCrossAttn" => Some(Some(attention(n - 1))),
            "UNetMidBlock2D" => Some(None),
            other => return Err(unsupported(format!("its middle is a {other}"))),
        };
        let mut up = vec![];
        for (i, kind) in up_types.iter().enumerate() {
            let level = n - 1 - i;
            let attention = match *kind {
                "CrossAttnUpBlock2D" => Some(attention(level)),
                "UpBlock2D" => None,
                other => return Err(unsupported(format!("a block of it is a {other}"))),
            };
            up.push(UpBlock { channels: channels[level], layers: layers[level] + 1, attention, doubles: i + 1 < n });
        }
        let addition = match json.get("addition_embed_type") {
            Some(_) => {
                let inputs = json.count("projection_class_embeddings_input_dim")?;
                Some(Addition::new(inputs, json.count("addition_time_embed_dim")?, widths[0])?)
            }
            None => None,
        };
        Ok(Self {
            in_channels: json.count_or("in_channels", 4)?,
            out_channels: json.count_or("out_channels", 4)?,
            down,
            middle,
            up,
            context_width: widths[0],
            norm_groups: json.count_or("norm_num_groups", 32)?,
            norm_eps: json.number_or("norm_eps", 1e-5)? as f32,
            down_padding: json.number_or("downsample_padding", 1.0).and_then(|padding| match padding {
                0.0 => Ok(0),
                1.0 => Ok(1),
                _ => Err(unsupported(format!("its downsample_padding is {padding}"))),
            })?,
            time_width: json.count_or("time_embedding_dim", 4 * channels[0])?,
            cosine_first: json.flag_or("flip_sin_to_cos", true)?,
            frequency_shift: json.number_or("freq_shift", 0.0)? as f32,
            guidance_columns: json.get("time_cond_proj_dim").map(|_| json.count("time_cond_proj_dim")).transpose()?,
            addition,
            channels,
        })
    }
}

fn unsupported(why: String) -> Error {
    Error::unsupported_model(format!(
        "this U-Net cannot run here: {why}; use Stable Diffusion 1.x, 2.x or XL, or one that was pruned or distilled from them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    const TINY: &str = r#"{"_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640], "cross_attention_dim": 768,
        "attention_head_dim": 8, "layers_per_block": 1, "mid_block_type": null,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]}"#;

    #[test]
    fn a_pruned_unet_has_fewer_layers_and_no_middle() {
        let c = UNetConfig::from_diffusers(TINY).unwrap();
        let attention = Some(Attention { heads: 8, depth: 1 });
        assert_eq!(c.middle, None);
        assert_eq!(c.down[0], DownBlock { channels: 320, layers: 1, attention: attention.clone(), halves: true });
        assert_eq!(c.up[1], UpBlock { channels: 320, layers: 2, attention, doubles: false });
    }

    #[test]
    fn what_a_family_never_sets_is_refused_by_name() {
        for (key, value) in
            [("class_embed_type", "\"timestep\""), ("addition_embed_type", "\"text_image\""), ("act_fn", "\"mish\"")]
        {
            let text = TINY.replacen('{', &format!("{{\"{key}\": {value}, "), 1);
            let error = UNetConfig::from_diffusers(&text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedModel);
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn sizes_and_a_text_are_added_but_the_refiners_are_refused() {
        let with = |inputs: usize| {
            let added = format!(
                "{{\"addition_embed_type\": \"text_time\", \"addition_time_embed_dim\": 256, \"projection_class_embeddings_input_dim\": {inputs}, "
            );
            UNetConfig::from_diffusers(&TINY.replacen('{', &added, 1))
        };
        assert_eq!(with(2816).unwrap().addition, Some(Addition { pooled: 1280, columns: 256 }));
        let refiner = with(768 + 5 * 256).unwrap_err();
        assert!(refiner.code() == ErrorCode::UnsupportedModel && refiner.to_string().contains("refiner"), "{refiner}");
        assert_eq!(with(1536).unwrap_err().code(), ErrorCode::CorruptFile);
    }

    #[test]
    fn numbers_that_cannot_be_are_a_corrupt_file() {
        for (from, to) in [
            ("[320, 640]", "[320]"),
            ("[320, 640]", "[]"),
            ("768", "-1"),
            ("\"attention_head_dim\": 8", "\"attention_head_dim\": 0"),
        ] {
            let error = UNetConfig::from_diffusers(&TINY.replace(from, to)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::CorruptFile, "{to}: {error}");
        }
    }
}
