//! The state behind a tracker, its permits and its waiting tasks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impresario_actor::SupervisorRef;
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
    /// Permits that exist and count against the limit.
    pub(super) permits: AtomicUsize,
    /// Connections that exist.
    pub(super) connections: AtomicUsize,
    /// Connections that exist and do not count against the limit.
    pub(super) excluded: AtomicUsize,
    /// Acceptors that run.
    pub(super) acceptors: AtomicUsize,
    /// Sockets that acceptors accept on.
    pub(super) listening: AtomicUsize,
    /// The supervisor of the connections, if they are [`Connections`](crate::Connections).
    pub(super) supervisor: SupervisorRef,
    /// A [`Phase`] as a number.
    pub(super) phase: AtomicU8,
    /// Whether `rules` has anything to decide; without it, no connection takes the lock.
    pub(super) has_rules: AtomicBool,
    /// The lowest threshold of the alarms.
    pub(super) alarm_at: AtomicUsize,
    rules: Mutex<AdmissionRules>,
    pub(super) table: ConnectionTable,
    pub(super) counters: Counters,
    start: Instant,
    /// Tasks that wait for capacity.
    pub(super) capacity: WakerSet,
    /// Tasks that wait for the drain to begin.
    pub(super) draining: WakerSet,
    /// Tasks that wait for another phase, or for a socket to be closed.
    pub(super) phases: WakerSet,
    /// Tasks that wait for the last connection to end.
    pub(super) empty: WakerSet,
    /// Tasks that wait for a number of connections.
    pub(super) changes: WakerSet,
    /// How many tasks wait in `changes`.
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

    /// A permit that counted is free.
    pub(super) fn release_permit(&self) {
        let permits = self.permits.fetch_sub(1, Ordering::SeqCst);
        if permits >= self.limit() {
            self.capacity.wake_all();
        }
    }

    /// The number of connections has changed.
    pub(super) fn notify_changed(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.changes.wake_all();
        }
    }

    /// The last acceptor has exited, or the last socket is closed.
    fn notify_none_left(&self) {
        self.phases.wake_all();
        self.empty.wake_all();
    }
}

/// Counts an acceptor, a socket or a waiting task in one of the numbers of [`Shared`] until it is dropped.
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
