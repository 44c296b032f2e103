//! The builder's operations on states and sequences.

use super::{Cell, DType, GraphBuilder, Op, Pooling, StateId, ValueId, WeightId};
use crate::Result;

impl GraphBuilder {
    /// A state as it is when the step comes here: `[rows, n]`.
    pub fn read_state(&mut self, state: StateId) -> Result<ValueId> {
        let op = Op::ReadState { state };
        let spec = self.graph.state(state);
        if spec.shape.len() != 2 || spec.dtype != DType::F32 {
            let why = format!("{} is {:?} {}, and [rows, columns] F32 is read", spec.name, spec.shape, spec.dtype);
            return Err(self.misfit(&op, &[], &why));
        }
        let shape = spec.shape.clone();
        Ok(self.push(op, &[], shape, DType::F32))
    }

    /// `[rows, n]` into a state of the same shape.
    pub fn write_state(&mut self, state: StateId, x: ValueId) -> Result<ValueId> {
        let op = Op::WriteState { state };
        let (rows, n) = self.rows(&op, x)?;
        let spec = self.graph.state(state);
        if spec.shape != [rows, n] || spec.dtype != DType::F32 {
            let why = format!("{} is {:?} {}", spec.name, spec.shape, spec.dtype);
            return Err(self.misfit(&op, &[x], &why));
        }
        Ok(self.push(op, &[x], vec![rows, n], DType::F32))
    }

    /// Projections `[batch · t, gates · n]` → the cell's state after each row, `[batch · t, n]`; weight `[gates · n, n]`, bias
    /// `[gates · n]`, `hidden` and, for an LSTM alone, `memory` `[batch, n]`: a row for each sequence.
    pub fn recurrent(
        &mut self,
        cell: Cell,
        (weight, bias): (WeightId, Option<WeightId>),
        (hidden, memory): (StateId, Option<StateId>),
        x: ValueId,
    ) -> Result<ValueId> {
        let op = Op::Recurrent { cell, weight, bias, hidden, memory };
        let batch = self.graph.state(hidden).shape.first().copied().unwrap_or(0);
        let (rows, wide) = self.members(&op, batch, x, &[x])?;
        let n = wide / cell.gates();
        if n == 0 || wide != n * cell.gates() {
            return Err(self.misfit(&op, &[x], &format!("expected rows of {} gates", cell.gates())));
        }
        if self.graph.weight(weight).shape != [wide, n] || bias.is_some_and(|b| self.graph.weight(b).shape != [wide]) {
            return Err(self.misfit(&op, &[x], &format!("expected a weight [{wide}, {n}] and a bias [{wide}]")));
        }
        if memory.is_some() != (cell == Cell::Lstm) || memory == Some(hidden) {
            return Err(self.misfit(&op, &[x], "an LSTM, and no other cell, has a memory beside its state"));
        }
        for state in [hidden].into_iter().chain(memory) {
            let spec = self.graph.state(state);
            if spec.shape != [batch, n] || spec.dtype != DType::F32 {
                let why =
                    format!("state {} is {:?} {}, expected [{batch}, {n}] F32", spec.name, spec.shape, spec.dtype);
                return Err(self.misfit(&op, &[x], &why));
            }
        }
        Ok(self.push(op, &[x], vec![rows, n], DType::F32))
    }

    /// x and steps `[t, n]`, and `[t, 2 · s]` of how each of a column's states is fed and read → `[t, n]`; weights `a` `[n · s]`, `skip` `[n]`, `state`
    /// `[n, s]`.
    pub fn selective_scan(
        &mut self,
        [a, skip]: [WeightId; 2],
        state: StateId,
        [x, steps, ends]: [ValueId; 3],
    ) -> Result<ValueId> {
        let op = Op::SelectiveScan { a, skip, state };
        let inputs = [x, steps, ends];
        let (t, n) = self.rows(&op, x)?;
        let spec = self.graph.state(state);
        let &[columns, s] = spec.shape.as_slice() else {
            return Err(self.misfit(&op, &inputs, &format!("state {} is {:?}", spec.name, spec.shape)));
        };
        if columns != n || s == 0 || spec.dtype != DType::F32 {
            let why = format!("state {} is {:?} {}, expected [{n}, s] F32", spec.name, spec.shape, spec.dtype);
            return Err(self.misfit(&op, &inputs, &why));
        }
        if self.shape(steps) != [t, n] || self.shape(ends) != [t, 2 * s] {
            return Err(self.misfit(&op, &inputs, &format!("expected steps [{t}, {n}], and [{t}, {}]", 2 * s)));
        }
        if self.graph.weight(a).shape != [n * s] || self.graph.weight(skip).shape != [n] {
            return Err(self.misfit(&op, &inputs, &format!("expected weights [{}] and [{n}]", n * s)));
        }
        Ok(self.push(op, &inputs, vec![t, n], DType::F32))
    }

    /// r, w, k, v, a and b `[t, heads · n]` → `[t, heads · n]`; `state` `[heads · n, n]`.
    pub fn delta_rule(&mut self, state: StateId, inputs: [ValueId; 6]) -> Result<ValueId> {
        let op = Op::DeltaRule { state };
        let (t, columns) = self.rows(&op, inputs[0])?;
        if inputs.iter().any(|value| self.shape(*value) != [t, columns]) {
            return Err(self.misfit(&op, &inputs, "all six must have one shape"));
        }
        let spec = self.graph.state(state);
        match *spec.shape.as_slice() {
            [all, n] if all == columns && n > 0 && columns.is_multiple_of(n) && spec.dtype == DType::F32 => {
                Ok(self.push(op, &inputs, vec![t, columns], DType::F32))
            }
            _ => {
                let why =
                    format!("state {} is {:?} {}, expected [{columns}, n] F32", spec.name, spec.shape, spec.dtype);
                Err(self.misfit(&op, &inputs, &why))
            }
        }
    }

    /// `[t, n]` → the same, each row e^x over its sum.
    pub fn softmax(&mut self, x: ValueId) -> Result<ValueId> {
        let (t, n) = self.rows(&Op::Softmax, x)?;
        Ok(self.push(Op::Softmax, &[x], vec![t, n], DType::F32))
    }

    /// x `[batch · t, n]`, lengths `[batch]` U32 of 1 to `t` rows that count → `[batch, n]`.
    pub fn pool(&mut self, how: Pooling, x: ValueId, lengths: ValueId) -> Result<ValueId> {
        let batch = self.shape(lengths).first().copied().unwrap_or(0);
        let op = Op::Pool { how, batch };
        let inputs = [x, lengths];
        let (_, n) = self.members(&op, batch, x, &inputs)?;
        if self.shape(lengths) != [batch] || self.graph.node(lengths).dtype != DType::U32 {
            return Err(self.misfit(&op, &inputs, "expected lengths [batch] U32"));
        }
        Ok(self.push(op, &inputs, vec![batch, n], DType::F32))
    }

    /// Rows `first .. first + rows` of `[t, n]` → `[rows, n]`.
    pub fn slice_rows(&mut self, first: usize, rows: usize, x: ValueId) -> Result<ValueId> {
        let op = Op::Rows { first };
        let (t, n) = self.rows(&op, x)?;
        if rows == 0 || first.checked_add(rows).is_none_or(|end| end > t) {
            return Err(self.misfit(&op, &[x], &format!("no rows {first} to {first} + {rows}")));
        }
        Ok(self.push(op, &[x], vec![rows, n], DType::F32))
    }

    /// `[a, n]` above `[b, n]` → `[a + b, n]`.
    pub fn stack(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        let ((above, n), (below, other)) = (self.rows(&Op::Stack, a)?, self.rows(&Op::Stack, b)?);
        if n != other {
            return Err(self.misfit(&Op::Stack, &[a, b], "both must have as many columns"));
        }
        Ok(self.push(Op::Stack, &[a, b], vec![above + below, n], DType::F32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Counted;

    #[test]
    fn states_and_cells_of_other_sizes_are_refused_by_name() {
        let mut g = GraphBuilder::new("t");
        let weight = g.weight("rnn.weight_hh_l0", &[12, 4], DType::F32).unwrap();
        let gru = g.weight("rnn.weight_hh_l1", &[16, 4], DType::F32).unwrap();
        let hidden = g.state("h", &[1, 4], DType::F32).unwrap();
        let memory = g.state("c", &[1, 5], DType::F32).unwrap();
        let two = g.state("two", &[2, 16], DType::F32).unwrap();
        let x = g.input("x", &[3, 16], DType::F32);
        let refused = [
            g.recurrent(Cell::Lstm, (weight, None), (hidden, Some(memory)), x),
            g.recurrent(Cell::Lstm, (gru, None), (hidden, None), x),
            g.recurrent(Cell::Lstm, (gru, None), (hidden, Some(memory)), x),
            g.recurrent(Cell::Gru, (gru, None), (hidden, None), x),
            g.write_state(memory, x),
            g.recurrent(Cell::Tanh, (weight, None), (two, None), x),
        ];
        let parts =
            ["weight [16, 4]", "has a memory", "state c is [1, 5]", "rows of 3 gates", "c is [1, 5]", "no batch of 2"];
        for (refused, part) in refused.into_iter().zip(parts) {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
    }

    #[test]
    fn state_spaces_of_other_sizes_are_refused_by_name() {
        let mut g = GraphBuilder::new("t");
        let a = g.weight("blk.0.ssm_a", &[12], DType::F32).unwrap();
        let skip = g.weight("blk.0.ssm_d", &[4], DType::F32).unwrap();
        let [state, other] = [3, 2].map(|s| g.state(&format!("ssm.{s}"), &[4, s], DType::F32).unwrap());
        let [x, ends, few] = [4, 6, 5].map(|n| g.input("x", &[7, n], DType::F32));
        assert_eq!(g.selective_scan([a, skip], state, [x, x, ends]).map(|y| g.shape(y).to_vec()).unwrap(), [7, 4]);
        let refused = [
            (g.selective_scan([a, skip], state, [x, x, few]), "[7, 6]"),
            (g.selective_scan([a, skip], state, [ends, ends, ends]), "state ssm.3 is [4, 3]"),
            (g.selective_scan([a, skip], other, [x, x, x]), "expected weights [8] and [4]"),
        ];
        for (refused, part) in refused {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("blk.0.ssm_a [12]"), "{error:?} does not say {part:?}");
        }
        let heads = g.state("wkv", &[6, 3], DType::F32).unwrap();
        assert_eq!(g.delta_rule(heads, [ends; 6]).map(|y| g.shape(y).to_vec()).unwrap(), [7, 6]);
        for (inputs, part) in [([ends, ends, ends, ends, ends, x], "one shape"), ([x; 6], "state wkv is [6, 3]")] {
            let error = g.delta_rule(heads, inputs).unwrap_err().to_string();
            assert!(error.contains("delta_rule") && error.contains(part), "{error:?} does not say {part:?}");
        }
        let weight = g.weight("conv", &[16], DType::F32).unwrap();
        assert_eq!(g.causal_conv(weight, None, 4, x).map(|y| g.shape(y).to_vec()).unwrap(), [4, 4]);
        let short = g.slice_rows(0, 3, x).unwrap();
        assert!(g.causal_conv(weight, None, 4, short).unwrap_err().to_string().contains("3 rows before"));
    }

    #[test]
    fn lengths_that_are_none_and_rows_that_are_not_there_are_refused() {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[6, 4], DType::F32);
        let (lengths, four) = (g.input("lengths", &[3], DType::U32), g.input("four", &[4], DType::U32));
        g.pool(Pooling::Mean, x, lengths).unwrap();
        assert!(g.pool(Pooling::Mean, x, four).unwrap_err().to_string().contains("no batch of 4"));
        assert!(g.slice_rows(5, 2, x).unwrap_err().to_string().contains("no rows 5"));
        let graph = g.finish();
        assert_eq!(graph.counted("lengths"), Some(Counted::Rows(2)));
        assert_eq!(graph.counted("four"), None);
    }
}
