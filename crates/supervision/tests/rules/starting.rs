//! The first start of a static supervisor.

use impresario_supervision::{ChildRules, Event, ExitReason, Flags, Request, Restart, Shutdown, Strategy};

use crate::world::{Start, World, boom, flags, ms, workers};

#[test]
fn first_start_is_in_order_and_ready_comes_once() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.handle(Event::Start);
    assert_eq!(world.take(), "", "a repeated Event::Start changes nothing");
}

#[test]
fn nothing_happens_before_event_start() {
    let mut world = World::new(Flags::default(), workers());
    world.request(1, Request::CountChildren);
    assert_eq!(world.take(), "");
    world.handle(Event::Start);
    assert!(world.take().starts_with("+a +b +c ready 1:Counts"));
}

#[test]
fn failed_first_start_stops_the_started_children() {
    let mut world = World::new(Flags::default(), workers());
    world.starts.insert("b", vec![Start::Fail]);
    world.handle(Event::Start);
    assert_eq!(world.take(), "+a !b start_error(b,no) -a exit(child b failed to start: no)");
}

#[test]
fn ignored_first_start_keeps_the_spec_unless_temporary() {
    let mut specs = workers();
    specs[1].restart = Restart::Temporary;
    let mut world = World::new(Flags::default(), specs);
    world.starts.insert("a", vec![Start::Ignore]);
    world.starts.insert("b", vec![Start::Ignore]);
    world.handle(Event::Start);
    assert_eq!(world.take(), "~a ~b forget:b +c ready");
    world.request(1, Request::RestartChild("a".into()));
    assert!(world.take().starts_with("+a 1:Started"));
}

#[test]
fn shutdown_stops_the_first_start_immediately() {
    let mut world = World::new(Flags::default(), workers());
    world.stuck.push("b");
    world.handle(Event::Start);
    world.handle(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "+a +b -b");
    world.exit("b", ExitReason::Shutdown);
    assert_eq!(world.take(), "-a exit(shutdown)");
}

#[test]
fn shutdown_before_event_start_exits() {
    let mut world = World::new(Flags::default(), workers());
    world.handle(Event::Shutdown(ExitReason::Normal));
    assert_eq!(world.take(), "exit(normal)");
    world.handle(Event::Start);
    assert_eq!(world.take(), "");
}

#[test]
fn start_that_times_out_is_killed_once() {
    let specs = vec![ChildRules { start_timeout: Some(ms(1_000)), ..ChildRules::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("a");
    world.handle(Event::Start);
    assert_eq!(world.skip(), ms(1_000));
    let reason = "did not start in time";
    let failed = format!("start_error(a,{reason}) exit(child a failed to start: {reason})");
    assert_eq!(world.take(), format!("+a xa {failed}"));
}

/// The answers of an incarnation that was killed because its start timed out.
#[test]
fn started_after_the_time_out_is_ignored() {
    let specs = vec![ChildRules { start_timeout: Some(ms(1_000)), ..ChildRules::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("a");
    world.handle(Event::Start);
    let incarnation = world.incarnation("a");
    world.pass(ms(1_000));
    world.rules.handle(world.now, Event::Timeout);
    world.rules.handle(world.now, Event::Started(incarnation));
    world.rules.handle(world.now, Event::Ignored(incarnation));
    assert_eq!(world.rules.poll_timeout(), None, "a kill has no time-out");
    world.rules.handle(world.now, Event::Timeout);
    world.handle(Event::StartFailed(incarnation, boom()));
    let trace = world.take();
    assert_eq!(trace.matches("xa").count(), 1, "{trace}");
    assert!(trace.ends_with("exit(child a failed to start: did not start in time)"), "{trace}");
}

/// The start time-out killed the child. The shutdown does not kill it again.
#[test]
fn shutdown_after_a_start_time_out_kills_no_child_twice() {
    let specs = vec![ChildRules { start_timeout: Some(ms(1_000)), ..ChildRules::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("a");
    world.handle(Event::Start);
    let incarnation = world.incarnation("a");
    world.pass(ms(1_000));
    world.rules.handle(world.now, Event::Timeout);
    world.rules.handle(world.now, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.rules.poll_timeout(), None);
    world.rules.handle(world.now, Event::Exited(incarnation, ExitReason::Killed));
    world.handle(Event::Timeout);
    assert_eq!(world.take(), "+a xa shutdown_error(a,killed) exit(shutdown)");
}

/// `Shutdown::Kill` kills it immediately; the supervisor waits for its exit.
#[test]
fn shutdown_kill_kills_a_child_that_starts() {
    let specs = vec![ChildRules { shutdown: Shutdown::Kill, ..ChildRules::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("a");
    world.handle(Event::Start);
    world.handle(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "+a xa exit(shutdown)");
}

#[test]
fn exits_during_the_first_start_are_handled_after_it() {
    let mut world = World::new(flags(Strategy::OneForOne, 1), workers());
    world.stuck.push("b");
    world.handle(Event::Start);
    world.crash("a");
    assert_eq!(world.take(), "+a +b");
    world.stuck.clear();
    world.finish_start("b");
    assert_eq!(world.take(), "+c ready child_terminated(a,boom) +a");
}
