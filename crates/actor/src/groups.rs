//! Groups of lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use actix::{Actor, Context};

use crate::group_monitor::{GroupChange, Inbox};
use crate::life::lock;
use crate::names::NameError;
use crate::{ActorRef, Pid, Registry};

/// Who is in which group, and who hears of it.
#[derive(Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
    /// The other way round: where a life is, and by which join.
    memberships: HashMap<Pid, Vec<(Arc<str>, u64)>>,
    joins: u64,
    monitors: u64,
}

#[derive(Default)]
struct Group {
    /// In the order in which they joined.
    members: BTreeMap<u64, Pid>,
    monitors: BTreeMap<u64, Arc<Inbox>>,
}

impl Group {
    fn members(&self) -> Vec<Pid> {
        self.members.values().cloned().collect()
    }

    fn notify_monitors(&self, group: &Arc<str>, change: &GroupChange) {
        for inbox in self.monitors.values() {
            inbox.push(group, change.clone(), || GroupChange::Members(self.members()));
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.monitors.is_empty()
    }
}

impl Groups {
    /// The group with its own copy of its name; a new one if there is none.
    fn group(&mut self, name: &str) -> (Arc<str>, &mut Group) {
        let known = self.groups.get_key_value(name).map(|(known, _)| Arc::clone(known));
        let name = known.unwrap_or_else(|| name.into());
        let group = self.groups.entry(Arc::clone(&name)).or_default();
        (name, group)
    }

    pub(crate) fn join(&mut self, name: &str, pid: &Pid) {
        self.joins += 1;
        let join = self.joins;
        let (name, group) = self.group(name);
        group.members.insert(join, pid.clone());
        group.notify_monitors(&name, &GroupChange::Joined(pid.clone()));
        self.memberships.entry(pid.clone()).or_default().push((name, join));
    }

    /// Takes back the latest join; whether there was one.
    pub(crate) fn leave(&mut self, name: &str, pid: &Pid) -> bool {
        let Some(memberships) = self.memberships.get_mut(pid) else { return false };
        let Some(index) = memberships.iter().rposition(|(group, _)| &**group == name) else { return false };
        let (name, join) = memberships.remove(index);
        if memberships.is_empty() {
            self.memberships.remove(pid);
        }
        self.remove_member(&name, join);
        true
    }

    fn remove_member(&mut self, name: &Arc<str>, join: u64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if let Some(pid) = group.members.remove(&join) {
            group.notify_monitors(name, &GroupChange::Left(pid));
        }
        self.clean_up(name);
    }

    fn clean_up(&mut self, name: &str) {
        if self.groups.get(name).is_some_and(Group::is_empty) {
            self.groups.remove(name);
        }
    }

    /// A life is over.
    pub(crate) fn remove_pid(&mut self, pid: &Pid) {
        for (name, join) in self.memberships.remove(pid).unwrap_or_default() {
            self.remove_member(&name, join);
        }
    }

    pub(crate) fn members(&self, name: &str) -> Vec<Pid> {
        self.groups.get(name).map(Group::members).unwrap_or_default()
    }

    /// From now on this inbox hears of the group, first who is in it.
    pub(crate) fn monitor(&mut self, name: &str, inbox: &Arc<Inbox>) -> u64 {
        self.monitors += 1;
        let key = self.monitors;
        let (name, group) = self.group(name);
        inbox.push(&name, GroupChange::Members(group.members()), || GroupChange::Members(Vec::new()));
        group.monitors.insert(key, Arc::clone(inbox));
        key
    }

    pub(crate) fn demonitor(&mut self, name: &str, key: u64) {
        if let Some(group) = self.groups.get_mut(name) {
            group.monitors.remove(&key);
        }
        self.clean_up(name);
    }
}

/// # Groups
impl Registry {
    /// Puts a life into a group, which exists while somebody is in it (OTP: `pg:join/2`).
    ///
    /// It leaves by itself when it ends, before anybody hears of that. It may join several times, as in OTP: then it is
    /// listed as often, and has to leave as often.
    ///
    /// # Errors
    ///
    /// [`NameError::NotAlive`] when the life is over, [`NameError::OtherTree`] when it belongs to another tree.
    pub fn join(&self, group: &str, pid: &Pid) -> Result<(), NameError> {
        let mut groups = lock(self.groups());
        // A life that ends from here on waits for the lock, and then finds its group.
        self.mark_registered(pid)?;
        groups.join(group, pid);
        Ok(())
    }

    /// Takes back the latest join; whether there was one (OTP: `pg:leave/2`).
    pub fn leave(&self, group: &str, pid: &Pid) -> bool {
        lock(self.groups()).leave(group, pid)
    }

    /// Who is in a group, in the order in which they joined (OTP: `pg:get_members/1`).
    #[doc(alias = "get_members")]
    pub fn members(&self, group: &str) -> Vec<Pid> {
        lock(self.groups()).members(group)
    }

    /// Those in a group that are an `A`, to be called and cast to.
    pub fn members_of<A: Actor<Context = Context<A>>>(&self, group: &str) -> Vec<ActorRef<A>> {
        self.members(group).iter().filter_map(Pid::actor).collect()
    }

    /// The groups in which somebody is, sorted (OTP: `pg:which_groups/0`).
    pub fn which_groups(&self) -> Vec<String> {
        let groups = lock(self.groups());
        let not_empty = groups.groups.iter().filter(|(_, group)| !group.members.is_empty());
        not_empty.map(|(name, _)| name.to_string()).collect()
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
