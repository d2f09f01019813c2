//! Restart intensity.

use std::collections::HashSet;
use std::time::Duration;

use impresario_supervision::{Action, Backoff, Flags, ReportKind, Strategy as Group, Time};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::op::{failures, failures_of_instances};
use crate::plan::{Plan, permanent_workers};
use crate::tree::{Node, TOP, Tree};

/// The times of the restarts: of the first action after each reported failure, unless the supervisor gave up.
fn restarts(node: &Node, since: usize) -> Vec<Time> {
    let mut failed = false;
    let mut restarts = Vec::new();
    for (time, action) in &node.log[since..] {
        match action {
            Action::Report(report) => match report.kind {
                ReportKind::ChildTerminated | ReportKind::StartError => failed = true,
                ReportKind::GaveUp => failed = false,
                _ => {}
            },
            Action::Start(..) | Action::Stop(_) | Action::Kill(_) if std::mem::take(&mut failed) => {
                restarts.push(*time);
            }
            _ => {}
        }
    }
    restarts
}

/// The times of starts. Under one_for_one each is one restart.
fn starts(node: &Node, since: usize) -> Vec<Time> {
    let start = |(time, action): &(Time, Action)| matches!(action, Action::Start(..)).then_some(*time);
    node.log[since..].iter().filter_map(start).collect()
}

/// The times of the starts of instances after their first.
fn starts_of_known(node: &Node) -> Vec<Time> {
    let mut known = HashSet::new();
    let start = |(time, action): &(Time, Action)| match action {
        Action::Start(key, _) if !known.insert(*key) => Some(*time),
        _ => None,
    };
    node.log.iter().filter_map(start).collect()
}

/// The times of reported failures, without the one that exceeded the intensity.
fn failures_before_giving_up(node: &Node, since: usize) -> Vec<Time> {
    let mut failures = Vec::new();
    for (time, action) in &node.log[since..] {
        let Action::Report(report) = action else { continue };
        match report.kind {
            ReportKind::ChildTerminated | ReportKind::StartError => failures.push(*time),
            ReportKind::GaveUp => {
                failures.pop();
                return failures;
            }
            _ => {}
        }
    }
    failures
}

fn gave_up(node: &Node) -> Option<Time> {
    node.log.iter().find_map(|(time, action)| match action {
        Action::Report(report) if report.kind == ReportKind::GaveUp => Some(*time),
        _ => None,
    })
}

/// The highest number of times within one period, both ends included.
fn most_in_a_window(times: &[Time], period: Duration) -> usize {
    let in_window = |end: &Time| {
        times.iter().filter(|time| **time <= *end && end.saturating_since(**time) <= period).count()
    };
    times.iter().map(in_window).max().unwrap_or_default()
}

fn limited() -> impl Strategy<Value = Plan> {
    (0_u32..5).prop_flat_map(permanent_workers)
}

proptest! {
    #[test]
    fn restarts_in_any_window_stay_within_intensity(plan in limited(), ops in failures()) {
        let mut tree = Tree::running(&plan);
        let since = tree.nodes[TOP].log.len();
        tree.run(&ops);
        let limit = plan.flags.intensity;
        let most = most_in_a_window(&restarts(&tree.nodes[TOP], since), limit.period);
        prop_assert!(most <= limit.restarts as usize, "{most} of {limit:?}");
    }

    #[test]
    fn gives_up_exactly_when_intensity_would_be_exceeded(plan in limited(), ops in failures()) {
        let plan = Plan { flags: Flags { strategy: Group::OneForOne, ..plan.flags }, ..plan };
        let mut tree = Tree::running(&plan);
        let since = tree.nodes[TOP].log.len();
        tree.run(&ops);
        let limit = plan.flags.intensity;
        let starts = starts(&tree.nodes[TOP], since);
        prop_assert!(most_in_a_window(&starts, limit.period) <= limit.restarts as usize);
        if let Some(end) = gave_up(&tree.nodes[TOP]) {
            let before = starts.iter().filter(|time| end.saturating_since(**time) <= limit.period).count();
            prop_assert_eq!(before, limit.restarts as usize);
        }
    }
    #[test]
    fn instance_restarts_in_any_window_stay_within_intensity(plan in limited(), ops in failures_of_instances()) {
        let mut tree = Tree::running(&plan.of_instances());
        tree.run(&ops);
        let limit = plan.flags.intensity;
        let restarts = starts_of_known(&tree.nodes[TOP]);
        prop_assert!(most_in_a_window(&restarts, limit.period) <= limit.restarts as usize);
        if let Some(end) = gave_up(&tree.nodes[TOP]) {
            let before = restarts.iter().filter(|time| end.saturating_since(**time) <= limit.period).count();
            prop_assert_eq!(before, limit.restarts as usize);
        }
    }

    /// A delayed restart counts at the failure, not at the end of its delay.
    #[test]
    fn delayed_restart_counts_at_the_failure(
        plan in limited(),
        ops in failures_of_instances(),
        dynamic in any::<bool>(),
    ) {
        let mut plan = if dynamic { plan.of_instances() } else { plan };
        plan.flags.strategy = Group::OneForOne;
        for child in &mut plan.children {
            child.spec.backoff = Some(Backoff { first: Duration::from_millis(1), ..Backoff::default() });
        }
        let mut tree = Tree::running(&plan);
        let since = tree.nodes[TOP].log.len();
        tree.run(&ops);
        let limit = plan.flags.intensity;
        let failures = failures_before_giving_up(&tree.nodes[TOP], since);
        prop_assert!(most_in_a_window(&failures, limit.period) <= limit.restarts as usize);
    }
}
