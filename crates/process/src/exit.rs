//! How a process leaves, as its parent reads it.

use std::process::ExitCode;

/// Why a process of the tree leaves, as an exit code that its parent understands.
///
/// Everything else (another code, a signal) is a crash to the parent, which starts it again by its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessExit {
    /// It was told to leave, or had nothing more to do. Code 0.
    Done,
    /// It failed. Code 1. Of main: it gave up, or had to kill what did not leave in time.
    Failed,
    /// It failed and must not be started again: the parent says so and gives up itself (as nginx has it). Code 2.
    Fatal,
    /// It could not start. Code 3 (as gunicorn has it).
    NotStarted,
    /// It panicked. Code 101, as any Rust program.
    Panicked,
}

impl ProcessExit {
    /// The exit code.
    pub const fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Fatal => 2,
            Self::NotStarted => 3,
            Self::Panicked => 101,
        }
    }
}

impl From<ProcessExit> for ExitCode {
    fn from(exit: ProcessExit) -> Self {
        // All codes are within u8, as exit codes are.
        ExitCode::from(exit.code() as u8)
    }
}
