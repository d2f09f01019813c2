//! The interface of the worlds in which a scenario is played.

use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::{ChildRules, Counts, ExitReason, RequestError};

use super::check::spec_error;
use super::plan::{Attempt, SupervisorPlan};
use super::step::Call;
use super::term::{quoted, reason_text};

/// Bound of waits for a whole tree to start, to become idle or to exit: 1 h, which no scenario reaches.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// One incarnation of a child, or the top supervisor. Stays valid after the exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub(super) usize);

/// A call, answered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub(super) usize);

/// Result of the start of the top supervisor.
#[derive(Clone, Debug)]
pub enum Booted {
    /// It runs.
    Ok(ProcessId),
    /// Its `init` returned `ignore`.
    Ignore,
    /// It did not start; OTP's term for the reason.
    Error(String),
}

/// Answer of a supervisor.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `ok`.
    Done,
    /// `{ok, Pid}`, or `{ok, Pid, extra}`.
    Started {
        /// The started process.
        process: ProcessId,
        /// Whether the start function returned `{ok, Pid, extra}`.
        extra: bool,
    },
    /// `{ok, undefined}`.
    Undefined,
    /// `{error, {already_started, Pid}}`.
    AlreadyStarted(ProcessId),
    /// `{error, Term}`, as the trace prints it.
    Error(String),
    /// Children in OTP's order: id and state.
    Children(Vec<(String, Listed)>),
    /// Counts of children.
    Counts(Counts),
    /// A child spec.
    Spec(ChildRules),
    /// The supervisor exited with this reason before it answered.
    Exit(ExitReason),
}

/// State of a listed child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// This process runs.
    Process(ProcessId),
    /// `restarting`.
    Restarting,
    /// `undefined`.
    Undefined,
}

/// A world in which a scenario is played: it keeps time, runs processes and writes the trace.
///
/// The script that plays the steps uses only this trait. So it is the same for simulated processes on virtual
/// time and for real actors. Ids are unique in the tree. A world keeps, for each id, its latest process, the
/// number of start attempts and the behaviour of the next ones.
pub trait World {
    /// Starts the top supervisor and waits for the result.
    fn boot(&mut self, plan: &Arc<SupervisorPlan>) -> Booted;

    /// Appends a line to the trace, after the lines of all exits so far.
    fn write(&mut self, line: String);

    /// Number of lines.
    fn lines(&self) -> usize;

    /// The whole trace. Processes that still run are killed.
    fn into_trace(self) -> Vec<String>;

    /// Time since the start of the world.
    fn elapsed(&self) -> Duration;

    /// Lets time pass.
    fn sleep(&mut self, time: Duration);

    /// The latest process of an id.
    fn process(&self, id: &str) -> Option<ProcessId>;

    /// `ID#N` of a running process, `ID#dead` of an exited one that is the latest of its id, else `pid`.
    fn name(&self, process: ProcessId) -> String;

    /// Returns whether it runs.
    fn is_alive(&self, process: ProcessId) -> bool;

    /// Returns whether it exits within this time.
    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool;

    /// Asks the process to exit by itself.
    fn exit_self(&mut self, process: ProcessId, reason: ExitReason);

    /// Sends an exit signal from outside. For the top supervisor it comes from its parent.
    fn signal(&mut self, process: ProcessId, reason: ExitReason);

    /// Kills the process.
    fn kill(&mut self, process: ProcessId);

    /// Sends a message that the process does not know.
    fn message(&mut self, process: ProcessId);

    /// Removes the link between a process and its supervisor.
    fn unlink(&mut self, process: ProcessId);

    /// Suspends a supervisor. Returns when it handles nothing more.
    fn suspend(&mut self, supervisor: ProcessId);

    /// Resumes a supervisor.
    fn resume(&mut self, supervisor: ProcessId);

    /// Calls a supervisor. With `line_prefix`, the world writes a line of this prefix and the answer when it
    /// arrives.
    fn call(&mut self, supervisor: ProcessId, call: Call, line_prefix: Option<String>) -> CallId;

    /// Waits for the answer, for at most `within`.
    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer>;

    /// Replaces the behaviour of the next start attempts of an id.
    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>);
}

/// An error of a call as OTP prints it.
pub fn error_text(error: &RequestError, call: &Call) -> String {
    match error {
        RequestError::NotFound => "not_found".to_owned(),
        RequestError::AlreadyPresent => "already_present".to_owned(),
        RequestError::Running => "running".to_owned(),
        RequestError::Restarting => "restarting".to_owned(),
        // For an added child, OTP puts the spec into the reason.
        RequestError::StartFailed(reason) if matches!(call, Call::StartChild(_)) => {
            format!("start {}", reason_text(reason))
        }
        RequestError::StartFailed(reason) => reason_text(reason),
        RequestError::Spec(error) => spec_error(error),
        other => quoted(&other.to_string()),
    }
}

/// An answer as the trace prints it.
pub fn answer_text(answer: &Answer, name: impl Fn(ProcessId) -> String) -> String {
    match answer {
        Answer::Done => "ok".to_owned(),
        Answer::Started { process, extra: false } => format!("ok {}", name(*process)),
        Answer::Started { process, extra: true } => format!("ok {} extra", name(*process)),
        Answer::Undefined => "ok undefined".to_owned(),
        Answer::AlreadyStarted(process) => format!("error already_started {}", name(*process)),
        Answer::Error(term) => format!("error {term}"),
        Answer::Exit(reason) => format!("exit {}", super::term::reason_text(reason)),
        Answer::Spec(spec) => super::check::spec_text(spec),
        Answer::Counts(Counts { specs, active, supervisors, workers }) => {
            format!("specs={specs} active={active} supervisors={supervisors} workers={workers}")
        }
        Answer::Children(children) => {
            let line = |(id, listed): &(String, Listed)| match listed {
                Listed::Process(process) => format!("{id}={}", name(*process)),
                Listed::Restarting => format!("{id}=restarting"),
                Listed::Undefined => format!("{id}=undefined"),
            };
            children.iter().map(line).collect::<Vec<_>>().join(" ")
        }
    }
}
