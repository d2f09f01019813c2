//! The rules by themselves: no actor, no process, only events and actions. The peer is the same rules with fewer
//! children: at a ratio of 1 a child costs the same among many. `rules-restart` restarts [`VICTIMS`] of its children.
//!
//! `rules-dynamic` is near 0.3 although it does no more for each of 100,000 children than for each of 1,000: an event takes
//! some 800 instructions in both (by callgrind), and a property of the rules holds the work to be linear. The rest is
//! memory: 1,000 children stay in the cache next to the core, while those of 100,000 come from further away, in pages that
//! each life of the supervisor is the first to touch. A peer of 10,000 would leave it near 0.4. So a ratio that falls says
//! that children have grown, and one near 0.01 that an event looks at all of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use impresario_supervision::{
    Action, Backoff, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation, Intensity,
    RequestId, Restart, Supervisor, Time,
};

/// One side of a row that measures the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rules {
    /// Restarts of one child of this many, one_for_one.
    Restart { children: u32 },
    /// Starting this many dynamic children, then stopping them all.
    Dynamic { children: u32 },
}

/// A restart limit that is never reached at one restart per tick of [`TICK`].
const INTENSITY: Intensity = Intensity::new(8, Duration::from_millis(1));
/// How much virtual time passes between two restarts.
const TICK: Duration = Duration::from_millis(1);
/// How many different children are restarted.
const VICTIMS: usize = 10;
/// How many restarts are made between two looks at the clock.
const BATCH: u32 = 256;

impl Rules {
    /// Goes on for this long; how many events the rules were told in a second.
    pub(crate) fn measure(self, time: Duration) -> f64 {
        match self {
            Self::Restart { children } => restarts(children, time),
            Self::Dynamic { children } => dynamic(children, time),
        }
    }
}

fn flags() -> Flags {
    Flags { intensity: INTENSITY, ..Flags::default() }
}

/// Has the rules begin, and answers every start.
fn started(children: u32) -> (Supervisor, Vec<Incarnation>) {
    let specs = (0..children).map(|number| ChildRules::worker(format!("child {number}"))).collect();
    let mut rules =
        Supervisor::new(flags(), specs).unwrap_or_else(|error| unreachable!("ids differ: {error}"));
    let mut incarnations = Vec::new();
    rules.handle(Time::START, Event::Start);
    while let Some(action) = rules.poll_action() {
        if let Action::Start(_, incarnation) = action {
            incarnations.push(incarnation);
            rules.handle(Time::START, Event::Started(incarnation));
        }
    }
    (rules, incarnations)
}

fn restarts(children: u32, time: Duration) -> f64 {
    let (mut rules, mut incarnations) = started(children);
    let (mut now, mut events, mut victim_index) = (Time::START, 0_u32, 0);
    // As many victims whatever the number of children, so that only that number differs.
    let distance = incarnations.len() / VICTIMS;
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..BATCH {
            now = now + TICK;
            victim_index = (victim_index + 1) % VICTIMS;
            let victim = victim_index * distance;
            rules.handle(now, Event::Exited(incarnations[victim], ExitReason::Killed));
            while let Some(action) = rules.poll_action() {
                if let Action::Start(_, incarnation) = black_box(action) {
                    incarnations[victim] = incarnation;
                    rules.handle(now, Event::Started(incarnation));
                }
            }
            events += 2;
        }
    }
    f64::from(events) / start.elapsed().as_secs_f64()
}

fn dynamic(children: u32, time: Duration) -> f64 {
    let mut events = 0_u32;
    let start = Instant::now();
    while start.elapsed() < time {
        events += start_and_stop_all(children);
    }
    f64::from(events) / start.elapsed().as_secs_f64()
}

/// The whole life of a dynamic supervisor; how many events it was told.
fn start_and_stop_all(children: u32) -> u32 {
    let template =
        ChildRules { restart: Restart::Temporary, backoff: None::<Backoff>, ..ChildRules::worker("child") };
    let mut rules = DynamicSupervisor::new(flags(), template, None)
        .unwrap_or_else(|error| unreachable!("the template is good: {error}"));
    let mut events = 1;
    rules.handle(Time::START, Event::Start);
    for number in 0..children {
        // It runs and has no limit, so it does not refuse.
        let _ = rules.start_child(Time::START, RequestId(number.into()));
        events += perform_actions(&mut rules);
    }
    rules.handle(Time::START, Event::Shutdown(ExitReason::Shutdown));
    events + perform_actions(&mut rules)
}

/// Does at once what the rules say.
fn perform_actions(rules: &mut DynamicSupervisor) -> u32 {
    let mut events = 1;
    while let Some(action) = rules.poll_action() {
        let event = match black_box(action) {
            Action::Start(_, incarnation) => Event::Started(incarnation),
            Action::Stop(incarnation) => Event::Exited(incarnation, ExitReason::Shutdown),
            _ => continue,
        };
        events += 1;
        rules.handle(Time::START, event);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_start_stop_and_restart_all_children() {
        let (rules, incarnations) = started(10);
        assert_eq!((rules.keys().count(), incarnations.len()), (10, 10));
        // Per child its start and its end are told, and that it was asked for.
        assert_eq!(start_and_stop_all(100), 1 + 2 * 100 + 1 + 100);
        assert!(Rules::Restart { children: 10 }.measure(Duration::from_millis(5)) > 0.0);
    }
}
