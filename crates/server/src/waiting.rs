//! Waiting at a gate.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::ConnectionTracker;
use crate::gate::Shared;
use crate::wakers::{Entry, Wakers};

/// Waits for as long as may be; `None` when that was not long enough.
pub(crate) async fn within<T>(limit: Option<Duration>, end: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, end).await.ok(),
        None => Some(end.await),
    }
}

/// Something that is counted until it is dropped: an acceptor, a socket.
pub(crate) struct Guard {
    gate: ConnectionTracker,
    count: fn(&Shared) -> &AtomicUsize,
}

impl Guard {
    pub(crate) fn new(gate: &ConnectionTracker, count: fn(&Shared) -> &AtomicUsize) -> Self {
        count(gate.shared()).fetch_add(1, Ordering::SeqCst);
        Self { gate: gate.clone(), count }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = self.gate.shared();
        if (self.count)(shared).fetch_sub(1, Ordering::SeqCst) == 1 {
            shared.uncounted_one();
        }
    }
}

/// Resolves when the connection is asked to leave: finish what was begun, say good-bye, close.
///
/// It borrows nothing, so it can be waited for beside reading.
#[must_use = "futures do nothing unless polled"]
pub struct Draining {
    shared: Option<Arc<Shared>>,
    entry: Entry,
}

impl Draining {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Some(Arc::clone(shared)), entry: Entry::default() }
    }

    /// For a connection that belongs to no gate.
    pub(crate) fn never() -> Self {
        Self { shared: None, entry: Entry::default() }
    }

    /// Whether the connection is asked to leave.
    pub fn is_draining(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.phase().asks_to_leave())
    }
}

/// Another that waits for the same.
impl Clone for Draining {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), entry: Entry::default() }
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, entry } = &mut *self;
        let Some(shared) = shared else { return Poll::Pending };
        let begun = || shared.phase().asks_to_leave().then_some(());
        entry.poll(shared.drain_wakers(), cx, begun)
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.entry.leave(shared.drain_wakers());
        }
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("is_draining", &self.is_draining()).finish_non_exhaustive()
    }
}

/// A task that waits at a gate, and does not any more when dropped.
pub(crate) struct Waiter {
    shared: Arc<Shared>,
    set: fn(&Shared) -> &Wakers,
    entry: Entry,
}

impl Waiter {
    pub(crate) fn new(shared: &Arc<Shared>, set: fn(&Shared) -> &Wakers) -> Self {
        Self { shared: Arc::clone(shared), set, entry: Entry::default() }
    }

    pub(crate) fn poll<T>(&mut self, cx: &Context<'_>, condition: impl Fn() -> Option<T>) -> Poll<T> {
        self.entry.poll((self.set)(&self.shared), cx, condition)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.entry.leave((self.set)(&self.shared));
    }
}
