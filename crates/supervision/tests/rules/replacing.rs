//! Replaced specs of a running supervisor (OTP: code change).

use impresario_supervision::{
    AutoShutdown, ChildRules, Event, ExitReason, Flags, Reply, Request, RequestError, RequestId, Restart,
    Shutdown, SpecError, Strategy,
};

use crate::world::{World, flags, ms, workers};

fn replaced(world: &mut World, flags: Flags, specs: Vec<ChildRules>) {
    world.request(1, Request::ReplaceSpecs(flags, specs));
    assert!(world.take().starts_with("1:Replaced"));
}

fn named(ids: &[&str]) -> Vec<ChildRules> {
    ids.iter().map(|id| ChildRules::worker(*id)).collect()
}

#[test]
fn replaced_specs_start_nothing_and_return_keys() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.rules.request(world.now, RequestId(1), Request::ReplaceSpecs(Flags::default(), named(&["n", "b"])));
    let replies: Vec<_> = std::iter::from_fn(|| world.rules.poll_action()).collect();
    let [impresario_supervision::Action::Reply(RequestId(1), Reply::Replaced(keys))] = &replies[..] else {
        panic!("{replies:?}")
    };
    let ids: Vec<_> =
        keys.iter().map(|key| world.rules.spec(*key).expect("it is known").id.to_string()).collect();
    assert_eq!(ids, ["n", "b"]);
    let order: Vec<_> =
        world.rules.keys().map(|key| world.rules.spec(key).expect("it is listed").id.to_string()).collect();
    assert_eq!(order, ["n", "b", "a", "c"], "children without a new spec follow in their order");
}

#[test]
fn child_with_a_new_id_is_down_until_a_request() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    replaced(&mut world, flags(Strategy::OneForOne, 1), named(&["a", "n", "b", "c"]));
    world.request(2, Request::RestartChild("n".into()));
    assert!(world.take().starts_with("+n 2:Started"));
    world.handle(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "-c -b -n -a exit(shutdown)", "it stops in reverse list order");
}

#[test]
fn group_restart_starts_a_child_with_a_new_id() {
    let mut world = World::abc(Strategy::OneForAll, 1);
    replaced(&mut world, flags(Strategy::OneForAll, 1), named(&["n", "a", "b", "c"]));
    world.crash("c");
    assert_eq!(world.take(), "child_terminated(c,boom) -b -a +n +a +b +c");
}

#[test]
fn child_with_a_known_id_follows_its_new_spec() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    let mut specs = workers();
    specs[0].restart = Restart::Temporary;
    specs[1].shutdown = Shutdown::Kill;
    replaced(&mut world, flags(Strategy::OneForOne, 1), specs);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) forget:a");
    world.request(2, Request::TerminateChild("b".into()));
    assert_eq!(world.take(), "xb 2:Done");
}

#[test]
fn child_missing_in_the_list_keeps_its_old_spec() {
    let mut world = World::abc(Strategy::OneForOne, 5);
    replaced(&mut world, flags(Strategy::OneForOne, 5), named(&["a"]));
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) +b");
    world.request(2, Request::TerminateChild("b".into()));
    world.request(3, Request::DeleteChild("b".into()));
    assert_eq!(world.take(), "-b 2:Done forget:b 3:Done");
}

#[test]
fn new_flags_apply_and_restarts_still_count() {
    let mut world = World::abc(Strategy::OneForOne, 5);
    world.crash("a");
    world.crash("a");
    world.take();
    replaced(&mut world, flags(Strategy::RestForOne, 3), workers());
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) -c +b +c");
    world.crash("b");
    assert!(world.take().contains("exit(restart limit"));
}

#[test]
fn next_failure_above_a_lowered_limit_ends_the_supervisor() {
    let mut world = World::abc(Strategy::OneForOne, 5);
    world.crash("a");
    world.crash("a");
    world.crash("a");
    world.take();
    replaced(&mut world, flags(Strategy::OneForOne, 1), workers());
    world.crash("b");
    assert!(world.take().contains("exit(restart limit"));
}

#[test]
fn queued_retry_follows_the_new_spec() {
    let mut world = World::abc(Strategy::OneForOne, 100);
    world.stuck.push("a");
    world.crash("a");
    let incarnation = world.incarnation("a");
    world.request(1, Request::ReplaceSpecs(flags(Strategy::OneForOne, 100), workers()));
    world.take();
    world.stuck.clear();
    world.handle(Event::StartFailed(incarnation, ExitReason::Normal));
    let trace = world.take();
    assert!(trace.starts_with("start_error(a,normal) 1:Replaced") && trace.ends_with("+a"), "{trace}");
}

#[test]
fn invalid_specs_replace_nothing() {
    let significant =
        ChildRules { significant: true, restart: Restart::Transient, ..ChildRules::worker("a") };
    let bad: [(Flags, Vec<ChildRules>, SpecError); 3] = [
        (Flags::default(), named(&["x", "x"]), SpecError::DuplicateId { child: "x".into() }),
        (
            Flags::default(),
            vec![significant.clone()],
            SpecError::SignificantWithoutAutoShutdown { child: "a".into() },
        ),
        (
            Flags { intensity: impresario_supervision::Intensity::new(1, ms(0)), ..Flags::default() },
            named(&["a"]),
            SpecError::ZeroPeriod,
        ),
    ];
    let mut world = World::abc(Strategy::OneForAll, 1);
    for (flags, specs, expected) in bad {
        world.request(1, Request::ReplaceSpecs(flags, specs));
        let refused: Reply = Reply::Error(RequestError::Spec(expected));
        assert_eq!(world.take(), format!("1:{refused:?}"));
    }
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -c -b +a +b +c");
    let auto_shutdown = AutoShutdown::AnySignificant;
    replaced(&mut world, Flags { auto_shutdown, ..Flags::default() }, vec![significant]);
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "-c -b exit(shutdown)", "the new auto-shutdown and significant apply");
}
