//! The state of one worker.

use super::id::{Generation, WorkerId};
use super::reason::RecycleReason;
use crate::policy::backoff::BackoffState;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) generation: Generation,
    pub(super) state: State,
    /// The last load and usage that the driver reported.
    pub(super) active: u32,
    pub(super) requests: u64,
    pub(super) memory: u64,
    /// Since when it waits to be recycled, and why.
    pub(super) due: Option<(Time, RecycleReason)>,
    /// It is being recycled.
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
    /// Requested to exit. `was_ready`: it was ready before.
    Retiring {
        deadline: Option<Time>,
        was_ready: bool,
    },
    /// Killed, and not exited yet. `overdue`: it was killed because its retirement timed out.
    Killed {
        overdue: bool,
    },
}

/// A ready worker without load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// Since when it has no load.
    pub(super) since: Time,
    /// Since when it is not a spare; later than `since` if it was a spare before. `None`: it is a spare, which is never
    /// retired for being idle.
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

    /// Whether it is starting or ready, so neither retired nor killed.
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

    /// The end of its start time-out or of its retire time-out.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Starting { deadline } | State::Retiring { deadline, .. } => deadline,
            State::Ready { .. } | State::Killed { .. } => None,
        }
    }

    /// Sets the load. The idle time begins when the load becomes 0.
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

/// The backoff of one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotBackoff {
    pub(super) state: BackoffState,
    /// No start before this time.
    pub(super) until: Option<Time>,
}
