//! A small convolutional autoencoder: residual blocks of GroupNorm, SiLU and 3×3 convolutions, a level for every halving of the sides
//! (docs/illustrator.md gives names and order). Pictures are −1 … 1.

use serde::Deserialize;

use super::Builder;
use crate::{
    Error, Result,
    graph::{Grid, ValueId, Window},
};

const EPS: f32 = 1e-6;
const SAME: Window = Window { height: 3, width: 3, stride: 1, dilation: 1, padding: [1; 4] };

/// The `vae` part of the file's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConvVae {
    pub latent_channels: usize,
    /// Of the decoder's levels, the coarsest first.
    pub channels: Vec<usize>,
    /// Residual blocks a level.
    pub blocks: usize,
    /// Groups of every norm.
    pub groups: usize,
    /// What a denoiser works on is `(z − shift) · scale`.
    pub scale: f32,
    pub shift: f32,
}

impl ConvVae {
    /// Refuses what no file of this kind can say.
    pub fn check(&self) -> Result<()> {
        let Self { latent_channels, channels, blocks, groups, scale, shift } = self;
        let sound = (1..=256).contains(latent_channels)
            && (1..=8).contains(&channels.len())
            && *blocks <= 16
            && *groups > 0
            && channels.iter().all(|c| (1..=4096).contains(c) && c.is_multiple_of(*groups))
            && scale.is_finite()
            && *scale != 0.0
            && shift.is_finite();
        if sound {
            return Ok(());
        }
        Err(Error::corrupt_file(format!(
            "the configuration of the autoencoder is impossible: {self:?}; fetch the file again"
        )))
    }

    /// Pixels of a picture's side for one of the latent's.
    pub fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    /// latent `[grid.rows(), latent_channels]` → picture `[factor² · grid.rows(), 3]`; weights under `decoder`.
    pub fn decode(&self, b: &mut Builder, grid: Grid, latent: ValueId) -> Result<(ValueId, Grid)> {
        let mut b = b.pp("decoder");
        b.g.at("decoder in");
        let (mut x, mut grid) = b.conv("in", self.channels[0], grid, SAME, latent)?;
        for (i, channels) in self.channels.iter().enumerate() {
            b.g.at(format!("decoder level {i}"));
            let mut level = b.pp(format!("levels.{i}"));
            x = self.blocks(&mut level, *channels, grid, x)?;
            if let Some(next) = self.channels.get(i + 1) {
                let (wide, twice) = level.g.upsample(grid, 2, x)?;
                (x, grid) = level.conv("up", *next, twice, SAME, wide)?;
            }
        }
        b.g.at("decoder out");
        let x = b.group_norm_silu("norm", self.groups, EPS, grid.batch, x)?;
        b.conv("out", 3, grid, SAME, x)
    }

    /// picture `[grid.rows(), 3]` → latent `[grid.rows() / factor², latent_channels]`; weights under `encoder`.
    pub fn encode(&self, b: &mut Builder, grid: Grid, picture: ValueId) -> Result<(ValueId, Grid)> {
        let mut b = b.pp("encoder");
        let channels: Vec<usize> = self.channels.iter().rev().copied().collect();
        b.g.at("encoder in");
        let (mut x, mut grid) = b.conv("in", channels[0], grid, SAME, picture)?;
        for (i, of) in channels.iter().enumerate() {
            b.g.at(format!("encoder level {i}"));
            let mut level = b.pp(format!("levels.{i}"));
            x = self.blocks(&mut level, *of, grid, x)?;
            if let Some(next) = channels.get(i + 1) {
                (x, grid) = level.conv("down", *next, grid, Window::square(3, 2, 1), x)?;
            }
        }
        b.g.at("encoder out");
        let x = b.group_norm_silu("norm", self.groups, EPS, grid.batch, x)?;
        b.conv("out", self.latent_channels, grid, SAME, x)
    }

    fn blocks(&self, level: &mut Builder, channels: usize, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        for i in 0..self.blocks {
            let mut b = level.pp(format!("blocks.{i}"));
            let h = b.group_norm_silu("norm1", self.groups, EPS, grid.batch, x)?;
            let (h, _) = b.conv("conv1", channels, grid, SAME, h)?;
            let h = b.group_norm_silu("norm2", self.groups, EPS, grid.batch, h)?;
            let (h, _) = b.conv("conv2", channels, grid, SAME, h)?;
            x = b.add(x, h)?;
        }
        Ok(x)
    }
}
