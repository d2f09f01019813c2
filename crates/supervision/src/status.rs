//! The state of each child in more detail than OTP's `which_children` lists it.

use crate::id::{ChildId, ChildKey, Incarnation};
use crate::policy::spec::ChildKind;
use crate::time::Time;

/// The state of one child.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildStatus {
    /// The child's id; of an instance, its template's.
    pub id: ChildId,
    /// The key of its entry.
    pub key: ChildKey,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// What it is doing now.
    pub stage: ChildStage,
    /// Starts after the first one, for any cause; failed ones count.
    pub restarts: u64,
}

/// What a child is doing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildStage {
    /// Does not run and is not about to be started.
    Down,
    /// Was requested to start and has not answered.
    Starting(Incarnation),
    /// Is ready.
    Running(Incarnation),
    /// Was requested to stop and has not exited.
    Stopping(Incarnation),
    /// Has exited and is about to be restarted.
    Restarting,
    /// Has exited; its backoff expires at this time, then it is restarted.
    Waiting(Time),
}

impl ChildStage {
    /// The incarnation that runs; `None` if there is none.
    pub fn incarnation(self) -> Option<Incarnation> {
        match self {
            Self::Starting(incarnation) | Self::Running(incarnation) | Self::Stopping(incarnation) => {
                Some(incarnation)
            }
            Self::Down | Self::Restarting | Self::Waiting(_) => None,
        }
    }
}
