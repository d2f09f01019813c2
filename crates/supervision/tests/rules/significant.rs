//! Auto-shutdown.

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
    world.tell(Event::Start);
    world.take();
    world
}

#[test]
fn any_ends_with_the_first() {
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
fn what_is_restarted_or_not_significant_or_terminated_ends_nothing() {
    let children =
        [("a", Restart::Transient, true), ("b", Restart::Transient, false), ("c", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AnySignificant, &children);
    world.crash("a");
    world.exit("b", ExitReason::Normal);
    world.ask(1, Request::TerminateChild("c".into()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a -c forget:c 1:Done");
}

#[test]
fn all_ends_with_the_last() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "");
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) forget:b exit(shutdown)");
}

#[test]
fn a_terminated_one_is_absent() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.ask(1, Request::TerminateChild("a".into()));
    world.take();
    world.exit("b", ExitReason::Normal);
    assert_eq!(world.take(), "exit(shutdown)");
}

/// One whose restart failed is present, and so is one that is dead but not yet decided about.
#[test]
fn one_that_is_restarting_is_present() {
    let children = [("a", Restart::Transient, true), ("b", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AllSignificant, &children);
    world.stuck.push("a");
    world.crash("a");
    world.exit("b", ExitReason::Normal);
    let life = world.life("a");
    world.stuck.clear();
    world.tell(Event::StartFailed(life, boom()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a start_error(a,boom) +a");
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "exit(shutdown)");
}

#[test]
fn two_that_died_together_end_it_with_the_second() {
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
fn bystanders_of_a_group_restart_end_nothing() {
    let children = [("a", Restart::Permanent, false), ("b", Restart::Temporary, true)];
    let mut world = world(Strategy::OneForAll, AutoShutdown::AllSignificant, &children);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -b forget:b +a");
}

#[test]
fn never_is_never() {
    let mut world = world(Strategy::OneForOne, AutoShutdown::Never, &[("a", Restart::Temporary, false)]);
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "forget:a");
}

/// An `ignore` is no end.
#[test]
fn one_that_is_not_needed_ends_nothing() {
    let children = [("a", Restart::Transient, true)];
    let mut world = world(Strategy::OneForOne, AutoShutdown::AnySignificant, &children);
    world.starts.insert("a", vec![Start::Ignore]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) ~a");
}
