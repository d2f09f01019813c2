//! The order of stops and starts, and the duration of a shutdown.

use std::collections::BTreeSet;
use std::time::Duration;

use impresario_supervision::{Action, ChildRules, Event, ExitReason, Incarnation, Shutdown};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use crate::op::{How, Op, failures, ops, stubborn_ops};
use crate::plan::{Plan, permanent_workers, plan};
use crate::tree::{Node, TOP, Tree};

/// Positions in the start order of what was stopped or killed first, and of what was started, since then.
fn positions(node: &Node, since: usize) -> (Vec<usize>, Vec<usize>) {
    let key = |life: &Incarnation| {
        let started = node.log.iter().find_map(|(_, action)| match action {
            Action::Start(key, known) if known == life => Some(*key),
            _ => None,
        });
        started.expect("it was started")
    };
    let (mut stopped, mut started) = (Vec::new(), Vec::new());
    for (_, action) in &node.log[since..] {
        match action {
            Action::Stop(life) | Action::Kill(life) => {
                let position = node.rules.position(key(life));
                // A kill that follows a stop concerns the same incarnation.
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

/// No child obeys: only the kill after each timeout ends it.
fn only_kills(tree: &mut Tree) {
    loop {
        let killed =
            tree.nodes[TOP].checker.alive.iter().find(|(_, alive)| alive.killed).map(|(life, _)| *life);
        if let Some(life) = killed {
            tree.nodes[TOP].checker.ended(life);
            tree.tell(TOP, Event::Exited(life, ExitReason::Killed));
        } else if !tree.deadline() {
            return;
        }
    }
}

/// The sum of the shutdown times of the children, and the longest of them.
fn time_limits(plan: &Plan) -> (Duration, Duration) {
    let times = plan.children.iter().map(|child| match child.spec.shutdown {
        Shutdown::Timeout(time) => time,
        _ => Duration::ZERO,
    });
    (times.clone().sum(), times.max().unwrap_or_default())
}

/// Children that never obey need finite shutdown times here.
fn finite(mut plan: Plan) -> Plan {
    for child in &mut plan.children {
        if child.spec.shutdown == Shutdown::Infinity {
            child.spec.shutdown = Shutdown::Timeout(Duration::from_millis(7));
        }
    }
    plan
}

proptest! {
    /// After any requests and failures, also during the stop: no child is stopped before those after it.
    #[test]
    fn stop_order_is_the_reverse_of_the_start_order(plan in plan(0), before in ops(), during in stubborn_ops()) {
        let mut tree = Tree::running(&Plan { dynamic: false, ..plan });
        tree.run(&before);
        tree.calm_down();
        let node = &tree.nodes[TOP];
        let since = node.log.len();
        let alive = node.checker.alive.values().map(|alive| node.rules.position(alive.key));
        let alive: BTreeSet<usize> = alive.collect();
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.run(&during);
        tree.calm_down();
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        prop_assert!(stopped.is_sorted_by(|one, next| one > next), "{stopped:?}");
        prop_assert!(started.is_empty() && stopped.iter().all(|at| alive.contains(at)));
    }

    #[test]
    fn shutdown_stops_every_running_child(plan in permanent_workers(1_000), ops in failures()) {
        let mut tree = Tree::running(&plan);
        tree.run(&ops);
        tree.calm_down();
        let since = tree.nodes[TOP].log.len();
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.calm_down();
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        let all: Vec<usize> = (0..plan.children.len()).rev().collect();
        prop_assert_eq!((stopped, started), (all, vec![]));
    }

    /// Only the children that the strategy names are stopped.
    #[test]
    fn group_stops_in_reverse_and_starts_in_order(plan in permanent_workers(1_000), who in 0_usize..6) {
        use impresario_supervision::Strategy;

        let mut tree = Tree::running(&plan);
        let since = tree.nodes[TOP].log.len();
        let (who, count) = (who % plan.children.len(), plan.children.len());
        tree.op(&Op::Crash(who, ExitReason::Error("boom".into())));
        tree.calm_down();
        let range = match plan.flags.strategy {
            Strategy::OneForOne => who..who + 1,
            Strategy::OneForAll => 0..count,
            Strategy::RestForOne => who..count,
        };
        let (stopped, started) = positions(&tree.nodes[TOP], since);
        let siblings: Vec<usize> = range.clone().rev().filter(|at| *at != who).collect();
        prop_assert_eq!((stopped, started), (siblings, range.collect::<Vec<_>>()));
    }

    #[test]
    fn stuck_child_delays_shutdown_by_its_time_out(plan in permanent_workers(1_000)) {
        let plan = finite(plan);
        let mut tree = Tree::running(&plan);
        let start = tree.now;
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        only_kills(&mut tree);
        prop_assert_eq!(tree.nodes[TOP].checker.exit.clone(), Some(ExitReason::Shutdown));
        prop_assert_eq!(tree.now.saturating_since(start), time_limits(&plan).0);
    }

    #[test]
    fn stuck_instances_delay_shutdown_by_one_time_out(plan in permanent_workers(1_000), count in 1_usize..5) {
        let plan = finite(plan).of_instances();
        let mut tree = Tree::running(&plan);
        for _ in 0..count {
            tree.op(&Op::Ask(0, crate::op::Wish::Start, 0));
            tree.op(&Op::Answer(0, How::Started));
        }
        let start = tree.now;
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        only_kills(&mut tree);
        prop_assert_eq!(tree.nodes[TOP].checker.exit.clone(), Some(ExitReason::Shutdown));
        prop_assert_eq!(tree.now.saturating_since(start), time_limits(&plan).1);
    }

    /// A start that never ends delays a shutdown for a limited time only.
    #[test]
    fn stuck_start_delays_shutdown_by_its_start_deadline(plan in permanent_workers(1_000), who in 0_usize..6) {
        let plan = finite(plan);
        let mut tree = Tree::running(&plan);
        tree.op(&Op::Crash(who, ExitReason::Error("boom".into())));
        let start = tree.now;
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        only_kills(&mut tree);
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        // The group stops once before the stuck start, and all children once after it.
        let limit = Duration::from_secs(5).max(time_limits(&plan).0) + time_limits(&plan).0;
        prop_assert!(tree.now.saturating_since(start) <= limit);
    }

    /// In any state, and with queued requests: the start deadline, and twice the timeouts (those of a stopping
    /// group or of earlier
    /// requests, and those of the end). Instances share one timeout.
    #[test]
    fn shutdown_ends_within_start_deadline_and_time_outs(plan in plan(0), ops in stubborn_ops()) {
        let plan = finite(plan);
        let mut tree = Tree::new(&plan);
        tree.run(&ops);
        let start = tree.now;
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        only_kills(&mut tree);
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        let longest = time_limits(&plan).1;
        let added = longest * 3;
        let limit = if plan.dynamic { longest } else { Duration::from_secs(5) + (time_limits(&plan).0 + added) * 2 };
        let took = tree.now.saturating_since(start);
        prop_assert!(took <= limit, "{took:?} of {limit:?}");
    }

    #[test]
    fn backoff_does_not_delay_shutdown(plan in plan(0), ops in ops()) {
        let mut plan = finite(plan);
        for child in &mut plan.children {
            let first = Duration::from_secs(3_600);
            let backoff = impresario_supervision::Backoff { first, max: first, ..Default::default() };
            child.spec = ChildRules { backoff: Some(backoff), ..child.spec.clone() };
        }
        let mut tree = Tree::new(&plan);
        let ops: Vec<Op> = ops.into_iter().filter(|op| !matches!(op, Op::Deadline)).collect();
        tree.run(&ops);
        let start = tree.now;
        tree.tell(TOP, Event::Shutdown(ExitReason::Shutdown));
        tree.calm_down();
        prop_assert!(tree.nodes[TOP].checker.exit.is_some());
        prop_assert!(tree.now.saturating_since(start) < Duration::from_secs(10));
    }
}
