//! Starts: their number at a time; failed, hanging and killed ones.

use impresario_supervision::ExitReason;
use impresario_supervision::pool::{Event, PoolSize, Settings, WorkerId};

use crate::world::{Boot, World, ms};

#[test]
fn starts_are_parallel_up_to_the_bound() {
    let mut world = World::new(Settings { parallel_starts: 2, ..Settings::new(PoolSize::Static(5)) });
    world.run(100);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         10 ready 0#1
         10 start 2#3 g1
         10 ready 1#2
         10 start 3#4 g1
         20 ready 2#3
         20 start 4#5 g1
         20 ready 3#4
         30 ready 4#5
         30 READY",
    );
}

#[test]
fn single_failed_start_is_retried() {
    // Unit (defect D11) retries only at the next request.
    let mut world = World::new(PoolSize::Static(3));
    world.boots.extend([Boot::Ready, Boot::Fail, Boot::Ready, Boot::Fail]);
    world.run(1_000);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         0 start 2#3 g1
         10 ready 0#1
         10 report worker 1 (incarnation 2) failed to start: exit code 3
         10 start 1#4 g1
         10 ready 2#3
         20 report worker 1 (incarnation 4) failed to start: exit code 3
         20 report worker 1: restarting in 20 ms (attempt 2)
         40 start 1#5 g1
         50 ready 1#5
         50 READY",
    );
}

#[test]
fn replacement_killed_after_its_start_is_replaced() {
    // Unit (defect D2) counts such a worker as starting for ever.
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.kill(world.id(0));
    for _ in 0..3 {
        world.kill(world.id(0));
        world.run(40);
    }
    world.run(1_000);
    world.expect(
        "100 report worker 0 (incarnation 1) terminated: signal 9
         100 start 0#3 g1
         100 report worker 0 (incarnation 3) failed to start: signal 9
         100 report worker 0: restarting in 20 ms (attempt 2)
         120 start 0#4 g1
         130 ready 0#4
         140 report worker 0 (incarnation 4) terminated: signal 9
         140 report worker 0: restarting in 40 ms (attempt 3)
         180 start 0#5 g1
         180 report worker 0 (incarnation 5) failed to start: signal 9
         180 report worker 0: restarting in 80 ms (attempt 4)
         260 start 0#6 g1
         270 ready 0#6",
    );
}

#[test]
fn failing_slot_backs_off_alone() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    for _ in 0..3 {
        world.kill(world.id(0));
        world.run(50);
    }
    world.kill(world.id(1));
    world.run(5_100);
    world.kill(world.id(0));
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) terminated: signal 9
         100 start 0#3 g1
         110 ready 0#3
         150 report worker 0 (incarnation 3) terminated: signal 9
         150 report worker 0: restarting in 20 ms (attempt 2)
         170 start 0#4 g1
         180 ready 0#4
         200 report worker 0 (incarnation 4) terminated: signal 9
         200 report worker 0: restarting in 40 ms (attempt 3)
         240 start 0#5 g1
         250 ready 0#5
         250 report worker 1 (incarnation 2) terminated: signal 9
         250 start 1#6 g1
         260 ready 1#6
         5350 report worker 0 (incarnation 5) terminated: signal 9
         5350 start 0#7 g1
         5360 ready 0#7",
    );
}

#[test]
fn start_that_times_out_is_killed_and_retried() {
    let settings = Settings { start_timeout: Some(ms(500)), ..Settings::new(PoolSize::Static(1)) };
    let mut world = World::new(settings);
    world.boots.extend([Boot::Hang, Boot::Hang]);
    world.run(2_000);
    world.expect(
        "0 start 0#1 g1
         500 kill 0#1
         500 report worker 0 (incarnation 1) was not ready in time, killed
         500 exited 0#1
         500 start 0#2 g1
         1000 kill 0#2
         1000 report worker 0 (incarnation 2) was not ready in time, killed
         1000 report worker 0: restarting in 20 ms (attempt 2)
         1000 exited 0#2
         1020 start 0#3 g1
         1030 ready 0#3
         1030 READY",
    );
}

#[test]
fn started_after_the_time_out_is_ignored() {
    let settings = Settings { start_timeout: Some(ms(500)), ..Settings::new(PoolSize::Static(1)) };
    let mut world = World::new(settings);
    world.boots.push_back(Boot::Hang);
    world.run(499);
    let late = world.id(0);
    world.pool.handle(world.now() + ms(1), Event::Timeout);
    world.pool.handle(world.now() + ms(1), Event::Started(late));
    world.execute_actions();
    assert_eq!(world.ready(), "");
    world.run(100);
    world.expect(
        "0 start 0#1 g1
         499 kill 0#1
         499 report worker 0 (incarnation 1) was not ready in time, killed
         499 exited 0#1
         499 start 0#2 g1
         509 ready 0#2
         509 READY",
    );
}

#[test]
fn stale_events_change_nothing() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    let exited = world.id(0);
    world.kill(exited);
    world.skip(100);
    let wrong_slot = WorkerId { slot: 1, incarnation: world.id(0).incarnation };
    let before = format!("{:?}", world.pool);
    for stale in [exited, wrong_slot] {
        for event in [
            Event::Started(stale),
            Event::StartFailed(stale, ExitReason::Killed),
            Event::Exited(stale, ExitReason::Killed),
            Event::Load { worker: stale, active: 3, queued: 0 },
            Event::Usage { worker: stale, requests: 9, memory: 9 },
            Event::Recycle(stale),
        ] {
            world.handle(event);
            assert_eq!(format!("{:?}", world.pool), before);
        }
    }
    // Impossible events change nothing: ready twice, load before ready.
    world.handle(Event::Started(world.id(1)));
    assert_eq!(format!("{:?}", world.pool), before);
    world.expect("");
}
