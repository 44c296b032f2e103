//! What a U-Net is made of, where a single-file checkpoint has no configuration beside it: its tensors' names and shapes say it.

use super::{Addition, Attention, DownBlock, Names, UNetConfig, UpBlock};
use crate::{Error, Result, models::Tensors};

/// No checkpoint has so many; a walk ends there.
const MOST: usize = 64;

/// Columns of each size's embedding in XL, which no shape tells.
const SIZE_COLUMNS: usize = 256;

/// The tensors of a checkpoint's U-Net, and what stands before their names.
struct Checkpoint<'a>(&'a dyn Tensors, &'static str);

impl Checkpoint<'_> {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.tensor(&format!("{}{name}", self.1)).map(|(_, shape)| shape)
    }

    fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// One of a tensor's sides.
    fn side(&self, name: &str, which: usize) -> Result<usize> {
        let side = self.shape(name).and_then(|shape| shape.get(which)).copied().filter(|side| *side > 0);
        side.ok_or_else(|| corrupt(&format!("there is no {name} of a usable shape")))
    }

    /// The transformer at `name`, if there is one, and the width of the prompts it looks at.
    fn attention(&self, name: &str, channels: usize) -> Result<Option<(Attention, usize)>> {
        if !self.has(&format!("{name}.norm.weight")) {
            return Ok(None);
        }
        let width = self.side(&format!("{name}.transformer_blocks.0.attn2.to_k.weight"), 1)?;
        let depth = (0..MOST).take_while(|k| self.has(&format!("{name}.transformer_blocks.{k}.norm1.weight"))).count();
        // Stable Diffusion 1 has 8 heads everywhere; 2 and XL, which look at OpenCLIP's rows of 1,024 and more, have heads of 64.
        let heads = if width >= 1024 { channels / 64 } else { 8 };
        Ok(Some((Attention { heads, depth }, width)))
    }
}

fn corrupt(why: &str) -> Error {
    Error::corrupt_file(format!(
        "the checkpoint's U-Net is not Stable Diffusion's: {why}; give the model in diffusers' layout, with its config.json"
    ))
}

impl UNetConfig {
    /// From the tensors of a single-file checkpoint of Stable Diffusion 1.x, 2.x or XL, or of one pruned or distilled from them.
    ///
    /// Errors: `corrupt-file` where they are no such U-Net's.
    pub fn from_single_file(tensors: &dyn Tensors) -> Result<Self> {
        let file = Checkpoint(tensors, Names::of(tensors).map_or("", Names::prefix));
        let mut width = None;
        let mut note = |found: Option<(Attention, usize)>| {
            found.map(|(attention, columns)| {
                width = Some(columns);
                attention
            })
        };

        let mut down: Vec<DownBlock> = vec![];
        let mut open = false;
        for n in 1..MOST {
            let at = format!("input_blocks.{n}");
            let resnet = format!("{at}.0.in_layers.2.weight");
            if file.has(&resnet) {
                let channels = file.side(&resnet, 0)?;
                let attention = note(file.attention(&format!("{at}.1"), channels)?);
                match down.last_mut().filter(|_| open) {
                    Some(block) => block.layers += 1,
                    None => down.push(DownBlock { channels, layers: 1, attention, halves: false }),
                }
                open = true;
            } else if let Some(block) = down.last_mut().filter(|_| file.has(&format!("{at}.0.op.weight"))) {
                (block.halves, open) = (true, false);
            } else {
                break;
            }
        }
        let mut up: Vec<UpBlock> = vec![];
        for n in 0..MOST {
            let at = format!("output_blocks.{n}");
            let resnet = format!("{at}.0.in_layers.2.weight");
            if !file.has(&resnet) {
                break;
            }
            let channels = file.side(&resnet, 0)?;
            let attention = note(file.attention(&format!("{at}.1"), channels)?);
            let doubles = [1, 2].iter().any(|place| file.has(&format!("{at}.{place}.conv.weight")));
            match up.last_mut().filter(|block| !block.doubles) {
                Some(block) => (block.layers, block.doubles) = (block.layers + 1, doubles),
                None => up.push(UpBlock { channels, layers: 1, attention, doubles }),
            }
        }
        let middle = match file.shape("middle_block.0.in_layers.2.weight") {
            Some(shape) => Some(note(file.attention("middle_block.1", shape.first().copied().unwrap_or(0))?)),
            None => None,
        };
        let last = down.len().saturating_sub(1);
        let levels = down.iter().enumerate().all(|(i, block)| block.halves == (i < last));
        if down.is_empty() || down.len() > 8 || down.len() != up.len() || !levels {
            return Err(corrupt(&format!("it goes down {} levels and up {}", down.len(), up.len())));
        }
        let guidance = "time_embed.cond_proj.weight";
        let added = "label_emb.0.0.weight";
        let context_width = width.ok_or_else(|| corrupt("it looks at no prompt"))?;
        let addition = match file.has(added) {
            true => Some(Addition::new(file.side(added, 1)?, SIZE_COLUMNS, context_width)?),
            false => None,
        };
        Ok(Self {
            in_channels: file.side("input_blocks.0.0.weight", 1)?,
            out_channels: file.side("out.2.weight", 0)?,
            channels: down.iter().map(|block| block.channels).collect(),
            down,
            middle,
            up,
            context_width,
            norm_groups: 32,
            norm_eps: 1e-5,
            down_padding: 1,
            time_width: file.side("time_embed.0.weight", 0)?,
            cosine_first: true,
            frequency_shift: 0.0,
            guidance_columns: file.has(guidance).then(|| file.side(guidance, 1)).transpose()?,
            addition,
        })
    }
}
