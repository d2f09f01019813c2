//! The scenarios of Unit's test suite (`test_procman.py`), on virtual time. Test names are those of Unit.

use impresario_supervision::pool::{Event, PoolSize};

use crate::world::{Boot, World, ms};

fn dynamic(spare: u32, max: u32, idle: u64) -> PoolSize {
    PoolSize::Dynamic { spare, max, idle_timeout: ms(idle) }
}

#[test]
fn prefork_and_same_processes() {
    let mut world = World::new(PoolSize::Static(2));
    world.run(1_000);
    world.expect(
        "0 start 0#1 g1
         0 start 1#2 g1
         10 ready 0#1
         10 ready 1#2
         10 READY",
    );
    world.request(5);
    world.run(1_000);
    assert_eq!(world.ready(), "0#1 1#2");

    // Unit replaces all of them here; its test that the first two stay is skipped.
    world.pool.reconfigure(world.now(), PoolSize::Static(4)).unwrap();
    world.execute_actions();
    world.run(1_000);
    world.expect(
        "2000 start 2#3 g1
         2000 start 3#4 g1
         2010 ready 2#3
         2010 ready 3#4",
    );
    assert_eq!(world.ready(), "0#1 1#2 2#3 3#4");
    world.request(5);
    world.run(1_000);
    assert_eq!(world.ready(), "0#1 1#2 2#3 3#4");
}

#[test]
fn prefork_then_empty() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(1_000);
    world.handle(Event::Stop);
    world.run(1_000);
    world.expect(
        "1000 retire 0#1: the pool is stopped
         1000 retire 1#2: the pool is stopped
         1001 exited 0#1
         1001 exited 1#2
         1001 EXIT",
    );
}

#[test]
fn ondemand() {
    let mut world = World::new(PoolSize::OnDemand { max: 8, idle_timeout: ms(1_000) });
    world.run(1_000);
    world.request(5);
    world.run(500);
    world.request(5);
    world.run(2_000);
    world.expect(
        "0 READY
         1000 start 0#1 g1
         1010 ready 0#1
         2505 retire 0#1: it was idle
         2506 exited 0#1",
    );
}

#[test]
fn scale_updown() {
    let mut world = World::new(dynamic(2, 8, 1_000));
    world.skip(100);
    world.request(50);
    world.run(400);
    world.request(5);
    world.run(1_500);
    world.request(5);
    world.run(500);
    world.expect(
        "100 start 2#3 g1
         110 ready 2#3
         1505 retire 0#1: it was idle
         1506 exited 0#1
         2000 start 0#4 g1
         2010 ready 0#4",
    );
}

#[test]
fn reconfigure() {
    let mut world = World::new(dynamic(2, 6, 15_000));
    world.skip(100);
    world.request(50);
    world.skip(100);
    assert_eq!(world.ready(), "0#1 1#2 2#3");
    world.pool.reconfigure(world.now(), dynamic(6, 6, 15_000)).unwrap();
    world.execute_actions();
    world.run(100);
    world.request(50);
    world.run(100_000);
    world.expect(
        "200 start 3#4 g1
         200 start 4#5 g1
         200 start 5#6 g1
         210 ready 3#4
         210 ready 4#5
         210 ready 5#6",
    );
}

#[test]
fn idle_timeout_restarts_at_the_last_use() {
    let mut world = World::new(PoolSize::OnDemand { max: 1, idle_timeout: ms(2_000) });
    world.request(5);
    world.run(1_000);
    world.request(5);
    world.run(1_000);
    assert_eq!(world.ready(), "0#1");
    world.run(2_000);
    world.expect(
        "0 READY
         0 start 0#1 g1
         10 ready 0#1
         3005 retire 0#1: it was idle
         3006 exited 0#1",
    );
}

#[test]
fn idle_timeout_zero() {
    let mut world = World::new(dynamic(0, 2, 0));
    world.request(50);
    world.run(1_000);
    world.expect(
        "0 READY
         0 start 0#1 g1
         10 ready 0#1
         60 retire 0#1: it was idle
         61 exited 0#1",
    );
}

#[test]
fn connection_keepalive() {
    // An open connection without a request is no load: the driver decides what it reports as load.
    let mut world = World::new(PoolSize::OnDemand { max: 1, idle_timeout: ms(2_000) });
    world.request(5);
    world.skip(1_000);
    let worker = world.id(0);
    world.handle(Event::Load { worker, active: 0, queued: 0 });
    world.run(2_000);
    world.expect(
        "2015 retire 0#1: it was idle
         2016 exited 0#1",
    );
}

#[test]
fn restart() {
    let mut world = World::new(PoolSize::Static(1));
    world.skip(100);
    let generation = world.pool.restart(world.now()).unwrap();
    world.execute_actions();
    assert_eq!(generation.number(), 2);
    world.run(5);
    assert_eq!(world.ready(), "0#1", "the old worker serves until the new one is ready");
    world.run(5);
    assert_eq!(world.ready(), "0#2");
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#2 g2
         110 ready 0#2
         110 retire 0#1: its generation is replaced
         110 report rolling restart to generation 2 is complete
         111 exited 0#1
         111 forget g1",
    );
}

#[test]
fn restart_multi() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.pool.restart(world.now()).unwrap();
    world.execute_actions();
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
fn restart_longstart() {
    let mut world = World::booting(ms(2_000), dynamic(1, 2, 15_000));
    world.run(3_000);
    world.request(100);
    world.run(200);
    world.pool.restart(world.now()).unwrap();
    world.execute_actions();
    world.exit_delay = Some(ms(5_000));
    world.run(20_000);
    world.expect(
        "0 start 0#1 g1
         2000 ready 0#1
         2000 READY
         3000 start 1#2 g1
         3200 report rolling restart to generation 2 begins
         3200 report worker 1 (incarnation 2) failed to start: shutdown
         3200 retire 1#2: its generation is replaced
         3200 start 0#3 g2
         3201 exited 1#2
         5200 ready 0#3
         5200 retire 0#1: its generation is replaced
         5200 report rolling restart to generation 2 is complete
         10200 exited 0#1
         10200 forget g1",
    );
}

#[test]
fn more_requests_than_workers() {
    let mut world = World::new(dynamic(2, 4, 1_000));
    world.skip(100);
    (0..6).for_each(|_| world.request(1_000));
    world.run(500);
    let counts = world.pool.counts();
    assert_eq!((counts.busy, counts.idle, counts.active, counts.queued), (4, 0, 4, 2));
    world.run(5_000);
    world.expect(
        "100 start 2#3 g1
         100 start 3#4 g1
         110 ready 2#3
         110 ready 3#4
         3100 retire 0#1: it was idle
         3100 retire 1#2: it was idle
         3101 exited 0#1
         3101 exited 1#2",
    );
}

#[test]
fn status() {
    let mut world = World::new(PoolSize::Static(4));
    world.skip(100);
    world.request(1_000);
    let counts = world.pool.counts();
    assert_eq!((counts.ready(), counts.idle, counts.active), (4, 3, 1));

    let mut world = World::booting(ms(2_000), PoolSize::on_demand(1));
    world.request(10);
    let counts = world.pool.counts();
    assert_eq!((counts.starting, counts.active, counts.queued), (1, 0, 1));
}

#[test]
fn process_switch() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.request(5_000);
    (0..12).for_each(|_| world.request(1_000));
    world.run(4_000);
    assert_eq!(world.pool.counts().queued, 7, "a busy worker does not block the queue");
}

#[test]
fn application_is_shot() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.kill(world.id(0));
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) terminated: signal 9
         100 start 0#3 g1
         110 ready 0#3",
    );
}

#[test]
fn loading_error() {
    let mut world = World::new(PoolSize::on_demand(1));
    world.boots.extend([Boot::Fail; 4]);
    world.request(5);
    world.run(1_000);
    world.expect(
        "0 READY
         0 start 0#1 g1
         10 report worker 0 (incarnation 1) failed to start: exit code 3
         10 start 0#2 g1
         20 report worker 0 (incarnation 2) failed to start: exit code 3
         20 report worker 0: restarting in 20 ms (attempt 2)
         40 start 0#3 g1
         50 report worker 0 (incarnation 3) failed to start: exit code 3
         50 report worker 0: restarting in 40 ms (attempt 3)
         90 start 0#4 g1
         100 report worker 0 (incarnation 4) failed to start: exit code 3
         100 report worker 0: restarting in 80 ms (attempt 4)
         180 start 0#5 g1
         190 ready 0#5",
    );
}
