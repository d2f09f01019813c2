//! What an operator may see of the children, beyond what OTP lists.

use crate::children::{Child, Life};
use crate::{ChildId, ChildKey, ChildKind, Flags, Incarnation, Supervisor, Time};

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

impl Supervisor {
    /// The flags it follows.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Everybody, in start order.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        self.children.iter().map(status)
    }
}

fn status(child: &Child) -> ChildStatus {
    let stage = match child.life {
        Life::Starting { .. } => ChildStage::Starting(child.incarnation),
        Life::Running { .. } => ChildStage::Running(child.incarnation),
        Life::Stopping { .. } => ChildStage::Stopping(child.incarnation),
        Life::Down | Life::Dead { .. } => match child.not_before {
            Some(time) => ChildStage::Waiting(time),
            None if child.restarting => ChildStage::Restarting,
            None => ChildStage::Down,
        },
    };
    ChildStatus {
        id: child.spec.id.clone(),
        key: child.key,
        kind: child.spec.kind,
        stage,
        restarts: child.starts.saturating_sub(1),
    }
}
