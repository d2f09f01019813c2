//! Random events, and the states in which they end.

use impresario_supervision::{Action, ChildState, Event, ExitReason, Reply, Time};
use proptest::prelude::{prop_assert, proptest};

use crate::op::{curious_ops, failures, failures_of_instances, ops, stale_ops, stubborn_ops};
use crate::plan::{permanent_workers, plan};
use crate::tree::{TOP, Tree};

proptest! {
    /// All that the checker asserts: never two incarnations of a child at once, at most one stop and one kill
    /// per incarnation, no start of a forgotten child, one thing at a time, the exit once and last. At rest the
    /// supervisor knows every running child, no answer is pending, and each request was answered once.
    #[test]
    fn random_events_keep_every_checked_invariant(plan in plan(2), ops in ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.calm_down();
    }

    /// A started child exits once. The supervisor lists it until then, and not after.
    #[test]
    fn each_start_has_exactly_one_exit(plan in plan(1), storm in ops(), end in stubborn_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&storm);
        tree.calm_down();
        tree.run(&end);
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.calm_down();
        for node in &tree.nodes {
            let killed = node.checker.exit.is_none();
            prop_assert!(node.checker.alive.is_empty() || killed, "{:?} never ended", node.checker.alive);
        }
    }

    #[test]
    fn stale_event_changes_nothing(plan in plan(1), ops in stale_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.calm_down();
    }

    /// No child is waited for beyond its deadline: the checker asserts it after each timeout.
    #[test]
    fn unanswered_action_ends_in_at_most_one_kill(plan in plan(1), ops in stubborn_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        // Time passes, and no child answers.
        for _ in 0..100 {
            tree.deadline();
        }
    }

    #[test]
    fn every_request_gets_exactly_one_reply(plan in plan(1), ops in curious_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.calm_down();
        for node in tree.nodes.iter().filter(|node| node.checker.exit.is_some()) {
            node.checker.check_all_answered();
        }
    }

    /// Including incarnations that started during other work.
    #[test]
    fn shutdown_leaves_no_incarnation_running(plan in plan(2), ops in ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.calm_down();
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        for node in &tree.nodes {
            prop_assert!(node.gone, "outlived its tree: {node:?}");
        }
    }

    #[test]
    fn failures_end_with_all_running_or_gave_up(
        plan in permanent_workers(5),
        ops in failures(),
    ) {
        let mut tree = Tree::running(&plan);
        tree.run(&ops);
        tree.calm_down();
        let now = tree.now;
        let node = &mut tree.nodes[TOP];
        match &node.checker.exit {
            Some(ExitReason::GaveUp { child, .. }) => {
                prop_assert!(plan.children.iter().any(|known| known.spec.id == *child));
            }
            Some(reason) => prop_assert!(false, "nobody asked for {reason}"),
            None => {
                let states = node.rules.states(now);
                prop_assert!(states.iter().all(|state| matches!(state, ChildState::Running(_))), "{states:?}");
                prop_assert!(states.len() == plan.children.len());
            }
        }
    }

    #[test]
    fn instance_failures_end_with_all_running_or_gave_up(
        plan in permanent_workers(5),
        ops in failures_of_instances(),
    ) {
        let mut tree = Tree::running(&plan.of_instances());
        tree.run(&ops);
        tree.calm_down();
        let now = tree.now;
        let node = &mut tree.nodes[TOP];
        match &node.checker.exit {
            Some(ExitReason::GaveUp { child, .. }) => prop_assert!(plan.children[0].spec.id == *child),
            Some(reason) => prop_assert!(false, "nobody asked for {reason}"),
            None => {
                let came = |(_, action): &&(Time, Action)| matches!(action, Action::Reply(_, Reply::Started(..)));
                let wanted = node.log.iter().filter(came).count();
                let states = node.rules.states(now);
                prop_assert!(states.iter().all(|state| matches!(state, ChildState::Running(_))), "{states:?}");
                prop_assert!(states.len() == wanted, "{states:?} but {wanted} came");
            }
        }
    }

    /// The first start succeeds completely or leaves no child.
    #[test]
    fn failed_first_start_exits_and_names_the_child(plan in permanent_workers(5), fails in 0_usize..6) {
        let fails = fails % plan.children.len();
        let mut tree = Tree::new(&plan);
        for _ in 0..fails {
            tree.op(&crate::op::Op::Answer(0, crate::op::How::Started));
        }
        let failed = crate::op::How::Failed(ExitReason::Error("no".into()));
        tree.op(&crate::op::Op::Answer(0, failed));
        tree.calm_down();
        let expected = ExitReason::FailedToStart {
            child: plan.children[fails].spec.id.clone(),
            reason: Box::new(ExitReason::Error("no".into())),
        };
        prop_assert!(tree.nodes[TOP].checker.exit == Some(expected));
    }
}
