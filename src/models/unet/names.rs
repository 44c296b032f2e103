//! What files call the weights of a U-Net.

use super::UNetConfig;
use crate::models::{Origin, Tensors};

/// How the weights are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `down_blocks.0.resnets.0.conv1.weight`
    Diffusers,
    /// `model.diffusion_model.input_blocks.1.0.in_layers.2.weight`: single-file checkpoints, and stable-diffusion.cpp's GGUF files.
    SingleFile,
    /// The same without `model.diffusion_model.`: a U-Net that goes alone, as ComfyUI and its GGUFs have it.
    Alone,
}

const SINGLE: &str = "model.diffusion_model.";

impl Names {
    /// Those that `tensors` go by; `None` where there is no U-Net.
    pub fn of(tensors: &dyn Tensors) -> Option<Self> {
        // Beside a whole folder of diffusers, a U-Net in a file of its own is what is meant.
        [Self::SingleFile, Self::Alone, Self::Diffusers].into_iter().find(|names| {
            let first = if *names == Self::Diffusers { "conv_in.weight" } else { "input_blocks.0.0.weight" };
            tensors.tensor(&format!("{}{first}", names.prefix())).is_some()
        })
    }

    /// Before every name.
    pub(super) fn prefix(self) -> &'static str {
        if self == Self::SingleFile { SINGLE } else { "" }
    }

    /// Where a weight, called as in `diffusers`, stands in the file.
    pub fn origin(self, config: &UNetConfig, weight: &str) -> Origin {
        match self {
            Self::Diffusers => Origin::same(weight),
            Self::SingleFile | Self::Alone => {
                Origin::whole(self.prefix().to_owned() + &single(config, weight).unwrap_or_else(|| weight.into()))
            }
        }
    }
}

/// The name in a single file. There, what each level adds stands in one row of `input_blocks` (the first is the convolution at the
/// beginning; a halving counts as one), and of `output_blocks` (a doubling belongs to the layer before it).
fn single(config: &UNetConfig, weight: &str) -> Option<String> {
    const FIXED: [(&str, &str); 8] = [
        ("conv_in.", "input_blocks.0.0."),
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("time_embedding.cond_proj.", "time_embed.cond_proj."),
        ("add_embedding.linear_1.", "label_emb.0.0."),
        ("add_embedding.linear_2.", "label_emb.0.2."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
    ];
    for (ours, theirs) in FIXED {
        if let Some(end) = weight.strip_prefix(ours) {
            return Some(format!("{theirs}{end}"));
        }
    }
    let (room, rest) = weight.split_once('.')?;
    if room == "mid_block" {
        let (kind, j, end) = member(rest)?;
        return Some(match kind {
            "resnets" => format!("middle_block.{}.{}", 2 * j, residual(end)?),
            _ => format!("middle_block.1.{end}"),
        });
    }
    let (i, rest) = rest.split_once('.')?;
    let (i, (kind, j, end)) = (i.parse::<usize>().ok()?, member(rest)?);
    if room == "down_blocks" {
        let block = config.down.get(i)?;
        let before: usize = config.down[..i].iter().map(|block| block.layers + usize::from(block.halves)).sum();
        let place = 1 + before;
        return Some(match kind {
            "resnets" => format!("input_blocks.{}.0.{}", place + j, residual(end)?),
            "attentions" => format!("input_blocks.{}.1.{end}", place + j),
            _ => format!("input_blocks.{}.0.op.{}", place + block.layers, end.strip_prefix("conv.")?),
        });
    }
    let block = config.up.get(i)?;
    let place: usize = config.up[..i].iter().map(|block| block.layers).sum();
    Some(match kind {
        "resnets" => format!("output_blocks.{}.0.{}", place + j, residual(end)?),
        "attentions" => format!("output_blocks.{}.1.{end}", place + j),
        _ => format!("output_blocks.{}.{}.{end}", place + block.layers - 1, 1 + usize::from(block.attention.is_some())),
    })
}

/// `resnets.1.conv1.weight` → `resnets`, 1, `conv1.weight`.
fn member(rest: &str) -> Option<(&str, usize, &str)> {
    let (kind, rest) = rest.split_once('.')?;
    let (j, end) = rest.split_once('.')?;
    Some((kind, j.parse().ok()?, end))
}

/// The parts of a residual block.
fn residual(end: &str) -> Option<String> {
    let (part, end) = end.split_once('.')?;
    let part = match part {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        _ => return None,
    };
    Some(format!("{part}.{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_diffusions_single_file_has_a_place_for_every_weight() {
        let config = UNetConfig::from_diffusers(
            r#"{"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}"#,
        )
        .unwrap();
        for (ours, theirs) in [
            ("conv_in.weight", "input_blocks.0.0.weight"),
            ("down_blocks.0.resnets.1.conv1.weight", "input_blocks.2.0.in_layers.2.weight"),
            ("down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight"),
            ("down_blocks.1.attentions.0.proj_in.bias", "input_blocks.4.1.proj_in.bias"),
            ("down_blocks.3.resnets.1.norm2.weight", "input_blocks.11.0.out_layers.0.weight"),
            ("mid_block.attentions.0.norm.weight", "middle_block.1.norm.weight"),
            ("mid_block.resnets.1.time_emb_proj.bias", "middle_block.2.emb_layers.1.bias"),
            ("up_blocks.0.upsamplers.0.conv.bias", "output_blocks.2.1.conv.bias"),
            ("up_blocks.1.upsamplers.0.conv.weight", "output_blocks.5.2.conv.weight"),
            ("up_blocks.3.resnets.2.conv_shortcut.weight", "output_blocks.11.0.skip_connection.weight"),
            ("conv_norm_out.bias", "out.0.bias"),
            ("add_embedding.linear_2.weight", "label_emb.0.2.weight"),
        ] {
            assert_eq!(Names::SingleFile.origin(&config, ours), Origin::same(&format!("{SINGLE}{theirs}")));
            assert_eq!(Names::Alone.origin(&config, ours), Origin::same(theirs));
        }
    }
}
