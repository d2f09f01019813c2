//! What a scenario needs of the world it is played in.

use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::{ChildRules, Counts, ExitReason, RequestError};

use super::check::spec_error;
use super::plan::{Attempt, SupervisorPlan};
use super::step::Call;
use super::term::{quoted, reason_text};

/// How long a whole tree may take to start, to come to rest or to be gone: as good as for ever.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// One life of a child or of the top supervisor, as the trace names it. Known for ever, dead or alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub(super) usize);

/// A call that was made, perhaps answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub(super) usize);

/// What came of the start of the top supervisor.
#[derive(Clone, Debug)]
pub enum Booted {
    /// It runs.
    Ok(ProcessId),
    /// Its `init` said that it is not needed.
    Ignore,
    /// It did not start; OTP's term for the reason.
    Error(String),
}

/// What a supervisor answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `ok`.
    Done,
    /// `{ok, Pid}`, or `{ok, Pid, extra}`.
    Started {
        /// The life.
        process: ProcessId,
        /// See there.
        extra: bool,
    },
    /// `{ok, undefined}`.
    Undefined,
    /// `{error, {already_started, Pid}}`.
    AlreadyStarted(ProcessId),
    /// `{error, Term}`, as the trace prints it.
    Error(String),
    /// The children in OTP's order: each an id, and what is listed for it.
    Children(Vec<(String, Listed)>),
    /// How many there are.
    Counts(Counts),
    /// A spec.
    Spec(ChildRules),
    /// The supervisor ended, for this reason, before it answered.
    Exit(ExitReason),
}

/// How a child is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// With this life.
    Process(ProcessId),
    /// As `restarting`.
    Restarting,
    /// As `undefined`.
    Undefined,
}

/// A world in which a scenario is played: it keeps time, lets processes live and die, and writes the trace.
///
/// The script that plays the steps knows nothing else of it, so it is the same for simulated children on virtual
/// time and for real actors on a real runtime. Ids name children in the whole tree; a world keeps which life is the
/// latest of an id, how many start attempts it had, and what the next ones do.
pub trait World {
    /// Starts the top supervisor and waits for the outcome.
    fn boot(&mut self, plan: &Arc<SupervisorPlan>) -> Booted;

    /// Adds a line to the trace, after the deaths that have already happened.
    fn write(&mut self, line: String);

    /// How many lines there are.
    fn lines(&self) -> usize;

    /// The whole trace. What still lives is let go.
    fn into_trace(self) -> Vec<String>;

    /// How long the world has existed.
    fn elapsed(&self) -> Duration;

    /// Lets time pass.
    fn sleep(&mut self, time: Duration);

    /// The latest life of an id.
    fn process(&self, id: &str) -> Option<ProcessId>;

    /// `ID#N` of a living process, `ID#dead` of a dead one that is its id's latest.
    fn name(&self, process: ProcessId) -> String;

    /// Whether it lives.
    fn is_alive(&self, process: ProcessId) -> bool;

    /// Waits until it is dead, at most so long; whether it is.
    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool;

    /// Asks the process to exit by itself.
    fn exit_self(&mut self, process: ProcessId, reason: ExitReason);

    /// Sends it an exit signal from outside, which is also where the parent of the top supervisor is.
    fn signal(&mut self, process: ProcessId, reason: ExitReason);

    /// Kills it.
    fn kill(&mut self, process: ProcessId);

    /// Sends it a message that it does not know.
    fn message(&mut self, process: ProcessId);

    /// Cuts the link between it and its supervisor.
    fn unlink(&mut self, process: ProcessId);

    /// The supervisor handles nothing more; returns when it does so.
    fn suspend(&mut self, supervisor: ProcessId);

    /// It goes on.
    fn resume(&mut self, supervisor: ProcessId);

    /// Calls a supervisor. With `line_prefix`, the world writes this text and the answer when the answer arrives.
    fn call(&mut self, supervisor: ProcessId, call: Call, line_prefix: Option<String>) -> CallId;

    /// Waits for the answer, at most so long.
    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer>;

    /// Replaces what the next start attempts of an id do.
    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>);
}

/// Why a call was refused or failed, as OTP says it.
pub fn error_text(error: &RequestError, call: &Call) -> String {
    match error {
        RequestError::NotFound => "not_found".to_owned(),
        RequestError::AlreadyPresent => "already_present".to_owned(),
        RequestError::Running => "running".to_owned(),
        RequestError::Restarting => "restarting".to_owned(),
        // OTP adds the spec to the reason of a child that was to be added.
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
