//! The order of stops and starts, and the duration of a shutdown.

use std::collections::BTreeSet;
use std::time::Duration;

use impresario_supervision::{Action, ChildRules, Event, ExitReason, Incarnation, Shutdown};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use crate::op::{Answer, Op, failures, ops, unanswered_ops};
use crate::plan::{Plan, permanent_workers, plan};
use crate::tree::{Node, TOP, Tree};

/// Positions in the start order of stopped or killed children, and of started ones, since log entry `since`.
fn positions(node: &Node, since: usize) -> (Vec<usize>, Vec<usize>) {
    let key = |incarnation: &Incarnation| {
        let started = node.log.iter().find_map(|(_, action)| match action {
            Action::Start(key, known) if known == incarnation => Some(*key),
            _ => None,
        });
        started.expect("a stop without a start")
    };
    let (mut stopped, mut started) = (Vec::new(), Vec::new());
    for (_, action) in &node.log[since..] {
        match action {
            Action::Stop(incarnation) | Action::Kill(incarnation) => {
                let position = node.rules.position(key(incarnation));
                // A kill after a stop is of the same incarnation.
                if stopped.last() != Some(&position) {
                    stopped.push(position);
                }
            }
            Action::Start(key, _) => started.push(node.rules.position(*key)),
            _ => {}
        }
    }
    (stopped, started)
}

/// No child answers a stop: each one exits only when it is killed.
fn run_with_kills_only(tree: &mut Tree) {
    loop {
        let killed = tree.nodes[TOP]
            .checker
            .running
            .iter()
            .find(|(_, child)| child.killed)
            .map(|(incarnation, _)| *incarnation);
        if let Some(incarnation) = killed {
            tree.nodes[TOP].checker.exited(incarnation);
            tree.handle(TOP, Event::Exited(incarnation, ExitReason::Killed));
        } else if !tree.deadline() {
            return;
        }
    }
}

/// The sum of all shutdown time-outs, and the longest.
fn stop_time_outs(plan: &Plan) -> (Duration, Duration) {
    let times = plan.children.iter().map(|child| match child.spec.shutdown {
        Shutdown::Timeout(time) => time,
        _ => Duration::ZERO,
    });
    (times.clone().sum(), times.max().unwrap_or_default())
}

/// Replaces `Shutdown::Infinity` by 7 ms: a child that never answers would delay the shutdown for ever.
fn without_infinity(mut plan: Plan) -> Plan {
    for child in &mut plan.children {
        if child.spec.shutdown == Shutdown::Infinity {
            child.spec.shutdown = Shutdown::Timeout(Duration::from_millis(7));
        }
    }
    plan
}

proptest! {
    /// Also after random events, and while random events arrive during the shutdown.
    #[test]
    fn stop_order_is_the_reverse_of_the_start_order(plan in plan(0), before in ops(), during in unanswered_ops()) {
        let mut tree = Tree::running(&Plan { dynamic: false, ..plan });
        tree.run(&before);
        tree.run_until_idle();
        let node = &tree.nodes[TOP];
        let since = node.log.len();
        let running = node.checker.running.values().map(|child| node.rules.position(child.key));
        let running: BTreeSet<usize> = running.collect();
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run(&during);
        tree.run_until_idle();
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        prop_assert!(stopped.is_sorted_by(|one, next| one > next), "{stopped:?}");
        prop_assert!(started.is_empty() && stopped.iter().all(|at| running.contains(at)));
    }

    #[test]
    fn shutdown_stops_every_running_child(plan in permanent_workers(1_000), ops in failures()) {
        let mut tree = Tree::running(&plan);
        tree.run(&ops);
        tree.run_until_idle();
        let since = tree.nodes[TOP].log.len();
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run_until_idle();
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        let all: Vec<usize> = (0..plan.children.len()).rev().collect();
        prop_assert_eq!((stopped, started), (all, vec![]));
    }

    /// Only the children that the strategy selects stop and start.
    #[test]
    fn group_stops_in_reverse_and_starts_in_order(plan in permanent_workers(1_000), failing in 0_usize..6) {
        use impresario_supervision::Strategy;

        let mut tree = Tree::running(&plan);
        let since = tree.nodes[TOP].log.len();
        let (failing, count) = (failing % plan.children.len(), plan.children.len());
        tree.op(&Op::Crash(failing, ExitReason::Error("boom".into())));
        tree.run_until_idle();
        let range = match plan.flags.strategy {
            Strategy::OneForOne => failing..failing + 1,
            Strategy::OneForAll => 0..count,
            Strategy::RestForOne => failing..count,
        };
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        let siblings: Vec<usize> = range.clone().rev().filter(|at| *at != failing).collect();
        prop_assert_eq!((stopped, started), (siblings, range.collect::<Vec<_>>()));
    }

    #[test]
    fn stuck_child_delays_shutdown_by_its_time_out(plan in permanent_workers(1_000)) {
        let plan = without_infinity(plan);
        let mut tree = Tree::running(&plan);
        let start = tree.now;
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        run_with_kills_only(&mut tree);
        prop_assert_eq!(tree.nodes[TOP].checker.exit.clone(), Some(ExitReason::Shutdown));
        prop_assert_eq!(tree.now.saturating_since(start), stop_time_outs(&plan).0);
    }

    #[test]
    fn stuck_instances_delay_shutdown_by_one_time_out(plan in permanent_workers(1_000), count in 1_usize..5) {
        let plan = without_infinity(plan).of_instances();
        let mut tree = Tree::running(&plan);
        for _ in 0..count {
            tree.op(&Op::Request(0, crate::op::RequestKind::Start, 0));
            tree.op(&Op::Answer(0, Answer::Started));
        }
        let start = tree.now;
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        run_with_kills_only(&mut tree);
        prop_assert_eq!(tree.nodes[TOP].checker.exit.clone(), Some(ExitReason::Shutdown));
        prop_assert_eq!(tree.now.saturating_since(start), stop_time_outs(&plan).1);
    }

    /// A start that never ends delays the shutdown by at most 5 s (`SHUTDOWN_START_TIMEOUT`) and the time-outs.
    #[test]
    fn stuck_start_delays_shutdown_by_its_start_deadline(plan in permanent_workers(1_000), failing in 0_usize..6) {
        let plan = without_infinity(plan);
        let mut tree = Tree::running(&plan);
        tree.op(&Op::Crash(failing, ExitReason::Error("boom".into())));
        let start = tree.now;
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        run_with_kills_only(&mut tree);
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        // The group stops once before the stuck start, and all children stop once after it.
        let limit = Duration::from_secs(5).max(stop_time_outs(&plan).0) + stop_time_outs(&plan).0;
        prop_assert!(tree.now.saturating_since(start) <= limit);
    }

    /// At any moment, with queued requests. The bound of a static supervisor: the 5 s of `SHUTDOWN_START_TIMEOUT`, and
    /// twice all time-outs: of stops before the shutdown, and of the shutdown. Instances share one deadline.
    #[test]
    fn shutdown_ends_within_start_deadline_and_time_outs(plan in plan(0), ops in unanswered_ops()) {
        let plan = without_infinity(plan);
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        let start = tree.now;
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        run_with_kills_only(&mut tree);
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        let longest = stop_time_outs(&plan).1;
        let added = longest * 3;
        let limit = if plan.dynamic { longest } else { Duration::from_secs(5) + (stop_time_outs(&plan).0 + added) * 2 };
        let took = tree.now.saturating_since(start);
        prop_assert!(took <= limit, "{took:?} of {limit:?}");
    }

    #[test]
    fn backoff_does_not_delay_shutdown(plan in plan(0), ops in ops()) {
        let mut plan = without_infinity(plan);
        for child in &mut plan.children {
            let first = Duration::from_secs(3_600);
            let backoff = impresario_supervision::Backoff { first, max: first, ..Default::default() };
            child.spec = ChildRules { backoff: Some(backoff), ..child.spec.clone() };
        }
        let mut tree = Tree::new(&plan);
        let ops: Vec<Op> = ops.into_iter().filter(|op| !matches!(op, Op::Deadline)).collect();
        tree.run(&ops);
        let start = tree.now;
        tree.handle(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run_until_idle();
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        prop_assert!(tree.now.saturating_since(start) < Duration::from_secs(10));
    }
}
