//! What an image model keeps between calls: its weights on the device and its compiled plans.

use std::collections::HashMap;

use crate::{
    Error, Result,
    backend::{Pending, Plan, Resident, StepCost},
    cancel::Cancel,
    graph::StepParams,
    models::Illustrator,
    yielding::Turns,
};

/// The graphs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    Text,
    Denoise,
    Decode,
    Encode,
}

/// A number of a plan's input or output as its 32 bits.
pub fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn floats(words: Vec<u32>) -> Vec<f32> {
    words.into_iter().map(f32::from_bits).collect()
}

pub struct Session {
    pub illustrator: Illustrator,
    resident: Resident,
    plans: HashMap<(Work, usize), Plan>,
    turns: Turns,
}

impl Session {
    pub fn new(illustrator: Illustrator, resident: Resident) -> Self {
        Self { illustrator, resident, plans: HashMap::new(), turns: Turns::default() }
    }

    pub fn device_bytes(&self) -> u64 {
        self.resident.bytes()
    }

    /// The plan of a graph for `batch` pictures, compiled when it is first asked for.
    pub async fn plan(&mut self, work: Work, batch: usize) -> Result<&mut Plan> {
        if !self.plans.contains_key(&(work, batch)) {
            let graph = match work {
                Work::Text => self.illustrator.text(batch)?,
                Work::Denoise => self.illustrator.denoiser(batch)?,
                Work::Decode => self.illustrator.decoder(batch)?,
                Work::Encode => self.illustrator.encoder(batch)?,
            };
            let plan = self.resident.compile(&graph).await?;
            self.plans.insert((work, batch), plan);
        }
        self.plans.get_mut(&(work, batch)).ok_or_else(|| Error::internal("a plan that was just made is gone"))
    }

    pub async fn cost(&mut self, work: Work, batch: usize) -> Result<StepCost> {
        Ok(self.plan(work, batch).await?.cost())
    }

    /// Runs a graph once: writes its inputs and waits for its one output.
    pub async fn run(
        &mut self,
        work: Work,
        batch: usize,
        inputs: &[(&str, &[u32])],
        output: &str,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        cancel.check()?;
        let plan = self.plan(work, batch).await?;
        for (name, words) in inputs {
            plan.write_input(name, words)?;
        }
        let pending: Pending = plan.step(&StepParams::default(), &[output])?;
        let outputs = cancel.race(pending).await?;
        self.turns.give_way().await;
        cancel.check()?;
        outputs.into_iter().next().map(floats).ok_or_else(|| Error::internal(format!("{output} did not come")))
    }
}
