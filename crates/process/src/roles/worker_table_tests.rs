use std::process::{Child, Command, Stdio};

use impresario_supervision::{Action, ChildRules, Event, Flags, Supervisor, Time};
use impresario_sys::Pid;

use super::*;

/// Two lives of two prototypes, as the rules give them out.
fn owners() -> [Incarnation; 2] {
    let specs = vec![ChildRules::supervisor("a"), ChildRules::supervisor("b")];
    let mut rules = Supervisor::new(Flags::default(), specs).unwrap();
    rules.handle(Time::START, Event::Start);
    let mut start = || match rules.poll_action() {
        Some(Action::Start(_, life)) => {
            rules.handle(Time::START, Event::Started(life));
            life
        }
        other => panic!("{other:?}"),
    };
    [start(), start()]
}

/// A process that lives until it is killed or its input ends.
fn process() -> (Child, OwnedFd) {
    let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pidfd = PidFd::open(Pid::from_raw(child.id() as i32)).unwrap();
    (child, pidfd.into())
}

fn route(owner: Incarnation, process: u32, fds: Vec<OwnedFd>) -> WorkerEntry {
    WorkerEntry::new(owner, process, "shop".into(), 0, fds).unwrap()
}

#[test]
fn a_router_hears_only_of_workers_with_a_port() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let port = pidfd.try_clone().unwrap();
    let with = route(owner, 7, vec![port, pidfd.try_clone().unwrap()]);
    let (message, fds) = with.news().unwrap();
    assert_eq!(message, Message::NewPort { process: 7, app: "shop".into(), slot: 0 });
    assert_eq!(fds.len(), 2);
    assert!(route(owner, 7, vec![pidfd]).news().is_none());
    assert!(WorkerEntry::new(owner, 7, "shop".into(), 0, Vec::new()).is_none());
}

#[test]
fn only_its_own_prototype_removes_a_worker() {
    let [owner, other] = owners();
    let (_child, pidfd) = process();
    let mut routes = WorkerTable::default();
    assert!(routes.add(route(owner, 7, vec![pidfd])).is_some());
    assert!(!routes.remove(other, 7));
    assert!(routes.remove(owner, 7));
    assert!(!routes.remove(owner, 7));
}

#[test]
fn workers_of_a_dead_prototype_are_killed_and_waited_for() {
    let [owner, other] = owners();
    let (mut orphan, orphan_fd) = process();
    let (mut stays, stays_fd) = process();
    let mut routes = WorkerTable::default();
    routes.add(route(owner, orphan.id(), vec![orphan_fd]));
    routes.add(route(other, stays.id(), vec![stays_fd]));
    assert_eq!(routes.remove_owner(owner), [orphan.id()]);
    assert_eq!(routes.live().count(), 1);
    assert_eq!(stays.try_wait().unwrap(), None);
    routes.kill();
    assert!(routes.wait(Duration::from_secs(10)).is_empty());
    // They are children of this process, as the orphans of a container are of main: buried, too.
    for child in [&mut orphan, &mut stays] {
        assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(Errno::ECHILD as i32));
    }
}

#[test]
fn waiting_is_bounded() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let mut routes = WorkerTable::default();
    routes.add(route(owner, 7, vec![pidfd]));
    let left = routes.wait(Duration::from_millis(1));
    assert_eq!(left.iter().map(|route| route.process).collect::<Vec<_>>(), [7]);
}

#[test]
fn the_table_has_an_end() {
    let [owner, _] = owners();
    let (_child, pidfd) = process();
    let mut routes = WorkerTable::default();
    for process in 0..MAX_WORKERS as u32 {
        // Descriptors are scarce in a test; the table does not look at them here.
        let same = Rc::new(PidFd::from(pidfd.try_clone().unwrap()));
        let first = routes.live.first().map_or(same, |route| Rc::clone(&route.pidfd));
        routes.live.push(WorkerEntry {
            process,
            app: String::new(),
            slot: 0,
            port: None,
            pidfd: first,
            owner,
        });
    }
    assert!(routes.add(route(owner, u32::MAX, vec![pidfd])).is_none());
}
