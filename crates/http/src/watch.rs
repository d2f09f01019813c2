//! Waits for what ends a connection from our side.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use impresario_server::Draining;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::pace::{LastLimits, Limits, Pace, Phase};

/// The timer of one connection, and the word that its listener drains.
///
/// hyper has timers of its own. They are not used, because they cost a tenth of a small request: they are set for each
/// one. This one is set when it has fired, and when something earlier comes up.
#[derive(Debug)]
pub(crate) struct Watch {
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
    /// Who is woken by the timer. While it is the same the timer need not be polled.
    waker: Option<Waker>,
    draining: Draining,
    told: bool,
}

/// What the connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The listener drains. Said once.
    Leave,
    /// This has lasted too long.
    Late(Phase),
}

impl Watch {
    /// Begins now.
    pub(crate) fn new(limits: Limits, last: LastLimits, draining: Draining) -> Self {
        let pace = Pace::new(Instant::now(), limits, last);
        Self { pace, timer: None, waker: None, draining, told: false }
    }

    pub(crate) fn set_last(&mut self, last: LastLimits) {
        self.pace.set_last(last);
    }

    /// The connection is to end, for a reason of its own.
    pub(crate) fn leave(&mut self) {
        self.pace.leave(Instant::now());
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.pace.is_leaving()
    }

    /// Says what the connection waits for now, and waits for the next notice.
    ///
    /// `mark` is a number that has changed if the phase has begun anew.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, phase: Phase, mark: usize) -> Poll<Notice> {
        self.pace.observe(phase, mark, Instant::now);
        if !self.told && Pin::new(&mut self.draining).poll(cx).is_ready() {
            self.told = true;
            self.pace.leave(Instant::now());
            return Poll::Ready(Notice::Leave);
        }
        let Some(deadline) = self.pace.deadline() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let mut is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
            is_known = false;
        }
        if is_known && !timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.waker = None;
            if timer.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if timer.deadline() >= deadline {
                return Poll::Ready(Notice::Late(self.pace.phase()));
            }
            // It was set for a phase that is over.
            timer.as_mut().reset(deadline);
        }
    }
}
