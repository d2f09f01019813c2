//! The state behind a tracker, its permits and its waiting tasks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use impresario_actor::{ChildId, SupervisorRef};
use impresario_supervision::Time;
use tokio::time::Instant;

use super::connection_table::ConnectionTable;
use super::limits::{AdmissionRules, Policy};
use super::metrics::{Counter, Counters};
use super::phase::Phase;
use super::wait::WakerSet;

/// What the clones of a [`ConnectionTracker`](super::ConnectionTracker) share.
pub(crate) struct Shared {
    /// The most connections that count at a time.
    pub(super) limit: AtomicUsize,
    /// A [`Policy`] as a number.
    pub(super) policy: AtomicU8,
    /// Permits that count against the limit. A permit without a connection counts too.
    pub(super) permits: AtomicUsize,
    /// All connections.
    pub(super) connections: AtomicUsize,
    /// Connections that do not count against the limit.
    pub(super) excluded: AtomicUsize,
    /// Acceptors that run now.
    pub(super) acceptors: AtomicUsize,
    /// Listening sockets that an acceptor accepts on now.
    pub(super) listening: AtomicUsize,
    /// The supervisor of the connections. It runs only if they are [`Connections`](crate::Connections).
    pub(super) supervisor: SupervisorRef,
    /// The id of the listener, for reports of its connections.
    pub(super) name: OnceLock<ChildId>,
    /// A [`Phase`] as a number.
    pub(super) phase: AtomicU8,
    /// Whether `rules` limits peers or the rate. While `false`, no admission takes the lock of `rules`.
    pub(super) has_rules: AtomicBool,
    /// The lowest threshold of the alarms; `usize::MAX` without alarms.
    pub(super) alarm_at: AtomicUsize,
    rules: Mutex<AdmissionRules>,
    pub(super) table: ConnectionTable,
    pub(super) counters: Counters,
    start: Instant,
    /// Tasks that wait for a permit or a token, or for a change of limit, policy or rate.
    pub(super) capacity: WakerSet,
    /// Tasks that wait for the drain to begin.
    pub(super) draining: WakerSet,
    /// Tasks that wait for another phase, or until no socket is accepted on.
    pub(super) phases: WakerSet,
    /// Tasks that wait until no connection is left and no socket is accepted on.
    pub(super) empty: WakerSet,
    /// Tasks that wait for a number of connections.
    pub(super) changes: WakerSet,
    /// The number of tasks that wait in `changes`. At 0 a change takes no lock.
    pub(super) watchers: AtomicUsize,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            policy: AtomicU8::new(Policy::Queue as u8),
            permits: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            excluded: AtomicUsize::default(),
            acceptors: AtomicUsize::default(),
            listening: AtomicUsize::default(),
            supervisor: SupervisorRef::new(),
            name: OnceLock::new(),
            phase: AtomicU8::new(Phase::Open.number()),
            has_rules: AtomicBool::new(false),
            alarm_at: AtomicUsize::new(usize::MAX),
            rules: Mutex::default(),
            table: ConnectionTable::default(),
            counters: Counters::default(),
            start: Instant::now(),
            capacity: WakerSet::default(),
            draining: WakerSet::default(),
            phases: WakerSet::default(),
            empty: WakerSet::default(),
            changes: WakerSet::default(),
            watchers: AtomicUsize::default(),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::from_start(self.start.elapsed())
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::numbered(self.phase.load(Ordering::SeqCst))
    }

    /// Each change under the lock is a single step that cannot panic half-way, so a poisoned lock is still consistent.
    pub(super) fn rules(&self) -> MutexGuard<'_, AdmissionRules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.add(counter);
    }

    pub(super) fn active(&self) -> usize {
        self.all().saturating_sub(self.excluded.load(Ordering::SeqCst))
    }

    pub(super) fn all(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Frees a permit that counted against the limit. Wakes tasks only if the limit was reached.
    pub(super) fn release_permit(&self) {
        let permits = self.permits.fetch_sub(1, Ordering::SeqCst);
        if permits >= self.limit() {
            self.capacity.wake_all();
        }
    }

    /// Wakes the tasks that wait for a number of connections.
    pub(super) fn notify_changed(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.changes.wake_all();
        }
    }

    /// Wakes the tasks that wait for the last acceptor or the last socket.
    fn notify_none_left(&self) {
        self.phases.wake_all();
        self.empty.wake_all();
    }
}

/// Adds one to a number of [`Shared`] (acceptors, sockets or watchers) until it is dropped.
pub(crate) struct ActiveGuard {
    shared: Arc<Shared>,
    number: fn(&Shared) -> &AtomicUsize,
}

impl ActiveGuard {
    pub(super) fn new(shared: &Arc<Shared>, number: fn(&Shared) -> &AtomicUsize) -> Self {
        number(shared).fetch_add(1, Ordering::SeqCst);
        Self { shared: Arc::clone(shared), number }
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        if (self.number)(&self.shared).fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.notify_none_left();
        }
    }
}
