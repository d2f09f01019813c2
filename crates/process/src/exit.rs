//! Exit codes of the processes of a tree.

use std::process::ExitCode;

/// Why a process of the tree exits, as an exit code that its parent understands.
///
/// Any other code, and any signal that the parent did not send, is a crash: the parent restarts the process
/// by its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessExit {
    /// The process was asked to stop, or its work was complete. Code 0.
    Done,
    /// The process failed. Code 1. Of main: it gave up, or it killed processes that did not exit in time.
    Failed,
    /// The process failed and a restart would fail again. Code 2. Its parent does not restart it and gives up
    /// too, as nginx does.
    Fatal,
    /// The process could not start. Code 3, as in gunicorn.
    NotStarted,
    /// The process panicked. Code 101, as in any Rust program.
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
        // Every code above fits into u8.
        ExitCode::from(exit.code() as u8)
    }
}
