use std::process::{Child, Command, Stdio};

use impresario_supervision::{Action, ChildRules, Event, Flags, Supervisor, Time};
use impresario_sys::Pid;
use rustix::io::Errno;

use super::*;

/// The incarnations of two prototypes.
fn owners() -> [Incarnation; 2] {
    let specs = vec![ChildRules::supervisor("a"), ChildRules::supervisor("b")];
    let mut rules = Supervisor::new(Flags::default(), specs).unwrap();
    rules.handle(Time::START, Event::Start);
    let mut start = || match rules.poll_action() {
        Some(Action::Start(_, incarnation)) => {
            rules.handle(Time::START, Event::Started(incarnation));
            incarnation
        }
        other => panic!("{other:?}"),
    };
    [start(), start()]
}

/// A process that exits when it is killed or when its input ends.
fn process() -> (Child, OwnedFd) {
    let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pidfd = PidFd::open(Pid::from_raw(child.id() as i32)).unwrap();
    (child, pidfd.into())
}

fn worker(owner: Incarnation, process: u32, fds: Vec<OwnedFd>) -> WorkerEntry {
    WorkerEntry::new(owner, process, "shop".into(), 0, fds).unwrap()
}

#[test]
fn only_a_worker_with_a_port_is_announced_to_routers() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let port = pidfd.try_clone().unwrap();
    let with = worker(owner, 7, vec![port, pidfd.try_clone().unwrap()]);
    let (message, fds) = with.new_port().unwrap();
    assert_eq!(message, Message::NewPort { process: 7, app: "shop".into(), slot: 0 });
    assert_eq!(fds.len(), 2);
    assert!(worker(owner, 7, vec![pidfd]).new_port().is_none());
    assert!(WorkerEntry::new(owner, 7, "shop".into(), 0, Vec::new()).is_none());
}

#[test]
fn only_its_own_prototype_removes_a_worker() {
    let [owner, other] = owners();
    let (_child, pidfd) = process();
    let mut table = WorkerTable::default();
    assert!(table.add(worker(owner, 7, vec![pidfd])).is_some());
    assert!(!table.remove(other, 7));
    assert!(table.remove(owner, 7));
    assert!(!table.remove(owner, 7));
}

#[test]
fn workers_of_a_dead_prototype_are_killed_and_reaped() {
    let [owner, other] = owners();
    let (mut orphan, orphan_fd) = process();
    let (mut stays, stays_fd) = process();
    let mut table = WorkerTable::default();
    table.add(worker(owner, orphan.id(), vec![orphan_fd]));
    table.add(worker(other, stays.id(), vec![stays_fd]));
    assert_eq!(table.remove_owner(owner), [orphan.id()]);
    assert_eq!(table.workers().count(), 1);
    assert_eq!(stays.try_wait().unwrap(), None);
    table.kill();
    assert!(table.wait(Duration::from_secs(10)).is_empty());
    // They are children of this process, as orphans are of a main that is pid 1, so they were reaped too.
    for child in [&mut orphan, &mut stays] {
        assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(Errno::CHILD.raw_os_error()));
    }
}

#[test]
fn wait_returns_at_its_timeout() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let mut table = WorkerTable::default();
    table.add(worker(owner, 7, vec![pidfd]));
    let remaining = table.wait(Duration::from_millis(1));
    assert_eq!(remaining.iter().map(|worker| worker.process).collect::<Vec<_>>(), [7]);
}

/// `count` entries that share one pidfd, because a test process has few descriptors.
fn entries(owner: Incarnation, count: usize, pidfd: OwnedFd) -> Vec<WorkerEntry> {
    let pidfd = Rc::new(PidFd::from(pidfd));
    let entry = |process| WorkerEntry {
        process,
        app: String::new(),
        slot: 0,
        port: None,
        pidfd: Rc::clone(&pidfd),
        owner,
    };
    (0..count as u32).map(entry).collect()
}

#[test]
fn a_full_table_refuses_a_worker() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let workers = entries(owner, MAX_WORKERS, pidfd.try_clone().unwrap());
    let mut table = WorkerTable { workers, ..WorkerTable::default() };
    assert!(table.add(worker(owner, u32::MAX, vec![pidfd])).is_none());
}

#[test]
fn orphans_do_not_count_as_workers_and_have_their_own_limit() {
    let [old, new] = owners();
    let (_child, pidfd) = process();
    let orphans = entries(old, MAX_ORPHANS, pidfd.try_clone().unwrap());
    let mut table = WorkerTable { orphans, ..WorkerTable::default() };
    assert!(table.add(worker(new, 7, vec![pidfd.try_clone().unwrap()])).is_some());
    table.orphans.extend(entries(old, 1, pidfd.try_clone().unwrap()));
    assert!(table.add(worker(new, 8, vec![pidfd])).is_none());
}
