//! What files call the weights of an autoencoder.

use crate::models::Tensors;

/// Whose names a file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// diffusers; `old_attention`: as before version 0.18, and in most files of Stable Diffusion 1.x.
    Diffusers { old_attention: bool },
    /// The code of latent diffusion: single-file checkpoints and stable-diffusion.cpp's GGUFs.
    LatentDiffusion,
}

/// The names of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    style: Style,
    /// Before every name.
    prefix: &'static str,
}

/// Where an autoencoder begins in checkpoints.
const PREFIXES: [&str; 3] = ["first_stage_model.", "vae.", ""];

impl Names {
    /// `None` where there is no autoencoder whose names are known.
    pub fn of(tensors: &dyn Tensors) -> Option<Self> {
        let has = |prefix: &str, name: &str| tensors.tensor(&format!("{prefix}{name}.weight")).is_some();
        PREFIXES.into_iter().find_map(|prefix| {
            let has = |name: &str| has(prefix, name);
            let either = |name: &str| has(&format!("encoder.{name}")) || has(&format!("decoder.{name}"));
            let style = if either("mid_block.resnets.0.conv1") {
                Style::Diffusers { old_attention: either("mid_block.attentions.0.query") }
            } else if either("mid.block_1.conv1") {
                Style::LatentDiffusion
            } else {
                return None;
            };
            Some(Self { style, prefix })
        })
    }

    /// The file's name for the weight that diffusers calls `name` now, of an autoencoder of so many levels.
    pub fn in_file(&self, name: &str, levels: usize) -> String {
        let own = match self.style {
            Style::Diffusers { old_attention: false } => name.to_string(),
            Style::Diffusers { old_attention: true } => replaced(
                name,
                &[(".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")],
            ),
            Style::LatentDiffusion => latent_diffusion(name, levels),
        };
        format!("{}{own}", self.prefix)
    }
}

fn replaced(name: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(name.to_string(), |name, (from, to)| name.replace(from, to))
}

/// A decoder's levels are counted from the finest there.
fn latent_diffusion(name: &str, levels: usize) -> String {
    let mut name = name.to_string();
    if let Some(rest) = name.strip_prefix("decoder.up_blocks.")
        && let Some((level, rest)) = rest.split_once('.')
        && let Some(level) = level.parse::<usize>().ok().and_then(|level| levels.checked_sub(level + 1))
    {
        name = format!("decoder.up.{level}.{rest}");
    }
    replaced(
        &name,
        &[
            (".down_blocks.", ".down."),
            (".mid_block.resnets.0.", ".mid.block_1."),
            (".mid_block.resnets.1.", ".mid.block_2."),
            (".mid_block.attentions.0.group_norm.", ".mid.attn_1.norm."),
            (".mid_block.attentions.0.to_q.", ".mid.attn_1.q."),
            (".mid_block.attentions.0.to_k.", ".mid.attn_1.k."),
            (".mid_block.attentions.0.to_v.", ".mid.attn_1.v."),
            (".mid_block.attentions.0.to_out.0.", ".mid.attn_1.proj_out."),
            (".resnets.", ".block."),
            (".conv_shortcut.", ".nin_shortcut."),
            (".upsamplers.0.conv.", ".upsample.conv."),
            (".downsamplers.0.conv.", ".downsample.conv."),
            (".conv_norm_out.", ".norm_out."),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoints_names_are_those_of_the_original_code() {
        let cases = [
            ("decoder.up_blocks.0.resnets.2.conv1.weight", "decoder.up.3.block.2.conv1.weight"),
            ("decoder.up_blocks.2.resnets.0.conv_shortcut.bias", "decoder.up.1.block.0.nin_shortcut.bias"),
            ("decoder.up_blocks.1.upsamplers.0.conv.weight", "decoder.up.2.upsample.conv.weight"),
            ("encoder.down_blocks.1.downsamplers.0.conv.weight", "encoder.down.1.downsample.conv.weight"),
            ("encoder.mid_block.attentions.0.to_out.0.weight", "encoder.mid.attn_1.proj_out.weight"),
            ("encoder.mid_block.resnets.1.norm2.bias", "encoder.mid.block_2.norm2.bias"),
            ("decoder.conv_norm_out.weight", "decoder.norm_out.weight"),
            ("post_quant_conv.weight", "post_quant_conv.weight"),
        ];
        for (here, there) in cases {
            assert_eq!(latent_diffusion(here, 4), there);
        }
    }
}
