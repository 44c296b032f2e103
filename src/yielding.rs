//! Letting others run: on a single-threaded event loop, work that computes for long gives way now and then, so that
//! messages (an abort among them) are heard.

use web_time::{Duration, Instant};

/// Long enough to cost nothing beside the work, short enough that a page feels alive.
const TURN: Duration = Duration::from_millis(8);

/// Gives way to the event loop when a turn's time is over.
#[derive(Debug)]
pub struct Turns {
    begun: Instant,
}

impl Default for Turns {
    fn default() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Turns {
    /// Call it between pieces of work.
    pub async fn give_way(&mut self) {
        if self.begun.elapsed() >= TURN {
            give_way().await;
            self.begun = Instant::now();
        }
    }
}

/// Natively other tasks get a turn if there are any.
#[cfg(not(target_arch = "wasm32"))]
async fn give_way() {
    let mut gave = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// In a browser a resolved promise is not enough (microtasks run before any message is heard) and a timer waits at
/// least four milliseconds, so a message to ourselves marks the end of the line.
#[cfg(target_arch = "wasm32")]
async fn give_way() {
    let turn = TURN_TAKER.with(TurnTaker::wait);
    // The sender lives as long as the thread; were it gone, going on is right too.
    let _ = turn.await;
}

#[cfg(target_arch = "wasm32")]
thread_local! {
    static TURN_TAKER: TurnTaker = TurnTaker::new();
}

#[cfg(target_arch = "wasm32")]
struct TurnTaker {
    channel: Option<web_sys::MessageChannel>,
    waiting: std::rc::Rc<std::cell::RefCell<std::collections::VecDeque<futures_channel::oneshot::Sender<()>>>>,
    _on_message: wasm_bindgen::closure::Closure<dyn FnMut()>,
}

#[cfg(target_arch = "wasm32")]
impl TurnTaker {
    fn new() -> Self {
        use wasm_bindgen::JsCast;
        let waiting: std::rc::Rc<std::cell::RefCell<std::collections::VecDeque<_>>> = Default::default();
        let queue = waiting.clone();
        let on_message = wasm_bindgen::closure::Closure::<dyn FnMut()>::new(move || {
            let next: Option<futures_channel::oneshot::Sender<()>> = queue.borrow_mut().pop_front();
            if let Some(next) = next {
                // Whoever waited may have been dropped.
                let _ = next.send(());
            }
        });
        let channel = web_sys::MessageChannel::new().ok();
        if let Some(channel) = &channel {
            channel.port1().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        }
        Self { channel, waiting, _on_message: on_message }
    }

    fn wait(&self) -> futures_channel::oneshot::Receiver<()> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let posted = self.channel.as_ref().map(|c| c.port2().post_message(&wasm_bindgen::JsValue::NULL));
        match posted {
            Some(Ok(())) => self.waiting.borrow_mut().push_back(sender),
            // No channel: dropping the sender lets the work go on at once.
            _ => drop(sender),
        }
        receiver
    }
}
