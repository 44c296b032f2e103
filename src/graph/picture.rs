//! The builder's operations on pictures and on values of a batch. A picture is rows of channels: see [`Grid`].

use super::{Attention, Binary, DType, GraphBuilder, Grid, Mask, Op, ValueId, WeightId, Window};
use crate::{Error, Result};

impl GraphBuilder {
    /// x `[batch · t, n]` and y `[batch, n]`, a row for each member of the batch → `[batch · t, n]`.
    pub fn broadcast(&mut self, f: Binary, batch: usize, x: ValueId, y: ValueId) -> Result<ValueId> {
        let op = Op::Broadcast { f, batch };
        let (rows, n) = self.members(&op, batch, x, &[x, y])?;
        self.one_row_each(&op, batch, n, &[x, y])?;
        Ok(self.push(op, &[x, y], vec![rows, n], DType::F32))
    }

    /// `x · (1 + scale) + shift`: x `[batch · t, n]`, shift and scale `[batch, n]` → `[batch · t, n]`.
    pub fn modulate(&mut self, batch: usize, x: ValueId, shift: ValueId, scale: ValueId) -> Result<ValueId> {
        let op = Op::Modulate { batch };
        let inputs = [x, shift, scale];
        let (rows, n) = self.members(&op, batch, x, &inputs)?;
        self.one_row_each(&op, batch, n, &inputs)?;
        Ok(self.push(op, &inputs, vec![rows, n], DType::F32))
    }

    /// Columns `first .. first + columns` of `[t, n]` → `[t, columns]`.
    pub fn slice_columns(&mut self, first: usize, columns: usize, x: ValueId) -> Result<ValueId> {
        let op = Op::SliceColumns { first };
        let (t, n) = self.rows(&op, x)?;
        if columns == 0 || first.checked_add(columns).is_none_or(|end| end > n) {
            return Err(self.misfit(&op, &[x], &format!("no columns {first} to {first} + {columns}")));
        }
        Ok(self.push(op, &[x], vec![t, columns], DType::F32))
    }

    /// The numbers of `[t, n]`, row after row, as `rows` rows.
    pub fn reshape(&mut self, rows: usize, x: ValueId) -> Result<ValueId> {
        let (t, n) = self.rows(&Op::Reshape, x)?;
        let numbers = t.checked_mul(n).filter(|numbers| rows > 0 && numbers.is_multiple_of(rows));
        let Some(numbers) = numbers else {
            return Err(self.misfit(&Op::Reshape, &[x], &format!("its numbers make no {rows} rows")));
        };
        Ok(self.push(Op::Reshape, &[x], vec![rows, numbers / rows], DType::F32))
    }

    /// `[t, a]` and `[t, b]` → `[t, a + b]`.
    pub fn concat(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        let ((t, left), (others, right)) = (self.rows(&Op::Concat, a)?, self.rows(&Op::Concat, b)?);
        if t != others {
            return Err(self.misfit(&Op::Concat, &[a, b], "both must have as many rows"));
        }
        Ok(self.push(Op::Concat, &[a, b], vec![t, left + right], DType::F32))
    }

    /// `[t, n]` → `[t, n]`; weight and bias `[n]`.
    pub fn layer_norm(
        &mut self,
        weight: Option<WeightId>,
        bias: Option<WeightId>,
        eps: f32,
        x: ValueId,
    ) -> Result<ValueId> {
        let op = Op::LayerNorm { weight, bias, eps };
        let (t, n) = self.rows(&op, x)?;
        self.as_long_as_a_row(&op, n, x)?;
        Ok(self.push(op, &[x], vec![t, n], DType::F32))
    }

    /// `[batch · pixels, channels]` → the same; weight and bias `[channels]`, `channels` a multiple of `groups`.
    pub fn group_norm(
        &mut self,
        weight: WeightId,
        bias: WeightId,
        groups: usize,
        eps: f32,
        batch: usize,
        x: ValueId,
    ) -> Result<ValueId> {
        let op = Op::GroupNorm { weight, bias, groups, eps, batch };
        let (rows, n) = self.members(&op, batch, x, &[x])?;
        if groups == 0 || !n.is_multiple_of(groups) {
            return Err(self.misfit(&op, &[x], &format!("{n} channels are no {groups} groups")));
        }
        self.as_long_as_a_row(&op, n, x)?;
        Ok(self.push(op, &[x], vec![rows, n], DType::F32))
    }

    /// `[input.rows(), in]` → `[output.rows(), out]`, and the output's sides; weight `[out, window · in]`, bias `[out]`.
    pub fn conv2d(
        &mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        input: Grid,
        window: Window,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let op = Op::Conv2d { weight, bias, input, window };
        self.convolution(op, weight, bias, input, window, window.output(input), x)
    }

    /// `[input.rows(), in]` → `[output.rows(), out]`, and the output's sides; weight `[out, window · in]`, bias `[out]`.
    pub fn conv_transpose2d(
        &mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        input: Grid,
        window: Window,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let op = Op::ConvTranspose2d { weight, bias, input, window };
        self.convolution(op, weight, bias, input, window, window.transposed_output(input), x)
    }

    #[allow(clippy::too_many_arguments)]
    fn convolution(
        &mut self,
        op: Op,
        weight: WeightId,
        bias: Option<WeightId>,
        input: Grid,
        window: Window,
        output: Option<Grid>,
        x: ValueId,
    ) -> Result<(ValueId, Grid)> {
        let channels = self.pixels(&op, input, x)?;
        let Some(output) = output.filter(|grid| grid.rows() > 0) else {
            return Err(self.misfit(&op, &[x], &format!("{window:?} does not fit {input:?}")));
        };
        let &[out, inner] = self.graph.weight(weight).shape.as_slice() else {
            return Err(self.misfit(&op, &[x], "expected a weight [out, height · width · in]"));
        };
        if Some(inner) != window.area().checked_mul(channels) {
            let why = format!("the weight's columns must be {} · {channels}", window.area());
            return Err(self.misfit(&op, &[x], &why));
        }
        if bias.is_some_and(|b| self.graph.weight(b).shape != [out]) {
            return Err(self.misfit(&op, &[x], "the bias must be as long as the weight has rows"));
        }
        Ok((self.push(op, &[x], vec![output.rows(), out], DType::F32), output))
    }

    /// `[input.rows(), channels]` → `[batch · height · width, channels]`: the top left of each picture, and the output's sides.
    pub fn crop(&mut self, input: Grid, height: usize, width: usize, x: ValueId) -> Result<(ValueId, Grid)> {
        let op = Op::Crop { input, height, width };
        let channels = self.pixels(&op, input, x)?;
        if !(1..=input.height).contains(&height) || !(1..=input.width).contains(&width) {
            return Err(self.misfit(&op, &[x], "what is left must lie in the picture"));
        }
        let output = Grid { height, width, ..input };
        Ok((self.push(op, &[x], vec![output.rows(), channels], DType::F32), output))
    }

    /// `[input.rows(), channels]` → `[factor² · input.rows(), channels]`, and the output's sides.
    pub fn upsample(&mut self, input: Grid, factor: usize, x: ValueId) -> Result<(ValueId, Grid)> {
        let op = Op::Upsample { input, factor };
        let channels = self.pixels(&op, input, x)?;
        if factor == 0 {
            return Err(self.misfit(&op, &[x], "the factor must be at least 1"));
        }
        let output = input.times(factor);
        Ok((self.push(op, &[x], vec![output.rows(), channels], DType::F32), output))
    }

    /// Timesteps `[batch, 1]` → `[batch, columns]`; `columns` is even.
    pub fn timestep_embedding(
        &mut self,
        columns: usize,
        max_period: f32,
        shift: f32,
        cosine_first: bool,
        t: ValueId,
    ) -> Result<ValueId> {
        let op = Op::TimestepEmbedding { max_period, shift, cosine_first };
        let (batch, one) = self.rows(&op, t)?;
        if one != 1 || columns == 0 || !columns.is_multiple_of(2) {
            return Err(self.misfit(
                &op,
                &[t],
                &format!("expected timesteps [batch, 1] and even columns, not {columns}"),
            ));
        }
        Ok(self.push(op, &[t], vec![batch, columns], DType::F32))
    }

    /// Attention between values: q `[batch · t, heads · head_dim]`, k and v `[batch · keys, kv_heads · head_dim]` →
    /// `[batch · t, heads · head_dim]`. `mask` is of [`Keys::Values`](super::Keys::Values); a causal one wants as many keys as queries.
    #[allow(clippy::too_many_arguments)]
    pub fn attention_between(
        &mut self,
        batch: usize,
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        scale: f32,
        mask: Mask,
        q: ValueId,
        k: ValueId,
        v: ValueId,
    ) -> Result<ValueId> {
        self.attend(Attention::plain(heads, kv_heads, head_dim, scale, mask, batch), [q, k, v], None, None)
    }

    /// The channels of a value that holds the pictures of `grid`.
    fn pixels(&self, op: &Op, grid: Grid, x: ValueId) -> Result<usize> {
        let (rows, channels) = self.rows(op, x)?;
        if rows != grid.rows() || rows == 0 {
            return Err(self.misfit(op, &[x], &format!("expected the {} pixels of {grid:?}", grid.rows())));
        }
        Ok(channels)
    }

    /// Rows and columns of `x`, whose rows are `batch` times as many for each member.
    pub(super) fn members(&self, op: &Op, batch: usize, x: ValueId, inputs: &[ValueId]) -> Result<(usize, usize)> {
        let (rows, n) = self.rows(op, x)?;
        if batch == 0 || rows == 0 || !rows.is_multiple_of(batch) {
            return Err(self.misfit(op, inputs, &format!("{rows} rows are no batch of {batch}")));
        }
        Ok((rows, n))
    }

    /// Refuses inputs after the first that are not `[batch, n]`.
    fn one_row_each(&self, op: &Op, batch: usize, n: usize, inputs: &[ValueId]) -> Result<()> {
        if inputs[1..].iter().any(|v| self.shape(*v) != [batch, n]) {
            return Err(self.misfit(op, inputs, &format!("expected a row of {n} for each of {batch}")));
        }
        Ok(())
    }

    /// Refuses weights of `op` that are not vectors of `n`.
    fn as_long_as_a_row(&self, op: &Op, n: usize, x: ValueId) -> Result<()> {
        if op.weights().any(|w| self.graph.weight(w).shape != [n]) {
            return Err(self.misfit(op, &[x], "weight and bias must be as long as a row"));
        }
        Ok(())
    }
}

/// A grid of sizes that come from a file or a caller: one without pixels, or with more than a kernel can count, is refused.
pub fn pictures(batch: usize, height: usize, width: usize) -> Result<Grid> {
    let rows = batch.checked_mul(height).and_then(|n| n.checked_mul(width));
    if rows.is_none_or(|n| n == 0 || n >= 1 << 31) {
        return Err(Error::invalid_graph(format!("{batch} pictures of {height} by {width} are none, or too large")));
    }
    Ok(Grid::new(batch, height, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_says_how_large_its_output_is() {
        let grid = Grid::new(2, 7, 9);
        let same = Window::square(3, 1, 1);
        assert_eq!(same.output(grid), Some(grid));
        // Stable Diffusion's downsampling: zeros below and on the right alone.
        let half = Window { height: 3, width: 3, stride: 2, dilation: 1, padding: [0, 1, 0, 1] };
        assert_eq!(half.output(Grid::new(1, 8, 10)), Some(Grid::new(1, 4, 5)));
        assert_eq!(Window::square(9, 1, 0).output(grid), None);
        // A dilated window reaches further; one that moves by nothing, or leaves out everything, is none.
        assert_eq!(Window { dilation: 2, ..Window::square(3, 1, 2) }.output(grid), Some(grid));
        assert_eq!(Window { dilation: 0, ..same }.output(grid), None);
        assert_eq!(Window { stride: 0, ..same }.output(grid), None);
        // Sequences are pictures of one row.
        let line = Grid::new(2, 1, 10);
        assert_eq!(Window::causal(3, 4).output(line), Some(line));
        assert_eq!(Window::line(4, 2, 1, [1, 1]).output(line), Some(Grid::new(2, 1, 5)));
        assert_eq!(Window::line(4, 2, 1, [1, 1]).transposed_output(Grid::new(2, 1, 5)), Some(line));
        // DCGAN's layers: 1 → 4, then twice as large.
        assert_eq!(Window::square(4, 1, 0).transposed_output(Grid::new(1, 1, 1)), Some(Grid::new(1, 4, 4)));
        assert_eq!(Window::square(4, 2, 1).transposed_output(Grid::new(1, 4, 4)), Some(Grid::new(1, 8, 8)));
    }

    #[test]
    fn a_convolution_of_the_wrong_channels_is_refused_by_name_and_shapes() {
        let mut g = GraphBuilder::new("t");
        let w = g.weight("decoder.conv_in.weight", &[8, 36], DType::F32).unwrap();
        let x = g.input("latent", &[20, 5], DType::F32);
        g.at("decoder");
        let error = g.conv2d(w, None, Grid::new(1, 4, 5), Window::square(3, 1, 1), x).unwrap_err().to_string();
        for part in ["conv2d", "decoder", "[20, 5]", "decoder.conv_in.weight", "[8, 36]"] {
            assert!(error.contains(part), "{error:?} does not name {part}");
        }
        assert!(g.conv2d(w, None, Grid::new(1, 4, 4), Window::square(3, 1, 1), x).is_err());
    }

    #[test]
    fn pictures_without_pixels_or_with_too_many_are_refused() {
        assert!(pictures(1, 0, 8).is_err() && pictures(usize::MAX, 2, 2).is_err());
        assert_eq!(pictures(2, 3, 4).unwrap().rows(), 24);
    }

    #[test]
    fn rows_that_are_no_batch_are_refused() {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[7, 4], DType::F32);
        let y = g.input("y", &[2, 4], DType::F32);
        assert!(g.broadcast(Binary::Add, 2, x, y).unwrap_err().to_string().contains("no batch of 2"));
        assert!(g.attention_between(1, 1, 1, 4, 0.5, Mask::CAUSAL, x, y, y).is_err());
        assert!(g.attention_between(1, 1, 1, 4, 0.5, Mask::FULL, x, y, y).is_ok());
    }
}
