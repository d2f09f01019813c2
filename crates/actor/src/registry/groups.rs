//! The groups of one tree, and the events of their monitors (OTP: `pg`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use actix::Message;

use crate::cell::Pid;
use crate::sync::{AtomicWaker, Mutex, lock};

/// How many events may be queued for one monitor of a group. One more replaces all of them by the members.
pub(crate) const MAX_WAITING: usize = 4_096;

/// A change of a group that an actor monitors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupEvent {
    /// The name of the group.
    pub group: Arc<str>,
    /// What has changed.
    pub change: GroupChange,
}

/// What has changed in a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupChange {
    /// All members, in the order of joining: the first event. It comes again when 4,096 events are queued, in their
    /// place.
    Members(Vec<Pid>),
    /// This process has joined, perhaps once more.
    Joined(Pid),
    /// One join of this process is undone: it has left or exited.
    Left(Pid),
}

impl Message for GroupEvent {
    type Result = ();
}

/// The members of all groups, and the inboxes of their monitors.
#[derive(Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
    /// The inverse map: the groups of a process, each with the number of the join.
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

    /// Queues a change for all monitors. Adds their inboxes to those to wake.
    fn notify_monitors(&self, group: &Arc<str>, change: &GroupChange, wakes: &mut Wakes) {
        for inbox in self.monitors.values() {
            inbox.push(group, change.clone(), || GroupChange::Members(self.members()));
            wakes.0.push(Arc::clone(inbox));
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.monitors.is_empty()
    }
}

/// The inboxes with new events. Dropped, it wakes their actors.
///
/// The caller drops it after it has released the lock of the groups: a woken task may run at once and need that lock.
#[derive(Default)]
#[must_use = "dropped under the lock of the groups, it wakes tasks there"]
pub(crate) struct Wakes(Vec<Arc<Inbox>>);

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.iter().for_each(|inbox| inbox.waker.wake());
    }
}

impl Groups {
    /// The group and its own copy of its name; a new one if there is none.
    fn group(&mut self, name: &str) -> (Arc<str>, &mut Group) {
        let known = self.groups.get_key_value(name).map(|(known, _)| Arc::clone(known));
        let name = known.unwrap_or_else(|| name.into());
        let group = self.groups.entry(Arc::clone(&name)).or_default();
        (name, group)
    }

    /// Adds one membership of a process.
    pub(crate) fn join(&mut self, name: &str, pid: &Pid) -> Wakes {
        let mut wakes = Wakes::default();
        self.joins += 1;
        let join = self.joins;
        let (name, group) = self.group(name);
        group.members.insert(join, pid.clone());
        group.notify_monitors(&name, &GroupChange::Joined(pid.clone()), &mut wakes);
        self.memberships.entry(pid.clone()).or_default().push((name, join));
        wakes
    }

    /// Removes the latest join; `None` if there is none.
    pub(crate) fn leave(&mut self, name: &str, pid: &Pid) -> Option<Wakes> {
        let mut wakes = Wakes::default();
        let memberships = self.memberships.get_mut(pid)?;
        let index = memberships.iter().rposition(|(group, _)| &**group == name)?;
        let (name, join) = memberships.remove(index);
        if memberships.is_empty() {
            self.memberships.remove(pid);
        }
        self.remove_member(&name, join, &mut wakes);
        Some(wakes)
    }

    fn remove_member(&mut self, name: &Arc<str>, join: u64, wakes: &mut Wakes) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if let Some(pid) = group.members.remove(&join) {
            group.notify_monitors(name, &GroupChange::Left(pid), wakes);
        }
        self.clean_up(name);
    }

    fn clean_up(&mut self, name: &str) {
        if self.groups.get(name).is_some_and(Group::is_empty) {
            self.groups.remove(name);
        }
    }

    /// Removes a process from all groups.
    pub(crate) fn remove_pid(&mut self, pid: &Pid) -> Wakes {
        let mut wakes = Wakes::default();
        for (name, join) in self.memberships.remove(pid).unwrap_or_default() {
            self.remove_member(&name, join, &mut wakes);
        }
        wakes
    }

    pub(crate) fn members(&self, name: &str) -> Vec<Pid> {
        self.groups.get(name).map(Group::members).unwrap_or_default()
    }

    /// The groups that have members, sorted.
    pub(crate) fn with_members(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().filter(|(_, group)| !group.members.is_empty()).map(|(name, _)| &**name)
    }

    /// Queues the members and then every change of the group in this inbox. Returns the key of the monitor. The first poll
    /// of the inbox comes after that, so no task is woken.
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

/// The events of one monitor of a group.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Mutex<VecDeque<GroupEvent>>,
    waker: AtomicWaker,
}

impl Inbox {
    /// Queues an event. If `MAX_WAITING` are queued, the present members replace all of them. It wakes no task.
    fn push(&self, group: &Arc<str>, change: GroupChange, all: impl FnOnce() -> GroupChange) {
        let mut events = lock(&self.events);
        let change = if events.len() < MAX_WAITING {
            change
        } else {
            events.clear();
            all()
        };
        events.push_back(GroupEvent { group: Arc::clone(group), change });
    }

    /// Takes the next event.
    pub(crate) fn pop(&self) -> Option<GroupEvent> {
        lock(&self.events).pop_front()
    }

    /// Registers the task to be woken by the next event.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
