//! Why a request to a supervisor failed.

use std::fmt;

use impresario_supervision::RequestError;

use crate::cell::actor_ref::CastError;

/// Why a request to a supervisor failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SupervisorError {
    /// No supervisor is running (OTP: `noproc`).
    NotRunning,
    /// Its queue is full. For a snapshot: it did not answer in time.
    Busy,
    /// It refused the request, or the request failed.
    Refused(RequestError),
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("the supervisor is not running"),
            Self::Busy => f.write_str(
                "the queue of the supervisor is full, or it did not answer in time; try again later",
            ),
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
