//! What a driver tells a supervisor, and what it is told to do.

use crate::id::{ChildKey, Incarnation};
use crate::reason::ExitReason;
use crate::report::Report;
use crate::request::{Reply, RequestId};

/// What has happened; the input of `handle`.
///
/// What is said about a life that is over, or said again, changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Begin: start the first children.
    Start,
    /// A life is ready.
    Started(Incarnation),
    /// A start decided that the child is not needed; there is no life (OTP: `ignore`).
    #[doc(alias = "ignore")]
    Ignored(Incarnation),
    /// A start failed; there is no life.
    StartFailed(Incarnation, ExitReason),
    /// A life is over. Before `Started` this is a failed start.
    Exited(Incarnation, ExitReason),
    /// The parent says stop; the supervisor will exit with this reason.
    Shutdown(ExitReason),
    /// The time that `poll_timeout` named has come. Too early does no harm.
    Timeout,
}

/// What is to be done; the output of `poll_action`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a new life; answer with `Started`, `Ignored` or `StartFailed`.
    Start(ChildKey, Incarnation),
    /// Ask a life to stop; answered by `Exited`. A life that has not started yet may answer with `StartFailed`, or with
    /// the `Ignored` that was on its way.
    Stop(Incarnation),
    /// End a life without asking; answered by `Exited` (or as above).
    Kill(Incarnation),
    /// The child that this request adds has this entry. Its `Start` follows.
    Added(RequestId, ChildKey),
    /// The child's entry is gone: what starts it can be dropped.
    Forget(ChildKey),
    /// The answer to a request.
    Reply(RequestId, Reply),
    /// Something an operator should be told.
    Report(Report),
    /// All first children are started.
    Ready,
    /// Nothing is alive any more; the supervisor ends with this reason. Comes once and last: only the refusals of
    /// requests that are made later come after it.
    Exit(ExitReason),
}
