//! Backoff of children of a static supervisor.

use std::time::Duration;

use impresario_supervision::{
    Backoff, ChildRules, ChildStage, DelayedRestart, Event, ExitReason, Flags, Intensity, Request, Restart,
    Strategy, Supervisor,
};

use crate::world::{Start, World, flags, ms};

/// Delays of 10 ms, 20 ms, 40 ms, and so on.
fn backoff() -> Backoff {
    Backoff { first: ms(10), ..Backoff::default() }
}

fn slow(id: &str, first: u64) -> ChildRules {
    let backoff = Backoff { first: ms(first), max: ms(10_000), ..backoff() };
    ChildRules { backoff: Some(backoff), ..ChildRules::worker(id) }
}

fn world(strategy: Strategy, specs: Vec<ChildRules>) -> World {
    let mut world = World::new(flags(strategy, 100), specs);
    world.handle(Event::Start);
    world.take();
    world
}

#[test]
fn first_restart_is_immediate_and_later_ones_wait() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10), ChildRules::worker("b")]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) +a");
    for delay in [10, 20, 40] {
        world.crash("a");
        assert_eq!(world.take(), "child_terminated(a,boom)");
        assert_eq!(world.skip(), ms(delay));
        assert_eq!(world.take(), "+a");
    }
}

#[test]
fn ready_time_of_reset_after_ends_the_row() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10)]);
    world.crash("a");
    world.crash("a");
    world.skip();
    world.take();
    world.pass(ms(5_000));
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) +a");
}

#[test]
fn failed_restarts_wait_and_count_at_the_failure() {
    let intensity = Intensity::new(2, ms(60_000));
    let mut world = World::new(Flags { intensity, ..Flags::default() }, vec![slow("a", 10)]);
    world.handle(Event::Start);
    world.take();
    world.starts.insert("a", vec![Start::Fail; 9]);
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) !a start_error(a,no)");
    assert_eq!(world.skip(), ms(10));
    let end = "shutdown(a,no) exit(restart limit reached, last failure of child a: no)";
    assert_eq!(
        world.take(),
        format!("!a start_error(a,no) {end}"),
        "it gives up at the failure, not 20 ms later"
    );
}

#[test]
fn reports_carry_delay_and_attempt_of_a_delayed_restart() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10)]);
    world.crash("a");
    assert_eq!(world.delayed_restarts, [], "the first restart is immediate");
    world.crash("a");
    world.starts.insert("a", vec![Start::Fail]);
    world.skip();
    let restarts = [(10, 2), (20, 3)].map(|(delay, attempt)| DelayedRestart { delay: ms(delay), attempt });
    assert_eq!(world.delayed_restarts, restarts, "a crash, then a failed restart");
    let lines = restarts.map(|restart| restart.to_string());
    assert_eq!(lines, ["restarting in 10 ms (attempt 2)", "restarting in 20 ms (attempt 3)"]);
    assert_eq!(world.skip(), ms(20), "the reported delay is the actual one");
}

#[test]
fn report_before_giving_up_has_no_delayed_restart() {
    let intensity = Intensity::new(1, ms(60_000));
    let mut world = World::new(Flags { intensity, ..Flags::default() }, vec![slow("a", 10)]);
    world.handle(Event::Start);
    world.crash("a");
    world.crash("a");
    assert!(world.take().contains("shutdown(a,boom)"));
    assert_eq!(world.delayed_restarts, []);
}

#[test]
fn shutdown_does_not_wait_for_a_backoff() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10), ChildRules::worker("b")]);
    world.crash("a");
    world.crash("a");
    world.take();
    world.handle(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "-b exit(shutdown)");
    assert_eq!(world.rules.poll_timeout(), None);
}

#[test]
fn request_does_not_wait_for_a_backoff() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10)]);
    world.crash("a");
    world.crash("a");
    world.take();
    world.request(1, Request::DeleteChild("a".into()));
    assert_eq!(world.take(), "1:Error(Restarting)");
    world.request(2, Request::TerminateChild("a".into()));
    assert_eq!(world.take(), "2:Done");
    assert_eq!(world.rules.poll_timeout(), None, "the backoff is cancelled");
    world.request(3, Request::DeleteChild("a".into()));
    assert_eq!(world.take(), "forget:a 3:Done");
}

#[test]
fn requested_restart_ends_the_backoff() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10)]);
    world.crash("a");
    world.crash("a");
    world.take();
    world.request(1, Request::RestartChild("a".into()));
    assert!(world.take().starts_with("+a 1:Started"));
    assert_eq!(world.rules.poll_timeout(), None);
    world.crash("a");
    assert_eq!(world.skip(), ms(20), "the row of failures continues");
}

#[test]
fn failed_requested_restart_is_answered_and_waits_again() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10)]);
    world.crash("a");
    world.crash("a");
    world.take();
    world.starts.insert("a", vec![Start::Fail, Start::Ignore]);
    world.request(1, Request::RestartChild("a".into()));
    assert_eq!(world.take(), "!a start_error(a,no) 1:Error(StartFailed(Error(\"no\")))");
    world.request(2, Request::RestartChild("a".into()));
    assert_eq!(world.take(), "~a 2:Ignored");
    assert_eq!(world.rules.poll_timeout(), None);
}

#[test]
fn requested_restart_restarts_the_whole_group() {
    let mut world = world(Strategy::OneForAll, vec![ChildRules::worker("a"), slow("b", 10), slow("c", 10)]);
    world.crash("b");
    world.crash("b");
    assert!(world.take().ends_with("child_terminated(b,boom) -c -a"));
    world.request(1, Request::RestartChild("b".into()));
    let trace = world.take();
    assert!(trace.starts_with("+a +b 1:Started") && trace.ends_with("+c"), "{trace}");
    assert_eq!(world.rules.poll_timeout(), None);
}

#[test]
fn group_stops_immediately_and_starts_after_the_delay() {
    let specs = vec![ChildRules::worker("a"), slow("b", 10), ChildRules::worker("c")];
    let mut world = world(Strategy::OneForAll, specs);
    world.crash("b");
    world.take();
    world.crash("b");
    assert_eq!(world.take(), "child_terminated(b,boom) -c -a");
    assert_eq!(world.skip(), ms(10));
    assert_eq!(world.take(), "+a +b +c");
}

/// `c` has a longer backoff than `a`, which restarts the group: the group waits for `c`.
#[test]
fn group_waits_for_the_longest_backoff() {
    let specs = vec![slow("a", 10), ChildRules::worker("b"), slow("c", 500)];
    let mut world = world(Strategy::RestForOne, specs);
    world.crash("c");
    world.crash("a");
    world.take();
    world.crash("c");
    assert_eq!(world.take(), "child_terminated(c,boom)");
    world.pass(ms(100));
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) -b");
    assert_eq!(world.skip(), ms(400));
    assert_eq!(world.take(), "+a +b +c");
    assert_eq!(world.rules.poll_timeout(), None);
}

/// `a` has the longer backoff. The rest of the delay of `c` has no effect.
#[test]
fn shorter_backoff_in_the_group_is_cancelled() {
    let specs = vec![slow("a", 500), ChildRules::worker("b"), slow("c", 10)];
    let mut world = world(Strategy::RestForOne, specs);
    world.crash("c");
    world.crash("a");
    world.crash("c");
    world.take();
    world.crash("a");
    assert_eq!(world.skip(), ms(500));
    assert_eq!(world.take(), "child_terminated(a,boom) -b +a +b +c");
}

/// The expired backoff is queued when the child is restarted on request and fails again. That is a new backoff.
#[test]
fn queued_end_of_an_old_backoff_does_not_end_the_next() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10), ChildRules::worker("b")]);
    world.crash("a");
    world.crash("a");
    world.stuck.push("b");
    world.request(1, Request::TerminateChild("b".into()));
    world.take();
    world.request(2, Request::RestartChild("a".into()));
    assert_eq!(world.skip(), ms(10), "the delay expires while b is stopping");
    assert_eq!(world.take(), "");
    world.exit("b", ExitReason::Shutdown);
    let trace = world.take();
    assert!(trace.starts_with("1:Done +a 2:Started"), "{trace}");
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom)");
    assert_eq!(world.skip(), ms(20));
    assert_eq!(world.take(), "+a");
}

/// New specs make a child temporary that waits for its restart. The restart of its group removes it.
#[test]
fn child_removed_during_its_backoff_is_not_restarted() {
    let specs = vec![ChildRules::worker("a"), slow("b", 500)];
    let mut world = world(Strategy::RestForOne, specs.clone());
    world.crash("b");
    world.crash("b");
    let mut specs = specs;
    specs[1].restart = Restart::Temporary;
    world.request(1, Request::ReplaceSpecs(flags(Strategy::OneForAll, 100), specs));
    world.take();
    world.crash("a");
    assert_eq!(world.take(), "child_terminated(a,boom) forget:b");
    assert_eq!(world.skip(), ms(500), "the group waits for the delay of b");
    assert_eq!(world.take(), "+a");
}

/// The restart was decided before. It is made once more, after the delay or on request.
#[test]
fn child_made_temporary_during_its_backoff_is_restarted() {
    let waiting = |strategy| {
        let mut specs = vec![slow("a", 10), ChildRules::worker("b")];
        let mut world = world(strategy, specs.clone());
        world.crash("a");
        world.crash("a");
        specs[0].restart = Restart::Temporary;
        world.request(1, Request::ReplaceSpecs(flags(strategy, 100), specs));
        world.take();
        world
    };
    for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
        let mut world = waiting(strategy);
        world.skip();
        assert!(world.take().starts_with("+a"));
        world.crash("a");
        assert_eq!(world.take(), "child_terminated(a,boom) forget:a");
        let mut world = waiting(strategy);
        world.request(2, Request::RestartChild("a".into()));
        assert!(world.take().starts_with("+a 2:Started"));
        let mut world = waiting(strategy);
        world.request(2, Request::TerminateChild("a".into()));
        assert_eq!(world.take(), "forget:a 2:Done", "a terminated child is removed");
    }
}

#[test]
fn jitter_follows_the_seed() {
    let delays = |seed| {
        let mut spec = slow("a", 1_000);
        if let Some(backoff) = &mut spec.backoff {
            backoff.jitter = 0.5;
        }
        let rules =
            Supervisor::new(flags(Strategy::OneForOne, 100), vec![spec]).expect("the specs are valid");
        let mut world = World::of(rules.seed(seed));
        world.handle(Event::Start);
        world.crash("a");
        [(); 3].map(|()| {
            world.crash("a");
            world.skip()
        })
    };
    assert_eq!(delays(7), delays(7));
    assert_ne!(delays(7), delays(8));
    let whole = [1_000, 2_000, 4_000].map(Duration::from_millis);
    for (delay, whole) in delays(7).iter().zip(whole) {
        assert!(*delay <= whole && *delay >= whole / 2, "{delay:?} of {whole:?}");
    }
}

#[test]
fn status_shows_the_backoff_deadline_and_restarts() {
    let mut world = world(Strategy::OneForOne, vec![slow("a", 10), ChildRules::worker("b")]);
    let seen = |world: &World| -> Vec<(ChildStage, u64)> {
        world.rules.child_statuses().map(|child| (child.stage, child.restarts)).collect()
    };
    let (a, b) = (world.incarnation("a"), world.incarnation("b"));
    assert_eq!(seen(&world), [(ChildStage::Running(a), 0), (ChildStage::Running(b), 0)]);
    world.crash("a");
    let second = world.incarnation("a");
    assert_eq!(seen(&world), [(ChildStage::Running(second), 1), (ChildStage::Running(b), 0)]);
    world.crash("a");
    let [(ChildStage::Waiting(until), 1), _] = seen(&world)[..] else { panic!("a does not wait") };
    assert_eq!(world.skip(), ms(10));
    assert!(until <= world.now);
    assert_eq!(seen(&world)[0], (ChildStage::Running(world.incarnation("a")), 2));
    world.handle(Event::Shutdown(ExitReason::Shutdown));
    world.take();
    assert!(
        world
            .rules
            .child_statuses()
            .all(|child| child.stage == ChildStage::Down || child.stage.incarnation().is_some())
    );
}
