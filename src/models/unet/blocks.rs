//! The blocks on the way down, in the middle, and on the way up.

use super::{DownBlock, Network, Picture, UpBlock, halving};
use crate::{
    Error, Result,
    graph::{Binary, Grid, ValueId},
    models::Builder,
};

impl Network<'_> {
    /// Layers, then half the size; what each leaves goes onto `skips`.
    pub fn down(&self, b: &mut Builder, i: usize, block: &DownBlock, picture: &mut Picture) -> Result<()> {
        for j in 0..block.layers {
            let x = self.resnet(&mut b.pp(format!("resnets.{j}")), block.channels, picture.grid, picture.x)?;
            picture.x = match &block.attention {
                Some(attention) => self.transformer(&mut b.pp(format!("attentions.{j}")), attention, x)?,
                None => x,
            };
            picture.skips.push(picture.x);
        }
        if block.halves {
            picture.levels.push(picture.grid);
            b.g.at(format!("down {i} half"));
            let window = halving(self.config.down_padding);
            (picture.x, picture.grid) =
                b.conv("downsamplers.0.conv", block.channels, picture.grid, window, picture.x)?;
            picture.skips.push(picture.x);
        }
        Ok(())
    }

    pub fn middle(&self, b: &mut Builder, picture: &mut Picture) -> Result<()> {
        let Some(middle) = &self.config.middle else { return Ok(()) };
        let (grid, channels) = (picture.grid, b.columns_of(picture.x));
        picture.x = self.resnet(&mut b.pp("resnets.0"), channels, grid, picture.x)?;
        if let Some(attention) = middle {
            let x = self.transformer(&mut b.pp("attentions.0"), attention, picture.x)?;
            picture.x = self.resnet(&mut b.pp("resnets.1"), channels, grid, x)?;
        }
        Ok(())
    }

    /// Layers, each of which also takes what the way down left at this size, then twice the size.
    pub fn up(&self, b: &mut Builder, i: usize, block: &UpBlock, picture: &mut Picture) -> Result<()> {
        for j in 0..block.layers {
            let skip = picture.skips.pop().ok_or_else(|| {
                Error::corrupt_file("the U-Net goes up by more layers than it goes down; give its own config.json")
            })?;
            b.g.at(format!("up {i} layer {j}"));
            let x = b.g.concat(picture.x, skip)?;
            let x = self.resnet(&mut b.pp(format!("resnets.{j}")), block.channels, picture.grid, x)?;
            picture.x = match &block.attention {
                Some(attention) => self.transformer(&mut b.pp(format!("attentions.{j}")), attention, x)?,
                None => x,
            };
        }
        if block.doubles {
            b.g.at(format!("up {i} double"));
            let (mut x, mut grid) = b.g.upsample(picture.grid, 2, picture.x)?;
            // A side that was odd has become one pixel too long.
            if let Some(level) = picture.levels.pop().filter(|level| *level != grid) {
                (x, grid) = b.g.crop(grid, level.height, level.width, x)?;
            }
            picture.x = b.conv3("upsamplers.0.conv", block.channels, grid, x)?;
            picture.grid = grid;
        }
        Ok(())
    }

    /// A residual block that the time shifts; a 1×1 convolution carries `x` over where the number of channels changes.
    fn resnet(&self, b: &mut Builder, channels: usize, grid: Grid, x: ValueId) -> Result<ValueId> {
        let c = self.config;
        b.label();
        let h = b.group_norm_silu("norm1", c.norm_groups, c.norm_eps, self.batch, x)?;
        let h = b.conv3("conv1", channels, grid, h)?;
        let shift = b.linear("time_emb_proj", channels, self.time)?;
        let h = b.g.broadcast(Binary::Add, self.batch, h, shift)?;
        let h = b.group_norm_silu("norm2", c.norm_groups, c.norm_eps, self.batch, h)?;
        let h = b.conv3("conv2", channels, grid, h)?;
        let x = if b.columns_of(x) == channels { x } else { b.linear("conv_shortcut", channels, x)? };
        b.add(x, h)
    }
}
