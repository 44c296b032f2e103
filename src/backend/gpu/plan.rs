//! A graph made ready for the GPU: every buffer, pipeline and bind group is there, and a step only replays them.
//!
//! A step is one small write, one encoder, one compute pass, one submit. Steps may be started one after another without
//! waiting: the queue runs them in order.

use std::sync::Arc;

use super::{
    buffer::{Buffer, View},
    context::{Context, Dispatch},
    fuse,
    health::REFUSED,
    kernels::{attention, rope_cache, step::StepWords},
    linear::{self, LinearSpec, Lookup},
    memory,
    program::{Bound, Call, Kind, Program, Side, StoreId, Tensor, Work},
    resident::{Model, Resident},
    staging::Staging,
};
use crate::{
    Error, ErrorCode, Result,
    backend::{Pending, StepCost, rows::Uses},
    graph::{Graph, StepParams, WeightId},
};

/// What the caller writes before a step.
struct Input {
    name: String,
    view: View,
}

/// A compiled graph.
pub struct Plan {
    /// Keeps the weights and states.
    model: Arc<Model>,
    dispatches: Vec<Dispatch>,
    step: Buffer,
    inputs: Vec<Input>,
    outputs: Vec<(String, View)>,
    uses: Uses,
    staging: Staging,
}

impl Plan {
    /// A kernel that the browser or the driver refuses gives its place to a plainer one.
    ///
    /// Errors: `device-faulty` where the plainest is refused.
    pub async fn compile(resident: &Resident, graph: &Graph) -> Result<Self> {
        let model = &resident.model;
        let context = &model.context;
        loop {
            let tried = context.features();
            let watch = context.watch();
            let made = Self::make(model, graph);
            let Err(error) = watch.check().await else { return made };
            if error.code() != ErrorCode::Internal {
                return Err(error);
            }
            let why = format!("the GPU's driver or the browser refuses a kernel of {} ({})", graph.name, brief(&error));
            if !context.make_do(tried, &why) {
                return Err(Error::device_faulty(format!("{why}; update them, or use the CPU")).caused_by(error));
            }
        }
    }

    fn make(model: &Arc<Model>, graph: &Graph) -> Result<Self> {
        let context = &model.context;
        let program = fuse::fuse(graph, &model.layout, context.features())?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let step = context.buffer("step", StepWords::BYTES, usage)?;
        let stores = place(model, graph, &program)?;
        // The whole buffer: a uniform ends with a whole vector.
        let places = program.places.map(|(store, slots)| (stores[store].buffer.view(), slots));
        let mut maker = Maker { model, graph, stores: &stores, step: step.view(), places, dispatches: vec![] };
        for stage in &program.stages {
            maker.stage(&stage.work, &stage.label)?;
        }
        let dispatches = maker.dispatches;
        let outputs = program.outputs.iter().map(|(name, t)| {
            let bytes = (t.rows * t.cols) as u64 * 4;
            (name.clone(), stores[t.store].buffer.first(bytes))
        });
        let inputs = program.stores.iter().zip(&stores).filter_map(|(store, view)| match &store.kind {
            Kind::Input(name) => Some(Input { name: name.clone(), view: view.clone() }),
            _ => None,
        });
        Ok(Self {
            model: model.clone(),
            dispatches,
            step,
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            uses: Uses::of(graph),
            staging: Staging::default(),
        })
    }

    pub fn write_input(&mut self, name: &str, words: &[u32]) -> Result<()> {
        self.model.context.alive()?;
        let Some(Input { view, .. }) = self.inputs.iter().find(|input| input.name == name) else {
            return Err(Error::bad_argument(format!("the graph has no input called {name}")));
        };
        if words.len() as u64 * 4 != view.bytes {
            let why = format!("input {name}: {} words, and it takes {}", words.len(), view.bytes / 4);
            return Err(Error::bad_argument(why));
        }
        self.uses.write(name, words)?;
        self.model.context.queue().write_buffer(view.buffer.raw(), 0, bytemuck::cast_slice(words));
        Ok(())
    }

    pub fn step(&mut self, params: &StepParams, outputs: &[&str]) -> Result<Pending> {
        let context = &self.model.context;
        context.alive()?;
        let mut wanted = Vec::with_capacity(outputs.len());
        for name in outputs {
            let found = self.outputs.iter().find(|(n, _)| n == name);
            let (_, view) =
                found.ok_or_else(|| Error::bad_argument(format!("the graph has no output called {name}")))?;
            wanted.push(view);
        }
        self.uses.begin(&self.model.written, params)?;
        let total = wanted.iter().map(|view| view.bytes).sum();
        let staging = if wanted.is_empty() { None } else { Some(self.staging.take(context, total)?) };

        context.queue().write_buffer(self.step.raw(), 0, bytemuck::bytes_of(&StepWords::new(params)));
        let mut encoder = context.device().create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for dispatch in &self.dispatches {
                dispatch.record(&mut pass);
            }
        }
        if let Some(staging) = &staging {
            let mut at = 0;
            for view in &wanted {
                encoder.copy_buffer_to_buffer(view.buffer.raw(), view.offset, staging.raw(), at, view.bytes);
                at += view.bytes;
            }
        }
        let submission = context.queue().submit([encoder.finish()]);
        Ok(match staging {
            Some(staging) => {
                let lengths = wanted.iter().map(|view| (view.bytes / 4) as usize).collect();
                self.staging.read(context, staging, lengths, submission)
            }
            None => Box::pin(std::future::ready(Ok(vec![]))),
        })
    }

    pub fn cost(&self) -> StepCost {
        StepCost { dispatches: self.dispatches.len() as u32, passes: 1, submits: 1 }
    }

    /// The kernels of a step in order, each with its place in the model.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.dispatches.iter().map(|d| d.label.as_str())
    }

    pub(super) fn parts(&self) -> (&Context, &[Dispatch], &Buffer) {
        (&self.model.context, &self.dispatches, &self.step)
    }
}

/// The beginning of what a compiler says, in one line: the rest is for those who look into the cause.
fn brief(error: &Error) -> String {
    const MOST: usize = 240;
    let said = error.to_string();
    let words: Vec<&str> = said.trim_start_matches(REFUSED).split_whitespace().collect();
    words.join(" ").chars().take(MOST).collect()
}

/// A view for each store of the program: shared scratch, outputs, inputs, states.
fn place(model: &Model, graph: &Graph, program: &Program) -> Result<Vec<View>> {
    let context = &model.context;
    let slots = memory::place(program);
    let mut buffers = vec![];
    for words in &slots.words {
        buffers.push(context.storage("scratch", *words as u64 * 4)?);
    }
    let mut views = vec![];
    for (store, slot) in program.stores.iter().zip(&slots.of) {
        let bytes = store.words as u64 * 4;
        let buffer = match (&store.kind, slot) {
            (Kind::State(id), _) => model.state(graph.state(*id))?,
            (_, Some(slot)) => buffers[*slot].clone(),
            (Kind::Constant(words), None) => {
                let buffer = context.storage("constant", bytes)?;
                context.queue().write_buffer(buffer.raw(), 0, bytemuck::cast_slice(words));
                buffer
            }
            (Kind::Input(name), None) => {
                use wgpu::BufferUsages as Usage;
                context.buffer(name, bytes, Usage::STORAGE | Usage::UNIFORM | Usage::COPY_DST | Usage::COPY_SRC)?
            }
            // An output that no stage writes reads as zeros.
            (_, None) => context.storage("unwritten", bytes)?,
        };
        if bytes > context.max_binding() {
            let why = format!("a value of {bytes} bytes, and one binding shows {}", context.max_binding());
            return Err(Error::out_of_memory(format!("{}: {why}; take fewer rows at a time", graph.name)));
        }
        views.push(buffer.first(bytes));
    }
    Ok(views)
}

/// Makes the dispatches of a program's stages.
struct Maker<'a> {
    model: &'a Model,
    graph: &'a Graph,
    stores: &'a [View],
    step: View,
    /// Where rows are placed, and how many slots caches have then.
    places: Option<(View, usize)>,
    dispatches: Vec<Dispatch>,
}

impl Maker<'_> {
    fn view(&self, tensor: &Tensor) -> &View {
        self.at(tensor.store)
    }

    fn at(&self, store: StoreId) -> &View {
        &self.stores[store]
    }

    /// Where rows stand: the step, or their places and how many slots caches have.
    fn stand(&self) -> (&View, Option<usize>) {
        self.places.as_ref().map_or((&self.step, None), |(places, slots)| (places, Some(*slots)))
    }

    /// What meets a layer's result.
    fn side(&self, side: &Option<Side>) -> Option<linear::Side<'_>> {
        side.as_ref().map(|Side { tensor, rows }| linear::Side {
            view: self.view(tensor),
            first: tensor.first,
            stride: tensor.stride,
            rows: *rows,
        })
    }

    fn vector(&self, weight: WeightId) -> Result<View> {
        let vector = self.model.layout.vector(&self.graph.weight(weight).name)?;
        Ok(self.model.vectors[vector].view())
    }

    fn call(&self, call: &Call, place: &str) -> Result<Dispatch> {
        let context = &self.model.context;
        let views = call.bound.iter().map(|(at, bound)| {
            let view = match bound {
                Bound::Read(store) | Bound::Write(store) => self.at(*store).clone(),
                Bound::Vector(weight) => self.vector(*weight)?,
                Bound::Step => self.step.clone(),
                Bound::Places => self.stand().0.clone(),
            };
            Ok((*at, view))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = views.iter().map(|(at, view)| (*at, view)).collect();
        let most = context.limits().max_compute_workgroups_per_dimension as usize;
        let lines = if call.lines { call.grid[0].div_ceil(most).max(1) } else { 1 };
        let grid = if call.lines { [call.grid[0].div_ceil(lines), lines, 1] } else { call.grid };
        // What is too much for 32 bits is refused as any grid that is larger than the device allows.
        let grid = grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        context.dispatch(&call.kernel, &call.variant, &views, grid, place)
    }

    fn stage(&mut self, work: &Work, place: &str) -> Result<()> {
        let context = &self.model.context;
        let made = match work {
            Work::Call(call) => vec![self.call(call, place)?],
            Work::Embedding { table, ids, out } => {
                let (matrix, _) = self.model.layout.matrix(&self.graph.weight(*table).name)?;
                let table = &self.model.matrices[matrix];
                linear::embedding(context, table, Lookup::Ids(self.view(ids)), self.view(out), out.rows, place)?
            }
            Work::AddPositions { table, x, out } => {
                let (matrix, _) = self.model.layout.matrix(&self.graph.weight(*table).name)?;
                let (stand, slots) = self.stand();
                let lookup = Lookup::Positions { x: self.view(x), stand, placed: slots.is_some() };
                linear::embedding(context, &self.model.matrices[matrix], lookup, self.view(out), out.rows, place)?
            }
            Work::Linear { matrix, x, gather, norm, epilogue, out } => {
                let norm = match norm {
                    Some((weight, eps)) => Some((self.vector(*weight)?, *eps)),
                    None => None,
                };
                let bias = self.model.layout.matrices[*matrix].bias.map(|v| self.model.vectors[v].view());
                let spec = LinearSpec {
                    t: out.rows,
                    x_first: x.first,
                    x_stride: x.stride,
                    gather: *gather,
                    norm: norm.as_ref().map(|(view, eps)| (view, *eps)),
                    bias: bias.as_ref(),
                    epilogue: linear::Epilogue {
                        gate: epilogue.gate,
                        gain: self.side(&epilogue.gain),
                        residual: self.side(&epilogue.residual),
                        activation: epilogue.activation,
                    },
                    place,
                };
                linear::linear(context, &self.model.matrices[*matrix], self.view(x), self.view(out), spec)?
            }
            Work::RopeCache { rotary, norm, q, k, v } => {
                let pair = |p: &Option<(Tensor, Tensor)>| {
                    p.as_ref().map(|(from, to)| (self.view(from).clone(), self.view(to).clone()))
                };
                let shapes = rope_cache::Parts { q: *q, k: *k, v: *v };
                let views = rope_cache::Parts { q: pair(q), k: pair(k), v: pair(v) };
                let frequencies = match rotary {
                    Some(rotary) => Some(self.model.frequencies(rotary)?.view()),
                    None => None,
                };
                let factors = match rotary.and_then(|r| r.factors) {
                    Some(factors) => Some(self.vector(factors)?),
                    None => None,
                };
                let tables = (frequencies.as_ref(), factors.as_ref());
                let norm = match norm {
                    Some(norm) => Some(([self.vector(norm.q)?, self.vector(norm.k)?], norm.eps)),
                    None => None,
                };
                let norm = norm.as_ref().map(|([q, k], eps)| ([q, k], *eps));
                let rotary = rotary.as_ref();
                vec![rope_cache::rope_cache(context, rotary, &shapes, &views, tables, norm, self.stand(), place)?]
            }
            Work::Attention { shape, operands, leanings, partial, out } => {
                let views = [operands.q, operands.k, operands.v].map(|t| self.view(&t));
                let more = (leanings.bias.map(|bias| self.at(bias)), leanings.lengths.map(|lengths| self.at(lengths)));
                let partial = partial.map(|store| self.at(store));
                let stand = if shape.placed { self.stand().0 } else { &self.step };
                attention::attention(context, shape, operands, views, more, partial, self.view(out), stand, place)?
            }
        };
        self.dispatches.extend(made);
        Ok(())
    }
}
