//! Supervisor reports: what an operator's log shows of failures. Data only; the drivers hold the logger.

use std::fmt;

use crate::id::{ChildId, Incarnation};
use crate::policy::backoff::DelayedRestart;
use crate::policy::spec::{ChildKind, ChildRules, Restart, Shutdown};
use crate::reason::ExitReason;

/// One failure of a child or of its supervisor (OTP: supervisor report).
///
/// [`Display`](fmt::Display) is one line for people. A structured log takes [`ReportKind::message`] and
/// [`key_values`](Self::key_values).
#[doc(alias = "supervisor_report")]
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What happened.
    pub kind: ReportKind,
    /// The child that it happened to.
    pub child: ChildId,
    /// The incarnation that it happened to; `None` if the report summarizes instances that stopped together.
    pub incarnation: Option<Incarnation>,
    /// How many incarnations the report is about.
    ///
    /// More than 1 only when a dynamic supervisor shut down and that many instances exited with this reason.
    pub instances: usize,
    /// The exit reason, or the reason why the start failed.
    pub reason: ExitReason,
    /// The restart that follows, if the child's backoff delays it. `None` if it is immediate or does not follow.
    pub delayed_restart: Option<DelayedRestart>,
    /// The child's restart type.
    pub restart: Restart,
    /// The child's shutdown.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub child_kind: ChildKind,
}

/// What a [`Report`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportKind {
    /// A child failed to start.
    StartError,
    /// A child exited without a request to stop.
    ChildTerminated,
    /// A child that was requested to stop exited with an unexpected reason, for example killed after its time-out.
    ShutdownError,
    /// One restart more would exceed the intensity; the supervisor shuts down.
    GaveUp,
}

impl ReportKind {
    /// OTP's name of it: the `errorContext` of a supervisor report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::GaveUp => "shutdown",
        }
    }

    /// The message of a log line; the child and the reason are among its fields.
    pub const fn message(self) -> &'static str {
        match self {
            Self::StartError => "child failed to start",
            Self::ChildTerminated => "child terminated",
            Self::ShutdownError => "child did not shut down cleanly",
            Self::GaveUp => "restart limit reached",
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
            instances: 1,
            reason,
            delayed_restart: None,
            restart: spec.restart,
            shutdown: spec.shutdown,
            child_kind: spec.kind,
        }
    }

    /// The fields of a structured log line. A field that would repeat another one or the message is left out.
    pub fn key_values(&self) -> impl Iterator<Item = (&'static str, String)> {
        let incarnation =
            self.incarnation.map(|incarnation| ("incarnation", incarnation.number().to_string()));
        let instances = (self.instances > 1).then(|| ("instances", self.instances.to_string()));
        let delayed = self.delayed_restart.map(|restart| {
            [("restarting_in", format!("{:?}", restart.delay)), ("attempt", restart.attempt.to_string())]
        });
        std::iter::once(("child", self.child.to_string()))
            .chain(incarnation)
            .chain(instances)
            .chain(std::iter::once(("reason", self.reason.to_string())))
            .chain(delayed.into_iter().flatten())
            .chain([
                ("restart", self.restart.to_string()),
                ("shutdown", self.shutdown.to_string()),
                ("kind", self.child_kind.to_string()),
            ])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { child, reason, instances, .. } = self;
        match self.kind {
            ReportKind::StartError => write!(f, "child {child} failed to start: {reason}"),
            ReportKind::ChildTerminated => write!(f, "child {child} terminated: {reason}"),
            ReportKind::ShutdownError if *instances > 1 => {
                write!(f, "{instances} instances of child {child} did not shut down cleanly: {reason}")
            }
            ReportKind::ShutdownError => write!(f, "child {child} did not shut down cleanly: {reason}"),
            ReportKind::GaveUp => {
                write!(f, "restart limit reached, last failure of child {child}: {reason}")
            }
        }?;
        self.delayed_restart.map_or(Ok(()), |restart| write!(f, "; {restart}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fields(report: &Report) -> String {
        report.key_values().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn report_is_a_line_and_fields() {
        let spec = ChildRules::worker("db");
        let mut report =
            Report::new(ReportKind::ShutdownError, &spec, Some(Incarnation(7)), ExitReason::Killed);
        assert_eq!(report.to_string(), "child db did not shut down cleanly: killed");
        let rest = "reason=killed restart=permanent shutdown=5s kind=worker";
        assert_eq!(fields(&report), format!("child=db incarnation=7 {rest}"));
        (report.incarnation, report.instances) = (None, 2);
        assert_eq!(report.to_string(), "2 instances of child db did not shut down cleanly: killed");
        assert_eq!(fields(&report), format!("child=db instances=2 {rest}"));
    }

    #[test]
    fn delayed_restart_shows_delay_and_attempt() {
        let spec = ChildRules::worker("db");
        let mut report = Report::new(ReportKind::ChildTerminated, &spec, None, ExitReason::Code(1));
        report.delayed_restart = Some(DelayedRestart { delay: Duration::from_millis(40), attempt: 3 });
        assert_eq!(report.to_string(), "child db terminated: exit code 1; restarting in 40 ms (attempt 3)");
        let delayed = "restarting_in=40ms attempt=3";
        let rest = "restart=permanent shutdown=5s kind=worker";
        assert_eq!(fields(&report), format!("child=db reason=exit code 1 {delayed} {rest}"));
    }

    #[test]
    fn every_kind_has_a_line_and_a_message() {
        let spec = ChildRules::worker("db");
        for (kind, line, message) in [
            (ReportKind::StartError, "child db failed to start: no such process", "child failed to start"),
            (ReportKind::ChildTerminated, "child db terminated: no such process", "child terminated"),
            (
                ReportKind::ShutdownError,
                "child db did not shut down cleanly: no such process",
                "child did not shut down cleanly",
            ),
            (
                ReportKind::GaveUp,
                "restart limit reached, last failure of child db: no such process",
                "restart limit reached",
            ),
        ] {
            let report = Report::new(kind, &spec, None, ExitReason::NoProc);
            assert_eq!((report.to_string().as_str(), kind.message()), (line, message));
        }
    }
}
