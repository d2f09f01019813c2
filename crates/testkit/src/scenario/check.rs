//! Validation of flags and specs in JSON. OTP checks them at run time; Rust's types rule most errors out.

use std::time::Duration;

use impresario_supervision::{
    AutoShutdown, ChildId, ChildKind, ChildRules, Flags, Intensity, Restart, Shutdown, SpecError, Strategy,
    Supervisor,
};
use serde_json::Value;

use super::plan::SupervisorPlan;
use super::term::{Term, quoted};

/// OTP's error for an `init` that returns garbage.
pub const BAD_INIT: &str = "{bad_return,{otp_diff,init,garbage}}";

/// Valid flags and specs.
#[derive(Clone, Debug)]
pub struct Checked {
    /// True for `simple_one_for_one`: all children are instances of one template.
    pub dynamic: bool,
    /// Supervisor flags.
    pub flags: Flags,
    /// Child specs in start order.
    pub specs: Vec<ChildRules>,
}

/// Why a plan is invalid, as OTP's term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The flags are invalid.
    Flags(String),
    /// A spec is invalid.
    Specs(String),
    /// A dynamic supervisor does not have exactly one spec. OTP's error at a start lists the specs. At a code
    /// change it contains the result of the spec check, which runs first.
    Count {
        /// The specs.
        specs: String,
        /// Result of the spec check.
        looked_at: String,
    },
}

impl Refusal {
    /// OTP's error at a start.
    pub fn at_start(&self) -> String {
        match self {
            Self::Flags(error) => format!("{{supervisor_data,{error}}}"),
            Self::Specs(error) => format!("{{start_spec,{error}}}"),
            Self::Count { specs, .. } => format!("{{bad_start_spec,{specs}}}"),
        }
    }

    /// OTP's error at a code change.
    pub fn at_upgrade(&self) -> String {
        match self {
            Self::Flags(error) | Self::Specs(error) | Self::Count { looked_at: error, .. } => {
                format!("{{error,{error}}}")
            }
        }
    }
}

/// Checks a plan in OTP's order: flags first, then spec by spec.
pub fn check(plan: &SupervisorPlan) -> Result<Checked, Refusal> {
    let (dynamic, flags) = flags(&plan.flags).map_err(Refusal::Flags)?;
    let specs = specs(plan, flags);
    if dynamic && plan.children.len() != 1 {
        let ids = plan.children.iter().map(|child| quoted(&child.id)).collect::<Vec<_>>().join(",");
        let looked_at = specs.map_or_else(|error| error, |_| format!("{{ok,{{[{ids}],map}}}}"));
        let specs = plan.children.iter().map(|child| shown(&child.spec)).collect::<Vec<_>>().join(",");
        return Err(Refusal::Count { specs: format!("[{specs}]"), looked_at });
    }
    Ok(Checked { dynamic, flags, specs: specs.map_err(Refusal::Specs)? })
}

fn specs(plan: &SupervisorPlan, flags: Flags) -> Result<Vec<ChildRules>, String> {
    let mut specs = Vec::new();
    for child in &plan.children {
        let spec = spec(&child.spec, flags.auto_shutdown);
        // A duplicate id among the earlier specs is reported before an invalid later spec.
        combination(flags, specs.clone())?;
        specs.push(spec?);
    }
    combination(flags, specs.clone())?;
    Ok(specs)
}

/// A spec as OTP's runner prints it in errors.
fn shown(spec: &Value) -> String {
    match (spec, spec.get("id")) {
        (Value::String(atom), _) => quoted(atom),
        (_, Some(id)) => format!("{{spec,{}}}", Term::from_json(id)),
        (_, None) => "map".to_owned(),
    }
}

/// Errors that the supervision rules find.
fn combination(flags: Flags, specs: Vec<ChildRules>) -> Result<(), String> {
    Supervisor::new(flags, specs).map(drop).map_err(|error| spec_error(&error))
}

/// An error of the supervision rules as OTP's term.
pub fn spec_error(error: &SpecError) -> String {
    match error {
        SpecError::DuplicateId { child } => format!("{{duplicate_child_name,{}}}", quoted(child.as_str())),
        SpecError::SignificantWithoutAutoShutdown { .. } => {
            "{bad_combination,[{auto_shutdown,never},{significant,true}]}".to_owned()
        }
        SpecError::SignificantPermanent { .. } => {
            "{bad_combination,[{restart,permanent},{significant,true}]}".to_owned()
        }
        other => quoted(&other.to_string()),
    }
}

fn flags(sup: &Value) -> Result<(bool, Flags), String> {
    let given = |key: &str| sup.get(key).map(Term::from_json);
    let invalid = |key: &str, value: Term| Err(format!("{{invalid_{key},{value}}}"));
    let (dynamic, strategy) = match given("strategy") {
        None => (false, Strategy::OneForOne),
        Some(value) => match value.to_string().as_str() {
            "one_for_one" => (false, Strategy::OneForOne),
            "one_for_all" => (false, Strategy::OneForAll),
            "rest_for_one" => (false, Strategy::RestForOne),
            "simple_one_for_one" => (true, Strategy::OneForOne),
            _ => return invalid("strategy", value),
        },
    };
    let restarts = match given("intensity").unwrap_or(Term::Number(1)) {
        Term::Number(number) if number >= 0 => u32::try_from(number).unwrap_or(u32::MAX),
        value => return invalid("intensity", value),
    };
    let period = match given("period").unwrap_or(Term::Number(5)) {
        Term::Number(number) if number > 0 => Duration::from_secs(number.unsigned_abs()),
        value => return invalid("period", value),
    };
    let auto_shutdown = match given("auto_shutdown") {
        None => AutoShutdown::Never,
        Some(value) => match value.to_string().as_str() {
            "never" => AutoShutdown::Never,
            "any_significant" => AutoShutdown::AnySignificant,
            "all_significant" => AutoShutdown::AllSignificant,
            _ => return invalid("auto_shutdown", value),
        },
    };
    Ok((dynamic, Flags { strategy, intensity: Intensity::new(restarts, period), auto_shutdown }))
}

/// Parses one spec, key by key in OTP's order.
pub fn spec(spec: &Value, auto_shutdown: AutoShutdown) -> Result<ChildRules, String> {
    if !spec.is_object() {
        return Err(format!("{{invalid_child_spec,{}}}", Term::from_json(spec)));
    }
    let id = spec.get("id").ok_or("missing_id")?;
    if spec.get("no_start").is_some() {
        return Err("missing_start".to_owned());
    }
    let id = ChildId::from(id.as_str().map_or(Term::from_json(id).to_string(), str::to_owned));
    let restart = match spec.get("restart").map(Term::from_json) {
        None => Restart::Permanent,
        Some(value) => match value.to_string().as_str() {
            "permanent" => Restart::Permanent,
            "transient" => Restart::Transient,
            "temporary" => Restart::Temporary,
            _ => return Err(format!("{{invalid_restart_type,{value}}}")),
        },
    };
    let significant = match spec.get("significant") {
        None => false,
        Some(Value::Bool(significant)) => *significant,
        Some(Value::String(text)) => {
            return Err(format!("{{invalid_significant,{}}}", Term::Binary(text.clone())));
        }
        Some(value) => return Err(format!("{{invalid_significant,{}}}", Term::from_json(value))),
    };
    let worker = ChildRules { restart, significant, ..ChildRules::worker(id.clone()) };
    combination(Flags { auto_shutdown, ..Flags::default() }, vec![worker])?;
    let typed = match spec.get("type").map(Term::from_json) {
        None => ChildRules::worker(id),
        Some(value) => match value.to_string().as_str() {
            "worker" => ChildRules::worker(id),
            "supervisor" => ChildRules::supervisor(id),
            _ => return Err(format!("{{invalid_child_type,{value}}}")),
        },
    };
    let shutdown = match spec.get("shutdown").map(Term::from_json) {
        None => typed.shutdown,
        Some(Term::Number(ms)) if ms >= 0 => Shutdown::Timeout(Duration::from_millis(ms.unsigned_abs())),
        Some(Term::Atom(word)) if word == "infinity" => Shutdown::Infinity,
        Some(Term::Atom(word)) if word == "brutal_kill" => Shutdown::Kill,
        Some(value) => return Err(format!("{{invalid_shutdown,{value}}}")),
    };
    Ok(ChildRules { restart, shutdown, significant, ..typed })
}

/// A spec as the `childspec` line prints it.
pub fn spec_text(spec: &ChildRules) -> String {
    let shutdown = match spec.shutdown {
        Shutdown::Kill => "brutal_kill".to_owned(),
        Shutdown::Timeout(time) => time.as_millis().to_string(),
        Shutdown::Infinity => "infinity".to_owned(),
    };
    let kind = match spec.kind {
        ChildKind::Worker => "worker",
        ChildKind::Supervisor => "supervisor",
    };
    // OTP's runner prints the space at the end.
    format!("restart={} shutdown={shutdown} significant={} type={kind} ", spec.restart, spec.significant)
}
