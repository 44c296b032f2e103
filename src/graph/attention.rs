//! The builder's operations on queries, keys and values.

use super::{Attention, DType, GraphBuilder, Keys, Mask, Op, StateId, ValueId};
use crate::Result;

impl Attention {
    /// Without softcap, bias and lengths.
    pub fn plain(heads: usize, kv_heads: usize, head_dim: usize, scale: f32, mask: Mask, batch: usize) -> Self {
        Self { heads, kv_heads, head_dim, scale, softcap: None, mask, batch, bias: None, lengths: false }
    }
}

impl GraphBuilder {
    /// q `[batch · t, heads · head_dim]`, k and v `[batch · keys, kv_heads · head_dim]` → `[batch · t, heads · head_dim]`. A `bias`
    /// `[distances, heads]` comes with its row for a key at the query's own place, `lengths` are `[batch]` U32; `of` need not say so.
    pub fn attend(
        &mut self,
        of: Attention,
        [q, k, v]: [ValueId; 3],
        bias: Option<(ValueId, usize)>,
        lengths: Option<ValueId>,
    ) -> Result<ValueId> {
        let of = Attention { bias: bias.map(|(_, zero)| zero), lengths: lengths.is_some(), ..of };
        let op = Op::Attention(of);
        let inputs: Vec<_> = [q, k, v].into_iter().chain(bias.map(|(bias, _)| bias)).chain(lengths).collect();
        let (rows, _) = self.seen(&op, &of, &inputs, k, bias, lengths)?;
        if self.shape(k) != self.shape(v) {
            return Err(self.misfit(&op, &inputs, &of.expected()));
        }
        Ok(self.push(op, &inputs, vec![rows, of.heads * of.head_dim], DType::F32))
    }

    /// How much each row of such an attention takes from each key → `[batch · heads · t, keys]`, `keys` being all that a cache holds where
    /// the keys are one.
    pub fn attention_weights(
        &mut self,
        of: Attention,
        [q, k]: [ValueId; 2],
        bias: Option<(ValueId, usize)>,
        lengths: Option<ValueId>,
    ) -> Result<ValueId> {
        let of = Attention { bias: bias.map(|(_, zero)| zero), lengths: lengths.is_some(), ..of };
        let op = Op::AttentionWeights(of);
        let inputs: Vec<_> = [q, k].into_iter().chain(bias.map(|(bias, _)| bias)).chain(lengths).collect();
        let (rows, keys) = self.seen(&op, &of, &inputs, k, bias, lengths)?;
        Ok(self.push(op, &inputs, vec![rows * of.heads, keys / of.batch], DType::F32))
    }

    /// A state that an earlier step wrote, as an attention's keys or values.
    pub fn stored(&mut self, state: StateId) -> Result<ValueId> {
        let op = Op::Stored { state };
        let spec = self.graph.state(state);
        if spec.shape.len() != 2 || spec.dtype != DType::F32 {
            let why = format!("{} is {:?} {}, and keys are [rows, columns] F32", spec.name, spec.shape, spec.dtype);
            return Err(self.misfit(&op, &[], &why));
        }
        let shape = spec.shape.clone();
        Ok(self.push(op, &[], shape, DType::F32))
    }

    /// Whole numbers that never change, `[n]` U32: ids, say, of rows of a table.
    pub fn ids(&mut self, ids: &[u32]) -> ValueId {
        self.push(Op::Constant { words: ids.into() }, &[], vec![ids.len()], DType::U32)
    }

    /// Numbers that never change, `[rows, n]`.
    pub fn constant(&mut self, rows: usize, values: &[f32]) -> Result<ValueId> {
        let op = Op::Constant { words: values.iter().map(|v| v.to_bits()).collect() };
        if rows == 0 || values.is_empty() || !values.len().is_multiple_of(rows) {
            return Err(self.misfit(&op, &[], &format!("{} numbers are no {rows} rows", values.len())));
        }
        Ok(self.push(op, &[], vec![rows, values.len() / rows], DType::F32))
    }

    /// Rows of queries and of keys, where all that an attention reads fits.
    fn seen(
        &self,
        op: &Op,
        of: &Attention,
        inputs: &[ValueId],
        k: ValueId,
        bias: Option<(ValueId, usize)>,
        lengths: Option<ValueId>,
    ) -> Result<(usize, usize)> {
        let Attention { heads, kv_heads, head_dim, batch, .. } = *of;
        let refuse = |why: &str| Err(self.misfit(op, inputs, why));
        if of.softcap.is_some_and(|cap| !(cap.is_finite() && cap > 0.0)) {
            return refuse("scores can be kept below a positive number alone");
        }
        if of.mask.window == Some(0) {
            return refuse("a window must hold the row itself");
        }
        match of.mask.keys {
            Keys::Cache if !of.mask.causal => return refuse("of a cache a row sees nothing after itself"),
            Keys::Memory if of.mask != Mask::MEMORY => {
                return refuse("keys that were stored have no places, and so neither a before and after nor a window");
            }
            _ => {}
        }
        let ((rows, n), (keys, kv)) =
            (self.members(op, batch, inputs[0], inputs)?, self.members(op, batch, k, inputs)?);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return refuse(&format!("{heads} heads cannot share {kv_heads} key heads"));
        }
        if n != heads * head_dim || kv != kv_heads * head_dim {
            return refuse(&of.expected());
        }
        let state = matches!(self.graph.node(k).op, Op::CacheWrite { .. } | Op::CopySlots { .. } | Op::Stored { .. });
        let keys = if of.mask.keys == Keys::Cache {
            self.placed(op, rows, inputs)?;
            keys / self.slots()
        } else {
            keys
        };
        if of.mask.is_cached() && (batch != 1 || !state) {
            return refuse("keys and values are no caches, or those of a batch");
        }
        if of.mask.keys == Keys::Values && of.mask.causal && keys != rows {
            return refuse("a causal mask wants as many keys as queries");
        }
        if let Some((bias, zero)) = bias {
            // The earliest key of the last query, and the latest of the first.
            let window = of.mask.window.unwrap_or(usize::MAX);
            let before = match of.mask.keys {
                Keys::Values => window.min(rows / batch) - 1,
                Keys::Cache => window.min(keys) - 1,
                Keys::Memory => return refuse("keys that were stored have no distance from a query"),
            };
            let after = if of.mask.causal { 0 } else { window.min(keys / batch) - 1 };
            match *self.shape(bias) {
                [distances, its] if its == heads && zero >= before && distances > zero + after => {}
                _ => {
                    let why = format!(
                        "the bias must hold {before} rows before row {zero} and {after} after it, each of {heads} heads"
                    );
                    return refuse(&why);
                }
            }
        }
        if let Some(lengths) = lengths {
            if of.mask.is_cached() {
                return refuse("lengths are those of a batch's keys, and these are states");
            }
            if self.shape(lengths) != [batch] || self.graph.node(lengths).dtype != DType::U32 {
                return refuse("expected lengths [batch] U32");
            }
        }
        Ok((rows, keys))
    }
}

impl Attention {
    fn expected(&self) -> String {
        let Self { heads, kv_heads, head_dim, .. } = self;
        format!("expected {heads} query heads and {kv_heads} key and value heads of {head_dim}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Counted;

    #[test]
    fn a_bias_that_is_too_short_is_refused_with_what_it_must_hold() {
        let mut g = GraphBuilder::new("t");
        let [q, k] = ["q", "k"].map(|name| g.input(name, &[6, 8], DType::F32));
        let of = Attention::plain(2, 2, 4, 1.0, Mask::FULL, 2);
        let bias = g.input("bias", &[5, 2], DType::F32);
        g.attend(of, [q, k, k], Some((bias, 2)), None).unwrap();
        for (zero, mask) in [(1, Mask::FULL), (3, Mask::FULL), (1, Mask::CAUSAL)] {
            let error = g.attend(Attention { mask, ..of }, [q, k, k], Some((bias, zero)), None).unwrap_err();
            assert!(error.to_string().contains("the bias must hold 2 rows before"), "{error}");
        }
        let lengths = g.input("lengths", &[2], DType::U32);
        let weights = g.attention_weights(of, [q, k], None, Some(lengths)).unwrap();
        assert_eq!(g.shape(weights), [12, 3]);
        assert_eq!(g.finish().counted("lengths"), Some(Counted::Rows(3)));
    }

    #[test]
    fn what_is_no_state_is_refused_as_a_cache() {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[6, 8], DType::F32);
        for mask in [Mask::CACHED, Mask::MEMORY] {
            let error = g.attend(Attention::plain(2, 2, 4, 1.0, mask, 1), [x, x, x], None, None).unwrap_err();
            assert!(error.to_string().contains("no caches"), "{error}");
        }
        let strange = [
            (Mask { causal: false, ..Mask::CACHED }, "nothing after itself"),
            (Mask::MEMORY.within(Some(4)), "no places"),
            (Mask::FULL.within(Some(0)), "must hold the row itself"),
        ];
        for (mask, part) in strange {
            let error = g.attend(Attention::plain(2, 2, 4, 1.0, mask, 1), [x, x, x], None, None).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
