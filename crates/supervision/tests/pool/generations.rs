//! Restarts: the new generation is ready first, then the old one leaves.

use impresario_supervision::ExitReason;
use impresario_supervision::pool::{Event, Roll, Settings, Size};

use crate::world::{Boot, World, ms};

fn restart(world: &mut World) {
    world.pool.restart(world.now()).expect("it is running");
    world.drain();
}

fn in_rounds(size: u32, surge: u32) -> Settings {
    let roll = Roll { surge: Some(surge), ..Roll::default() };
    Settings { roll, ..Settings::new(Size::Static(size)) }
}

#[test]
fn a_whole_generation_is_ready_before_the_old_one_leaves() {
    let mut world = World::new(Settings { parallel_starts: 2, ..Settings::new(Size::Static(3)) });
    world.skip(100);
    restart(&mut world);
    assert!(world.pool.is_rolling());
    assert_eq!(world.pool.generation().number(), 2);
    world.run(100);
    assert!(!world.pool.is_rolling());
    world.expect(
        "100 report generation 2 begins
         100 start 0#4 g2
         100 start 1#5 g2
         110 ready 0#4
         110 start 2#6 g2
         110 ready 1#5
         120 ready 2#6
         120 retire 0#1: its generation is not wanted any more
         120 retire 1#2: its generation is not wanted any more
         120 retire 2#3: its generation is not wanted any more
         120 report generation 2 is ready, the old ones leave
         121 gone 0#1
         121 gone 1#2
         121 gone 2#3
         121 forget g1",
    );
}

#[test]
fn with_little_room_it_goes_in_rounds() {
    let mut world = World::new(in_rounds(3, 1));
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.expect(
        "100 report generation 2 begins
         100 start 0#4 g2
         110 ready 0#4
         110 retire 0#1: its generation is not wanted any more
         111 gone 0#1
         111 start 1#5 g2
         121 ready 1#5
         121 retire 1#2: its generation is not wanted any more
         122 gone 1#2
         122 start 2#6 g2
         132 ready 2#6
         132 retire 2#3: its generation is not wanted any more
         132 report generation 2 is ready, the old ones leave
         133 gone 2#3
         133 forget g1",
    );
}

#[test]
fn a_round_waits_for_those_that_are_still_leaving() {
    let mut world = World::new(in_rounds(2, 1));
    world.skip(100);
    world.leave = Some(ms(1_000));
    restart(&mut world);
    world.run(5_000);
    world.expect(
        "100 report generation 2 begins
         100 start 0#3 g2
         110 ready 0#3
         110 retire 0#1: its generation is not wanted any more
         1110 gone 0#1
         1110 start 1#4 g2
         1120 ready 1#4
         1120 retire 1#2: its generation is not wanted any more
         1120 report generation 2 is ready, the old ones leave
         2120 gone 1#2
         2120 forget g1",
    );
}

#[test]
fn what_does_not_boot_changes_nothing() {
    let mut world = World::new(Size::Static(2));
    world.skip(100);
    world.boots.extend([Boot::Ready, Boot::Fails, Boot::Fails, Boot::Hangs]);
    restart(&mut world);
    world.run(20);
    assert_eq!(world.ready(), "0#1 1#2 0#3");
    world.run(100_000);
    world.expect(
        "100 report generation 2 begins
         100 start 0#3 g2
         100 start 1#4 g2
         110 ready 0#3
         110 report worker 1 (life 4) did not start: exit code 3
         110 start 1#5 g2
         120 report worker 1 (life 5) did not start: exit code 3
         120 report worker 1 keeps failing, started again in 20 ms
         140 start 1#6 g2
         60140 kill 1#6
         60140 report worker 1 (life 6) did not start in time, killed
         60140 report worker 1 keeps failing, started again in 40 ms
         60140 report generation 2 is given up, the old one stays: did not start in time
         60140 retire 0#3: its generation is not wanted any more
         60140 gone 1#6
         60141 gone 0#3
         60141 forget g2",
    );
    assert_eq!(world.ready(), "0#1 1#2");
    assert_eq!(world.pool.generation().number(), 1);
    // The number is not used again.
    restart(&mut world);
    world.run(100);
    world.expect(
        "100120 report generation 3 begins
         100120 start 0#7 g3
         100120 start 1#8 g3
         100130 ready 0#7
         100130 ready 1#8
         100130 retire 0#1: its generation is not wanted any more
         100130 retire 1#2: its generation is not wanted any more
         100130 report generation 3 is ready, the old ones leave
         100131 gone 0#1
         100131 gone 1#2
         100131 forget g1",
    );
}

#[test]
fn a_single_failure_is_tried_again() {
    let mut world = World::new(Settings {
        roll: Roll { failures: 2, ..Roll::default() },
        ..Settings::new(Size::Static(1))
    });
    world.skip(100);
    world.boots.push_back(Boot::Fails);
    restart(&mut world);
    world.run(100);
    // Failures are counted anew for each generation, and only while it is rolled in.
    world.shoot(world.id(0));
    world.run(100);
    world.boots.push_back(Boot::Fails);
    restart(&mut world);
    world.run(1_000);
    world.expect(
        "100 report generation 2 begins
         100 start 0#2 g2
         110 report worker 0 (life 2) did not start: exit code 3
         110 start 0#3 g2
         120 ready 0#3
         120 retire 0#1: its generation is not wanted any more
         120 report generation 2 is ready, the old ones leave
         121 gone 0#1
         121 forget g1
         200 report worker 0 (life 3) died: signal 9
         200 report worker 0 keeps failing, started again in 20 ms
         220 start 0#4 g2
         230 ready 0#4
         300 report generation 3 begins
         300 start 0#5 g3
         310 report worker 0 (life 5) did not start: exit code 3
         310 start 0#6 g3
         320 ready 0#6
         320 retire 0#4: its generation is not wanted any more
         320 report generation 3 is ready, the old ones leave
         321 gone 0#4
         321 forget g2",
    );
}

#[test]
fn a_generation_given_up_after_a_round_is_replaced_by_the_old_one_without_a_dip() {
    let mut world = World::new(in_rounds(2, 1));
    world.skip(100);
    restart(&mut world);
    world.boots.extend([Boot::Ready, Boot::Fails, Boot::Fails, Boot::Fails]);
    world.run(1_000);
    world.expect(
        "100 report generation 2 begins
         100 start 0#3 g2
         110 ready 0#3
         110 retire 0#1: its generation is not wanted any more
         111 gone 0#1
         111 start 1#4 g2
         121 report worker 1 (life 4) did not start: exit code 3
         121 start 1#5 g2
         131 report worker 1 (life 5) did not start: exit code 3
         131 report worker 1 keeps failing, started again in 20 ms
         151 start 1#6 g2
         161 report worker 1 (life 6) did not start: exit code 3
         161 report worker 1 keeps failing, started again in 40 ms
         161 report generation 2 is given up, the old one stays: exit code 3
         161 start 0#7 g1
         171 ready 0#7
         171 retire 0#3: its generation is not wanted any more
         172 gone 0#3
         172 forget g2",
    );
}

#[test]
fn a_newer_generation_takes_the_place_of_one_that_is_not_ready() {
    let mut world = World::new(Size::Static(1));
    world.skip(100);
    world.boots.push_back(Boot::Hangs);
    restart(&mut world);
    world.run(5);
    world.leave = Some(ms(50));
    restart(&mut world);
    world.run(100);
    world.expect(
        "100 report generation 2 begins
         100 start 0#2 g2
         105 report generation 2 is given up for a newer one
         105 report generation 3 begins
         105 report worker 0 (life 2) did not start: shutdown
         105 retire 0#2: its generation is not wanted any more
         155 gone 0#2
         155 start 0#3 g3
         155 forget g2
         165 ready 0#3
         165 retire 0#1: its generation is not wanted any more
         165 report generation 3 is ready, the old ones leave",
    );
}

#[test]
fn after_two_newer_ones_the_way_back_leads_to_the_last_that_was_ready() {
    let mut world = World::new(Size::Static(1));
    world.skip(100);
    restart(&mut world);
    restart(&mut world);
    world.boots.extend([Boot::Fails; 3]);
    world.run(1_000);
    assert_eq!(world.ready(), "0#1");
    world.expect(
        "100 report generation 2 begins
         100 start 0#2 g2
         100 report generation 2 is given up for a newer one
         100 report generation 3 begins
         100 report worker 0 (life 2) did not start: shutdown
         100 retire 0#2: its generation is not wanted any more
         101 gone 0#2
         101 start 0#3 g3
         101 forget g2
         111 report worker 0 (life 3) did not start: exit code 3
         111 start 0#4 g3
         121 report worker 0 (life 4) did not start: exit code 3
         121 report worker 0 keeps failing, started again in 20 ms
         141 start 0#5 g3
         151 report worker 0 (life 5) did not start: exit code 3
         151 report worker 0 keeps failing, started again in 40 ms
         151 report generation 3 is given up, the old one stays: exit code 3
         151 forget g3",
    );
}

#[test]
fn who_becomes_ready_after_it_was_told_to_leave_stays_told() {
    let mut world = World::new(Size::Static(1));
    let slow = world.id(0);
    world.leave = None;
    restart(&mut world);
    world.tell(Event::Started(slow));
    assert_eq!(world.ready(), "", "nothing new goes to the old generation");
    world.exits(slow, ExitReason::Code(3));
    world.run(100);
    world.expect(
        "0 start 0#1 g1
         0 report generation 2 begins
         0 report worker 0 (life 1) did not start: shutdown
         0 retire 0#1: its generation is not wanted any more
         0 start 0#2 g2
         10 ready 0#2
         10 report generation 2 is ready, the old ones leave
         10 forget g1
         10 READY",
    );
}

#[test]
fn deaths_on_the_way_are_made_good_with_the_new_generation() {
    let mut world = World::new(in_rounds(3, 1));
    world.skip(100);
    restart(&mut world);
    world.run(5);
    world.shoot(world.id(1));
    world.run(100);
    world.expect(
        "100 report generation 2 begins
         100 start 0#4 g2
         105 report worker 1 (life 2) died: signal 9
         105 start 1#5 g2
         110 ready 0#4
         115 ready 1#5
         115 retire 0#1: its generation is not wanted any more
         116 gone 0#1
         116 start 2#6 g2
         126 ready 2#6
         126 retire 2#3: its generation is not wanted any more
         126 report generation 2 is ready, the old ones leave
         127 gone 2#3
         127 forget g1",
    );
}

#[test]
fn a_death_right_after_the_roll_is_made_good_although_the_old_ones_are_still_leaving() {
    let mut world = World::new(Size::Static(2));
    world.skip(100);
    world.leave = None;
    restart(&mut world);
    world.skip(10);
    assert_eq!(world.pool.counts().leaving, 2);
    world.shoot(world.id(1));
    world.run(100);
    world.expect(
        "110 report worker 1 (life 4) died: signal 9
         110 start 1#5 g2
         120 ready 1#5",
    );
}

#[test]
fn all_old_ones_may_die_meanwhile() {
    let mut world = World::new(Size::Static(2));
    world.skip(100);
    restart(&mut world);
    for worker in world.pool.serving().collect::<Vec<_>>() {
        world.shoot(worker);
    }
    assert!(world.pool.is_rolling(), "nobody has seen the new generation ready");
    world.run(100);
    world.expect(
        "100 report generation 2 begins
         100 start 0#3 g2
         100 start 1#4 g2
         100 report worker 0 (life 1) died: signal 9
         100 report worker 1 (life 2) died: signal 9
         110 ready 0#3
         110 ready 1#4
         110 report generation 2 is ready, the old ones leave
         110 forget g1",
    );
}

#[test]
fn without_load_there_is_nobody_to_wait_for() {
    let mut world = World::new(Size::on_demand(2));
    world.request(5);
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.request(5);
    world.run(100);
    world.expect(
        "100 report generation 2 begins
         100 retire 0#1: its generation is not wanted any more
         100 report generation 2 is ready, the old ones leave
         101 gone 0#1
         101 forget g1
         200 start 0#2 g2
         210 ready 0#2",
    );
}

#[test]
fn a_first_generation_that_does_not_boot_is_replaced_by_one_that_does() {
    let mut world = World::new(Size::Static(2));
    world.boots.extend([Boot::Fails; 6]);
    world.skip(65);
    world.boots.clear();
    restart(&mut world);
    world.run(1_000);
    world.expect(
        "65 report generation 2 begins
         65 start 0#7 g2
         65 start 1#8 g2
         75 ready 0#7
         75 ready 1#8
         75 report generation 2 is ready, the old ones leave
         75 forget g1
         75 READY",
    );
}

#[test]
fn a_stop_or_a_drain_ends_the_roll() {
    for (end, phrase) in [(Event::Stop, "stopped"), (Event::Drain, "drained")] {
        let mut world = World::new(Size::Static(1));
        world.skip(100);
        restart(&mut world);
        world.tell(end);
        world.expect(&format!(
            "100 report generation 2 begins
             100 start 0#2 g2
             100 report generation 2 is given up: the pool leaves
             100 retire 0#1: the pool is {phrase}
             100 report worker 0 (life 2) did not start: shutdown
             100 retire 0#2: the pool is {phrase}"
        ));
    }
}

#[test]
fn a_drained_pool_takes_the_new_generation_when_it_goes_on() {
    let mut world = World::new(Size::Static(1));
    world.skip(100);
    world.tell(Event::Drain);
    world.skip(100);
    restart(&mut world);
    world.run(100);
    world.tell(Event::Start);
    world.run(100);
    world.expect(
        "200 report generation 2 begins
         200 report generation 2 is ready, the old ones leave
         200 forget g1
         300 start 0#2 g2
         310 ready 0#2",
    );
}
