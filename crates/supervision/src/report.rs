//! What an operator should be told, as data: drivers hold the logger.

use std::fmt;

use crate::id::{ChildId, Incarnation};
use crate::policy::spec::{ChildKind, ChildRules, Restart, Shutdown};
use crate::reason::ExitReason;

/// One thing that a supervisor has to say about a child (OTP: supervisor report).
///
/// [`Display`](fmt::Display) is the line for people, [`key_values`](Self::key_values) the fields for machines.
#[doc(alias = "supervisor_report")]
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What happened.
    pub kind: ReportKind,
    /// The child it is about.
    pub child: ChildId,
    /// Which of its lives, if it is about one.
    pub incarnation: Option<Incarnation>,
    /// How many lives it speaks for; more than one only when a dynamic supervisor stops them together.
    pub lives: usize,
    /// Why.
    pub reason: ExitReason,
    /// By which rule the child is started again.
    pub restart: Restart,
    /// By which rule it is stopped.
    pub shutdown: Shutdown,
    /// What the child is.
    pub child_kind: ChildKind,
}

/// What a [`Report`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportKind {
    /// A child did not start.
    StartError,
    /// A child ended, and not because it was told to.
    ChildTerminated,
    /// A child that was told to stop ended otherwise.
    ShutdownError,
    /// The supervisor gives up: too many restarts.
    GaveUp,
}

impl ReportKind {
    /// The word OTP uses for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::GaveUp => "shutdown",
        }
    }
}

impl Report {
    pub(crate) fn new(
        kind: ReportKind,
        spec: &ChildRules,
        incarnation: Option<Incarnation>,
        reason: ExitReason,
    ) -> Self {
        Self {
            kind,
            child: spec.id.clone(),
            incarnation,
            lives: 1,
            reason,
            restart: spec.restart,
            shutdown: spec.shutdown,
            child_kind: spec.kind,
        }
    }

    /// The fields by name, for a structured log.
    pub fn key_values(&self) -> impl Iterator<Item = (&'static str, String)> {
        let life = self.incarnation.map(|life| ("life", life.number().to_string()));
        [("report", self.kind.name().to_owned()), ("child", self.child.to_string())]
            .into_iter()
            .chain(life)
            .chain([
                ("lives", self.lives.to_string()),
                ("reason", self.reason.to_string()),
                ("restart", self.restart.to_string()),
                ("shutdown", self.shutdown.to_string()),
                ("kind", self.child_kind.to_string()),
            ])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { child, reason, lives, .. } = self;
        match self.kind {
            ReportKind::StartError => write!(f, "child {child} did not start: {reason}"),
            ReportKind::ChildTerminated => write!(f, "child {child} terminated: {reason}"),
            ReportKind::ShutdownError if *lives > 1 => {
                write!(f, "{lives} lives of child {child} did not stop as told: {reason}")
            }
            ReportKind::ShutdownError => write!(f, "child {child} did not stop as told: {reason}"),
            ReportKind::GaveUp => {
                write!(f, "restart limit reached, last failure of child {child}: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_line_and_fields() {
        let spec = ChildRules::worker("db");
        let mut report =
            Report::new(ReportKind::ShutdownError, &spec, Some(Incarnation(7)), ExitReason::Killed);
        assert_eq!(report.to_string(), "child db did not stop as told: killed");
        let fields: Vec<String> = report.key_values().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            fields.join(" "),
            "report=shutdown_error child=db life=7 lives=1 reason=killed restart=permanent shutdown=5s kind=worker"
        );
        (report.incarnation, report.lives) = (None, 2);
        assert_eq!(report.to_string(), "2 lives of child db did not stop as told: killed");
        assert!(report.key_values().all(|(key, _)| key != "life"));
    }

    #[test]
    fn every_kind_has_its_line() {
        let spec = ChildRules::worker("db");
        let line = |kind| Report::new(kind, &spec, None, ExitReason::NoProc).to_string();
        assert_eq!(line(ReportKind::StartError), "child db did not start: no such process");
        assert_eq!(line(ReportKind::ChildTerminated), "child db terminated: no such process");
        let gave_up = "restart limit reached, last failure of child db: no such process";
        assert_eq!(line(ReportKind::GaveUp), gave_up);
    }
}
