//! Dynamic pools: their size follows the load.

use impresario_supervision::pool::{Event, PoolSize, Settings, WorkerId};

use crate::world::{World, ms};

fn dynamic(spare: u32, max: u32, idle: u64) -> PoolSize {
    PoolSize::Dynamic { spare, max, idle_timeout: ms(idle) }
}

fn load(world: &mut World, worker: WorkerId, active: u32) {
    world.handle(Event::Load { worker, active, queued: 0 });
}

#[test]
fn queue_of_n_starts_n_workers_in_parallel() {
    let mut world = World::new(PoolSize::on_demand(8));
    world.handle(Event::Queued(5));
    assert_eq!(world.pool.counts().starting, 5);
    world.handle(Event::Queued(100));
    assert_eq!(world.pool.counts().starting, 8);
}

#[test]
fn load_is_divided_by_the_capacity() {
    let mut world = World::new(Settings { capacity: 10, ..Settings::new(PoolSize::dynamic(1, 8)) });
    world.skip(100);
    let first = world.id(0);
    load(&mut world, first, 10);
    assert_eq!(world.pool.counts().starting, 1);
    load(&mut world, first, 11);
    assert_eq!(world.pool.counts().starting, 2);
}

#[test]
fn last_used_idle_workers_are_the_spares() {
    let mut world = World::new(dynamic(1, 4, 1_000));
    world.skip(100);
    let first = world.id(0);
    load(&mut world, first, 1);
    world.skip(100);
    let second = world.id(1);
    load(&mut world, second, 1);
    world.skip(100);
    // Worker 3 is idle since 210 and is the spare. The others are retired in the order of their idle time.
    load(&mut world, first, 0);
    world.run(500);
    load(&mut world, second, 0);
    world.run(5_000);
    world.expect(
        "1300 retire 0#1: it was idle
         1301 exited 0#1
         1800 retire 1#2: it was idle
         1801 exited 1#2",
    );
}

#[test]
fn spare_with_load_is_replaced_by_the_last_used() {
    let mut world = World::new(dynamic(1, 3, 1_000));
    world.skip(100);
    let first = world.id(0);
    load(&mut world, first, 2);
    world.skip(100);
    let (second, third) = (world.id(1), world.id(2));
    load(&mut world, second, 1);
    load(&mut world, second, 0);
    world.run(100);
    load(&mut world, first, 0);
    world.run(100);
    // Worker 3 is the spare. It gets load, so worker 1, idle since 300, becomes the spare. Worker 2 is retired
    // at its time.
    load(&mut world, third, 1);
    load(&mut world, second, 0);
    world.run(5_000);
    world.expect(
        "1200 retire 1#2: it was idle
         1201 exited 1#2",
    );
    load(&mut world, third, 0);
    world.run(5_000);
    world.expect(
        "6400 retire 2#3: it was idle
         6401 exited 2#3",
    );
}

#[test]
fn former_spare_begins_its_idle_time_at_reconfigure() {
    let mut world = World::new(dynamic(3, 4, 1_000));
    world.skip(10_000);
    world.pool.reconfigure(world.now(), dynamic(1, 4, 1_000)).unwrap();
    world.execute_actions();
    world.run(5_000);
    world.expect(
        "11000 retire 0#1: it was idle
         11000 retire 1#2: it was idle
         11001 exited 0#1
         11001 exited 1#2",
    );
}

#[test]
fn lower_maximum_retires_those_with_least_load() {
    let mut world = World::new(dynamic(1, 6, 60_000));
    world.skip(100);
    let busy = world.id(0);
    load(&mut world, busy, 3);
    world.run(100);
    let other = world.id(1);
    load(&mut world, other, 1);
    load(&mut world, busy, 4);
    world.pool.reconfigure(world.now(), dynamic(1, 1, 60_000)).unwrap();
    world.execute_actions();
    world.run(100);
    world.expect(
        "100 start 1#2 g1
         100 start 2#3 g1
         100 start 3#4 g1
         110 ready 1#2
         110 ready 2#3
         110 ready 3#4
         200 start 4#5 g1
         200 start 5#6 g1
         200 report worker 5 (incarnation 6) failed to start: shutdown
         200 retire 5#6: the pool is smaller
         200 report worker 4 (incarnation 5) failed to start: shutdown
         200 retire 4#5: the pool is smaller
         200 retire 2#3: the pool is smaller
         200 retire 3#4: the pool is smaller
         200 retire 1#2: the pool is smaller
         201 exited 5#6
         201 exited 4#5
         201 exited 2#3
         201 exited 3#4
         201 exited 1#2",
    );
    assert_eq!(world.ready(), "0#1");
}

#[test]
fn lower_maximum_retires_the_longest_idle_first() {
    let mut world = World::new(dynamic(3, 3, 60_000));
    world.skip(100);
    let (first, last) = (world.id(0), world.id(2));
    load(&mut world, first, 1);
    load(&mut world, first, 0);
    load(&mut world, last, 1);
    world.pool.reconfigure(world.now(), dynamic(1, 2, 60_000)).unwrap();
    world.execute_actions();
    world.skip(100);
    assert_eq!(world.ready(), "0#1 2#3");
}

#[test]
fn idle_worker_stays_while_requests_are_queued() {
    let mut world = World::new(Settings { capacity: 1, ..Settings::new(dynamic(0, 2, 0)) });
    world.handle(Event::Queued(1));
    world.run(100);
    world.expect(
        "0 READY
         0 start 0#1 g1
         10 ready 0#1",
    );
    world.handle(Event::Queued(0));
    world.run(100);
    world.expect(
        "100 retire 0#1: it was idle
         101 exited 0#1",
    );
}

#[test]
fn queue_length_of_an_unknown_worker_counts() {
    let mut world = World::new(dynamic(0, 4, 1_000));
    world.handle(Event::Queued(1));
    world.skip(100);
    let exited = world.id(0);
    world.kill(exited);
    world.skip(100);
    world.handle(Event::Load { worker: exited, active: 5, queued: 0 });
    let counts = world.pool.counts();
    assert_eq!((counts.queued, counts.active, counts.idle), (0, 0, 1));
}

#[test]
fn load_of_an_exited_worker_does_not_count() {
    let mut world = World::new(PoolSize::dynamic(0, 4));
    world.handle(Event::Queued(1));
    world.skip(100);
    let worker = world.id(0);
    world.handle(Event::Load { worker, active: 3, queued: 0 });
    world.skip(100);
    assert_eq!(world.pool.counts().ready(), 3);
    world.kill(worker);
    world.skip(100);
    let counts = world.pool.counts();
    assert_eq!((counts.active, counts.ready()), (0, 2), "two workers are idle, so no start");
}

#[test]
fn retiring_load_is_counted_but_needs_no_worker() {
    let mut world = World::new(PoolSize::dynamic(1, 4));
    world.skip(100);
    let worker = world.id(0);
    load(&mut world, worker, 1);
    world.skip(100);
    world.exit_delay = None;
    world.pool.restart(world.now()).unwrap();
    world.execute_actions();
    world.skip(100);
    let counts = world.pool.counts();
    assert_eq!((counts.active, counts.retiring, counts.idle), (1, 2, 2));
    load(&mut world, worker, 4);
    assert_eq!((world.pool.counts().active, world.pool.counts().starting), (4, 0));
}

#[test]
fn scaling_changes_spare_and_maximum() {
    let mut world = World::new(dynamic(1, 3, 60_000));
    world.skip(100);
    for _ in 0..3 {
        world.handle(Event::ScaleDown);
    }
    for _ in 0..3 {
        world.handle(Event::ScaleUp);
    }
    world.run(100);
    world.expect(
        "100 report pool size is now 0 spare and up to 2 workers
         100 report pool size is now 0 spare and up to 1 worker
         100 report pool size stays at 0 spare and up to 1 worker, its limit
         100 report pool size is now 0 spare and up to 2 workers
         100 report pool size is now 1 spare and up to 3 workers
         100 report pool size is now 2 spare and up to 4 workers
         100 start 1#2 g1
         110 ready 1#2",
    );
    let mut world = World::new(PoolSize::OnDemand { max: 1, idle_timeout: ms(5) });
    world.handle(Event::ScaleUp);
    assert_eq!(world.pool.size(), PoolSize::OnDemand { max: 2, idle_timeout: ms(5) });
}

#[test]
fn long_ready_time_clears_the_backoff_of_the_slot() {
    let mut world = World::new(dynamic(0, 1, 10_000));
    world.handle(Event::Queued(1));
    world.skip(5);
    for _ in 0..3 {
        world.kill(world.id(0));
        world.skip(200);
    }
    let worker = world.id(0);
    world.handle(Event::Load { worker, active: 0, queued: 0 });
    world.skip(20_000);
    world.handle(Event::Queued(1));
    world.run(5);
    world.kill(world.id(0));
    world.run(5);
    world.expect(
        "20605 start 0#5 g1
         20610 report worker 0 (incarnation 5) failed to start: signal 9
         20610 start 0#6 g1",
    );
}

#[test]
fn new_surplus_begins_its_idle_time_at_reconfigure() {
    let mut world = World::new(PoolSize::Static(3));
    world.skip(100);
    let worker = world.id(1);
    load(&mut world, worker, 1);
    load(&mut world, worker, 0);
    world.skip(10_000);
    world.pool.reconfigure(world.now(), dynamic(1, 3, 1_000)).unwrap();
    world.execute_actions();
    world.run(5_000);
    world.expect(
        "11100 retire 0#1: it was idle
         11100 retire 2#3: it was idle
         11101 exited 0#1
         11101 exited 2#3",
    );
}

#[test]
fn retiring_workers_do_not_count_for_a_lower_maximum() {
    let mut world = World::new(Settings { retire_timeout: None, ..Settings::new(dynamic(0, 3, 1_000)) });
    world.handle(Event::Queued(3));
    world.skip(100);
    let (second, third) = (world.id(1), world.id(2));
    load(&mut world, second, 1);
    load(&mut world, third, 1);
    world.exit_delay = None;
    world.run(2_000);
    world.pool.reconfigure(world.now(), dynamic(0, 1, 1_000)).unwrap();
    world.execute_actions();
    world.expect(
        "1010 retire 0#1: it was idle
         2100 retire 1#2: the pool is smaller",
    );
}

#[test]
fn starts_as_many_as_are_missing_in_any_slots() {
    let mut world = World::new(dynamic(0, 4, 1_000));
    world.handle(Event::Queued(4));
    world.skip(100);
    let (third, fourth) = (world.id(2), world.id(3));
    load(&mut world, third, 1);
    load(&mut world, fourth, 1);
    world.skip(2_000);
    assert_eq!(world.ready(), "2#3 3#4");
    load(&mut world, fourth, 2);
    world.run(100);
    world.expect(
        "2100 start 0#5 g1
         2110 ready 0#5",
    );
}
