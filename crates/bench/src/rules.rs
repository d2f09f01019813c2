//! The supervision rules alone: events and actions, without actors or processes. The peer is the same code
//! with fewer children: a ratio of 1 means that the cost per child does not depend on their number.
//! `rules-restart` restarts [`VICTIMS`] of its children.
//!
//! The ratio of `rules-dynamic` is about 0.3, although the work per child is equal: an event takes about 800
//! instructions with 1,000 and with 100,000 children (measured by callgrind). The difference is memory: 1,000
//! children fit into the core's cache, 100,000 do not, and each new supervisor touches its pages for the
//! first time. With a peer of 10,000 children the ratio is about 0.4. A falling ratio means larger children.
//! A ratio near 0.01 means that an event visits all children.

use std::hint::black_box;
use std::time::{Duration, Instant};

use impresario_supervision::{
    Action, Backoff, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation, Intensity,
    RequestId, Restart, Supervisor, Time,
};

/// One side of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rules {
    /// Restarts of one of this many children, `one_for_one`.
    Restart { children: u32 },
    /// Starts this many dynamic children, then stops all.
    Dynamic { children: u32 },
}

/// A restart limit that is never reached at one restart per [`TICK`].
const INTENSITY: Intensity = Intensity::new(8, Duration::from_millis(1));
/// Virtual time between two restarts.
const TICK: Duration = Duration::from_millis(1);
/// Number of different children that are restarted.
const VICTIMS: usize = 10;
/// Number of restarts between two reads of the clock.
const BATCH: u32 = 256;

impl Rules {
    /// Runs for this time. Returns the number of events per second.
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

/// Starts the rules and acknowledges every start.
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
    // The number of victims does not depend on the number of children, so only the latter differs between the
    // sides.
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

/// Starts a dynamic supervisor with this many children and stops it. Returns the number of events.
fn start_and_stop_all(children: u32) -> u32 {
    let template =
        ChildRules { restart: Restart::Temporary, backoff: None::<Backoff>, ..ChildRules::worker("child") };
    let mut rules = DynamicSupervisor::new(flags(), template, None)
        .unwrap_or_else(|error| unreachable!("the template is good: {error}"));
    let mut events = 1;
    rules.handle(Time::START, Event::Start);
    for number in 0..children {
        // The supervisor runs and has no limit, so it accepts the child.
        let _ = rules.start_child(Time::START, RequestId(number.into()));
        events += perform_actions(&mut rules);
    }
    rules.handle(Time::START, Event::Shutdown(ExitReason::Shutdown));
    events + perform_actions(&mut rules)
}

/// Performs all actions immediately. Returns the number of events.
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
        // Three events per child: request, start and exit.
        assert_eq!(start_and_stop_all(100), 1 + 2 * 100 + 1 + 100);
        assert!(Rules::Restart { children: 10 }.measure(Duration::from_millis(5)) > 0.0);
    }
}
