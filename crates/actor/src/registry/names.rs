//! The names of one tree, and why a name is refused.

use std::collections::HashMap;
use std::fmt;

use crate::cell::Pid;

/// Which process has which name.
#[derive(Default)]
pub(crate) struct Names {
    holders: HashMap<String, Pid>,
    /// The inverse map, so that an exit does not search all names.
    names: HashMap<Pid, Vec<String>>,
}

/// Why a name was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Another process has the name.
    Taken(Pid),
    /// The process has exited.
    NotAlive,
    /// The process belongs to another tree, with names and groups of its own.
    OtherTree,
}

impl Names {
    /// The process that has the name. It may have exited.
    pub(crate) fn holder(&self, name: &str) -> Option<&Pid> {
        self.holders.get(name)
    }

    /// All names, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.holders.keys()
    }

    /// Gives a process the name. No other process that is alive has it.
    pub(crate) fn insert(&mut self, name: String, pid: &Pid) {
        // A process that has exited may still have it, until it is removed.
        self.remove(&name);
        self.names.entry(pid.clone()).or_default().push(name.clone());
        self.holders.insert(name, pid.clone());
    }

    /// Removes a name; whether a process had it.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(holder) = self.holders.remove(name) else { return false };
        if let Some(names) = self.names.get_mut(&holder) {
            names.retain(|other| other != name);
            if names.is_empty() {
                self.names.remove(&holder);
            }
        }
        true
    }

    /// Removes all names of a process.
    pub(crate) fn remove_pid(&mut self, pid: &Pid) {
        for name in self.names.remove(pid).unwrap_or_default() {
            self.holders.remove(&name);
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(pid) => write!(f, "the name belongs to {pid}: unregister it first"),
            Self::NotAlive => f.write_str("the process has exited"),
            Self::OtherTree => {
                f.write_str("the process belongs to another tree: use the registry of that tree")
            }
        }
    }
}

impl std::error::Error for NameError {}
