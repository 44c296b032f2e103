//! Copies of states.

use std::sync::{Arc, atomic::Ordering};

use super::resident::{Resident, Shared};
use crate::{Error, Result};

/// The first words of some states, as they were.
pub struct Snapshot {
    shared: Arc<Shared>,
    copies: Vec<(String, Vec<u32>)>,
}

impl Snapshot {
    pub fn bytes(&self) -> u64 {
        self.copies.iter().map(|(_, words)| 4 * words.len() as u64).sum()
    }

    pub fn read(&self, states: &[(String, usize)]) -> Vec<Vec<u32>> {
        let first =
            |((_, copy), (_, words)): (&(String, Vec<u32>), &(String, usize))| copy[..copy.len().min(*words)].to_vec();
        self.copies.iter().zip(states).map(first).collect()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.snapshot_bytes.fetch_sub(self.bytes() as usize, Ordering::Relaxed);
    }
}

impl Resident {
    pub fn snapshot(&self, states: &[(String, usize)]) -> Result<Snapshot> {
        let mut copies = Vec::with_capacity(states.len());
        for (name, words) in states {
            let mut copy = vec![];
            copy.try_reserve_exact(*words).map_err(|e| {
                Error::out_of_memory(format!("no room for a copy of {words} words of {name}")).caused_by(e)
            })?;
            self.with_state(name, |state| {
                let there = state.written();
                copy.extend_from_slice(bytemuck::cast_slice(&there[..there.len().min(*words)]));
            })?;
            copy.resize(*words, 0);
            copies.push((name.clone(), copy));
        }
        let snapshot = Snapshot { shared: self.0.clone(), copies };
        self.0.snapshot_bytes.fetch_add(snapshot.bytes() as usize, Ordering::Relaxed);
        Ok(snapshot)
    }

    pub fn bring_back(&self, snapshot: &Snapshot, states: &[(String, usize)]) -> Result<()> {
        for ((name, copy), (_, words)) in snapshot.copies.iter().zip(states) {
            self.write_state(name, &copy[..copy.len().min(*words)])?;
        }
        Ok(())
    }
}
