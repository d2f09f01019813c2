//! What is known of one instance.

use crate::id::{ChildKey, Incarnation};
use crate::policy::backoff::BackoffState;
use crate::policy::spec::ChildRules;
use crate::reason::ExitReason;
use crate::request::{ChildState, RequestId};
use crate::status::{ChildStage, ChildStatus};
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// The present life, or the last one.
    pub(super) incarnation: Incarnation,
    /// How many lives it has had.
    pub(super) starts: u32,
    pub(super) state: State,
    /// Who waits for its start.
    pub(super) start_requester: Option<RequestId>,
    /// Who waits for its end.
    pub(super) stop_requesters: Vec<RequestId>,
    pub(super) timer: Option<Time>,
    pub(super) backoff_state: BackoffState,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// `first`: somebody asked for it; otherwise it is a restart.
    Starting { first: bool, timed_out: bool },
    /// Ready since then.
    Running { since: Time },
    /// Told to stop.
    Stopping { timed_out: bool },
    /// Waits for its restart. A retry without backoff is counted only when it happens, and for this reason
    /// (boxed, since few have one and there may be very many instances).
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

    /// Whether it keeps a supervisor that ends with its last significant instance: one that was told to stop does
    /// not, and one that starts for the first time does only when it is ready.
    pub(super) fn is_present(&self) -> bool {
        matches!(self.state, State::Running { .. }) || self.is_restarting()
    }

    /// How it looks from outside; nothing is to be seen of one that has yet to start for the first time.
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
