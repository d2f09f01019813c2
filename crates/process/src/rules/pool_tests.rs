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

/// The slots and incarnations that the rules start.
fn starts(rules: &mut PoolRules) -> Vec<(u32, Incarnation)> {
    let start = |(action, rules): (Action, &PoolRules)| match action {
        Action::Start(key, incarnation) => Some((rules.slot(key), incarnation)),
        _ => None,
    };
    let actions = actions(rules);
    actions.into_iter().filter_map(|action| start((action, rules))).collect()
}

#[test]
fn ready_comes_when_every_slot_has_started() {
    let mut rules = rules(2);
    let workers = starts(&mut rules);
    assert_eq!(workers.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [0, 1]);
    rules.handle(NOW, Event::Started(workers[1].1));
    assert_eq!(actions(&mut rules), []);
    rules.handle(NOW, Event::Started(workers[0].1));
    assert_eq!(actions(&mut rules), [Action::Ready]);
}

#[test]
fn a_replacement_keeps_its_slot_and_ready_comes_once() {
    let mut rules = rules(2);
    let workers = starts(&mut rules);
    for (_, incarnation) in &workers {
        rules.handle(NOW, Event::Started(*incarnation));
    }
    actions(&mut rules);
    rules.handle(NOW, Event::Exited(workers[1].1, ExitReason::Killed));
    let again = starts(&mut rules);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0, 1);
    rules.handle(NOW, Event::Started(again[0].1));
    assert_eq!(actions(&mut rules), []);
}

#[test]
fn a_failed_first_start_stops_the_other_workers() {
    let mut rules = rules(2);
    let workers = starts(&mut rules);
    rules.handle(NOW, Event::StartFailed(workers[0].1, ExitReason::Error("no database".into())));
    let sent = actions(&mut rules);
    assert!(sent.contains(&Action::Stop(workers[1].1)), "{sent:?}");
    rules.handle(NOW, Event::Exited(workers[1].1, ExitReason::Shutdown));
    let last = actions(&mut rules).pop();
    let Some(Action::Exit(reason)) = last else { panic!("{last:?}") };
    assert_eq!(reason.to_string(), "child shop worker 0 failed to start: no database");
}

#[test]
fn a_shutdown_before_ready_stops_a_starting_worker() {
    let mut rules = rules(1);
    let workers = starts(&mut rules);
    rules.handle(NOW, Event::Shutdown(ExitReason::Shutdown));
    rules.handle(NOW, Event::Started(workers[0].1));
    assert_eq!(actions(&mut rules), [Action::Stop(workers[0].1)]);
    rules.handle(NOW, Event::Exited(workers[0].1, ExitReason::Shutdown));
    assert_eq!(actions(&mut rules).pop(), Some(Action::Exit(ExitReason::Shutdown)));
}

#[test]
fn a_pool_of_size_zero_is_ready_immediately() {
    assert_eq!(actions(&mut rules(0)), [Action::Ready]);
}
