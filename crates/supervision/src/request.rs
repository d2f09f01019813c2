//! Requests to a static supervisor, and their replies.

use std::fmt;

use crate::id::{ChildId, ChildKey, Incarnation};
use crate::policy::spec::{ChildKind, ChildRules, Flags};
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;

/// Names a request, so that its answer finds the way back. The driver chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What can be asked of a running [`Supervisor`](crate::Supervisor).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// Add a child and start it (OTP: `start_child`).
    StartChild(ChildRules),
    /// Stop a child and keep its spec, unless it is temporary (OTP: `terminate_child`).
    TerminateChild(ChildId),
    /// Start a child that is down, or that waits for its backoff (OTP: `restart_child`).
    RestartChild(ChildId),
    /// Drop the spec of a child that is down (OTP: `delete_child`).
    DeleteChild(ChildId),
    /// List the children, latest first (OTP: `which_children`).
    WhichChildren,
    /// Count them (OTP: `count_children`).
    CountChildren,
    /// Show the spec of a child, with all its defaults (OTP: `get_childspec`).
    #[doc(alias = "get_childspec")]
    ChildSpec(ChildId),
    /// Go on with these flags and specs; the restarts counted so far still count (OTP: `code_change`).
    ///
    /// Nothing starts or stops. A child whose id is known goes on under its new spec. A new one is down until
    /// somebody restarts it, or a group restart does. A child that is not in the list any more stays as it is,
    /// under its old spec, and counts as started after all others: terminate and delete it.
    #[doc(alias = "code_change")]
    ReplaceSpecs(Flags, Vec<ChildRules>),
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Done.
    Done,
    /// The child runs; this is its life.
    Started(ChildKey, Incarnation),
    /// The start decided that the child is not needed.
    Ignored,
    /// It was refused or it failed.
    Error(RequestError),
    /// The children, latest first.
    Children(Vec<ChildInfo>),
    /// How many there are.
    Counts(Counts),
    /// The spec of the child.
    Spec(ChildRules),
    /// The specs are replaced; these are their entries, in the order in which the specs were given.
    Replaced(Vec<ChildKey>),
}

/// Why a request was refused or failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// No child has this id.
    NotFound,
    /// A child with this id runs.
    AlreadyStarted(Incarnation),
    /// A child with this id is down.
    AlreadyPresent,
    /// The child runs.
    Running,
    /// The child is about to be started again.
    Restarting,
    /// The child did not start.
    StartFailed(ExitReason),
    /// The spec is not one this supervisor can follow.
    Spec(SpecError),
    /// There are as many children as there may be.
    MaxChildren(usize),
    /// The supervisor is stopping.
    ShuttingDown,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such child"),
            Self::AlreadyStarted(_) => f.write_str("a child with this id is already running"),
            Self::AlreadyPresent => {
                f.write_str("a child with this id is present but down; restart or delete it")
            }
            Self::Running => f.write_str("the child is running; terminate it first"),
            Self::Restarting => f.write_str("the child is being restarted; terminate it first"),
            Self::StartFailed(reason) => write!(f, "the child did not start: {reason}"),
            Self::Spec(error) => error.fmt(f),
            Self::MaxChildren(max) => write!(f, "there are already {max} children, the most allowed"),
            Self::ShuttingDown => f.write_str("the supervisor is shutting down"),
        }
    }
}

impl std::error::Error for RequestError {}

/// One line of [`Request::WhichChildren`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChildInfo {
    /// What it is called.
    pub id: ChildId,
    /// Its entry.
    pub key: ChildKey,
    /// How it is.
    pub state: ChildState,
    /// What it is.
    pub kind: ChildKind,
}

/// How a child is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// Not running, and nobody is about to change that (OTP: `undefined`).
    #[doc(alias = "undefined")]
    Down,
    /// About to be started again (OTP: `restarting`).
    Restarting,
    /// Alive.
    Running(Incarnation),
}

/// The answer to [`Request::CountChildren`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Children, dead or alive.
    pub specs: usize,
    /// Children that are alive.
    pub active: usize,
    /// Supervisors among them, dead or alive.
    pub supervisors: usize,
    /// Workers among them, dead or alive.
    pub workers: usize,
}
