//! A small convolutional autoencoder: residual blocks of GroupNorm, SiLU and 3×3 convolutions, a level for every halving of the sides
//! (docs/illustrator.md gives names and order). Pictures are −1 … 1.

use serde::Deserialize;

use super::named::Named;
use crate::{
    Error, Result,
    graph::{Grid, ValueId, Window},
};

const EPS: f32 = 1e-6;

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

    /// latent `[grid.rows(), latent_channels]` → picture `[factor² · grid.rows(), 3]`; weights under `prefix.decoder`.
    pub fn decode(&self, n: &mut Named, prefix: &str, grid: Grid, latent: ValueId) -> Result<(ValueId, Grid)> {
        let name = format!("{prefix}.decoder");
        n.g.at("decoder in");
        let (mut x, mut grid) =
            n.conv(&format!("{name}.in"), self.channels[0], grid, Window::square(3, 1, 1), latent)?;
        for (i, channels) in self.channels.iter().enumerate() {
            n.g.at(format!("decoder level {i}"));
            x = self.blocks(n, &format!("{name}.levels.{i}"), *channels, grid, x)?;
            if let Some(next) = self.channels.get(i + 1) {
                let (wide, twice) = n.g.upsample(grid, 2, x)?;
                let up = format!("{name}.levels.{i}.up");
                (x, grid) = n.conv(&up, *next, twice, Window::square(3, 1, 1), wide)?;
            }
        }
        n.g.at("decoder out");
        let x = n.group_norm_silu(&format!("{name}.norm"), self.groups, EPS, grid.batch, x)?;
        n.conv(&format!("{name}.out"), 3, grid, Window::square(3, 1, 1), x)
    }

    /// picture `[grid.rows(), 3]` → latent `[grid.rows() / factor², latent_channels]`; weights under `prefix.encoder`.
    pub fn encode(&self, n: &mut Named, prefix: &str, grid: Grid, picture: ValueId) -> Result<(ValueId, Grid)> {
        let name = format!("{prefix}.encoder");
        let channels: Vec<usize> = self.channels.iter().rev().copied().collect();
        n.g.at("encoder in");
        let (mut x, mut grid) = n.conv(&format!("{name}.in"), channels[0], grid, Window::square(3, 1, 1), picture)?;
        for (i, of) in channels.iter().enumerate() {
            n.g.at(format!("encoder level {i}"));
            x = self.blocks(n, &format!("{name}.levels.{i}"), *of, grid, x)?;
            if let Some(next) = channels.get(i + 1) {
                let down = format!("{name}.levels.{i}.down");
                (x, grid) = n.conv(&down, *next, grid, Window::square(3, 2, 1), x)?;
            }
        }
        n.g.at("encoder out");
        let x = n.group_norm_silu(&format!("{name}.norm"), self.groups, EPS, grid.batch, x)?;
        n.conv(&format!("{name}.out"), self.latent_channels, grid, Window::square(3, 1, 1), x)
    }

    fn blocks(&self, n: &mut Named, level: &str, channels: usize, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        for b in 0..self.blocks {
            let name = format!("{level}.blocks.{b}");
            let h = n.group_norm_silu(&format!("{name}.norm1"), self.groups, EPS, grid.batch, x)?;
            let (h, _) = n.conv(&format!("{name}.conv1"), channels, grid, Window::square(3, 1, 1), h)?;
            let h = n.group_norm_silu(&format!("{name}.norm2"), self.groups, EPS, grid.batch, h)?;
            let (h, _) = n.conv(&format!("{name}.conv2"), channels, grid, Window::square(3, 1, 1), h)?;
            x = n.add(x, h)?;
        }
        Ok(x)
    }
}
