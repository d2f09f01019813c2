//! What is known of one life, by whoever may tell it something or wants to hear of its end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Wake;
use std::time::Duration;

use actix::Actor;
use impresario_supervision::{ExitReason, Incarnation, Time};

use crate::bonds::Links;
use crate::door::{AnyMailbox, Mailbox};
use crate::errand::{SnapshotFn, SystemMessage};
use crate::panic::catch_panic;
use crate::signal::Signal;
use crate::sync::{AtomicU8, AtomicWaker, Mutex, MutexGuard};
use crate::trace::{TraceKind, TraceSink};
use crate::word::{
    ADDR_PENDING, ControlFlags, KILL, SIGNALS, STOP, STOP_DELIVERED, SUSPENDED, SYSTEM_PENDING, TRACED,
};
use crate::{Pid, Registry};

/// How many errands may wait for a life. Each has somebody who waits for it, so more are a sign of a stuck actor.
const MAX_SYSTEM_MESSAGES: usize = 64;

/// How many signals may wait for a life before one more exit signal of a stranger is refused.
const MAX_SIGNALS: usize = 65_536;

/// One life of a child: who it is, how it is told something out of band (so that a full or stuck mailbox is in nobody's
/// way), and who hears of its end.
///
/// The bits that say that something waits are changed under the lock of what waits: they are set if and only if there is
/// something. Suspended is a life by its own hand only, so nobody races with it.
pub(crate) struct ActorCell {
    number: u64,
    incarnation: Incarnation,
    system: Registry,
    /// When it began, in nanoseconds of the system's age: half as large as an `Instant`.
    started_at: u64,
    flags: AtomicU8,
    waker: AtomicWaker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How the actor is reached, while it lives.
    mailbox: Option<Arc<dyn AnyMailbox>>,
    /// How it ended.
    exit_reason: Option<Box<ExitReason>>,
    /// What most lives never need.
    cold: Option<Box<ColdState>>,
}

#[derive(Default)]
struct ColdState {
    exit_reason_override: Option<ExitReason>,
    /// That of the first panic, which no other takes the place of.
    panic: Option<ExitReason>,
    signals: VecDeque<Signal>,
    system_messages: VecDeque<SystemMessage>,
    links: Links,
    /// How to ask it what it supervises, if it does.
    snapshot_fn: Option<SnapshotFn>,
    trace: Option<TraceSink>,
    /// The system knows it by a name or in a group.
    registered: bool,
}

impl ActorCell {
    /// Begins at this age of the system.
    pub(crate) fn new(system: Registry, incarnation: Incarnation, now: Time) -> Arc<Self> {
        Arc::new(Self {
            number: system.next_number(),
            incarnation,
            started_at: now.since_start().as_nanos().try_into().unwrap_or(u64::MAX),
            system,
            // Nobody has looked yet.
            flags: AtomicU8::new(ADDR_PENDING),
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

    pub(crate) fn system(&self) -> &Registry {
        &self.system
    }

    /// How long ago it began.
    pub(crate) fn age(&self) -> Duration {
        self.system.age().saturating_sub(Duration::from_nanos(self.started_at))
    }

    /// Asks the life to stop. One that was killed before is asked nothing.
    pub(crate) fn stop(&self) {
        let unless_killed = |flags: u8| (flags & KILL == 0).then_some(flags | STOP);
        if self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_killed).is_ok() {
            self.waker.wake();
        }
    }

    /// Asks the life to stop, for a reason other than the usual one.
    pub(crate) fn stop_with_reason(&self, reason: ExitReason) {
        self.set_exit_reason(reason);
        self.stop();
    }

    /// Ends the life at its next poll. Cannot be refused.
    pub(crate) fn kill(&self) {
        self.set_flags(KILL);
    }

    pub(crate) fn is_stop_requested(&self) -> bool {
        self.flags.load(Ordering::Acquire) & STOP != 0
    }

    /// Whether the actor was told to stop, and has heard it.
    pub(crate) fn is_stop_delivered(&self) -> bool {
        ControlFlags(self.flags.load(Ordering::Acquire)).stop_delivered()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & KILL != 0
    }

    fn set_flags(&self, flags: u8) {
        self.flags.fetch_or(flags, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The actor is being told to stop, once. Only its own task says so.
    pub(crate) fn set_stop_delivered(&self) {
        self.flags.fetch_or(STOP_DELIVERED, Ordering::AcqRel);
    }

    /// The queue of actix may hold more.
    pub(crate) fn set_addr_pending(&self) {
        self.flags.fetch_or(ADDR_PENDING, Ordering::AcqRel);
    }

    /// Whether the queue of actix may hold something that nobody has looked at.
    pub(crate) fn take_addr_pending(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ADDR_PENDING != 0
            && self.flags.fetch_and(!ADDR_PENDING, Ordering::AcqRel) & ADDR_PENDING != 0
    }

    /// Lets the life find a message at its door.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// From now on the life is suspended, or is not any more. Only its own task says so.
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

    /// Reads the word and arranges to be polled when it changes.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> ControlFlags {
        // Register first, read second: a word written in between wakes us again.
        self.waker.register(cx.waker());
        ControlFlags(self.flags.load(Ordering::Acquire))
    }

    /// Leaves something for a life that is not over, unless `put` did not, and lets it know.
    fn enqueue(&self, bit: u8, put: impl FnOnce(&mut ColdState) -> bool) -> bool {
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

    /// Lets the life find a signal at its next poll. A life that is over does not hear it, and one that has no turn hears
    /// only so many of strangers.
    pub(crate) fn signal(&self, signal: Signal) {
        self.enqueue(SIGNALS, |cold| {
            let admitted = !signal.is_unsolicited() || cold.signals.len() < MAX_SIGNALS;
            if admitted {
                cold.signals.push_back(signal);
            }
            admitted
        });
    }

    /// The other end of a link is over. Both forget the link in the same step in which the signal is sent, so a link that
    /// was taken back before sends none.
    pub(crate) fn linked_exit(&self, from: &Pid, reason: &ExitReason) {
        self.enqueue(SIGNALS, |cold| {
            let linked = cold.links.remove(from);
            if linked {
                let (from, reason) = (Some(from.clone()), reason.clone());
                cold.signals.push_back(Signal::Exit { from, reason, linked });
            }
            linked
        });
    }

    /// The signals that have come, in order.
    pub(crate) fn take_signals(&self) -> VecDeque<Signal> {
        let mut state = lock(&self.state);
        self.flags.fetch_and(!SIGNALS, Ordering::AcqRel);
        state.cold.as_mut().map(|cold| std::mem::take(&mut cold.signals)).unwrap_or_default()
    }

    /// Lets the actor find an errand between two messages; `false` if too many wait. A life that is over drops it.
    pub(crate) fn push_system_message(&self, message: SystemMessage) -> bool {
        let mut full = false;
        self.enqueue(SYSTEM_PENDING, |cold| {
            full = cold.system_messages.len() >= MAX_SYSTEM_MESSAGES;
            if !full {
                cold.system_messages.push_back(message);
            }
            !full
        });
        !full
    }

    /// An errand of the life's own, of which there is one at most: it is never refused, and done before those of others,
    /// which may be more than fit into a turn.
    pub(crate) fn push_front_system_message(&self, message: SystemMessage) {
        self.enqueue(SYSTEM_PENDING, |cold| {
            cold.system_messages.push_front(message);
            true
        });
    }

    /// Lets the actor go on, after the errands before this one. It is never refused: two in a row are one.
    pub(crate) fn resume(&self) {
        self.enqueue(SYSTEM_PENDING, |cold| {
            if !matches!(cold.system_messages.back(), Some(SystemMessage::Resume)) {
                cold.system_messages.push_back(SystemMessage::Resume);
            }
            true
        });
    }

    /// The next errand.
    pub(crate) fn pop_system_message(&self) -> Option<SystemMessage> {
        if !self.has_system_messages() {
            return None;
        }
        let mut state = lock(&self.state);
        let system_messages = &mut state.cold.as_mut()?.system_messages;
        let message = system_messages.pop_front();
        if system_messages.is_empty() {
            self.flags.fetch_and(!SYSTEM_PENDING, Ordering::AcqRel);
        }
        message
    }

    pub(crate) fn has_system_messages(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SYSTEM_PENDING != 0
    }

    /// Links two lives. If the other is over, that is an exit signal.
    pub(crate) fn link(self: &Arc<Self>, to: &Pid) {
        let own = Pid::of(self);
        if own == *to {
            return;
        }
        let no_proc = self.with_both(to.cell(), |mine, theirs| {
            if mine.exit_reason.is_some() {
                return false;
            }
            if theirs.exit_reason.is_some() {
                // One that is linked already is about to hear of the end over that link.
                return !mine.cold().links.is_linked(to);
            }
            mine.cold().links.insert(to);
            theirs.cold().links.insert(&own);
            false
        });
        if no_proc {
            self.signal(Signal::Exit { from: Some(to.clone()), reason: ExitReason::NoProc, linked: true });
        }
    }

    /// Takes a link back, and what it has sent and nobody has looked at.
    pub(crate) fn unlink(self: &Arc<Self>, from: &Pid) {
        let own = Pid::of(self);
        if own == *from {
            return;
        }
        self.with_both(from.cell(), |mine, theirs| {
            if let Some(cold) = &mut theirs.cold {
                cold.links.remove(&own);
            }
            if let Some(cold) = &mut mine.cold {
                cold.links.remove(from);
                let via_link = |signal: &Signal| matches!(signal, Signal::Exit { from: Some(pid), linked: true, .. } if pid == from);
                cold.signals.retain(|signal| !via_link(signal));
            }
        });
    }

    /// Works on two lives in one step, so that no link is ever half.
    fn with_both<T>(&self, other: &Self, work: impl FnOnce(&mut State, &mut State) -> T) -> T {
        // Two that do this with each other take the locks in the same order.
        let (mut mine, mut theirs);
        if std::ptr::from_ref(self).addr() < std::ptr::from_ref(other).addr() {
            mine = lock(&self.state);
            theirs = lock(&other.state);
        } else {
            theirs = lock(&other.state);
            mine = lock(&self.state);
        }
        work(&mut mine, &mut theirs)
    }

    /// From now on somebody hears of all the life does, or nobody any more. A life that is over does nothing.
    pub(crate) fn set_trace(&self, sink: Option<TraceSink>) {
        let mut state = lock(&self.state);
        if state.exit_reason.is_some() {
            return;
        }
        let bit = if sink.is_some() { TRACED } else { 0 };
        // The old one is dropped outside of the lock: it may be anything.
        let old = std::mem::replace(&mut state.cold().trace, sink);
        self.flags.fetch_and(!TRACED, Ordering::AcqRel);
        self.flags.fetch_or(bit, Ordering::AcqRel);
        drop(state);
        drop(old);
    }

    /// Tells what the life does to whoever wants to hear of it.
    pub(crate) fn trace(self: &Arc<Self>, what: impl FnOnce() -> TraceKind) {
        if self.flags.load(Ordering::Relaxed) & TRACED == 0 {
            return;
        }
        let sink = lock(&self.state).cold.as_ref().and_then(|cold| cold.trace.clone());
        if let Some(sink) = sink {
            sink.record(Pid::of(self), what());
        }
    }

    /// It supervises others, and is asked about them so.
    pub(crate) fn set_snapshot_fn(&self, snapshot_fn: SnapshotFn) {
        // A life that is over is not asked.
        let _ = self.with_cold(|cold| cold.snapshot_fn = Some(snapshot_fn));
    }

    pub(crate) fn snapshot_fn(&self) -> Option<SnapshotFn> {
        lock(&self.state).cold.as_ref()?.snapshot_fn
    }

    /// The reason that the life gives for its own end.
    pub(crate) fn set_exit_reason(&self, reason: ExitReason) {
        // A life that is over has given its reason.
        let _ = self.with_cold(|cold| cold.exit_reason_override = Some(reason));
    }

    /// The actor has panicked, and ends at this turn.
    pub(crate) fn set_panic(&self, reason: ExitReason) {
        let _ = self.with_cold(|cold| cold.panic = Some(reason));
    }

    pub(crate) fn take_panic(&self) -> Option<ExitReason> {
        lock(&self.state).cold.as_mut()?.panic.take()
    }

    /// Why the life would end if it ended by itself now.
    pub(crate) fn pending_exit_reason(&self) -> ExitReason {
        let own = lock(&self.state).cold.as_ref().and_then(|cold| cold.exit_reason_override.clone());
        let stop = ControlFlags(self.flags.load(Ordering::Acquire)).stop();
        own.unwrap_or(if stop { ExitReason::Shutdown } else { ExitReason::Normal })
    }

    pub(crate) fn take_exit_reason(&self) -> Option<ExitReason> {
        lock(&self.state).cold.as_mut()?.exit_reason_override.take()
    }

    /// From here on the actor can be reached.
    pub(crate) fn set_mailbox(&self, mailbox: Arc<dyn AnyMailbox>) {
        lock(&self.state).mailbox = Some(mailbox);
    }

    /// How the actor is reached, if it is an `A` and lives.
    pub(crate) fn mailbox<A: Actor>(&self) -> Option<Arc<Mailbox<A>>> {
        let mailbox = lock(&self.state).mailbox.clone()?;
        mailbox.into_any().downcast().ok()
    }

    /// How many messages wait at its door.
    pub(crate) fn queued(&self) -> usize {
        let mailbox = lock(&self.state).mailbox.clone();
        mailbox.map_or(0, |mailbox| mailbox.queued())
    }

    /// Why the life ended, if it has.
    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        lock(&self.state).exit_reason.as_deref().cloned()
    }

    /// Works on the bonds of a life that is not over, or says why it is.
    pub(crate) fn with_links<T>(&self, work: impl FnOnce(&mut Links) -> T) -> Result<T, ExitReason> {
        self.with_cold(|cold| work(&mut cold.links))
    }

    fn with_cold<T>(&self, work: impl FnOnce(&mut ColdState) -> T) -> Result<T, ExitReason> {
        let mut state = lock(&self.state);
        match &state.exit_reason {
            Some(reason) => Err(ExitReason::clone(reason)),
            None => Ok(work(state.cold())),
        }
    }

    /// The life has a name, or is in a group.
    pub(crate) fn mark_registered(&self) -> Result<(), ExitReason> {
        self.with_cold(|cold| cold.registered = true)
    }

    /// The life is over. Its names are free, and it has left its groups, before anybody hears of it.
    pub(crate) fn mark_exited(self: &Arc<Self>, reason: &ExitReason) {
        let (mailbox, cold) = {
            let mut state = lock(&self.state);
            if state.exit_reason.is_some() {
                return;
            }
            state.exit_reason = Some(Box::new(reason.clone()));
            (state.mailbox.take(), state.cold.take())
        };
        // Outside of the lock: what waited at the door is dropped, and that may be anything.
        if let Some(mailbox) = mailbox {
            mailbox.close();
        }
        let Some(cold) = cold else { return };
        let ColdState { system_messages, links, registered, trace, .. } = *cold;
        if registered {
            self.system.remove_pid(&Pid::of(self));
        }
        links.notify_exit(self, reason);
        for message in system_messages {
            // So may be what was to be done with it; a panic there is in nobody's way.
            let _ = catch_panic(move || drop(message));
        }
        if let Some(sink) = trace {
            sink.record(Pid::of(self), TraceKind::End(reason.clone()));
        }
    }
}

/// What the queue of actix wakes.
impl Wake for ActorCell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_flags(ADDR_PENDING);
    }
}

impl State {
    fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }
}

impl fmt::Debug for ActorCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorCell").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The data behind these locks is replaced whole, so a panic elsewhere cannot leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
