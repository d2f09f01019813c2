//! Events and actions: the input and the output of both supervisors.

use crate::id::{ChildKey, Incarnation};
use crate::reason::ExitReason;
use crate::report::Report;
use crate::request::{Reply, RequestId};

/// The input of `handle`.
///
/// An event about an incarnation that has exited changes nothing. Nor does a repeated event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Begins: the first children are started.
    Start,
    /// The incarnation is ready.
    Started(Incarnation),
    /// The start decided that the child is not needed; the incarnation does not run (OTP: `ignore`).
    #[doc(alias = "ignore")]
    Ignored(Incarnation),
    /// The start failed; the incarnation does not run.
    StartFailed(Incarnation, ExitReason),
    /// The incarnation has exited. Before `Started` this is a failed start.
    Exited(Incarnation, ExitReason),
    /// The parent requests a shutdown; the supervisor exits with this reason.
    Shutdown(ExitReason),
    /// The time that `poll_timeout` returned has come. An early one changes nothing.
    Timeout,
}

/// The output of `poll_action`, to be executed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a new incarnation; answer with `Started`, `Ignored` or `StartFailed`.
    Start(ChildKey, Incarnation),
    /// Request the incarnation to stop; answer with `Exited`.
    ///
    /// If it has not started yet, `StartFailed` and `Ignored` are answers too.
    Stop(Incarnation),
    /// Kill the incarnation; answered as [`Action::Stop`] is.
    Kill(Incarnation),
    /// The key of the child that this request adds. Its `Start` follows.
    Added(RequestId, ChildKey),
    /// The child is removed and its key never used again: the driver drops what starts it.
    Forget(ChildKey),
    /// The reply to a request.
    Reply(RequestId, Reply),
    /// A report for the operator's log.
    Report(Report),
    /// All first children are started.
    Ready,
    /// No incarnation runs; the supervisor exits with this reason.
    ///
    /// Comes once. Afterwards come only the refusals of later requests.
    Exit(ExitReason),
}
