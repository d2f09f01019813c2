//! Plays the steps of a scenario in a world.

use std::time::Duration;

use impresario_supervision::ExitReason;

use super::Scenario;
use super::step::{Call, Op, Step, TOP};
use super::term::Term;
use super::world::{Answer, Booted, CallId, Listed, ProcessId, World, answer_text};

// All times equal those of the runner that recorded OTP's traces.
/// Bound of the exit of a process that was asked to exit.
const END: Duration = Duration::from_secs(5);
/// Bound of a shutdown.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Bound of the shutdown at the end of the scenario.
const LAST_SHUTDOWN: Duration = Duration::from_secs(10);
/// Bound of the wait for an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Bound of the wait for the answer of an asynchronous call.
const ASYNC_ANSWER: Duration = Duration::from_secs(10);
/// Time for a signal to arrive and to be handled.
const ARRIVAL: Duration = Duration::from_millis(20);
/// The same for steps that do not wait.
const ASYNC_ARRIVAL: Duration = Duration::from_millis(30);
/// Interval of the checks whether the world is idle.
const LOOK: Duration = Duration::from_millis(5);
/// Number of idle checks in a row after which the world is settled.
const QUIET_LOOKS: u32 = 2;
/// Number of checks after which settling has failed.
const MOST_LOOKS: u32 = 400;

/// Length of a slot in `took` lines.
const SLOT: Duration = Duration::from_millis(100);

/// Plays a scenario to its end. Afterwards the world holds the trace.
pub fn play<W: World>(scenario: &Scenario, world: &mut W) {
    let mut script = Script { world, top: None, pending: Vec::new(), crashed: false };
    match script.world.boot(&scenario.top) {
        Booted::Ok(top) => {
            script.top = Some(top);
            script.settle();
            for step in &scenario.steps {
                script.step(step);
                if script.crashed {
                    return;
                }
            }
        }
        Booted::Ignore => script.failed("start_link ignore".to_owned()),
        Booted::Error(reason) => script.failed(format!("start_link error {reason}")),
    }
    script.settle();
    script.end();
}

struct Script<'a, W> {
    world: &'a mut W,
    top: Option<ProcessId>,
    /// Asynchronous calls without an awaited answer.
    pending: Vec<CallId>,
    /// A step was impossible, so no later step is played.
    crashed: bool,
}

impl<W: World> Script<'_, W> {
    fn failed(&mut self, line: String) {
        self.settle();
        self.world.write(line);
    }

    fn end(&mut self) {
        let Some(top) = self.top else { return };
        if self.world.is_alive(top) {
            self.world.write("end $sup alive".to_owned());
            self.shutdown(ExitReason::Shutdown, LAST_SHUTDOWN);
        } else {
            self.world.write("end $sup dead".to_owned());
        }
    }

    fn step(&mut self, step: &Step) {
        self.world.write(step.line.clone());
        let settles = self.perform(&step.op);
        if settles && !self.crashed {
            self.settle();
        }
    }

    /// Performs a step. Returns whether the world settles afterwards.
    fn perform(&mut self, op: &Op) -> bool {
        match op {
            Op::ExitSelf { id, reason, wait } => {
                self.exit_self(id, reason.to_reason(), *wait);
                return *wait;
            }
            Op::Signal { id, reason, wait } => {
                self.signal(id, reason, *wait);
                return *wait;
            }
            Op::Kill(id) => self.kill(id),
            Op::Message(id) => self.with(id, W::message),
            Op::Unlink(id) => {
                self.with(id, W::unlink);
                self.world.sleep(ARRIVAL);
            }
            Op::Call(supervisor, call) => self.call(supervisor, call),
            Op::WhichSorted => self.which_sorted(),
            Op::CallAsync { name, id, call } => {
                self.call_async(name, id, call);
                return false;
            }
            Op::AwaitReply => {
                self.await_reply();
                return false;
            }
            Op::Suspend => {
                self.with(TOP, W::suspend);
                return false;
            }
            Op::Resume => self.with(TOP, W::resume),
            Op::Shutdown(reason) => self.shutdown(reason.to_reason(), SHUTDOWN),
            Op::Sleep(time) => self.world.sleep(*time),
            Op::Settle => {}
            Op::SetStart(id, attempts) => {
                self.world.set_start(id, attempts.clone());
                return false;
            }
            Op::Upgrade(plan) => self.call(TOP, &Call::Upgrade(plan.clone())),
        }
        true
    }

    /// The latest process of an id. Writes a `RUNNER_CRASH` line if there is none.
    fn process(&mut self, id: &str) -> Option<ProcessId> {
        let process = if id == TOP { self.top } else { self.world.process(id) };
        if process.is_none() {
            self.world.write(format!("RUNNER_CRASH no process {id}"));
            self.crashed = true;
        }
        process
    }

    fn with(&mut self, id: &str, act: impl Fn(&mut W, ProcessId)) {
        if let Some(process) = self.process(id) {
            act(self.world, process);
        }
    }

    fn exit_self(&mut self, id: &str, reason: ExitReason, wait: bool) {
        let Some(process) = self.process(id) else { return };
        self.world.exit_self(process, reason);
        if !wait {
            self.world.sleep(ASYNC_ARRIVAL);
        } else if !self.world.await_end(process, END) {
            self.world.write("TIMEOUT down".to_owned());
        }
    }

    fn signal(&mut self, id: &str, reason: &Term, wait: bool) {
        let Some(process) = self.process(id) else { return };
        if *reason == Term::atom("kill") {
            self.world.kill(process);
        } else {
            self.world.signal(process, reason.to_reason());
        }
        self.world.sleep(if wait { ARRIVAL } else { ASYNC_ARRIVAL });
    }

    fn kill(&mut self, id: &str) {
        let Some(process) = self.process(id) else { return };
        self.world.kill(process);
        if !self.world.await_end(process, END) {
            self.world.write("TIMEOUT down".to_owned());
        }
        self.world.sleep(ARRIVAL);
    }

    fn call(&mut self, supervisor: &str, call: &Call) {
        let announce = match call {
            Call::Which => "which ",
            Call::Count => "count ",
            Call::ChildSpec(_) => "childspec ",
            Call::Upgrade(_) => "upgrade ",
            _ => "result ",
        };
        if self.ask(supervisor, call, Some(announce.to_owned())).is_none() {
            self.world.write("TIMEOUT call".to_owned());
        }
    }

    fn ask(&mut self, supervisor: &str, call: &Call, announce: Option<String>) -> Option<Answer> {
        let supervisor = self.process(supervisor)?;
        let call = self.world.call(supervisor, call.clone(), announce);
        self.world.await_answer(call, ANSWER)
    }

    fn which_sorted(&mut self) {
        let answer = self.ask(TOP, &Call::Which, None);
        let answer = answer.map(|answer| answer_text(&answer, |process| self.world.name(process)));
        let answer = answer.unwrap_or_default();
        let mut children: Vec<&str> = answer.split_whitespace().collect();
        children.sort_unstable();
        let line = children.iter().fold("which".to_owned(), |line, child| line + " " + child);
        self.world.write(line);
    }

    fn call_async(&mut self, name: &str, id: &str, call: &Call) {
        if let Some(top) = self.process(TOP) {
            let announce = format!("reply {name} {id} ");
            let call = self.world.call(top, call.clone(), Some(announce));
            self.pending.push(call);
        }
        self.world.sleep(ARRIVAL);
    }

    fn await_reply(&mut self) {
        let answered = match self.pending.is_empty() {
            true => None,
            // Calls are answered in order, so the oldest one is awaited.
            false => self.world.await_answer(self.pending.remove(0), ASYNC_ANSWER),
        };
        if answered.is_none() {
            self.world.write("TIMEOUT await_reply".to_owned());
        }
    }

    fn shutdown(&mut self, reason: ExitReason, within: Duration) {
        let Some(top) = self.top else { return };
        let start = self.world.elapsed();
        self.world.signal(top, reason);
        if !self.world.await_end(top, within) {
            self.world.write("TIMEOUT sup".to_owned());
            self.world.kill(top);
            self.world.await_end(top, END);
        }
        let slots = (self.world.elapsed() - start).as_millis() / SLOT.as_millis();
        let took = if slots == 0 { "<100ms".to_owned() } else { format!("{slots}x100ms") };
        self.world.write(format!("took {took}"));
    }

    /// Waits until the world is settled: no new line, and no child of the top supervisor is restarting.
    fn settle(&mut self) {
        let (mut lines, mut quiet) = (self.world.lines(), 0);
        for _ in 0..=MOST_LOOKS {
            if quiet >= QUIET_LOOKS {
                return;
            }
            let busy = self.is_restarting();
            self.world.sleep(LOOK);
            let now = self.world.lines();
            quiet = if now == lines && !busy { quiet + 1 } else { 0 };
            lines = now;
        }
        self.world.write("TIMEOUT settle".to_owned());
    }

    fn is_restarting(&mut self) -> bool {
        if self.top.is_none() {
            return false;
        }
        match self.ask(TOP, &Call::Which, None) {
            Some(Answer::Children(children)) => {
                children.iter().any(|(_, listed)| *listed == Listed::Restarting)
            }
            _ => false,
        }
    }
}
