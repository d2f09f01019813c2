use impresario_supervision::Incarnation;

use super::*;

const NOW: Time = Time::START;

fn rules(size: u32) -> PoolRules {
    let pool = PoolSpec { size, worker: ChildRules::worker("shop worker"), flags: Flags::default() };
    let mut rules = PoolRules::new(&pool).unwrap();
    rules.handle(NOW, Event::Start);
    rules
}

fn actions(rules: &mut PoolRules) -> Vec<Action> {
    std::iter::from_fn(|| rules.poll_action()).collect()
}

/// The lives that are to be started, with their slots.
fn starts(rules: &mut PoolRules) -> Vec<(u32, Incarnation)> {
    let start = |(action, rules): (Action, &PoolRules)| match action {
        Action::Start(key, life) => Some((rules.slot(key), life)),
        _ => None,
    };
    let actions = actions(rules);
    actions.into_iter().filter_map(|action| start((action, rules))).collect()
}

#[test]
fn ready_when_all_slots_are() {
    let mut rules = rules(2);
    let ids = starts(&mut rules);
    assert_eq!(ids.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [0, 1]);
    rules.handle(NOW, Event::Started(ids[1].1));
    assert_eq!(actions(&mut rules), []);
    rules.handle(NOW, Event::Started(ids[0].1));
    assert_eq!(actions(&mut rules), [Action::Ready]);
}

#[test]
fn a_replacement_has_the_same_slot_and_ready_comes_once() {
    let mut rules = rules(2);
    let ids = starts(&mut rules);
    for (_, life) in &ids {
        rules.handle(NOW, Event::Started(*life));
    }
    actions(&mut rules);
    rules.handle(NOW, Event::Exited(ids[1].1, ExitReason::Killed));
    let again = starts(&mut rules);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0, 1);
    rules.handle(NOW, Event::Started(again[0].1));
    assert_eq!(actions(&mut rules), []);
}

#[test]
fn a_first_start_that_fails_ends_it_with_nothing_left() {
    let mut rules = rules(2);
    let ids = starts(&mut rules);
    rules.handle(NOW, Event::StartFailed(ids[0].1, ExitReason::Error("no database".into())));
    let told = actions(&mut rules);
    assert!(told.contains(&Action::Stop(ids[1].1)), "{told:?}");
    rules.handle(NOW, Event::Exited(ids[1].1, ExitReason::Shutdown));
    let last = actions(&mut rules).pop();
    let Some(Action::Exit(reason)) = last else { panic!("{last:?}") };
    assert_eq!(reason.to_string(), "child shop worker 0 failed to start: no database");
}

#[test]
fn a_shutdown_before_ready_is_a_shutdown() {
    let mut rules = rules(1);
    let ids = starts(&mut rules);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    rules.handle(NOW, Event::Started(ids[0].1));
    assert_eq!(actions(&mut rules), [Action::Stop(ids[0].1)]);
    rules.handle(NOW, Event::Exited(ids[0].1, ExitReason::Shutdown));
    assert_eq!(actions(&mut rules).pop(), Some(Action::Exit(ExitReason::Shutdown)));
}

#[test]
fn no_workers_is_ready_at_once() {
    assert_eq!(actions(&mut rules(0)), [Action::Ready]);
}
