//! Copies of states, beside them on the device.

use super::{buffer::Buffer, resident::Resident, staging::Staging};
use crate::Result;

/// The first words of some states, as they were.
pub struct Snapshot {
    copies: Vec<(String, usize, Buffer)>,
}

impl Snapshot {
    pub fn bytes(&self) -> u64 {
        self.copies.iter().map(|(.., copy)| copy.bytes()).sum()
    }
}

impl Resident {
    pub async fn snapshot(&self, states: &[(String, usize)]) -> Result<Snapshot> {
        let watch = self.model.context.watch();
        let made = self.copy(states);
        watch.check().await?;
        made
    }

    fn copy(&self, states: &[(String, usize)]) -> Result<Snapshot> {
        let context = &self.model.context;
        let mut encoder = context.device().create_command_encoder(&Default::default());
        let mut copies = Vec::with_capacity(states.len());
        for (name, words) in states {
            let bytes = 4 * *words as u64;
            let copy = context.storage("snapshot", bytes)?;
            encoder.copy_buffer_to_buffer(self.model.known_state(name)?.1.raw(), 0, copy.raw(), 0, bytes);
            copies.push((name.clone(), *words, copy));
        }
        context.queue().submit([encoder.finish()]);
        Ok(Snapshot { copies })
    }

    pub fn bring_back(&self, snapshot: &Snapshot, states: &[(String, usize)]) -> Result<()> {
        let context = &self.model.context;
        context.alive()?;
        let mut encoder = context.device().create_command_encoder(&Default::default());
        for ((name, known, copy), (_, words)) in snapshot.copies.iter().zip(states) {
            let words = *known.min(words);
            let (spec, state) = self.model.known_state(name)?;
            encoder.copy_buffer_to_buffer(copy.raw(), 0, state.raw(), 0, 4 * words as u64);
            self.model.written.note_words(&spec, words);
        }
        context.queue().submit([encoder.finish()]);
        Ok(())
    }

    pub async fn read(&self, snapshot: &Snapshot, wanted: &[(String, usize)]) -> Result<Vec<Vec<u32>>> {
        let context = &self.model.context;
        context.alive()?;
        let (pool, mut states) = (Staging::default(), vec![]);
        for ((_, known, copy), (_, words)) in snapshot.copies.iter().zip(wanted) {
            let words = *known.min(words);
            let staging = pool.take(context, copy.bytes())?;
            let mut encoder = context.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(copy.raw(), 0, staging.raw(), 0, 4 * words as u64);
            let submission = context.queue().submit([encoder.finish()]);
            states.extend(pool.read(context, staging, vec![words], submission).await?);
        }
        Ok(states)
    }
}
