//! The steps of a scenario.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::error::ScenarioError;
use super::plan::{Attempt, ChildPlan, SupervisorPlan, milliseconds};
use super::term::Term;

/// A step and its line in the trace.
#[derive(Clone, Debug)]
pub struct Step {
    /// `> op args`.
    pub line: String,
    /// The operation.
    pub op: Op,
}

/// An operation. An id names the latest incarnation of a child.
#[derive(Clone, Debug)]
pub enum Op {
    /// A child exits by itself.
    ExitSelf {
        /// Id of the child.
        id: String,
        /// Exit reason.
        reason: Term,
        /// Wait until it has exited.
        wait: bool,
    },
    /// An exit signal from outside, followed by a wait.
    Signal {
        /// Id of the receiver.
        id: String,
        /// Reason of the signal.
        reason: Term,
        /// Wait for the arrival of the signal and for its consequences, not only for its arrival.
        wait: bool,
    },
    /// A kill, which cannot be trapped.
    Kill(String),
    /// A message that the receiver does not know.
    Message(String),
    /// The child unlinks itself from its supervisor.
    Unlink(String),
    /// A call to the supervisor with this id.
    Call(String, Call),
    /// Lists the children, sorted by their text.
    WhichSorted,
    /// A call from another process.
    CallAsync {
        /// Name of the call in its `reply` line.
        name: &'static str,
        /// Child that the call is about.
        id: String,
        /// The call.
        call: Call,
    },
    /// Waits for the answer of an asynchronous call.
    AwaitReply,
    /// Suspends the top supervisor.
    Suspend,
    /// Resumes the top supervisor.
    Resume,
    /// Sends the top supervisor an exit signal of its parent and waits for its exit.
    Shutdown(Term),
    /// Lets time pass.
    Sleep(Duration),
    /// Does nothing but settle.
    Settle,
    /// Replaces the behaviour of the next start attempts of an id.
    SetStart(String, Vec<Attempt>),
    /// Replaces flags and specs of the top supervisor.
    Upgrade(Arc<SupervisorPlan>),
}

/// A call to a supervisor.
#[derive(Clone, Debug)]
pub enum Call {
    /// Adds and starts a child.
    StartChild(Arc<ChildPlan>),
    /// Starts an instance with this label.
    StartInstance(String),
    /// Terminates by id.
    Terminate(String),
    /// Terminates by process: the latest incarnation of this id.
    TerminateProcess(String),
    /// Terminates a process that is not its child.
    TerminateForeign,
    /// Restarts by id.
    Restart(String),
    /// Deletes by id.
    Delete(String),
    /// Lists the children.
    Which,
    /// Counts the children.
    Count,
    /// Returns the spec of a child.
    ChildSpec(String),
    /// Replaces flags and specs.
    Upgrade(Arc<SupervisorPlan>),
}

/// Id of the top supervisor.
pub const TOP: &str = "$sup";

impl Step {
    /// Parses `[op, arg, ...]`.
    pub fn parse(value: &Value) -> Result<Self, ScenarioError> {
        let bad = || ScenarioError::bad("step", value);
        let list = value.as_array().ok_or_else(bad)?;
        let (name, args) = list.split_first().ok_or_else(bad)?;
        let name = name.as_str().ok_or_else(bad)?;
        let line = args.iter().fold(format!("> {name}"), |line, arg| line + " " + &argument(arg));
        let op = match Args(args).op(name) {
            Some(op) => op?,
            None => return Err(bad()),
        };
        Ok(Self { line, op })
    }
}

/// Arguments of a step. Every accessor returns `None` for a missing argument or one of the wrong type.
struct Args<'a>(&'a [Value]);

type Parsed = Option<Result<Op, ScenarioError>>;

impl Args<'_> {
    fn text(&self, at: usize) -> Option<String> {
        Some(self.0.get(at)?.as_str()?.to_owned())
    }

    fn term(&self, at: usize) -> Option<Term> {
        self.0.get(at).map(Term::from_json)
    }

    fn supervisor(&self, at: usize) -> Option<String> {
        if self.0.len() > at { self.text(at) } else { Some(TOP.to_owned()) }
    }

    fn op(&self, name: &str) -> Parsed {
        let op = match name {
            "exit_self" | "exit_self_async" => {
                Op::ExitSelf { id: self.text(0)?, reason: self.term(1)?, wait: name == "exit_self" }
            }
            "signal" | "signal_async" => {
                Op::Signal { id: self.text(0)?, reason: self.term(1)?, wait: name == "signal" }
            }
            "kill" => Op::Kill(self.text(0)?),
            "message" => Op::Message(self.text(0)?),
            "unlink" => Op::Unlink(self.text(0)?),
            "which_sorted" => Op::WhichSorted,
            "await_reply" => Op::AwaitReply,
            "suspend" => Op::Suspend,
            "resume" => Op::Resume,
            "settle" => Op::Settle,
            "shutdown" => Op::Shutdown(self.term(0).unwrap_or(Term::atom("shutdown"))),
            "sleep" => return self.sleep(),
            "set_start" => return self.set_start(),
            "upgrade" => {
                let plan = self.0.first()?;
                let known = ScenarioError::unless_known("upgrade", plan, &["sup", "children"]);
                let plan = known.and_then(|()| SupervisorPlan::parse(plan));
                return Some(plan.map(|plan| Op::Upgrade(Arc::new(plan))));
            }
            "start_child" => return self.start_child(),
            "call_async" => self.call_async()?,
            _ => return self.call(name).map(Ok),
        };
        Some(Ok(op))
    }

    fn call(&self, name: &str) -> Option<Op> {
        let (supervisor, call) = match name {
            "terminate" => (self.supervisor(1)?, Call::Terminate(self.text(0)?)),
            "restart" => (self.supervisor(1)?, Call::Restart(self.text(0)?)),
            "delete" => (self.supervisor(1)?, Call::Delete(self.text(0)?)),
            "which" => (self.supervisor(0)?, Call::Which),
            "count" => (self.supervisor(0)?, Call::Count),
            "childspec" => (TOP.to_owned(), Call::ChildSpec(self.text(0)?)),
            "terminate_pid" => (TOP.to_owned(), Call::TerminateProcess(self.text(0)?)),
            "terminate_alien" => (TOP.to_owned(), Call::TerminateForeign),
            "start_dyn" => (TOP.to_owned(), Call::StartInstance(self.text(0)?)),
            _ => return None,
        };
        Some(Op::Call(supervisor, call))
    }

    fn call_async(&self) -> Option<Op> {
        let id = self.text(1)?;
        let (name, call) = match self.text(0)?.as_str() {
            "terminate" => ("terminate_child", Call::Terminate(id.clone())),
            "restart" => ("restart_child", Call::Restart(id.clone())),
            "delete" => ("delete_child", Call::Delete(id.clone())),
            _ => return None,
        };
        Some(Op::CallAsync { name, id, call })
    }

    fn start_child(&self) -> Parsed {
        let supervisor = self.supervisor(1)?;
        let plan = ChildPlan::parse(self.0.first()?);
        Some(plan.map(|plan| Op::Call(supervisor, Call::StartChild(Arc::new(plan)))))
    }

    fn sleep(&self) -> Parsed {
        let time = milliseconds(self.0.first()?);
        Some(time.map(|time| Op::Sleep(time.unwrap_or_default())))
    }

    fn set_start(&self) -> Parsed {
        let id = self.text(0)?;
        Some(Attempt::parse_all(self.0.get(1)?).map(|attempts| Op::SetStart(id, attempts)))
    }
}

/// An argument as the line of the step prints it.
fn argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(argument).collect::<Vec<_>>().join(",")),
        Value::Object(object) => match (object.get("do"), object.get("reason")) {
            (Some(action), Some(reason)) => format!("{}:{}", flat(action), flat(reason)),
            (Some(action), None) => flat(action),
            (None, _) => object.get("id").map_or("{}".to_owned(), flat),
        },
        other => other.to_string(),
    }
}

/// All texts in a value, concatenated.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(flat).collect(),
        other => other.to_string(),
    }
}
