//! Requests to a running supervisor, and the replies to them.

use std::fmt;

use crate::id::{ChildId, ChildKey, Incarnation};
use crate::policy::spec::{ChildKind, ChildRules, Flags};
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;

/// Names a request; the reply carries it. The driver chooses it and keeps it unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request to a running [`Supervisor`](crate::Supervisor).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// Adds a child and starts it (OTP: `start_child`).
    StartChild(ChildRules),
    /// Stops a child. Its spec stays, unless it is temporary (OTP: `terminate_child`).
    TerminateChild(ChildId),
    /// Starts a child that is down, or ends the backoff of one that waits (OTP: `restart_child`).
    RestartChild(ChildId),
    /// Removes the spec of a child that is down (OTP: `delete_child`).
    DeleteChild(ChildId),
    /// Lists the children, latest first (OTP: `which_children`).
    WhichChildren,
    /// Counts the children (OTP: `count_children`).
    CountChildren,
    /// Returns the spec of a child, with all its defaults (OTP: `get_childspec`).
    #[doc(alias = "get_childspec")]
    ChildSpec(ChildId),
    /// Replaces flags and specs (OTP: `code_change`). No child starts or stops.
    ///
    /// * The restarts counted so far still count.
    /// * A child with a known id keeps running under its new spec.
    /// * A child with a new id is down until it is restarted by request or with its group.
    /// * A child that is missing in the list keeps its old spec and stays as it is. It counts as started after all
    ///   others. Terminate and delete it to remove it.
    #[doc(alias = "code_change")]
    ReplaceSpecs(Flags, Vec<ChildRules>),
}

/// The reply to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// The request was carried out.
    Done,
    /// The child runs as this incarnation.
    Started(ChildKey, Incarnation),
    /// The start decided that the child is not needed.
    Ignored,
    /// The request was refused or failed.
    Error(RequestError),
    /// The children, latest first.
    Children(Vec<ChildInfo>),
    /// The number of children.
    Counts(Counts),
    /// The spec of the child.
    Spec(ChildRules),
    /// The specs are replaced; the keys are in the order of the specs in the request.
    Replaced(Vec<ChildKey>),
}

/// Why a request was refused or failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// No child has this id.
    NotFound,
    /// A child with this id runs as this incarnation.
    AlreadyStarted(Incarnation),
    /// A child with this id exists and is down.
    AlreadyPresent,
    /// The child runs; only one that is down can be restarted or deleted.
    Running,
    /// The child is about to be restarted.
    Restarting,
    /// The start failed with this reason.
    StartFailed(ExitReason),
    /// The spec is invalid for this supervisor.
    Spec(SpecError),
    /// The supervisor has `max_children` children, this many.
    MaxChildren(usize),
    /// The supervisor is shutting down or has exited.
    ShuttingDown,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such child"),
            Self::AlreadyStarted(_) => f.write_str("a child with this id is already running"),
            Self::AlreadyPresent => {
                f.write_str("a child with this id exists and is down; restart or delete it")
            }
            Self::Running => f.write_str("child is running; terminate it first"),
            Self::Restarting => f.write_str("child is being restarted; terminate it first"),
            Self::StartFailed(reason) => write!(f, "child failed to start: {reason}"),
            Self::Spec(error) => error.fmt(f),
            Self::MaxChildren(max) => {
                write!(f, "the supervisor has {max} children, the maximum; raise max_children or stop one")
            }
            Self::ShuttingDown => f.write_str("supervisor is shutting down"),
        }
    }
}

impl std::error::Error for RequestError {}

/// One entry of the reply to [`Request::WhichChildren`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChildInfo {
    /// The child's id.
    pub id: ChildId,
    /// The key of its entry.
    pub key: ChildKey,
    /// Whether it runs.
    pub state: ChildState,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

/// Whether a child runs, as OTP's `which_children` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// Does not run and is not about to be started (OTP: `undefined`).
    #[doc(alias = "undefined")]
    Down,
    /// Is about to be restarted (OTP: `restarting`).
    Restarting,
    /// Runs, starts or stops as this incarnation.
    Running(Incarnation),
}

/// The reply to [`Request::CountChildren`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All children, running or not.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Supervisors among the specs.
    pub supervisors: usize,
    /// Workers among the specs.
    pub workers: usize,
}
