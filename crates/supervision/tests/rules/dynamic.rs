//! The dynamic supervisor against a driver that writes down its actions.

use std::time::Duration;

use crate::{
    Action, ChildKey, ChildSpec, DynamicSupervisor, Event, ExitReason, Flags, Incarnation, Intensity, Reply, RequestError, RequestId,
    Restart, Time,
};

const NOW: Time = Time::START;

fn new(restart: Restart, restarts: u32) -> DynamicSupervisor {
    let flags = Flags { intensity: Intensity::new(restarts, Duration::from_secs(5)), ..Flags::default() };
    let template = ChildSpec { restart, ..ChildSpec::worker("t") };
    let mut rules = DynamicSupervisor::new(flags, template, Some(3)).expect("the template is good");
    rules.handle(NOW, Event::Start);
    assert_eq!(drain(&mut rules), [Action::Ready]);
    rules
}

fn drain(rules: &mut DynamicSupervisor) -> Vec<Action> {
    std::iter::from_fn(|| rules.poll_action()).collect()
}

/// Starts one instance and lets it be ready.
fn start(rules: &mut DynamicSupervisor) -> Incarnation {
    let key = rules.start_child(NOW, RequestId(1)).expect("there is room");
    let actions = drain(rules);
    let [Action::Start(started, life)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(started, key);
    rules.handle(NOW, Event::Started(life));
    assert_eq!(drain(rules), [Action::Reply(RequestId(1), Reply::Started(key, life))]);
    life
}

#[test]
fn temporary_instances_come_and_go() {
    let mut rules = new(Restart::Temporary, 0);
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    rules.handle(NOW, Event::Exited(life, ExitReason::Normal));
    assert_eq!(drain(&mut rules), [Action::Forget(key)]);
    assert!(rules.is_empty() && rules.key_of(life).is_none());
}

#[test]
fn the_limit_answers_at_once() {
    let mut rules = new(Restart::Temporary, 0);
    let lives = [(); 3].map(|()| start(&mut rules));
    assert_eq!(rules.start_child(NOW, RequestId(9)), Err(RequestError::MaxChildren(3)));
    rules.handle(NOW, Event::Exited(lives[1], ExitReason::Normal));
    assert!(rules.start_child(NOW, RequestId(9)).is_ok());
}

#[test]
fn all_are_told_at_once_and_share_one_deadline() {
    let mut rules = new(Restart::Temporary, 0);
    let lives = [(); 3].map(|()| start(&mut rules));
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), lives.map(Action::Stop));
    rules.handle(NOW, Event::Exited(lives[0], ExitReason::Shutdown));
    drain(&mut rules);
    let deadline = rules.poll_timeout().expect("two are left");
    rules.handle(deadline, Event::Timeout);
    assert_eq!(drain(&mut rules), [Action::Kill(lives[1]), Action::Kill(lives[2])]);
    rules.handle(deadline, Event::Exited(lives[1], ExitReason::Killed));
    rules.handle(deadline, Event::Exited(lives[2], ExitReason::Killed));
    let actions = drain(&mut rules);
    let [.., Action::Report(report), Action::Exit(ExitReason::Shutdown)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((report.lives, &report.reason), (2, &ExitReason::Killed), "one report speaks for both");
}

#[test]
fn permanent_instances_are_restarted_up_to_the_limit() {
    let mut rules = new(Restart::Permanent, 1);
    let life = start(&mut rules);
    let key = rules.key_of(life);
    rules.handle(NOW, Event::Exited(life, ExitReason::Killed));
    let actions = drain(&mut rules);
    let [Action::Report(_), Action::Start(again, second)] = actions[..] else { panic!("{actions:?}") };
    assert!(Some(again) == key && second != life);
    rules.handle(NOW, Event::StartFailed(second, ExitReason::Killed));
    let actions = drain(&mut rules);
    assert!(matches!(actions.last(), Some(Action::Exit(ExitReason::GaveUp { .. }))), "{actions:?}");
}

#[test]
fn nothing_is_kept_of_a_start_that_failed() {
    let mut rules = new(Restart::Permanent, 1);
    let key = rules.start_child(NOW, RequestId(4)).expect("there is room");
    let actions = drain(&mut rules);
    let [Action::Start(_, life)] = actions[..] else { panic!("{actions:?}") };
    rules.handle(NOW, Event::StartFailed(life, ExitReason::NoProc));
    let reply = Reply::Error(RequestError::StartFailed(ExitReason::NoProc));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(RequestId(4), reply)]);
}

#[test]
fn terminate_answers_when_it_is_gone() {
    let mut rules = new(Restart::Permanent, 1);
    let life = start(&mut rules);
    let key = rules.key_of(life).expect("it lives");
    rules.terminate_child(NOW, RequestId(5), key);
    assert_eq!(drain(&mut rules), [Action::Stop(life)]);
    rules.handle(NOW, Event::Exited(life, ExitReason::Shutdown));
    assert_eq!(drain(&mut rules), [Action::Forget(key), Action::Reply(RequestId(5), Reply::Done)]);
    rules.terminate_child(NOW, RequestId(6), key);
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(6), Reply::Done)], "gone is as good");
    rules.terminate_child(NOW, RequestId(7), ChildKey(99));
    let reply = Reply::Error(RequestError::NotFound);
    assert_eq!(drain(&mut rules), [Action::Reply(RequestId(7), reply)]);
}
