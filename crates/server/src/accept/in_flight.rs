//! How many connections may be on their way to their actors at a time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;

/// Hand-overs without an answer yet. Belongs to one acceptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<State>);

#[derive(Debug, Default)]
struct State {
    open: AtomicUsize,
    acceptor: AtomicWaker,
}

/// A hand-over without an answer yet. Its drop is the answer.
#[derive(Debug)]
pub(crate) struct InFlightPermit(InFlight);

impl InFlight {
    /// One more. Call [`room`](Self::room) first.
    pub(crate) fn begin(&self) -> InFlightPermit {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        InFlightPermit(self.clone())
    }

    /// Whether there are fewer than `limit`.
    pub(crate) fn has_capacity(&self, limit: usize) -> bool {
        self.0.open.load(Ordering::Acquire) < limit
    }

    /// Waits until there are fewer than `limit`.
    pub(crate) async fn wait_for_capacity(&self, limit: usize) {
        poll_fn(|cx| {
            if self.has_capacity(limit) {
                return Poll::Ready(());
            }
            self.0.acceptor.register(cx.waker());
            // One may have ended before the waker was there.
            if self.has_capacity(limit) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        let state = &self.0.0;
        state.open.fetch_sub(1, Ordering::AcqRel);
        state.acceptor.wake();
    }
}
