//! Why a supervisor did not do what it was asked.

use std::fmt;

use impresario_supervision::RequestError;

use crate::cell::actor_ref::CastError;

/// Why a supervisor did not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The supervisor is not there (OTP: `noproc`).
    NotRunning,
    /// Too many requests wait for it: its queue is full. Of what it is asked past its queue: it had no time.
    Busy,
    /// It refused, or it could not.
    Refused(RequestError),
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("the supervisor is not running"),
            Self::Busy => {
                f.write_str("too many requests wait for the supervisor, or it has no time; try again later")
            }
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SupervisorError {}

impl<M> From<CastError<M>> for SupervisorError {
    fn from(error: CastError<M>) -> Self {
        match error {
            CastError::NotAvailable(_) => Self::NotRunning,
            CastError::Full(_) => Self::Busy,
        }
    }
}
