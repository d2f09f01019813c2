//! Requests to a running dynamic supervisor.

use impresario_supervision::{
    Action, ChildInfo, ChildKind, ChildRules, ChildState, Counts, DynamicSupervisor, Event, ExitReason,
    Flags, Reply, ReportKind, RequestError, RequestId, Restart, Shutdown, SpecError,
};

use crate::dynamic::{NOW, at, drain, limited, of, reports, restarted, run, start};
use crate::world::{boom, ms, no};

fn done(id: u64) -> Action {
    Action::Reply(RequestId(id), Reply::Done)
}

#[test]
fn terminate_is_answered_at_the_exit() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    rules.terminate_child(NOW, RequestId(5), key);
    assert_eq!(
        (drain(&mut rules), rules.poll_timeout()),
        (vec![Action::Stop(incarnation)], Some(at(ms(5_000))))
    );
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(5)]);
    assert_eq!(rules.poll_timeout(), None);
    rules.terminate_child(NOW, RequestId(6), key);
    assert_eq!(drain(&mut rules), [done(6)], "a removed instance counts as terminated");
}

#[test]
fn key_that_was_never_assigned_is_not_found() {
    let mut other = run(limited(1), of(Restart::Permanent));
    let incarnations = [(); 2].map(|()| start(&mut other));
    let unknown = other.key_of(incarnations[1]).expect("it runs");
    let mut rules = run(limited(1), of(Restart::Permanent));
    start(&mut rules);
    rules.terminate_child(NOW, RequestId(1), unknown);
    rules.restart_child(NOW, RequestId(2), unknown);
    let not_found = Reply::Error(RequestError::NotFound);
    let expected = [Action::Reply(RequestId(1), not_found.clone()), Action::Reply(RequestId(2), not_found)];
    assert_eq!(drain(&mut rules), expected);
}

#[test]
fn every_terminate_request_is_answered() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let key = rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let (_, incarnation) = restarted(&drain(&mut rules));
    rules.terminate_child(NOW, RequestId(2), key);
    let failed = Reply::Error(RequestError::StartFailed(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(1), failed), Action::Stop(incarnation)]);
    rules.terminate_child(NOW, RequestId(3), key);
    assert_eq!(drain(&mut rules), [], "the stop is sent once");
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(2), done(3)]);
}

#[test]
fn stop_time_out_kills_only_that_instance() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let [incarnation, _] = [(); 2].map(|()| start(&mut rules));
    let key = rules.key_of(incarnation).expect("it runs");
    rules.terminate_child(NOW, RequestId(5), key);
    drain(&mut rules);
    rules.handle(at(ms(5_000)), Event::Timeout);
    rules.handle(at(ms(5_001)), Event::Timeout);
    assert_eq!(drain(&mut rules), [Action::Kill(incarnation)]);
    rules.handle(at(ms(5_002)), Event::Exited(incarnation, ExitReason::Killed));
    let actions = drain(&mut rules);
    assert_eq!(reports(&actions), [(ReportKind::ShutdownError, 1, ExitReason::Killed)]);
    assert!(actions.contains(&done(5)) && rules.len() == 1);
}

/// The instance was stopped on request before the shutdown. The shared deadline applies to it too.
#[test]
fn shutdown_deadline_covers_a_stopping_instance() {
    let mut rules = run(limited(1), ChildRules { shutdown: Shutdown::Infinity, ..of(Restart::Permanent) });
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    rules.terminate_child(NOW, RequestId(5), key);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Stop(incarnation)], "the stop was sent before");
    rules.handle(NOW, Event::Exited(incarnation, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(5), Action::Exit(ExitReason::Shutdown)]);
}

#[test]
fn requested_restart_is_refused_unless_waiting() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    let error = |id, error| Action::Reply(RequestId(id), Reply::Error(error));
    rules.restart_child(NOW, RequestId(1), key);
    assert_eq!(drain(&mut rules), [error(1, RequestError::Running)]);
    rules.handle(NOW, Event::Exited(incarnation, boom()));
    drain(&mut rules);
    rules.restart_child(NOW, RequestId(2), key);
    assert_eq!(drain(&mut rules), [error(2, RequestError::Restarting)]);
}

#[test]
fn instances_are_listed_and_counted_by_state() {
    for (template, is_supervisor) in [(of(Restart::Permanent), false), (ChildRules::supervisor("t"), true)] {
        let mut rules = DynamicSupervisor::new(limited(9), template, None).expect("the template is valid");
        rules.handle(NOW, Event::Start);
        let incarnations = [(); 3].map(|()| {
            rules.start_child(NOW, RequestId(1)).expect("below max_children");
            let (_, incarnation) = restarted(&drain(&mut rules));
            rules.handle(NOW, Event::Started(incarnation));
            drain(&mut rules);
            incarnation
        });
        rules.start_child(NOW, RequestId(2)).expect("below max_children");
        drain(&mut rules);
        rules.handle(NOW, Event::Exited(incarnations[0], boom()));
        let (_, again) = restarted(&drain(&mut rules));
        rules.handle(NOW, Event::Exited(incarnations[1], boom()));
        drain(&mut rules);
        rules.handle(NOW, Event::StartFailed(again, no()));
        let states: Vec<ChildState> = rules.which_children().iter().map(|child| child.state).collect();
        let expected = [ChildState::Restarting, ChildState::Restarting, ChildState::Running(incarnations[2])];
        assert_eq!(states, expected, "an instance in its first start is not listed");
        let count = |counts: bool| if counts { 3 } else { 0 };
        let (supervisors, workers) = (count(is_supervisor), count(!is_supervisor));
        assert_eq!(rules.count_children(), Counts { specs: 1, active: 1, supervisors, workers });
        assert_eq!(rules.len(), 4);
    }
}

#[test]
fn template_is_returned_and_its_id_is_listed() {
    let mut rules = run(limited(1), of(Restart::Transient));
    assert_eq!(rules.template(), &of(Restart::Transient));
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    let state = ChildState::Running(incarnation);
    assert_eq!(rules.which_children(), [ChildInfo { id: "t".into(), key, state, kind: ChildKind::Worker }]);
    rules.terminate_child(NOW, RequestId(1), key);
    assert_eq!(rules.which_children()[0].state, state, "it is listed until its exit");
}

#[test]
fn replaced_template_applies_to_running_instances() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let [first, second] = [(); 2].map(|()| start(&mut rules));
    let template = ChildRules { shutdown: Shutdown::Kill, ..of(Restart::Temporary) };
    rules.replace(limited(0), template.clone(), Some(2)).expect("the template is valid");
    assert_eq!(rules.template(), &template);
    assert_eq!(drain(&mut rules), []);
    assert_eq!(rules.start_child(NOW, RequestId(1)), Err(RequestError::MaxChildren(2)));
    rules.handle(NOW, Event::Exited(first, boom()));
    assert!(matches!(drain(&mut rules)[..], [Action::Report(_), Action::Forget(_)]));
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Kill(second)]);
}

#[test]
fn invalid_template_replaces_nothing() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let bad = ChildRules { significant: true, ..of(Restart::Transient) };
    let expected = SpecError::SignificantWithoutAutoShutdown { child: "t".into() };
    assert_eq!(rules.replace(Flags::default(), bad, None), Err(expected));
    let zero = SpecError::ZeroMaxChildren { child: "t".into() };
    assert_eq!(rules.replace(limited(1), of(Restart::Temporary), Some(0)), Err(zero));
    assert_eq!(rules.template(), &of(Restart::Permanent));
}
