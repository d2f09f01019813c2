//! Why a child did not start, and the conversions into it by `?`.

use std::fmt;
use std::io;

use impresario_supervision::{ExitReason, SpecError};

use crate::registry::names::NameError;

/// Why a child did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The child is not needed now. Its spec is kept, unless it is temporary (OTP: `ignore`).
    Ignore,
    /// The child could not start.
    Failed(ExitReason),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("not needed"),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<String> for StartError {
    fn from(why: String) -> Self {
        Self::Failed(ExitReason::Error(why))
    }
}

impl From<&str> for StartError {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        error.to_string().into()
    }
}

impl From<SpecError> for StartError {
    fn from(error: SpecError) -> Self {
        error.to_string().into()
    }
}

impl From<NameError> for StartError {
    fn from(error: NameError) -> Self {
        error.to_string().into()
    }
}
