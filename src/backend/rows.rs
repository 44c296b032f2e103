//! Which rows of a model's states somebody has written, and which of them a step reads. What nobody wrote is zeros, which a recurrent
//! network begins with; an attention that sees them would be wrong without a word, and is refused.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    Error, Result,
    graph::{Counted, Graph, Op, StateSpec, StepParams},
};

/// The rows of each slot of each state, from the first on, that were written. Plans of a model share it.
#[derive(Default)]
pub struct Written(Mutex<Slots>);

type Slots = HashMap<String, Vec<usize>>;

impl Written {
    /// The caller wrote so many words of a state, from its start on.
    pub fn note_words(&self, spec: &StateSpec, words: usize) {
        let columns = spec.shape.iter().skip(1).product::<usize>().max(1);
        note(slots_of(&mut self.lock(), &spec.name), 0, words / columns);
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of a state.
fn slots_of<'a>(all: &'a mut Slots, name: &str) -> &'a mut Vec<usize> {
    all.entry(name.to_string()).or_default()
}

/// Rows of a slot were written.
fn note(slots: &mut Vec<usize>, slot: usize, rows: usize) {
    if slots.len() <= slot {
        slots.resize(slot + 1, 0);
    }
    slots[slot] = slots[slot].max(rows);
}

/// What the steps of a plan read of states and write to them, and what the caller's inputs say of that.
pub struct Uses {
    /// States that are read as stored keys.
    stored: Vec<String>,
    /// Caches, and rows from the step's position on, of at most so many.
    cached: Vec<(String, usize, usize)>,
    /// Whole states.
    whole: Vec<(String, usize)>,
    /// Caches whose slots are copied.
    copied: Vec<String>,
    counted: HashMap<String, Counted>,
    /// The input that places rows, or copies slots, as the caller wrote it last.
    places: Option<Vec<u32>>,
    copies: Vec<u32>,
}

impl Uses {
    pub fn of(graph: &Graph) -> Self {
        let counted = graph.inputs().filter_map(|(name, _)| Some((name.to_string(), graph.counted(name)?))).collect();
        let places = graph.places.map(|places| vec![0; 2 * graph.node(places.value).shape[0]]);
        let (stored, cached, whole, copied) = Default::default();
        let mut uses = Self { stored, cached, whole, copied, counted, places, copies: vec![] };
        for node in &graph.nodes {
            let rows = |state| graph.state(state).shape.first().copied().unwrap_or(0);
            let name = |state| graph.state(state).name.clone();
            match &node.op {
                Op::Stored { state } => uses.stored.push(name(*state)),
                Op::CacheWrite { cache } => {
                    uses.cached.push((name(*cache), graph.node(node.inputs[0]).shape[0], rows(*cache)));
                }
                Op::WriteState { state } => uses.whole.push((name(*state), rows(*state))),
                Op::CopySlots { cache } => uses.copied.push(name(*cache)),
                _ => {}
            }
        }
        uses
    }

    /// The caller writes an input.
    ///
    /// Errors: `bad-argument` where it counts what is not there.
    pub fn write(&mut self, input: &str, words: &[u32]) -> Result<()> {
        let lie = |why: String| Err(Error::bad_argument(format!("{input}: {why}")));
        match self.counted.get(input) {
            None => {}
            Some(Counted::Rows(most)) => {
                if let Some((member, n)) = words.iter().enumerate().find(|(_, n)| !(1..=*most).contains(n)) {
                    return lie(format!("member {member} counts {n} rows, and there are 1 to {most}"));
                }
            }
            Some(Counted::Places { slots, capacity }) => {
                for (r, place) in words.as_chunks::<2>().0.iter().enumerate() {
                    let [slot, position] = place;
                    if slot >= slots || position >= capacity {
                        let why = format!("row {r} stands in slot {slot} at {position}");
                        return lie(format!("{why}, and there are {slots} slots of {capacity} rows"));
                    }
                }
                self.places = Some(words.to_vec());
            }
            Some(Counted::Copies { slots, capacity }) => {
                for (slot, copy) in words.as_chunks::<2>().0.iter().enumerate() {
                    let [source, rows] = copy;
                    if source >= slots || rows > capacity {
                        let why = format!("slot {slot} becomes {rows} rows of slot {source}");
                        return lie(format!("{why}, and there are {slots} slots of {capacity} rows"));
                    }
                }
                self.copies = words.to_vec();
            }
        }
        Ok(())
    }

    /// Notes what a step writes; nothing of one that is refused.
    ///
    /// Errors: `bad-argument` where it would see rows that nobody wrote.
    pub fn begin(&self, written: &Written, params: &StepParams) -> Result<()> {
        let mut all = written.lock();
        let wanted = params.memory as usize;
        for name in &self.stored {
            let rows = slots_of(&mut all, name).first().copied().unwrap_or(0);
            if !(1..=rows).contains(&wanted) {
                let why = format!("{wanted} stored keys are to be seen, and {name} holds {rows}");
                return Err(Error::bad_argument(format!("{why}; run what stores them first")));
            }
        }
        if self.places.is_some() || !self.copied.is_empty() {
            let mut after = all.clone();
            self.follow_slots(&mut after)?;
            *all = after;
        }
        if self.places.is_none() {
            for (name, rows, capacity) in &self.cached {
                let end = (params.position as usize).saturating_add(*rows).min(*capacity);
                note(slots_of(&mut all, name), 0, end);
            }
        }
        self.whole.iter().for_each(|(name, rows)| note(slots_of(&mut all, name), 0, *rows));
        Ok(())
    }

    /// Copies of slots, then rows that were placed.
    fn follow_slots(&self, all: &mut Slots) -> Result<()> {
        for name in &self.copied {
            let slots = slots_of(all, name);
            let before = slots.clone();
            for (slot, copy) in self.copies.as_chunks::<2>().0.iter().enumerate() {
                let [source, rows] = copy.map(|n| n as usize);
                if source != slot {
                    note(slots, slot, 0);
                    slots[slot] = rows.min(before.get(source).copied().unwrap_or(0));
                }
            }
        }
        for (name, ..) in &self.cached {
            let slots = slots_of(all, name);
            for (r, place) in self.places.as_deref().unwrap_or_default().as_chunks::<2>().0.iter().enumerate() {
                let [slot, position] = place.map(|n| n as usize);
                let there = slots.get(slot).copied().unwrap_or(0);
                if position > there {
                    let why =
                        format!("row {r} goes on at {position} in slot {slot} of {name}, which holds {there} rows");
                    return Err(Error::bad_argument(format!("{why}; write or copy those before it first")));
                }
                note(slots, slot, position + 1);
            }
        }
        Ok(())
    }
}
