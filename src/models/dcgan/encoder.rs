//! The encoder that stands beside a convolutional decoder: from its pictures to the mean of a latent.

use super::{Convolution, Dcgan, FINAL, LEAKY, parent};
use crate::{
    Error, Result,
    graph::{Grid, Window},
    models::plain::{Kind, Layer, Net, RELU, Settings, encodes, gap_before},
    weights::{WeightFile, shown},
};

/// What is to be written down where convolutions may be meant in several ways.
const STRIDES: &str = r#"give a config.json beside the weights, {"encoder_stride": […], "encoder_padding": […]} with a number for each convolution, or the decoder alone"#;

/// Layers of an encoder: its convolutions, and the linear ones behind them, the last of which gives the mean.
type Encoder = (Vec<Convolution>, Vec<Layer>);

impl Dcgan {
    /// The encoder of a file that has one.
    pub(super) fn encoder_of(&self, file: &WeightFile) -> Result<Vec<Convolution>> {
        let net = Net::read(file, &encodes)?;
        if net.is_empty() {
            return Ok(vec![]);
        }
        let latent = self.latent();
        let misfit = || {
            Error::unsupported_model(format!(
                "the encoder's layers (encoder.main.N and kin) are no chain of convolutions that halve a picture of {0}×{0} pixels and {1} channels down to \
                 the decoder's latent of {latent}, a mean and perhaps a variance; give both halves of one model, or the decoder alone",
                self.side,
                self.channels()
            ))
        };
        let ends = |layer: &Layer| [Some(latent), latent.checked_mul(2)].contains(&Some(layer.out));
        let layers = net.chain(&ends).map_err(|_| misfit())?;
        let (mut side, mut made) = (self.side, vec![]);
        let count = layers.len();
        for (i, mut layer) in layers.into_iter().enumerate() {
            let last = i + 1 == count;
            layer.function = (!last).then_some(LEAKY);
            let padding = if last { 0 } else { (layer.kernel - 1) / 2 };
            let window = Window::square(layer.kernel, if last { 1 } else { 2 }, padding);
            let fits = layer.kind == Kind::Conv && (i > 0 || layer.inner == self.channels());
            side = window.output(Grid::new(1, side, side)).filter(|_| fits).ok_or_else(misfit)?.height;
            made.push(Convolution { layer, window, factor: 1 });
        }
        if side == 1 { Ok(made) } else { Err(misfit()) }
    }

    /// The encoder that ends in linear layers for a mean and a variance. It has no layers where the file has none, or one that looks at labels too.
    ///
    /// Errors: `unsupported-model` where strides or functions cannot be told, or the layers are no encoder of the decoder's pictures.
    pub(super) fn encoder_to(
        &self,
        [mean, spread]: [&Layer; 2],
        file: &WeightFile,
        settings: &Settings,
    ) -> Result<Encoder> {
        let net = Net::read(file, &|name| encodes(name) && name != mean.name && name != spread.name)?;
        let (convolutions, mut linears) = (net.convolutions(), net.linears());
        linears.push(mean.clone());
        let (Some(first), Some(last)) = (convolutions.first(), convolutions.last()) else {
            return Ok((vec![], vec![]));
        };
        let flat = linears.first().map_or(0, |layer| layer.inner);
        let left = (flat / last.out).isqrt();
        // Labels stand beside the picture as channels of their own, or beside what is left of it.
        let is_square = |numbers: usize| (numbers / last.out).isqrt().pow(2) * last.out == numbers;
        let looks_at_labels = |classes: usize| {
            let beside = !is_square(flat) && flat.checked_sub(classes).is_some_and(is_square);
            let embedded = convolutions.iter().chain(&linears).any(|layer| layer.name.starts_with("embed_"));
            embedded || beside || first.inner == self.channels() + classes
        };
        if self.classes().is_some_and(looks_at_labels) {
            return Ok((vec![], vec![]));
        }
        let misfit = |why: &str| {
            Error::unsupported_model(format!(
                "the encoder's layers are no chain from a picture of {0}×{0} pixels and {1} channels to {2}: {why}",
                self.side,
                self.channels(),
                shown(&mean.name)
            ))
        };
        let follows = |pair: &[Layer]| pair[0].out == pair[1].inner;
        let is_chain = convolutions.windows(2).all(follows) && linears.windows(2).all(follows);
        if !is_chain || first.inner != self.channels() || flat == 0 || !is_square(flat) {
            return Err(misfit("give the autoencoder's own state_dict"));
        }
        let designs = match settings.inward_designs(convolutions.len())? {
            Some(designs) => designs,
            None if halve(&convolutions) || self.is_pytorch_vae() => {
                convolutions.iter().map(|layer| [2, (layer.kernel - 1) / 2, 0]).collect()
            }
            None => {
                let why = "whether its convolutions halve the sides or a pooling behind them does is not to be told by their names";
                return Err(misfit(&format!("{why}; {STRIDES}")));
            }
        };
        let count = convolutions.len() + linears.len() - 1;
        let functions = match settings.inward_functions(count)? {
            Some(given) => given,
            // Where nothing is said an encoder goes like its decoder.
            None if linears.len() == 1 || parent(&linears[0].name) == parent(&last.name) => {
                let like = self.convolutions.first().filter(|_| self.convolutions.len() > 1);
                vec![like.map_or(Some(RELU), |convolution| convolution.layer.function); count]
            }
            None => {
                return Err(misfit(&format!(
                    "whether a function stands behind {} is not to be told; give a config.json beside the weights, {{\"encoder_activation\": […]}} with \
                     one for each of the {count} layers before the mean, or the decoder alone",
                    shown(&linears[0].name)
                )));
            }
        };
        let mut functions = functions.into_iter();
        let (mut side, mut made) = (self.side, vec![]);
        for (mut layer, [stride, padding, _]) in convolutions.into_iter().zip(designs) {
            layer.function = functions.next().flatten();
            let window = Window::square(layer.kernel, stride, padding);
            side = window.output(Grid::new(1, side, side)).map_or(0, |grid| grid.height);
            made.push(Convolution { layer, window, factor: 1 });
        }
        if side != left {
            let why = format!("it leaves {side}×{side} pixels where {left}×{left} are taken");
            return Err(misfit(&format!("{why}; {STRIDES}")));
        }
        linears.iter_mut().for_each(|layer| layer.function = functions.next().flatten());
        if let Some(eps) = settings.eps()? {
            let all = made.iter_mut().map(|convolution| &mut convolution.layer).chain(&mut linears);
            all.filter_map(|layer| layer.norm.as_mut()).for_each(|norm| norm.eps = eps);
        }
        Ok((made, linears))
    }

    /// Whether the decoder's names are PyTorch-VAE's.
    fn is_pytorch_vae(&self) -> bool {
        self.convolutions.last().is_some_and(|last| last.layer.name.starts_with(FINAL))
    }
}

/// Whether all these convolutions surely halve a picture. A window of an odd side may also leave that to a pooling, which has no weights: then the numbers
/// of their `Sequential` have room for it.
fn halve(convolutions: &[Layer]) -> bool {
    let even = |layer: &Layer| layer.kernel.is_multiple_of(2);
    let close = |pair: &[Layer]| {
        parent(&pair[0].name) == parent(&pair[1].name) && gap_before(&pair[1], Some(&pair[0])) == Some(1)
    };
    convolutions.iter().all(even) || (convolutions.len() > 1 && convolutions.windows(2).all(close))
}
