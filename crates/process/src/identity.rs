//! Who a process is.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use impresario_wire::Role;
use slog::Logger;

/// Who a process is: enough to name it in a log line, and to tell its lives apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// What kind of process it is.
    pub role: Role,
    /// What the user calls it: the id of a child of main, the app of a worker.
    pub name: String,
    /// Which of its pool's workers it is, from 0; a replacement has the same. 0 for everything else.
    pub slot: u32,
    /// Which life of its place in the tree this is, from 1.
    pub incarnation: u32,
}

impl ProcessIdentity {
    /// That of main, which has no parent.
    pub fn main() -> Self {
        Self { role: Role::Main, name: Role::Main.name().to_owned(), slot: 0, incarnation: 1 }
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Worker => write!(f, "{} {} {}", self.name, self.role, self.slot),
            role if self.name == role.name() => f.write_str(&self.name),
            role => write!(f, "{} {role}", self.name),
        }
    }
}

/// The logger of one process, and what must be dropped for its last lines to be written.
///
/// A process makes its own after its birth: threads do not survive a fork, and a logging thread is one. Main and
/// prototypes must log synchronously, since they may have no second thread.
pub struct ProcessLogger {
    /// Where it logs.
    pub log: Logger,
    /// Dropped when the process leaves, after everything it has logged itself.
    pub guard: Option<Box<dyn Any>>,
}

impl From<Logger> for ProcessLogger {
    fn from(log: Logger) -> Self {
        Self { log, guard: None }
    }
}

impl fmt::Debug for ProcessLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logging").field("guard", &self.guard.is_some()).finish_non_exhaustive()
    }
}

/// Makes the logger of a process once it knows who it is.
pub(crate) type LoggerFactory = Arc<dyn Fn(&ProcessIdentity) -> ProcessLogger + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(role: Role, name: &str, slot: u32) -> String {
        ProcessIdentity { role, name: name.to_owned(), slot, incarnation: 7 }.to_string()
    }

    #[test]
    fn a_name_says_what_and_which() {
        assert_eq!(ProcessIdentity::main().to_string(), "main");
        assert_eq!(name(Role::Router, "router", 0), "router");
        assert_eq!(name(Role::Prototype, "shop", 0), "shop prototype");
        assert_eq!(name(Role::Worker, "shop", 1), "shop worker 1");
    }
}
