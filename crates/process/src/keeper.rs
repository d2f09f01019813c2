//! The loop: what happened becomes events for the rules, what the rules decide becomes forks, words and signals.

use std::os::fd::OwnedFd;

use impresario_supervision::{Action, Event, ExitReason};
use impresario_sys::Signal;
use impresario_wire::Message;

use crate::ProcessExit;
use crate::child::{Child, is_fatal};
use crate::house::House;
use crate::phase::{Phase, Step, Stop};
use crate::poller::Source;
use crate::port::Incoming;

/// How many frames of one port are served before others have their turn.
const FRAMES_PER_TURN: usize = 64;

/// How many frames a dead child may leave behind; a socket holds a few hundred.
const LAST_FRAMES: usize = 4096;

/// What main and a prototype do differently.
pub(crate) trait Duty {
    /// All first children are ready. False when there is nobody to tell.
    fn ready(&mut self, house: &mut House) -> bool;

    /// A child does its work from now on. False when there is nobody to tell.
    fn child_ready(&mut self, house: &mut House, life: u64) -> bool;

    /// A child has ended. False when there is nobody to tell.
    fn child_ended(&mut self, house: &mut House, child: &Child) -> bool;

    /// A child says something that is not about its own life.
    fn news(&mut self, house: &mut House, life: u64, message: Message, fds: Vec<OwnedFd>);

    /// Those further below that are known here.
    fn descendants(&self) -> Vec<String>;

    /// Kills those further below that are known here.
    fn kill(&mut self);

    /// Everything is over; the last words.
    fn finish(&mut self, house: &mut House, exit: ProcessExit, reason: &str);
}

pub(crate) struct Keeper<D> {
    house: House,
    duty: D,
    /// What the rules said last.
    outcome: Option<ExitReason>,
    /// A child must not be started again.
    fatal: bool,
    /// Killed processes that do not end are waited for no longer.
    abandoned: bool,
}

impl<D: Duty> Keeper<D> {
    pub(crate) const fn new(house: House, duty: D) -> Self {
        Self { house, duty, outcome: None, fatal: false, abandoned: false }
    }

    /// Starts everything, and goes on until nothing is left.
    pub(crate) fn run(mut self) -> ProcessExit {
        self.house.events.push_back(Event::Start);
        self.settle();
        while self.outcome.is_none() && !self.abandoned {
            let limit = self.house.limit();
            match self.house.poller.wait(limit) {
                Ok(sources) => sources.into_iter().for_each(|source| self.serve(source)),
                Err(error) => {
                    slog::crit!(self.house.log, "cannot wait for events"; "reason" => %error);
                    self.kill_all("events cannot be waited for");
                    self.abandoned = true;
                }
            }
            self.on_time();
        }
        self.finish()
    }

    fn serve(&mut self, source: Source) {
        match source {
            Source::Signals => self.on_signals(),
            Source::Parent => self.on_parent(),
            Source::Port(life) => self.on_port(life, FRAMES_PER_TURN),
            Source::Process(life) => self.on_end(life),
        }
        self.settle();
    }

    /// Tells the rules what has happened and does what they say, until there is nothing more of either.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.house.rules.poll_action() {
                self.perform(action);
            }
            let Some(event) = self.house.events.pop_front() else { return };
            let now = self.house.now();
            self.house.rules.handle(now, event);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(key, life) => self.house.start(key, life),
            Action::Stop(life) => self.house.stop(life.number()),
            Action::Kill(life) => self.house.kill(life.number()),
            Action::Forget(key) => self.house.nursery.forget(key),
            Action::Report(report) => {
                self.house.report(&report);
                let starting = self.house.phases.phase() == Phase::Starting;
                if self.house.rules.is_leaving(&report, starting) {
                    self.stop(Stop::GiveUp, "giving up");
                }
            }
            Action::Ready => {
                self.house.phases.ready();
                let told = self.duty.ready(&mut self.house);
                self.orphaned_unless(told);
            }
            Action::Exit(reason) => self.outcome = Some(reason),
            // Nobody asks anything yet.
            Action::Added(..) | Action::Reply(..) => {}
        }
    }

    fn on_signals(&mut self) {
        loop {
            match self.house.signals.read() {
                Ok(Some(signal)) => self.on_signal(signal),
                Ok(None) => return,
                Err(error) => {
                    slog::error!(self.house.log, "signals cannot be read"; "reason" => %error);
                    return;
                }
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGTERM | Signal::SIGINT => self.stop(Stop::Terminate, signal.as_str()),
            Signal::SIGQUIT => self.stop(Stop::Quit, signal.as_str()),
            Signal::SIGCHLD => self.house.sweep_orphans(),
            _ => slog::info!(self.house.log, "signal ignored"; "signal" => signal.as_str()),
        }
    }

    fn stop(&mut self, stop: Stop, why: &'static str) {
        let now = self.house.now();
        let step = self.house.phases.stop(now, stop);
        self.step(step, why);
    }

    /// The one place where a phase ends.
    fn step(&mut self, step: Step, why: &'static str) {
        match step {
            Step::Stay => {}
            Step::Hurry => slog::info!(self.house.log, "draining with a deadline now"; "reason" => why),
            Step::Drain => {
                slog::info!(self.house.log, "draining"; "reason" => why);
                self.house.listeners.close();
                self.house.events.push_back(Event::Shutdown(ExitReason::Shutdown));
                // The rules wait for what is starting; it has no reason to go on with that.
                for child in self.house.children.lives() {
                    if self.house.children.get_mut(child).is_some_and(|child| !child.ready) {
                        self.house.stop(child);
                    }
                }
            }
            Step::Kill(cause) => self.kill_all(cause.text()),
            Step::Abandon => self.abandoned = true,
        }
    }

    /// Ends everything below, here and now.
    fn kill_all(&mut self, why: &str) {
        self.house.listeners.close();
        let left = self.left();
        if !left.is_empty() {
            slog::error!(self.house.log, "killed what was left"; "reason" => why, "left" => left);
        }
        for life in self.house.children.lives() {
            self.house.kill(life);
        }
        self.duty.kill();
        self.house.events.push_back(Event::Shutdown(ExitReason::Killed));
    }

    /// Everybody below that is known to live, by name and pid.
    fn left(&self) -> String {
        let children = self.house.children.iter();
        let children = children.map(|child| format!("{} ({})", child.identity, child.pid));
        children.chain(self.duty.descendants()).collect::<Vec<_>>().join(", ")
    }

    fn orphaned_unless(&mut self, told: bool) {
        if !told {
            let now = self.house.now();
            let step = self.house.phases.orphaned(now);
            self.step(step, "the parent is gone");
        }
    }

    fn on_parent(&mut self) {
        let now = self.house.now();
        let Some(port) = &mut self.house.parent else { return };
        match port.flush().and_then(|()| port.recv(now, &mut self.house.buffer)) {
            Ok(Incoming::Message(Message::Quit, _)) => self.stop(Stop::Quit, "told to quit"),
            Ok(Incoming::Message(..) | Incoming::Part | Incoming::Empty) => {}
            Ok(Incoming::End) => return self.parent_is_gone("end of file on its port"),
            Err(error) => return self.parent_is_gone(&error.to_string()),
        }
        let told = self.house.settle_parent();
        self.orphaned_unless(told);
    }

    fn parent_is_gone(&mut self, why: &str) {
        slog::error!(self.house.log, "lost the parent"; "reason" => why);
        if let Some(port) = self.house.parent.take() {
            self.house.poller.remove(&port);
        }
        self.orphaned_unless(false);
    }

    /// Reads a child's port, and writes what waits for room there.
    fn on_port(&mut self, life: u64, frames: usize) {
        for _ in 0..frames {
            let now = self.house.now();
            let house = &mut self.house;
            let Some(port) = house.children.get_mut(life).and_then(|child| child.port.as_mut()) else {
                return;
            };
            match port.recv(now, &mut house.buffer) {
                Ok(Incoming::Message(message, fds)) => self.on_message(life, message, fds),
                Ok(Incoming::Part) => {}
                Ok(Incoming::Empty) => break,
                Ok(Incoming::End) => return house.port_ended(life),
                Err(error) => return house.port_failed(life, &error),
            }
        }
        let Some(port) = self.house.children.get_mut(life).and_then(|child| child.port.as_mut()) else {
            return;
        };
        match port.flush() {
            Ok(()) => self.house.settle_port(life),
            Err(error) => self.house.port_failed(life, &error),
        }
    }

    fn on_message(&mut self, life: u64, message: Message, fds: Vec<OwnedFd>) {
        match message {
            Message::Ready => self.on_ready(life),
            Message::Failed { reason } => {
                if let Some(child) = self.house.children.get_mut(life) {
                    child.failed = Some(reason);
                }
            }
            news => self.duty.news(&mut self.house, life, news, fds),
        }
    }

    fn on_ready(&mut self, life: u64) {
        let Some(child) = self.house.children.get_mut(life).filter(|child| !child.ready) else { return };
        child.ready = true;
        self.house.events.push_back(Event::Started(child.life));
        if child.is_at_work() {
            slog::info!(self.house.log, "child ready"; "child" => %child.identity, "child_pid" => child.pid.as_raw());
            let told = self.duty.child_ready(&mut self.house, life);
            self.orphaned_unless(told);
        }
    }

    /// A child's pidfd is readable: it is over, and what it still said comes first.
    fn on_end(&mut self, life: u64) {
        self.on_port(life, LAST_FRAMES);
        let Some(child) = self.house.children.get_mut(life) else { return };
        let status = match child.pidfd.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(ExitReason::Error(format!("how it ended is not known: {error}"))),
        };
        let Some(mut child) = self.house.bury(life) else { return };
        // What it hid from the sweep.
        self.house.sweep_orphans();
        if !self.house.phases.may_start() {
            // Everything leaves. It may have heard so (an operator's signal to all) before its turn came.
            child.tell();
        }
        let fatal = status.as_ref().is_ok_and(|status| is_fatal(*status));
        let reason = status.map_or_else(|unknown| unknown, |status| child.reason(status));
        slog::debug!(self.house.log, "child gone"; "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        if fatal && self.house.phases.may_start() {
            self.on_fatal(&child, &reason);
        }
        let told = self.duty.child_ended(&mut self.house, &child);
        self.house.events.push_back(Event::Exited(child.life, reason));
        self.orphaned_unless(told);
    }

    /// A child says that it must not be started again, so this whole process is of no use.
    fn on_fatal(&mut self, child: &Child, reason: &ExitReason) {
        self.fatal = true;
        let why = format!("child {} must not be started again: {reason}", child.identity);
        slog::crit!(self.house.log, "giving up: a child must not be started again";
            "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        // The first shutdown gives the reason.
        self.house.events.push_back(Event::Shutdown(ExitReason::Error(why)));
        self.stop(Stop::GiveUp, "giving up");
    }

    fn on_time(&mut self) {
        for (life, why) in self.house.overdue() {
            self.house.condemn(life, why);
        }
        let now = self.house.now();
        if self.house.rules.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.house.events.push_back(Event::Timeout);
        }
        let step = self.house.phases.timeout(now);
        self.step(step, "");
        self.settle();
    }

    fn finish(mut self) -> ProcessExit {
        let killed = self.house.phases.killed().map(|cause| cause.text().to_owned());
        let reason = self.outcome.take().unwrap_or(ExitReason::Killed);
        let exit = match &reason {
            _ if killed.is_some() || self.abandoned => ProcessExit::Failed,
            ExitReason::Shutdown | ExitReason::Normal => ProcessExit::Done,
            _ if self.fatal => ProcessExit::Fatal,
            ExitReason::FailedToStart { .. } => ProcessExit::NotStarted,
            _ => ProcessExit::Failed,
        };
        if self.abandoned {
            slog::error!(self.house.log, "killed processes do not end"; "left" => self.left());
        }
        let reason = killed.unwrap_or_else(|| reason.to_string());
        self.duty.finish(&mut self.house, exit, &reason);
        exit
    }
}
