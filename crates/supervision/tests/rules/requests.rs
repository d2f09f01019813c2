//! Requests to a running static supervisor.

use impresario_supervision::{
    ChildKind, ChildRules, ChildState, Counts, Event, ExitReason, Flags, Reply, Request, RequestError,
    RequestId, Restart, Shutdown, SpecError, Strategy, Supervisor, Time,
};

use crate::world::{Start, World, flags, ms, no};

fn error(id: u64, error: RequestError) -> String {
    format!("{id}:{:?}", Reply::Error(error))
}

#[test]
fn requests_are_answered_as_in_otp() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    let incarnation = world.incarnation("b");
    world.request(1, Request::StartChild(ChildRules::worker("b")));
    assert_eq!(world.take(), error(1, RequestError::AlreadyStarted(incarnation)));
    world.request(2, Request::DeleteChild("b".into()));
    assert_eq!(world.take(), error(2, RequestError::Running));
    world.request(3, Request::RestartChild("b".into()));
    assert_eq!(world.take(), error(3, RequestError::Running));
    world.request(4, Request::TerminateChild("b".into()));
    assert_eq!(world.take(), "-b 4:Done");
    world.request(5, Request::TerminateChild("b".into()));
    assert_eq!(world.take(), "5:Done", "a child that is down counts as terminated");
    world.request(6, Request::StartChild(ChildRules::worker("b")));
    assert_eq!(world.take(), error(6, RequestError::AlreadyPresent));
    world.request(7, Request::DeleteChild("b".into()));
    assert_eq!(world.take(), "forget:b 7:Done");
    for (id, request) in [
        (8, Request::RestartChild("b".into())),
        (9, Request::TerminateChild("b".into())),
        (10, Request::DeleteChild("b".into())),
        (11, Request::ChildSpec("b".into())),
    ] {
        world.request(id, request);
        assert_eq!(world.take(), error(id, RequestError::NotFound));
    }
}

#[test]
fn added_child_is_last_in_start_order() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    let killed = ChildRules { shutdown: Shutdown::Kill, ..ChildRules::worker("d") };
    world.request(1, Request::StartChild(killed));
    assert!(world.take().starts_with("added:d +d 1:Started"));
    world.handle(Event::Shutdown(ExitReason::Normal));
    assert_eq!(world.take(), "xd -c -b -a exit(normal)");
}

/// The key comes before the start, so that the driver can store under it what starts the child.
#[test]
fn added_child_gets_its_key_before_its_start() {
    let mut rules = Supervisor::new(Flags::default(), vec![]).expect("no children is valid");
    rules.handle(Time::START, Event::Start);
    rules.request(Time::START, RequestId(1), Request::StartChild(ChildRules::worker("a")));
    let actions: Vec<String> =
        std::iter::from_fn(|| rules.poll_action()).map(|action| format!("{action:?}")).collect();
    assert_eq!(actions, ["Ready", "Added(RequestId(1), ChildKey(0))", "Start(ChildKey(0), Incarnation(1))"]);
}

#[test]
fn added_child_that_fails_to_start_is_removed() {
    let mut world = World::abc(Strategy::OneForOne, 0);
    world.starts.insert("d", vec![Start::Fail]);
    world.request(1, Request::StartChild(ChildRules::worker("d")));
    assert_eq!(world.take(), format!("added:d !d forget:d {}", error(1, RequestError::StartFailed(no()))));
    world.starts.insert("d", vec![Start::Ignore]);
    world.request(2, Request::StartChild(ChildRules::worker("d")));
    assert_eq!(world.take(), "added:d ~d 2:Ignored", "the spec of an ignored child stays");
    world.request(3, Request::DeleteChild("d".into()));
    assert_eq!(world.take(), "forget:d 3:Done");
}

#[test]
fn failed_requested_restart_is_only_the_reply() {
    let mut world = World::abc(Strategy::OneForOne, 0);
    world.request(1, Request::TerminateChild("a".into()));
    world.take();
    world.starts.insert("a", vec![Start::Fail]);
    world.request(2, Request::RestartChild("a".into()));
    assert_eq!(world.take(), format!("!a {}", error(2, RequestError::StartFailed(no()))));
    world.request(3, Request::RestartChild("a".into()));
    assert!(world.take().starts_with("+a 3:Started"));
}

#[test]
fn child_with_a_queued_retry_is_restarting() {
    let mut world = World::abc(Strategy::OneForOne, 1_000);
    world.stuck.push("a");
    world.crash("a");
    let incarnation = world.incarnation("a");
    for (id, request) in [
        (1, Request::RestartChild("a".into())),
        (2, Request::DeleteChild("a".into())),
        (3, Request::StartChild(ChildRules::worker("a"))),
        (4, Request::WhichChildren),
        (5, Request::CountChildren),
    ] {
        world.request(id, request);
    }
    world.take();
    world.handle(Event::StartFailed(incarnation, no()));
    let trace = world.take();
    let counts = Counts { specs: 3, active: 2, supervisors: 0, workers: 3 };
    for expected in [
        error(1, RequestError::Restarting),
        error(2, RequestError::Restarting),
        error(3, RequestError::AlreadyPresent),
        format!("5:{:?}", Reply::Counts(counts)),
        "state: Restarting".to_owned(),
    ] {
        assert!(trace.contains(&expected), "{expected} is not in {trace}");
    }
}

/// It exits while another child stops. Its exit is queued behind the requests.
#[test]
fn child_with_a_queued_exit_is_listed_but_not_active() {
    let mut world = World::abc(Strategy::OneForOne, 5);
    world.stuck.push("c");
    world.request(1, Request::TerminateChild("c".into()));
    let incarnation = world.incarnation("a");
    world.request(2, Request::WhichChildren);
    world.request(3, Request::CountChildren);
    world.request(4, Request::StartChild(ChildRules::worker("a")));
    world.request(5, Request::RestartChild("a".into()));
    world.request(6, Request::DeleteChild("a".into()));
    world.request(7, Request::TerminateChild("a".into()));
    world.crash("a");
    world.take();
    world.exit("c", ExitReason::Shutdown);
    let trace = world.take();
    let counts = Counts { specs: 3, active: 1, supervisors: 0, workers: 3 };
    for expected in [
        format!("id: \"a\", key: ChildKey(0), state: {:?}", ChildState::Running(incarnation)),
        format!("3:{:?}", Reply::Counts(counts)),
        error(4, RequestError::AlreadyStarted(incarnation)),
        error(5, RequestError::Running),
        error(6, RequestError::Running),
        "shutdown_error(a,boom) 7:Done".to_owned(),
    ] {
        assert!(trace.contains(&expected), "{expected} is not in {trace}");
    }
    assert!(trace.ends_with("7:Done"), "{trace}");
}

#[test]
fn children_are_listed_latest_first_and_counted_by_kind() {
    let specs = vec![ChildRules::worker("a"), ChildRules::supervisor("s"), ChildRules::worker("c")];
    let mut world = World::new(flags(Strategy::OneForOne, 1), specs);
    world.starts.insert("c", vec![Start::Ignore]);
    world.handle(Event::Start);
    world.rules.request(world.now, RequestId(1), Request::WhichChildren);
    world.rules.request(world.now, RequestId(2), Request::CountChildren);
    let replies: Vec<_> = std::iter::from_fn(|| world.rules.poll_action()).collect();
    let [impresario_supervision::Action::Reply(_, Reply::Children(children)), counts] = &replies[..] else {
        panic!("{replies:?}")
    };
    let listed: Vec<_> = children.iter().map(|child| (child.id.as_str(), child.kind, child.state)).collect();
    let running = |name| ChildState::Running(world.incarnation(name));
    assert_eq!(
        listed,
        [
            ("c", ChildKind::Worker, ChildState::Down),
            ("s", ChildKind::Supervisor, running("s")),
            ("a", ChildKind::Worker, running("a")),
        ]
    );
    let expected = Counts { specs: 3, active: 2, supervisors: 1, workers: 2 };
    assert_eq!(*counts, impresario_supervision::Action::Reply(RequestId(2), Reply::Counts(expected)));
}

#[test]
fn child_spec_returns_the_spec_with_defaults() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.request(1, Request::ChildSpec("b".into()));
    let spec = ChildRules { restart: Restart::Permanent, ..ChildRules::worker("b") };
    assert_eq!(spec.shutdown, Shutdown::Timeout(ms(5_000)));
    assert_eq!(world.take(), format!("1:{:?}", Reply::Spec(spec)));
}

#[test]
fn invalid_spec_is_refused() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.request(1, Request::StartChild(ChildRules { significant: true, ..ChildRules::worker("d") }));
    let expected = SpecError::SignificantWithoutAutoShutdown { child: "d".into() };
    assert_eq!(world.take(), error(1, RequestError::Spec(expected)));
}

#[test]
fn terminated_temporary_child_is_removed() {
    let specs = vec![ChildRules { restart: Restart::Temporary, ..ChildRules::worker("t") }];
    let mut world = World::new(Flags::default(), specs);
    world.handle(Event::Start);
    world.take();
    world.request(1, Request::TerminateChild("t".into()));
    assert_eq!(world.take(), "-t forget:t 1:Done");
    world.request(2, Request::StartChild(ChildRules::worker("t")));
    assert!(world.take().starts_with("added:t +t 2:Started"));
}

#[test]
fn removal_keeps_the_order_of_the_others() {
    let mut world = World::abc(Strategy::RestForOne, 5);
    world.request(1, Request::TerminateChild("a".into()));
    world.request(2, Request::DeleteChild("a".into()));
    world.take();
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) -c +b +c");
    world.request(3, Request::StartChild(ChildRules::worker("a")));
    world.take();
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) -a -c +b +c +a");
}
