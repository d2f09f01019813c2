//! Waits for what ends a connection from our side.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use impresario_server::{Draining, LazyTimer};
use tokio::time::Instant;

use crate::pace::{LastLimits, Limits, Pace, Phase};

/// The timer of one connection, and the word that its listener drains.
///
/// hyper has timers of its own. They are not used, because they cost a tenth of a small request: they are set for each
/// one. This one is set when it has fired, and when something earlier comes up.
#[derive(Debug)]
pub(crate) struct Watch {
    pace: Pace,
    timer: LazyTimer,
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
        Self { pace, timer: LazyTimer::new(), waker: None, draining, told: false }
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
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_known && self.timer.is_set_by(deadline) {
            return Poll::Pending;
        }
        // It keeps the waker of whoever polls it until it fires.
        let polled = self.timer.poll(cx, deadline);
        self.waker = polled.is_pending().then(|| cx.waker().clone());
        polled.map(|()| Notice::Late(self.pace.phase()))
    }
}
