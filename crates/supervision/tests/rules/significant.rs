//! Auto-shutdown by significant children.

use impresario_supervision::{
    AutoShutdown, ChildRules, Event, ExitReason, Flags, Request, Restart, Strategy,
};

use crate::world::{Start, World, boom, flags};

fn world(strategy: Strategy, auto_shutdown: AutoShutdown, specs: &[(&str, Restart, bool)]) -> World {
    let specs = specs.iter().map(|(id, restart, significant)| ChildRules {
        restart: *restart,
        significant: *significant,
        ..ChildRules::worker(*id)
    });
    let mut world = World::new(Flags { auto_shutdown, ..flags(strategy, 5) }, specs.collect());
    world.handle(Event::Start);
    world.take();
    world
}

#[test]
fn any_significant_shuts_down_at_the_first_exit() {
    for (restart, reason) in [
        (Restart::Transient, ExitReason::Normal),
        (Restart::Temporary, ExitReason::Normal),
        (Restart::Temporary, boom()),
    ] {
        let children = [("a", restart, true), ("b", Restart::Permanent, false)];
        let mut world = world(Strategy::OneForOne, AutoShutdown::AnySignificant, &children);
        world.exit("a", reason);
        assert!(world.take().ends_with("-b exit(shutdown)"));
    }
}

#[test]
fn restarted_or_terminated_child_causes_no_auto_shutdown() {
    let children =
        [("a", Restart::Transient, true), ("b", Restart::Transient, false), ("c", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AnySignificant, &children);
    world.crash("a");
    world.exit("b", ExitReason::Normal);
    world.request(1, Request::TerminateChild("c".into()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a -c forget:c 1:Done");
}

#[test]
fn all_significant_shuts_down_at_the_last_exit() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "");
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) forget:b exit(shutdown)");
}

#[test]
fn terminated_significant_child_does_not_count() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.request(1, Request::TerminateChild("a".into()));
    world.take();
    world.exit("b", ExitReason::Normal);
    assert_eq!(world.take(), "exit(shutdown)");
}

/// A child counts as present while its restart is retried, and while its exit is queued.
#[test]
fn restarting_significant_child_counts_as_present() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.stuck.push("a");
    world.crash("a");
    world.exit("b", ExitReason::Normal);
    let incarnation = world.incarnation("a");
    world.stuck.clear();
    world.handle(Event::StartFailed(incarnation, boom()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a start_error(a,boom) +a");
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "exit(shutdown)");
}

#[test]
fn two_queued_exits_shut_down_at_the_second() {
    let children =
        [("k", Restart::Permanent, false), ("a", Restart::Transient, true), ("b", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.stuck.push("k");
    world.crash("k");
    world.exit("a", ExitReason::Normal);
    world.exit("b", ExitReason::Normal);
    world.stuck.clear();
    world.finish_start("k");
    assert_eq!(world.take(), "child_terminated(k,boom) +k -k exit(shutdown)");
}

#[test]
fn siblings_stopped_in_a_group_cause_no_auto_shutdown() {
    let children = [("a", Restart::Permanent, false), ("b", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForAll, AutoShutdown::AllSignificant, &children);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -b forget:b +a");
}

#[test]
fn auto_shutdown_never_does_not_shut_down() {
    let mut world = world(Strategy::OneForOne, AutoShutdown::Never, &[("a", Restart::Temporary, false)]);
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "forget:a");
}

/// `Ignored` is not an exit of a significant child.
#[test]
fn ignored_significant_child_causes_no_auto_shutdown() {
    let children = [("a", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AnySignificant, &children);
    world.starts.insert("a", vec![Start::Ignore]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) ~a");
}
