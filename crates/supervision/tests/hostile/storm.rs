//! Random events, and the state at their end.

use impresario_supervision::{Action, ChildState, Event, ExitReason, Reply, Time};
use proptest::prelude::{prop_assert, proptest};

use crate::op::{failures, failures_of_instances, ops, request_ops, stale_ops, unanswered_ops};
use crate::plan::{permanent_workers, plan};
use crate::tree::{TOP, Tree};

proptest! {
    /// Asserts all that `checker` checks:
    ///
    /// * A child has at most one incarnation, and each incarnation at most one stop and one kill.
    /// * No removed child is started. A static supervisor starts or stops one child at a time.
    /// * The exit comes once and last.
    /// * Without unanswered actions, the supervisor lists the incarnations that run, and no restart is pending.
    /// * Each request has exactly one reply.
    #[test]
    fn random_events_keep_every_checked_invariant(plan in plan(2), ops in ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.run_until_idle();
    }

    /// Each started incarnation is listed until its exit, and not after it.
    #[test]
    fn each_start_has_exactly_one_exit(plan in plan(1), storm in ops(), end in unanswered_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&storm);
        tree.run_until_idle();
        tree.run(&end);
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run_until_idle();
        for node in &tree.nodes {
            let killed = node.checker.exit.is_none();
            prop_assert!(node.checker.running.is_empty() || killed, "{:?} have not exited", node.checker.running);
        }
    }

    #[test]
    fn stale_event_changes_nothing(plan in plan(1), ops in stale_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.run_until_idle();
    }

    /// The checker asserts after each `Event::Timeout` that no deadline is overdue.
    #[test]
    fn unanswered_action_ends_in_at_most_one_kill(plan in plan(1), ops in unanswered_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        // Only time passes; no child answers.
        for _ in 0..100 {
            tree.deadline();
        }
    }

    #[test]
    fn every_request_gets_exactly_one_reply(plan in plan(1), ops in request_ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.run_until_idle();
        for node in tree.nodes.iter().filter(|node| node.checker.exit.is_some()) {
            node.checker.check_all_answered();
        }
    }

    /// The shutdown comes at any moment.
    #[test]
    fn shutdown_leaves_no_incarnation_running(plan in plan(2), ops in ops()) {
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run_until_idle();
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        for node in &tree.nodes {
            prop_assert!(node.terminated, "runs after the exit of its tree: {node:?}");
        }
    }

    #[test]
    fn failures_end_with_all_running_or_gave_up(
        plan in permanent_workers(5),
        ops in failures(),
    ) {
        let mut tree = Tree::running(&plan);
        tree.run(&ops);
        tree.run_until_idle();
        let now = tree.now;
        let node = &mut tree.nodes[TOP];
        match &node.checker.exit {
            Some(ExitReason::GaveUp { child, .. }) => {
                prop_assert!(plan.children.iter().any(|known| known.spec.id == *child));
            }
            Some(reason) => prop_assert!(false, "exit without a request: {reason}"),
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
        tree.run_until_idle();
        let now = tree.now;
        let node = &mut tree.nodes[TOP];
        match &node.checker.exit {
            Some(ExitReason::GaveUp { child, .. }) => prop_assert!(plan.children[0].spec.id == *child),
            Some(reason) => prop_assert!(false, "exit without a request: {reason}"),
            None => {
                let started = |(_, action): &&(Time, Action)| matches!(action, Action::Reply(_, Reply::Started(..)));
                let wanted = node.log.iter().filter(started).count();
                let states = node.rules.states(now);
                prop_assert!(states.iter().all(|state| matches!(state, ChildState::Running(_))), "{states:?}");
                prop_assert!(states.len() == wanted, "{states:?} but {wanted} were started");
            }
        }
    }

    /// A failed first start stops the children that were started, and the supervisor exits.
    #[test]
    fn failed_first_start_exits_and_names_the_child(plan in permanent_workers(5), fails in 0_usize..6) {
        let fails = fails % plan.children.len();
        let mut tree = Tree::new(&plan);
        for _ in 0..fails {
            tree.op(&crate::op::Op::Answer(0, crate::op::Answer::Started));
        }
        let failed = crate::op::Answer::Failed(ExitReason::Error("no".into()));
        tree.op(&crate::op::Op::Answer(0, failed));
        tree.run_until_idle();
        let expected = ExitReason::FailedToStart {
            child: plan.children[fails].spec.id.clone(),
            reason: Box::new(ExitReason::Error("no".into())),
        };
        prop_assert!(tree.nodes[TOP].checker.exit == Some(expected));
    }
}
