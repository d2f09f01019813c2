//! Shutdown of a static supervisor.

use impresario_supervision::{
    Action, ChildRules, Event, ExitReason, Flags, Request, Restart, Shutdown, Strategy, Supervisor, Time,
};

use crate::world::{Start, World, boom, flags, ms, workers};

fn shutdown() -> Event {
    Event::Shutdown(ExitReason::Shutdown)
}

#[test]
fn children_stop_in_reverse() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.handle(Event::Shutdown(ExitReason::ShutdownWith("deploy".into())));
    assert_eq!(world.take(), "-c -b -a exit(shutdown: deploy)");
    assert_eq!(world.rules.poll_timeout(), None);
    world.handle(shutdown());
    world.handle(Event::Timeout);
    assert_eq!(world.take(), "", "the exit comes once");
}

#[test]
fn stuck_child_delays_shutdown_by_its_time_out() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("b");
    world.handle(shutdown());
    assert_eq!(world.take(), "-c -b");
    world.pass(ms(4_999));
    world.handle(Event::Timeout);
    assert_eq!(world.take(), "", "not before the time-out");
    assert_eq!(world.skip(), ms(1));
    assert_eq!(world.take(), "xb shutdown_error(b,killed) -a exit(shutdown)");
}

#[test]
fn infinity_has_no_time_out_and_kill_sends_no_stop() {
    let mut specs = workers();
    specs[0].shutdown = Shutdown::Kill;
    specs[1].shutdown = Shutdown::Infinity;
    let mut world = World::new(Flags::default(), specs);
    world.handle(Event::Start);
    world.take();
    world.stuck.push("b");
    world.handle(shutdown());
    assert_eq!((world.rules.poll_timeout(), world.take()), (None, "-c -b".to_owned()));
    world.exit("b", ExitReason::Shutdown);
    assert_eq!(world.take(), "xa exit(shutdown)", "killed is the expected reason");
}

/// OTP: permanent children stop with `shutdown`, others also with any clean reason.
#[test]
fn unexpected_stop_reason_is_reported() {
    for (restart, reason, reported) in [
        (Restart::Permanent, ExitReason::Shutdown, false),
        (Restart::Permanent, ExitReason::Normal, true),
        (Restart::Permanent, ExitReason::ShutdownWith("x".into()), true),
        (Restart::Permanent, boom(), true),
        (Restart::Transient, ExitReason::Normal, false),
        (Restart::Temporary, ExitReason::ShutdownWith("x".into()), false),
        (Restart::Transient, ExitReason::Killed, true),
        (Restart::Temporary, boom(), true),
    ] {
        let spec = ChildRules { restart, ..ChildRules::worker("a") };
        let mut world = World::new(Flags::default(), vec![spec]);
        world.handle(Event::Start);
        world.stuck.push("a");
        world.handle(shutdown());
        world.exit("a", reason.clone());
        let trace = world.take();
        assert_eq!(trace.contains("shutdown_error"), reported, "{restart} {reason}: {trace}");
    }
}

/// OTP: a nested supervisor that gives up exits with `shutdown`, which is expected of a child that is stopped.
#[test]
fn gave_up_during_a_stop_is_not_reported() {
    let mut world = World::new(Flags::default(), vec![ChildRules::supervisor("s")]);
    world.handle(Event::Start);
    world.stuck.push("s");
    world.handle(shutdown());
    world.exit("s", ExitReason::GaveUp { child: "w".into(), reason: Box::new(boom()) });
    assert_eq!(world.take(), "+s ready -s exit(shutdown)");
}

#[test]
fn kill_that_crosses_an_exit_changes_nothing() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("c");
    world.handle(shutdown());
    let incarnation = world.incarnation("c");
    world.pass(ms(5_000));
    world.rules.handle(world.now, Event::Timeout);
    world.rules.handle(world.now, Event::Exited(incarnation, ExitReason::Shutdown));
    world.handle(Event::Timeout);
    assert_eq!(world.take(), "-c xc -b -a exit(shutdown)", "the exit reason is the expected one");
}

#[test]
fn queued_exit_is_reported_with_its_own_reason() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("c");
    world.request(1, Request::TerminateChild("c".into()));
    world.handle(shutdown());
    world.crash("a");
    world.exit("b", ExitReason::Shutdown);
    world.take();
    world.exit("c", ExitReason::Shutdown);
    assert_eq!(world.take(), "1:Done shutdown_error(a,boom) exit(shutdown)");
}

#[test]
fn shutdown_stops_a_restart_under_way_after_5_s() {
    let mut world = World::abc(Strategy::OneForAll, 1);
    world.stuck.push("b");
    world.crash("c");
    let incarnation = world.incarnation("b");
    world.handle(Event::Exited(incarnation, ExitReason::Shutdown));
    assert_eq!(world.take(), "child_terminated(c,boom) -b -a +a +b");
    world.handle(shutdown());
    assert_eq!(world.take(), "");
    world.stuck.clear();
    world.finish_start("b");
    assert_eq!(world.take(), "+c -c -b -a exit(shutdown)", "as in OTP the restart is completed first");

    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("a");
    world.crash("a");
    world.take();
    world.pass(ms(100));
    world.handle(shutdown());
    world.pass(ms(1_000));
    world.handle(shutdown());
    world.pass(ms(3_999));
    world.handle(Event::Timeout);
    assert_eq!(world.take(), "", "5 s since the first shutdown request are not over");
    assert_eq!(world.skip(), ms(1));
    assert_eq!(world.take(), "-a", "the start is stopped like any child");
    assert_eq!(world.skip(), ms(5_000));
    assert_eq!(world.take(), "xa shutdown_error(a,killed) -c -b exit(shutdown)");
}

#[test]
fn shutdown_waits_for_a_stop_under_way() {
    let mut world = World::abc(Strategy::OneForAll, 1);
    world.stuck.push("c");
    world.crash("a");
    world.handle(shutdown());
    assert_eq!(world.skip(), ms(5_000), "the time-out of the stop");
    assert_eq!(world.take(), "child_terminated(a,boom) -c xc shutdown_error(c,killed) -b +a +b +c");
    assert_eq!(world.skip(), ms(0), "the 5 s of the start deadline are over too");
    assert_eq!(world.take(), "-c", "the last started child stops first");
}

/// The requester of a start that a shutdown stops gets `ShuttingDown`.
#[test]
fn shutdown_refuses_the_requested_start_it_stops() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("d");
    world.request(1, Request::StartChild(ChildRules::worker("d")));
    world.handle(shutdown());
    world.skip();
    assert_eq!(world.take(), "added:d +d 1:Error(ShuttingDown) -d");
    world.exit("d", ExitReason::Shutdown);
    assert_eq!(world.take(), "-c -b -a exit(shutdown)");
}

#[test]
fn queued_requests_are_refused_at_exit() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("c");
    world.handle(shutdown());
    world.request(1, Request::WhichChildren);
    assert_eq!(world.take(), "-c");
    world.exit("c", ExitReason::Shutdown);
    assert_eq!(world.take(), "-b -a 1:Error(ShuttingDown) exit(shutdown)");
    world.request(2, Request::CountChildren);
    assert_eq!(world.take(), "2:Error(ShuttingDown)");
}

#[test]
fn shutdown_cancels_a_queued_retry() {
    let mut world = World::new(flags(Strategy::OneForOne, 1_000), workers());
    world.handle(Event::Start);
    world.take();
    world.stuck.push("a");
    world.crash("a");
    world.handle(shutdown());
    world.starts.insert("a", vec![Start::Fail]);
    let incarnation = world.incarnation("a");
    world.handle(Event::StartFailed(incarnation, boom()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a start_error(a,boom) -c -b exit(shutdown)");
}

#[test]
fn ignored_after_a_stop_counts_as_the_exit() {
    for shutdown in [Shutdown::Kill, Shutdown::Infinity, Shutdown::Timeout(ms(100))] {
        let spec = ChildRules { shutdown, ..ChildRules::worker("a") };
        let mut rules = Supervisor::new(Flags::default(), vec![spec]).expect("the spec is valid");
        rules.handle(Time::START, Event::Start);
        let Some(Action::Start(_, incarnation)) = rules.poll_action() else { panic!("no start") };
        rules.handle(Time::START, Event::Shutdown(ExitReason::Shutdown));
        assert!(matches!(rules.poll_action(), Some(Action::Stop(_) | Action::Kill(_))));
        rules.handle(Time::START, Event::Ignored(incarnation));
        let actions: Vec<Action> = std::iter::from_fn(|| rules.poll_action()).collect();
        assert_eq!(actions, [Action::Exit(ExitReason::Shutdown)], "{shutdown:?}");
    }
}
