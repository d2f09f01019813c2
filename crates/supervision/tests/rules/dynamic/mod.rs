//! The dynamic supervisor: starts, exits, restarts and stops of instances.

mod backoff;
mod requests;

use std::time::Duration;

use impresario_supervision::{
    Action, AutoShutdown, ChildKey, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation,
    Intensity, Reply, ReportKind, RequestError, RequestId, Restart, Shutdown, Time,
};

use crate::world::{boom, ms, no};

pub(crate) const NOW: Time = Time::START;

pub(crate) fn at(elapsed: Duration) -> Time {
    NOW + elapsed
}

pub(crate) fn limited(restarts: u32) -> Flags {
    Flags { intensity: Intensity::new(restarts, Duration::from_secs(5)), ..Flags::default() }
}

pub(crate) fn of(restart: Restart) -> ChildRules {
    ChildRules { restart, ..ChildRules::worker("t") }
}

pub(crate) fn run(flags: Flags, template: ChildRules) -> DynamicSupervisor {
    let mut rules = DynamicSupervisor::new(flags, template, Some(3)).expect("the template is valid");
    rules.handle(NOW, Event::Start);
    rules.handle(NOW, Event::Start);
    assert_eq!(drain(&mut rules), [Action::Ready]);
    rules
}

fn new(restart: Restart, restarts: u32) -> DynamicSupervisor {
    run(limited(restarts), of(restart))
}

pub(crate) fn drain(rules: &mut DynamicSupervisor) -> Vec<Action> {
    std::iter::from_fn(|| rules.poll_action()).collect()
}

/// Starts one instance and answers `Started`.
pub(crate) fn start(rules: &mut DynamicSupervisor) -> Incarnation {
    let key = rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let actions = drain(rules);
    let [Action::Start(started, incarnation)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(started, key);
    rules.handle(NOW, Event::Started(incarnation));
    assert_eq!(drain(rules), [Action::Reply(RequestId(1), Reply::Started(key, incarnation))]);
    incarnation
}

/// The key and incarnation of the only start among these actions.
pub(crate) fn restarted(actions: &[Action]) -> (ChildKey, Incarnation) {
    let starts: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Start(key, incarnation) => Some((*key, *incarnation)),
            _ => None,
        })
        .collect();
    let [start] = starts[..] else { panic!("{actions:?}") };
    start
}

pub(crate) fn reports(actions: &[Action]) -> Vec<(ReportKind, usize, ExitReason)> {
    let report = |action: &Action| match action {
        Action::Report(report) => Some((report.kind, report.instances, report.reason.clone())),
        _ => None,
    };
    actions.iter().filter_map(report).collect()
}

#[test]
fn temporary_instance_is_removed_at_its_exit() {
    let mut rules = new(Restart::Temporary, 0);
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    assert!(!rules.is_empty() && rules.len() == 1);
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Normal));
    assert_eq!(drain(&mut rules), [Action::Forget(key)]);
    assert!(rules.is_empty() && rules.key_of(incarnation).is_none());
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    assert_eq!(reports(&drain(&mut rules)), [(ReportKind::ChildTerminated, 1, boom())]);
}

#[test]
fn start_child_is_refused_before_start_and_after_exit() {
    let mut rules =
        DynamicSupervisor::new(limited(1), of(Restart::Permanent), None).expect("the template is valid");
    assert_eq!(rules.start_child(NOW, RequestId(1)), Err(RequestError::ShuttingDown));
    rules.handle(NOW, Event::Shutdown(ExitReason::Normal));
    assert_eq!(drain(&mut rules), [Action::Exit(ExitReason::Normal)]);
    rules.handle(NOW, Event::Start);
    rules.handle(NOW, Event::Shutdown(ExitReason::Normal));
    assert_eq!(rules.start_child(NOW, RequestId(1)), Err(RequestError::ShuttingDown));
    assert_eq!((drain(&mut rules), rules.poll_timeout()), (vec![], None));
}

#[test]
fn start_above_max_children_is_refused() {
    let mut rules = new(Restart::Temporary, 0);
    let incarnations = [(); 3].map(|()| start(&mut rules));
    assert_eq!(rules.start_child(NOW, RequestId(9)), Err(RequestError::MaxChildren(3)));
    assert_eq!(drain(&mut rules), []);
    rules.handle(NOW, Event::Exited(incarnations[1], ExitReason::Normal));
    assert!(rules.start_child(NOW, RequestId(9)).is_ok());
}

#[test]
fn restart_type_and_reason_decide_the_restart() {
    for (restart, reason, again) in [
        (Restart::Permanent, ExitReason::Normal, true),
        (Restart::Transient, ExitReason::Shutdown, false),
        (Restart::Transient, boom(), true),
        (Restart::Temporary, boom(), false),
    ] {
        let mut rules = new(restart, 1);
        let incarnation = start(&mut rules);
        let key = rules.key_of(incarnation).expect("it runs");
        rules.handle(NOW, Event::Exited(incarnation, reason.clone()));
        let actions = drain(&mut rules);
        if again {
            assert_eq!(restarted(&actions).0, key, "a restart keeps the key");
        } else {
            assert_eq!(actions.last(), Some(&Action::Forget(key)), "{restart} {reason}");
        }
    }
}

#[test]
fn restart_above_the_intensity_ends_the_supervisor() {
    let mut rules = new(Restart::Permanent, 1);
    let [incarnation, other] = [(); 2].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Killed));
    let (_, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Started(second));
    rules.handle(NOW, Event::Exited(other, boom()));
    let actions = drain(&mut rules);
    assert_eq!(
        reports(&actions),
        [(ReportKind::ChildTerminated, 1, boom()), (ReportKind::GaveUp, 1, boom())],
        "the intensity counts the restarts of all instances"
    );
    assert_eq!(actions.last(), Some(&Action::Stop(second)));
    rules.handle(NOW, Event::Exited(second, ExitReason::Shutdown));
    let end = ExitReason::GaveUp { child: "t".into(), reason: Box::new(boom()) };
    assert_eq!(drain(&mut rules).last(), Some(&Action::Exit(end)));
}

/// The retry comes at the next `Event::Timeout`, so a request is handled before it.
#[test]
fn failed_restart_is_retried_after_earlier_events() {
    let mut rules = new(Restart::Permanent, 2);
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (key, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(second, no()));
    assert_eq!(reports(&drain(&mut rules)), [(ReportKind::StartError, 1, no())]);
    assert_eq!(rules.poll_timeout(), Some(NOW));
    rules.restart_child(NOW, RequestId(7), key);
    let error = Reply::Error(RequestError::Restarting);
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(7), error)]);
    rules.handle(NOW, Event::Timeout);
    let (again, third) = restarted(&drain(&mut rules));
    assert!(again == key && third > second);
    rules.handle(NOW, Event::StartFailed(third, no()));
    drain(&mut rules);
    rules.handle(NOW, Event::Timeout);
    let actions = drain(&mut rules);
    assert_eq!(reports(&actions), [(ReportKind::GaveUp, 1, no())], "each retry counts when it is made");
    assert!(matches!(actions.last(), Some(Action::Exit(ExitReason::GaveUp { .. }))), "{actions:?}");
}

#[test]
fn terminated_retry_does_not_count() {
    let mut rules = new(Restart::Permanent, 1);
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (key, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(second, no()));
    drain(&mut rules);
    rules.terminate_child(NOW, RequestId(5), key);
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(RequestId(5), Reply::Done)]);
    assert_eq!(rules.poll_timeout(), None);
    rules.handle(NOW, Event::Timeout);
    assert_eq!(drain(&mut rules), []);
}

#[test]
fn failed_or_ignored_first_start_is_removed() {
    let mut rules = new(Restart::Permanent, 1);
    let by = RequestId(4);
    let key = rules.start_child(NOW, by).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::StartFailed(incarnation, no()));
    let reply = Reply::Error(RequestError::StartFailed(no()));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(by, reply)]);
    let key = rules.start_child(NOW, by).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Ignored(incarnation));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(by, Reply::Ignored)]);
    assert_eq!(rules.key_of(incarnation), None);
}

/// OTP keeps such an instance as a child without a process, and the shutdown crashes on it.
#[test]
fn ignored_restart_removes_the_instance() {
    let mut rules = new(Restart::Permanent, 1);
    let incarnation = start(&mut rules);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    let (key, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Ignored(second));
    assert_eq!(drain(&mut rules), [Action::Forget(key)]);
    assert_eq!(rules.count_children().workers, 0);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Exit(ExitReason::Shutdown)]);
}

#[test]
fn shutdown_stops_all_with_one_deadline() {
    let mut rules = new(Restart::Temporary, 0);
    let incarnations = [(); 3].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), incarnations.map(Action::Stop));
    rules.handle(NOW, Event::Exited(incarnations[0], ExitReason::Shutdown));
    drain(&mut rules);
    let deadline = rules.poll_timeout().expect("two instances run");
    assert_eq!(deadline, at(ms(5_000)));
    rules.handle(at(ms(4_999)), Event::Timeout);
    assert_eq!(drain(&mut rules), []);
    rules.handle(deadline, Event::Timeout);
    rules.handle(deadline, Event::Timeout);
    assert_eq!(drain(&mut rules), [Action::Kill(incarnations[1]), Action::Kill(incarnations[2])]);
    assert_eq!(rules.poll_timeout(), None);
    rules.handle(deadline, Event::Exited(incarnations[1], ExitReason::Killed));
    rules.handle(deadline, Event::Exited(incarnations[2], ExitReason::Killed));
    let actions = drain(&mut rules);
    assert_eq!(
        reports(&actions),
        [(ReportKind::ShutdownError, 2, ExitReason::Killed)],
        "one report for both instances"
    );
    assert_eq!(actions.last(), Some(&Action::Exit(ExitReason::Shutdown)));
}

#[test]
fn unexpected_stop_reasons_are_counted_and_sorted() {
    let mut rules = new(Restart::Permanent, 0);
    let incarnations = [(); 3].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    rules.handle(NOW, Event::Exited(incarnations[0], ExitReason::Normal));
    rules.handle(NOW, Event::Exited(incarnations[1], boom()));
    rules.handle(NOW, Event::Exited(incarnations[2], ExitReason::Shutdown));
    let counted =
        [(ReportKind::ShutdownError, 1, boom()), (ReportKind::ShutdownError, 1, ExitReason::Normal)];
    assert_eq!(reports(&drain(&mut rules)), counted);
}

#[test]
fn kill_sends_no_stop_and_infinity_has_no_deadline() {
    for (shutdown, kill) in [(Shutdown::Kill, true), (Shutdown::Infinity, false)] {
        let mut rules = run(limited(1), ChildRules { shutdown, ..of(Restart::Permanent) });
        let incarnation = start(&mut rules);
        rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
        let expected = if kill { Action::Kill(incarnation) } else { Action::Stop(incarnation) };
        assert_eq!((drain(&mut rules), rules.poll_timeout()), (vec![expected], None));
        let reason = if kill { ExitReason::Killed } else { ExitReason::Shutdown };
        rules.handle(NOW, Event::Exited(incarnation, reason));
        assert!(reports(&drain(&mut rules)).is_empty());
    }
}

#[test]
fn shutdown_stops_a_start_and_refuses_its_request() {
    let mut rules = new(Restart::Permanent, 1);
    rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let (key, incarnation) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    let refused = Action::Reply(RequestId(1), Reply::Error(RequestError::ShuttingDown));
    assert_eq!(drain(&mut rules), [refused, Action::Stop(incarnation)]);
    rules.handle(NOW, Event::Started(incarnation));
    assert_eq!(drain(&mut rules), [], "Started after the stop changes nothing");
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Exit(ExitReason::Shutdown)]);
}

#[test]
fn stale_events_change_nothing() {
    let mut rules = new(Restart::Permanent, 3);
    let first = start(&mut rules);
    rules.handle(NOW, Event::Exited(first, boom()));
    let (_, second) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Started(second));
    for event in [
        Event::Started(first),
        Event::Ignored(first),
        Event::StartFailed(first, no()),
        Event::Exited(first, no()),
        Event::Started(second),
        Event::Ignored(second),
        Event::Timeout,
    ] {
        rules.handle(NOW, event);
    }
    assert_eq!((drain(&mut rules), rules.len()), (vec![], 1));
}

#[test]
fn significant_exit_shuts_down() {
    for (auto_shutdown, with_the_first) in
        [(AutoShutdown::AnySignificant, true), (AutoShutdown::AllSignificant, false)]
    {
        let template = ChildRules { significant: true, ..of(Restart::Temporary) };
        let mut rules = run(Flags { auto_shutdown, ..limited(0) }, template);
        let incarnations = [(); 2].map(|()| start(&mut rules));
        rules.handle(NOW, Event::Exited(incarnations[0], ExitReason::Normal));
        assert_eq!(drain(&mut rules).contains(&Action::Stop(incarnations[1])), with_the_first);
        rules.handle(NOW, Event::Exited(incarnations[1], ExitReason::Shutdown));
        assert_eq!(drain(&mut rules).last(), Some(&Action::Exit(ExitReason::Shutdown)));
    }
}

fn all_significant() -> DynamicSupervisor {
    let flags = Flags { auto_shutdown: AutoShutdown::AllSignificant, ..limited(0) };
    run(flags, ChildRules { significant: true, ..of(Restart::Temporary) })
}

/// OTP completes the stop before it handles the exit of the other instance.
#[test]
fn stopping_instance_does_not_count_as_significant() {
    let mut rules = all_significant();
    let [stopped, exited] = [(); 2].map(|()| start(&mut rules));
    let key = rules.key_of(stopped).expect("it runs");
    rules.terminate_child(NOW, RequestId(5), key);
    rules.handle(NOW, Event::Exited(exited, ExitReason::Normal));
    drain(&mut rules);
    rules.handle(NOW, Event::Exited(stopped, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules).last(), Some(&Action::Exit(ExitReason::Shutdown)));
}

/// OTP completes the start before it handles the exit of the last instance.
#[test]
fn start_under_way_decides_after_the_last_exit() {
    for (ready, exits) in [(true, false), (false, true)] {
        let mut rules = all_significant();
        let last = start(&mut rules);
        rules.start_child(NOW, RequestId(2)).expect("below max_children");
        let (_, incarnation) = restarted(&drain(&mut rules));
        rules.handle(NOW, Event::Exited(last, ExitReason::Normal));
        assert!(matches!(drain(&mut rules)[..], [Action::Forget(_)]));
        rules.handle(
            NOW,
            if ready { Event::Started(incarnation) } else { Event::StartFailed(incarnation, no()) },
        );
        assert_eq!(drain(&mut rules).contains(&Action::Exit(ExitReason::Shutdown)), exits);
        assert_eq!(rules.len(), usize::from(ready));
    }
}

/// A terminated instance causes no auto-shutdown, even if a significant one exited without a request before.
#[test]
fn terminating_the_last_instance_does_not_shut_down() {
    let mut rules = all_significant();
    let [exited, stopped] = [(); 2].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Exited(exited, ExitReason::Normal));
    let key = rules.key_of(stopped).expect("it runs");
    rules.terminate_child(NOW, RequestId(5), key);
    rules.handle(NOW, Event::Exited(stopped, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules).last(), Some(&Action::Reply(RequestId(5), Reply::Done)));
    start(&mut rules);
}

#[test]
fn restarting_instance_counts_as_significant() {
    let flags = Flags { auto_shutdown: AutoShutdown::AllSignificant, ..limited(1) };
    let mut rules = run(flags, ChildRules { significant: true, ..of(Restart::Transient) });
    let [failed, exited] = [(); 2].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Exited(failed, boom()));
    let (key, _) = restarted(&drain(&mut rules));
    rules.handle(NOW, Event::Exited(exited, ExitReason::Normal));
    rules.terminate_child(NOW, RequestId(5), key);
    assert!(matches!(drain(&mut rules)[..], [Action::Forget(_), Action::Stop(_)]));
    assert_eq!(rules.len(), 1);
}

#[test]
fn exit_of_a_non_significant_instance_ends_nothing() {
    for auto_shutdown in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let mut rules = run(Flags { auto_shutdown, ..limited(0) }, of(Restart::Temporary));
        let incarnation = start(&mut rules);
        rules.handle(NOW, Event::Exited(incarnation, ExitReason::Normal));
        assert!(matches!(drain(&mut rules)[..], [Action::Forget(_)]));
    }
}

#[test]
fn ignored_after_a_stop_counts_as_the_exit() {
    for shutdown in [Shutdown::Kill, Shutdown::Infinity, Shutdown::Timeout(ms(100))] {
        let mut rules = run(limited(0), ChildRules { shutdown, ..of(Restart::Permanent) });
        let key = rules.start_child(NOW, RequestId(1)).expect("below max_children");
        let actions = drain(&mut rules);
        let [Action::Start(_, incarnation)] = actions[..] else { panic!("{actions:?}") };
        rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
        drain(&mut rules);
        rules.handle(NOW, Event::Ignored(incarnation));
        assert_eq!(
            drain(&mut rules),
            [Action::Forget(key), Action::Exit(ExitReason::Shutdown)],
            "{shutdown:?}"
        );
    }
}

/// The instance was killed because its start timed out. `Ignored` then counts as its exit.
#[test]
fn ignored_after_a_start_time_out_counts_as_the_exit() {
    let mut rules = run(limited(0), ChildRules { start_timeout: Some(ms(100)), ..of(Restart::Permanent) });
    let key = rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    rules.handle(at(ms(100)), Event::Timeout);
    assert_eq!(drain(&mut rules), [Action::Kill(incarnation)]);
    rules.handle(at(ms(100)), Event::Ignored(incarnation));
    let late = Reply::Error(RequestError::StartFailed(ExitReason::StartTimeout));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(RequestId(1), late)]);
    assert_eq!((rules.key_of(incarnation), rules.len()), (None, 0));
}
