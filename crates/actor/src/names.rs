//! Names of lives.

use std::collections::HashMap;
use std::fmt;

use actix::{Actor, Context};

use crate::life::lock;
use crate::{ActorRef, Pid, Registry, StartError};

/// Who has which name.
#[derive(Default)]
pub(crate) struct Names {
    holders: HashMap<String, Pid>,
    /// The other way round, so that the end of a life need not look at all names.
    names: HashMap<Pid, Vec<String>>,
}

/// Why a name was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Somebody else has the name.
    Taken(Pid),
    /// The life is over.
    NotAlive,
    /// The life belongs to another tree, with names and groups of its own.
    OtherTree,
}

impl Names {
    fn insert(&mut self, name: String, pid: &Pid) {
        // One that is over may still have it, and is about to be forgotten.
        self.remove(&name);
        self.names.entry(pid.clone()).or_default().push(name.clone());
        self.holders.insert(name, pid.clone());
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(holder) = self.holders.remove(name) else { return false };
        if let Some(names) = self.names.get_mut(&holder) {
            names.retain(|other| other != name);
            if names.is_empty() {
                self.names.remove(&holder);
            }
        }
        true
    }

    /// A life is over.
    pub(crate) fn remove_pid(&mut self, pid: &Pid) {
        for name in self.names.remove(pid).unwrap_or_default() {
            self.holders.remove(&name);
        }
    }
}

/// # Names
impl Registry {
    /// Gives a life a name, which leads to it until it ends or the name is taken from it.
    ///
    /// When others hear of its end, the name is free. A life may have several names. A child that is to have a name in each
    /// of its lives has it from its spec: [`ChildSpec::registered`](crate::ChildSpec::registered).
    ///
    /// # Errors
    ///
    /// When a living one has the name already (registering the same one again is no error), the life is over, or it belongs
    /// to another tree: this one would not hear of its end.
    pub fn register(&self, name: impl Into<String>, pid: &Pid) -> Result<(), NameError> {
        let name = name.into();
        let mut names = lock(self.names());
        match names.holders.get(&name) {
            Some(holder) if holder == pid => return Ok(()),
            Some(holder) if holder.is_alive() => return Err(NameError::Taken(holder.clone())),
            _ => {}
        }
        // A life that ends from here on waits for the lock, and then finds its name.
        self.mark_registered(pid)?;
        names.insert(name, pid);
        Ok(())
    }

    /// Frees a name; whether anybody had it.
    pub fn unregister(&self, name: &str) -> bool {
        lock(self.names()).remove(name)
    }

    /// Who has the name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        lock(self.names()).holders.get(name).filter(|pid| pid.is_alive()).cloned()
    }

    /// The actor that has the name, if it is an `A`, and can be reached already.
    #[doc(alias = "whereis")]
    pub fn whereis_actor<A: Actor<Context = Context<A>>>(&self, name: &str) -> Option<ActorRef<A>> {
        self.whereis(name)?.actor()
    }

    /// All names that are taken, sorted.
    pub fn registered(&self) -> Vec<String> {
        let mut names: Vec<_> = lock(self.names()).holders.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(pid) => write!(f, "the name belongs to {pid}: unregister it first"),
            Self::NotAlive => f.write_str("the life is over"),
            Self::OtherTree => f.write_str("the life belongs to another tree: use the system of that one"),
        }
    }
}

impl std::error::Error for NameError {}

impl From<NameError> for StartError {
    fn from(error: NameError) -> Self {
        error.to_string().into()
    }
}
