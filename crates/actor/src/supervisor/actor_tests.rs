use super::*;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use slog::{Discard, Logger, o};

use crate::child::spawn::SpawnRequest;

/// A core with one deadline, which each event makes nearer by a second.
struct Deadlines {
    next: Option<Time>,
    timeouts: Rc<Cell<u32>>,
}

impl SupervisorCore for Deadlines {
    fn handle(&mut self, _: Time, event: Event) {
        if event == Event::Timeout {
            self.timeouts.set(self.timeouts.get() + 1);
            self.next = None;
        } else {
            self.next = self.next.map(|next| Time::from_start(next.since_start() - Duration::from_secs(1)));
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    fn start(&mut self, _: ChildKey, _: ChildContext, _: ExitGuard) {}

    fn forget(&mut self, _: ChildKey) {}

    fn strategy(&self) -> Option<Strategy> {
        None
    }

    fn child_statuses(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(std::iter::empty())
    }
}

#[actix_rt::test]
async fn nearer_deadline_cancels_the_armed_timer() {
    tokio::time::pause();
    let timeouts = Rc::new(Cell::new(0));
    let deadline = Some(Time::from_start(Duration::from_secs(1000)));
    let core = Deadlines { next: deadline, timeouts: Rc::clone(&timeouts) };
    let env = ChildContext::root(Logger::root(Discard, o!()));
    let events = EventSender::new(env.registry().clone(), |_, _| {});
    let guard = ExitGuard::new(events, Arc::clone(env.cell()));
    let mut actor = None;
    let request = SpawnRequest { env, guard, ack: false, on_start: |started| actor = Some(started) };
    request.spawn(|env| Ok(SupervisorActor::new(core, env.supervisor(&"top".into(), None))));
    let actor = actor.expect("it is started");
    for _ in 0..100 {
        let event = Event::Started(Incarnation::ROOT);
        let event = ChildEvent { event, report_fields: ReportFields::new() };
        assert!(actor.push(event, None, Limit::Unbounded).is_ok());
    }
    // Longer than every deadline on the paused clock: all timers that exist fire, and the actor keeps running.
    let exit = tokio::time::timeout(Duration::from_secs(2000), actor.pid().wait_exit()).await;
    assert!(exit.is_err(), "the actor exited");
    assert_eq!(timeouts.get(), 1);
    actor.pid().kill();
}
