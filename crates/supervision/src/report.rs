//! What an operator should be told, as data: drivers hold the logger.

use std::fmt;

use crate::{ChildId, ExitReason, Incarnation};

/// One thing that a supervisor has to say about a child (OTP: supervisor report).
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What happened.
    pub kind: ReportKind,
    /// The child it is about.
    pub child: ChildId,
    /// Which of its lives, if it is about one.
    pub incarnation: Option<Incarnation>,
    /// How many lives it speaks for; more than one only when a dynamic supervisor stops them together.
    pub lives: usize,
    /// Why.
    pub reason: ExitReason,
}

/// What a [`Report`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportKind {
    /// A child did not start.
    StartError,
    /// A child ended, and not because it was told to.
    ChildTerminated,
    /// A child that was told to stop ended otherwise.
    ShutdownError,
    /// The supervisor gives up: too many restarts.
    GaveUp,
}

impl ReportKind {
    /// The word OTP uses for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::GaveUp => "shutdown",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (child, reason) = (&self.child, &self.reason);
        match self.kind {
            ReportKind::StartError => write!(f, "child {child} did not start: {reason}"),
            ReportKind::ChildTerminated => write!(f, "child {child} terminated: {reason}"),
            ReportKind::ShutdownError => write!(f, "child {child} did not stop as told: {reason}"),
            ReportKind::GaveUp => {
                write!(f, "restart limit reached, last failure of child {child}: {reason}")
            }
        }
    }
}
