//! How a life is told something: out of band, so a full or stuck mailbox is in nobody's way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use futures::task::AtomicWaker;
use impresario_supervision::ExitReason;

const RUN: u8 = 0;
const STOP: u8 = 1;
const KILL: u8 = 2;

/// What the control word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Run,
    Stop,
    Kill,
}

/// The control word of one life, read before every poll of its task.
#[derive(Debug, Default)]
pub(crate) struct Control {
    word: AtomicU8,
    waker: AtomicWaker,
    reason: Mutex<Option<ExitReason>>,
}

impl Control {
    /// Asks the life to stop; a kill already said stays.
    pub(crate) fn stop(&self) {
        // Failure means STOP or KILL was said before, which is as good or better.
        let _ = self.word.compare_exchange(RUN, STOP, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }

    /// Ends the life at its next poll. Cannot be refused.
    pub(crate) fn kill(&self) {
        self.word.store(KILL, Ordering::Release);
        self.waker.wake();
    }

    /// Reads the word and arranges to be polled when it changes.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> Word {
        // Register first, read second: a word written in between wakes us again.
        self.waker.register(cx.waker());
        match self.word.load(Ordering::Acquire) {
            RUN => Word::Run,
            STOP => Word::Stop,
            _ => Word::Kill,
        }
    }

    /// The reason that the life gives for its own end.
    pub(crate) fn set_reason(&self, reason: ExitReason) {
        *lock(&self.reason) = Some(reason);
    }

    pub(crate) fn take_reason(&self) -> Option<ExitReason> {
        lock(&self.reason).take()
    }
}

/// The data behind these locks is replaced whole, so a panic elsewhere cannot leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
