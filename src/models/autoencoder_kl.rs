//! The autoencoder of latent diffusion (arXiv 2112.10752) as Stable Diffusion 1.x, 2.x and XL have it: diffusers' `AutoencoderKL` folder, or
//! the part of a single-file checkpoint or GGUF that goes by the names of the original code.
//!
//! Pictures are −1 … 1. Weights go by diffusers' present names here; [`names`] knows what a file calls them.

mod config;
mod names;

pub use config::KlConfig;

use self::names::Names;
use super::{Builder, Origin, Search, Tensors, Weights, builder::Heads};
use crate::{
    Error, Result,
    graph::{DType, Graph, Grid, Mask, ValueId, Window},
    weights::{Recipes, Storage, WeightFile},
};

const EPS: f32 = 1e-6;
const SAME: Window = Window { height: 3, width: 3, stride: 1, dilation: 1, padding: [1; 4] };
/// Zeros below and on the right alone.
const HALF: Window = Window { height: 3, width: 3, stride: 2, dilation: 1, padding: [0, 1, 0, 1] };

/// An autoencoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct AutoencoderKl {
    config: KlConfig,
    encoder: bool,
    decoder: bool,
    weights: Weights,
}

impl AutoencoderKl {
    /// Whether a file holds such an autoencoder, beside whatever else.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        Names::of(tensors).is_some()
    }

    /// Reads `config.json`, or, where there is none that speaks of an autoencoder, the shapes of the weights.
    ///
    /// Errors: `corrupt-file` that names what is missing or misshapen, `unsupported-model` for another kind of autoencoder.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let Some(names) = Names::of(file) else {
            return Err(Error::unsupported_model(
                "the file holds no autoencoder whose names are known; give AutoencoderKL weights or a whole checkpoint",
            ));
        };
        let config = match file.config_of_class("AutoencoderKL")?.map(|(json, _)| json) {
            Some(json) if json["block_out_channels"].is_array() => KlConfig::from_json(&json)?,
            _ => KlConfig::from_shapes(file, &names)?,
        };
        let origin = |name: &str| Origin::whole(names.in_file(name, config.channels.len()));
        let search = Search::new(file, storage, &origin);
        let has = |half: &str| search.has(&format!("{half}.conv_in.weight"));
        let (encoder, decoder) = (has("encoder"), has("decoder"));
        if encoder {
            config.encoder(search.builder("encoder"), Grid::new(1, config.factor(), config.factor()))?;
        }
        if decoder {
            config.decoder(search.builder("decoder"), Grid::new(1, 1, 1))?;
        }
        let weights = search.finish();
        Ok(Self { config, encoder, decoder, weights })
    }

    pub fn config(&self) -> &KlConfig {
        &self.config
    }

    pub fn has_encoder(&self) -> bool {
        self.encoder
    }

    pub fn has_decoder(&self) -> bool {
        self.decoder
    }

    /// Pixels of a picture's side for one of the latent's.
    pub fn factor(&self) -> usize {
        self.config.factor()
    }

    /// How the weights of both graphs are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Input `latent` `[grid.rows(), latent_channels]`, unscaled → output `picture` `[factor² · grid.rows(), 3]`.
    ///
    /// Errors: `bad-argument` where the file holds no decoder.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        if !self.decoder {
            return Err(Error::bad_argument("this file holds no decoder; give a file with the whole autoencoder"));
        }
        self.config.decoder(self.weights.builder("autoencoder decoder"), grid)
    }

    /// Input `picture` `[grid.rows(), 3]` → output `moments` `[grid.rows() / factor², 2 · latent_channels]`: the latent's means, then the
    /// logarithms of its variances. Sides are multiples of the factor.
    ///
    /// Errors: `bad-argument` where the file holds no encoder.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        if !self.encoder {
            return Err(Error::bad_argument("this file holds no encoder; give a file with the whole autoencoder"));
        }
        self.config.encoder(self.weights.builder("autoencoder encoder"), grid)
    }
}

impl KlConfig {
    fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    fn decoder(&self, mut b: Builder, mut grid: Grid) -> Result<Graph> {
        let Self { channels, latent_channels, layers, .. } = self;
        let mut x = b.g.input("latent", &[grid.rows(), *latent_channels], DType::F32);
        if b.has("post_quant_conv.weight") {
            b.g.at("post quant conv");
            x = b.linear("post_quant_conv", *latent_channels, x)?;
        }
        let mut d = b.pp("decoder");
        d.g.at("decoder in");
        let deepest = channels[channels.len() - 1];
        (x, _) = d.conv("conv_in", deepest, grid, SAME, x)?;
        d.g.at("decoder middle");
        x = self.middle(&mut d.pp("mid_block"), grid, x)?;
        for (i, out) in channels.iter().rev().enumerate() {
            d.g.at(format!("decoder level {i}"));
            let mut level = d.pp(format!("up_blocks.{i}"));
            for j in 0..=*layers {
                x = self.residual(&mut level.pp(format!("resnets.{j}")), *out, grid, x)?;
            }
            if i + 1 < channels.len() {
                (x, grid) = level.g.upsample(grid, 2, x)?;
                (x, _) = level.conv("upsamplers.0.conv", *out, grid, SAME, x)?;
            }
        }
        d.g.at("decoder out");
        x = d.group_norm_silu("conv_norm_out", self.groups, EPS, grid.batch, x)?;
        (x, _) = d.conv("conv_out", 3, grid, SAME, x)?;
        drop(d);
        b.g.output("picture", x);
        Ok(b.finish())
    }

    fn encoder(&self, mut b: Builder, mut grid: Grid) -> Result<Graph> {
        let Self { channels, latent_channels, layers, .. } = self;
        let mut x = b.g.input("picture", &[grid.rows(), 3], DType::F32);
        let mut e = b.pp("encoder");
        e.g.at("encoder in");
        (x, _) = e.conv("conv_in", channels[0], grid, SAME, x)?;
        for (i, out) in channels.iter().enumerate() {
            e.g.at(format!("encoder level {i}"));
            let mut level = e.pp(format!("down_blocks.{i}"));
            for j in 0..*layers {
                x = self.residual(&mut level.pp(format!("resnets.{j}")), *out, grid, x)?;
            }
            if i + 1 < channels.len() {
                (x, grid) = level.conv("downsamplers.0.conv", *out, grid, HALF, x)?;
            }
        }
        e.g.at("encoder middle");
        x = self.middle(&mut e.pp("mid_block"), grid, x)?;
        e.g.at("encoder out");
        x = e.group_norm_silu("conv_norm_out", self.groups, EPS, grid.batch, x)?;
        let moments = 2 * latent_channels;
        (x, _) = e.conv("conv_out", moments, grid, SAME, x)?;
        drop(e);
        if b.has("quant_conv.weight") {
            b.g.at("quant conv");
            x = b.linear("quant_conv", moments, x)?;
        }
        b.g.output("moments", x);
        Ok(b.finish())
    }

    fn middle(&self, b: &mut Builder, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        let width = b.columns_of(x);
        x = self.residual(&mut b.pp("resnets.0"), width, grid, x)?;
        if self.attention {
            let mut a = b.pp("attentions.0");
            let h = a.group_norm("group_norm", self.groups, EPS, grid.batch, x)?;
            let q = a.linear("to_q", width, h)?;
            let k = a.linear("to_k", width, h)?;
            let v = a.linear("to_v", width, h)?;
            let h = a.attend(Heads { batch: grid.batch, heads: 1, width }, Mask::FULL, q, k, v)?;
            let h = a.linear("to_out.0", width, h)?;
            x = a.add(x, h)?;
        }
        self.residual(&mut b.pp("resnets.1"), width, grid, x)
    }

    /// Two convolutions, each behind a norm and SiLU; a convolution of one pixel where the channels change.
    fn residual(&self, b: &mut Builder, out: usize, grid: Grid, x: ValueId) -> Result<ValueId> {
        let h = b.group_norm_silu("norm1", self.groups, EPS, grid.batch, x)?;
        let (h, _) = b.conv("conv1", out, grid, SAME, h)?;
        let h = b.group_norm_silu("norm2", self.groups, EPS, grid.batch, h)?;
        let (h, _) = b.conv("conv2", out, grid, SAME, h)?;
        let x = if b.columns_of(x) == out { x } else { b.linear("conv_shortcut", out, x)? };
        b.add(x, h)
    }
}
