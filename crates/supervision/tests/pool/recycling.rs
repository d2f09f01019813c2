//! Recycling: one worker at a time, after its replacement is ready.

use impresario_supervision::pool::{Event, PoolSize, RecycleReason, Recycling, Settings, WorkerId};

use crate::world::{Boot, World, ms};

fn settings(size: PoolSize, recycling: Recycling) -> Settings {
    Settings { recycling, ..Settings::new(size) }
}

fn exact() -> Recycling {
    Recycling { jitter: 0.0, ..Recycling::default() }
}

fn requests(max: u64) -> Recycling {
    Recycling { max_requests: Some(max), ..exact() }
}

fn served(world: &mut World, worker: WorkerId, requests: u64) {
    world.handle(Event::Usage { worker, requests, memory: 0 });
}

#[test]
fn one_worker_at_a_time_after_its_replacement() {
    let mut world = World::new(settings(PoolSize::Static(3), requests(100)));
    world.skip(100);
    world.exit_delay = Some(ms(5));
    for slot in [1, 0, 2] {
        let worker = world.id(slot);
        served(&mut world, worker, 99);
        served(&mut world, worker, 100);
        world.run(1);
    }
    world.run(1_000);
    world.expect(
        "100 report worker 1 (incarnation 2) is recycled: it has served 100 requests
         100 start 1#4 g1
         110 ready 1#4
         110 retire 1#2: it is recycled because it has served 100 requests
         115 exited 1#2
         115 report worker 0 (incarnation 1) is recycled: it has served 100 requests
         115 start 0#5 g1
         125 ready 0#5
         125 retire 0#1: it is recycled because it has served 100 requests
         130 exited 0#1
         130 report worker 2 (incarnation 3) is recycled: it has served 100 requests
         130 start 2#6 g1
         140 ready 2#6
         140 retire 2#3: it is recycled because it has served 100 requests
         145 exited 2#3",
    );
}

#[test]
fn next_recycling_waits_for_the_exit_of_the_last() {
    let recycled = settings(PoolSize::Static(2), requests(1));
    let mut world = World::new(Settings { retire_timeout: Some(ms(500)), ..recycled });
    world.skip(100);
    world.exit_delay = None;
    for slot in [0, 1] {
        let worker = world.id(slot);
        served(&mut world, worker, 1);
    }
    world.run(600);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 1 requests
         100 start 0#3 g1
         110 ready 0#3
         110 retire 0#1: it is recycled because it has served 1 requests
         610 kill 0#1
         610 exited 0#1
         610 report worker 0 (incarnation 1) did not shut down cleanly: killed
         610 report worker 1 (incarnation 2) is recycled: it has served 1 requests
         610 start 1#4 g1
         620 ready 1#4
         620 retire 1#2: it is recycled because it has served 1 requests",
    );
}

#[test]
fn failed_replacement_is_retried_while_the_old_serves() {
    let mut world = World::new(settings(PoolSize::Static(2), requests(1)));
    world.skip(100);
    world.boots.extend([Boot::Fail, Boot::Fail]);
    let worker = world.id(0);
    served(&mut world, worker, 1);
    world.run(25);
    assert_eq!(world.ready(), "0#1 1#2");
    world.run(1_000);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 1 requests
         100 start 0#3 g1
         110 report worker 0 (incarnation 3) failed to start: exit code 3
         110 start 0#4 g1
         120 report worker 0 (incarnation 4) failed to start: exit code 3
         120 report worker 0: restarting in 20 ms (attempt 2)
         140 start 0#5 g1
         150 ready 0#5
         150 retire 0#1: it is recycled because it has served 1 requests
         151 exited 0#1",
    );
}

#[test]
fn exit_of_the_recycled_worker_ends_its_recycling() {
    let mut world = World::new(settings(PoolSize::Static(1), requests(1)));
    world.skip(100);
    let worker = world.id(0);
    served(&mut world, worker, 1);
    world.run(5);
    world.kill(worker);
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 1 requests
         100 start 0#2 g1
         105 report worker 0 (incarnation 1) terminated: signal 9
         110 ready 0#2",
    );
}

#[test]
fn surplus_worker_is_recycled_without_replacement() {
    let mut world = World::new(settings(PoolSize::dynamic(1, 4), requests(1)));
    world.skip(100);
    world.request(5);
    world.skip(100);
    assert_eq!(world.ready(), "0#1 1#2");
    let worker = world.id(0);
    served(&mut world, worker, 1);
    world.run(100);
    world.expect(
        "200 report worker 0 (incarnation 1) is recycled: it has served 1 requests
         200 retire 0#1: it is recycled because it has served 1 requests
         201 exited 0#1",
    );
}

#[test]
fn max_age_counts_from_ready() {
    let limits = Recycling { max_age: Some(ms(1_000)), ..exact() };
    let mut world = World::new(settings(PoolSize::Static(2), limits));
    world.run(2_500);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         10 ready 0#1
         10 ready 1#2
         10 READY
         1010 report worker 0 (incarnation 1) is recycled: it is 1 s old
         1010 start 0#3 g1
         1020 ready 0#3
         1020 retire 0#1: it is recycled because it is 1 s old
         1021 exited 0#1
         1021 report worker 1 (incarnation 2) is recycled: it is 1 s old
         1021 start 1#4 g1
         1031 ready 1#4
         1031 retire 1#2: it is recycled because it is 1 s old
         1032 exited 1#2
         2020 report worker 0 (incarnation 3) is recycled: it is 1 s old
         2020 start 0#5 g1
         2030 ready 0#5
         2030 retire 0#3: it is recycled because it is 1 s old
         2031 exited 0#3
         2031 report worker 1 (incarnation 4) is recycled: it is 1 s old
         2031 start 1#6 g1
         2041 ready 1#6
         2041 retire 1#4: it is recycled because it is 1 s old
         2042 exited 1#4",
    );
}

#[test]
fn memory_above_the_limit_recycles() {
    let limits = Recycling { max_memory: Some(1_000), ..exact() };
    let mut world = World::new(settings(PoolSize::Static(1), limits));
    world.skip(100);
    let worker = world.id(0);
    world.handle(Event::Usage { worker, requests: 5, memory: 1_000 });
    world.handle(Event::Usage { worker, requests: 5, memory: 1_001 });
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it uses 1001 bytes of memory
         100 start 0#2 g1
         110 ready 0#2
         110 retire 0#1: it is recycled because it uses 1001 bytes of memory
         111 exited 0#1",
    );
}

#[test]
fn requested_recycling_is_in_order_and_once() {
    let mut world = World::new(PoolSize::Static(2));
    let early = world.id(0);
    world.handle(Event::Recycle(early));
    world.skip(100);
    for slot in [1, 0, 1] {
        world.handle(Event::Recycle(world.id(slot)));
        world.run(1);
    }
    world.run(100);
    world.expect(
        "100 report worker 1 (incarnation 2) is recycled: it was requested
         100 start 1#3 g1
         110 ready 1#3
         110 retire 1#2: it is recycled because it was requested
         111 exited 1#2
         111 report worker 0 (incarnation 1) is recycled: it was requested
         111 start 0#4 g1
         121 ready 0#4
         121 retire 0#1: it is recycled because it was requested
         122 exited 0#1",
    );
}

#[test]
fn jitter_spreads_workers_that_started_together() {
    let limits = Recycling { max_age: Some(ms(100_000)), jitter: 0.5, ..Recycling::default() };
    let mut world = World::new(settings(PoolSize::Static(8), limits));
    world.skip(10);
    let mut ends = Vec::new();
    while world.pool.counts().ready() == 8 && ends.len() < 8 {
        let next = world.pool.poll_timeout().expect("there is an age limit");
        ends.push(next.since_start().as_millis());
        let wait = u64::try_from((next.saturating_since(world.now())).as_millis()).unwrap();
        world.run(wait + 1);
        world.skip(11);
    }
    assert_eq!(ends.len(), 8, "no ready worker is missing");
    assert!(ends.is_sorted() && ends[0] >= 50_010 && ends[7] <= 100_010, "{ends:?}");
    assert!(ends.windows(2).all(|two| two[1] - two[0] > 100), "{ends:?}");
}

#[test]
fn jitter_lowers_the_limit_per_incarnation() {
    let limits = Recycling { max_requests: Some(1_000), jitter: 1.0, ..Recycling::default() };
    let mut world = World::new(settings(PoolSize::Static(1), limits));
    let mut ends = Vec::new();
    for _ in 0..100 {
        world.skip(50);
        let worker = world.id(0);
        let end = (0..).find(|&requests| {
            served(&mut world, worker, requests);
            world.pool.counts().starting == 1
        });
        ends.push(end.expect("there is a limit"));
    }
    assert!(ends.iter().all(|end| (1..=1_000).contains(end)), "{ends:?}");
    for quarter in 0..4 {
        let (low, high) = (quarter * 250, quarter * 250 + 250);
        let found = ends.iter().filter(|&&end| end > low && end <= high).count();
        assert!((10..=45).contains(&found), "{found} of 100 up to {high}");
    }
}

#[test]
fn new_limits_are_checked_at_reconfigure() {
    let mut world = World::new(settings(PoolSize::Static(3), requests(10)));
    world.skip(100);
    for slot in 0..3 {
        let worker = world.id(slot);
        served(&mut world, worker, 10);
    }
    world.handle(Event::Recycle(world.id(2)));
    world.run(5);
    // Worker 1 is being replaced. The limit of worker 2 is lifted; worker 3 was requested.
    world.pool.reconfigure(world.now(), settings(PoolSize::Static(3), requests(20))).unwrap();
    world.execute_actions();
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 10 requests
         100 start 0#4 g1
         110 ready 0#4
         110 retire 0#1: it is recycled because it has served 10 requests
         111 exited 0#1
         111 report worker 2 (incarnation 3) is recycled: it was requested
         111 start 2#5 g1
         121 ready 2#5
         121 retire 2#3: it is recycled because it was requested
         122 exited 2#3",
    );
}

#[test]
fn requested_recycling_survives_reconfigure() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.handle(Event::Recycle(world.id(0)));
    world.handle(Event::Recycle(world.id(1)));
    world.pool.reconfigure(world.now(), PoolSize::Static(2)).unwrap();
    world.execute_actions();
    world.skip(100);
    assert_eq!(world.ready(), "0#3 1#4");
}

#[test]
fn roll_replaces_a_recycling_under_way() {
    let mut world = World::new(settings(PoolSize::Static(2), requests(10)));
    world.skip(100);
    for slot in 0..2 {
        let worker = world.id(slot);
        served(&mut world, worker, 10);
    }
    world.run(5);
    world.pool.restart(world.now()).unwrap();
    world.execute_actions();
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 10 requests
         100 start 0#3 g1
         105 report rolling restart to generation 2 begins
         105 report worker 0 (incarnation 3) failed to start: shutdown
         105 retire 0#3: its generation is replaced
         105 start 0#4 g2
         106 exited 0#3
         106 start 1#5 g2
         115 ready 0#4
         116 ready 1#5
         116 retire 0#1: its generation is replaced
         116 retire 1#2: its generation is replaced
         116 report rolling restart to generation 2 is complete
         117 exited 0#1
         117 exited 1#2
         117 forget g1",
    );
}

#[test]
fn every_recycle_reason_has_its_text() {
    let text: Vec<String> = [
        RecycleReason::Requests(7),
        RecycleReason::Age(ms(61_500)),
        RecycleReason::Memory(9),
        RecycleReason::Asked,
    ]
    .map(|cause| cause.to_string())
    .into();
    assert_eq!(
        text,
        ["it has served 7 requests", "it is 62 s old", "it uses 9 bytes of memory", "it was requested"]
    );
}

#[test]
fn no_recycling_during_a_roll() {
    let mut world = World::new(settings(PoolSize::Static(2), requests(10)));
    world.skip(100);
    world.pool.restart(world.now()).unwrap();
    let worker = world.id(0);
    served(&mut world, worker, 10);
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#3 g2
         100 start 1#4 g2
         110 ready 0#3
         110 ready 1#4
         110 retire 0#1: its generation is replaced
         110 retire 1#2: its generation is replaced
         110 report rolling restart to generation 2 is complete
         111 exited 0#1
         111 exited 1#2
         111 forget g1",
    );
}

#[test]
fn worker_due_for_recycling_may_be_retired_as_idle() {
    let mut world = World::new(settings(PoolSize::Static(2), requests(10)));
    world.skip(100);
    for slot in 0..2 {
        let worker = world.id(slot);
        served(&mut world, worker, 10);
    }
    world.handle(Event::ScaleDown);
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 10 requests
         100 start 0#3 g1
         100 report pool size is now 1 worker
         100 retire 0#1: it is recycled because it has served 10 requests
         101 exited 0#1
         110 ready 0#3
         110 retire 1#2: the pool is smaller
         111 exited 1#2",
    );
}

#[test]
fn exit_of_a_recycled_worker_starts_no_backoff() {
    let mut world = World::new(settings(PoolSize::Static(1), requests(1)));
    world.skip(100);
    world.boots.push_back(Boot::Fail);
    let worker = world.id(0);
    served(&mut world, worker, 1);
    world.kill(worker);
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) is recycled: it has served 1 requests
         100 start 0#2 g1
         100 report worker 0 (incarnation 1) terminated: signal 9
         110 report worker 0 (incarnation 2) failed to start: exit code 3
         110 start 0#3 g1
         120 ready 0#3",
    );
}
