//! The state of one instance.

use crate::id::{ChildKey, Incarnation};
use crate::policy::backoff::BackoffState;
use crate::policy::spec::ChildRules;
use crate::reason::ExitReason;
use crate::request::{ChildState, RequestId};
use crate::status::{ChildStage, ChildStatus};
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// The current incarnation, or the last one. 0: it was never started.
    pub(super) incarnation: Incarnation,
    /// The number of starts so far, failed ones included.
    pub(super) starts: u32,
    pub(super) state: State,
    /// The request to answer when it is ready or has failed to start.
    pub(super) start_requester: Option<RequestId>,
    /// The requests to answer when it has exited.
    pub(super) stop_requesters: Vec<RequestId>,
    /// The end of its start time-out, its shutdown time-out or its backoff.
    pub(super) timer: Option<Time>,
    pub(super) backoff_state: BackoffState,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Was requested to start. `first`: on request; otherwise a restart. `timed_out`: it was killed.
    Starting { first: bool, timed_out: bool },
    /// Is ready since then.
    Running { since: Time },
    /// Was requested to stop. `timed_out`: it was killed.
    Stopping { timed_out: bool },
    /// Waits for its restart. `uncounted`: a retry without backoff, which counts only when it is made; the reason is
    /// that of the failed start. Boxed to keep the other instances small.
    Waiting { uncounted: Option<Box<ExitReason>> },
}

impl Instance {
    pub(super) fn requested_by(start_requester: RequestId) -> Self {
        Self {
            incarnation: Incarnation(0),
            starts: 0,
            state: State::Waiting { uncounted: None },
            start_requester: Some(start_requester),
            stop_requesters: Vec::new(),
            timer: None,
            backoff_state: BackoffState::default(),
        }
    }

    pub(super) fn is_restarting(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Starting { first: false, .. })
    }

    /// Whether it counts as a significant instance that has not exited.
    ///
    /// One that was requested to stop does not count. One that starts for the first time counts when it is ready.
    pub(super) fn is_present(&self) -> bool {
        matches!(self.state, State::Running { .. }) || self.is_restarting()
    }

    /// Its state for `which_children`; `None` until its first start is done.
    pub(super) fn public_state(&self) -> Option<ChildState> {
        match self.state {
            State::Starting { first: true, .. } => None,
            State::Waiting { .. } | State::Starting { .. } => Some(ChildState::Restarting),
            State::Running { .. } | State::Stopping { .. } => Some(ChildState::Running(self.incarnation)),
        }
    }

    pub(super) fn status(&self, key: ChildKey, template: &ChildRules) -> ChildStatus {
        let stage = match self.state {
            State::Starting { .. } => ChildStage::Starting(self.incarnation),
            State::Running { .. } => ChildStage::Running(self.incarnation),
            State::Stopping { .. } => ChildStage::Stopping(self.incarnation),
            State::Waiting { .. } => self.timer.map_or(ChildStage::Restarting, ChildStage::Waiting),
        };
        ChildStatus {
            id: template.id.clone(),
            key,
            kind: template.kind,
            stage,
            restarts: u64::from(self.starts.saturating_sub(1)),
        }
    }
}
