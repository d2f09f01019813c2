//! The processes that live below this one, as this one holds them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use impresario_supervision::{ExitReason, Incarnation, Time};
use impresario_sys::{ExitStatus, Pid, PidFd, Signal};

use crate::parent::port::Port;
use crate::{ProcessExit, ProcessIdentity};

/// How many dead processes are remembered, so that a report that comes later can still say which pid it was.
const EXITED_HISTORY: usize = 64;

/// One live process below this one.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) life: Incarnation,
    pub(crate) identity: ProcessIdentity,
    pub(crate) pid: Pid,
    pub(crate) pidfd: Rc<PidFd>,
    /// None once it was closed, by the child or because the child is broken.
    pub(crate) port: Option<Port>,
    /// When a child that has closed its port must have ended.
    pub(crate) end_by: Option<Time>,
    /// What goes up with the news that it is ready.
    pub(crate) router_port: Option<OwnedFd>,
    pub(crate) ready: bool,
    /// The last words it sent.
    pub(crate) failed: Option<String>,
    told: StopState,
}

/// What was done to a child to make it leave.
#[derive(Debug, Default)]
struct StopState {
    quit: bool,
    terminated: bool,
    killed: bool,
    /// It was killed because it is of no use any more; why.
    broken: Option<String>,
}

impl Child {
    pub(crate) fn new(
        life: Incarnation,
        identity: ProcessIdentity,
        born: impresario_sys::ForkedChild,
        port: Port,
    ) -> Self {
        Self {
            life,
            identity,
            pid: born.pid,
            pidfd: Rc::new(born.pidfd),
            port: Some(port),
            end_by: None,
            router_port: None,
            ready: false,
            failed: None,
            told: StopState::default(),
        }
    }

    /// Its pid as the wire has it.
    pub(crate) fn process(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Notes that it is about to be told to quit; false when it was before.
    pub(crate) fn mark_quit_sent(&mut self) -> bool {
        !std::mem::replace(&mut self.told.quit, true)
    }

    /// Whether it does its work and is to go on doing it.
    pub(crate) fn is_serving(&self) -> bool {
        self.ready && !self.told.quit
    }

    pub(crate) fn terminate(&mut self) {
        self.told.terminated = true;
        self.signal(Signal::SIGTERM);
    }

    pub(crate) fn kill(&mut self) {
        self.told.killed = true;
        self.signal(Signal::SIGKILL);
    }

    /// Kills it because it is of no use any more, and remembers why.
    pub(crate) fn kill_broken(&mut self, why: String) {
        self.told.broken.get_or_insert(why);
        self.kill();
    }

    fn signal(&self, signal: Signal) {
        // It fails only for a process that has ended, which its pidfd says.
        let _ = self.pidfd.send_signal(signal);
    }

    /// Why it ended, in the words of the rules.
    pub(crate) fn reason(&self, status: ExitStatus) -> ExitReason {
        self.told.reason(status, self.ready, self.failed.as_deref())
    }
}

impl StopState {
    fn reason(&self, status: ExitStatus, ready: bool, last_words: Option<&str>) -> ExitReason {
        match status {
            ExitStatus::Signal { number, .. } if self.killed && number == Signal::SIGKILL as i32 => {
                self.broken.clone().map_or(ExitReason::Killed, ExitReason::Error)
            }
            ExitStatus::Signal { number, .. } if self.terminated && number == Signal::SIGTERM as i32 => {
                ExitReason::Shutdown
            }
            ExitStatus::Signal { number, core_dumped } => ExitReason::Signal { number, core_dumped },
            ExitStatus::Code(0) if self.quit => ExitReason::Shutdown,
            ExitStatus::Code(0) if ready => ExitReason::Normal,
            ExitStatus::Code(0) => ExitReason::Error("it left before it was ready".to_owned()),
            ExitStatus::Code(code) => {
                last_words.map_or(ExitReason::Code(code), |words| ExitReason::Error(words.to_owned()))
            }
        }
    }
}

/// Whether this exit says that the child must not be started again.
pub(crate) fn is_fatal(status: ExitStatus) -> bool {
    status == ExitStatus::Code(ProcessExit::Fatal.code())
}

/// All of them, by the number of their life.
#[derive(Debug, Default)]
pub(crate) struct Children {
    live: BTreeMap<u64, Child>,
    exited: VecDeque<(u64, String, Pid)>,
}

impl Children {
    pub(crate) fn insert(&mut self, child: Child) {
        self.live.insert(child.life.number(), child);
    }

    pub(crate) fn get_mut(&mut self, life: u64) -> Option<&mut Child> {
        self.live.get_mut(&life)
    }

    /// Takes out a child that has ended.
    pub(crate) fn remove_exited(&mut self, life: u64) -> Option<Child> {
        let child = self.live.remove(&life)?;
        if self.exited.len() == EXITED_HISTORY {
            self.exited.pop_front();
        }
        self.exited.push_back((life, child.identity.to_string(), child.pid));
        Some(child)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.live.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        self.live.values_mut()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.live.keys().copied().collect()
    }

    /// The name and pid of a life, present or past.
    pub(crate) fn name(&self, life: Incarnation) -> Option<(String, Pid)> {
        let number = life.number();
        if let Some(child) = self.live.get(&number) {
            return Some((child.identity.to_string(), child.pid));
        }
        let grave = self.exited.iter().find(|(dead, ..)| *dead == number);
        grave.map(|(_, name, pid)| (name.clone(), *pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: ExitStatus = ExitStatus::Signal { number: 9, core_dumped: false };
    const TERM: ExitStatus = ExitStatus::Signal { number: 15, core_dumped: false };
    const ABORT: ExitStatus = ExitStatus::Signal { number: 6, core_dumped: true };

    fn error(text: &str) -> ExitReason {
        ExitReason::Error(text.to_owned())
    }

    #[test]
    fn who_was_not_told_says_it_all_by_itself() {
        let told = StopState::default();
        assert_eq!(told.reason(ExitStatus::Code(0), true, None), ExitReason::Normal);
        assert_eq!(told.reason(ExitStatus::Code(0), false, None), error("it left before it was ready"));
        assert_eq!(told.reason(ExitStatus::Code(3), false, Some("no database")), error("no database"));
        assert_eq!(told.reason(ExitStatus::Code(7), true, None), ExitReason::Code(7));
        for (status, number) in [(KILL, 9), (TERM, 15)] {
            assert_eq!(told.reason(status, true, None), ExitReason::Signal { number, core_dumped: false });
        }
    }

    #[test]
    fn who_was_told_is_forgiven_what_was_asked_for_and_nothing_else() {
        let told = StopState { quit: true, terminated: true, ..StopState::default() };
        assert_eq!(told.reason(ExitStatus::Code(0), true, None), ExitReason::Shutdown);
        assert_eq!(told.reason(TERM, false, None), ExitReason::Shutdown);
        assert_eq!(told.reason(ABORT, true, None), ExitReason::Signal { number: 6, core_dumped: true });
        assert_eq!(told.reason(ExitStatus::Code(1), true, None), ExitReason::Code(1));
    }

    #[test]
    fn who_was_killed_was_killed_for_a_reason() {
        let mut told = StopState { killed: true, ..StopState::default() };
        assert_eq!(told.reason(KILL, true, None), ExitReason::Killed);
        told.broken = Some("it sent a bad frame".to_owned());
        assert_eq!(told.reason(KILL, true, None), error("it sent a bad frame"));
        // It was faster than the kill.
        assert_eq!(told.reason(ExitStatus::Code(1), true, None), ExitReason::Code(1));
    }

    #[test]
    fn only_one_code_is_fatal() {
        assert!(is_fatal(ExitStatus::Code(2)));
        assert!(
            !is_fatal(ExitStatus::Code(3)) && !is_fatal(ExitStatus::Signal { number: 2, core_dumped: false })
        );
    }
}
