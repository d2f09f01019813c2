//! Dynamic supervisors with many instances.

use impresario_supervision::{
    Action, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation, RequestId, Restart, Time,
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use crate::op::ops;
use crate::plan::{Plan, plan};
use crate::tree::{MAX_CHILDREN, TOP, Tree};

/// Lets so many instances come, and go together; how many actions that took.
fn come_and_go(count: usize) -> usize {
    let template = ChildRules { restart: Restart::Temporary, ..ChildRules::worker("t") };
    let mut rules = DynamicSupervisor::new(Flags::default(), template, None).expect("good");
    rules.handle(Time::START, Event::Start);
    let mut lives: Vec<Incarnation> = Vec::new();
    let mut actions = 0;
    for number in 0..count {
        rules.start_child(Time::START, RequestId(number as u64)).expect("no limit");
        while let Some(action) = rules.poll_action() {
            actions += 1;
            if let Action::Start(_, life) = action {
                rules.handle(Time::START, Event::Started(life));
                lives.push(life);
            }
        }
    }
    rules.handle(Time::START, Event::Shutdown(ExitReason::Shutdown));
    for life in lives {
        rules.handle(Time::START, Event::Exited(life, ExitReason::Shutdown));
    }
    actions + std::iter::from_fn(|| rules.poll_action()).count()
}

#[test]
fn actions_grow_linearly_with_instances() {
    // A start, its answer, a stop and the drop of the entry for each; ready and the exit once.
    assert_eq!(come_and_go(10), 4 * 10 + 2);
    assert_eq!(come_and_go(20_000), 4 * 20_000 + 2);
}

proptest! {
    #[test]
    fn instances_never_exceed_max_children(plan in plan(0), ops in ops()) {
        let plan = Plan { dynamic: true, ..plan };
        let mut tree = Tree::running(&plan);
        for op in ops {
            tree.op(&op);
            let crate::rules::Rules::Dynamic(rules) = &tree.nodes[TOP].rules else { unreachable!("it is dynamic") };
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
        // Whatever the others are doing, a start is either refused or under way at once.
        let crate::rules::Rules::Dynamic(rules) = &mut tree.nodes[TOP].rules else { unreachable!("it is dynamic") };
        match rules.start_child(tree.now, RequestId(u64::MAX)) {
            Ok(key) => {
                let action = rules.poll_action();
                prop_assert!(matches!(action, Some(Action::Start(started, _)) if started == key), "{action:?}");
            }
            Err(_) => prop_assert_eq!(rules.poll_action(), None),
        }
    }
}
