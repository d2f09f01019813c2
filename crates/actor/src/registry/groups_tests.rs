//! Groups without actors: a monitor of a group knows its members.

use std::collections::BTreeMap;
use std::sync::Arc;

use impresario_supervision::{Incarnation, Time};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::cell::ActorCell;
use crate::cell::tree_core::TreeCore;

const GROUPS: [&str; 3] = ["red", "green", "blue"];

fn pids(count: usize) -> Vec<Pid> {
    let tree = Arc::new(TreeCore::new());
    (0..count).map(|_| Pid::of(&ActorCell::new(Arc::clone(&tree), Incarnation::ROOT, Time::START))).collect()
}

/// How often each pid is a member.
fn counted<'a>(pids: impl IntoIterator<Item = &'a Pid>) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for pid in pids {
        *counts.entry(pid.number()).or_default() += 1;
    }
    counts
}

/// A monitor of a group, and the members that it computes from its events.
struct Listener {
    group: &'static str,
    key: u64,
    inbox: Arc<Inbox>,
    members: Option<Vec<Pid>>,
}

impl Listener {
    fn receive(&mut self, event: GroupEvent) {
        assert_eq!(&*event.group, self.group);
        match (event.change, &mut self.members) {
            (GroupChange::Members(members), _) => self.members = Some(members),
            (GroupChange::Joined(pid), Some(members)) => members.push(pid),
            (GroupChange::Left(pid), Some(members)) => {
                let index = members.iter().position(|member| *member == pid).expect("it was a member");
                members.remove(index);
            }
            (change, None) => panic!("{change:?} before the members"),
        }
    }

    fn receive_all(&mut self) {
        while let Some(event) = self.inbox.pop() {
            self.receive(event);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Exit(usize),
    Monitor(usize),
    Demonitor(usize),
    Hear(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..4_usize).prop_map(|(group, pid)| Step::Join(group, pid)),
        2 => (0..3_usize, 0..4_usize).prop_map(|(group, pid)| Step::Leave(group, pid)),
        1 => (0..4_usize).prop_map(Step::Exit),
        1 => (0..3_usize).prop_map(Step::Monitor),
        1 => any::<usize>().prop_map(Step::Demonitor),
        2 => any::<usize>().prop_map(Step::Hear),
    ]
}

proptest! {
    #[test]
    fn whoever_monitors_knows_who_is_in_it(steps in vec(step(), 0..80)) {
        let (mut groups, pids) = (Groups::default(), pids(4));
        let mut listeners: Vec<Listener> = Vec::new();
        let mut joins: Vec<(usize, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Join(group, pid) => {
                    drop(groups.join(GROUPS[group], &pids[pid]));
                    joins.push((group, pid));
                }
                Step::Leave(group, pid) => {
                    let index = joins.iter().position(|join| *join == (group, pid));
                    prop_assert_eq!(groups.leave(GROUPS[group], &pids[pid]).is_some(), index.is_some());
                    index.map(|index| joins.remove(index));
                }
                Step::Exit(pid) => {
                    drop(groups.remove_pid(&pids[pid]));
                    joins.retain(|(_, other)| *other != pid);
                }
                Step::Monitor(group) => {
                    let inbox = Arc::default();
                    let key = groups.monitor(GROUPS[group], &inbox);
                    listeners.push(Listener { group: GROUPS[group], key, inbox, members: None });
                }
                Step::Demonitor(which) if !listeners.is_empty() => {
                    let removed = listeners.swap_remove(which % listeners.len());
                    groups.demonitor(removed.group, removed.key);
                }
                Step::Hear(which) if !listeners.is_empty() => {
                    let which = which % listeners.len();
                    if let Some(event) = listeners[which].inbox.pop() {
                        listeners[which].receive(event);
                    }
                }
                Step::Demonitor(_) | Step::Hear(_) => {}
            }
        }
        for (index, group) in GROUPS.iter().enumerate() {
            let expected = joins.iter().filter(|(joined, _)| *joined == index).map(|(_, pid)| &pids[*pid]);
            prop_assert_eq!(counted(&groups.members(group)), counted(expected));
        }
        for mut listener in listeners {
            listener.receive_all();
            let members = listener.members.expect("it has the members");
            prop_assert_eq!(counted(&members), counted(&groups.members(listener.group)));
            groups.demonitor(listener.group, listener.key);
        }
        pids.iter().for_each(|pid| drop(groups.remove_pid(pid)));
        prop_assert!(groups.groups.is_empty() && groups.memberships.is_empty(), "nothing is left behind");
    }
}

#[test]
fn events_come_in_order() {
    let (mut groups, pids) = (Groups::default(), pids(2));
    drop(groups.join("red", &pids[0]));
    let inbox = Arc::default();
    groups.monitor("red", &inbox);
    drop(groups.join("red", &pids[1]));
    drop(groups.join("red", &pids[1]));
    drop(groups.join("blue", &pids[1]));
    drop(groups.remove_pid(&pids[1]));
    let changes: Vec<GroupChange> = std::iter::from_fn(|| inbox.pop()).map(|event| event.change).collect();
    let (joined, left) = (GroupChange::Joined(pids[1].clone()), GroupChange::Left(pids[1].clone()));
    let members = GroupChange::Members(vec![pids[0].clone()]);
    assert_eq!(changes, [members, joined.clone(), joined, left.clone(), left]);
}

#[test]
fn who_hears_too_slowly_hears_of_the_members_again() {
    let (mut groups, pids) = (Groups::default(), pids(2));
    let inbox = Arc::default();
    let key = groups.monitor("red", &inbox);
    drop(groups.join("red", &pids[0]));
    for _ in 0..MAX_WAITING {
        drop(groups.join("red", &pids[1]));
        drop(groups.leave("red", &pids[1]));
    }
    let mut listener = Listener { group: "red", key, inbox, members: None };
    let mut count = 0;
    while let Some(event) = listener.inbox.pop() {
        listener.receive(event);
        count += 1;
    }
    assert!(count <= MAX_WAITING, "{count} events waited");
    assert_eq!(listener.members.as_deref(), Some(&pids[..1]));
}
