//! What a running dynamic supervisor can be asked.

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
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    rules.terminate_child(NOW, RequestId(5), key);
    assert_eq!((drain(&mut rules), rules.poll_timeout()), (vec![Action::Stop(life)], Some(at(ms(5_000)))));
    rules.handle(NOW, Event::Exited(life, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(5)]);
    assert_eq!(rules.poll_timeout(), None);
    rules.terminate_child(NOW, RequestId(6), key);
    assert_eq!(drain(&mut rules), [done(6)], "gone is as good");
}

#[test]
fn key_that_was_never_assigned_is_not_found() {
    let mut other = run(limited(1), of(Restart::Permanent));
    let lives = [(); 2].map(|()| start(&mut other));
    let strange = other.key_of(lives[1]).expect("it lives");
    let mut rules = run(limited(1), of(Restart::Permanent));
    start(&mut rules);
    rules.terminate_child(NOW, RequestId(1), strange);
    rules.restart_child(NOW, RequestId(2), strange);
    let not_found = Reply::Error(RequestError::NotFound);
    let expected = [Action::Reply(RequestId(1), not_found.clone()), Action::Reply(RequestId(2), not_found)];
    assert_eq!(drain(&mut rules), expected);
}

#[test]
fn every_terminate_request_is_answered() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let key = rules.start_child(NOW, RequestId(1)).expect("there is room");
    let (_, life) = restarted(&drain(&mut rules));
    rules.terminate_child(NOW, RequestId(2), key);
    let told = Reply::Error(RequestError::StartFailed(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(1), told), Action::Stop(life)]);
    rules.terminate_child(NOW, RequestId(3), key);
    assert_eq!(drain(&mut rules), [], "it is told once");
    rules.handle(NOW, Event::Exited(life, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(2), done(3)]);
}

#[test]
fn stop_time_out_kills_only_that_instance() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let [life, _] = [(); 2].map(|()| start(&mut rules));
    let key = rules.key_of(life).expect("it lives");
    rules.terminate_child(NOW, RequestId(5), key);
    drain(&mut rules);
    rules.handle(at(ms(5_000)), Event::Timeout);
    rules.handle(at(ms(5_001)), Event::Timeout);
    assert_eq!(drain(&mut rules), [Action::Kill(life)]);
    rules.handle(at(ms(5_002)), Event::Exited(life, ExitReason::Killed));
    let actions = drain(&mut rules);
    assert_eq!(reports(&actions), [(ReportKind::ShutdownError, 1, ExitReason::Killed)]);
    assert!(actions.contains(&done(5)) && rules.len() == 1);
}

/// It was stopped alone before all were stopped: the shared deadline covers it too.
#[test]
fn shutdown_deadline_covers_a_stopping_instance() {
    let mut rules = run(limited(1), ChildRules { shutdown: Shutdown::Infinity, ..of(Restart::Permanent) });
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    rules.terminate_child(NOW, RequestId(5), key);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Stop(life)], "it was told already");
    rules.handle(NOW, Event::Exited(life, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), done(5), Action::Exit(ExitReason::Shutdown)]);
}

#[test]
fn requested_restart_is_refused_unless_waiting() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    let error = |id, error| Action::Reply(RequestId(id), Reply::Error(error));
    rules.restart_child(NOW, RequestId(1), key);
    assert_eq!(drain(&mut rules), [error(1, RequestError::Running)]);
    rules.handle(NOW, Event::Exited(life, boom()));
    drain(&mut rules);
    rules.restart_child(NOW, RequestId(2), key);
    assert_eq!(drain(&mut rules), [error(2, RequestError::Restarting)]);
}

#[test]
fn instances_are_listed_and_counted_by_state() {
    for (template, is_supervisor) in [(of(Restart::Permanent), false), (ChildRules::supervisor("t"), true)] {
        let mut rules = DynamicSupervisor::new(limited(9), template, None).expect("good");
        rules.handle(NOW, Event::Start);
        let lives = [(); 3].map(|()| {
            rules.start_child(NOW, RequestId(1)).expect("there is room");
            let (_, life) = restarted(&drain(&mut rules));
            rules.handle(NOW, Event::Started(life));
            drain(&mut rules);
            life
        });
        rules.start_child(NOW, RequestId(2)).expect("there is room");
        drain(&mut rules);
        rules.handle(NOW, Event::Exited(lives[0], boom()));
        let (_, again) = restarted(&drain(&mut rules));
        rules.handle(NOW, Event::Exited(lives[1], boom()));
        drain(&mut rules);
        rules.handle(NOW, Event::StartFailed(again, no()));
        let states: Vec<ChildState> = rules.which_children().iter().map(|child| child.state).collect();
        let expected = [ChildState::Restarting, ChildState::Restarting, ChildState::Running(lives[2])];
        assert_eq!(states, expected, "one whose first start is under way is not listed");
        let count = |yes: bool| if yes { 3 } else { 0 };
        let (supervisors, workers) = (count(is_supervisor), count(!is_supervisor));
        assert_eq!(rules.count_children(), Counts { specs: 1, active: 1, supervisors, workers });
        assert_eq!(rules.len(), 4);
    }
}

#[test]
fn template_is_returned_and_its_id_is_listed() {
    let mut rules = run(limited(1), of(Restart::Transient));
    assert_eq!(rules.template(), &of(Restart::Transient));
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    let state = ChildState::Running(life);
    assert_eq!(rules.which_children(), [ChildInfo { id: "t".into(), key, state, kind: ChildKind::Worker }]);
    rules.terminate_child(NOW, RequestId(1), key);
    assert_eq!(rules.which_children()[0].state, state, "it is there until it is gone");
}

#[test]
fn replaced_template_applies_to_running_instances() {
    let mut rules = run(limited(1), of(Restart::Permanent));
    let [first, second] = [(); 2].map(|()| start(&mut rules));
    let template = ChildRules { shutdown: Shutdown::Kill, ..of(Restart::Temporary) };
    rules.replace(limited(0), template.clone(), Some(2)).expect("it is good");
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
