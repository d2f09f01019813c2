//! Scenarios: trees of children with scripted behaviour, steps that act on them, and the trace that follows.
//!
//! Erlang's own `supervisor` plays the same files; its traces are the expected ones.
//! `tests/scenarios/README.md` describes the format.
//!
//! * [`Scenario`]: one parsed file.
//! * [`World`]: the place where it is played. [`VirtualWorld`] has simulated processes on virtual time,
//!   [`ActorsWorld`] real actors under real supervisors.
//! * [`run`]: plays a scenario and returns its trace.
//!
//! This folder knows the supervision rules and the actors. It knows no processes of the operating system.

mod actors_world;
pub mod check;
mod error;
pub mod plan;
mod script;
pub mod step;
pub mod term;
pub mod trace;
mod virtual_world;
mod world;

use std::sync::Arc;

use serde_json::Value;

pub use actors_world::ActorsWorld;
pub use error::ScenarioError;
pub use script::play;
pub use virtual_world::VirtualWorld;
pub use world::{Answer, Booted, CallId, Listed, ProcessId, World, answer_text, error_text};

use plan::SupervisorPlan;
use step::Step;
use trace::SortStops;

/// A tree and the steps that act on it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name of the scenario.
    pub name: String,
    /// Why OTP's own trace is a bug, if it is one.
    pub otp_bug: Option<String>,
    /// Which `stop` lines have no defined order.
    pub sort_stops: SortStops,
    /// The top supervisor.
    pub top: Arc<SupervisorPlan>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Allowed keys of a scenario object.
const KEYS: [&str; 8] = ["name", "desc", "src", "otp_bug", "sort_stops", "sup", "children", "steps"];

impl Scenario {
    /// Parses the text of a scenario file.
    ///
    /// # Errors
    ///
    /// A [`ScenarioError`] that names the place and the value.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let value: Value = serde_json::from_str(text)?;
        if !value.is_object() {
            return Err(ScenarioError::bad("a scenario", &value));
        }
        ScenarioError::unless_known("a scenario", &value, &KEYS)?;
        let sort_stops = match &value["sort_stops"] {
            Value::Null | Value::Bool(false) => SortStops::No,
            Value::Bool(true) => SortStops::All,
            kill if kill == "kill" => SortStops::AfterKill,
            other => return Err(ScenarioError::bad("sort_stops", other)),
        };
        let none = Vec::new();
        let steps = match &value["steps"] {
            Value::Null => &none,
            steps => steps.as_array().ok_or_else(|| ScenarioError::bad("steps", steps))?,
        };
        Ok(Self {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            otp_bug: value["otp_bug"].as_str().map(str::to_owned),
            sort_stops,
            top: Arc::new(SupervisorPlan::parse(&value)?),
            steps: steps.iter().map(Step::parse).collect::<Result<_, _>>()?,
        })
    }
}

/// Plays a scenario in a world and returns its trace.
pub fn run<W: World>(scenario: &Scenario, mut world: W) -> Vec<String> {
    play(scenario, &mut world);
    trace::sort_stops(world.into_trace(), scenario.sort_stops)
}
