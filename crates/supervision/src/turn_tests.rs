//! A driver in miniature: answers starts and stops at once unless told otherwise, and writes down what it is told.

use std::collections::HashMap;
use std::time::Duration;

use crate::{
    Action, Backoff, ChildId, ChildKey, ChildSpec, Event, ExitReason, Flags, Incarnation, Intensity, Reply,
    Request, RequestError, RequestId, Restart, Shutdown, Strategy, Supervisor, Time,
};

struct World {
    rules: Supervisor,
    now: Time,
    names: HashMap<ChildKey, ChildId>,
    lives: HashMap<&'static str, Incarnation>,
    /// Children whose next starts fail, and how often.
    failing: HashMap<&'static str, u32>,
    /// Children that do not answer a stop, or a start.
    stuck: Vec<&'static str>,
    trace: Vec<String>,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    fn new(flags: Flags, specs: Vec<ChildSpec>) -> Self {
        let rules = Supervisor::new(flags, specs).expect("the specs are good");
        let mut world = Self {
            rules,
            now: Time::START,
            names: HashMap::new(),
            lives: HashMap::new(),
            failing: HashMap::new(),
            stuck: Vec::new(),
            trace: Vec::new(),
        };
        for key in world.rules.keys().collect::<Vec<_>>() {
            let id = world.rules.spec(key).expect("it was just listed").id.clone();
            world.names.insert(key, id);
        }
        world
    }

    fn abc(strategy: Strategy, restarts: u32) -> Self {
        let intensity = Intensity::new(restarts, Duration::from_secs(5));
        let specs = ["a", "b", "c"].map(ChildSpec::worker).to_vec();
        let mut world = World::new(Flags { strategy, intensity, ..Flags::default() }, specs);
        world.tell(Event::Start);
        assert_eq!(world.take(), "+a +b +c ready");
        world
    }

    fn tell(&mut self, event: Event) {
        self.rules.handle(self.now, event);
        self.play();
    }

    fn ask(&mut self, id: u64, request: Request) {
        self.rules.request(self.now, RequestId(id), request);
        self.play();
    }

    fn exit(&mut self, name: &'static str, reason: ExitReason) {
        let life = self.lives[name];
        self.tell(Event::Exited(life, reason));
    }

    fn name(&self, key: ChildKey) -> &'static str {
        let id = self.names.get(&key).expect("it was added").as_str();
        NAMES.into_iter().find(|name| *name == id).expect("only these are used")
    }

    fn name_of(&self, life: Incarnation) -> &'static str {
        let found = self.lives.iter().find(|(_, known)| **known == life);
        found.map(|(name, _)| *name).expect("only started lives are stopped")
    }

    fn play(&mut self) {
        while let Some(action) = self.rules.poll_action() {
            match action {
                Action::Start(key, life) => {
                    let name = self.name(key);
                    self.lives.insert(name, life);
                    let failing = self.failing.entry(name).or_default();
                    if *failing > 0 {
                        *failing -= 1;
                        self.trace.push(format!("!{name}"));
                        let reason = ExitReason::Error("no".into());
                        self.rules.handle(self.now, Event::StartFailed(life, reason));
                    } else {
                        self.trace.push(format!("+{name}"));
                        if !self.stuck.contains(&name) {
                            self.rules.handle(self.now, Event::Started(life));
                        }
                    }
                }
                Action::Stop(life) => {
                    let name = self.name_of(life);
                    self.trace.push(format!("-{name}"));
                    if !self.stuck.contains(&name) {
                        self.rules.handle(self.now, Event::Exited(life, ExitReason::Shutdown));
                    }
                }
                Action::Kill(life) => {
                    self.trace.push(format!("x{}", self.name_of(life)));
                    self.rules.handle(self.now, Event::Exited(life, ExitReason::Killed));
                }
                Action::Added(_, key) => {
                    let id = self.rules.spec(key).expect("it was just added").id.clone();
                    self.names.insert(key, id);
                }
                Action::Forget(key) => self.trace.push(format!("forget:{}", self.name(key))),
                Action::Reply(id, reply) => self.trace.push(format!("{}:{reply:?}", id.0)),
                Action::Report(report) => {
                    self.trace.push(format!("{}({},{})", report.kind.name(), report.child, report.reason));
                }
                Action::Ready => self.trace.push("ready".into()),
                Action::Exit(reason) => self.trace.push(format!("exit({reason})")),
            }
        }
    }

    /// Jumps to the next deadline.
    fn sleep(&mut self) -> Duration {
        let next = self.rules.poll_timeout().expect("there is a deadline");
        let slept = next.saturating_since(self.now);
        self.now = next;
        self.tell(Event::Timeout);
        slept
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.trace).join(" ")
    }
}

fn boom() -> ExitReason {
    ExitReason::Error("boom".into())
}

#[test]
fn starts_in_order_and_stops_in_reverse() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.tell(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "-c -b -a exit(shutdown)");
    assert_eq!(world.rules.poll_timeout(), None);
}

#[test]
fn a_strategy_is_a_range() {
    for (strategy, expected) in [
        (Strategy::OneForOne, "child_terminated(b,boom) +b"),
        (Strategy::RestForOne, "child_terminated(b,boom) -c +b +c"),
        (Strategy::OneForAll, "child_terminated(b,boom) -c -a +a +b +c"),
    ] {
        let mut world = World::abc(strategy, 1);
        world.exit("b", boom());
        assert_eq!(world.take(), expected);
    }
}

#[test]
fn one_restart_too_many_ends_it() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.exit("b", boom());
    world.take();
    world.exit("c", boom());
    let end = "exit(restart limit reached, last failure of child c: boom)";
    assert_eq!(world.take(), format!("child_terminated(c,boom) shutdown(c,boom) -b -a {end}"));
}

#[test]
fn the_first_start_fails_fast() {
    let specs = ["a", "b", "c"].map(ChildSpec::worker).to_vec();
    let mut world = World::new(Flags::default(), specs);
    world.failing.insert("b", 1);
    world.tell(Event::Start);
    assert_eq!(world.take(), "+a !b start_error(b,no) -a exit(child b failed to start: no)");
}

#[test]
fn a_failed_restart_counts_and_is_retried() {
    let mut world = World::abc(Strategy::OneForOne, 3);
    world.failing.insert("a", 2);
    world.exit("a", boom());
    assert_eq!(world.take(), "child_terminated(a,boom) !a start_error(a,no) !a start_error(a,no) +a");
    world.exit("a", boom());
    assert!(world.take().contains("shutdown(a,boom)"), "1 crash and 2 failed tries had been counted");
}

#[test]
fn requests_are_served_between_retries() {
    let mut world = World::abc(Strategy::OneForOne, 1_000);
    world.stuck.push("a");
    world.exit("a", boom());
    let life = world.lives["a"];
    world.ask(7, Request::TerminateChild("a".into()));
    assert_eq!(world.take(), "child_terminated(a,boom) +a");
    world.tell(Event::StartFailed(life, boom()));
    assert_eq!(world.take(), "start_error(a,boom) 7:Done");
}

#[test]
fn a_stuck_child_delays_a_shutdown_by_its_time_out() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    world.stuck.push("b");
    world.tell(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "-c -b");
    assert_eq!(world.sleep(), Duration::from_secs(5));
    assert_eq!(world.take(), "xb shutdown_error(b,killed) -a exit(shutdown)");
}

#[test]
fn a_shutdown_does_not_wait_for_the_first_start() {
    let specs = ["a", "b", "c"].map(ChildSpec::worker).to_vec();
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("b");
    world.tell(Event::Start);
    world.tell(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "+a +b -b");
    world.exit("b", ExitReason::Shutdown);
    assert_eq!(world.take(), "-a exit(shutdown)");
}

#[test]
fn siblings_that_died_meanwhile_are_not_counted_again() {
    let mut world = World::abc(Strategy::OneForAll, 1);
    world.stuck.push("c");
    world.exit("a", boom());
    world.exit("b", boom());
    world.stuck.clear();
    world.exit("c", boom());
    let errors = "shutdown_error(c,boom) shutdown_error(b,boom)";
    assert_eq!(world.take(), format!("child_terminated(a,boom) -c {errors} +a +b +c"));
}

#[test]
fn temporary_siblings_go_with_the_group() {
    let mut specs = ["a", "b", "c"].map(ChildSpec::worker).to_vec();
    specs[1].restart = Restart::Temporary;
    let flags = Flags { strategy: Strategy::OneForAll, ..Flags::default() };
    let mut world = World::new(flags, specs);
    world.tell(Event::Start);
    world.take();
    world.exit("c", boom());
    assert_eq!(world.take(), "child_terminated(c,boom) -b forget:b -a +a +c");
}

#[test]
fn backoff_delays_a_restart_but_not_a_shutdown() {
    let backoff = Backoff { first: Duration::from_millis(10), ..Backoff::default() };
    let specs = vec![ChildSpec { backoff: Some(backoff), ..ChildSpec::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.tell(Event::Start);
    world.exit("a", boom());
    assert_eq!(world.take(), "+a ready child_terminated(a,boom) +a", "the first restart is immediate");
    world.exit("a", boom());
    assert_eq!(world.take(), "child_terminated(a,boom)");
    assert_eq!(world.sleep(), Duration::from_millis(10));
    assert_eq!(world.take(), "+a");
    world.exit("a", boom());
    world.tell(Event::Shutdown(ExitReason::Shutdown));
    assert_eq!(world.take(), "child_terminated(a,boom) exit(shutdown)");
}

#[test]
fn a_start_that_takes_too_long_is_killed_once() {
    let start_timeout = Some(Duration::from_secs(1));
    let specs = vec![ChildSpec { start_timeout, ..ChildSpec::worker("a") }];
    let mut world = World::new(Flags::default(), specs);
    world.stuck.push("a");
    world.tell(Event::Start);
    assert_eq!(world.sleep(), Duration::from_secs(1));
    let reason = "did not start in time";
    let failed = format!("start_error(a,{reason}) exit(child a failed to start: {reason})");
    assert_eq!(world.take(), format!("+a xa {failed}"));
}

#[test]
fn stale_answers_change_nothing() {
    let mut world = World::abc(Strategy::OneForOne, 3);
    let first = world.lives["a"];
    world.exit("a", boom());
    world.take();
    world.tell(Event::Exited(first, boom()));
    world.tell(Event::Started(first));
    world.tell(Event::StartFailed(first, boom()));
    assert_eq!(world.take(), "");
}

#[test]
fn admin_calls_answer_as_otp_does() {
    let mut world = World::abc(Strategy::OneForOne, 1);
    let error = |id: u64, error: RequestError| format!("{id}:{:?}", Reply::Error(error));
    let life = world.lives["b"];
    world.ask(1, Request::StartChild(ChildSpec::worker("b")));
    assert_eq!(world.take(), error(1, RequestError::AlreadyStarted(life)));
    world.ask(2, Request::DeleteChild("b".into()));
    assert_eq!(world.take(), error(2, RequestError::Running));
    world.ask(3, Request::TerminateChild("b".into()));
    assert_eq!(world.take(), "-b 3:Done");
    world.ask(4, Request::StartChild(ChildSpec::worker("b")));
    assert_eq!(world.take(), error(4, RequestError::AlreadyPresent));
    world.ask(5, Request::DeleteChild("b".into()));
    assert_eq!(world.take(), "forget:b 5:Done");
    world.ask(6, Request::RestartChild("b".into()));
    assert_eq!(world.take(), error(6, RequestError::NotFound));
    let brutal = ChildSpec { shutdown: Shutdown::Kill, ..ChildSpec::worker("d") };
    world.ask(7, Request::StartChild(brutal));
    assert!(world.take().starts_with("+d 7:Started"));
    world.tell(Event::Shutdown(ExitReason::Normal));
    assert_eq!(world.take(), "xd -c -a exit(normal)");
}
