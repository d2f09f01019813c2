//! What is known of one life, by whoever may tell it something or wants to hear of its end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Wake;
use std::time::Duration;

use actix::Actor;
use impresario_supervision::{ExitReason, Incarnation, Time};

use crate::bonds::Bonds;
use crate::door::{AnyDoor, Door};
use crate::errand::{Errand, Inspect};
use crate::panic::catch_panic;
use crate::signal::Signal;
use crate::sync::{AtomicU8, AtomicWaker, Mutex, MutexGuard};
use crate::trace::{TraceKind, TraceSink};
use crate::word::{ERRANDS, KILL, MAIL, SIGNALS, STOP, SUSPENDED, TOLD, TRACED, Word};
use crate::{Pid, Registry};

/// How many errands may wait for a life. Each has somebody who waits for it, so more are a sign of a stuck actor.
const MAX_ERRANDS: usize = 64;

/// How many signals may wait for a life before one more exit signal of a stranger is refused.
const MAX_SIGNALS: usize = 65_536;

/// One life of a child: who it is, how it is told something out of band (so that a full or stuck mailbox is in nobody's
/// way), and who hears of its end.
///
/// The bits that say that something waits are changed under the lock of what waits: they are set if and only if there is
/// something. Suspended is a life by its own hand only, so nobody races with it.
pub(crate) struct Life {
    number: u64,
    incarnation: Incarnation,
    system: Registry,
    /// When it began, in nanoseconds of the system's age: half as large as an `Instant`.
    born: u64,
    word: AtomicU8,
    waker: AtomicWaker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How the actor is reached, while it lives.
    door: Option<Arc<dyn AnyDoor>>,
    /// How it ended.
    end: Option<Box<ExitReason>>,
    /// What most lives never need.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    own_reason: Option<ExitReason>,
    /// That of the first panic, which no other takes the place of.
    panic: Option<ExitReason>,
    signals: VecDeque<Signal>,
    errands: VecDeque<Errand>,
    bonds: Bonds,
    /// How to ask it what it supervises, if it does.
    inspect: Option<Inspect>,
    trace: Option<TraceSink>,
    /// The system knows it by a name or in a group.
    enlisted: bool,
}

impl Life {
    /// Begins at this age of the system.
    pub(crate) fn new(system: Registry, incarnation: Incarnation, now: Time) -> Arc<Self> {
        Arc::new(Self {
            number: system.next_number(),
            incarnation,
            born: now.since_start().as_nanos().try_into().unwrap_or(u64::MAX),
            system,
            // Nobody has looked yet.
            word: AtomicU8::new(MAIL),
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
        self.system.age().saturating_sub(Duration::from_nanos(self.born))
    }

    /// Asks the life to stop. One that was killed before is asked nothing.
    pub(crate) fn stop(&self) {
        let unless_killed = |word: u8| (word & KILL == 0).then_some(word | STOP);
        if self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_killed).is_ok() {
            self.waker.wake();
        }
    }

    /// Asks the life to stop, for a reason other than the usual one.
    pub(crate) fn stop_for(&self, reason: ExitReason) {
        self.set_reason(reason);
        self.stop();
    }

    /// Ends the life at its next poll. Cannot be refused.
    pub(crate) fn kill(&self) {
        self.say(KILL);
    }

    pub(crate) fn is_told_to_stop(&self) -> bool {
        self.word.load(Ordering::Acquire) & STOP != 0
    }

    /// Whether the actor was told to stop, and has heard it.
    pub(crate) fn is_told(&self) -> bool {
        Word(self.word.load(Ordering::Acquire)).told()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.word.load(Ordering::Acquire) & KILL != 0
    }

    fn say(&self, word: u8) {
        self.word.fetch_or(word, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The actor is being told to stop, once. Only its own task says so.
    pub(crate) fn set_told(&self) {
        self.word.fetch_or(TOLD, Ordering::AcqRel);
    }

    /// The queue of actix may hold more.
    pub(crate) fn leave_mail(&self) {
        self.word.fetch_or(MAIL, Ordering::AcqRel);
    }

    /// Whether the queue of actix may hold something that nobody has looked at.
    pub(crate) fn take_mail(&self) -> bool {
        self.word.load(Ordering::Acquire) & MAIL != 0
            && self.word.fetch_and(!MAIL, Ordering::AcqRel) & MAIL != 0
    }

    /// Lets the life find a message at its door.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// From now on the life is suspended, or is not any more. Only its own task says so.
    pub(crate) fn set_suspended(&self, suspended: bool) {
        if suspended {
            self.word.fetch_or(SUSPENDED, Ordering::AcqRel);
        } else {
            self.word.fetch_and(!SUSPENDED, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.word.load(Ordering::Acquire) & SUSPENDED != 0
    }

    /// Reads the word and arranges to be polled when it changes.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> Word {
        // Register first, read second: a word written in between wakes us again.
        self.waker.register(cx.waker());
        Word(self.word.load(Ordering::Acquire))
    }

    /// Leaves something for a life that is not over, unless `put` did not, and lets it know.
    fn post(&self, bit: u8, put: impl FnOnce(&mut Rare) -> bool) -> bool {
        {
            let mut state = lock(&self.state);
            if state.end.is_some() || !put(state.rare()) {
                return false;
            }
            self.word.fetch_or(bit, Ordering::AcqRel);
        }
        self.waker.wake();
        true
    }

    /// Lets the life find a signal at its next poll. A life that is over does not hear it, and one that has no turn hears
    /// only so many of strangers.
    pub(crate) fn signal(&self, signal: Signal) {
        self.post(SIGNALS, |rare| {
            let room = !signal.is_a_strangers() || rare.signals.len() < MAX_SIGNALS;
            if room {
                rare.signals.push_back(signal);
            }
            room
        });
    }

    /// The other end of a link is over. Both forget the link in the same step in which the signal is sent, so a link that
    /// was taken back before sends none.
    pub(crate) fn linked_exit(&self, from: &Pid, reason: &ExitReason) {
        self.post(SIGNALS, |rare| {
            let linked = rare.bonds.unlink(from);
            if linked {
                let (from, reason) = (Some(from.clone()), reason.clone());
                rare.signals.push_back(Signal::Exit { from, reason, linked });
            }
            linked
        });
    }

    /// The signals that have come, in order.
    pub(crate) fn take_signals(&self) -> VecDeque<Signal> {
        let mut state = lock(&self.state);
        self.word.fetch_and(!SIGNALS, Ordering::AcqRel);
        state.rare.as_mut().map(|rare| std::mem::take(&mut rare.signals)).unwrap_or_default()
    }

    /// Lets the actor find an errand between two messages; `false` if too many wait. A life that is over drops it.
    pub(crate) fn errand(&self, errand: Errand) -> bool {
        let mut full = false;
        self.post(ERRANDS, |rare| {
            full = rare.errands.len() >= MAX_ERRANDS;
            if !full {
                rare.errands.push_back(errand);
            }
            !full
        });
        !full
    }

    /// An errand of the life's own, of which there is one at most: it is never refused, and done before those of others,
    /// which may be more than fit into a turn.
    pub(crate) fn own_errand(&self, errand: Errand) {
        self.post(ERRANDS, |rare| {
            rare.errands.push_front(errand);
            true
        });
    }

    /// Lets the actor go on, after the errands before this one. It is never refused: two in a row are one.
    pub(crate) fn resume(&self) {
        self.post(ERRANDS, |rare| {
            if !matches!(rare.errands.back(), Some(Errand::Resume)) {
                rare.errands.push_back(Errand::Resume);
            }
            true
        });
    }

    /// The next errand.
    pub(crate) fn take_errand(&self) -> Option<Errand> {
        if !self.has_errands() {
            return None;
        }
        let mut state = lock(&self.state);
        let errands = &mut state.rare.as_mut()?.errands;
        let errand = errands.pop_front();
        if errands.is_empty() {
            self.word.fetch_and(!ERRANDS, Ordering::AcqRel);
        }
        errand
    }

    pub(crate) fn has_errands(&self) -> bool {
        self.word.load(Ordering::Acquire) & ERRANDS != 0
    }

    /// Links two lives. If the other is over, that is an exit signal.
    pub(crate) fn link(self: &Arc<Self>, to: &Pid) {
        let own = Pid::of(self);
        if own == *to {
            return;
        }
        let gone = self.with_both(to.life(), |mine, theirs| {
            if mine.end.is_some() {
                return false;
            }
            if theirs.end.is_some() {
                // One that is linked already is about to hear of the end over that link.
                return !mine.rare().bonds.is_linked(to);
            }
            mine.rare().bonds.link(to);
            theirs.rare().bonds.link(&own);
            false
        });
        if gone {
            self.signal(Signal::Exit { from: Some(to.clone()), reason: ExitReason::NoProc, linked: true });
        }
    }

    /// Takes a link back, and what it has sent and nobody has looked at.
    pub(crate) fn unlink(self: &Arc<Self>, from: &Pid) {
        let own = Pid::of(self);
        if own == *from {
            return;
        }
        self.with_both(from.life(), |mine, theirs| {
            if let Some(rare) = &mut theirs.rare {
                rare.bonds.unlink(&own);
            }
            if let Some(rare) = &mut mine.rare {
                rare.bonds.unlink(from);
                let over_it = |signal: &Signal| matches!(signal, Signal::Exit { from: Some(pid), linked: true, .. } if pid == from);
                rare.signals.retain(|signal| !over_it(signal));
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
        if state.end.is_some() {
            return;
        }
        let bit = if sink.is_some() { TRACED } else { 0 };
        // The old one is dropped outside of the lock: it may be anything.
        let old = std::mem::replace(&mut state.rare().trace, sink);
        self.word.fetch_and(!TRACED, Ordering::AcqRel);
        self.word.fetch_or(bit, Ordering::AcqRel);
        drop(state);
        drop(old);
    }

    /// Tells what the life does to whoever wants to hear of it.
    pub(crate) fn trace(self: &Arc<Self>, what: impl FnOnce() -> TraceKind) {
        if self.word.load(Ordering::Relaxed) & TRACED == 0 {
            return;
        }
        let sink = lock(&self.state).rare.as_ref().and_then(|rare| rare.trace.clone());
        if let Some(sink) = sink {
            sink.tell(Pid::of(self), what());
        }
    }

    /// It supervises others, and is asked about them so.
    pub(crate) fn set_inspect(&self, inspect: Inspect) {
        // A life that is over is not asked.
        let _ = self.with_rare(|rare| rare.inspect = Some(inspect));
    }

    pub(crate) fn inspect(&self) -> Option<Inspect> {
        lock(&self.state).rare.as_ref()?.inspect
    }

    /// The reason that the life gives for its own end.
    pub(crate) fn set_reason(&self, reason: ExitReason) {
        // A life that is over has given its reason.
        let _ = self.with_rare(|rare| rare.own_reason = Some(reason));
    }

    /// The actor has panicked, and ends at this turn.
    pub(crate) fn set_panic(&self, reason: ExitReason) {
        let _ = self.with_rare(|rare| rare.panic = Some(reason));
    }

    pub(crate) fn take_panic(&self) -> Option<ExitReason> {
        lock(&self.state).rare.as_mut()?.panic.take()
    }

    /// Why the life would end if it ended by itself now.
    pub(crate) fn reason_to_end(&self) -> ExitReason {
        let own = lock(&self.state).rare.as_ref().and_then(|rare| rare.own_reason.clone());
        let told = Word(self.word.load(Ordering::Acquire)).stop();
        own.unwrap_or(if told { ExitReason::Shutdown } else { ExitReason::Normal })
    }

    pub(crate) fn take_reason(&self) -> Option<ExitReason> {
        lock(&self.state).rare.as_mut()?.own_reason.take()
    }

    /// From here on the actor can be reached.
    pub(crate) fn open(&self, door: Arc<dyn AnyDoor>) {
        lock(&self.state).door = Some(door);
    }

    /// How the actor is reached, if it is an `A` and lives.
    pub(crate) fn door<A: Actor>(&self) -> Option<Arc<Door<A>>> {
        let door = lock(&self.state).door.clone()?;
        door.into_any().downcast().ok()
    }

    /// How many messages wait at its door.
    pub(crate) fn queued(&self) -> usize {
        let door = lock(&self.state).door.clone();
        door.map_or(0, |door| door.queued())
    }

    /// Why the life ended, if it has.
    pub(crate) fn end_reason(&self) -> Option<ExitReason> {
        lock(&self.state).end.as_deref().cloned()
    }

    /// Works on the bonds of a life that is not over, or says why it is.
    pub(crate) fn with_bonds<T>(&self, work: impl FnOnce(&mut Bonds) -> T) -> Result<T, ExitReason> {
        self.with_rare(|rare| work(&mut rare.bonds))
    }

    fn with_rare<T>(&self, work: impl FnOnce(&mut Rare) -> T) -> Result<T, ExitReason> {
        let mut state = lock(&self.state);
        match &state.end {
            Some(reason) => Err(ExitReason::clone(reason)),
            None => Ok(work(state.rare())),
        }
    }

    /// The life has a name, or is in a group.
    pub(crate) fn enlist(&self) -> Result<(), ExitReason> {
        self.with_rare(|rare| rare.enlisted = true)
    }

    /// The life is over. Its names are free, and it has left its groups, before anybody hears of it.
    pub(crate) fn over(self: &Arc<Self>, reason: &ExitReason) {
        let (door, rare) = {
            let mut state = lock(&self.state);
            if state.end.is_some() {
                return;
            }
            state.end = Some(Box::new(reason.clone()));
            (state.door.take(), state.rare.take())
        };
        // Outside of the lock: what waited at the door is dropped, and that may be anything.
        if let Some(door) = door {
            door.close();
        }
        let Some(rare) = rare else { return };
        let Rare { errands, bonds, enlisted, trace, .. } = *rare;
        if enlisted {
            self.system.forget(&Pid::of(self));
        }
        bonds.dissolve(self, reason);
        for errand in errands {
            // So may be what was to be done with it; a panic there is in nobody's way.
            let _ = catch_panic(move || drop(errand));
        }
        if let Some(sink) = trace {
            sink.tell(Pid::of(self), TraceKind::End(reason.clone()));
        }
    }
}

/// What the queue of actix wakes.
impl Wake for Life {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.say(MAIL);
    }
}

impl State {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The data behind these locks is replaced whole, so a panic elsewhere cannot leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
