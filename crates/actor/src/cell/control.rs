//! The control flags of a cell: requests to the actor's task, and what that task has done about them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Wake;
use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation, Time};

use crate::cell::tree_core::TreeCore;
use crate::cell::{ActorCell, ColdState, State};
use crate::sync::{AtomicU32, AtomicWaker, Mutex, lock};

/// A stop is requested.
pub(crate) const STOP: u32 = 1;
/// A kill is requested.
pub(crate) const KILL: u32 = 2;
/// Signals are queued.
pub(crate) const SIGNALS: u32 = 4;
/// The actor is suspended.
pub(crate) const SUSPENDED: u32 = 8;
/// System messages are queued.
pub(crate) const SYSTEM_PENDING: u32 = 16;
/// A trace is set.
pub(crate) const TRACED: u32 = 32;
/// The queue of actix may hold a message.
pub(crate) const ADDR_PENDING: u32 = 64;
/// The stop that `STOP` requests was delivered to the actor.
pub(crate) const STOP_DELIVERED: u32 = 128;
/// A handler has panicked. The message loop handles no more messages, and the task ends the actor after this poll.
pub(crate) const POISONED: u32 = 256;

/// A value of the control flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlFlags(pub(crate) u32);

impl ControlFlags {
    pub(crate) fn stop(self) -> bool {
        self.0 & STOP != 0
    }

    pub(crate) fn kill(self) -> bool {
        self.0 & KILL != 0
    }

    pub(crate) fn signals(self) -> bool {
        self.0 & SIGNALS != 0
    }

    /// The stop was delivered to the actor.
    pub(crate) fn stop_delivered(self) -> bool {
        self.0 & STOP_DELIVERED != 0
    }
}

impl ActorCell {
    /// The cell of an incarnation that starts at this age of the tree.
    pub(crate) fn new(tree: Arc<TreeCore>, incarnation: Incarnation, now: Time) -> Arc<Self> {
        Arc::new(Self {
            number: tree.next_number(),
            incarnation,
            started_at: now.since_start().as_nanos().try_into().unwrap_or(u64::MAX),
            tree,
            // The message loop has not polled the queue of actix yet.
            flags: AtomicU32::new(ADDR_PENDING),
            waker: AtomicWaker::new(),
            state: Mutex::default(),
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The tree that the actor belongs to.
    pub(crate) fn tree(&self) -> &Arc<TreeCore> {
        &self.tree
    }

    /// The time since the incarnation started.
    pub(crate) fn age(&self) -> Duration {
        self.tree.age().saturating_sub(Duration::from_nanos(self.started_at))
    }

    /// Requests a stop. Has no effect after a kill.
    pub(crate) fn stop(&self) {
        let unless_killed = |flags: u32| (flags & KILL == 0).then_some(flags | STOP);
        if self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_killed).is_ok() {
            self.waker.wake();
        }
    }

    /// Requests a stop with this exit reason instead of `Shutdown`.
    pub(crate) fn stop_with_reason(&self, reason: ExitReason) {
        self.set_exit_reason(reason);
        self.stop();
    }

    /// Ends the actor at its next poll. The actor cannot refuse it.
    pub(crate) fn kill(&self) {
        self.set_flags(KILL);
    }

    pub(crate) fn is_stop_requested(&self) -> bool {
        self.flags.load(Ordering::Acquire) & STOP != 0
    }

    /// Whether the requested stop was delivered to the actor.
    pub(crate) fn is_stop_delivered(&self) -> bool {
        ControlFlags(self.flags.load(Ordering::Acquire)).stop_delivered()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & KILL != 0
    }

    fn set_flags(&self, flags: u32) {
        self.flags.fetch_or(flags, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Marks the stop as delivered. Called by the actor's own task only, once.
    pub(crate) fn set_stop_delivered(&self) {
        self.flags.fetch_or(STOP_DELIVERED, Ordering::AcqRel);
    }

    /// Marks the actor as poisoned. Called by its own task only; the flag is never cleared.
    pub(super) fn set_poisoned(&self) {
        self.flags.fetch_or(POISONED, Ordering::AcqRel);
    }

    /// Whether a handler has panicked. Called by the actor's own task only, which sets the flag: relaxed is enough.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & POISONED != 0
    }

    /// The queue of actix may hold more messages.
    pub(crate) fn set_addr_pending(&self) {
        self.flags.fetch_or(ADDR_PENDING, Ordering::AcqRel);
    }

    /// Whether the queue of actix may hold a message since the last poll of it. Clears the flag.
    pub(crate) fn take_addr_pending(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ADDR_PENDING != 0
            && self.flags.fetch_and(!ADDR_PENDING, Ordering::AcqRel) & ADDR_PENDING != 0
    }

    /// Wakes the actor's task: a message is in the mailbox.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Suspends or resumes the actor. Called by its own task only.
    pub(crate) fn set_suspended(&self, suspended: bool) {
        if suspended {
            self.flags.fetch_or(SUSPENDED, Ordering::AcqRel);
        } else {
            self.flags.fetch_and(!SUSPENDED, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SUSPENDED != 0
    }

    /// Reads the flags and registers the task to be woken when they change.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> ControlFlags {
        // Register first, read second: a flag that is set in between wakes the task again.
        self.waker.register(cx.waker());
        ControlFlags(self.flags.load(Ordering::Acquire))
    }

    /// Queues something by `put`, sets the flag and wakes the task. Returns false if the actor has exited, or if `put` did.
    pub(super) fn enqueue(&self, bit: u32, put: impl FnOnce(&mut ColdState) -> bool) -> bool {
        {
            let mut state = lock(&self.state);
            if state.exit_reason.is_some() || !put(state.cold()) {
                return false;
            }
            self.flags.fetch_or(bit, Ordering::AcqRel);
        }
        self.waker.wake();
        true
    }

    /// Works on the cold state, or fails with the exit reason.
    pub(super) fn with_cold<T>(&self, work: impl FnOnce(&mut ColdState) -> T) -> Result<T, ExitReason> {
        let mut state = lock(&self.state);
        match &state.exit_reason {
            Some(reason) => Err(ExitReason::clone(reason)),
            None => Ok(work(state.cold())),
        }
    }
}

/// The waker that the queue of actix calls.
impl Wake for ActorCell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_flags(ADDR_PENDING);
    }
}

impl State {
    /// The cold state, allocated on first use.
    pub(super) fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }
}

impl fmt::Debug for ActorCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorCell").field("number", &self.number).finish_non_exhaustive()
    }
}
