//! The blocks on the way down, in the middle, and on the way up.

use super::{DownBlock, Step, UpBlock, halving};
use crate::{
    Error, Result,
    graph::{Binary, Grid, ValueId},
};

impl Step<'_, '_> {
    /// Layers, then half the size; what each leaves goes onto `skips`.
    pub fn down(
        &mut self,
        i: usize,
        block: &DownBlock,
        grid: &mut Grid,
        mut x: ValueId,
        skips: &mut Vec<ValueId>,
    ) -> Result<ValueId> {
        let at = format!("down_blocks.{i}");
        for j in 0..block.layers {
            x = self.resnet(&format!("{at}.resnets.{j}"), block.channels, *grid, x)?;
            if let Some(attention) = &block.attention {
                x = self.transformer(&format!("{at}.attentions.{j}"), attention, *grid, x)?;
            }
            skips.push(x);
        }
        if block.halves {
            self.levels.push(*grid);
            self.m.g.at(format!("down {i} half"));
            let window = halving(self.config.down_padding);
            (x, *grid) = self.m.conv(&format!("{at}.downsamplers.0.conv"), block.channels, *grid, window, x)?;
            skips.push(x);
        }
        Ok(x)
    }

    pub fn middle(&mut self, grid: Grid, x: ValueId) -> Result<ValueId> {
        let Some(middle) = &self.config.middle else { return Ok(x) };
        let channels = self.m.columns_of(x);
        let x = self.resnet("mid_block.resnets.0", channels, grid, x)?;
        let Some(attention) = middle else { return Ok(x) };
        let x = self.transformer("mid_block.attentions.0", attention, grid, x)?;
        self.resnet("mid_block.resnets.1", channels, grid, x)
    }

    /// Layers, each of which also takes what the way down left at this size, then twice the size.
    pub fn up(
        &mut self,
        i: usize,
        block: &UpBlock,
        grid: &mut Grid,
        mut x: ValueId,
        skips: &mut Vec<ValueId>,
    ) -> Result<ValueId> {
        let at = format!("up_blocks.{i}");
        for j in 0..block.layers {
            let skip = skips.pop().ok_or_else(|| {
                Error::corrupt_file("the U-Net goes up by more layers than it goes down; give its own config.json")
            })?;
            self.m.g.at(format!("up {i} layer {j}"));
            x = self.m.g.concat(x, skip)?;
            x = self.resnet(&format!("{at}.resnets.{j}"), block.channels, *grid, x)?;
            if let Some(attention) = &block.attention {
                x = self.transformer(&format!("{at}.attentions.{j}"), attention, *grid, x)?;
            }
        }
        if block.doubles {
            self.m.g.at(format!("up {i} double"));
            (x, *grid) = self.m.g.upsample(*grid, 2, x)?;
            // A side that was odd has become one pixel too long.
            if let Some(level) = self.levels.pop().filter(|level| level != grid) {
                (x, *grid) = self.m.g.crop(*grid, level.height, level.width, x)?;
            }
            x = self.m.conv3(&format!("{at}.upsamplers.0.conv"), block.channels, *grid, x)?;
        }
        Ok(x)
    }

    /// A residual block that the time shifts; a 1×1 convolution carries `x` over where the number of channels changes.
    fn resnet(&mut self, at: &str, channels: usize, grid: Grid, x: ValueId) -> Result<ValueId> {
        let (m, c) = (&mut self.m, self.config);
        m.g.at(at);
        let h = m.group_norm_silu(&format!("{at}.norm1"), c.norm_groups, c.norm_eps, self.batch, x)?;
        let h = m.conv3(&format!("{at}.conv1"), channels, grid, h)?;
        let shift = m.linear(&format!("{at}.time_emb_proj"), channels, self.time)?;
        let h = m.g.broadcast(Binary::Add, self.batch, h, shift)?;
        let h = m.group_norm_silu(&format!("{at}.norm2"), c.norm_groups, c.norm_eps, self.batch, h)?;
        let h = m.conv3(&format!("{at}.conv2"), channels, grid, h)?;
        let x = if m.columns_of(x) == channels { x } else { m.linear(&format!("{at}.conv_shortcut"), channels, x)? };
        m.add(x, h)
    }
}
