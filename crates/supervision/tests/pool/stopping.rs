//! Retirement: its time-out, unclean exits, drain, stop and kill.

use impresario_supervision::pool::{Action, Event, PoolSize, Settings, WorkerPool};
use impresario_supervision::{ExitReason, Time};

use crate::world::{Boot, World, ms};

#[test]
fn worker_is_killed_after_the_retire_time_out() {
    let settings = Settings { retire_timeout: Some(ms(300)), ..Settings::new(PoolSize::Static(2)) };
    let mut world = World::new(settings);
    world.skip(100);
    world.exit_delay = None;
    world.handle(Event::ScaleDown);
    world.run(1_000);
    world.expect(
        "100 report pool size is now 1 worker
         100 retire 1#2: the pool is smaller
         400 kill 1#2
         400 exited 1#2
         400 report worker 1 (incarnation 2) did not shut down cleanly: killed",
    );
}

#[test]
fn worker_without_retire_time_out_is_not_killed() {
    let settings =
        Settings { retire_timeout: None, start_timeout: None, ..Settings::new(PoolSize::Static(1)) };
    let mut world = World::new(settings);
    assert_eq!(world.pool.poll_timeout(), None);
    world.skip(100);
    world.exit_delay = None;
    world.handle(Event::Stop);
    assert_eq!(world.pool.poll_timeout(), None);
    world.run(1_000_000);
    world.expect("100 retire 0#1: the pool is stopped");
}

#[test]
fn unclean_exit_of_a_retired_worker_is_reported() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.exit_delay = None;
    let (bad, good) = (world.id(1), world.id(0));
    world.handle(Event::Stop);
    world.kill(bad);
    world.exit(good, ExitReason::Normal);
    assert_eq!(world.pool.poll_timeout(), None);
    world.expect(
        "100 retire 0#1: the pool is stopped
         100 retire 1#2: the pool is stopped
         100 report worker 1 (incarnation 2) did not shut down cleanly: signal 9
         100 EXIT",
    );
}

#[test]
fn drain_retires_all_and_start_continues() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(5);
    world.handle(Event::Drain);
    world.run(100);
    world.handle(Event::Drain);
    world.handle(Event::Timeout);
    world.expect(
        "5 report worker 0 (incarnation 1) failed to start: shutdown
         5 retire 0#1: the pool is drained
         5 report worker 1 (incarnation 2) failed to start: shutdown
         5 retire 1#2: the pool is drained
         6 exited 0#1
         6 exited 1#2",
    );
    world.handle(Event::Start);
    world.run(100);
    world.handle(Event::Drain);
    world.run(100);
    world.expect(
        "105 start 0#3 g1
         105 start 1#4 g1
         115 ready 0#3
         115 ready 1#4
         115 READY
         205 retire 0#3: the pool is drained
         205 retire 1#4: the pool is drained
         206 exited 0#3
         206 exited 1#4",
    );
}

#[test]
fn stop_during_starts_retires_and_exits() {
    let mut world = World::new(PoolSize::Static(2));
    world.boots.push_back(Boot::Ready);
    world.run(5);
    world.handle(Event::Stop);
    world.run(100);
    world.handle(Event::Start);
    world.handle(Event::ScaleUp);
    world.handle(Event::Stop);
    world.handle(Event::Kill);
    assert_eq!(world.pool.restart(world.now()), None);
    world.run(100);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         5 report worker 0 (incarnation 1) failed to start: shutdown
         5 retire 0#1: the pool is stopped
         5 report worker 1 (incarnation 2) failed to start: shutdown
         5 retire 1#2: the pool is stopped
         6 exited 0#1
         6 exited 1#2
         6 EXIT",
    );
}

#[test]
fn pool_that_was_not_started_exits_immediately() {
    let mut pool = WorkerPool::new(PoolSize::Static(2), 0).unwrap();
    let now = Time::START;
    pool.handle(now, Event::Queued(5));
    assert_eq!((pool.poll_action(), pool.restart(now)), (None, None));
    pool.handle(now, Event::Stop);
    assert_eq!(pool.poll_action(), Some(Action::Exit));
    assert_eq!(pool.poll_action(), None);
}

#[test]
fn kill_kills_every_worker_once() {
    let settings = Settings { parallel_starts: 2, ..Settings::new(PoolSize::Static(3)) };
    let mut world = World::new(settings);
    world.exit_delay = None;
    world.run(10);
    world.handle(Event::Stop);
    world.run(10);
    world.handle(Event::Kill);
    world.handle(Event::Kill);
    world.run(10);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         10 ready 0#1
         10 start 2#3 g1
         10 ready 1#2
         10 retire 0#1: the pool is stopped
         10 retire 1#2: the pool is stopped
         10 report worker 2 (incarnation 3) failed to start: shutdown
         10 retire 2#3: the pool is stopped
         20 kill 0#1
         20 kill 1#2
         20 kill 2#3
         20 exited 0#1
         20 exited 1#2
         20 exited 2#3
         20 EXIT",
    );
}

#[test]
fn kill_fails_the_starts_under_way() {
    let mut world = World::new(PoolSize::Static(1));
    world.run(5);
    world.handle(Event::Kill);
    world.run(10);
    world.expect(
        "0 start 0#1 g1
         5 report worker 0 (incarnation 1) failed to start: killed
         5 kill 0#1
         5 exited 0#1
         5 EXIT",
    );
}
