//! Decides which scratch stores may share memory: those that are never alive at the same stage.

use super::program::{Kind, Program};

/// For each store of a program the slot it lies in (`None` for inputs and states, which have buffers of their own), and the
/// size in words of each slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    pub of: Vec<Option<usize>>,
    pub words: Vec<usize>,
}

/// A slot is a buffer of its own: WebGPU does not let one dispatch read and write one buffer, even in different places.
pub fn place(program: &Program) -> Slots {
    let stages = program.stages.len();
    let mut last = vec![0; program.stores.len()];
    for (i, stage) in program.stages.iter().enumerate() {
        let (reads, writes) = stage.work.touches();
        for store in reads.into_iter().chain(writes) {
            last[store] = i;
        }
    }
    let mut slots = Slots { of: vec![None; program.stores.len()], words: vec![] };
    let mut free: Vec<usize> = vec![];
    let mut dying: Vec<Vec<usize>> = vec![vec![]; stages];
    for (i, stage) in program.stages.iter().enumerate() {
        for store in stage.work.touches().1 {
            let spec = &program.stores[store];
            if slots.of[store].is_some() || !matches!(spec.kind, Kind::Scratch | Kind::Kept) {
                continue;
            }
            // The smallest that fits, or the largest, which then grows.
            let best = (spec.kind == Kind::Scratch)
                .then(|| {
                    let fits = free.iter().copied().filter(|s| slots.words[*s] >= spec.words);
                    fits.min_by_key(|s| slots.words[*s]).or(free.iter().copied().max_by_key(|s| slots.words[*s]))
                })
                .flatten();
            let slot = match best {
                Some(slot) => {
                    free.retain(|s| *s != slot);
                    slots.words[slot] = slots.words[slot].max(spec.words);
                    slot
                }
                None => {
                    slots.words.push(spec.words);
                    slots.words.len() - 1
                }
            };
            slots.of[store] = Some(slot);
            if spec.kind == Kind::Scratch {
                dying[last[store]].push(slot);
            }
        }
        // Freed only after the stage: it may not write what it reads.
        free.append(&mut dying[i]);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::{
        program::{Bound, Call, Stage, Store, Work},
        wgsl::{Kernel, Variant},
    };

    fn chain(kinds: &[Kind], words: &[usize]) -> Program {
        let stores = kinds.iter().zip(words).map(|(kind, words)| Store { words: *words, kind: kind.clone() }).collect();
        let copy = |from: usize, to: usize| {
            let bound = vec![(0, Bound::Read(from)), (1, Bound::Write(to))];
            Call::new(Kernel { name: "copy", source: "" }, Variant::default(), bound, [1, 1, 1])
        };
        let stages =
            (1..kinds.len()).map(|i| Stage { work: Work::Call(copy(i - 1, i)), label: String::new() }).collect();
        Program { stages, stores, ..Program::default() }
    }

    #[test]
    fn a_chain_of_any_length_needs_two_slots() {
        let mut kinds = vec![Kind::Input("x".into())];
        kinds.extend(vec![Kind::Scratch; 9]);
        let slots = place(&chain(&kinds, &[4; 10]));
        assert_eq!(slots.words, [4, 4]);
        assert_eq!(slots.of[0], None);
    }

    #[test]
    fn an_output_shares_its_memory_with_nobody() {
        let kinds = [Kind::Input("x".into()), Kind::Scratch, Kind::Scratch, Kind::Kept, Kind::Scratch, Kind::Scratch];
        let slots = place(&chain(&kinds, &[4, 8, 4, 2, 4, 16]));
        let kept = slots.of[3];
        assert!(slots.of.iter().enumerate().all(|(i, slot)| i == 3 || *slot != kept));
    }

    #[test]
    fn what_a_stage_reads_it_never_writes() {
        let mut kinds = vec![Kind::Input("x".into())];
        kinds.extend(vec![Kind::Scratch; 6]);
        let program = chain(&kinds, &[4, 16, 8, 32, 4, 64, 4]);
        let slots = place(&program);
        for stage in &program.stages {
            let (reads, writes) = stage.work.touches();
            assert!(
                reads.iter().all(|r| writes.iter().all(|w| slots.of[*r] != slots.of[*w] || slots.of[*r].is_none()))
            );
        }
    }
}
