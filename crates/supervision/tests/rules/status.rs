//! The statuses of children of both supervisors.

use impresario_supervision::{
    Action, Backoff, ChildKey, ChildKind, ChildRules, ChildStage, ChildStatus, DynamicSupervisor, Event,
    ExitReason, RequestId, Restart, Strategy, Supervisor,
};

use crate::dynamic::{NOW, at, drain, limited, of, restarted, start};
use crate::world::{World, boom, flags, ms, no, workers};

fn stages(rules: &DynamicSupervisor) -> Vec<(ChildStage, u64)> {
    rules.child_statuses().map(|instance| (instance.stage, instance.restarts)).collect()
}

/// A started dynamic supervisor without `max_children`.
fn unlimited(template: ChildRules) -> DynamicSupervisor {
    let mut rules = DynamicSupervisor::new(limited(9), template, None).expect("the template is valid");
    rules.handle(NOW, Event::Start);
    assert_eq!(drain(&mut rules), [Action::Ready]);
    rules
}

#[test]
fn statuses_of_instances_are_oldest_first() {
    let mut rules = unlimited(of(Restart::Temporary));
    let mut incarnations: Vec<_> = (0..100).map(|_| start(&mut rules)).collect();
    let keys =
        |rules: &DynamicSupervisor| rules.child_statuses().map(|seen| seen.key).collect::<Vec<ChildKey>>();
    let started: Vec<_> = incarnations.iter().filter_map(|incarnation| rules.key_of(*incarnation)).collect();
    assert_eq!(keys(&rules), started);
    // Exits and starts of instances do not change the order of the others.
    for index in [70, 31, 0] {
        rules.handle(NOW, Event::Exited(incarnations.remove(index), ExitReason::Normal));
    }
    drain(&mut rules);
    incarnations.push(start(&mut rules));
    let left: Vec<_> = incarnations.iter().filter_map(|incarnation| rules.key_of(*incarnation)).collect();
    assert_eq!(keys(&rules), left);
    let listed: Vec<_> = rules.which_children().iter().map(|child| child.key).collect();
    assert_eq!(listed, left, "which_children has the same order");
}

#[test]
fn status_of_an_instance_has_its_templates_id() {
    let mut rules = unlimited(ChildRules { kind: ChildKind::Supervisor, ..of(Restart::Temporary) });
    let incarnation = start(&mut rules);
    let key = rules.key_of(incarnation).expect("it runs");
    let [ChildStatus { id, key: seen, kind, stage, restarts, .. }] =
        &rules.child_statuses().collect::<Vec<_>>()[..]
    else {
        panic!("not one instance")
    };
    assert_eq!((id.as_str(), *seen, *kind), ("t", key, ChildKind::Supervisor));
    assert_eq!(
        (*stage, *restarts, stage.incarnation()),
        (ChildStage::Running(incarnation), 0, Some(incarnation))
    );
}

#[test]
fn status_shows_every_stage_of_an_instance() {
    let slow = Backoff { first: ms(10), ..Backoff::default() };
    let mut rules = unlimited(ChildRules { backoff: Some(slow), ..of(Restart::Permanent) });
    rules.start_child(NOW, RequestId(1)).expect("below max_children");
    let (key, first) = restarted(&drain(&mut rules));
    assert_eq!(stages(&rules), [(ChildStage::Starting(first), 0)]);
    rules.handle(NOW, Event::Started(first));
    assert_eq!(stages(&rules), [(ChildStage::Running(first), 0)]);
    rules.handle(NOW, Event::Exited(first, boom()));
    let (_, second) = restarted(&drain(&mut rules));
    assert_eq!(stages(&rules), [(ChildStage::Starting(second), 1)]);
    rules.handle(NOW, Event::StartFailed(second, no()));
    let waiting = ChildStage::Waiting(at(ms(10)));
    assert_eq!((stages(&rules), waiting.incarnation()), (vec![(waiting, 1)], None));
    rules.handle(at(ms(10)), Event::Timeout);
    let (_, third) = restarted(&drain(&mut rules));
    rules.handle(at(ms(10)), Event::Started(third));
    rules.terminate_child(at(ms(10)), RequestId(2), key);
    assert_eq!(stages(&rules), [(ChildStage::Stopping(third), 2)]);
    rules.handle(at(ms(10)), Event::Exited(third, ExitReason::Shutdown));
    assert_eq!(stages(&rules), []);
}

#[test]
fn flags_returns_the_given_flags() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let given = flags(strategy, 7);
        let rules = Supervisor::new(given, workers()).expect("the specs are valid");
        assert_eq!(*rules.flags(), given);
    }
}

/// A retry without backoff is queued behind earlier events.
#[test]
fn status_of_a_queued_retry_is_restarting() {
    let mut world = World::abc(Strategy::OneForOne, 9);
    world.stuck = vec!["a", "b"];
    world.crash("a");
    let failing = world.incarnation("a");
    world.crash("b");
    world.handle(Event::StartFailed(failing, no()));
    let seen: Vec<_> = world.rules.child_statuses().map(|child| (child.stage, child.restarts)).collect();
    let (b, c) = (world.incarnation("b"), world.incarnation("c"));
    assert_eq!(
        seen,
        [(ChildStage::Restarting, 1), (ChildStage::Starting(b), 1), (ChildStage::Running(c), 0)]
    );
    assert_eq!(seen[0].0.incarnation(), None);
}
