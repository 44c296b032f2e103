//! Convolutional generators of pictures (DCGAN, arXiv 1511.06434, and its kin) of any sizes: transposed convolutions in a row, or convolutions behind
//! enlargements, each with a norm and a function behind it; perhaps linear layers before them, and a label beside the latent ([`plain`](super::plain)).
//!
//! Beside a decoder an encoder may stand. Either (`encoder.main.N`) convolutions halve the sides with LeakyReLU (0.2) behind them, and a last one over all
//! that is left gives the mean and the logarithm of the variance; or two linear layers, whose names say so (`fc_mu`, `fc_var`), give them of what the
//! convolutions before them leave. A decoder that takes more numbers than such a mean has takes labels too, as ones and zeros.
//!
//! Batch norms are folded into the layers before them while they load. Pictures are −1 … 1, or 0 … 1 where a sigmoid ends the chain.

mod encoder;

use super::{
    AutoencoderKl, AutoencoderTiny, Builder, Origin, Search, Tensors, Weights,
    plain::{Kind, Label, Layer, Meeting, Net, RELU, Settings, Step, encodes, gap_before, heads, windows},
};
use crate::{
    Error, Result,
    graph::{Binary, DType, Graph, Grid, Unary, ValueId, Window},
    weights::{Recipe, Recipes, Storage, WeightFile, shown},
};

/// Of PyTorch-GAN's norms (<https://github.com/eriklindernoren/PyTorch-GAN>), whose momentum stands in the place of epsilon.
const PYTORCH_GAN_EPS: f32 = 0.8;
const LEAKY: Unary = Unary::LeakyRelu { slope: 0.2 };
/// Of PyTorch-VAE's layers (<https://github.com/AntixK/PyTorch-VAE>): PyTorch's own slope.
const SLIGHTLY_LEAKY: Unary = Unary::LeakyRelu { slope: 0.01 };
/// What PyTorch-VAE calls the end of a decoder.
const FINAL: &str = "final_layer.";
/// Linear layers in front that have no function behind them, by the names that the designs give them.
const BARE: [&str; 2] = ["l1.", "decoder_input"];
const MOST_CONVOLUTIONS: usize = 16;
/// Numbers of a picture that is enlarged smoothly: as many more are kept for its edges.
const MOST_SMOOTH: usize = 1 << 24;

/// A convolution and what stands around it.
#[derive(Debug, Clone)]
struct Convolution {
    layer: Layer,
    window: Window,
    /// How much larger a picture becomes before it.
    factor: usize,
}

/// A generator, perhaps with its encoder, whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Dcgan {
    label: Option<Label>,
    linears: Vec<Layer>,
    convolutions: Vec<Convolution>,
    /// Empty where there is none.
    encoder: Vec<Convolution>,
    /// Linear layers behind it, the last of which gives the mean.
    inward: Vec<Layer>,
    /// Whether a mean and a variance are layers of their own.
    is_vae: bool,
    /// Numbers that the first layer takes.
    width: usize,
    /// Sides of what the first convolution takes, and of a picture.
    first: usize,
    side: usize,
    is_bilinear: bool,
    weights: Weights,
}

/// Whether a layer may be the last of a generator.
fn paints(layer: &Layer) -> bool {
    layer.kind != Kind::Linear && matches!(layer.out, 1 | 3)
}

impl Dcgan {
    /// Whether a file holds such a generator: nothing but convolutions, linear layers, norms and a table of labels.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        !AutoencoderKl::is_one(tensors)
            && !AutoencoderTiny::is_one(tensors)
            && Net::read(tensors, &|name| !encodes(name)).is_ok_and(|net| net.has_convolutions())
    }

    /// Finds the layers, and what the file does not say of them: by their shapes, or by a `config.json` of the class `Generator`.
    ///
    /// Errors: `unsupported-model` where they are no chain from a latent to a picture of one or three channels, where strides and paddings cannot be told,
    /// or where an encoder is none from such a picture to such a latent; `corrupt-file` where a tensor is misshapen, or a setting.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let settings = Settings::of(file)?;
        let linears = Net::read(file, &|_| true).map(|net| net.linears()).unwrap_or_default();
        let heads = heads(&linears);
        let is_head = |name: &str| heads.is_some_and(|heads| heads.iter().any(|head| head.name == name));
        let net = Net::read(file, &|name| !encodes(name) && !is_head(name))?;
        let mut layers = net.chain(&paints)?;
        let at = layers.iter().position(|layer| layer.kind != Kind::Linear).unwrap_or(layers.len());
        let starts_with_a_picture = layers.first().is_some_and(|first| first.kind == Kind::Conv);
        if starts_with_a_picture || layers.len() - at > MOST_CONVOLUTIONS {
            return Err(Error::unsupported_model(
                "these convolutions begin with a picture, as those of a discriminator, a classifier or an encoder do; give the generator's own state_dict",
            ));
        }
        functions(&mut layers, at, heads.is_some(), &settings)?;
        let factors = factors(&layers[at..], at.checked_sub(1).map(|last| &layers[last]), &settings)?;
        let width = layers.first().map_or(0, |first| first.inner);
        let pixels = if at == 0 { 1 } else { layers[at - 1].pixels_for(&layers[at]).unwrap_or(1) };
        let (first, channels) = (pixels.isqrt(), layers.last().map_or(0, |last| last.out));

        let convolutions = layers.split_off(at);
        let transposed = convolutions.iter().filter(|layer| layer.kind == Kind::Transposed).count();
        let mut given = settings.designs(transposed)?.into_iter().flatten();
        let steps: Vec<Step> = convolutions
            .iter()
            .zip(&factors)
            .map(|(layer, factor)| {
                let transposed = layer.kind == Kind::Transposed;
                Step {
                    kernel: layer.kernel,
                    transposed,
                    factor: *factor,
                    given: if transposed { given.next() } else { None },
                }
            })
            .collect();
        let (windows, side) = windows(first, channels, &steps, settings.side()?)?;
        let convolutions = convolutions.into_iter().zip(windows).zip(factors);
        let convolutions =
            convolutions.map(|((layer, window), factor)| Convolution { layer, window, factor }).collect();
        // PyTorch-GAN multiplies; others put the label's row in front.
        let label = match (net.table, heads) {
            (Some(table), _) => Some(Label::of(table, width, &settings, Meeting::First)?),
            (None, Some([mean, _])) if mean.out != width => Some(Label::beside(mean, width, &settings)?),
            _ => None,
        };
        let weights = Weights::declared(DType::F32);
        let is_bilinear = settings.is_bilinear()?;
        let (encoder, inward, is_vae) = (vec![], vec![], heads.is_some());
        let mut model = Self {
            label,
            linears: layers,
            convolutions,
            encoder,
            inward,
            is_vae,
            width,
            first,
            side,
            is_bilinear,
            weights,
        };
        match heads {
            Some(heads) => (model.encoder, model.inward) = model.encoder_to(heads, file, &settings)?,
            None => model.encoder = model.encoder_of(file)?,
        }
        let search = Search::new(file, storage, &Origin::same);
        model.generator(search.builder("dcgan"), 1)?;
        if model.has_encoder() {
            model.backwards(search.builder("dcgan encoder"), 1)?;
        }
        model.weights = search.finish();
        Ok(model)
    }

    /// Whether a mean and a variance are layers of their own.
    pub fn is_vae(&self) -> bool {
        self.is_vae
    }

    /// Whether there is an encoder beside it, from pictures to means.
    pub fn has_encoder(&self) -> bool {
        !self.encoder.is_empty()
    }

    /// Numbers of a latent.
    pub fn latent(&self) -> usize {
        self.label.as_ref().map_or(self.width, |label| label.latent(self.width))
    }

    /// How many labels a picture may be asked for by; `None` where it is made of the latent alone.
    pub fn classes(&self) -> Option<usize> {
        self.label.as_ref().map(|label| label.table.classes)
    }

    /// Sides of a picture in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Channels of a picture: 3, or 1 for grey.
    pub fn channels(&self) -> usize {
        self.convolutions.last().map_or(0, |last| last.layer.out)
    }

    /// The numbers that are black and white.
    pub fn range(&self) -> (f32, f32) {
        let last = self.convolutions.last().and_then(|last| last.layer.function);
        if last == Some(Unary::Sigmoid) { (0.0, 1.0) } else { (-1.0, 1.0) }
    }

    /// How the weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Input `latent` `[batch, latent]`, and `label` `[batch]` U32 where there are classes → output `picture` `[batch · side², channels]`.
    pub fn graph(&self, batch: usize) -> Result<Graph> {
        self.generator(self.weights.builder("dcgan"), batch)
    }

    /// Input `picture` `[batch · side², channels]` → output `moments` `[batch, latent or 2 · latent]`, whose first columns are the mean.
    ///
    /// Errors: `bad-argument` where there is no encoder.
    pub fn encoder(&self, batch: usize) -> Result<Graph> {
        if !self.has_encoder() {
            return Err(Error::bad_argument("a generator has no encoder; load an autoencoder for that"));
        }
        self.backwards(self.weights.builder("dcgan encoder"), batch)
    }

    fn generator(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let mut x = b.g.input("latent", &[batch, self.latent()], DType::F32);
        if let Some(label) = &self.label {
            x = label.meet(&mut b, batch, x)?;
        }
        for (i, layer) in self.linears.iter().enumerate() {
            let pixels = if i + 1 == self.linears.len() { self.first * self.first } else { 1 };
            x = layer.linear(&mut b, batch, pixels, x)?;
        }
        let mut grid = Grid::new(batch, self.first, self.first);
        for Convolution { layer, window, factor } in &self.convolutions {
            if *factor > 1 {
                b.g.at(format!("{} enlarged", layer.name));
                (x, grid) = if self.is_bilinear {
                    bilinear(&mut b, grid, *factor, x)?
                } else {
                    b.g.upsample(grid, *factor, x)?
                };
            }
            (x, grid) = layer.convolve(&mut b, grid, *window, x)?;
        }
        b.g.output("picture", x);
        Ok(b.finish())
    }

    fn backwards(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let mut grid = Grid::new(batch, self.side, self.side);
        let mut x = b.g.input("picture", &[grid.rows(), self.channels()], DType::F32);
        for Convolution { layer, window, .. } in &self.encoder {
            (x, grid) = layer.convolve(&mut b, grid, *window, x)?;
        }
        if !self.inward.is_empty() {
            x = b.g.reshape(batch, x)?;
        }
        for (i, layer) in self.inward.iter().enumerate() {
            x = layer.flattened(&mut b, batch, if i == 0 { grid.height } else { 1 }, x)?;
        }
        b.g.output("moments", x);
        Ok(b.finish())
    }
}

/// The functions behind the layers of a generator, the first convolution of which is the layer `at`; and the epsilons of their norms.
///
/// Errors: `unsupported-model` where a VAE's file does not tell whether its linear layer has a function behind it.
fn functions(layers: &mut [Layer], at: usize, is_vae: bool, settings: &Settings) -> Result<()> {
    let is_pytorch_gan = layers.get(at).is_some_and(|layer| layer.name.contains("conv_blocks"));
    let is_pytorch_vae = layers.last().is_some_and(|layer| layer.name.starts_with(FINAL));
    let usual = match (is_pytorch_gan, is_pytorch_vae) {
        (true, _) => LEAKY,
        (_, true) => SLIGHTLY_LEAKY,
        _ => RELU,
    };
    let mut all: Vec<Option<Unary>> = vec![Some(usual); layers.len()];
    if let Some(last) = at.checked_sub(1) {
        let (layer, next) = (&layers[last], &layers[at]);
        // In one `Sequential` with the convolutions one of the modules between is the view.
        let alone = match gap_before(next, Some(layer)).filter(|_| parent(&layer.name) == parent(&next.name)) {
            Some(gap) => gap < 2,
            None if is_vae && !settings.says_functions() && !BARE.iter().any(|name| layer.name.contains(name)) => {
                return Err(Error::unsupported_model(format!(
                    "whether a function stands behind {} is not to be told: give a config.json beside the weights, {{\"activation\": […]}} with \"relu\", \
                     \"none\" and kin for each of the decoder's {} layers",
                    shown(&layer.name),
                    layers.len()
                )));
            }
            None => BARE.iter().any(|name| layer.name.contains(name)),
        };
        all[last] = (!alone).then_some(usual);
    }
    if let Some(last) = all.last_mut() {
        *last = Some(if is_vae && !is_pytorch_vae { Unary::Sigmoid } else { Unary::Tanh });
    }
    settings.functions(&mut all)?;
    let eps = settings.eps()?;
    for (i, (layer, function)) in layers.iter_mut().zip(all).enumerate() {
        layer.function = function;
        if let Some(norm) = &mut layer.norm {
            norm.eps = eps.unwrap_or(if is_pytorch_gan && i >= at { PYTORCH_GAN_EPS } else { norm.eps });
        }
    }
    Ok(())
}

fn parent(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// How much larger pictures become before each convolution. Transposed ones enlarge by themselves; before the others the numbers of a `Sequential` tell,
/// where an enlargement and a function have no weights.
fn factors(convolutions: &[Layer], linear: Option<&Layer>, settings: &Settings) -> Result<Vec<usize>> {
    if let Some(factors) = settings.upsampling(convolutions.len())? {
        return Ok(factors);
    }
    if convolutions.iter().all(|layer| layer.kind == Kind::Transposed) {
        return Ok(vec![1; convolutions.len()]);
    }
    let mut factors = vec![];
    for (i, layer) in convolutions.iter().enumerate() {
        let before = if i == 0 { linear } else { Some(&convolutions[i - 1]) };
        let Some(gap) = gap_before(layer, before) else {
            return Err(Error::unsupported_model(format!(
                "whether pictures become larger before {} is not to be told by its name: give a config.json beside the weights, {{\"upsample\": […]}} with a \
                 factor for each of the {} convolutions (1 where nothing changes)",
                shown(&layer.name),
                convolutions.len()
            )));
        };
        // Behind a convolution a function, and then perhaps an enlargement; at the beginning an enlargement alone, where a function is the layer's before.
        let others = match before {
            Some(before) if parent(&before.name) == parent(&layer.name) => 1 + usize::from(i == 0),
            _ => 0,
        };
        factors.push(if layer.kind == Kind::Conv && gap > others { 2 } else { 1 });
    }
    Ok(factors)
}

/// `[grid.rows(), channels]` twice as large, each pixel between its neighbours (PyTorch's `bilinear` without `align_corners`): squares of pixels through
/// a window of 1, 2, 1 in both directions, and at the edges, where a third of it lies outside, so much more.
fn bilinear(b: &mut Builder, grid: Grid, factor: usize, x: ValueId) -> Result<(ValueId, Grid)> {
    let channels = b.columns_of(x);
    if factor != 2 || grid.times(2).rows() * channels > MOST_SMOOTH {
        return Err(Error::unsupported_model(
            "config.json: an upsample_mode of \"bilinear\" goes with factors of 2 alone, and with small pictures",
        ));
    }
    let (squares, grid) = b.g.upsample(grid, 2, x)?;
    let share = [0.25f32, 0.5, 0.25];
    let mut taps = vec![0.0; channels * 9 * channels];
    for channel in 0..channels {
        for (at, tap) in (0..9).map(|at| (at, share[at / 3] * share[at % 3])) {
            taps[(channel * 9 + at) * channels + channel] = tap;
        }
    }
    let window = Window::square(3, 1, 1);
    let name = format!("bilinear {channels}");
    let weight = b.made(&name, &[channels, 9 * channels], |_| Recipe::Computed(taps.clone()))?;
    let (x, grid) = b.g.conv2d(weight, None, grid, window, squares)?;
    let edge = |at: usize, side: usize| if at == 0 || at + 1 == side { 4.0 / 3.0 } else { 1.0f32 };
    let pixel = |at: usize| edge(at / grid.width % grid.height, grid.height) * edge(at % grid.width, grid.width);
    let more: Vec<f32> = (0..grid.rows()).flat_map(|at| vec![pixel(at); channels]).collect();
    let more = b.g.constant(grid.rows(), &more)?;
    Ok((b.g.binary(Binary::Mul, x, more)?, grid))
}
