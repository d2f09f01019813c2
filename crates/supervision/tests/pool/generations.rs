//! Rolling restarts: the new generation becomes ready, then the old one is retired.

use impresario_supervision::ExitReason;
use impresario_supervision::pool::{Event, PoolSize, RollingRestart, Settings};

use crate::world::{Boot, World, ms};

fn restart(world: &mut World) {
    world.pool.restart(world.now()).expect("the pool is started");
    world.execute_actions();
}

fn in_rounds(size: u32, surge: u32) -> Settings {
    let roll = RollingRestart { surge: Some(surge), ..RollingRestart::default() };
    Settings { roll, ..Settings::new(PoolSize::Static(size)) }
}

#[test]
fn whole_generation_is_ready_before_the_old_retires() {
    let mut world = World::new(Settings { parallel_starts: 2, ..Settings::new(PoolSize::Static(3)) });
    world.skip(100);
    restart(&mut world);
    assert!(world.pool.is_rolling());
    assert_eq!(world.pool.generation().number(), 2);
    world.run(100);
    assert!(!world.pool.is_rolling());
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#4 g2
         100 start 1#5 g2
         110 ready 0#4
         110 start 2#6 g2
         110 ready 1#5
         120 ready 2#6
         120 retire 0#1: its generation is replaced
         120 retire 1#2: its generation is replaced
         120 retire 2#3: its generation is replaced
         120 report rolling restart to generation 2 is complete
         121 exited 0#1
         121 exited 1#2
         121 exited 2#3
         121 forget g1",
    );
}

#[test]
fn surge_of_1_replaces_one_worker_at_a_time() {
    let mut world = World::new(in_rounds(3, 1));
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#4 g2
         110 ready 0#4
         110 retire 0#1: its generation is replaced
         111 exited 0#1
         111 start 1#5 g2
         121 ready 1#5
         121 retire 1#2: its generation is replaced
         122 exited 1#2
         122 start 2#6 g2
         132 ready 2#6
         132 retire 2#3: its generation is replaced
         132 report rolling restart to generation 2 is complete
         133 exited 2#3
         133 forget g1",
    );
}

#[test]
fn round_waits_for_retiring_workers() {
    let mut world = World::new(in_rounds(2, 1));
    world.skip(100);
    world.exit_delay = Some(ms(1_000));
    restart(&mut world);
    world.run(5_000);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#3 g2
         110 ready 0#3
         110 retire 0#1: its generation is replaced
         1110 exited 0#1
         1110 start 1#4 g2
         1120 ready 1#4
         1120 retire 1#2: its generation is replaced
         1120 report rolling restart to generation 2 is complete
         2120 exited 1#2
         2120 forget g1",
    );
}

#[test]
fn started_after_retire_stays_retiring() {
    let mut world = World::new(PoolSize::Static(1));
    let slow = world.id(0);
    world.exit_delay = None;
    restart(&mut world);
    world.handle(Event::Started(slow));
    assert_eq!(world.ready(), "", "a retiring worker serves no new requests");
    world.exit(slow, ExitReason::Code(3));
    world.run(100);
    world.expect(
        "0 start 0#1 g1
         0 report rolling restart to generation 2 begins
         0 report worker 0 (incarnation 1) failed to start: shutdown
         0 retire 0#1: its generation is replaced
         0 start 0#2 g2
         10 ready 0#2
         10 report rolling restart to generation 2 is complete
         10 forget g1
         10 READY",
    );
}

#[test]
fn exit_during_a_roll_starts_the_new_generation() {
    let mut world = World::new(in_rounds(3, 1));
    world.skip(100);
    restart(&mut world);
    world.run(5);
    world.kill(world.id(1));
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#4 g2
         105 report worker 1 (incarnation 2) terminated: signal 9
         105 start 1#5 g2
         110 ready 0#4
         115 ready 1#5
         115 retire 0#1: its generation is replaced
         116 exited 0#1
         116 start 2#6 g2
         126 ready 2#6
         126 retire 2#3: its generation is replaced
         126 report rolling restart to generation 2 is complete
         127 exited 2#3
         127 forget g1",
    );
}

#[test]
fn exit_after_the_roll_is_replaced_while_the_old_retire() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.exit_delay = None;
    restart(&mut world);
    world.skip(10);
    assert_eq!(world.pool.counts().retiring, 2);
    world.kill(world.id(1));
    world.run(100);
    world.expect(
        "110 report worker 1 (incarnation 4) terminated: signal 9
         110 start 1#5 g2
         120 ready 1#5",
    );
}

#[test]
fn exit_of_all_old_workers_completes_the_roll() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    restart(&mut world);
    for worker in world.pool.serving().collect::<Vec<_>>() {
        world.kill(worker);
    }
    assert!(world.pool.is_rolling(), "the roll is not complete before the new generation is ready");
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#3 g2
         100 start 1#4 g2
         100 report worker 0 (incarnation 1) terminated: signal 9
         100 report worker 1 (incarnation 2) terminated: signal 9
         110 ready 0#3
         110 ready 1#4
         110 report rolling restart to generation 2 is complete
         110 forget g1",
    );
}

#[test]
fn roll_without_load_completes_immediately() {
    let mut world = World::new(PoolSize::on_demand(2));
    world.request(5);
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.request(5);
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 retire 0#1: its generation is replaced
         100 report rolling restart to generation 2 is complete
         101 exited 0#1
         101 forget g1
         200 start 0#2 g2
         210 ready 0#2",
    );
}

#[test]
fn drained_pool_starts_the_new_generation() {
    let mut world = World::new(PoolSize::Static(1));
    world.skip(100);
    world.handle(Event::Drain);
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.handle(Event::Start);
    world.run(100);
    world.expect(
        "200 report rolling restart to generation 2 begins
         200 report rolling restart to generation 2 is complete
         200 forget g1
         300 start 0#2 g2
         310 ready 0#2",
    );
}

#[test]
fn worker_with_a_ready_replacement_retires_first() {
    let mut world = World::new(in_rounds(2, 1));
    world.skip(100);
    let worker = world.id(0);
    world.handle(Event::Load { worker, active: 5, queued: 0 });
    restart(&mut world);
    world.skip(10);
    assert_eq!(world.ready(), "1#2 0#3", "the replaced worker is retired, not the one with less load");
}

#[test]
fn outdated_workers_are_no_spares() {
    let size = PoolSize::Dynamic { spare: 1, max: 4, idle_timeout: ms(1_000) };
    let mut world = World::new(size);
    world.skip(100);
    world.request(200);
    world.skip(100);
    world.boots.extend([Boot::Ready, Boot::Hang]);
    restart(&mut world);
    world.run(5_000);
    // Worker 4, which is no longer needed, becomes ready. Its idle time begins now.
    world.handle(Event::Started(world.id(1)));
    world.run(5_000);
    world.expect(
        "200 report rolling restart to generation 2 begins
         200 start 0#3 g2
         200 start 1#4 g2
         210 ready 0#3
         5200 ready 1#4
         5200 retire 0#1: its generation is replaced
         5200 retire 1#2: its generation is replaced
         5200 report rolling restart to generation 2 is complete
         5201 exited 0#1
         5201 exited 1#2
         5201 forget g1
         6200 retire 1#4: it was idle
         6201 exited 1#4",
    );
}
