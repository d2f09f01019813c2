//! The names, groups and arbiters of one tree.
//!
//! A registry is shared by all actors of a tree. It knows actors only by their [`Pid`]; it does not know how they are
//! started, supervised or run.

pub(crate) mod arbiters;
pub(crate) mod groups;
pub(crate) mod names;

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Context};

use crate::cell::Pid;
use crate::cell::actor_ref::ActorRef;
use crate::cell::tree_core::TreeCore;
use crate::registry::arbiters::Arbiters;
use crate::registry::groups::Groups;
use crate::registry::names::{NameError, Names};
use crate::sync::{Mutex, lock};

/// The names and groups of one tree. Cheap to clone.
///
/// There is one for each root, so trees in the same program do not see each other.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    tree: Arc<TreeCore>,
    names: Mutex<Names>,
    groups: Mutex<Groups>,
    arbiters: Arbiters,
}

impl Registry {
    /// The registry of a new tree.
    pub(crate) fn new() -> Self {
        let (names, groups, arbiters) = Default::default();
        Self(Arc::new(Shared { tree: Arc::new(TreeCore::new()), names, groups, arbiters }))
    }

    /// The clock of the tree, and the numbers of its pids.
    pub(crate) fn tree(&self) -> &Arc<TreeCore> {
        &self.0.tree
    }

    /// The arbiters on which actors of the tree run.
    pub(crate) fn arbiters(&self) -> &Arbiters {
        &self.0.arbiters
    }

    pub(crate) fn names(&self) -> &Mutex<Names> {
        &self.0.names
    }

    pub(crate) fn groups(&self) -> &Mutex<Groups> {
        &self.0.groups
    }

    /// Marks a process that is about to get a name or to join a group, so that its exit guard removes it here.
    fn mark_registered(&self, pid: &Pid) -> Result<(), NameError> {
        if !Arc::ptr_eq(&self.0.tree, pid.cell().tree()) {
            return Err(NameError::OtherTree);
        }
        pid.cell().mark_registered().map_err(|_| NameError::NotAlive)
    }

    /// Removes all names and memberships of a process that has exited.
    pub(crate) fn remove_pid(&self, pid: &Pid) {
        lock(self.names()).remove_pid(pid);
        let wakes = lock(self.groups()).remove_pid(pid);
        drop(wakes);
    }
}

/// # Names
impl Registry {
    /// Gives an actor a name. It resolves to the actor until the actor exits or the name is removed.
    ///
    /// The name is free before the exit is reported. An actor may have several names. To give a child a name
    /// in each of its incarnations, use [`ChildSpec::registered`](crate::ChildSpec::registered).
    ///
    /// # Errors
    ///
    /// When another running actor has the name (the same actor again is no error), when the actor has exited,
    /// or when it belongs to another tree, which would not notify this one of its exit.
    pub fn register(&self, name: impl Into<String>, pid: &Pid) -> Result<(), NameError> {
        let name = name.into();
        let mut names = lock(self.names());
        match names.holder(&name) {
            Some(holder) if holder == pid => return Ok(()),
            Some(holder) if holder.is_alive() => return Err(NameError::Taken(holder.clone())),
            _ => {}
        }
        // An actor that exits from here on waits for the lock, and then removes its name.
        self.mark_registered(pid)?;
        names.insert(name, pid);
        Ok(())
    }

    /// Frees a name; returns whether an actor had it.
    pub fn unregister(&self, name: &str) -> bool {
        lock(self.names()).remove(name)
    }

    /// The actor that has the name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        lock(self.names()).holder(name).filter(|pid| pid.is_alive()).cloned()
    }

    /// The actor that has the name, if it is an `A` and is running.
    #[doc(alias = "whereis")]
    pub fn whereis_actor<A: Actor<Context = Context<A>>>(&self, name: &str) -> Option<ActorRef<A>> {
        self.whereis(name)?.actor()
    }

    /// All names that are taken, sorted.
    pub fn registered(&self) -> Vec<String> {
        let mut names: Vec<_> = lock(self.names()).all().cloned().collect();
        names.sort_unstable();
        names
    }
}

/// # Groups
impl Registry {
    /// Adds an actor to a group, which exists while it has members (OTP: `pg:join/2`).
    ///
    /// The membership ends with the actor, before its exit is reported. An actor can join several times, as
    /// in OTP: then it is listed as often, and leaves as often.
    ///
    /// # Errors
    ///
    /// [`NameError::NotAlive`] when the actor has exited, [`NameError::OtherTree`] when it belongs to another
    /// tree.
    pub fn join(&self, group: &str, pid: &Pid) -> Result<(), NameError> {
        let mut groups = lock(self.groups());
        // An actor that exits from here on waits for the lock, and then removes its membership.
        self.mark_registered(pid)?;
        let wakes = groups.join(group, pid);
        drop(groups);
        drop(wakes);
        Ok(())
    }

    /// Undoes the latest join; returns whether there was one (OTP: `pg:leave/2`).
    pub fn leave(&self, group: &str, pid: &Pid) -> bool {
        let wakes = lock(self.groups()).leave(group, pid);
        wakes.is_some()
    }

    /// The members of a group, in the order of joining (OTP: `pg:get_members/1`).
    #[doc(alias = "get_members")]
    pub fn members(&self, group: &str) -> Vec<Pid> {
        lock(self.groups()).members(group)
    }

    /// The members of a group that are an `A`, to call or cast to.
    pub fn members_of<A: Actor<Context = Context<A>>>(&self, group: &str) -> Vec<ActorRef<A>> {
        self.members(group).iter().filter_map(Pid::actor).collect()
    }

    /// The groups that have members, sorted (OTP: `pg:which_groups/0`).
    pub fn which_groups(&self) -> Vec<String> {
        lock(self.groups()).with_members().map(ToString::to_string).collect()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("names", &self.registered())
            .field("groups", &self.which_groups())
            .finish_non_exhaustive()
    }
}
