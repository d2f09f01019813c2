//! Exit reasons.

use std::fmt;

use crate::id::ChildId;

/// Why an actor, a process or a supervisor exited.
///
/// The restart rules look only at [`is_clean`](Self::is_clean): a transient child is restarted unless its reason is
/// clean (OTP: `normal`, `shutdown`, `{shutdown, _}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitReason {
    /// It had finished its work.
    Normal,
    /// It stopped as its supervisor requested.
    Shutdown,
    /// It stopped in order, with a text (OTP: `{shutdown, Term}`).
    ShutdownWith(String),
    /// It was killed: by [`Shutdown::Kill`](crate::Shutdown::Kill), after a time-out, or because its thread or process
    /// ended.
    Killed,
    /// It did not exist (OTP: `noproc`).
    NoProc,
    /// It panicked.
    Panic {
        /// The panic message.
        message: String,
        /// `file:line:column` of the panic, if known.
        location: Option<String>,
    },
    /// It exited with this error text.
    Error(String),
    /// The process exited with this code, which is not 0.
    Code(i32),
    /// The process was terminated by a signal.
    Signal {
        /// The signal number.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
    /// It was not ready within its start time-out and was killed.
    StartTimeout,
    /// The supervisor failed to start its first children (OTP: `{shutdown, {failed_to_start_child, ..}}`).
    #[doc(alias = "failed_to_start_child")]
    FailedToStart {
        /// The child that failed to start.
        child: ChildId,
        /// Why the start failed.
        reason: Box<ExitReason>,
    },
    /// The restarts of the supervisor's children exceeded its intensity.
    ///
    /// OTP uses `shutdown` here, as for a requested stop. The restart decision is the same.
    #[doc(alias = "reached_max_restart_intensity")]
    GaveUp {
        /// The child that failed last.
        child: ChildId,
        /// The reason of that failure.
        reason: Box<ExitReason>,
    },
}

impl ExitReason {
    /// Whether a transient child that exits with this reason is not restarted.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => true,
            // OTP reports both to the parent as `shutdown`.
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

/// Keeps the text of any error, so that `?` works in functions that return an exit reason.
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
            Self::Panic { message, location: Some(location) } => {
                write!(f, "panicked at {location}: {message}")
            }
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
    fn question_mark_turns_an_error_into_a_reason() {
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
