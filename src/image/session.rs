//! What an image model keeps between calls: its weights on the device and its compiled plans.

use std::{collections::HashMap, rc::Rc};

use super::{
    pipeline::{Pipeline, Work},
    tiles::{OVERLAP, SIDES, Tiles, may_fit_smaller},
};
use crate::{
    Error, ErrorCode, Result,
    backend::{Pending, Plan, Resident, StepCost},
    cancel::Cancel,
    graph::{Grid, StepParams},
    yielding::Turns,
};

/// Compiled plans that are kept: those of two sizes.
const MOST_PLANS: usize = 8;

/// A number of a plan's input or output as its 32 bits.
pub fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn floats(words: Vec<u32>) -> Vec<f32> {
    words.into_iter().map(f32::from_bits).collect()
}

pub struct Session {
    pipeline: Rc<Pipeline>,
    residents: Vec<(&'static [Work], Resident)>,
    plans: HashMap<(Work, Grid), Plan>,
    turns: Turns,
}

impl Session {
    pub fn new(pipeline: Rc<Pipeline>, residents: Vec<(&'static [Work], Resident)>) -> Self {
        Self { pipeline, residents, plans: HashMap::new(), turns: Turns::default() }
    }

    pub fn device_bytes(&self) -> u64 {
        self.residents.iter().map(|(_, resident)| resident.bytes()).sum()
    }

    /// The plan of a graph, compiled when it is first asked for: for `grid.batch` texts, for latents of `grid`, or for pictures of `grid`.
    pub async fn plan(&mut self, work: Work, grid: Grid) -> Result<&mut Plan> {
        if !self.plans.contains_key(&(work, grid)) {
            if self.plans.len() >= MOST_PLANS {
                self.plans.clear();
            }
            let pipeline = &self.pipeline;
            let graph = match work {
                Work::Text => pipeline.text.graph(grid.batch)?,
                Work::Denoise => {
                    pipeline.denoiser.graph(grid.batch, grid.height, grid.width, pipeline.text.length())?
                }
                Work::Decode => pipeline.codec.decoder(grid)?,
                Work::Encode => pipeline.codec.encoder(grid)?,
            };
            let resident = self.residents.iter().find(|(works, _)| works.contains(&work)).map(|(_, resident)| resident);
            let resident = resident.ok_or_else(|| Error::internal(format!("no weights were loaded for {work:?}")))?;
            let mut plan = resident.compile(&graph).await.map_err(|error| self.smaller(error, work, grid))?;
            let constants = match work {
                Work::Text => pipeline.text.constants(grid.batch),
                Work::Denoise => pipeline.denoiser.constants(grid.batch, grid.height, grid.width),
                Work::Decode | Work::Encode => vec![],
            };
            for (name, words) in constants {
                plan.write_input(name, &words)?;
            }
            self.plans.insert((work, grid), plan);
        }
        self.plans.get_mut(&(work, grid)).ok_or_else(|| Error::internal("a plan that was just made is gone"))
    }

    /// Says which size to try where one does not fit the device.
    fn smaller(&self, error: Error, work: Work, grid: Grid) -> Error {
        let (factor, multiple) = (self.pipeline.codec.factor(), self.pipeline.multiple());
        let scale = if work == Work::Encode { 1 } else { factor };
        let half = |side: usize| (side * scale / 2 / multiple * multiple).max(multiple);
        if error.code() != ErrorCode::OutOfMemory || work == Work::Text {
            return error;
        }
        let fewer = if grid.batch > 2 { ", or one picture at a time" } else { "" };
        Error::new(
            ErrorCode::OutOfMemory,
            format!(
                "{}×{} pixels do not fit this device ({error}); try {}×{}{fewer}",
                grid.width * scale,
                grid.height * scale,
                half(grid.width),
                half(grid.height)
            ),
        )
        .caused_by(error)
    }

    pub async fn cost(&mut self, work: Work, grid: Grid) -> Result<StepCost> {
        Ok(self.plan(work, grid).await?.cost())
    }

    /// Runs a graph once: writes its inputs and waits for one of its outputs.
    pub async fn run(
        &mut self,
        work: Work,
        grid: Grid,
        inputs: &[(&str, &[u32])],
        output: &str,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let outputs = self.run_for(work, grid, inputs, &[output], cancel).await?;
        outputs.into_iter().next().ok_or_else(|| Error::internal(format!("{output} did not come")))
    }

    /// The same for several outputs.
    pub async fn run_for(
        &mut self,
        work: Work,
        grid: Grid,
        inputs: &[(&str, &[u32])],
        outputs: &[&str],
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>> {
        cancel.check()?;
        let plan = self.plan(work, grid).await?;
        for (name, words) in inputs {
            plan.write_input(name, words)?;
        }
        let pending: Pending = plan.step(&StepParams::default(), outputs)?;
        let outputs = cancel.race(pending).await?;
        self.turns.give_way().await;
        cancel.check()?;
        Ok(outputs.into_iter().map(floats).collect())
    }

    /// The rows of one latent's picture `[pixels, 3]`; in tiles where the latent is large.
    pub async fn decode(&mut self, latent: &[f32], grid: Grid, cancel: &Cancel) -> Result<Vec<f32>> {
        match self.decode_by(SIDES[0], latent, grid, cancel).await {
            Err(error) if may_fit_smaller(&error, grid.height, grid.width) => {
                self.decode_by(SIDES[1], latent, grid, cancel).await
            }
            decoded => decoded,
        }
    }

    /// The same in tiles of `side`.
    async fn decode_by(&mut self, side: usize, latent: &[f32], grid: Grid, cancel: &Cancel) -> Result<Vec<f32>> {
        if grid.height.max(grid.width) <= side {
            return self.run(Work::Decode, grid, &[("latent", &words(latent))], "picture", cancel).await;
        }
        let tiles = Tiles::new(grid.height, grid.width, side, OVERLAP)?;
        let channels = self.pipeline.channels();
        let plan = self.plan(Work::Decode, tiles.tile()).await?;
        tiles.decode(plan, latent, channels, &mut |_, _| (), cancel).await
    }
}
