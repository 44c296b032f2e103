//! A model on a device, as all its calls hold it: what it is, what it took, whose turn it is, whether it was closed.
//!
//! Language models, image models and autoencoders are each a [`Kind`]; what one of them alone can do is written beside it, as methods of
//! `Loaded` over it.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::lock::{Mutex, OwnedMutexGuard};
use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    backend::{Device, Loader, Resident},
    cancel::Cancel,
    graph::{Graph, WeightId},
    weights::{Recipes, RowSink, WeightFile},
};

/// A kind of model: what its calls share without a turn (a tokenizer, a pipeline).
pub trait Kind {
    /// What a model is; it never changes.
    type Info;
    /// What a model took.
    type Stats: Copy;
    /// What one call at a time works with: weights, caches and plans on the device.
    type Session;

    /// Brings `stats` to what the session takes now.
    fn refresh(stats: &mut Self::Stats, session: &Self::Session);
}

struct Shared<K: Kind> {
    kind: K,
    info: K::Info,
    stats: RefCell<K::Stats>,
    session: Arc<Mutex<K::Session>>,
    closed: Cell<bool>,
}

/// A model on a device. Clones are the same model. Calls take turns: while one runs, the next waits.
pub struct Loaded<K: Kind>(Rc<Shared<K>>);

impl<K: Kind> Clone for Loaded<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kind> Deref for Loaded<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0.kind
    }
}

impl<K: Kind> Loaded<K> {
    pub(crate) fn new(kind: K, info: K::Info, stats: K::Stats, session: K::Session) -> Self {
        // The lock is for turns, not for threads: a model stays on one.
        #[allow(clippy::arc_with_non_send_sync)]
        let session = Arc::new(Mutex::new(session));
        Self(Rc::new(Shared { kind, info, stats: RefCell::new(stats), session, closed: Cell::new(false) }))
    }

    /// What it is.
    pub fn info(&self) -> &K::Info {
        &self.0.info
    }

    /// What it took so far.
    pub fn stats(&self) -> K::Stats {
        let mut stats = self.0.stats.borrow_mut();
        if let Some(session) = self.0.session.try_lock() {
            K::refresh(&mut stats, &session);
        }
        *stats
    }

    /// Refuses all further calls; one that runs ends with the error `closed` at its next step. The device's memory is free when the last
    /// clone and the last call are dropped.
    pub fn close(&self) {
        self.0.closed.set(true);
    }

    /// Errors: `closed`.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.0.closed.get() {
            return Err(Error::closed("the model was unloaded; load it again"));
        }
        Ok(())
    }

    /// Whose turn is waited for first, of two models that one call needs.
    pub(crate) fn goes_before(&self, other: &Self) -> bool {
        Rc::as_ptr(&self.0) < Rc::as_ptr(&other.0)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until no other call runs. Errors: `aborted`, and `closed` where the model was closed meanwhile.
    pub(crate) async fn turn(&self, cancel: &Cancel) -> Result<OwnedMutexGuard<K::Session>> {
        self.check_open()?;
        let session = self.0.session.clone();
        let session = cancel.race(async { Ok(session.lock_owned().await) }).await?;
        self.check_open()?;
        Ok(session)
    }

    pub(crate) fn record(&self, what: impl FnOnce(&mut K::Stats)) {
        what(&mut self.0.stats.borrow_mut());
    }
}

/// Streams the weights of each graph to the device, all out of one file. `progress` is told the bytes given to the device and the bytes in
/// all. Comes with a SHA-256 of how each weight begins, by which other weights of the same shapes are told.
///
/// Errors: those of the file, its sources and the device; `aborted`.
pub(crate) async fn stream_weights(
    file: &WeightFile,
    device: &Device,
    parts: &[(&Graph, &Recipes)],
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<(Vec<Resident>, [u8; 32])> {
    let bytes = parts.iter().map(|(graph, recipes)| file.bytes_of(graph, recipes)).collect::<Result<Vec<_>>>()?;
    let total = bytes.iter().sum();
    let (mut residents, mut before, mut digest) = (vec![], 0, Sha256::new());
    for ((graph, recipes), bytes) in parts.iter().zip(bytes) {
        let mut loader = Noting { loader: cancel.race(device.begin(graph)).await?, digest: &mut digest };
        let mut tell = |loaded, _| progress(before + loaded, total);
        file.stream_some(graph, recipes, &mut loader, &mut tell, cancel).await?;
        residents.push(cancel.race(loader.loader.finish()).await?);
        before += bytes;
    }
    file.finish(cancel).await?;
    Ok((residents, digest.finalize().into()))
}

/// Bytes of a weight that are taken down.
const BEGINNING: usize = 256;

/// A loader, and how each weight that went to it begins.
struct Noting<'a> {
    loader: Loader,
    digest: &'a mut Sha256,
}

#[async_trait(?Send)]
impl RowSink for Noting<'_> {
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        if first_row == 0 {
            self.digest.update(weight.0.to_le_bytes());
            self.digest.update(&bytes[..bytes.len().min(BEGINNING)]);
        }
        self.loader.put(weight, first_row, bytes)
    }

    async fn settle(&mut self) -> Result<()> {
        self.loader.settle().await
    }
}
