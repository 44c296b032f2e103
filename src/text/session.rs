//! What a text model keeps between calls: weights and caches on the device, compiled plans, and which tokens the caches hold.

mod texts;

use std::collections::HashMap;

use web_time::{Duration, Instant};

use super::kept::{FEW, Held, Shelf};
use crate::{
    ErrorCode, Result,
    backend::{Device, Pending, Plan, Resident, StepCost, profile::Timing},
    cancel::Cancel,
    graph::{MOST_SLOTS, SampleParams, StepParams},
    models::{Autoregressive, autoregressive::Extent, language::ALTERNATIVES, recurrent::READ_STATE},
    yielding::Turns,
};

/// Rows that a step scores at once at most: each brings a row of logits as wide as the vocabulary.
const SCORE_ROWS: usize = 16;
/// On the CPU a chunk should take about this long, so that an abort is soon heard.
const CHUNK_TIME: Duration = Duration::from_millis(100);
/// Fewer rows than this meet the weights too few at a time: a row of 8 takes a fifth more than one of 16, and one of 64 a tenth less.
const FEWEST_CHUNK_ROWS: usize = 16;
/// Texts for an encoder are padded to a multiple of so many tokens where not every count of rows will do.
const READ_ROWS: usize = 64;

/// How often each token stands among `ids`.
pub fn counts(ids: &[u32], vocabulary: usize) -> Vec<u32> {
    let mut counts = vec![0u32; vocabulary];
    for id in ids {
        if let Some(count) = counts.get_mut(*id as usize) {
            *count += 1;
        }
    }
    counts
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    Read,
    Decode,
    Prefill,
    Score,
    /// The same for guesses, of which there are few lengths: their plans stay.
    Ahead,
    /// A prompt, with what the head reads of each row.
    Hidden,
    /// Several texts in slots, with what the head reads of each where that is asked for.
    DecodeRows {
        slots: usize,
        hidden: bool,
    },
    CopySlots {
        slots: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PlanKey {
    work: Work,
    rows: usize,
    alternatives: usize,
}

/// What a step is asked.
pub struct Asked<'a> {
    pub sample: SampleParams,
    /// As the plans are compiled.
    pub alternatives: usize,
    pub outputs: &'a [&'a str],
    /// How many of the last tokens the penalties look at, where not at all.
    pub window: Option<usize>,
    /// How many tokens the text will have behind these whatever comes, where caches cannot be filled anew on the way.
    pub ahead: usize,
}

pub struct Session {
    model: Autoregressive,
    device: Device,
    resident: Resident,
    plans: HashMap<PlanKey, Plan>,
    /// What an encoder read last, and the text whose tokens the states hold.
    held: Held,
    /// Texts that others took the place of.
    shelf: Shelf,
    /// The states that hold a text.
    states: Vec<(String, Extent)>,
    /// The bias of the logits on the device; empty where it is zeros.
    bias: Vec<f32>,
    /// Rows of a prefill chunk where any count will do; follows the clock.
    chunk_rows: usize,
    turns: Turns,
}

impl Session {
    pub fn new(model: Autoregressive, device: Device, resident: Resident) -> Result<Self> {
        Ok(Self {
            states: model.text_states()?,
            model,
            device,
            resident,
            plans: HashMap::new(),
            held: Held::default(),
            shelf: Shelf::default(),
            bias: vec![],
            chunk_rows: FEWEST_CHUNK_ROWS,
            turns: Turns::default(),
        })
    }

    /// Compiles what every generation needs, so that the first one does not wait.
    pub async fn warm_up(&mut self, alternatives: usize) -> Result<()> {
        self.plan(PlanKey { work: Work::Decode, rows: 1, alternatives }).await?;
        if !self.device.exact_rows() && !self.model.is_recurrent() {
            for rows in self.device.prefill_rows() {
                self.plan(PlanKey { work: Work::Prefill, rows: *rows, alternatives }).await?;
            }
        }
        Ok(())
    }

    pub fn capacity(&self) -> usize {
        self.model.capacity()
    }

    pub fn device_bytes(&self) -> u64 {
        self.resident.bytes()
    }

    /// Whether a text of so many tokens is past the model's bound, and what the caches hold is not: nothing of that serves it.
    pub fn outgrown_by(&self, tokens: usize) -> bool {
        !self.held.past_bound && self.is_past_bound(tokens)
    }

    fn is_past_bound(&self, tokens: usize) -> bool {
        self.model.bound().is_some_and(|bound| tokens > bound)
    }

    /// Readies plans for a text past the model's bound, or one within it. What the states hold of the other kind is worth nothing.
    fn begin_text(&mut self, past_bound: bool) {
        if past_bound != self.held.past_bound {
            self.held.past_bound = past_bound;
            self.model = self.model.clone().with_texts_past_bound(past_bound);
            self.plans.clear();
            self.held.tokens.clear();
        }
    }

    /// Rows that the caches hold of the text so far.
    pub fn cached(&self) -> &[u32] {
        &self.held.tokens
    }

    /// The step that chose `token` has run, so the token before it stands in the cache.
    pub fn remember(&mut self, token: u32) {
        self.held.tokens.push(token);
    }

    /// What the caches hold is not known: the next call starts afresh.
    pub fn forget(&mut self) {
        self.held = Held { past_bound: self.held.past_bound, ..Held::default() };
    }

    /// Nobody comes back to what the caches hold behind the first tokens.
    pub fn forget_behind(&mut self, tokens: usize) {
        self.held.tokens.truncate(tokens);
    }

    /// Steps that were started ran on past what is kept. A cache loses nothing by that: rows are written over.
    pub fn ran_on(&mut self) {
        if self.model.is_recurrent() {
            self.forget();
        }
    }

    /// Has the encoder read a text, unless it was the last one that it read. There is at least one token, and they fit.
    pub async fn read(&mut self, ids: &[u32], cancel: &Cancel) -> Result<()> {
        if self.held.read == ids {
            return Ok(());
        }
        self.put_away().await?;
        self.forget();
        if let Some(held) = self.shelf.that_read(ids).map(|kept| kept.held.clone()) {
            self.bring_back(held)?;
            return Ok(());
        }
        let outputs: &[&str] = match &self.model {
            Autoregressive::Recurrent(model) => {
                self.resident.write_state(READ_STATE, &vec![0; model.config().width])?;
                &["hidden"]
            }
            _ => &[],
        };
        let rows = match self.device.exact_rows() {
            true => ids.len(),
            false => ids.len().next_multiple_of(READ_ROWS).min(self.capacity()),
        };
        let alternatives = ALTERNATIVES.min(self.model.vocabulary());
        let plan = self.plan(PlanKey { work: Work::Read, rows, alternatives }).await?;
        let mut padded = ids.to_vec();
        padded.resize(rows, 0);
        plan.write_input("ids", &padded)?;
        plan.write_input("lengths", &[ids.len() as u32])?;
        let pending = plan.step(&StepParams::default(), outputs)?;
        let begun = cancel.race(pending).await?.into_iter().next().unwrap_or_default();
        self.held = Held { read: ids.to_vec(), begun, ..self.held.clone() };
        Ok(())
    }

    /// The numbers of a step at `position`.
    fn at(&self, position: usize) -> StepParams {
        StepParams { position: position as u32, memory: self.held.read.len() as u32, ..StepParams::default() }
    }

    pub async fn give_way(&mut self) {
        if self.device.steps_in_flight() == 1 {
            self.turns.give_way().await;
        }
    }

    async fn plan(&mut self, key: PlanKey) -> Result<&mut Plan> {
        if !self.plans.contains_key(&key) {
            let model = self.model.clone().with_alternatives(key.alternatives);
            let graph = match key.work {
                Work::Read => model.read(key.rows)?,
                Work::Decode => model.decode()?,
                Work::Prefill => model.prefill(key.rows)?,
                Work::Score | Work::Ahead => model.score(key.rows)?,
                Work::Hidden => model.prefill_with_hidden(key.rows)?,
                Work::DecodeRows { slots, hidden: false } => model.decode_rows(key.rows, slots)?,
                Work::DecodeRows { slots, hidden: true } => model.decode_rows_with_hidden(key.rows, slots)?,
                Work::CopySlots { slots } => model.copy_slots(slots)?,
            };
            let plan = match self.resident.compile(&graph).await {
                // What was put away is worth less than a plan.
                Err(error) if error.code() == ErrorCode::OutOfMemory && !self.shelf.is_empty() => {
                    self.shelf.clear();
                    self.resident.compile(&graph).await?
                }
                plan => plan?,
            };
            // Where any count of rows will do, each would stay for one call in a thousand; so would each length of a text that is read. Few rows come again,
            // where a text is gone on with by a token or two.
            let is_of_any_length =
                matches!(key.work, Work::Prefill | Work::Hidden | Work::Score | Work::DecodeRows { .. });
            if key.work == Work::Read || self.device.exact_rows() && is_of_any_length {
                self.plans
                    .retain(|known, _| known.work != key.work || known.work != Work::Read && known.rows <= SCORE_ROWS);
            }
            self.plans.insert(key, plan);
        }
        self.plans.get_mut(&key).ok_or_else(|| crate::Error::internal("a plan that was just made is gone"))
    }

    /// How many of `left` tokens the next chunk takes, and for how many rows it is compiled.
    fn chunk(&self, left: usize, most: usize) -> (usize, usize) {
        if self.device.exact_rows() {
            let longest = self.device.prefill_rows().first().copied().unwrap_or(1);
            let rows = left.min(self.chunk_rows).min(longest).min(most).max(1);
            return (rows, rows);
        }
        let sizes = || self.device.prefill_rows().iter().copied().filter(|rows| *rows <= most);
        let fitting = sizes().filter(|rows| *rows <= left).max();
        if self.model.is_recurrent() {
            // What is met is not taken back, padding as little as anything.
            let rows = fitting.unwrap_or(1);
            return (rows, rows);
        }
        let covering = sizes().filter(|rows| *rows >= left).min();
        match (covering, fitting) {
            // Padding is cheaper than another chunk, unless most of it would be padding.
            (Some(rows), None) => (left, rows),
            (Some(rows), Some(_)) if left * 2 > rows => (left, rows),
            (_, Some(rows)) => (rows, rows),
            (None, None) => (1, 1),
        }
    }

    /// Follows the clock, so that chunks stay short on slow machines.
    fn adapt(&mut self, rows: usize, took: Duration) {
        if !self.device.exact_rows() || rows < self.chunk_rows {
            return;
        }
        let ideal = rows as f64 * CHUNK_TIME.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let longest = self.device.prefill_rows().first().copied().unwrap_or(1);
        self.chunk_rows = (ideal as usize).clamp(FEWEST_CHUNK_ROWS.min(longest), longest);
    }

    /// Brings `ids` into the caches, as far as they are not there already, and starts the step that chooses what follows.
    /// Returns what will be the outputs of the last chunk, and how many tokens were there already.
    ///
    /// `ids` holds at least one token and fits the capacity.
    pub async fn prefill(&mut self, ids: &[u32], asked: &Asked<'_>, cancel: &Cancel) -> Result<(Pending, usize)> {
        let reused = self.go_back_to(ids, self.is_past_bound(ids.len() + asked.ahead)).await?;
        self.begin_states()?;
        // What recurrent states met is not taken back: those before the last token serve whoever asks again, and whoever goes on.
        let resting = if self.model.is_recurrent() && ids.len() > reused + FEW { ids.len() - 1 } else { ids.len() };
        let mut before: Option<Pending> = None;
        loop {
            cancel.check()?;
            let position = self.held.tokens.len();
            if position == resting {
                self.put_away().await?;
            }
            let left = ids.get(position..).unwrap_or_default();
            let next = if position < resting { resting - position } else { left.len() };
            let (taken, rows) = self.chunk(next, usize::MAX);
            let last = taken >= left.len();
            if last {
                // Earlier chunks drew a token too, and counted it.
                let counted = asked.window.unwrap_or(ids.len()).min(ids.len());
                self.write_counts(&ids[ids.len() - counted..])?;
            }
            let begun = Instant::now();
            let mut padded = left.get(..taken).unwrap_or_default().to_vec();
            let tokens = padded.clone();
            padded.resize(rows, 0);
            let row = taken.saturating_sub(1) as u32;
            let params = StepParams { row, sample: asked.sample, ..self.at(position) };
            let plan = self.plan(PlanKey { work: Work::Prefill, rows, alternatives: asked.alternatives }).await?;
            plan.write_input("ids", &padded)?;
            let pending = plan.step(&params, if last { asked.outputs } else { &["sampled"] })?;
            self.held.tokens.extend_from_slice(&tokens);
            // One chunk runs while the next is put in the queue, no more: an abort has little to wait for.
            if let Some(before) = before {
                cancel.race(before).await?;
            }
            if last {
                return Ok((pending, reused));
            }
            before = Some(pending);
            self.adapt(rows, begun.elapsed());
            self.give_way().await;
        }
    }

    /// Recurrent states begin a text as zeros, or as what was read left them.
    fn begin_states(&self) -> Result<()> {
        if self.held.tokens.is_empty() {
            for (state, words) in self.model.running_states() {
                let zeros = vec![0; words];
                let begun = if self.held.begun.len() == words { &self.held.begun } else { &zeros };
                self.resident.write_state(&state, begun)?;
            }
        }
        Ok(())
    }

    fn write_counts(&self, ids: &[u32]) -> Result<()> {
        self.resident.write_state("seen", &counts(ids, self.model.vocabulary()))
    }

    /// The last of `ids` is the token that the next decode step goes on from, and the penalties look at `ids`.
    pub fn write_last(&self, ids: &[u32]) -> Result<()> {
        if let Some(last) = ids.last() {
            self.resident.write_state("token", &[*last])?;
        }
        self.write_counts(ids)
    }

    /// Whether several tokens behind what the caches hold can be computed at once, and those that are not kept forgotten.
    pub fn looks_ahead(&self) -> bool {
        self.model.has_slots() && self.model.start().is_none()
    }

    fn rows_ahead(&self, tokens: usize) -> usize {
        let covering = || self.device.prefill_rows().iter().copied().filter(|rows| *rows >= tokens).min();
        if self.device.exact_rows() { tokens } else { covering().unwrap_or(tokens) }
    }

    /// Compiles what [`Self::look_ahead`] runs for so many tokens, which is no part of what that takes.
    pub async fn ready_ahead(&mut self, tokens: usize) -> Result<()> {
        let key = PlanKey {
            work: Work::Ahead,
            rows: self.rows_ahead(tokens),
            alternatives: ALTERNATIVES.min(self.model.vocabulary()),
        };
        self.plan(key).await.map(drop)
    }

    /// Logits `[ids, vocabulary]` as their bits after each of at most [`SCORE_ROWS`] tokens, of which the first goes to row `position`.
    pub async fn look_ahead(&mut self, ids: &[u32], position: usize) -> Result<Vec<u32>> {
        let rows = self.rows_ahead(ids.len());
        let mut padded = ids.to_vec();
        padded.resize(rows, 0);
        let alternatives = ALTERNATIVES.min(self.model.vocabulary());
        let params = self.at(position);
        let plan = self.plan(PlanKey { work: Work::Ahead, rows, alternatives }).await?;
        plan.write_input("ids", &padded)?;
        let outputs = plan.step(&params, &["logits"])?.await?;
        let mut logits = outputs.into_iter().next().unwrap_or_default();
        logits.truncate(ids.len() * self.model.vocabulary());
        Ok(logits)
    }

    /// What is added to the logits `[vocabulary]` by the steps that follow; nothing where it is empty.
    pub fn write_bias(&mut self, bias: &[f32]) -> Result<()> {
        if bias == self.bias {
            return Ok(());
        }
        match bias.is_empty() {
            true => self.resident.write_state("bias", &vec![0; self.model.vocabulary()])?,
            false => self.resident.write_state("bias", bytemuck::cast_slice(bias))?,
        }
        self.bias.clear();
        self.bias.extend_from_slice(bias);
        Ok(())
    }

    /// Starts a step: the token chosen before goes to row `position`, the next is chosen.
    pub async fn decode(&mut self, position: usize, asked: &Asked<'_>) -> Result<Pending> {
        let params = StepParams { sample: asked.sample, ..self.at(position) };
        let key = PlanKey { work: Work::Decode, rows: 1, alternatives: asked.alternatives };
        self.plan(key).await?.step(&params, asked.outputs)
    }

    /// How many slots caches are cut into for so many texts: all are of one length. `None` where the model's caches have none, or there is no such number.
    pub fn slots(&self, texts: usize) -> Option<usize> {
        let capacity = self.capacity();
        let mut counts = texts..=MOST_SLOTS;
        counts.find(|slots| self.model.has_slots() && capacity.is_multiple_of(*slots))
    }

    /// Slot `i` becomes what `sources[i]` was, up to `rows` rows.
    pub async fn copy_slots(&mut self, sources: &[usize], rows: usize) -> Result<()> {
        if sources.iter().enumerate().all(|(slot, source)| slot == *source) {
            return Ok(());
        }
        let key = PlanKey { work: Work::CopySlots { slots: sources.len() }, rows: 1, alternatives: 0 };
        let copies: Vec<u32> = sources.iter().flat_map(|source| [*source as u32, rows as u32]).collect();
        let plan = self.plan(key).await?;
        plan.write_input("copies", &copies)?;
        plan.step(&StepParams::default(), &[])?.await.map(drop)
    }

    /// How many of `most` texts of at most so many rows can be written at once, and in how many slots; `None` where not even two can.
    pub fn at_once(&self, most: usize, rows: usize) -> Option<(usize, usize)> {
        // A text that comes to the bound on its way is computed anew, alone.
        if self.is_past_bound(rows) {
            return None;
        }
        let counts = (2..=most.min(MOST_SLOTS)).rev();
        let fitting = counts.filter_map(|texts| Some((texts, self.slots(texts)?)));
        fitting.into_iter().find(|(_, slots)| rows <= self.capacity() / slots)
    }

    /// A token more for each of several texts, given with the slot of each out of `slots`, all at one position; returns logits `[rows, vocabulary]` as their bits.
    pub async fn decode_rows(&mut self, rows: &[(u32, usize)], slots: usize, position: usize) -> Result<Vec<u32>> {
        let [logits] = self.decode_placed(rows, slots, position, ["logits"]).await?;
        Ok(logits)
    }

    /// The same with what the head reads of each, `[rows, width]`, as their bits.
    pub async fn decode_rows_with_hidden(
        &mut self,
        rows: &[(u32, usize)],
        slots: usize,
        position: usize,
    ) -> Result<[Vec<u32>; 2]> {
        self.decode_placed(rows, slots, position, ["logits", "hidden"]).await
    }

    async fn decode_placed<const N: usize>(
        &mut self,
        rows: &[(u32, usize)],
        slots: usize,
        position: usize,
        outputs: [&str; N],
    ) -> Result<[Vec<u32>; N]> {
        let work = Work::DecodeRows { slots, hidden: outputs.contains(&"hidden") };
        let params = self.at(position);
        let ids: Vec<u32> = rows.iter().map(|(id, _)| *id).collect();
        let places: Vec<u32> = rows.iter().flat_map(|(_, slot)| [*slot as u32, position as u32]).collect();
        let plan = self.plan(PlanKey { work, rows: rows.len(), alternatives: 0 }).await?;
        plan.write_input("ids", &ids)?;
        plan.write_input("places", &places)?;
        let given = plan.step(&params, &outputs)?.await?;
        given.try_into().map_err(|_| crate::Error::internal("a step gave no logits"))
    }

    /// Brings all of `ids` into the caches, whatever they hold, and returns what the head reads of each, `[ids, width]`, and the logits `[vocabulary]` behind the last, as
    /// their bits. The text will have `ahead` tokens behind these at most.
    pub async fn prefill_with_hidden(
        &mut self,
        ids: &[u32],
        ahead: usize,
        cancel: &Cancel,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        self.put_away().await?;
        self.begin_text(self.is_past_bound(ids.len() + ahead));
        self.held.tokens.clear();
        let (mut hidden, mut logits) = (vec![], vec![]);
        while self.held.tokens.len() < ids.len() {
            cancel.check()?;
            let left = ids.get(self.held.tokens.len()..).unwrap_or_default();
            let (taken, rows) = self.chunk(left.len(), usize::MAX);
            let tokens = left.get(..taken).unwrap_or_default().to_vec();
            let mut padded = tokens.clone();
            padded.resize(rows, 0);
            let begun = Instant::now();
            let params = StepParams { row: taken.saturating_sub(1) as u32, ..self.at(self.held.tokens.len()) };
            let plan = self.plan(PlanKey { work: Work::Hidden, rows, alternatives: 0 }).await?;
            plan.write_input("ids", &padded)?;
            let pending = plan.step(&params, &["hidden", "logits"])?;
            let mut outputs = cancel.race(pending).await?.into_iter();
            let of_rows = outputs.next().unwrap_or_default();
            hidden.extend_from_slice(&of_rows[..of_rows.len() / rows * taken]);
            logits = outputs.next().unwrap_or_default();
            self.held.tokens.extend_from_slice(&tokens);
            self.adapt(rows, begun.elapsed());
            self.give_way().await;
        }
        Ok((hidden, logits))
    }

    /// Runs `steps` decode steps behind what the caches hold, and tells where their time went. The tokens are thrown away.
    pub async fn profile(&mut self, steps: usize, alternatives: usize) -> Result<Vec<Timing>> {
        let last = self.capacity().saturating_sub(1);
        if self.model.start().is_some() && self.held.read.is_empty() {
            self.read(&[0], &Cancel::new()).await?;
        }
        if self.held.tokens.len() > last {
            // The steps write over the last row.
            self.forget();
        }
        let params = |step| self.at(self.held.tokens.len().saturating_add(step).min(last));
        let params: Vec<StepParams> = (0..steps).map(params).collect();
        let plan = self.plan(PlanKey { work: Work::Decode, rows: 1, alternatives }).await?;
        let mut timings = vec![];
        for params in &params {
            timings.extend(plan.profile(params).await?);
        }
        self.ran_on();
        Ok(timings)
    }

    pub async fn decode_cost(&mut self, alternatives: usize) -> Result<StepCost> {
        Ok(self.plan(PlanKey { work: Work::Decode, rows: 1, alternatives }).await?.cost())
    }

    /// Logits after each token of `ids`, given to `each` row by row as `(index, logits [vocabulary])`. Leaves `ids` in the caches.
    pub async fn score(
        &mut self,
        ids: &[u32],
        cancel: &Cancel,
        mut each: impl FnMut(usize, &[u32]) -> Result<()>,
    ) -> Result<()> {
        self.put_away().await?;
        self.begin_text(self.is_past_bound(ids.len()));
        self.held.tokens.clear();
        self.begin_states()?;
        let alternatives = ALTERNATIVES.min(self.model.vocabulary());
        while self.held.tokens.len() < ids.len() {
            cancel.check()?;
            let position = self.held.tokens.len();
            let left = ids.get(position..).unwrap_or_default();
            let (taken, rows) = self.chunk(left.len(), SCORE_ROWS);
            let tokens = left.get(..taken).unwrap_or_default().to_vec();
            let mut padded = tokens.clone();
            padded.resize(rows, 0);
            let begun = Instant::now();
            let params = self.at(position);
            let plan = self.plan(PlanKey { work: Work::Score, rows, alternatives }).await?;
            plan.write_input("ids", &padded)?;
            let pending = plan.step(&params, &["logits"])?;
            let outputs = cancel.race(pending).await?;
            let vocabulary = self.model.vocabulary();
            let logits = outputs.first().map(Vec::as_slice).unwrap_or_default();
            for (row, logits) in logits.chunks_exact(vocabulary).take(taken).enumerate() {
                each(position + row, logits)?;
            }
            self.held.tokens.extend_from_slice(&tokens);
            self.adapt(rows, begun.elapsed());
            self.give_way().await;
        }
        Ok(())
    }
}
