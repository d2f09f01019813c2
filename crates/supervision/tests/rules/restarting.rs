//! Restart types, intensity and retries.

use impresario_supervision::{ChildRules, Event, ExitReason, Flags, Intensity, Request, Restart, Strategy};

use crate::world::{Start, World, boom, flags, ms};

#[test]
fn restart_type_and_reason_decide_the_restart() {
    let shutdown_with = ExitReason::ShutdownWith("x".into());
    for (restart, reason, expected) in [
        (Restart::Permanent, ExitReason::Normal, "child_terminated(a,normal) +a"),
        (Restart::Permanent, boom(), "child_terminated(a,boom) +a"),
        (Restart::Transient, ExitReason::Normal, ""),
        (Restart::Transient, ExitReason::Shutdown, ""),
        (Restart::Transient, shutdown_with.clone(), ""),
        (Restart::Transient, ExitReason::Killed, "child_terminated(a,killed) +a"),
        (Restart::Transient, ExitReason::Code(1), "child_terminated(a,exit code 1) +a"),
        (Restart::Temporary, ExitReason::Normal, "forget:a"),
        (Restart::Temporary, shutdown_with, "forget:a"),
        (Restart::Temporary, boom(), "child_terminated(a,boom) forget:a"),
    ] {
        let spec = ChildRules { restart, ..ChildRules::worker("a") };
        let mut world = World::new(Flags::default(), vec![spec]);
        world.handle(Event::Start);
        world.take();
        world.exit("a", reason.clone());
        assert_eq!(world.take(), expected, "{restart} {reason}");
    }
}

/// OTP: a supervisor that gave up or failed to start exits with `shutdown`, which is clean.
#[test]
fn transient_supervisor_that_gave_up_is_not_restarted() {
    let reasons = [
        ExitReason::GaveUp { child: "w".into(), reason: Box::new(boom()) },
        ExitReason::FailedToStart { child: "w".into(), reason: Box::new(boom()) },
    ];
    for reason in reasons {
        let spec = ChildRules { restart: Restart::Transient, ..ChildRules::supervisor("s") };
        let mut world = World::new(Flags::default(), vec![spec]);
        world.handle(Event::Start);
        world.take();
        world.exit("s", reason);
        assert_eq!(world.take(), "");
    }
}

#[test]
fn restart_above_the_intensity_ends_the_supervisor() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.crash("b");
    world.take();
    world.crash("c");
    let end = "exit(restart limit reached, last failure of child c: boom)";
    assert_eq!(world.take(), format!("child_terminated(c,boom) shutdown(c,boom) -b -a {end}"));
}

#[test]
fn restarts_older_than_the_period_do_not_count() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    for _ in 0..3 {
        world.crash("b");
        assert_eq!(world.take(), "child_terminated(b,boom) +b");
        world.pass(ms(5_001));
    }
    world.crash("b");
    world.pass(ms(5_000));
    world.crash("b");
    assert!(world.take().contains("exit(restart limit"), "a restart exactly one period ago counts");
}

#[test]
fn failed_restart_counts_and_is_retried() {
    let mut world = World::abc(Strategy::OneForOne, 3);
    world.starts.insert("a", vec![Start::Fail; 2]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) !a start_error(a,no) !a start_error(a,no) +a");
    world.crash("a");
    assert!(world.take().contains("shutdown(a,boom)"), "1 crash and 2 failed restarts count");
}

#[test]
fn restart_that_always_fails_ends_the_supervisor() {
    let mut world = World::abc(Strategy::OneForOne, 2);
    world.starts.insert("a", vec![Start::Fail; 9]);
    world.crash("a");
    let tries = "!a start_error(a,no) !a start_error(a,no)";
    let end = "shutdown(a,no) -c -b exit(restart limit reached, last failure of child a: no)";
    assert_eq!(world.take(), format!("child_terminated(a,boom) {tries} {end}"));
}

#[test]
fn ignored_restart_leaves_the_child_down() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.starts.insert("a", vec![Start::Ignore]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) ~a");
    world.request(1, Request::RestartChild("a".into()));
    assert!(world.take().starts_with("+a 1:Started"));
}

#[test]
fn requests_are_handled_between_retries() {
    let mut world = World::abc(Strategy::OneForOne, 1_000);
    world.stuck.push("a");
    world.crash("a");
    let incarnation = world.incarnation("a");
    world.request(7, Request::TerminateChild("a".into()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a");
    world.handle(Event::StartFailed(incarnation, boom()));
    assert_eq!(world.take(), "start_error(a,boom) 7:Done", "the retry has no effect");
}

#[test]
fn restart_that_times_out_is_a_failed_restart() {
    let spec = ChildRules { start_timeout: Some(ms(50)), ..ChildRules::worker("a") };
    let mut world = World::new(flags(Strategy::OneForOne, 2), vec![spec]);
    world.handle(Event::Start);
    world.take();
    world.stuck.push("a");
    world.crash("a");
    assert_eq!(world.skip(), ms(50));
    assert_eq!(world.take(), "child_terminated(a,boom) +a xa start_error(a,did not start in time) +a");
}

#[test]
fn stale_events_change_nothing() {
    let mut world = World::abc(Strategy::OneForOne, 3);
    let first = world.incarnation("a");
    world.crash("a");
    world.take();
    for event in [
        Event::Exited(first, boom()),
        Event::Started(first),
        Event::Ignored(first),
        Event::StartFailed(first, boom()),
        Event::Timeout,
    ] {
        world.handle(event);
    }
    let running = world.incarnation("a");
    world.handle(Event::Started(running));
    world.handle(Event::Ignored(running));
    assert_eq!(world.take(), "");
    assert_eq!(world.rules.poll_timeout(), None);
}

#[test]
fn intensity_of_0_allows_no_restart() {
    let intensity = Intensity::new(0, ms(1));
    let flags = Flags { intensity, ..Flags::default() };
    let mut world = World::new(flags, vec![ChildRules::worker("a")]);
    world.handle(Event::Start);
    world.crash("a");
    assert!(world.take().ends_with("exit(restart limit reached, last failure of child a: boom)"));
}
