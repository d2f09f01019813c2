//! Backoffs and start time-outs of instances.

use std::time::Duration;

use impresario_supervision::{
    Action, Backoff, ChildRules, DelayedRestart, DynamicSupervisor, Event, ExitReason, Incarnation, Reply,
    ReportKind, RequestError, RequestId, Restart,
};

use crate::dynamic::{NOW, at, drain, limited, of, reports, restarted, run, start};
use crate::world::{boom, ms, no};

fn slow(jitter: f64) -> ChildRules {
    let backoff = Backoff { first: ms(10), max: ms(1_000), jitter, ..Backoff::default() };
    ChildRules { backoff: Some(backoff), ..of(Restart::Permanent) }
}

/// Crashes the instance `times` times; returns the delay of each restart.
fn delays(rules: &mut DynamicSupervisor, mut incarnation: Incarnation, times: usize) -> Vec<Duration> {
    let mut now = NOW;
    let mut delays = Vec::new();
    for _ in 0..times {
        rules.handle(now, Event::Exited(incarnation, boom()));
        let mut actions = drain(rules);
        let next = rules.poll_timeout().unwrap_or(now);
        delays.push(next.saturating_since(now));
        now = next;
        rules.handle(now, Event::Timeout);
        actions.extend(drain(rules));
        incarnation = restarted(&actions).1;
        rules.handle(now, Event::Started(incarnation));
    }
    delays
}

#[test]
fn each_instance_has_its_own_backoff() {
    let mut rules = run(limited(99), slow(0.0));
    let [first, second] = [(); 2].map(|()| start(&mut rules));
    assert_eq!(delays(&mut rules, first, 4), [0, 10, 20, 40].map(ms));
    assert_eq!(delays(&mut rules, second, 2), [0, 10].map(ms));
}

#[test]
fn jitter_follows_the_seed() {
    let with = |seed| {
        let mut rules =
            DynamicSupervisor::new(limited(99), slow(1.0), None).expect("the template is valid").seed(seed);
        rules.handle(NOW, Event::Start);
        drain(&mut rules);
        let incarnation = start(&mut rules);
        delays(&mut rules, incarnation, 5)
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn failed_restart_waits_and_counts_at_the_failure() {
    let mut rules = run(limited(2), slow(0.0));
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (_, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(second, no()));
    assert_eq!(reports(&drain(&mut rules)), [(ReportKind::StartError, 1, no())]);
    assert_eq!(rules.poll_timeout(), Some(at(ms(10))));
    rules.handle(at(ms(9)), Event::Timeout);
    assert_eq!(drain(&mut rules), []);
    rules.handle(at(ms(10)), Event::Timeout);
    let (_, third) = restarted(&drain(&mut rules));
    rules.handle(at(ms(10)), Event::StartFailed(third, no()));
    let actions = drain(&mut rules);
    assert!(matches!(actions.last(), Some(Action::Exit(ExitReason::GaveUp { .. }))), "{actions:?}");
}

#[test]
fn reports_carry_delay_and_attempt_of_a_delayed_restart() {
    let delayed = |actions: &[Action]| -> Vec<Option<DelayedRestart>> {
        let restart = |action: &Action| match action {
            Action::Report(report) => Some(report.delayed_restart),
            _ => None,
        };
        actions.iter().filter_map(restart).collect()
    };
    let mut rules = run(limited(2), slow(0.0));
    let first = start(&mut rules);
    rules.handle(NOW, Event::Exited(first, boom()));
    let actions = drain(&mut rules);
    assert_eq!(delayed(&actions), [None], "the first restart is immediate");
    let (_, second) = restarted(&actions);
    rules.handle(NOW, Event::StartFailed(second, no()));
    let restart = DelayedRestart { delay: ms(10), attempt: 2 };
    assert_eq!(delayed(&drain(&mut rules)), [Some(restart)]);
    assert_eq!(rules.poll_timeout(), Some(at(ms(10))), "the reported delay is the actual one");
    rules.handle(at(ms(10)), Event::Timeout);
    let (_, third) = restarted(&drain(&mut rules));
    rules.handle(at(ms(10)), Event::StartFailed(third, no()));
    assert_eq!(delayed(&drain(&mut rules)), [None, None], "start_error and restart limit");
}

#[test]
fn shutdown_removes_waiting_instances() {
    let mut rules = run(limited(9), slow(0.0));
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (key, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(second, no()));
    drain(&mut rules);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Exit(ExitReason::Shutdown)]);
    assert_eq!(rules.poll_timeout(), None);
}

#[test]
fn requested_restart_ends_the_backoff() {
    let mut rules = run(limited(9), slow(0.0));
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (key, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(second, no()));
    drain(&mut rules);
    rules.restart_child(NOW, RequestId(1), key);
    let (_, third) = restarted(&drain(&mut rules));
    assert_eq!(rules.poll_timeout(), None);
    rules.handle(NOW, Event::StartFailed(third, no()));
    let failed = Action::Reply(RequestId(1), Reply::Error(RequestError::StartFailed(no())));
    let actions = drain(&mut rules);
    assert!(actions.contains(&failed) && reports(&actions).len() == 1, "{actions:?}");
    rules.handle(at(ms(20)), Event::Timeout);
    let (_, again) = restarted(&drain(&mut rules));
    rules.handle(at(ms(20)), Event::StartFailed(again, no()));
    assert_eq!(reports(&drain(&mut rules)).len(), 1);
    assert_eq!(rules.poll_timeout(), Some(at(ms(60))), "the request is answered once, and the row continues");
    rules.restart_child(NOW, RequestId(2), key);
    let (_, fourth) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Started(fourth));
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(2), Reply::Started(key, fourth))]);
}

#[test]
fn start_that_times_out_is_killed_once_and_fails() {
    let template = ChildRules { start_timeout: Some(ms(50)), ..of(Restart::Permanent) };
    let mut rules = run(limited(9), template);
    let key = rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    assert_eq!(rules.poll_timeout(), Some(at(ms(50))));
    rules.handle(at(ms(50)), Event::Timeout);
    rules.handle(at(ms(50)), Event::Timeout);
    rules.handle(at(ms(50)), Event::Started(incarnation));
    assert_eq!((drain(&mut rules), rules.poll_timeout()), (vec![Action::Kill(incarnation)], None));
    rules.terminate_child(at(ms(51)), RequestId(2), key);
    let failed = Reply::Error(RequestError::StartFailed(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(1), failed)], "it is not killed twice");
    rules.handle(at(ms(52)), Event::Exited(incarnation, ExitReason::Killed));
    let actions = drain(&mut rules);
    assert_eq!(actions.last(), Some(&Action::Reply(RequestId(2), Reply::Done)), "{actions:?}");

    let key = rules.start_child(at(ms(100)), RequestId(3)).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    rules.handle(at(ms(150)), Event::Timeout);
    rules.handle(at(ms(150)), Event::Exited(incarnation, ExitReason::Killed));
    let late = Reply::Error(RequestError::StartFailed(ExitReason::StartTimeout));
    assert_eq!(
        drain(&mut rules),
        [Action::Kill(incarnation), Action::Forget(key), Action::Reply(RequestId(3), late)]
    );
}

#[test]
fn ready_instance_has_no_start_time_out() {
    let template = ChildRules { start_timeout: Some(ms(50)), ..of(Restart::Permanent) };
    let mut rules = run(limited(9), template);
    start(&mut rules);
    assert_eq!(rules.poll_timeout(), None);
    rules.handle(at(ms(60)), Event::Timeout);
    assert_eq!(drain(&mut rules), []);
}
