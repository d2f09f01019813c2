//! Why a life ended.

use std::fmt;

use crate::id::ChildId;

/// Why an actor, a process or a whole supervisor ended.
///
/// [`is_clean`](Self::is_clean) is the one question the restart rules ask: a transient child is started again
/// unless its end was clean (OTP: `normal`, `shutdown`, `{shutdown, _}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitReason {
    /// It had nothing more to do.
    Normal,
    /// It was told to stop by its supervisor, and did.
    Shutdown,
    /// An orderly end that says why (OTP: `{shutdown, Term}`).
    ShutdownWith(String),
    /// It was killed: brutally, after its shutdown time-out, or with what it ran on.
    Killed,
    /// It was never there (OTP: `noproc`).
    NoProc,
    /// It panicked.
    Panic {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where it is known.
        location: Option<String>,
    },
    /// It gave this reason of its own.
    Error(String),
    /// The process ended with this exit code, which is not 0.
    Code(i32),
    /// The process was ended by this signal.
    Signal {
        /// The number of the signal.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
    /// It did not start within its start time-out and was killed.
    StartTimeout,
    /// A supervisor that could not start its first children (OTP: `{shutdown, {failed_to_start_child, ..}}`).
    #[doc(alias = "failed_to_start_child")]
    FailedToStart {
        /// The child that did not start.
        child: ChildId,
        /// Why it did not.
        reason: Box<ExitReason>,
    },
    /// A supervisor whose children failed more often than its intensity allows.
    ///
    /// OTP says `shutdown` here, which also means "was told to"; the restart decision is the same.
    #[doc(alias = "reached_max_restart_intensity")]
    GaveUp {
        /// The child whose failure was one too many.
        child: ChildId,
        /// What that failure was.
        reason: Box<ExitReason>,
    },
}

impl ExitReason {
    /// Whether a transient child that ends so is left alone.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => true,
            // As in OTP, where both are `shutdown` to the parent.
            Self::FailedToStart { .. } | Self::GaveUp { .. } => true,
            Self::Killed
            | Self::NoProc
            | Self::Panic { .. }
            | Self::Error(_)
            | Self::Code(_)
            | Self::Signal { .. }
            | Self::StartTimeout => false,
        }
    }
}

/// Any error is a reason to end, so `?` gives it; what remains of it is its text.
impl<E: std::error::Error> From<E> for ExitReason {
    fn from(error: E) -> Self {
        Self::Error(error.to_string())
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(why) => write!(f, "shutdown: {why}"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("no such process"),
            Self::Panic { message, location: Some(place) } => write!(f, "panicked at {place}: {message}"),
            Self::Panic { message, location: None } => write!(f, "panicked: {message}"),
            Self::Error(why) => f.write_str(why),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, core_dumped: false } => write!(f, "signal {number}"),
            Self::Signal { number, core_dumped: true } => write!(f, "signal {number}, core dumped"),
            Self::StartTimeout => f.write_str("did not start in time"),
            Self::FailedToStart { child, reason } => write!(f, "child {child} failed to start: {reason}"),
            Self::GaveUp { child, reason } => {
                write!(f, "restart limit reached, last failure of child {child}: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_is_a_reason_to_end() {
        fn parse(text: &str) -> Result<u8, ExitReason> {
            if text.is_empty() {
                return Err(ExitReason::Normal);
            }
            Ok(text.parse::<u8>()?)
        }
        assert_eq!(parse("7"), Ok(7));
        assert_eq!(parse(""), Err(ExitReason::Normal));
        let error = "x".parse::<u8>().map_err(|error| ExitReason::Error(error.to_string()));
        assert_eq!(parse("x"), error);
    }
}
