//! Stopping long work: a flag that clones share, a check to put between pieces of work, a future to race against.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::future::{Either, select};

use crate::{Error, Result};

/// A flag that says "stop". Clones share it; once raised it stays raised.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Shared {
    /// Nothing in here can be left half done by a panic elsewhere, so a poisoned lock is as good as any.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes whoever waits for it.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut self.0.waiting().wakers);
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// An error with the code `aborted` where the flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Self::error()) } else { Ok(()) }
    }

    /// What a cancelled call answers with.
    pub fn error() -> Error {
        Error::aborted("the call was aborted by its caller; call again to start afresh")
    }

    /// Ready once the flag is raised.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { shared: self.0.clone(), place: None }
    }

    /// The answer of `work`, or the error `aborted` as soon as the flag is raised; `work` is then dropped.
    pub async fn race<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        match select(self.cancelled(), std::pin::pin!(work)).await {
            Either::Left(_) => Err(Self::error()),
            Either::Right((answer, _)) => answer,
        }
    }
}

/// See [`Cancel::cancelled`].
#[derive(Debug)]
pub struct Cancelled {
    shared: Arc<Shared>,
    place: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut waiting = shared.waiting();
        // Under the lock: `cancel` raises the flag before it takes the wakers, so none is put down after they were taken.
        if shared.raised.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let place = *self.place.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        waiting.wakers.insert(place, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.waiting().wakers.remove(&place);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_raised_flag_stops_every_clone_with_the_code_aborted() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        assert!(clone.check().is_ok());
        cancel.cancel();
        assert_eq!(clone.check().unwrap_err().code(), ErrorCode::Aborted);
    }

    #[test]
    fn work_that_would_never_end_is_dropped_when_the_flag_is_raised() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        let raise = async move {
            clone.cancel();
            Ok::<_, Error>(())
        };
        let (answer, _) =
            pollster::block_on(futures_util::future::join(cancel.race(std::future::pending::<Result<()>>()), raise));
        assert_eq!(answer.unwrap_err().code(), ErrorCode::Aborted);
    }

    #[test]
    fn a_wait_that_is_dropped_leaves_no_waker_behind() {
        let cancel = Cancel::new();
        assert_eq!(pollster::block_on(cancel.race(async { Ok(7) })).unwrap(), 7);
        assert!(cancel.0.waiting().wakers.is_empty());
    }
}
