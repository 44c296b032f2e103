//! A download that survives: resumed where it broke, given up when it stalls too often, kept in a store where there is
//! one, checked against a SHA-256 where one is known.
//!
//! One long answer is kept open and read as far as the reader needs, because a model is read from front to back; a
//! request for every piece would cost a round trip each. The network ([`Transport`]) and the place where bytes
//! are kept ([`Store`]) are given from outside: `fetch` and the browser's private file system in `web`.

mod faces;
mod parse;
mod window;

use std::ops::Range;

use async_trait::async_trait;
use futures_util::{
    future::{Either, select},
    lock::Mutex,
};
use sha2::{Digest, Sha256};

pub use super::stand_in::web_page;
pub use faces::{About, Answer, Body, Expected, Fault, Patience, Store, Transport};
pub use parse::{hex, parse_content_range, parse_sha256};

use super::{
    source::{ByteSource, past_the_end},
    stand_in::StandIn,
};
use crate::{Error, Result};
use window::Window;

/// A file at an address, as a source of bytes.
pub struct Download<T> {
    name: String,
    address: String,
    transport: T,
    patience: Patience,
    state: Mutex<State>,
}

struct State {
    about: Option<About>,
    /// Where the next byte wanted from the network belongs.
    at: u64,
    body: Option<Flow>,
    store: Option<Box<dyn Store>>,
    /// Bytes that came and no store keeps: those before `at`.
    window: Window,
    expected: Expected,
    hash: Sha256,
    /// How many bytes from the start are in `hash`.
    hashed: u64,
    /// Whether the address ever answered.
    answered: bool,
    /// Everything was taken in and checked.
    finished: bool,
    warnings: Vec<String>,
}

/// An answer that is being read.
struct Flow {
    /// Where the body's next byte belongs.
    at: u64,
    body: Box<dyn Body>,
}

/// A gap up to this size is read through; a larger one is worth a new request.
const NEAR: u64 = 1 << 20;

impl<T: Transport> Download<T> {
    /// A download of `address` that keeps its bytes in `store`. Nothing is asked of the network yet.
    pub fn new(
        name: impl Into<String>,
        address: impl Into<String>,
        transport: T,
        store: Option<Box<dyn Store>>,
        expected: Expected,
        patience: Patience,
    ) -> Self {
        let state = State {
            about: None,
            at: 0,
            body: None,
            store,
            window: Window::default(),
            expected,
            hash: Sha256::new(),
            hashed: 0,
            answered: false,
            finished: false,
            warnings: vec![],
        };
        Self { name: name.into(), address: address.into(), transport, patience, state: Mutex::new(state) }
    }

    /// What went wrong without stopping the download (a store that gave up).
    pub async fn warnings(&self) -> Vec<String> {
        self.state.lock().await.warnings.clone()
    }

    fn refused(&self, why: impl std::fmt::Display, next: &str) -> Error {
        Error::network(format!("{}: {why}; {next}", self.address))
    }

    /// Connects at `state.at`; learns what the address holds, and begins a store anew where it held another file.
    async fn connect(&self, state: &mut State) -> Result<(), Fault> {
        let answer = match self.transport.get(state.at).await {
            // What is kept from an earlier visit may be all of the file, or longer than it is now.
            Err(Fault::PastTheEnd) if state.at > 0 && state.about.is_none() => {
                state.answered = true;
                self.transport.get(0).await
            }
            other => other,
        };
        let mut answer = match answer {
            Err(Fault::PastTheEnd) => {
                let why = format!("there is nothing from byte {} on", state.at);
                return Err(Fault::Refused(self.refused(why, "check the address")));
            }
            other => other?,
        };
        state.answered = true;
        if let Some(total) = answer.total {
            self.learn(state, About { total, version: answer.version.take() }).await?;
            if answer.start > state.at {
                // The store began anew, so the beginning is needed after all.
                drop(answer.body);
                answer = self.transport.get(state.at).await?;
            }
        }
        if answer.start > state.at {
            let why = format!("byte {} was asked for and byte {} came", state.at, answer.start);
            return Err(Fault::Refused(self.refused(why, "take the file from another server")));
        }
        state.body = Some(Flow { at: answer.start, body: answer.body });
        Ok(())
    }

    /// Takes note of what the address holds.
    async fn learn(&self, state: &mut State, about: About) -> Result<(), Fault> {
        if let Some(size) = state.expected.size
            && size != about.total
        {
            let why = format!("the file has {} bytes where {size} are expected", about.total);
            return Err(Fault::Refused(self.refused(why, "another file stands there now; reload the page")));
        }
        // A known SHA-256 tells files apart better than a version that may differ from mirror to mirror.
        let checked = state.expected.sha256.is_some();
        if let Some(known) = &state.about {
            if known.matches(&about) || (checked && known.total == about.total) {
                return Ok(());
            }
            if let Some(mut store) = state.store.take() {
                store.discard().await;
            }
            return Err(Fault::Refused(self.refused("the file changed while it was loaded", "load it again")));
        }
        if let Some(store) = &mut state.store {
            let same = |kept: About| about.confirms(&kept) || (checked && kept.total == about.total);
            if !store.about().is_some_and(same) || store.have() > about.total {
                state.at = 0;
                if let Err(error) = store.begin(&about).await {
                    give_up_store(state, &error).await;
                }
            }
        }
        state.about = Some(about);
        Ok(())
    }

    /// The answer of `work`, or a fault where it takes too long.
    async fn patiently<R>(&self, what: &str, work: impl Future<Output = Result<R, Fault>>) -> Result<R, Fault> {
        let stall = self.transport.sleep(self.patience.stall_ms);
        match select(std::pin::pin!(work), stall).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Fault::Broken(format!("{what} for {} s", self.patience.stall_ms.div_ceil(1000)))),
        }
    }

    /// The next bytes from the network, those at `state.at`; empty at the end of the file. Breaks and stalls are mended.
    async fn pull(&self, state: &mut State) -> Result<Vec<u8>> {
        let mut failures = 0;
        loop {
            match self.pull_once(state).await {
                Ok(bytes) => return self.sound(state, bytes).await,
                Err(Fault::Broken(why)) => {
                    failures += 1;
                    // An address that never answered is more likely wrong than busy.
                    let most = if state.answered { self.patience.attempts } else { self.patience.attempts.min(2) };
                    if failures >= most {
                        let why = format!("{why}, and {failures} attempts brought nothing new");
                        return Err(self.refused(why, "check the connection and the address, then load again"));
                    }
                    let pause = self.patience.pause_ms.saturating_mul(1 << (failures - 1).min(6));
                    self.transport.sleep(pause).await;
                }
                Err(Fault::Refused(error)) => return Err(error),
                Err(Fault::PastTheEnd) => return Err(self.refused("the file ends early", "check the address")),
            }
        }
    }

    /// Refuses what begins as no file of a model does, and keeps nothing of it.
    async fn sound(&self, state: &mut State, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some(other) = StandIn::of(&bytes).filter(|_| state.at == 0) else { return Ok(bytes) };
        state.body = None;
        if let Some(mut store) = state.store.take() {
            store.discard().await;
        }
        Err(other.error(&self.address))
    }

    async fn pull_once(&self, state: &mut State) -> Result<Vec<u8>, Fault> {
        if state.about.as_ref().is_some_and(|a| a.total <= state.at) {
            return Ok(vec![]);
        }
        if state.body.is_none() {
            self.patiently("there was no answer", self.connect(state)).await?;
            if state.about.as_ref().is_some_and(|a| a.total <= state.at) {
                state.body = None;
                return Ok(vec![]);
            }
        }
        // Taken out while it is waited for: if this call is dropped half way, a piece may be lost, and so the connection
        // is dropped with it.
        let Some(mut flow) = state.body.take() else {
            return Err(Fault::Broken("the connection closed".into()));
        };
        loop {
            let Some(mut bytes) = self.patiently("no byte came", flow.body.next()).await? else {
                return match &state.about {
                    Some(about) if state.at < about.total => Err(Fault::Broken("the answer ended early".into())),
                    Some(_) => Ok(vec![]),
                    None if flow.at < state.at => Err(Fault::Broken("the answer ended early".into())),
                    None => {
                        state.about = Some(About { total: state.at, version: None });
                        Ok(vec![])
                    }
                };
            };
            let start = flow.at;
            flow.at += bytes.len() as u64;
            if flow.at <= state.at {
                // A server without ranges begins at the beginning, or the piece is empty.
                continue;
            }
            bytes.drain(..state.at.saturating_sub(start) as usize);
            if let Some(about) = &state.about {
                let left = about.total.saturating_sub(state.at);
                bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            }
            state.body = Some(flow);
            return Ok(bytes);
        }
    }

    /// Brings one more piece into the store, or into the window where there is none. `false` at the end of the file.
    async fn advance(&self, state: &mut State) -> Result<bool> {
        if let Some(store) = &state.store {
            let have = if store.about().is_some() { store.have() } else { 0 };
            if state.at != have {
                state.go_to(have);
            }
        }
        let bytes = self.pull(state).await?;
        if bytes.is_empty() {
            return Ok(false);
        }
        if state.hashed == state.at {
            state.hash.update(&bytes);
            state.hashed += bytes.len() as u64;
        }
        let start = state.at;
        state.at += bytes.len() as u64;
        if state.about.is_none()
            && let Some(mut store) = state.store.take()
        {
            // Without a size there is nothing to know the file by at the next visit.
            store.discard().await;
        }
        match &mut state.store {
            Some(store) => {
                if let Err(error) = store.append(&bytes) {
                    give_up_store(state, &error).await;
                    state.window.put(start, bytes);
                }
            }
            None => state.window.put(start, bytes),
        }
        Ok(true)
    }

    async fn total(&self, state: &mut State) -> Result<u64> {
        loop {
            if let Some(about) = &state.about {
                return Ok(about.total);
            }
            // A server that does not say how much there is tells by its end.
            self.advance(state).await?;
        }
    }

    async fn read_on(&self, state: &mut State, range: Range<u64>) -> Result<Vec<u8>> {
        let len = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|_| Error::out_of_memory(format!("{}: a piece larger than memory", self.name)))?;
        loop {
            if let Some(store) = &mut state.store {
                if store.about().is_some() && state.about.is_some() && store.have() >= range.end {
                    let mut bytes = vec![0; len];
                    match store.read(range.start, &mut bytes) {
                        Ok(()) => return Ok(bytes),
                        Err(error) => give_up_store(state, &error).await,
                    }
                    continue;
                }
            } else {
                let far = range.start > state.at + NEAR && state.expected.sha256.is_none();
                if range.start < state.window.start || far {
                    state.go_to(range.start);
                }
                if let Some(bytes) = state.window.take(range.start, len) {
                    return Ok(bytes);
                }
            }
            if !self.advance(state).await? {
                return Err(past_the_end(&self.name, &range, state.at));
            }
        }
    }

    /// Takes in the rest of the file, and compares its SHA-256 with the expected one.
    async fn take_in(&self, state: &mut State) -> Result<()> {
        if state.finished || (state.store.is_none() && state.expected.sha256.is_none()) {
            return Ok(());
        }
        self.drain(state).await?;
        if let Some(expected) = state.expected.sha256 {
            hash_kept(state).await;
            if state.hashed < state.at {
                // The store that held the beginning failed, so the beginning has to come again.
                state.go_to(state.hashed);
                self.drain(state).await?;
            }
            self.verify(state, &expected).await?;
        }
        if let Some(store) = &mut state.store
            && let Err(error) = store.complete().await
        {
            give_up_store(state, &error).await;
        }
        state.finished = true;
        Ok(())
    }

    /// Reads the network to the end of the file; without a store the bytes go nowhere.
    async fn drain(&self, state: &mut State) -> Result<()> {
        while self.advance(state).await? {
            state.window.forget(state.at);
        }
        Ok(())
    }

    async fn verify(&self, state: &mut State, expected: &[u8; 32]) -> Result<()> {
        let found: [u8; 32] = state.hash.clone().finalize().into();
        if found == *expected {
            return Ok(());
        }
        if let Some(mut store) = state.store.take() {
            store.discard().await;
        }
        Err(Error::corrupt_file(format!(
            "{}: the bytes have the SHA-256 {}, where {} is expected; nothing of them is kept, so load again",
            self.name,
            hex(&found),
            hex(expected)
        )))
    }
}

/// Hashes what a store kept from an earlier visit, which was not hashed as it came.
async fn hash_kept(state: &mut State) {
    while let Some(store) = &mut state.store {
        let mut bytes = vec![0; store.have().saturating_sub(state.hashed).min(1 << 20) as usize];
        if bytes.is_empty() {
            return;
        }
        if let Err(error) = store.read(state.hashed, &mut bytes) {
            give_up_store(state, &error).await;
            return;
        }
        state.hash.update(&bytes);
        state.hashed += bytes.len() as u64;
    }
}

/// Goes on without a store, and says so.
async fn give_up_store(state: &mut State, error: &Error) {
    if let Some(mut store) = state.store.take() {
        store.discard().await;
    }
    state.window = Window::starting_at(state.at);
    state.warnings.push(format!("the model is not kept for the next visit: {error}"));
}

impl State {
    /// The next byte wanted from the network is that at `at`.
    fn go_to(&mut self, at: u64) {
        self.at = at;
        self.body = None;
        self.window = Window::starting_at(at);
    }
}

#[async_trait(?Send)]
impl<T: Transport> ByteSource for Download<T> {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn len(&self) -> Result<u64> {
        self.total(&mut *self.state.lock().await).await
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let mut state = self.state.lock().await;
        let total = self.total(&mut state).await?;
        if range.start > range.end || range.end > total {
            return Err(past_the_end(&self.name, &range, total));
        }
        if range.is_empty() {
            return Ok(vec![]);
        }
        self.read_on(&mut state, range).await
    }

    fn release(&self) {
        if let Some(mut state) = self.state.try_lock() {
            state.body = None;
        }
    }

    async fn finish(&self) -> Result<()> {
        self.take_in(&mut *self.state.lock().await).await
    }
}
