//! Static pools: scaling and new sizes.

use impresario_supervision::pool::{Event, PoolSize, Settings};

use crate::world::{World, ms};

#[test]
fn scales_by_one() {
    let mut world = World::new(PoolSize::Static(1));
    world.skip(100);
    world.handle(Event::ScaleUp);
    world.run(100);
    world.handle(Event::ScaleDown);
    world.run(100);
    world.handle(Event::ScaleDown);
    world.run(100);
    world.expect(
        "100 report pool size is now 2 workers
         100 start 1#2 g1
         110 ready 1#2
         200 report pool size is now 1 worker
         200 retire 1#2: the pool is smaller
         201 exited 1#2
         300 report pool size stays at 1 worker, its limit",
    );
    assert_eq!(world.pool.size(), PoolSize::Static(1));
    assert_eq!(world.pool.settings().size, PoolSize::Static(1));
}

#[test]
fn reconfigure_resets_scaling() {
    let mut world = World::new(PoolSize::Static(1));
    world.handle(Event::ScaleUp);
    world.handle(Event::ScaleUp);
    assert_eq!(world.pool.size(), PoolSize::Static(3));
    world.pool.reconfigure(world.now(), PoolSize::Static(2)).unwrap();
    assert_eq!(world.pool.size(), PoolSize::Static(2));
    world.handle(Event::ScaleUp);
    assert_eq!(world.pool.size(), PoolSize::Static(3));
}

#[test]
fn smaller_static_pool_replaces_before_it_retires() {
    let mut world = World::new(PoolSize::Static(4));
    world.skip(100);
    world.kill(world.id(0));
    world.pool.reconfigure(world.now(), PoolSize::Static(2)).unwrap();
    world.execute_actions();
    world.run(100);
    world.expect(
        "100 report worker 0 (incarnation 1) terminated: signal 9
         100 start 0#5 g1
         100 retire 2#3: the pool is smaller
         101 exited 2#3
         110 ready 0#5
         110 retire 3#4: the pool is smaller
         111 exited 3#4",
    );
    assert_eq!(world.ready(), "1#2 0#5");
}

#[test]
fn exit_is_replaced_while_others_retire() {
    let mut world = World::new(PoolSize::Static(4));
    world.skip(100);
    world.exit_delay = Some(ms(5_000));
    world.pool.reconfigure(world.now(), PoolSize::Static(2)).unwrap();
    world.execute_actions();
    world.run(10);
    world.kill(world.id(0));
    world.run(10_000);
    world.expect(
        "100 retire 2#3: the pool is smaller
         100 retire 3#4: the pool is smaller
         110 report worker 0 (incarnation 1) terminated: signal 9
         110 start 0#5 g1
         120 ready 0#5
         5100 exited 2#3
         5100 exited 3#4",
    );
}

#[test]
fn scaling_up_and_down_adds_no_workers() {
    let mut world = World::new(Settings { retire_timeout: None, ..Settings::new(PoolSize::Static(2)) });
    world.skip(100);
    world.exit_delay = None;
    for _ in 0..5 {
        world.handle(Event::ScaleDown);
        world.run(100);
        world.handle(Event::ScaleUp);
        world.run(100);
    }
    let counts = world.pool.counts();
    assert_eq!((counts.ready(), counts.retiring, counts.starting), (1, 1, 0));
    // It is started when the number of workers is below the bound.
    let retiring = world.pool.workers().find(|worker| worker.id.slot == 1).unwrap();
    world.kill(retiring.id);
    world.skip(100);
    assert_eq!(world.ready(), "0#1 1#3");
}

#[test]
fn dynamic_to_static_replaces_workers_slot_by_slot() {
    let mut world = World::new(PoolSize::dynamic(3, 8));
    world.skip(100);
    world.kill(world.id(0));
    world.pool.reconfigure(world.now(), PoolSize::dynamic(2, 8)).unwrap();
    world.execute_actions();
    world.skip(100_000);
    assert_eq!(world.ready(), "1#2 2#3");
    world.pool.reconfigure(world.now(), PoolSize::Static(2)).unwrap();
    world.execute_actions();
    world.run(100);
    world.expect(
        "100100 start 0#5 g1
         100110 ready 0#5
         100110 retire 2#3: the pool is smaller
         100111 exited 2#3",
    );
}
