//! Layers by the names of their weights: what a model of many parts is written with. A weight's type is whatever the file stores; its shape is
//! the model's, and one that does not fit is a corrupt file by its name.

use super::Tensors;
use crate::{
    Error, Result,
    graph::{Binary, Graph, GraphBuilder, Grid, Mask, Unary, ValueId, WeightId, Window},
};

/// A graph in the making beside the index of a file.
pub struct Named<'a> {
    pub g: GraphBuilder,
    tensors: &'a dyn Tensors,
}

/// Heads of an attention and the batch it is for.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub batch: usize,
    pub heads: usize,
    pub width: usize,
}

impl<'a> Named<'a> {
    pub fn new(graph: impl Into<String>, tensors: &'a dyn Tensors) -> Self {
        Self { g: GraphBuilder::new(graph), tensors }
    }

    pub fn finish(self) -> Graph {
        self.g.finish()
    }

    /// The weight called `name`, of `shape`.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<WeightId> {
        let Some((dtype, found)) = self.tensors.tensor(name) else {
            return Err(Error::corrupt_file(format!(
                "the file has no weight {name} {shape:?}, which its configuration asks for; fetch the whole file again"
            )));
        };
        if found != shape {
            return Err(Error::corrupt_file(format!(
                "weight {name} is {found:?} in the file, but the configuration asks for {shape:?}; the file is damaged or mislabelled"
            )));
        }
        self.g.weight(name, shape, dtype)
    }

    /// `name.weight` `[out, in]` and `name.bias` `[out]`: x `[t, in]` → `[t, out]`.
    pub fn linear(&mut self, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        let inner = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.linear(weight, Some(bias), x)
    }

    /// `name.weight` `[out, window · in]` and `name.bias` `[out]`.
    pub fn conv(&mut self, name: &str, out: usize, grid: Grid, window: Window, x: ValueId) -> Result<(ValueId, Grid)> {
        let inner = window.area() * self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.conv2d(weight, Some(bias), grid, window, x)
    }

    /// The same for a transposed convolution.
    pub fn conv_transpose(
        &mut self,
        name: &str,
        out: usize,
        grid: Grid,
        window: Window,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let inner = window.area() * self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[out, inner])?;
        let bias = self.weight(&format!("{name}.bias"), &[out])?;
        self.g.conv_transpose2d(weight, Some(bias), grid, window, x)
    }

    /// A LayerNorm with `name.weight` and `name.bias`.
    pub fn layer_norm(&mut self, name: &str, eps: f32, x: ValueId) -> Result<ValueId> {
        let n = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[n])?;
        let bias = self.weight(&format!("{name}.bias"), &[n])?;
        self.g.layer_norm(Some(weight), Some(bias), eps, x)
    }

    /// A GroupNorm with `name.weight` and `name.bias`, then SiLU.
    pub fn group_norm_silu(
        &mut self,
        name: &str,
        groups: usize,
        eps: f32,
        batch: usize,
        x: ValueId,
    ) -> Result<ValueId> {
        let n = self.columns_of(x);
        let weight = self.weight(&format!("{name}.weight"), &[n])?;
        let bias = self.weight(&format!("{name}.bias"), &[n])?;
        let x = self.g.group_norm(weight, bias, groups, eps, batch, x)?;
        Ok(self.g.unary(Unary::Silu, x))
    }

    /// `name.query`, `name.key`, `name.value`, `name.output`: rows of x look at all rows of y of their member of the batch.
    pub fn attention(&mut self, name: &str, of: Heads, x: ValueId, y: ValueId) -> Result<ValueId> {
        let Heads { batch, heads, width } = of;
        let q = self.linear(&format!("{name}.query"), width, x)?;
        let k = self.linear(&format!("{name}.key"), width, y)?;
        let v = self.linear(&format!("{name}.value"), width, y)?;
        let dim = width / heads;
        let scale = 1.0 / (dim as f32).sqrt();
        let a = self.g.attention_between(batch, heads, heads, dim, scale, Mask::Full, q, k, v)?;
        self.linear(&format!("{name}.output"), width, a)
    }

    /// `name.in`, GELU (tanh), `name.out`, four times as wide between them.
    pub fn mlp(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let width = self.columns_of(x);
        let h = self.linear(&format!("{name}.in"), 4 * width, x)?;
        let h = self.g.unary(Unary::GeluTanh, h);
        self.linear(&format!("{name}.out"), width, h)
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.g.binary(Binary::Add, a, b)
    }

    pub fn columns_of(&self, x: ValueId) -> usize {
        self.g.shape(x).last().copied().unwrap_or(0)
    }
}
