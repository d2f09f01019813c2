//! Strategies: which siblings restart together.

use impresario_supervision::{Event, ExitReason, Request, Restart, Strategy};

use crate::world::{Start, World, boom, flags, workers};

#[test]
fn strategy_decides_which_siblings_restart() {
    for (strategy, expected) in [
        (Strategy::OneForOne, "child_terminated(b,boom) +b"),
        (Strategy::RestForOne, "child_terminated(b,boom) -c +b +c"),
        (Strategy::OneForAll, "child_terminated(b,boom) -c -a +a +b +c"),
    ] {
        let mut world = World::abc(strategy, 1);
        world.crash("b");
        assert_eq!(world.take(), expected);
    }
}

#[test]
fn group_restart_counts_once() {
    let mut world = World::abc(Strategy::OneForAll, 2);
    world.crash("a");
    world.crash("c");
    assert!(!world.take().contains("exit"));
    world.crash("b");
    assert!(world.take().contains("exit(restart limit"));
}

#[test]
fn sibling_exit_during_a_group_restart_does_not_count() {
    let mut world = World::abc(Strategy::OneForAll, 1);
    world.stuck.push("c");
    world.crash("a");
    world.crash("b");
    world.stuck.clear();
    world.crash("c");
    let errors = "shutdown_error(c,boom) shutdown_error(b,boom)";
    assert_eq!(world.take(), format!("child_terminated(a,boom) -c {errors} +a +b +c"));
}

#[test]
fn temporary_siblings_are_removed_with_the_group() {
    let mut specs = workers();
    specs[1].restart = Restart::Temporary;
    let mut world = World::new(flags(Strategy::OneForAll, 1), specs);
    world.handle(Event::Start);
    world.take();
    world.crash("c");
    assert_eq!(world.take(), "child_terminated(c,boom) -b forget:b -a +a +c");
}

#[test]
fn ignored_temporary_sibling_keeps_the_order_of_the_group() {
    let mut world = World::abc(Strategy::OneForAll, 5);
    world.request(1, Request::TerminateChild("c".into()));
    world.request(2, Request::DeleteChild("c".into()));
    let temporary = impresario_supervision::ChildRules { restart: Restart::Temporary, ..workers().remove(2) };
    world.starts.insert("c", vec![Start::Ignore]);
    world.request(3, Request::StartChild(temporary));
    assert!(world.take().ends_with("added:c ~c forget:c 3:Ignored"));
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -b +a +b");
}

#[test]
fn sibling_that_was_down_starts_with_the_group() {
    let mut world = World::abc(Strategy::RestForOne, 5);
    world.request(1, Request::TerminateChild("a".into()));
    world.request(2, Request::TerminateChild("c".into()));
    world.take();
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) +b +c", "only the children after b start");
}

#[test]
fn one_for_all_restarts_all_when_a_sibling_fails() {
    let mut world = World::abc(Strategy::OneForAll, 3);
    world.starts.insert("b", vec![Start::Fail]);
    world.crash("c");
    let first = "child_terminated(c,boom) -b -a +a !b start_error(b,no)";
    assert_eq!(world.take(), format!("{first} -a +a +b +c"));
}

#[test]
fn rest_for_one_continues_at_the_failed_sibling() {
    let mut world = World::abc(Strategy::RestForOne, 3);
    world.starts.insert("b", vec![Start::Fail]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -c -b +a !b start_error(b,no) +b +c");
}

/// Children before and after `b` restart the group, so the queued retry of `b` has no effect.
#[test]
fn group_restart_cancels_a_queued_retry() {
    let mut world = World::abc(Strategy::OneForAll, 100);
    world.stuck.push("b");
    world.crash("c");
    let incarnation = world.incarnation("b");
    world.exit("b", ExitReason::Shutdown);
    assert_ne!(world.incarnation("b"), incarnation);
    world.crash("a");
    world.take();
    world.stuck.clear();
    let incarnation = world.incarnation("b");
    world.handle(Event::StartFailed(incarnation, boom()));
    assert_eq!(world.take(), "start_error(b,boom) child_terminated(a,boom) +a +b +c");
}
