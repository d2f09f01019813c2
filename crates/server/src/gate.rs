//! Who may come in, and when everybody must leave.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec};

use crate::drain;
use crate::wakers::{Entry, Wakers};

/// Where acceptors, connections and drain of one listener meet: it counts, limits, and says when to leave.
///
/// A clone is the same gate. It belongs to whoever made it and is found by nobody else.
#[derive(Clone, Default)]
pub struct Gate(Arc<Shared>);

struct Shared {
    limit: AtomicUsize,
    /// Permits that are out, of connections and of acceptors that wait for one.
    permits: AtomicUsize,
    connections: AtomicUsize,
    acceptors: AtomicUsize,
    phase: AtomicU8,
    /// Wait for a permit.
    room: Wakers,
    /// Wait for the drain to begin.
    draining: Wakers,
    /// Wait for the last to leave.
    empty: Wakers,
}

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const DRAINED: u8 = 2;

impl Gate {
    /// An open gate without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there may be at a time: one hard number for all that meet here. With 0 none is served.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        self.0.limit.store(limit, Ordering::Release);
        self
    }

    /// Whether the two are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many connections there are, claimed or still on their way to their actor.
    pub fn active(&self) -> usize {
        self.0.connections.load(Ordering::Acquire)
    }

    /// Lets a connection in, unless the limit is reached or all are asked to leave.
    pub fn admit(&self) -> Option<Permit> {
        if self.is_draining() { None } else { self.take_permit() }
    }

    /// Waits for room for one more connection.
    pub(crate) async fn room(&self) -> Permit {
        let mut waiter =
            Waiter { shared: Arc::clone(&self.0), set: |shared| &shared.room, entry: Entry::default() };
        std::future::poll_fn(|cx| waiter.poll(cx, || self.take_permit())).await
    }

    /// Resolves when all connections are asked to leave.
    pub fn draining(&self) -> Draining {
        let shared = Some(Arc::clone(&self.0));
        Draining { shared, entry: Entry::default() }
    }

    /// Whether all connections are asked to leave.
    pub fn is_draining(&self) -> bool {
        self.0.phase.load(Ordering::Acquire) != OPEN
    }

    /// The child that drains: put it after connections and acceptors, so that it is stopped first.
    ///
    /// Told to stop, it asks acceptors to close their listening sockets and connections to finish, and is done when
    /// all have, or when the deadline has passed. What is left then ends with its supervisor. When it is stopped only
    /// because an acceptor before it died, it does nothing.
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        drain::child_spec(id.into(), self.clone(), deadline)
    }

    /// Acceptors that are accepting.
    pub(crate) fn acceptors(&self) -> usize {
        self.0.acceptors.load(Ordering::Acquire)
    }

    /// Counts an acceptor until the guard is dropped.
    pub(crate) fn accepting(&self) -> Accepting {
        self.0.acceptors.fetch_add(1, Ordering::AcqRel);
        Accepting(self.clone())
    }

    /// Asks everybody to leave.
    pub(crate) fn begin_drain(&self) {
        self.0.phase.store(DRAINING, Ordering::Release);
        self.0.draining.wake_all();
    }

    /// From here on a new life may open the gate again.
    pub(crate) fn end_drain(&self) {
        self.0.phase.store(DRAINED, Ordering::Release);
    }

    /// A new life begins: lets connections in again if the old one had drained to its end.
    pub(crate) fn reopen(&self) {
        // Failure means that it is open, or that a drain is going on, which nobody may undo.
        let _ = self.0.phase.compare_exchange(DRAINED, OPEN, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Waits until nobody accepts and no connection is left.
    pub(crate) async fn empty(&self) {
        let mut waiter =
            Waiter { shared: Arc::clone(&self.0), set: |shared| &shared.empty, entry: Entry::default() };
        let empty = || (self.acceptors() == 0 && self.active() == 0).then_some(());
        std::future::poll_fn(|cx| waiter.poll(cx, empty)).await;
    }

    fn take_permit(&self) -> Option<Permit> {
        let limit = self.0.limit.load(Ordering::Acquire);
        let more = |permits: usize| (permits < limit).then_some(permits + 1);
        self.0.permits.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Permit { gate: self.clone(), connection: false })
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            permits: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            acceptors: AtomicUsize::default(),
            phase: AtomicU8::new(OPEN),
            room: Wakers::default(),
            draining: Wakers::default(),
            empty: Wakers::default(),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("limit", &self.0.limit)
            .field("active", &self.0.connections)
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// The right of one connection to be there. It goes with the connection, and ends with it by drop.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    connection: bool,
}

impl Permit {
    /// From here on it is that of a connection, and counted as such.
    pub(crate) fn count(&mut self) {
        if !self.connection {
            self.connection = true;
            self.gate.0.connections.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let shared = &self.gate.0;
        let permits = shared.permits.fetch_sub(1, Ordering::AcqRel);
        if permits >= shared.limit.load(Ordering::Acquire) {
            shared.room.wake_all();
        }
        if self.connection && shared.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.empty.wake_all();
        }
    }
}

/// An acceptor that accepts.
#[derive(Debug)]
pub(crate) struct Accepting(Gate);

impl Drop for Accepting {
    fn drop(&mut self) {
        let shared = &self.0.0;
        if shared.acceptors.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.empty.wake_all();
        }
    }
}

/// Resolves when the connection is asked to leave: finish what was begun, say good-bye, close.
///
/// It borrows nothing, so it can be waited for beside reading. Once resolved it stays so.
#[must_use = "futures do nothing unless polled"]
pub struct Draining {
    shared: Option<Arc<Shared>>,
    entry: Entry,
}

impl Draining {
    /// For a connection that belongs to no gate.
    pub(crate) fn never() -> Self {
        Self { shared: None, entry: Entry::default() }
    }

    /// Whether the connection is asked to leave.
    pub fn is_draining(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.phase.load(Ordering::Acquire) != OPEN)
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
        let begun = || (shared.phase.load(Ordering::Acquire) != OPEN).then_some(());
        entry.poll(&shared.draining, cx, begun)
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.entry.leave(&shared.draining);
        }
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("is_draining", &self.is_draining()).finish_non_exhaustive()
    }
}

/// A task that waits at a gate, and does not any more when dropped.
struct Waiter {
    shared: Arc<Shared>,
    set: fn(&Shared) -> &Wakers,
    entry: Entry,
}

impl Waiter {
    fn poll<T>(&mut self, cx: &Context<'_>, condition: impl Fn() -> Option<T>) -> Poll<T> {
        self.entry.poll((self.set)(&self.shared), cx, condition)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.entry.leave((self.set)(&self.shared));
    }
}
