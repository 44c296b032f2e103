//! The autoencoder of latent diffusion (arXiv 2112.10752) as Stable Diffusion 1.x, 2.x and XL have it: diffusers' `AutoencoderKL` folder, or
//! the part of a single-file checkpoint or GGUF that goes by the names of the original code.
//!
//! Pictures are −1 … 1. Weights go by diffusers' present names here; [`names`] knows what a file calls them.

mod config;
mod names;

pub use config::KlConfig;

use self::names::Names;
use super::{Index, Tensors, named::Named};
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
    names: Names,
    index: Index,
    storage: Storage,
    recipes: Recipes,
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
        let mut model = Self { config, names, index: Index::of(file), storage, recipes: Recipes::default() };
        let factor = model.factor();
        let mut recipes = Recipes::default();
        if model.names.encoder {
            recipes.extend(model.build_encoder(Grid::new(1, factor, factor))?.1);
        }
        if model.names.decoder {
            recipes.extend(model.build_decoder(Grid::new(1, 1, 1))?.1);
        }
        model.recipes = recipes;
        Ok(model)
    }

    pub fn config(&self) -> &KlConfig {
        &self.config
    }

    pub fn has_encoder(&self) -> bool {
        self.names.encoder
    }

    pub fn has_decoder(&self) -> bool {
        self.names.decoder
    }

    /// Pixels of a picture's side for one of the latent's.
    pub fn factor(&self) -> usize {
        1 << (self.config.channels.len() - 1)
    }

    /// How the weights of both graphs are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        &self.recipes
    }

    /// Input `latent` `[grid.rows(), latent_channels]`, unscaled → output `picture` `[factor² · grid.rows(), 3]`.
    ///
    /// Errors: `bad-argument` where the file holds no decoder.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        Ok(self.build_decoder(grid)?.0)
    }

    /// Input `picture` `[grid.rows(), 3]` → output `moments` `[grid.rows() / factor², 2 · latent_channels]`: the latent's means, then the
    /// logarithms of its variances. Sides are multiples of the factor.
    ///
    /// Errors: `bad-argument` where the file holds no encoder.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        Ok(self.build_encoder(grid)?.0)
    }

    fn build_decoder(&self, mut grid: Grid) -> Result<(Graph, Recipes)> {
        if !self.names.decoder {
            return Err(Error::bad_argument("this file holds no decoder; give a file with the whole autoencoder"));
        }
        let KlConfig { channels, latent_channels, layers, .. } = &self.config;
        let file_name = |name: &str| self.names.in_file(name, channels.len());
        let mut n = Named::of_file("autoencoder decoder", &self.index, self.storage, &file_name);
        let mut x = n.g.input("latent", &[grid.rows(), *latent_channels], DType::F32);
        if self.names.post_quant_conv {
            n.g.at("post quant conv");
            x = n.linear("post_quant_conv", *latent_channels, x)?;
        }
        n.g.at("decoder in");
        let deepest = channels[channels.len() - 1];
        (x, _) = n.conv("decoder.conv_in", deepest, grid, SAME, x)?;
        x = self.middle(&mut n, "decoder", grid, x)?;
        for (i, out) in channels.iter().rev().enumerate() {
            n.g.at(format!("decoder level {i}"));
            let name = format!("decoder.up_blocks.{i}");
            for j in 0..=*layers {
                x = self.residual(&mut n, &format!("{name}.resnets.{j}"), *out, grid, x)?;
            }
            if i + 1 < channels.len() {
                (x, grid) = n.g.upsample(grid, 2, x)?;
                (x, _) = n.conv(&format!("{name}.upsamplers.0.conv"), *out, grid, SAME, x)?;
            }
        }
        n.g.at("decoder out");
        x = n.group_norm_silu("decoder.conv_norm_out", self.config.groups, EPS, grid.batch, x)?;
        (x, _) = n.conv("decoder.conv_out", 3, grid, SAME, x)?;
        n.g.output("picture", x);
        Ok(n.finish_with_recipes())
    }

    fn build_encoder(&self, mut grid: Grid) -> Result<(Graph, Recipes)> {
        if !self.names.encoder {
            return Err(Error::bad_argument("this file holds no encoder; give a file with the whole autoencoder"));
        }
        let KlConfig { channels, latent_channels, layers, .. } = &self.config;
        let file_name = |name: &str| self.names.in_file(name, channels.len());
        let mut n = Named::of_file("autoencoder encoder", &self.index, self.storage, &file_name);
        let mut x = n.g.input("picture", &[grid.rows(), 3], DType::F32);
        n.g.at("encoder in");
        (x, _) = n.conv("encoder.conv_in", channels[0], grid, SAME, x)?;
        for (i, out) in channels.iter().enumerate() {
            n.g.at(format!("encoder level {i}"));
            let name = format!("encoder.down_blocks.{i}");
            for j in 0..*layers {
                x = self.residual(&mut n, &format!("{name}.resnets.{j}"), *out, grid, x)?;
            }
            if i + 1 < channels.len() {
                (x, grid) = n.conv(&format!("{name}.downsamplers.0.conv"), *out, grid, HALF, x)?;
            }
        }
        x = self.middle(&mut n, "encoder", grid, x)?;
        n.g.at("encoder out");
        x = n.group_norm_silu("encoder.conv_norm_out", self.config.groups, EPS, grid.batch, x)?;
        let moments = 2 * latent_channels;
        (x, _) = n.conv("encoder.conv_out", moments, grid, SAME, x)?;
        if self.names.quant_conv {
            n.g.at("quant conv");
            x = n.linear("quant_conv", moments, x)?;
        }
        n.g.output("moments", x);
        Ok(n.finish_with_recipes())
    }

    fn middle(&self, n: &mut Named, of: &str, grid: Grid, mut x: ValueId) -> Result<ValueId> {
        n.g.at(format!("{of} middle"));
        let name = format!("{of}.mid_block");
        let width = n.columns_of(x);
        x = self.residual(n, &format!("{name}.resnets.0"), width, grid, x)?;
        if self.config.attention {
            let name = format!("{name}.attentions.0");
            let h = n.group_norm(&format!("{name}.group_norm"), self.config.groups, EPS, grid.batch, x)?;
            let q = n.linear(&format!("{name}.to_q"), width, h)?;
            let k = n.linear(&format!("{name}.to_k"), width, h)?;
            let v = n.linear(&format!("{name}.to_v"), width, h)?;
            let scale = 1.0 / (width as f32).sqrt();
            let h = n.g.attention_between(grid.batch, 1, 1, width, scale, Mask::FULL, q, k, v)?;
            let h = n.linear(&format!("{name}.to_out.0"), width, h)?;
            x = n.add(x, h)?;
        }
        self.residual(n, &format!("{name}.resnets.1"), width, grid, x)
    }

    /// Two convolutions, each behind a norm and SiLU; a convolution of one pixel where the channels change.
    fn residual(&self, n: &mut Named, name: &str, out: usize, grid: Grid, x: ValueId) -> Result<ValueId> {
        let groups = self.config.groups;
        let h = n.group_norm_silu(&format!("{name}.norm1"), groups, EPS, grid.batch, x)?;
        let (h, _) = n.conv(&format!("{name}.conv1"), out, grid, SAME, h)?;
        let h = n.group_norm_silu(&format!("{name}.norm2"), groups, EPS, grid.batch, h)?;
        let (h, _) = n.conv(&format!("{name}.conv2"), out, grid, SAME, h)?;
        let x = if n.columns_of(x) == out { x } else { n.linear(&format!("{name}.conv_shortcut"), out, x)? };
        n.add(x, h)
    }
}
