//! What is to be done about a child, and about all of them.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::id::ChildId;
use crate::policy::backoff::Backoff;
use crate::policy::intensity::Intensity;
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;

/// What happens to the other children when one is restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Nothing: only the failed child is started again.
    #[default]
    OneForOne,
    /// All of them are stopped and started again.
    OneForAll,
    /// Those started after the failed one are stopped and started again.
    RestForOne,
}

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only after an end that was not clean; see [`ExitReason::is_clean`](crate::ExitReason::is_clean).
    Transient,
    /// Never; its entry goes when it ends, in whatever way.
    Temporary,
}

impl Restart {
    /// Whether a child that ended so, by itself, is started again.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Killed at once (OTP: `brutal_kill`).
    #[doc(alias = "brutal_kill")]
    Kill,
    /// Asked to stop, and killed when this time is over. The default of a worker is 5 s.
    Timeout(Duration),
    /// Asked to stop, and waited for without end. The default of a supervisor, whose children need their own time.
    Infinity,
}

impl Shutdown {
    /// How a life ends that is stopped so, and does as it is told.
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

/// What a child is; sets the default of [`Shutdown`] and the column in which it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChildKind {
    /// It does work.
    #[default]
    Worker,
    /// It has children of its own.
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

/// Whether a supervisor ends when its significant children have ended by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoShutdown {
    /// No.
    #[default]
    Never,
    /// When one of them has.
    AnySignificant,
    /// When all of them have.
    AllSignificant,
}

/// What is to be done about one child (OTP: child specification).
#[derive(Clone, Debug, PartialEq)]
pub struct ChildRules {
    /// What the child is called; unique within its supervisor.
    pub id: ChildId,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// What it is.
    pub kind: ChildKind,
    /// Whether [`AutoShutdown`] looks at it.
    pub significant: bool,
    /// How long restarts wait when it keeps failing; `None` means never.
    pub backoff: Option<Backoff>,
    /// How long a start may take before it is killed and counts as failed; `None` means without end.
    pub start_timeout: Option<Duration>,
}

impl ChildRules {
    /// A permanent worker with a shutdown time-out of 5 s.
    pub fn worker(id: impl Into<ChildId>) -> Self {
        Self::new(id.into(), ChildKind::Worker, Shutdown::Timeout(Duration::from_secs(5)))
    }

    /// A permanent supervisor, waited for without end when it stops.
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

    /// Whether an operator expects a told child to end so (OTP: anything else is a `shutdown_error`).
    pub(crate) fn is_expected_stop(&self, reason: &ExitReason) -> bool {
        let as_told = match self.shutdown {
            Shutdown::Kill => *reason == ExitReason::Killed,
            // A supervisor that was giving up at that moment is as good; in OTP its reason is the same.
            Shutdown::Timeout(_) | Shutdown::Infinity => {
                matches!(reason, ExitReason::Shutdown | ExitReason::GaveUp { .. })
            }
        };
        as_told || (self.restart != Restart::Permanent && reason.is_clean())
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

/// What a supervisor does about all its children (OTP: supervisor flags).
#[doc(alias = "sup_flags")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// What happens to the others when one is restarted.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// Whether it ends with its significant children.
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

/// Everything about a static supervisor that can be wrong before it starts.
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
