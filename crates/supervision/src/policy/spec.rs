//! Child specifications and supervisor flags.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::id::ChildId;
use crate::policy::backoff::Backoff;
use crate::policy::intensity::Intensity;
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;

/// Which children are restarted when one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Only the failed child is restarted.
    #[default]
    OneForOne,
    /// All children are stopped and started again.
    OneForAll,
    /// The failed child and those started after it are stopped and started again.
    RestForOne,
}

/// When a child that exited without a request is restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After an exit reason that is not clean; see [`ExitReason::is_clean`](crate::ExitReason::is_clean).
    Transient,
    /// Never. Its entry is removed when it exits, for any reason.
    Temporary,
}

impl Restart {
    /// Whether a child that exited without a request is restarted after this reason.
    pub(crate) fn should_restart(self, reason: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => !reason.is_clean(),
            Self::Temporary => false,
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// How a child is stopped.
///
/// Default: 5 s for a worker, infinity for a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Killed immediately (OTP: `brutal_kill`).
    #[doc(alias = "brutal_kill")]
    Kill,
    /// Requested to stop, and killed if it has not exited after this time.
    Timeout(Duration),
    /// Requested to stop, and never killed. Right for a supervisor: its children have time-outs of their own.
    Infinity,
}

impl Shutdown {
    /// The exit reason of a child that stops as requested.
    pub(crate) fn expected_reason(self) -> ExitReason {
        match self {
            Self::Kill => ExitReason::Killed,
            Self::Timeout(_) | Self::Infinity => ExitReason::Shutdown,
        }
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.pad("kill"),
            Self::Timeout(timeout) => write!(f, "{timeout:?}"),
            Self::Infinity => f.pad("infinity"),
        }
    }
}

impl From<Duration> for Shutdown {
    fn from(timeout: Duration) -> Self {
        Shutdown::Timeout(timeout)
    }
}

/// Worker or supervisor: sets the default of [`Shutdown`] and where [`Counts`](crate::Counts) counts the child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChildKind {
    /// A child without children.
    #[default]
    Worker,
    /// A child that has children.
    Supervisor,
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        })
    }
}

/// Whether a supervisor shuts down when significant children have exited without a request and are not restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When one of them has exited.
    AnySignificant,
    /// When all of them have exited.
    AllSignificant,
}

/// The specification of one child, without the code that starts it (OTP: child specification).
#[derive(Clone, Debug, PartialEq)]
pub struct ChildRules {
    /// The child's name; unique within its supervisor.
    pub id: ChildId,
    /// When it is restarted.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Whether its exit counts for [`AutoShutdown`].
    pub significant: bool,
    /// The delay of restarts while it keeps failing; `None`: restarts are immediate.
    pub backoff: Option<Backoff>,
    /// How long a start may take before it is killed and fails; `None`: no limit. Must not be zero.
    pub start_timeout: Option<Duration>,
}

impl ChildRules {
    /// A permanent worker with a shutdown time-out of 5 s, without backoff and start time-out.
    pub fn worker(id: impl Into<ChildId>) -> Self {
        Self::new(id.into(), ChildKind::Worker, Shutdown::Timeout(Duration::from_secs(5)))
    }

    /// A permanent supervisor without shutdown time-out, backoff and start time-out.
    pub fn supervisor(id: impl Into<ChildId>) -> Self {
        Self::new(id.into(), ChildKind::Supervisor, Shutdown::Infinity)
    }

    fn new(id: ChildId, kind: ChildKind, shutdown: Shutdown) -> Self {
        Self {
            id,
            restart: Restart::default(),
            shutdown,
            kind,
            significant: false,
            backoff: None,
            start_timeout: None,
        }
    }

    /// Whether the reason is expected of a child that was requested to stop (OTP: any other is a `shutdown_error`).
    pub(crate) fn is_expected_stop(&self, reason: &ExitReason) -> bool {
        let as_requested = match self.shutdown {
            Shutdown::Kill => *reason == ExitReason::Killed,
            // A supervisor may give up while it is stopped; in OTP that reason is `shutdown` as well.
            Shutdown::Timeout(_) | Shutdown::Infinity => {
                matches!(reason, ExitReason::Shutdown | ExitReason::GaveUp { .. })
            }
        };
        as_requested || (self.restart != Restart::Permanent && reason.is_clean())
    }

    pub(crate) fn check(&self, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
        let child = || self.id.clone();
        if self.significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown { child: child() });
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { child: child() });
        }
        if self.start_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(SpecError::ZeroStartTimeout { child: child() });
        }
        self.backoff.map_or(Ok(()), |backoff| backoff.check(&self.id))
    }
}

/// What applies to all children of a supervisor (OTP: supervisor flags).
#[doc(alias = "sup_flags")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Which children are restarted when one fails. Default: only that one.
    pub strategy: Strategy,
    /// How many restarts are made within a period. Default: 3 in 5 s.
    pub intensity: Intensity,
    /// Whether the supervisor shuts down when significant children exit. Default: never.
    pub auto_shutdown: AutoShutdown,
}

impl Flags {
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        if self.intensity.period.is_zero() {
            return Err(SpecError::ZeroPeriod);
        }
        Ok(())
    }
}

/// Checks flags and specs of a static supervisor, and that ids are unique.
pub(crate) fn check_all(flags: &Flags, specs: &[ChildRules]) -> Result<(), SpecError> {
    flags.check()?;
    let mut ids = HashSet::with_capacity(specs.len());
    for spec in specs {
        spec.check(flags.auto_shutdown)?;
        if !ids.insert(&spec.id) {
            return Err(SpecError::DuplicateId { child: spec.id.clone() });
        }
    }
    Ok(())
}
