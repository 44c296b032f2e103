//! A graph as a list of steps over buffers.
//!
//! What [`fusion`](crate::backend::fusion) puts together is one step. An operation that can works in place where its input is needed no
//! longer; rows that several products read are rounded once. Two kinds of graphs, two ways to run them:
//!
//! - A graph with states (a language model's) runs to its end before [`Plan::step`] returns, since whatever follows may read the
//!   states. Its buffers stay; values that are never needed together share one.
//! - A graph without (a picture's) is a function of its inputs, and its step may take seconds. It is computed while its
//!   [`Pending`] is polled, and gives way to other tasks every few milliseconds. A value takes memory from the operation that makes it
//!   to the last that reads it, and nothing is kept between steps. Dropping the `Pending` ends the work.

use std::sync::Arc;

use futures_util::lock::{Mutex, MutexGuard};
use web_time::Instant;

use super::{
    compile::{Compiler, Place},
    resident::{Resident, State, zeros},
    run::{Places, Program, Room},
};
use crate::{
    Error, Result,
    backend::{Pending, StepCost, profile::Timing, rows::Uses},
    graph::{Graph, StepParams, ValueId},
    yielding::Turns,
};

/// A compiled graph.
pub struct Plan {
    program: Arc<Program>,
    room: Arc<Mutex<Room>>,
    /// What the caller wrote to each input; the steps that it starts have copies.
    written: Vec<Vec<f32>>,
    uses: Uses,
    /// Without states: see above.
    pure: bool,
}

impl Plan {
    pub fn compile(resident: &Resident, graph: &Graph) -> Result<Self> {
        let shared = resident.0.clone();
        let mut compiler = Compiler::new(&shared, graph)?;
        let (mut made, mut done) = (vec![vec![]], vec![vec![]]);
        for i in 0..graph.nodes.len() {
            compiler.node(i)?;
            let steps = compiler.steps.len();
            made.resize_with(steps.max(1), Vec::new);
            done.resize_with(steps.max(1), Vec::new);
            if let (Some(made), Some(Place::Buffer(b))) = (made.last_mut(), compiler.places[i]) {
                made.push(b);
            }
            if let Some(done) = done.last_mut() {
                done.append(&mut compiler.released);
            }
        }
        let Compiler { weights, states, steps, sizes, ropes, places, .. } = compiler;
        let len = |v: ValueId| graph.node(v).shape.iter().product::<usize>();
        let place = |v: ValueId| places[v.0 as usize].unwrap_or(Place::Buffer(0));
        let outputs = graph.outputs.iter().map(|(name, v)| (name.clone(), place(*v), len(*v))).collect();
        let inputs: Vec<_> = graph
            .inputs()
            .filter_map(|(name, v)| match place(v) {
                Place::Buffer(b) => Some((name.to_string(), b, len(v))),
                Place::State(_) => None,
            })
            .collect();
        let written = inputs.iter().map(|(name, _, n)| zeros(*n, name)).collect::<Result<Vec<_>>>()?;
        let places = graph.places.and_then(|places| match place(places.value) {
            Place::Buffer(buffer) => Some(Places { buffer, slots: places.slots }),
            Place::State(_) => None,
        });
        let program = Program { shared, weights, states, steps, sizes, made, done, inputs, outputs, places };
        let mut room = Room::new(&program, ropes);
        let pure = graph.states.is_empty();
        if !pure {
            for (b, len) in program.sizes.iter().enumerate() {
                room.make(b, *len)?;
            }
            room.count_bytes();
        }
        Ok(Self { program: Arc::new(program), room: Arc::new(Mutex::new(room)), written, uses: Uses::of(graph), pure })
    }

    pub fn write_input(&mut self, name: &str, words: &[u32]) -> Result<()> {
        let Some(at) = self.program.inputs.iter().position(|(n, ..)| n == name) else {
            return Err(Error::invalid_graph(format!("the graph has no input {name}")));
        };
        let to = &mut self.written[at];
        if words.len() != to.len() {
            let len = to.len();
            return Err(Error::bad_argument(format!("input {name} holds {len} words, and {} were given", words.len())));
        }
        self.uses.write(name, words)?;
        to.copy_from_slice(bytemuck::cast_slice(words));
        Ok(())
    }

    pub fn step(&mut self, params: &StepParams, outputs: &[&str]) -> Result<Pending> {
        let place = |name: &&str| {
            let known = self.program.outputs.iter().find(|(n, ..)| n == name);
            let (_, place, len) =
                known.ok_or_else(|| Error::invalid_graph(format!("the graph has no output {name}")))?;
            Ok((*place, *len))
        };
        let outputs = outputs.iter().map(place).collect::<Result<Vec<_>>>()?;
        if self.pure {
            let (program, room) = (self.program.clone(), self.room.clone());
            return Ok(Box::pin(compute(program, room, self.written.clone(), *params, outputs)));
        }
        let mut room = self.idle_room()?;
        self.uses.begin(&self.program.shared.written, params)?;
        let mut states = self.program.shared.states();
        self.program.begin(&mut room, &self.written, params)?;
        for i in 0..self.program.steps.len() {
            for part in 0..self.program.parts(i) {
                self.program.run(i, part, &mut room, params, &mut states)?;
            }
        }
        let words = outputs.iter().map(|output| read(&room, &states, *output)).collect::<Vec<_>>();
        room.count_bytes();
        Ok(Box::pin(std::future::ready(Ok(words))))
    }

    /// The room, which only a step of a pure graph that is still under way can hold.
    fn idle_room(&self) -> Result<MutexGuard<'_, Room>> {
        self.room.try_lock().ok_or_else(|| Error::internal("a step of this plan is still under way; wait for it first"))
    }

    /// Runs a step and tells how long each operation took.
    pub fn profile(&mut self, params: &StepParams) -> Result<Vec<Timing>> {
        let mut room = self.idle_room()?;
        let mut states = self.program.shared.states();
        self.program.begin(&mut room, &self.written, params)?;
        let mut timings = Vec::with_capacity(self.program.steps.len());
        for (i, step) in self.program.steps.iter().enumerate() {
            let begun = Instant::now();
            self.program.make(i, &mut room)?;
            for part in 0..self.program.parts(i) {
                self.program.run(i, part, &mut room, params, &mut states)?;
            }
            let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            timings.push(Timing { label: step.label.clone(), milliseconds });
            if self.pure {
                self.program.unmake(i, &mut room);
            }
        }
        if self.pure {
            room.clear();
        }
        Ok(timings)
    }

    /// One thread runs the steps one after the other: there is nothing to dispatch.
    pub fn cost(&self) -> StepCost {
        StepCost::default()
    }
}

/// A room that is empty again when its visitor leaves, wherever it was.
struct Visit<'a>(MutexGuard<'a, Room>);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// A step of a graph without states.
async fn compute(
    program: Arc<Program>,
    room: Arc<Mutex<Room>>,
    inputs: Vec<Vec<f32>>,
    params: StepParams,
    outputs: Vec<(Place, usize)>,
) -> Result<Vec<Vec<u32>>> {
    let mut visit = Visit(room.lock().await);
    let room = &mut *visit.0;
    let mut turns = Turns::default();
    program.begin(room, &inputs, &params)?;
    drop(inputs);
    for i in 0..program.steps.len() {
        program.make(i, room)?;
        for part in 0..program.parts(i) {
            program.run(i, part, room, &params, &mut [])?;
            turns.give_way().await;
        }
        room.count_bytes();
        program.unmake(i, room);
    }
    Ok(outputs.iter().map(|output| read(room, &[], *output)).collect())
}

/// A value in 32-bit words.
fn read(room: &Room, states: &[State], (place, len): (Place, usize)) -> Vec<u32> {
    match place {
        Place::Buffer(b) => bytemuck::cast_slice(&room.buffers[b][..len]).to_vec(),
        Place::State(s) => {
            let mut words: Vec<u32> = bytemuck::cast_slice(states[s].written()).to_vec();
            words.resize(len, 0);
            words
        }
    }
}
