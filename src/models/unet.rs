//! Stable Diffusion's denoiser: a U-Net of residual blocks and transformers that look at the prompt (arXiv 2112.10752), as
//! `diffusers`' `UNet2DConditionModel` lays it out. SD 1.x, 2.x and XL (arXiv 2307.01952), their Turbos, the pruned ones (BK-SDM, arXiv 2305.15798; tiny-sd)
//! and latent consistency models (arXiv 2310.04378) differ in numbers alone.
//!
//! Weights are called as in `diffusers`, whatever the file calls them: see [`Names`].

mod blocks;
mod config;
mod names;
mod single_file;
mod transformer;

pub use config::{Addition, Attention, DownBlock, UNetConfig, UpBlock};
pub use names::Names;

use super::{Builder, Denoiser, Search, Tensors, Weights};
use crate::{
    Error, Result,
    graph::{self, DType, Graph, Grid, Unary, ValueId, Window},
    weights::{Recipes, Storage},
};

/// Numbers that a picture's sizes are told in: before it was cut, where it was cut, and what is wanted.
const SIZES: usize = 6;

/// A denoiser.
#[derive(Debug, Clone)]
pub struct UNet {
    config: UNetConfig,
    weights: Weights,
}

/// What every block needs to know.
struct Network<'a> {
    config: &'a UNetConfig,
    batch: usize,
    /// `silu` of the time's embedding, `[batch, 4 · channels]`.
    time: ValueId,
    /// The prompt's rows, `[batch · tokens, context_width]`.
    context: ValueId,
}

/// A picture on its way down and up.
struct Picture {
    grid: Grid,
    x: ValueId,
    /// What the layers on the way down left for those on the way up.
    skips: Vec<ValueId>,
    /// What each level that was halved measured before.
    levels: Vec<Grid>,
}

impl UNet {
    pub fn new(config: UNetConfig, weights: Weights) -> Self {
        Self { config, weights }
    }

    /// Finds every weight in a file; without a configuration, the tensors of a single-file checkpoint say it.
    ///
    /// Errors: `corrupt-file` where there is no U-Net, or one that is not as the configuration says.
    pub fn find(config: Option<UNetConfig>, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let names = Names::of(tensors).ok_or_else(|| {
            Error::corrupt_file("the file holds no U-Net that goes by a known name; give the model's U-Net too")
        })?;
        let config = match (config, names) {
            (Some(config), _) => config,
            (None, Names::SingleFile | Names::Alone) => UNetConfig::from_single_file(tensors)?,
            (None, Names::Diffusers) => {
                return Err(Error::corrupt_file("the U-Net came without its config.json; give both"));
            }
        };
        let origin = |weight: &str| names.origin(&config, weight);
        let search = Search::new(tensors, storage, &origin);
        let side = 1 << config.down.len();
        config.graph(search.builder("unet"), Grid::new(1, side, side), 1)?;
        let weights = search.finish();
        Ok(Self::new(config, weights))
    }

    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }
}

impl UNetConfig {
    fn graph(&self, mut b: Builder, grid: Grid, tokens: usize) -> Result<Graph> {
        let batch = grid.batch;
        let latent = b.g.input("latent", &[grid.rows(), self.in_channels], DType::F32);
        let timestep = b.g.input("timestep", &[batch, 1], DType::F32);
        let context = b.g.input("context", &[batch.saturating_mul(tokens), self.context_width], DType::F32);
        let guidance = self.guidance_columns.map(|_| b.g.input("guidance", &[batch, 1], DType::F32));
        let mut time = self.time(&mut b, timestep, guidance)?;
        if let Some(addition) = &self.addition {
            let added = self.added(&mut b, addition, batch)?;
            time = b.add(time, added)?;
        }
        let time = b.g.unary(Unary::Silu, time);
        let network = Network { config: self, batch, time, context };

        b.g.at("in");
        let x = b.conv3("conv_in", self.channels[0], grid, latent)?;
        let mut picture = Picture { grid, x, skips: vec![x], levels: vec![] };
        for (i, block) in self.down.iter().enumerate() {
            network.down(&mut b.pp(format!("down_blocks.{i}")), i, block, &mut picture)?;
        }
        network.middle(&mut b.pp("mid_block"), &mut picture)?;
        for (i, block) in self.up.iter().enumerate() {
            network.up(&mut b.pp(format!("up_blocks.{i}")), i, block, &mut picture)?;
        }

        b.g.at("out");
        let x = b.group_norm_silu("conv_norm_out", self.norm_groups, self.norm_eps, batch, picture.x)?;
        let x = b.conv3("conv_out", self.out_channels, picture.grid, x)?;
        b.g.output("prediction", x);
        Ok(b.finish())
    }

    /// The time's embedding, `[batch, time_width]`; every residual block takes its SiLU.
    fn time(&self, b: &mut Builder, timestep: ValueId, guidance: Option<ValueId>) -> Result<ValueId> {
        let mut b = b.pp("time_embedding");
        b.g.at("time");
        let mut t =
            b.g.timestep_embedding(self.channels[0], 10_000.0, self.frequency_shift, self.cosine_first, timestep)?;
        if let (Some(scale), Some(columns)) = (guidance, self.guidance_columns) {
            // The embedding is of 1000 (w − 1): of how far past the prompt's own prediction guidance goes.
            let w = b.g.unary(Unary::Affine { scale: 1000.0, shift: -1000.0 }, scale);
            let w = b.g.timestep_embedding(columns, 10_000.0, 1.0, false, w)?;
            let w = b.linear_without_bias("cond_proj", self.channels[0], w)?;
            t = b.add(t, w)?;
        }
        let t = b.linear("linear_1", self.time_width, t)?;
        let t = b.g.unary(Unary::Silu, t);
        b.linear("linear_2", self.time_width, t)
    }

    /// What the row of the whole text and the sizes add to it.
    fn added(&self, b: &mut Builder, addition: &Addition, batch: usize) -> Result<ValueId> {
        let mut b = b.pp("add_embedding");
        b.g.at("text and sizes");
        let pooled = b.g.input("pooled", &[batch, addition.pooled], DType::F32);
        let sizes = b.g.input("sizes", &[batch.saturating_mul(SIZES), 1], DType::F32);
        let sizes =
            b.g.timestep_embedding(addition.columns, 10_000.0, self.frequency_shift, self.cosine_first, sizes)?;
        let sizes = b.g.reshape(batch, sizes)?;
        let x = b.g.concat(pooled, sizes)?;
        let x = b.linear("linear_1", self.time_width, x)?;
        let x = b.g.unary(Unary::Silu, x);
        b.linear("linear_2", self.time_width, x)
    }
}

impl Denoiser for UNet {
    fn graph(&self, batch: usize, height: usize, width: usize, tokens: usize) -> Result<Graph> {
        let grid = graph::pictures(batch, height, width)?;
        self.config.graph(self.weights.builder(format!("unet {batch} · {height} · {width}")), grid, tokens)
    }

    fn latent_channels(&self) -> usize {
        self.config.in_channels
    }

    fn prediction_channels(&self) -> usize {
        self.config.out_channels
    }

    fn context_width(&self) -> usize {
        self.config.context_width
    }

    fn takes_guidance(&self) -> bool {
        self.config.guidance_columns.is_some()
    }

    fn pooled_width(&self) -> Option<usize> {
        self.config.addition.as_ref().map(|addition| addition.pooled)
    }
}

/// Halves a picture's sides.
fn halving(padding: usize) -> Window {
    // Without padding, diffusers puts zeros below and on the right alone.
    let padding = if padding == 0 { [0, 1, 0, 1] } else { [padding; 4] };
    Window { height: 3, width: 3, stride: 2, dilation: 1, padding }
}
