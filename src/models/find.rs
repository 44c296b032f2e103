//! Finds a model's weights in a file whose layout is PyTorch's: from a graph and the names to what each weight is made of.

use std::collections::HashMap;

use super::{Index, Tensors, Types, diffusion::Origin};
use crate::{
    Result,
    graph::{Graph, Op},
    weights::{Recipe, Recipes, Storage, WeightFinder},
};

/// Makes the recipe of a convolution's weight from its tensor and its window.
type Turn = fn(String, [usize; 2]) -> Recipe;

/// The types that the weights of `graph` will have on the device, and how they are made on their way there. The types that
/// `graph` itself declares do not matter.
///
/// Errors: `corrupt-file` that names the tensor which is missing, or is of another shape.
pub(super) fn find(
    graph: &Graph,
    origin: impl Fn(&str) -> Origin,
    tensors: &dyn Tensors,
    storage: Storage,
) -> Result<(Types, Recipes)> {
    let mut finder = WeightFinder::new(tensors, storage);
    let turned: HashMap<u32, (Turn, [usize; 2])> = graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Conv2d { weight, window, .. } => {
                Some((weight.0, (Recipe::conv as Turn, [window.height, window.width])))
            }
            Op::ConvTranspose2d { weight, window, .. } => {
                Some((weight.0, (Recipe::conv_transpose as Turn, [window.height, window.width])))
            }
            _ => None,
        })
        .collect();
    let mut index = HashMap::new();
    for (id, spec) in (0u32..).zip(&graph.weights) {
        let Origin { name, part } = origin(&spec.name);
        let rows = spec.shape.first().copied().unwrap_or(0);
        let recipe = match (turned.get(&id), part) {
            (Some((turn, window)), _) => turn(name, *window),
            (None, Some((which, _))) => Recipe::rows(name, which * rows),
            (None, None) => Recipe::tensor(name),
        };
        let found = finder.find(&spec.name, &spec.shape, recipe)?;
        index.insert(found.name, (found.dtype, found.shape));
    }
    Ok((Types::Index(Index(index)), finder.finish()))
}
