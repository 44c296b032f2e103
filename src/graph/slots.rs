//! Several sequences in one step, each with a slot of the caches to itself: where their rows stand, and copies of slots.

use super::{DType, GraphBuilder, Keys, Op, Places, StateId, ValueId};
use crate::{Error, Result};

/// The most slots that caches are cut into.
pub const MOST_SLOTS: usize = 64;

impl GraphBuilder {
    /// From here on the step's `rows` rows stand where the input `places` `[rows, 2]` U32 says, each in a slot of the caches and at a
    /// position there, and not one after another from the step's position on. Caches are `[slots · capacity, n]` then.
    pub fn place_rows(&mut self, rows: usize, slots: usize) -> Result<ValueId> {
        let minds = |op: &Op| match op {
            Op::Rope(_) | Op::AddPositions { .. } | Op::CacheWrite { .. } | Op::CausalConv { cached: true, .. } => true,
            Op::Attention(of) | Op::AttentionWeights(of) => of.mask.keys == Keys::Cache,
            _ => false,
        };
        if rows == 0 || !(1..=MOST_SLOTS).contains(&slots) {
            let why = format!("{rows} rows in {slots} slots: there is at least one row, and 1 to {MOST_SLOTS} slots");
            return Err(Error::invalid_graph(why));
        }
        if self.graph.places.is_some() || self.graph.nodes.iter().any(|node| minds(&node.op)) {
            return Err(Error::invalid_graph("rows are placed once, before anything that minds where they stand"));
        }
        let value = self.input("places", &[rows, 2], DType::U32);
        self.graph.places = Some(Places { value, slots });
        Ok(value)
    }

    /// Every slot of a cache `[slots · capacity, n]` becomes what another was: `copies` `[slots, 2]` U32 name its source, and how many rows
    /// from the first on. The value stands for the cache as it is afterwards.
    pub fn copy_slots(&mut self, cache: StateId, copies: ValueId) -> Result<ValueId> {
        let op = Op::CopySlots { cache };
        let shape = self.graph.state(cache).shape.clone();
        let &[slots, 2] = self.shape(copies) else {
            return Err(self.misfit(&op, &[copies], "expected copies [slots, 2] U32"));
        };
        let fits =
            (1..=MOST_SLOTS).contains(&slots) && shape.len() == 2 && shape[0] > 0 && shape[0].is_multiple_of(slots);
        if !fits || self.graph.node(copies).dtype != DType::U32 {
            return Err(self.misfit(&op, &[copies], &format!("the cache is {shape:?}, of 1 to {MOST_SLOTS} slots")));
        }
        Ok(self.push(op, &[copies], shape, DType::F32))
    }

    /// How many slots caches have.
    pub(super) fn slots(&self) -> usize {
        self.graph.places.map_or(1, |places| places.slots)
    }

    /// Refuses rows that are not those which were placed.
    pub(super) fn placed(&self, op: &Op, rows: usize, inputs: &[ValueId]) -> Result<()> {
        match self.graph.places {
            Some(Places { value, .. }) if self.shape(value)[0] != rows => {
                Err(self.misfit(op, inputs, &format!("{} rows were placed", self.shape(value)[0])))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Rope, RopeLayout};

    #[test]
    fn rows_are_placed_once_and_all_of_them() {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[3, 8], DType::F32);
        assert!(g.place_rows(3, 0).is_err() && g.place_rows(0, 3).is_err() && g.place_rows(3, 65).is_err());
        g.place_rows(3, 2).unwrap();
        assert!(g.place_rows(3, 2).unwrap_err().to_string().contains("once"));
        let y = g.input("y", &[4, 8], DType::F32);
        let rope = |g: &mut GraphBuilder, x| g.rope(Rope::plain(1, 8, 1e4, RopeLayout::HalfSplit), x);
        assert!(rope(&mut g, x).is_ok());
        assert!(rope(&mut g, y).unwrap_err().to_string().contains("3 rows were placed"));
        let odd = g.state("odd", &[7, 8], DType::F32).unwrap();
        assert!(g.cache_write(odd, x).unwrap_err().to_string().contains("2 slots"));
        let copies = g.input("copies", &[3, 2], DType::U32);
        assert!(g.copy_slots(odd, copies).unwrap_err().to_string().contains("[7, 8]"));
    }
}
