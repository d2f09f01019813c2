//! What is known of one life, by whoever may tell it something or wants to hear of its end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Actor;
use futures::task::AtomicWaker;
use impresario_supervision::{ExitReason, Incarnation};
use tokio::time::Instant;

use crate::bonds::Bonds;
use crate::door::{AnyDoor, Door};
use crate::signal::Signal;
use crate::sys::Errand;
use crate::{Pid, System};

/// It is asked to stop.
const STOP: u8 = 1;
/// It is killed.
const KILL: u8 = 2;
/// Signals wait for it.
const SIGNALS: u8 = 4;
/// It is suspended.
const SUSPENDED: u8 = 8;
/// Errands wait for it.
const ERRANDS: u8 = 16;

/// What the control word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u8);

impl Word {
    pub(crate) fn stop(self) -> bool {
        self.0 & STOP != 0
    }

    pub(crate) fn kill(self) -> bool {
        self.0 & KILL != 0
    }

    pub(crate) fn signals(self) -> bool {
        self.0 & SIGNALS != 0
    }
}

/// One life of a child: who it is, how it is told something out of band (so that a full or stuck mailbox is in nobody's
/// way), and who hears of its end.
pub(crate) struct Life {
    number: u64,
    incarnation: Incarnation,
    system: System,
    born: Instant,
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
    signals: VecDeque<Signal>,
    errands: VecDeque<Errand>,
    bonds: Bonds,
    /// The system knows it by a name or in a group.
    enlisted: bool,
}

impl Life {
    pub(crate) fn new(system: System, incarnation: Incarnation) -> Arc<Self> {
        Arc::new(Self {
            number: system.next_number(),
            incarnation,
            system,
            born: Instant::now(),
            word: AtomicU8::new(0),
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

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    /// Asks the life to stop.
    pub(crate) fn stop(&self) {
        self.say(STOP);
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

    pub(crate) fn is_killed(&self) -> bool {
        self.word.load(Ordering::Acquire) & KILL != 0
    }

    fn say(&self, word: u8) {
        self.word.fetch_or(word, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Lets the life find a message at its door.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// From now on the life is suspended, or is not any more.
    pub(crate) fn set_suspended(&self, suspended: bool) {
        if suspended {
            self.word.fetch_or(SUSPENDED, Ordering::AcqRel);
        } else {
            self.word.fetch_and(!SUSPENDED, Ordering::AcqRel);
            self.waker.wake();
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

    /// Lets the life find a signal at its next poll. A life that is over does not hear it.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.with_rare(|rare| rare.signals.push_back(signal)).is_ok() {
            self.say(SIGNALS);
        }
    }

    /// The other end of a link is over. Both forget the link in the same step in which the signal is sent, so a link that
    /// was taken back before sends none.
    pub(crate) fn linked_exit(&self, from: &Pid, reason: &ExitReason) {
        let send = |rare: &mut Rare| {
            let linked = rare.bonds.unlink(from);
            if linked {
                let (from, reason) = (Some(from.clone()), reason.clone());
                rare.signals.push_back(Signal::Exit { from, reason, linked });
            }
            linked
        };
        if self.with_rare(send) == Ok(true) {
            self.say(SIGNALS);
        }
    }

    /// Lets the actor find an errand between two messages. One that is over drops it.
    pub(crate) fn errand(&self, errand: Errand) {
        if self.with_rare(|rare| rare.errands.push_back(errand)).is_ok() {
            self.say(ERRANDS);
        }
    }

    /// The next errand.
    pub(crate) fn take_errand(&self) -> Option<Errand> {
        if self.word.load(Ordering::Acquire) & ERRANDS == 0 {
            return None;
        }
        let errand = lock(&self.state).rare.as_mut()?.errands.pop_front();
        if errand.is_none() {
            self.word.fetch_and(!ERRANDS, Ordering::AcqRel);
            // One that came in between found the bit set; from here on it is set again.
            return lock(&self.state).rare.as_mut()?.errands.pop_front();
        }
        errand
    }

    /// The signals that have come, in order.
    pub(crate) fn take_signals(&self) -> VecDeque<Signal> {
        // Cleared first: what comes now is either taken below or says so again.
        self.word.fetch_and(!SIGNALS, Ordering::AcqRel);
        lock(&self.state).rare.as_mut().map(|rare| std::mem::take(&mut rare.signals)).unwrap_or_default()
    }

    /// Drops the signals that wait and for which this holds.
    pub(crate) fn forget_signals(&self, unwanted: impl Fn(&Signal) -> bool) {
        if let Some(rare) = &mut lock(&self.state).rare {
            rare.signals.retain(|signal| !unwanted(signal));
        }
    }

    /// The reason that the life gives for its own end.
    pub(crate) fn set_reason(&self, reason: ExitReason) {
        // A life that is over has given its reason.
        let _ = self.with_rare(|rare| rare.own_reason = Some(reason));
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

    /// The life is over. Its names are free before anybody hears of it.
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
        if rare.enlisted {
            self.system.forget(&Pid::of(self));
        }
        rare.bonds.dissolve(self, reason);
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
