//! Fully connected autoencoders and generators of small pictures, of any widths: linear layers in a row from a latent to all pixels of a picture, and for an
//! autoencoder from a picture to a mean (and a logarithm of the variance, which is not asked for), as PyTorch's VAE example (arXiv 1312.6114) and the first GANs
//! (arXiv 1406.2661) have them. What stands between the layers: [`plain`](super::plain).
//!
//! Pictures are 0 … 1 where a sigmoid ends the chain, −1 … 1 where tanh does.

use std::collections::BTreeSet;

use super::{
    Builder, Origin, Search, Tensors, Weights,
    plain::{EPS, Label, Layer, Meeting, Net, RELU, Settings, by_parent, encodes},
};
use crate::{
    Error, Result,
    graph::{DType, Graph, Unary},
    weights::{Recipes, Storage, WeightFile, shown},
};

const LEAKY: Unary = Unary::LeakyRelu { slope: 0.2 };
/// Of PyTorch-GAN's norms, whose momentum stands in the place of epsilon.
const PYTORCH_GAN_EPS: f32 = 0.8;
/// The sides of pictures that a layer's width may mean, grey or coloured.
const SIDES: [usize; 12] = [8, 16, 20, 24, 28, 32, 48, 56, 64, 96, 128, 256];

/// An encoder's or a decoder's layers, and those that give the mean of a latent.
type Chain = Vec<Layer>;

/// A network whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Dense {
    label: Option<Label>,
    /// Either may be empty.
    decoder: Chain,
    encoder: Chain,
    latent: usize,
    side: usize,
    channels: usize,
    weights: Weights,
}

/// Side and channels of a picture with so many numbers.
fn picture(width: usize, settings: &Settings) -> Option<(usize, usize)> {
    let sized = |channels: usize| {
        let side = (width / channels).isqrt();
        (side * side * channels == width && side > 1).then_some((side, channels))
    };
    if let (Ok(side), Ok(channels)) = (settings.side(), settings.channels())
        && (side.is_some() || channels.is_some())
    {
        let fits = |(s, c): &(usize, usize)| side.is_none_or(|side| side == *s) && channels.is_none_or(|c2| c2 == *c);
        return [1, 3].into_iter().filter_map(sized).find(fits);
    }
    [1, 3].into_iter().filter_map(sized).find(|(side, _)| SIDES.contains(side))
}

impl Dense {
    /// Whether a file holds such a network: nothing but linear layers, batch norms and a table of labels, one of the layers as wide as a picture.
    pub fn is_one(tensors: &dyn Tensors) -> bool {
        Net::read(tensors, &|_| true).is_ok_and(|net| {
            let layers = net.linears();
            let wide =
                |layer: &Layer| [layer.inner, layer.out].iter().any(|w| picture(*w, &Settings::default()).is_some());
            !net.has_convolutions() && net.has_batch_norms_alone() && layers.len() > 1 && layers.iter().any(wide)
        })
    }

    /// Finds the layers, and what the file does not say of them: by their shapes, or by a `config.json` of the class `Generator`.
    ///
    /// Errors: `unsupported-model` where they are no chain from a latent to a picture, or back; `corrupt-file` where a tensor is misshapen, or a setting.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<Self> {
        let settings = Settings::of(file)?;
        let net = Net::read(file, &|_| true)?;
        let layers = net.linears();
        let Halves { mut encoder, mut decoder, pixels, latent, looks_at_labels } = match &net.table {
            Some(_) => Halves::of(&net, &layers, &settings, [0, 0])?,
            None => Halves::perhaps_labelled(&net, &layers, &settings)?,
        };
        let Some((side, channels)) = picture(pixels, &settings) else {
            return Err(Error::unsupported_model(format!(
                "the widest layer has {pixels} numbers, which are no square picture of one or three channels"
            )));
        };
        let width = decoder.first().map_or(latent, |first| first.inner);
        let has_norms = decoder.iter().any(|layer| layer.norm.is_some());
        let or = if has_norms { Meeting::First } else { Meeting::Last };
        let label = match (net.table, encoder.last()) {
            (Some(table), _) => Some(Label::of(table, width, &settings, or)?),
            (None, Some(mean)) if width != latent && !decoder.is_empty() => {
                Some(Label::beside(mean, width, &settings)?)
            }
            _ => None,
        };
        functions(&mut encoder, &mut decoder, &settings)?;
        if looks_at_labels {
            encoder.clear();
        }
        let latent = label.as_ref().map_or(latent, |label| label.latent(width));
        let weights = Weights::declared(DType::F32);
        let mut model = Self { label, decoder, encoder, latent, side, channels, weights };
        let search = Search::new(file, storage, &Origin::same);
        if model.has_decoder() {
            model.forwards(search.builder("dense decoder"), 1)?;
        }
        if model.has_encoder() {
            model.backwards(search.builder("dense encoder"), 1)?;
        }
        model.weights = search.finish();
        Ok(model)
    }

    pub fn has_encoder(&self) -> bool {
        !self.encoder.is_empty()
    }

    pub fn has_decoder(&self) -> bool {
        !self.decoder.is_empty()
    }

    /// Numbers of a latent.
    pub fn latent(&self) -> usize {
        self.latent
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
        self.channels
    }

    /// The numbers that are black and white.
    pub fn range(&self) -> (f32, f32) {
        let last = self.decoder.last().map_or(Some(Unary::Sigmoid), |last| last.function);
        if last == Some(Unary::Tanh) { (-1.0, 1.0) } else { (0.0, 1.0) }
    }

    /// How the weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Input `latent` `[batch, latent]`, and `label` `[batch]` U32 where there are classes → output `picture` `[batch · side², channels]`.
    ///
    /// Errors: `bad-argument` where there is no decoder.
    pub fn decoder(&self, batch: usize) -> Result<Graph> {
        if !self.has_decoder() {
            return Err(Error::bad_argument("this file holds no decoder; give the whole autoencoder"));
        }
        self.forwards(self.weights.builder("dense decoder"), batch)
    }

    /// Input `picture` `[batch · side², channels]` → output `moments` `[batch, latent or 2 · latent]`, whose first columns are the mean.
    ///
    /// Errors: `bad-argument` where there is no encoder.
    pub fn encoder(&self, batch: usize) -> Result<Graph> {
        if !self.has_encoder() {
            return Err(Error::bad_argument("a generator has no encoder; load an autoencoder for that"));
        }
        self.backwards(self.weights.builder("dense encoder"), batch)
    }

    fn forwards(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let mut x = b.g.input("latent", &[batch, self.latent], DType::F32);
        if let Some(label) = &self.label {
            x = label.meet(&mut b, batch, x)?;
        }
        for (i, layer) in self.decoder.iter().enumerate() {
            let pixels = if i + 1 == self.decoder.len() { self.side * self.side } else { 1 };
            x = layer.linear(&mut b, batch, pixels, x)?;
        }
        b.g.output("picture", x);
        Ok(b.finish())
    }

    fn backwards(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let x = b.g.input("picture", &[batch * self.side * self.side, self.channels], DType::F32);
        let mut x = b.g.reshape(batch, x)?;
        for (i, layer) in self.encoder.iter().enumerate() {
            let side = if i == 0 { self.side } else { 1 };
            x = layer.flattened(&mut b, batch, side, x)?;
        }
        b.g.output("moments", x);
        Ok(b.finish())
    }
}

/// The two halves of a network, told by widths.
struct Halves {
    encoder: Chain,
    decoder: Chain,
    /// Numbers of a picture, and of a latent (with what stands for a label).
    pixels: usize,
    latent: usize,
    /// Whether the encoder takes a label beside a picture.
    looks_at_labels: bool,
}

impl Halves {
    /// The halves, where labels may stand as ones and zeros beside a latent, and beside a picture too: as many as the one way to read the layers has.
    fn perhaps_labelled(net: &Net, layers: &[Layer], settings: &Settings) -> Result<Self> {
        let plain = Self::of(net, layers, settings, [0, 0]);
        let (Err(_), Some((mean, _))) = (&plain, mean(layers)) else { return plain };
        let classes: BTreeSet<usize> = layers.iter().filter_map(|layer| layer.inner.checked_sub(mean.out)).collect();
        let ways = classes.into_iter().filter(|classes| *classes > 1).flat_map(|classes| [[0, classes], [classes; 2]]);
        let mut found = ways.filter_map(|labels| Self::of(net, layers, settings, labels).ok());
        match (found.next(), found.next()) {
            (Some(halves), None) => Ok(halves),
            _ => plain,
        }
    }

    /// With so many numbers of a label beside a picture, and beside a latent.
    fn of(net: &Net, layers: &[Layer], settings: &Settings, [beside, classes]: [usize; 2]) -> Result<Self> {
        let is_picture = |width: usize| picture(width, settings).is_some();
        let named = |encoder: bool| layers.iter().filter(move |layer| encodes(&layer.name) == encoder);
        let mean = mean(layers);
        let encodes_pictures =
            |layer: &&Layer| layer.inner.checked_sub(beside).is_some_and(is_picture) && layer.inner > layer.out;
        let entry =
            if mean.is_some() || named(true).next().is_some() { layers.iter().find(encodes_pictures) } else { None };
        let Some(entry) = entry else {
            // A generator: all layers in one chain.
            let decoder = net.chain(&|layer| is_picture(layer.out))?;
            let latent = decoder.first().map_or(0, |first| first.inner);
            let pixels = decoder.last().map_or(0, |last| last.out);
            return Ok(Self { encoder: vec![], decoder, pixels, latent, looks_at_labels: false });
        };
        let pixels = entry.inner - beside;
        let misfit = || {
            let shapes: Vec<String> =
                layers.iter().map(|layer| format!("{} {}→{}", shown(&layer.name), layer.inner, layer.out)).collect();
            Error::unsupported_model(format!(
                "these layers are no chain from a picture of {pixels} numbers to a mean and from a latent of as many back: {}; give the autoencoder's own state_dict",
                shapes.join(", ")
            ))
        };
        let latent = match mean {
            Some((mean, _)) => mean.out,
            None => named(false).filter(|layer| layer.out != pixels).map(|layer| layer.inner).min().unwrap_or(0),
        };
        // From the picture on by the first that fits in the order of names, and from it back by the last.
        let mut encoder = vec![entry.clone()];
        let heads = mean.map(|(mean, other)| [&mean.name, &other.name]);
        let is_head = |layer: &Layer| heads.is_some_and(|heads| heads.contains(&&layer.name));
        let ends = |layer: &Layer| match mean {
            Some((mean, _)) => layer.out == mean.inner,
            None => layer.out == latent || Some(layer.out) == latent.checked_mul(2),
        };
        while let Some(last) = encoder.last().filter(|last| !ends(last)) {
            let taken = |layer: &&Layer| encoder.iter().any(|other| other.name == layer.name);
            let next = layers
                .iter()
                .find(|layer| layer.inner == last.out && !is_head(layer) && !taken(layer) && layer.out != pixels);
            encoder.push(next.ok_or_else(misfit)?.clone());
        }
        let of_encoder = |layer: &Layer| encoder.iter().any(|other| other.name == layer.name);
        let left: Vec<&Layer> = layers.iter().filter(|layer| !is_head(layer) && !of_encoder(layer)).collect();
        let mut decoder: Chain =
            left.iter().filter(|layer| layer.out == pixels).take(1).map(|layer| (*layer).clone()).collect();
        // A hidden layer may be as narrow as what the first one takes.
        let whole = |decoder: &Chain| {
            decoder.first().is_none_or(|first| first.inner == latent + classes) && decoder.len() >= left.len()
        };
        while let Some(first) = decoder.first().filter(|_| !whole(&decoder)) {
            let taken = |layer: &Layer| decoder.iter().any(|other| other.name == layer.name);
            let before = left.iter().rfind(|layer| layer.out == first.inner && !taken(layer)).ok_or_else(misfit)?;
            decoder.insert(0, (*before).clone());
        }
        if left.len() != decoder.len() {
            return Err(misfit());
        }
        encoder.extend(mean.map(|(mean, _)| mean.clone()));
        Ok(Self { encoder, decoder, pixels, latent, looks_at_labels: beside > 0 })
    }
}

/// Two layers of one shape that make few numbers of more, the mean and the logarithm of the variance, in this order.
fn mean(layers: &[Layer]) -> Option<(&Layer, &Layer)> {
    let alike = |a: &Layer, b: &Layer| a.name != b.name && (a.inner, a.out) == (b.inner, b.out) && a.out < a.inner;
    let (first, second) = layers.iter().find_map(|a| Some((a, layers.iter().find(|b| alike(a, b))?)))?;
    let is_mean = |layer: &Layer| {
        let last = layer.name.to_ascii_lowercase();
        ["mu", "mean", "loc"].iter().any(|word| last.contains(word)) && !last.contains("var")
    };
    Some(if is_mean(second) && !is_mean(first) { (second, first) } else { (first, second) })
}

/// The functions behind the layers, and the epsilons of their norms, as the designs have them that people publish.
fn functions(encoder: &mut Chain, decoder: &mut Chain, settings: &Settings) -> Result<()> {
    let is_vae = !encoder.is_empty() || decoder.iter().any(|layer| layer.name.starts_with("dec"));
    // Each layer in a `Sequential` of its own with its norm, ReLU and, at the end, a sigmoid; or PyTorch-GAN's.
    let nested = decoder.len() > 1
        && by_parent(decoder).len() == decoder.len()
        && decoder.iter().any(|layer| layer.name.ends_with(".0"));
    let has_norms = decoder.iter().any(|layer| layer.norm.is_some());
    let is_bare = decoder.iter().all(|layer| layer.name.parse::<usize>().is_ok());
    let rectified = is_vae || nested || (is_bare && !has_norms);
    let is_pytorch_gan = !is_vae
        && has_norms
        && decoder.first().is_some_and(|first| first.norm.is_none() && first.name.contains("model."));
    let (hidden, last) =
        (if rectified { RELU } else { LEAKY }, if is_vae || nested { Unary::Sigmoid } else { Unary::Tanh });
    let eps = settings.eps()?.unwrap_or(if is_pytorch_gan { PYTORCH_GAN_EPS } else { EPS });
    let mut all = vec![Some(hidden); decoder.len()];
    if let Some(function) = all.last_mut() {
        *function = Some(last);
    }
    settings.functions(&mut all)?;
    // An encoder goes like its decoder, and its last layer has nothing behind it.
    let inward = if decoder.len() > 1 { all[0] } else { Some(hidden) };
    let count = encoder.len();
    let inward = (0..count).map(|i| if i + 1 < count { inward } else { None });
    for (layer, function) in encoder.iter_mut().zip(inward).chain(decoder.iter_mut().zip(all)) {
        layer.function = function;
        if let Some(norm) = &mut layer.norm {
            norm.eps = eps;
        }
    }
    Ok(())
}
