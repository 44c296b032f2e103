//! Strides and paddings of transposed convolutions, which no state dict holds.
//!
//! They are told by the sides of the windows and by where the chain ends. Each window has a few usual designs, the next more far-fetched than the
//! one before; of all chains that end at a usual picture's side the one with the least cost is taken. docs/models.md has the rule in words.

use std::collections::BTreeMap;

use crate::{
    Error, Result,
    graph::{Grid, Window},
};

/// The largest side of a picture that a chain may end at.
const LARGEST: usize = 1024;

/// One convolution of a chain, as far as the file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The window's side.
    pub kernel: usize,
    pub transposed: bool,
    /// How much larger a picture becomes before it.
    pub factor: usize,
    /// Stride, padding and output padding, where a configuration says them.
    pub given: Option<[usize; 3]>,
}

/// A stride, a padding, an output padding, and how unusual they are.
type Design = ([usize; 3], u32);

/// Whether a chain cuts what its windows leave over at the edges, as DCGAN does, or leaves it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Padded,
    Unpadded,
}

/// How a chain came to a side.
#[derive(Clone)]
struct Way {
    cost: u32,
    designs: Vec<[usize; 3]>,
    /// Whether another of the same cost came there.
    tied: bool,
}

/// The window of each step, from pictures of the side `start` on to some of `channels` channels; `side` is where they end, if that is known. Also the side
/// that they end at.
///
/// Errors: `unsupported-model` where no usual design fits or several do, with what to write into a `config.json`.
pub fn windows(start: usize, channels: usize, steps: &[Step], side: Option<usize>) -> Result<(Vec<Window>, usize)> {
    let known = steps.iter().all(|step| step.given.is_some() || !step.transposed);
    let mut best: Option<(usize, Way)> = None;
    for style in [Style::Padded, Style::Unpadded] {
        for (end, mut way) in chains(start, steps, style) {
            let usual = match side {
                Some(side) => (side == end).then_some(0),
                None if known => Some(0),
                None => unusual(end, channels),
            };
            let Some(usual) = usual else { continue };
            way.cost += usual + u32::from(style == Style::Unpadded);
            match &mut best {
                Some((_, other)) if other.cost < way.cost => {}
                // Both styles may come to the same designs.
                Some((_, other)) if other.cost == way.cost => other.tied |= other.designs != way.designs,
                _ => best = Some((end, way)),
            }
        }
    }
    let shown: Vec<usize> = steps.iter().map(|step| step.kernel).collect();
    let advice = r#"the file does not say their strides and paddings: give a config.json beside it, {"stride": […], "padding": […], "output_padding": […]} with a number for each"#;
    match best {
        Some((end, way)) if !way.tied || known => {
            let window = |(step, [stride, padding, more]): (&Step, [usize; 3])| {
                let square = Window::square(step.kernel, stride, padding);
                Window { padding: [padding, padding - more, padding, padding - more], ..square }
            };
            Ok((steps.iter().zip(way.designs).map(window).collect(), end))
        }
        Some((end, way)) => Err(Error::unsupported_model(format!(
            "convolutions with windows of {shown:?} pixels from {start}×{start} on may be meant in several ways ({:?} as strides, paddings and output paddings, to \
             {end}×{end}, is one); {advice}",
            way.designs
        ))),
        None => Err(Error::unsupported_model(format!(
            "convolutions with windows of {shown:?} pixels from {start}×{start} on come to no picture of a usual side{} in any usual way; {advice}",
            side.map_or_else(String::new, |side| format!(" ({side}, as image_size says)"))
        ))),
    }
}

/// The ways to every side that the steps can come to in one style.
fn chains(start: usize, steps: &[Step], style: Style) -> BTreeMap<usize, Way> {
    let mut ways = BTreeMap::from([(start, Way { cost: 0, designs: vec![], tied: false })]);
    for (i, step) in steps.iter().enumerate() {
        let mut next: BTreeMap<usize, Way> = BTreeMap::new();
        for (side, way) in ways {
            for (design, cost) in designs(step, side * step.factor, [i == 0, i + 1 == steps.len()], style) {
                let Some(side) = after(step, design, side * step.factor).filter(|side| *side <= LARGEST) else {
                    continue;
                };
                let cost = way.cost + cost;
                match next.get_mut(&side) {
                    Some(other) if other.cost < cost => {}
                    Some(other) if other.cost == cost => other.tied = true,
                    _ => {
                        let designs = [&way.designs[..], &[design]].concat();
                        next.insert(side, Way { cost, designs, tied: way.tied });
                    }
                }
            }
        }
        ways = next;
    }
    ways
}

/// What a window of `k` pixels usually does to a picture of this side.
fn designs(step: &Step, side: usize, [first, last]: [bool; 2], style: Style) -> Vec<Design> {
    let k = step.kernel;
    if let Some(given) = step.given {
        return vec![(given, 0)];
    }
    if !step.transposed {
        // A plain convolution leaves a picture as large as it is.
        return if k % 2 == 1 { vec![([1, k / 2, 0], 0)] } else { vec![] };
    }
    if side == 1 {
        // The window itself; the stride does nothing.
        return vec![([1, 0, 0], 0)];
    }
    let apart = |design, cost, also: bool| also.then_some((design, cost));
    let usual: Vec<Option<Design>> = match (style, k) {
        // A pixel of its own; or the way from 32 pixels to MNIST's 28.
        (_, 1) => vec![Some(([1, 0, 0], u32::from(last))), apart([1, 2, 0], 1, last && side == 32)],
        (Style::Unpadded, _) => vec![Some(([2, 0, 0], 0)), Some(([1, 0, 0], 1))],
        (Style::Padded, k) if k % 2 == 0 => vec![
            Some(([2, k / 2 - 1, 0], 0)),
            apart([2, k / 2, 0], 2, k > 2),
            apart([1, 0, 0], 2, k > 2),
            apart([4, 2, 0], 1, k == 8),
        ],
        (Style::Padded, k) => vec![
            Some(([2, k / 2, 1], u32::from(k != 5) + u32::from(last && k == 3))),
            Some(([2, k / 2, 0], if k == 3 { 1 } else { 2 })),
            // One that smooths stands at the end; of 5×5 at the beginning.
            Some(([1, k / 2, 0], if k == 5 && first || k != 5 && last { 1 } else { 2 })),
            apart([2, 0, 0], 2, k == 3),
        ],
    };
    usual.into_iter().flatten().collect()
}

/// The side that a step makes of another.
fn after(step: &Step, [stride, padding, more]: [usize; 3], side: usize) -> Option<usize> {
    let square = Window::square(step.kernel, stride, padding);
    let window = Window { padding: [padding, padding.checked_sub(more)?, padding, padding - more], ..square };
    let grid = Grid::new(1, side, side);
    let after = if step.transposed { window.transposed_output(grid) } else { window.output(grid) };
    after.map(|grid| grid.height).filter(|side| *side > 0)
}

/// How unusual pictures of this side and these channels are: grey ones are MNIST's, coloured ones come in powers of two.
fn unusual(side: usize, channels: usize) -> Option<u32> {
    let grey = channels == 1;
    match side {
        28 => Some(u32::from(!grey)),
        32 => Some(u32::from(grey)),
        64 | 128 | 256 | 512 | 1024 => Some(0),
        16 => Some(2),
        48 | 96 | 192 | 384 => Some(2),
        56 | 112 | 224 => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(kernels: &[usize]) -> Vec<Step> {
        kernels.iter().map(|kernel| Step { kernel: *kernel, transposed: true, factor: 1, given: None }).collect()
    }

    /// Stride, padding and output padding of each.
    fn told(start: usize, channels: usize, kernels: &[usize]) -> (Vec<[usize; 3]>, usize) {
        let (windows, side) = windows(start, channels, &steps(kernels), None).unwrap();
        let numbers = |w: &Window| [w.stride, w.padding[0], w.padding[0] - w.padding[1]];
        (windows.iter().map(numbers).collect(), side)
    }

    #[test]
    fn designs_that_people_publish_are_told_by_their_windows() {
        let double = [2, 1, 0];
        // DCGAN's own, of several sizes.
        assert_eq!(told(1, 3, &[4, 4, 4, 4, 4]), (vec![[1, 0, 0], double, double, double, double], 64));
        assert_eq!(told(1, 1, &[4, 4, 4, 4]).1, 32);
        assert_eq!(told(1, 3, &[4; 6]).1, 128);
        assert_eq!(told(1, 3, &[4, 4, 4]).1, 16);
        // MNIST's 28 pixels: from 7, by an odd window that makes 7 of 4, by a last one of one pixel that cuts 32, without paddings.
        assert_eq!(told(1, 1, &[7, 4, 4]), (vec![[1, 0, 0], double, double], 28));
        assert_eq!(told(1, 1, &[1, 7, 4, 4]).1, 28);
        assert_eq!(told(1, 1, &[4, 3, 4, 4]), (vec![[1, 0, 0], double, double, double], 28));
        assert_eq!(told(1, 1, &[4, 4, 4, 4, 1]), (vec![[1, 0, 0], double, double, double, [1, 2, 0]], 28));
        assert_eq!(told(1, 1, &[3, 4, 3, 4]), (vec![[1, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 0]], 28));
        assert_eq!(told(1, 3, &[3, 3, 3, 3, 4]), (vec![[1, 0, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0]], 64));
        // Behind a linear layer.
        assert_eq!(told(7, 1, &[4, 4]), (vec![double, double], 28));
        assert_eq!(told(7, 1, &[5, 5, 5]), (vec![[1, 2, 0], [2, 2, 1], [2, 2, 1]], 28));
        assert_eq!(told(7, 1, &[3, 3]), (vec![[2, 1, 1], [2, 1, 1]], 28));
        assert_eq!(told(7, 1, &[3, 3, 3]), (vec![[2, 1, 1], [2, 1, 1], [1, 1, 0]], 28));
        assert_eq!(told(3, 1, &[3, 3, 3]), (vec![[2, 0, 0], [2, 1, 1], [2, 1, 1]], 28));
        assert_eq!(told(4, 3, &[2, 2, 2]).1, 32);
        assert_eq!(told(4, 3, &[5, 5, 5, 5]).1, 64);
        // A last window that only smooths.
        assert_eq!(told(1, 3, &[4, 4, 4, 4, 4, 3]).0[5], [1, 1, 0]);
    }

    #[test]
    fn what_fits_nothing_or_several_designs_asks_for_a_configuration_which_has_the_last_word() {
        for (channels, kernels) in [(3, vec![5, 9, 9]), (1, vec![4, 4, 4, 3])] {
            let error = windows(1, channels, &steps(&kernels), None).unwrap_err().to_string();
            assert!(error.contains("config.json") && error.contains("output_padding"), "{error}");
        }
        let sized = windows(8, 3, &steps(&[3, 3, 3]), Some(64)).unwrap();
        assert_eq!(sized.1, 64);
        let given = |numbers| Step { given: Some(numbers), ..steps(&[5])[0] };
        let (made, side) = windows(3, 3, &[given([3, 1, 0]), given([2, 2, 1])], None).unwrap();
        assert_eq!((side, made[1].padding), (18, [2, 1, 2, 1]));
        assert!(windows(3, 3, &[given([3, 1, 0])], Some(28)).unwrap_err().to_string().contains("image_size"));
        assert!(windows(3, 3, &[given([1, 0, 1])], None).is_err() && windows(3, 3, &[given([0, 0, 0])], None).is_err());
    }
}
