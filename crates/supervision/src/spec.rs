//! What is to be done about a child, and about all of them.

use std::fmt;
use std::time::Duration;

use crate::{Backoff, ChildId, Intensity};

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
    /// Never; its entry goes when it ends.
    Temporary,
}

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Killed at once (OTP: `brutal_kill`).
    Kill,
    /// Asked to stop, and killed when this time is over. The default of a worker is 5 s.
    Timeout(Duration),
    /// Asked to stop, and waited for without end. The default of a supervisor, whose children need their own time.
    Infinity,
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
pub struct ChildSpec {
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

impl ChildSpec {
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

    pub(crate) fn check(&self, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
        if self.significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown { child: self.id.clone() });
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { child: self.id.clone() });
        }
        Ok(())
    }
}

/// What a supervisor does about all its children (OTP: supervisor flags).
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

/// A combination that no supervisor can follow; found before anything starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have the same id.
    DuplicateId {
        /// The id.
        child: ChildId,
    },
    /// The intensity's period is zero.
    ZeroPeriod,
    /// A significant child under a supervisor that never looks.
    SignificantWithoutAutoShutdown {
        /// The child.
        child: ChildId,
    },
    /// A significant child that never ends by itself.
    SignificantPermanent {
        /// The child.
        child: ChildId,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId { child } => {
                write!(f, "two children have the id {child:?}; give each its own")
            }
            Self::ZeroPeriod => f.write_str("the intensity's period is 0; give it at least a millisecond"),
            Self::SignificantWithoutAutoShutdown { child } => {
                write!(f, "child {child:?} is significant but auto-shutdown is never; set auto-shutdown")
            }
            Self::SignificantPermanent { child } => {
                write!(f, "child {child:?} is significant and permanent; make it transient or temporary")
            }
        }
    }
}

impl std::error::Error for SpecError {}
