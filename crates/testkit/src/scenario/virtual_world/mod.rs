//! A world of simulated processes on virtual time: the clock jumps to the next thing that happens.
//!
//! Processes, links and exit signals are Erlang's; what supervisors decide is ours: each of them is one instance of
//! the rules, told what its process would be told, in the order in which it would be.

mod answers;
mod messages;
mod process;
mod starts;
mod supervisor;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation, Time};

use super::plan::{Attempt, SupervisorPlan};
use super::step::Call;
use super::term::reason_text;
use super::world::{Answer, Booted, CallId, ProcessId, World, answer_text};
use messages::Letter;
use process::{Body, Process};
use supervisor::{Supervisor, SupervisorId};

/// A world in which time passes only when nothing else is left to do.
#[derive(Debug, Default)]
pub struct VirtualWorld {
    now: Duration,
    next_number: u64,
    /// What will happen, by time and then in the order in which it was arranged.
    agenda: BTreeMap<(Duration, Place, u64), Happening>,
    processes: Vec<Process>,
    supervisors: Vec<Supervisor>,
    /// How many start attempts each id had.
    attempts: HashMap<String, u32>,
    /// What the next start attempts of each id do.
    behaviours: HashMap<String, Vec<Attempt>>,
    /// The latest life of each id.
    latest: HashMap<String, ProcessId>,
    calls: Vec<PendingCall>,
    /// What other processes will do when they come to their turn.
    turns: Vec<Turn>,
    booted: Option<Booted>,
    trace: Vec<String>,
}

#[derive(Debug)]
struct PendingCall {
    announce: Option<String>,
    answer: Option<Answer>,
}

/// Where at its time something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Whoever arranged it is still running.
    First,
    /// In turn.
    Among,
    /// When nothing else is left.
    Last,
}

/// What another process does that was woken by a supervisor.
#[derive(Debug)]
enum Turn {
    /// It got the answer to its call.
    Answered(CallId, Answer),
    /// It hears that the supervisor that it starts is ready.
    Started(SupervisorId),
}

/// What can happen at a time.
#[derive(Debug)]
enum Happening {
    /// A supervisor looks into its mailbox.
    Look(SupervisorId),
    /// A time has come that the rules named.
    Timer(SupervisorId),
    /// A supervisor hears of the end of a life that it is waiting for.
    Down(SupervisorId, Incarnation, ExitReason),
    /// A start function has done its work.
    StartReturns(SupervisorId, Incarnation),
    /// A nested supervisor has started all its children.
    Ready(SupervisorId),
    /// A nested supervisor has not.
    NotReady(SupervisorId, ExitReason),
    /// A process that traps exits reads of one.
    Trapped { process: ProcessId, reason: ExitReason, from_parent: bool },
    /// A process is asked to exit by itself.
    ExitSelf(ProcessId, ExitReason),
    /// A process exits.
    Exit(ProcessId, ExitReason),
    /// Whoever was woken has its turn.
    Turns,
    /// A supervisor goes on after a nested one is ready.
    GoesOn(SupervisorId, Incarnation),
}

impl VirtualWorld {
    /// An empty world at time 0.
    pub fn new() -> Self {
        Self::default()
    }

    fn time(&self) -> Time {
        Time::from_start(self.now)
    }

    fn arrange(&mut self, after: Duration, happening: Happening) {
        self.place(after, Place::Among, happening);
    }

    fn place(&mut self, after: Duration, place: Place, happening: Happening) {
        self.agenda.insert((self.now + after, place, self.next_number), happening);
        self.next_number += 1;
    }

    /// Lets the next thing happen, if there is one until then.
    fn happen(&mut self, until: Duration) -> bool {
        let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) else {
            return false;
        };
        let ((time, ..), happening) = entry.remove_entry();
        self.now = time;
        match happening {
            Happening::Look(supervisor) => self.attend(supervisor),
            Happening::Timer(supervisor) => self.timer(supervisor),
            Happening::Down(supervisor, life, reason) => self.down(supervisor, life, reason),
            Happening::StartReturns(supervisor, life) => self.start_returns(supervisor, life),
            Happening::Ready(supervisor) => self.ready(supervisor),
            Happening::NotReady(supervisor, reason) => self.not_ready(supervisor, reason),
            Happening::Trapped { process, reason, from_parent } => self.trapped(process, reason, from_parent),
            Happening::ExitSelf(process, reason) => self.asked_to_exit(process, reason),
            Happening::Exit(process, reason) => self.die(process, reason),
            Happening::Turns => self.take_turns(),
            Happening::GoesOn(supervisor, life) => self.goes_on(supervisor, life),
        }
        true
    }

    /// Goes on until the condition holds or the time is over; whether it holds.
    fn wait(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + within;
        while !holds(self) {
            if !self.happen(until) {
                self.now = until;
                return false;
            }
        }
        true
    }

    fn supervisor_of(&self, process: ProcessId) -> Option<SupervisorId> {
        match self.processes[process.0].body {
            Body::Supervisor(supervisor) => Some(supervisor),
            Body::Worker { .. } => None,
        }
    }

    fn finish(&mut self, call: CallId, answer: Answer) {
        if self.calls[call.0].announce.is_none() {
            self.calls[call.0].answer = Some(answer);
            return;
        }
        self.wake(Turn::Answered(call, answer));
    }

    /// Lets another process have its turn: not before the supervisor that woke it has done what it can do without
    /// waiting for anybody.
    fn wake(&mut self, turn: Turn) {
        self.turns.push(turn);
        self.place(Duration::ZERO, Place::Last, Happening::Turns);
    }

    /// Processes that were woken come to their turn.
    fn take_turns(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
            match turn {
                Turn::Answered(call, answer) => {
                    let text = answer_text(&answer, |process| self.name(process));
                    let announce = self.calls[call.0].announce.take().unwrap_or_default();
                    let line = announce + &text;
                    self.trace.push(if text.is_empty() { line.trim_end().to_owned() } else { line });
                    self.calls[call.0].answer = Some(answer);
                }
                Turn::Started(supervisor) => self.is_started(supervisor),
            }
        }
    }
}

/// How long a whole tree may take to start, and a suspend to be noticed: as good as for ever.
const LONG: Duration = Duration::from_secs(3_600);

impl World for VirtualWorld {
    fn boot(&mut self, plan: &Rc<SupervisorPlan>) -> Booted {
        match plan.init() {
            Some("ignore") => return Booted::Ignore,
            Some(_) => return Booted::Error(starts::BAD_INIT.to_owned()),
            None => {}
        }
        match super::check::check(plan) {
            Err(refusal) => return Booted::Error(refusal.at_start()),
            Ok(checked) => self.begin_supervisor(super::step::TOP, 1, None, checked, plan),
        };
        self.wait(LONG, |world| world.booted.is_some());
        self.booted.take().unwrap_or(Booted::Error("timeout".to_owned()))
    }

    fn write(&mut self, line: String) {
        self.trace.push(line);
    }

    fn lines(&self) -> usize {
        self.trace.len()
    }

    fn into_trace(self) -> Vec<String> {
        self.trace
    }

    fn elapsed(&self) -> Duration {
        self.now
    }

    fn sleep(&mut self, time: Duration) {
        self.wait(time, |_| false);
    }

    fn process(&self, id: &str) -> Option<ProcessId> {
        self.latest.get(id).copied()
    }

    fn name(&self, process: ProcessId) -> String {
        let known = &self.processes[process.0];
        if known.is_alive() {
            format!("{}#{}", known.id, known.attempt)
        } else if self.process(&known.id) == Some(process) {
            format!("{}#dead", known.id)
        } else {
            "pid".to_owned()
        }
    }

    fn is_alive(&self, process: ProcessId) -> bool {
        self.processes[process.0].is_alive()
    }

    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool {
        self.wait(within, |world| !world.is_alive(process))
    }

    fn exit_self(&mut self, process: ProcessId, reason: ExitReason) {
        self.arrange(Duration::ZERO, Happening::ExitSelf(process, reason));
    }

    fn signal(&mut self, process: ProcessId, reason: ExitReason) {
        // The script stands where the parent of the top supervisor is.
        let from_parent = self.processes[process.0].birth.is_none();
        self.exit_signal(process, reason, from_parent);
    }

    fn kill(&mut self, process: ProcessId) {
        self.die(process, ExitReason::Killed);
    }

    fn message(&mut self, process: ProcessId) {
        if let Some(supervisor) = self.supervisor_of(process) {
            self.send(supervisor, Letter::Unexpected);
        }
    }

    fn unlink(&mut self, process: ProcessId) {
        match self.processes[process.0].body {
            Body::Worker { busy_dying, .. } => self.processes[process.0].linked &= busy_dying,
            Body::Supervisor(supervisor) => self.send(supervisor, Letter::Unexpected),
        }
    }

    fn suspend(&mut self, supervisor: ProcessId) {
        let Some(supervisor) = self.supervisor_of(supervisor) else { return };
        self.wait(LONG, |world| world.supervisors[supervisor.0].is_idle());
        self.supervisors[supervisor.0].suspended = true;
    }

    fn resume(&mut self, supervisor: ProcessId) {
        let Some(supervisor) = self.supervisor_of(supervisor) else { return };
        self.supervisors[supervisor.0].suspended = false;
        self.arrange(Duration::ZERO, Happening::Look(supervisor));
    }

    fn call(&mut self, supervisor: ProcessId, call: Call, announce: Option<String>) -> CallId {
        let id = CallId(self.calls.len());
        self.calls.push(PendingCall { announce, answer: None });
        match self.supervisor_of(supervisor).filter(|_| self.is_alive(supervisor)) {
            Some(supervisor) => self.send(supervisor, Letter::Call(id, call)),
            None => self.finish(id, Answer::Exit(ExitReason::NoProc)),
        }
        id
    }

    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer> {
        self.wait(within, |world| world.calls[call.0].answer.is_some());
        self.calls[call.0].answer.clone()
    }

    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.behaviours.insert(id.to_owned(), attempts);
    }
}

/// The line of a death.
fn stop_line(id: &str, attempt: u32, reason: &ExitReason) -> String {
    format!("stop {id} {attempt} {}", reason_text(reason))
}
