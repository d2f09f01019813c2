//! The supervisors and children of a scenario.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::ExitReason;
use serde_json::Value;

use super::error::ScenarioError;
use super::term::Term;

/// A supervisor: flags and children. They are checked at its start, as in OTP.
#[derive(Clone, Debug)]
pub struct SupervisorPlan {
    /// The `sup` object, unchecked.
    pub flags: Value,
    /// Children in start order.
    pub children: Vec<Arc<ChildPlan>>,
}

/// A child: its spec and its behaviour.
#[derive(Clone, Debug)]
pub struct ChildPlan {
    /// The child object, unchecked. A string is an invalid spec.
    pub spec: Value,
    /// Id in the trace.
    pub id: String,
    /// Behaviour of each start attempt, in order. The last one repeats. Never empty.
    pub starts: Vec<Attempt>,
    /// Reaction to a trapped exit signal. `None`: the child does not trap exits, so any signal but `normal`
    /// ends it.
    pub on_shutdown: Option<OnShutdown>,
    /// The children, if the child is a supervisor.
    pub nested: Option<SupervisorPlan>,
}

/// Behaviour of one start attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Result of the start function.
    pub outcome: Outcome,
    /// Reason of a failure, or of the exit after `exit_after`.
    pub reason: Term,
    /// Duration of the start function. It blocks the supervisor, as in OTP.
    pub delay: Duration,
    /// Time from the start to an exit by itself, if it exits.
    pub exit_after: Option<Duration>,
}

/// Start attempts of all ids of a world.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Number of attempts so far.
    made: HashMap<String, u32>,
    /// Behaviour of the next attempts.
    next: HashMap<String, Vec<Attempt>>,
}

/// Result of a start attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The child runs.
    Ok {
        /// The start function returns `{ok, Pid, extra}`.
        extra: bool,
    },
    /// The start function returns `ignore`.
    Ignore,
    /// The start function returns an invalid value.
    Garbage,
    /// The start function returns an error.
    Error,
    /// The start function raises an exception.
    Raise,
}

/// Reaction of a child that traps exits to an exit signal.
#[derive(Clone, Debug)]
pub enum OnShutdown {
    /// It ignores the signal.
    Ignore,
    /// It exits after this time, with this reason or with that of the signal.
    After(Duration, Option<Term>),
    /// It exits immediately with this reason.
    Exit(Term),
    /// It exits immediately with the reason of the signal.
    Obey,
}

/// Allowed keys of each object. The key `unknown` is for tests: supervisors ignore unknown keys.
const FLAGS: [&str; 6] = ["strategy", "intensity", "period", "auto_shutdown", "init", "unknown"];
const CHILD: [&str; 11] = [
    "id",
    "restart",
    "shutdown",
    "type",
    "significant",
    "start",
    "on_shutdown",
    "sup",
    "children",
    "no_start",
    "unknown",
];
const START: [&str; 4] = ["do", "reason", "delay_ms", "exit_after_ms"];
const ON_SHUTDOWN: [&str; 2] = ["delay_ms", "exit"];

impl SupervisorPlan {
    /// Parses `{"sup": .., "children": ..}`.
    pub fn parse(value: &Value) -> Result<Self, ScenarioError> {
        ScenarioError::unless_known("sup", &value["sup"], &FLAGS)?;
        let init = &value["sup"]["init"];
        if !init.is_null() && init != "ignore" && init != "garbage" {
            return Err(ScenarioError::bad("init", init));
        }
        let none = Vec::new();
        let children = match &value["children"] {
            Value::Null => &none,
            children => children.as_array().ok_or_else(|| ScenarioError::bad("children", children))?,
        };
        let children =
            children.iter().map(|child| ChildPlan::parse(child).map(Arc::new)).collect::<Result<_, _>>()?;
        let flags = match &value["sup"] {
            Value::Null => Value::Object(serde_json::Map::new()),
            flags => flags.clone(),
        };
        Ok(Self { flags, children })
    }

    /// What the `init` callback returns instead of flags and specs.
    pub fn init(&self) -> Option<&str> {
        self.flags["init"].as_str()
    }
}

impl ChildPlan {
    /// Parses a child object.
    pub fn parse(value: &Value) -> Result<Self, ScenarioError> {
        ScenarioError::unless_known("a child", value, &CHILD)?;
        let id = value.as_str().or(value["id"].as_str()).unwrap_or("noid").to_owned();
        let starts = match &value["start"] {
            Value::Null => vec![Attempt::ok()],
            starts => Attempt::parse_all(starts)?,
        };
        let on_shutdown = match &value["on_shutdown"] {
            Value::Null => None,
            how => Some(OnShutdown::parse(how)?),
        };
        let nested = if value["sup"].is_object() { Some(SupervisorPlan::parse(value)?) } else { None };
        Ok(Self { spec: value.clone(), id, starts, on_shutdown, nested })
    }
}

impl Attempt {
    fn ok() -> Self {
        Self {
            outcome: Outcome::Ok { extra: false },
            reason: Term::atom("boom"),
            delay: Duration::ZERO,
            exit_after: None,
        }
    }

    /// Parses one start behaviour or a list of them.
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, ScenarioError> {
        match value.as_array() {
            Some(list) if list.is_empty() => Err(ScenarioError::bad("start", value)),
            Some(list) => list.iter().map(Self::parse).collect(),
            None => Ok(vec![Self::parse(value)?]),
        }
    }

    /// The trace line and the exit reason of a failed attempt. Returns `None` if the child starts. The reason
    /// is `None` for `ignore`.
    pub fn failure(&self, id: &str, number: u32) -> Option<(String, Option<ExitReason>)> {
        let reason = &self.reason;
        Some(match self.outcome {
            Outcome::Ok { .. } => return None,
            Outcome::Ignore => (format!("start_ignore {id} {number}"), None),
            Outcome::Garbage => {
                (format!("start_garbage {id} {number}"), Some(ExitReason::Error("garbage".to_owned())))
            }
            Outcome::Error => (format!("start_error {id} {number} {reason}"), Some(reason.to_reason())),
            Outcome::Raise => {
                (format!("start_raise {id} {number} {reason}"), Some(raised(&reason.to_string())))
            }
        })
    }

    fn parse(value: &Value) -> Result<Self, ScenarioError> {
        ScenarioError::unless_known("a start", value, &START)?;
        let kind = value.as_str().or(value["do"].as_str()).unwrap_or("ok");
        let outcome = match kind {
            "ok" => Outcome::Ok { extra: false },
            "ok_extra" => Outcome::Ok { extra: true },
            "ignore" => Outcome::Ignore,
            "garbage" => Outcome::Garbage,
            "error" => Outcome::Error,
            "raise" => Outcome::Raise,
            _ => return Err(ScenarioError::bad("start", value)),
        };
        let reason = match &value["reason"] {
            Value::Null => Term::atom("boom"),
            reason => Term::from_json(reason),
        };
        let delay = milliseconds(&value["delay_ms"])?.unwrap_or_default();
        Ok(Self { outcome, reason, delay, exit_after: milliseconds(&value["exit_after_ms"])? })
    }
}

impl Attempts {
    /// Number and behaviour of the next attempt of this id.
    pub fn next(&mut self, id: &str, plan: &ChildPlan) -> (u32, Attempt) {
        let number = self.made.entry(id.to_owned()).or_default();
        *number += 1;
        let next = self.next.entry(id.to_owned()).or_insert_with(|| plan.starts.clone());
        let attempt = if next.len() > 1 { next.remove(0) } else { next[0].clone() };
        (*number, attempt)
    }

    /// Replaces the behaviour of the next attempts of this id. `attempts` is not empty.
    pub fn replace(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.next.insert(id.to_owned(), attempts);
    }
}

impl OnShutdown {
    /// Reaction to an exit signal: `None` if it is ignored, else the delay, if any, and the reason of the
    /// exit.
    pub fn response_to(&self, given: &ExitReason) -> Option<(Option<Duration>, ExitReason)> {
        let own = |own: &Option<Term>| own.as_ref().map_or_else(|| given.clone(), Term::to_reason);
        match self {
            Self::Ignore => None,
            Self::Obey => Some((None, given.clone())),
            Self::Exit(reason) => Some((None, reason.to_reason())),
            Self::After(delay, reason) => Some((Some(*delay), own(reason))),
        }
    }

    fn parse(value: &Value) -> Result<Self, ScenarioError> {
        ScenarioError::unless_known("on_shutdown", value, &ON_SHUTDOWN)?;
        let exit = Some(&value["exit"]).filter(|exit| !exit.is_null()).map(Term::from_json);
        Ok(match (milliseconds(&value["delay_ms"])?, exit) {
            (Some(delay), exit) => Self::After(delay, exit),
            (None, Some(exit)) => Self::Exit(exit),
            (None, None) if value == "ignore" => Self::Ignore,
            (None, None) if value == "record" => Self::Obey,
            (None, None) => return Err(ScenarioError::bad("on_shutdown", value)),
        })
    }
}

/// The exit reason for an exception in a start function.
pub fn raised(term: &str) -> ExitReason {
    ExitReason::Error(format!("{{'EXIT',{term}}}"))
}

/// Parses a time in milliseconds; `None` for null.
pub(super) fn milliseconds(value: &Value) -> Result<Option<Duration>, ScenarioError> {
    match value {
        Value::Null => Ok(None),
        value => match value.as_u64() {
            Some(ms) => Ok(Some(Duration::from_millis(ms))),
            None => Err(ScenarioError::bad("milliseconds", value)),
        },
    }
}
