//! What a scenario says about supervisors and children.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::ExitReason;
use serde_json::Value;

use super::error::ScenarioError;
use super::term::Term;

/// A supervisor: its flags, unchecked, and its children. What is wrong with them is for its start to find.
#[derive(Clone, Debug)]
pub struct SupervisorPlan {
    /// The object `sup`.
    pub flags: Value,
    /// In start order.
    pub children: Vec<Arc<ChildPlan>>,
}

/// A child: its spec, unchecked, and what it does.
#[derive(Clone, Debug)]
pub struct ChildPlan {
    /// The object itself; a string stands for something that is no spec.
    pub spec: Value,
    /// What it is called in the trace.
    pub id: String,
    /// What its start attempts do, one after the other; the last one repeats. Never empty.
    pub starts: Vec<Attempt>,
    /// What it does when told to stop; without it any exit signal ends it at once.
    pub on_shutdown: Option<OnShutdown>,
    /// It is a supervisor with children of its own.
    pub nested: Option<SupervisorPlan>,
}

/// What one start attempt does.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How it goes.
    pub outcome: Outcome,
    /// The reason of a failure, or of the end that `exit_after` brings.
    pub reason: Term,
    /// How long the start function takes; its supervisor does nothing meanwhile.
    pub delay: Duration,
    /// When the started child exits by itself.
    pub exit_after: Option<Duration>,
}

/// The start attempts of all ids of a world.
#[derive(Debug, Default)]
pub struct Attempts {
    /// How many there were.
    made: HashMap<String, u32>,
    /// What the next ones do.
    next: HashMap<String, Vec<Attempt>>,
}

/// How a start attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The child lives. `extra`: the caller is told more than that.
    Ok {
        /// See there.
        extra: bool,
    },
    /// The child is not needed.
    Ignore,
    /// The start function returns what no start function returns.
    Garbage,
    /// The start function returns an error.
    Error,
    /// The start function raises.
    Raise,
}

/// What a child that traps exits does when told to stop.
#[derive(Clone, Debug)]
pub enum OnShutdown {
    /// Nothing.
    Ignore,
    /// Stops after this time, with the reason given to it or with one of its own.
    After(Duration, Option<Term>),
    /// Stops at once with this reason.
    Exit(Term),
    /// Stops at once with the reason given to it.
    Obey,
}

/// What an object may have. The key `unknown` means nothing to anybody: supervisors overlook what they do not know.
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
    /// From `{"sup": .., "children": ..}`.
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

    /// What the callback `init` returns instead of flags and specs.
    pub fn init(&self) -> Option<&str> {
        self.flags["init"].as_str()
    }
}

impl ChildPlan {
    /// From a CHILD.
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

    /// From a list of start behaviours, or one.
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, ScenarioError> {
        match value.as_array() {
            Some(list) if list.is_empty() => Err(ScenarioError::bad("start", value)),
            Some(list) => list.iter().map(Self::parse).collect(),
            None => Ok(vec![Self::parse(value)?]),
        }
    }

    /// What the trace says of this attempt, and why it failed, if it did; nothing of a child that is to live.
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
        let what = value.as_str().or(value["do"].as_str()).unwrap_or("ok");
        let outcome = match what {
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
    /// The number of the next attempt of this id, and what it does.
    pub fn next(&mut self, id: &str, plan: &ChildPlan) -> (u32, Attempt) {
        let number = self.made.entry(id.to_owned()).or_default();
        *number += 1;
        let next = self.next.entry(id.to_owned()).or_insert_with(|| plan.starts.clone());
        let attempt = if next.len() > 1 { next.remove(0) } else { next[0].clone() };
        (*number, attempt)
    }

    /// Replaces what the next attempts of this id do. Not with nothing.
    pub fn replace(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.next.insert(id.to_owned(), attempts);
    }
}

impl OnShutdown {
    /// What follows from an exit signal with this reason: nothing, or an end, and how long it takes if not at once.
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

/// An exception in a start function, as OTP gives it as a reason.
pub fn raised(term: &str) -> ExitReason {
    ExitReason::Error(format!("{{'EXIT',{term}}}"))
}

/// A time in milliseconds, if there is one.
pub(super) fn milliseconds(value: &Value) -> Result<Option<Duration>, ScenarioError> {
    match value {
        Value::Null => Ok(None),
        value => match value.as_u64() {
            Some(ms) => Ok(Some(Duration::from_millis(ms))),
            None => Err(ScenarioError::bad("milliseconds", value)),
        },
    }
}
