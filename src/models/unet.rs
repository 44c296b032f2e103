//! Stable Diffusion's denoiser: a U-Net of residual blocks and transformers that look at the prompt (arXiv 2112.10752), as
//! `diffusers`' `UNet2DConditionModel` lays it out. SD 1.x and 2.x, SD-Turbo, the pruned ones (BK-SDM, arXiv 2305.15798; tiny-sd)
//! and latent consistency models (arXiv 2310.04378) differ in numbers alone.
//!
//! Weights are called as in `diffusers`, whatever the file calls them: see [`Names`].

mod blocks;
mod config;
mod names;
mod single_file;
mod transformer;

pub use config::{Attention, DownBlock, UNetConfig, UpBlock};
pub use names::Names;

use super::{
    Denoiser, Tensors,
    diffusion::Origin,
    find::find,
    named::{Named, Types},
};
use crate::{
    Error, Result,
    graph::{DType, Graph, Grid, Unary, ValueId, Window},
    weights::{Recipes, Storage},
};

/// A denoiser.
#[derive(Debug, Clone)]
pub struct UNet {
    config: UNetConfig,
    names: Names,
    types: Types,
}

/// What every part of a graph needs to know.
struct Step<'a, 'b> {
    m: Named<'a>,
    config: &'b UNetConfig,
    batch: usize,
    /// `silu` of the time's embedding, `[batch, 4 · channels]`.
    time: ValueId,
    /// The prompt's rows, `[batch · tokens, context_width]`.
    context: ValueId,
    /// What each level that was halved measured before.
    levels: Vec<Grid>,
}

impl UNet {
    /// `types`: in which its weights are kept on the device.
    pub fn new(config: UNetConfig, names: Names, types: Types) -> Self {
        Self { config, names, types }
    }

    /// Finds every weight in a file and says how each is made on its way to the device; without a configuration, the tensors of a
    /// single-file checkpoint say it.
    ///
    /// Errors: `corrupt-file` where there is no U-Net, or one that is not as the configuration says.
    pub fn find(config: Option<UNetConfig>, tensors: &dyn Tensors, storage: Storage) -> Result<(Self, Recipes)> {
        let names = Names::of(tensors).ok_or_else(|| {
            Error::corrupt_file("the file holds no U-Net that goes by a known name; give the model's U-Net too")
        })?;
        let config = match (config, names) {
            (Some(config), _) => config,
            (None, Names::SingleFile) => UNetConfig::from_single_file(tensors)?,
            (None, Names::Diffusers) => {
                return Err(Error::corrupt_file("the U-Net came without its config.json; give both"));
            }
        };
        let draft = Self::new(config.clone(), names, Types::Matrices(DType::F32));
        let side = 1 << draft.config.down.len();
        let graph = draft.graph(1, side, side, 1)?;
        let (types, recipes) = find(&graph, |weight| draft.origin(weight), tensors, storage)?;
        Ok((Self::new(config, names, types), recipes))
    }

    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The time's embedding after its SiLU, as every residual block takes it.
    fn time(&self, m: &mut Named, timestep: ValueId, guidance: Option<ValueId>) -> Result<ValueId> {
        let c = &self.config;
        m.g.at("time");
        let mut t = m.g.timestep_embedding(c.channels[0], 10_000.0, c.frequency_shift, c.cosine_first, timestep)?;
        if let (Some(scale), Some(columns)) = (guidance, c.guidance_columns) {
            // The embedding is of 1000 (w − 1): of how far past the prompt's own prediction guidance goes.
            let w = m.g.unary(Unary::Affine { scale: 1000.0, shift: -1000.0 }, scale);
            let w = m.g.timestep_embedding(columns, 10_000.0, 1.0, false, w)?;
            let w = m.linear_without_bias("time_embedding.cond_proj", c.channels[0], w)?;
            t = m.add(t, w)?;
        }
        let t = m.linear("time_embedding.linear_1", c.time_width, t)?;
        let t = m.g.unary(Unary::Silu, t);
        let t = m.linear("time_embedding.linear_2", c.time_width, t)?;
        Ok(m.g.unary(Unary::Silu, t))
    }
}

impl Denoiser for UNet {
    fn graph(&self, batch: usize, height: usize, width: usize, tokens: usize) -> Result<Graph> {
        let c = &self.config;
        let mut grid = Grid::checked(batch, height, width)?;
        let mut m = Named::new(format!("unet {batch} · {height} · {width}"), &self.types);
        let latent = m.g.input("latent", &[grid.rows(), c.in_channels], DType::F32);
        let timestep = m.g.input("timestep", &[batch, 1], DType::F32);
        let context = m.g.input("context", &[batch.saturating_mul(tokens), c.context_width], DType::F32);
        let guidance = c.guidance_columns.map(|_| m.g.input("guidance", &[batch, 1], DType::F32));
        let time = self.time(&mut m, timestep, guidance)?;

        m.g.at("in");
        let mut x = m.conv3("conv_in", c.channels[0], grid, latent)?;
        let mut step = Step { m, config: c, batch, time, context, levels: vec![] };
        let mut skips = vec![x];
        for (i, block) in c.down.iter().enumerate() {
            x = step.down(i, block, &mut grid, x, &mut skips)?;
        }
        x = step.middle(grid, x)?;
        for (i, block) in c.up.iter().enumerate() {
            x = step.up(i, block, &mut grid, x, &mut skips)?;
        }

        let m = &mut step.m;
        m.g.at("out");
        let x = m.group_norm_silu("conv_norm_out", c.norm_groups, c.norm_eps, batch, x)?;
        let x = m.conv3("conv_out", c.out_channels, grid, x)?;
        m.g.output("prediction", x);
        Ok(step.m.finish())
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

    fn origin(&self, weight: &str) -> Origin {
        self.names.origin(&self.config, weight)
    }
}

/// Halves a picture's sides.
fn halving(padding: usize) -> Window {
    // Without padding, diffusers puts zeros below and on the right alone.
    let padding = if padding == 0 { [0, 1, 0, 1] } else { [padding; 4] };
    Window { height: 3, width: 3, stride: 2, dilation: 1, padding }
}
