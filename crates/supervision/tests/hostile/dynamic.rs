//! Dynamic supervisors with many instances.

use impresario_supervision::{
    Action, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation, RequestId, Restart, Time,
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use crate::op::ops;
use crate::plan::{Plan, plan};
use crate::rules::Rules;
use crate::tree::{MAX_CHILDREN, TOP, Tree};

/// Starts `count` instances, then shuts down; returns the number of actions.
fn count_actions(count: usize) -> usize {
    let template = ChildRules { restart: Restart::Temporary, ..ChildRules::worker("t") };
    let mut rules = DynamicSupervisor::new(Flags::default(), template, None).expect("the template is valid");
    rules.handle(Time::START, Event::Start);
    let mut incarnations: Vec<Incarnation> = Vec::new();
    let mut actions = 0;
    for number in 0..count {
        rules.start_child(Time::START, RequestId(number as u64)).expect("no limit");
        while let Some(action) = rules.poll_action() {
            actions += 1;
            if let Action::Start(_, incarnation) = action {
                rules.handle(Time::START, Event::Started(incarnation));
                incarnations.push(incarnation);
            }
        }
    }
    rules.handle(Time::START, Event::Shutdown(ExitReason::Shutdown));
    for incarnation in incarnations {
        rules.handle(Time::START, Event::Exited(incarnation, ExitReason::Shutdown));
    }
    actions + std::iter::from_fn(|| rules.poll_action()).count()
}

#[test]
fn actions_grow_linearly_with_instances() {
    // Per instance: start, reply, stop, forget. Once: ready and exit.
    assert_eq!(count_actions(10), 4 * 10 + 2);
    assert_eq!(count_actions(20_000), 4 * 20_000 + 2);
}

proptest! {
    #[test]
    fn instances_never_exceed_max_children(plan in plan(0), ops in ops()) {
        let plan = Plan { dynamic: true, ..plan };
        let mut tree = Tree::running(&plan);
        for op in ops {
            tree.op(&op);
            let Rules::Dynamic(rules) = &tree.nodes[TOP].rules else { unreachable!("the plan is dynamic") };
            prop_assert!(rules.len() <= MAX_CHILDREN);
            let counts = rules.count_children();
            prop_assert!(counts.active <= counts.workers && counts.workers <= rules.len());
            prop_assert_eq!(rules.which_children().len(), counts.workers);
        }
    }

    #[test]
    fn slow_instances_do_not_delay_a_start(plan in plan(0), ops in ops()) {
        let plan = Plan { dynamic: true, ..plan };
        let mut tree = Tree::running(&plan);
        tree.run(&ops);
        // The other instances are in any state; the start is refused or under way immediately.
        let Rules::Dynamic(rules) = &mut tree.nodes[TOP].rules else { unreachable!("the plan is dynamic") };
        match rules.start_child(tree.now, RequestId(u64::MAX)) {
            Ok(key) => {
                let action = rules.poll_action();
                prop_assert!(matches!(action, Some(Action::Start(started, _)) if started == key), "{action:?}");
            }
            Err(_) => prop_assert_eq!(rules.poll_action(), None),
        }
    }
}
