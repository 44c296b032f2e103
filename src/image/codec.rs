//! What an autoencoder or a generator is to its callers, whichever family it is of: graphs for a size, and the ranges of their numbers.

use crate::{
    Error, Result,
    graph::{Graph, Grid},
    models::{AutoencoderKl, AutoencoderTiny, Dcgan, Dense, Illustrator},
    weights::{Recipes, Storage, WeightFile},
};

/// One of the families.
#[derive(Debug, Clone)]
pub enum Codec {
    Kl(AutoencoderKl),
    Tiny(AutoencoderTiny),
    /// A latent that is a vector; pictures of one size.
    Dcgan(Dcgan),
    /// The same, fully connected.
    Dense(Dense),
    /// The house illustrator's.
    Illustrator(Illustrator),
}

impl Codec {
    pub fn is_one(file: &WeightFile) -> bool {
        Dcgan::is_one(file) || AutoencoderKl::is_one(file) || AutoencoderTiny::is_one(file) || Dense::is_one(file)
    }

    /// Errors: `unsupported-model` where the file holds none, and the family's own.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        if Dcgan::is_one(file) {
            return Dcgan::from_file(file, storage).map(Self::Dcgan);
        }
        if AutoencoderKl::is_one(file) {
            return AutoencoderKl::from_file(file, storage).map(Self::Kl);
        }
        if AutoencoderTiny::is_one(file) {
            return AutoencoderTiny::from_file(file, storage).map(Self::Tiny);
        }
        if Dense::is_one(file) {
            return Dense::from_file(file, storage).map(Self::Dense);
        }
        Err(Error::unsupported_model(
            "the file holds no autoencoder or generator that is known; give weights of AutoencoderKL, of TAESD, or of a generator or a VAE that is a chain of layers",
        ))
    }

    /// `"autoencoder"` or `"generator"`.
    pub fn kind(&self) -> &'static str {
        if self.is_vector() && !self.encodes() { "generator" } else { "autoencoder" }
    }

    /// Whether a latent is a vector and all pictures are of one size.
    pub fn is_vector(&self) -> bool {
        matches!(self, Self::Dcgan(_) | Self::Dense(_))
    }

    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Kl(_) => "AutoencoderKL",
            Self::Tiny(_) => "AutoencoderTiny",
            Self::Dcgan(model) if model.is_vae() => "VAE",
            Self::Dcgan(_) => "DCGAN",
            Self::Dense(model) if model.has_encoder() => "VAE",
            Self::Dense(_) => "GAN",
            Self::Illustrator(_) => "ConvVae",
        }
    }

    pub fn encodes(&self) -> bool {
        match self {
            Self::Kl(model) => model.has_encoder(),
            Self::Tiny(model) => model.has_encoder(),
            Self::Dcgan(model) => model.has_encoder(),
            Self::Dense(model) => model.has_encoder(),
            Self::Illustrator(_) => true,
        }
    }

    pub fn decodes(&self) -> bool {
        match self {
            Self::Kl(model) => model.has_decoder(),
            Self::Tiny(model) => model.has_decoder(),
            Self::Dense(model) => model.has_decoder(),
            Self::Dcgan(_) | Self::Illustrator(_) => true,
        }
    }

    pub fn latent_channels(&self) -> usize {
        match self {
            Self::Kl(model) => model.config().latent_channels,
            Self::Tiny(model) => model.latent_channels(),
            Self::Dcgan(model) => model.latent(),
            Self::Dense(model) => model.latent(),
            Self::Illustrator(model) => model.config().vae.latent_channels,
        }
    }

    /// Pixels of a picture's side for one of the latent's.
    pub fn factor(&self) -> usize {
        match self {
            Self::Kl(model) => model.factor(),
            Self::Tiny(model) => model.factor(),
            Self::Dcgan(model) => model.side(),
            Self::Dense(model) => model.side(),
            Self::Illustrator(model) => model.config().vae.factor(),
        }
    }

    /// Channels of pictures: 3, or 1 for grey.
    pub fn picture_channels(&self) -> usize {
        match self {
            Self::Dcgan(model) => model.channels(),
            Self::Dense(model) => model.channels(),
            _ => 3,
        }
    }

    /// How many labels a picture may be asked for by; `None` where it is made of the latent alone.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Dcgan(model) => model.classes(),
            Self::Dense(model) => model.classes(),
            _ => None,
        }
    }

    /// The numbers that are black and white.
    pub fn range(&self) -> (f32, f32) {
        match self {
            Self::Tiny(_) => (0.0, 1.0),
            Self::Dcgan(model) => model.range(),
            Self::Dense(model) => model.range(),
            _ => (-1.0, 1.0),
        }
    }

    /// A denoiser works on `(z − shift) · scale`.
    pub fn scale_and_shift(&self) -> (f32, f32) {
        match self {
            Self::Kl(model) => (model.config().scale, model.config().shift),
            Self::Illustrator(model) => (model.config().vae.scale, model.config().vae.shift),
            // Its latents are those of the denoiser, whatever its configuration says for those who bring them to 0 … 1.
            Self::Tiny(_) | Self::Dcgan(_) | Self::Dense(_) => (1.0, 0.0),
        }
    }

    pub fn recipes(&self) -> &Recipes {
        match self {
            Self::Kl(model) => model.recipes(),
            Self::Tiny(model) => model.recipes(),
            Self::Dcgan(model) => model.recipes(),
            Self::Dense(model) => model.recipes(),
            Self::Illustrator(model) => model.recipes(),
        }
    }

    /// `latent` → `picture`, for latents of `grid`.
    pub fn decoder(&self, grid: Grid) -> Result<Graph> {
        match self {
            Self::Kl(model) => model.decoder(grid),
            Self::Tiny(model) => model.decoder(grid),
            Self::Dcgan(model) => model.graph(grid.batch),
            Self::Dense(model) => model.decoder(grid.batch),
            Self::Illustrator(model) => model.decoder(grid),
        }
    }

    /// `picture` → [`Self::encoded`], for pictures of `grid`.
    pub fn encoder(&self, grid: Grid) -> Result<Graph> {
        match self {
            Self::Kl(model) => model.encoder(grid),
            Self::Tiny(model) => model.encoder(grid),
            Self::Illustrator(model) => model.encoder(grid),
            Self::Dcgan(model) => model.encoder(grid.batch),
            Self::Dense(model) => model.encoder(grid.batch),
        }
    }

    /// The encoder's output, whose first columns are the latent.
    pub fn encoded(&self) -> &'static str {
        if matches!(self, Self::Tiny(_) | Self::Illustrator(_)) { "latent" } else { "moments" }
    }
}
