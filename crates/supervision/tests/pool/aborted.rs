//! Rolling restarts that fail, and their reports.

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
fn generation_that_fails_to_start_is_aborted() {
    let mut world = World::new(PoolSize::Static(2));
    world.skip(100);
    world.boots.extend([Boot::Ready, Boot::Fail, Boot::Fail, Boot::Hang]);
    restart(&mut world);
    world.run(20);
    assert_eq!(world.ready(), "0#1 1#2 0#3");
    world.run(100_000);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#3 g2
         100 start 1#4 g2
         110 ready 0#3
         110 report worker 1 (incarnation 4) failed to start: exit code 3
         110 start 1#5 g2
         120 report worker 1 (incarnation 5) failed to start: exit code 3
         120 report worker 1: restarting in 20 ms (attempt 2)
         140 start 1#6 g2
         60140 kill 1#6
         60140 report worker 1 (incarnation 6) was not ready in time, killed
         60140 report worker 1: restarting in 40 ms (attempt 3)
         60140 report rolling restart to generation 2 is aborted, the old one stays: did not start in time
         60140 retire 0#3: its generation is replaced
         60140 exited 1#6
         60141 exited 0#3
         60141 forget g2",
    );
    assert_eq!(world.ready(), "0#1 1#2");
    assert_eq!(world.pool.generation().number(), 1);
    // Numbers of generations are never used again.
    restart(&mut world);
    world.run(100);
    world.expect(
        "100120 report rolling restart to generation 3 begins
         100120 start 0#7 g3
         100120 start 1#8 g3
         100130 ready 0#7
         100130 ready 1#8
         100130 retire 0#1: its generation is replaced
         100130 retire 1#2: its generation is replaced
         100130 report rolling restart to generation 3 is complete
         100131 exited 0#1
         100131 exited 1#2
         100131 forget g1",
    );
}

#[test]
fn single_failure_in_a_roll_is_retried() {
    let mut world = World::new(Settings {
        roll: RollingRestart { failures: 2, ..RollingRestart::default() },
        ..Settings::new(PoolSize::Static(1))
    });
    world.skip(100);
    world.boots.push_back(Boot::Fail);
    restart(&mut world);
    world.run(100);
    // Failures are counted per generation, and only during its roll.
    world.kill(world.id(0));
    world.run(100);
    world.boots.push_back(Boot::Fail);
    restart(&mut world);
    world.run(1_000);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#2 g2
         110 report worker 0 (incarnation 2) failed to start: exit code 3
         110 start 0#3 g2
         120 ready 0#3
         120 retire 0#1: its generation is replaced
         120 report rolling restart to generation 2 is complete
         121 exited 0#1
         121 forget g1
         200 report worker 0 (incarnation 3) terminated: signal 9
         200 report worker 0: restarting in 20 ms (attempt 2)
         220 start 0#4 g2
         230 ready 0#4
         300 report rolling restart to generation 3 begins
         300 start 0#5 g3
         310 report worker 0 (incarnation 5) failed to start: exit code 3
         310 start 0#6 g3
         320 ready 0#6
         320 retire 0#4: its generation is replaced
         320 report rolling restart to generation 3 is complete
         321 exited 0#4
         321 forget g2",
    );
}

#[test]
fn roll_aborted_after_a_round_restores_the_old_workers() {
    let mut world = World::new(in_rounds(2, 1));
    world.skip(100);
    restart(&mut world);
    world.boots.extend([Boot::Ready, Boot::Fail, Boot::Fail, Boot::Fail]);
    world.run(1_000);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#3 g2
         110 ready 0#3
         110 retire 0#1: its generation is replaced
         111 exited 0#1
         111 start 1#4 g2
         121 report worker 1 (incarnation 4) failed to start: exit code 3
         121 start 1#5 g2
         131 report worker 1 (incarnation 5) failed to start: exit code 3
         131 report worker 1: restarting in 20 ms (attempt 2)
         151 start 1#6 g2
         161 report worker 1 (incarnation 6) failed to start: exit code 3
         161 report worker 1: restarting in 40 ms (attempt 3)
         161 report rolling restart to generation 2 is aborted, the old one stays: exit code 3
         161 start 0#7 g1
         171 ready 0#7
         171 retire 0#3: its generation is replaced
         172 exited 0#3
         172 forget g2",
    );
}

#[test]
fn newer_generation_supersedes_one_under_way() {
    let mut world = World::new(PoolSize::Static(1));
    world.skip(100);
    world.boots.push_back(Boot::Hang);
    restart(&mut world);
    world.run(5);
    world.exit_delay = Some(ms(50));
    restart(&mut world);
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#2 g2
         105 report rolling restart to generation 2 is aborted by a newer one
         105 report rolling restart to generation 3 begins
         105 report worker 0 (incarnation 2) failed to start: shutdown
         105 retire 0#2: its generation is replaced
         155 exited 0#2
         155 start 0#3 g3
         155 forget g2
         165 ready 0#3
         165 retire 0#1: its generation is replaced
         165 report rolling restart to generation 3 is complete",
    );
}

#[test]
fn abort_returns_to_the_last_complete_generation() {
    let mut world = World::new(PoolSize::Static(1));
    world.skip(100);
    restart(&mut world);
    restart(&mut world);
    world.boots.extend([Boot::Fail; 3]);
    world.run(1_000);
    assert_eq!(world.ready(), "0#1");
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#2 g2
         100 report rolling restart to generation 2 is aborted by a newer one
         100 report rolling restart to generation 3 begins
         100 report worker 0 (incarnation 2) failed to start: shutdown
         100 retire 0#2: its generation is replaced
         101 exited 0#2
         101 start 0#3 g3
         101 forget g2
         111 report worker 0 (incarnation 3) failed to start: exit code 3
         111 start 0#4 g3
         121 report worker 0 (incarnation 4) failed to start: exit code 3
         121 report worker 0: restarting in 20 ms (attempt 2)
         141 start 0#5 g3
         151 report worker 0 (incarnation 5) failed to start: exit code 3
         151 report worker 0: restarting in 40 ms (attempt 3)
         151 report rolling restart to generation 3 is aborted, the old one stays: exit code 3
         151 forget g3",
    );
}

#[test]
fn first_generation_that_fails_is_replaced() {
    let mut world = World::new(PoolSize::Static(2));
    world.boots.extend([Boot::Fail; 6]);
    world.skip(65);
    world.boots.clear();
    restart(&mut world);
    world.run(1_000);
    world.expect(
        "65 report rolling restart to generation 2 begins
         65 start 0#7 g2
         65 start 1#8 g2
         75 ready 0#7
         75 ready 1#8
         75 report rolling restart to generation 2 is complete
         75 forget g1
         75 READY",
    );
}

#[test]
fn stop_or_drain_aborts_the_roll() {
    for (end, phrase) in [(Event::Stop, "stopped"), (Event::Drain, "drained")] {
        let mut world = World::new(PoolSize::Static(1));
        world.skip(100);
        restart(&mut world);
        world.handle(end);
        world.expect(&format!(
            "100 report rolling restart to generation 2 begins
             100 start 0#2 g2
             100 report rolling restart to generation 2 is aborted: the pool is drained or stopped
             100 retire 0#1: the pool is {phrase}
             100 report worker 0 (incarnation 2) failed to start: shutdown
             100 retire 0#2: the pool is {phrase}"
        ));
    }
}

#[test]
fn exit_of_an_old_worker_is_no_failure_of_the_roll() {
    let roll = RollingRestart { failures: 1, ..RollingRestart::default() };
    let mut world = World::new(Settings { roll, ..Settings::new(PoolSize::Static(1)) });
    world.skip(100);
    let old = world.id(0);
    restart(&mut world);
    world.kill(old);
    world.run(100);
    world.expect(
        "100 report rolling restart to generation 2 begins
         100 start 0#2 g2
         100 report worker 0 (incarnation 1) terminated: signal 9
         110 ready 0#2
         110 report rolling restart to generation 2 is complete
         110 forget g1",
    );
}
