//! One life of one worker, as the pool sees it.

use super::id::{Generation, WorkerId};
use super::reason::RecycleReason;
use crate::policy::backoff::BackoffState;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) generation: Generation,
    pub(super) state: State,
    /// The last load and usage it reported.
    pub(super) active: u32,
    pub(super) requests: u64,
    pub(super) memory: u64,
    /// Since when it has been waiting for its turn to be recycled.
    pub(super) due: Option<(Time, RecycleReason)>,
    /// Its turn has come.
    pub(super) recycled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Starting {
        deadline: Option<Time>,
    },
    Ready {
        since: Time,
        idle: Option<Idle>,
    },
    /// Told to leave. `was_ready`: it had become ready before.
    Retiring {
        deadline: Option<Time>,
        was_ready: bool,
    },
    /// Waits for its exit only. `overdue`: it was killed because it did not leave in time.
    Killed {
        overdue: bool,
    },
}

/// It has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// Since when it has not been used.
    pub(super) since: Time,
    /// Since when it is, besides, not one of the spare ones, which never leave for being idle. Later than `since`
    /// when it was one of them before.
    pub(super) surplus: Option<Time>,
}

impl Idle {
    pub(super) fn from(now: Time) -> Self {
        Self { since: now, surplus: Some(now) }
    }
}

impl Worker {
    pub(super) fn new(id: WorkerId, generation: Generation, deadline: Option<Time>) -> Self {
        let state = State::Starting { deadline };
        let (due, recycled) = (None, false);
        Self { id, generation, state, active: 0, requests: 0, memory: 0, due, recycled }
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting { .. })
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// Whether it is wanted, as far as it knows.
    pub(super) fn is_present(&self) -> bool {
        self.is_starting() || self.is_ready()
    }

    pub(super) fn idle(&self) -> Option<Idle> {
        match self.state {
            State::Ready { idle, .. } => idle,
            _ => None,
        }
    }

    pub(super) fn set_idle(&mut self, to: Idle) {
        if let State::Ready { idle, .. } = &mut self.state {
            *idle = Some(to);
        }
    }

    /// The end of its start time-out or of its time to leave.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Starting { deadline } | State::Retiring { deadline, .. } => deadline,
            State::Ready { .. } | State::Killed { .. } => None,
        }
    }

    /// What it reports about its load. Only a change between none and some moves its idle time.
    pub(super) fn load(&mut self, now: Time, active: u32) {
        self.active = active;
        if let State::Ready { idle, .. } = &mut self.state {
            *idle = match *idle {
                _ if active > 0 => None,
                Some(idle) => Some(idle),
                None => Some(Idle::from(now)),
            };
        }
    }
}

/// How far one slot is in its row of failures, and until when it waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotBackoff {
    pub(super) backoff_state: BackoffState,
    /// No start before this.
    pub(super) until: Option<Time>,
}
