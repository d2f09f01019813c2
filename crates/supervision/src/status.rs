//! What an operator may see of the children, beyond what OTP lists.

use crate::id::{ChildId, ChildKey, Incarnation};
use crate::policy::spec::ChildKind;
use crate::time::Time;

/// One child, as an operator sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildStatus {
    /// What it is called.
    pub id: ChildId,
    /// Its entry.
    pub key: ChildKey,
    /// What it is.
    pub kind: ChildKind,
    /// How it is.
    pub stage: ChildStage,
    /// How often it was started again, for whatever reason.
    pub restarts: u64,
}

/// How a child is, in all detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildStage {
    /// Not running, and nobody has decided to change that.
    Down,
    /// Told to start, has not answered.
    Starting(Incarnation),
    /// Ready.
    Running(Incarnation),
    /// Told to stop, has not ended.
    Stopping(Incarnation),
    /// Over, and about to be started again.
    Restarting,
    /// Over, and to be started again at this time.
    Waiting(Time),
}

impl ChildStage {
    /// The life, if there is one.
    pub fn life(self) -> Option<Incarnation> {
        match self {
            Self::Starting(life) | Self::Running(life) | Self::Stopping(life) => Some(life),
            Self::Down | Self::Restarting | Self::Waiting(_) => None,
        }
    }
}
