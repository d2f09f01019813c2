//! The loop: what happened becomes events for the rules, what the rules decide becomes forks, words and signals.

use std::os::fd::OwnedFd;

use impresario_supervision::{Action, Event, ExitReason};
use impresario_sys::Signal;
use impresario_wire::Message;

use crate::ProcessExit;
use crate::parent::child::{Child, is_fatal};
use crate::parent::phase::{Phase, PhaseChange, ShutdownRequest};
use crate::parent::poller::Source;
use crate::parent::port::Incoming;
use crate::parent::state::ParentState;

/// How many frames of one port are served before others have their turn.
const FRAMES_PER_TURN: usize = 64;

/// How many frames a dead child may leave behind; a socket holds a few hundred.
const LAST_FRAMES: usize = 4096;

/// What main and a prototype do differently.
pub(crate) trait ParentRole {
    /// All first children are ready. False when there is nobody to tell.
    fn ready(&mut self, state: &mut ParentState) -> bool;

    /// A child does its work from now on. False when there is nobody to tell.
    fn child_ready(&mut self, state: &mut ParentState, life: u64) -> bool;

    /// A child has ended. False when there is nobody to tell.
    fn child_ended(&mut self, state: &mut ParentState, child: &Child) -> bool;

    /// A child says something that is not about its own life.
    fn news(&mut self, state: &mut ParentState, life: u64, message: Message, fds: Vec<OwnedFd>);

    /// Those further below that are known here.
    fn descendants(&self) -> Vec<String>;

    /// Kills those further below that are known here.
    fn kill(&mut self);

    /// Everything is over; the last words.
    fn finish(&mut self, state: &mut ParentState, exit: ProcessExit, reason: &str);
}

pub(crate) struct EventLoop<D> {
    state: ParentState,
    role: D,
    /// What the rules said last.
    outcome: Option<ExitReason>,
    /// A child must not be started again.
    fatal: bool,
    /// Killed processes that do not end are waited for no longer.
    abandoned: bool,
}

impl<D: ParentRole> EventLoop<D> {
    pub(crate) const fn new(state: ParentState, role: D) -> Self {
        Self { state, role, outcome: None, fatal: false, abandoned: false }
    }

    /// Starts everything, and goes on until nothing is left.
    pub(crate) fn run(mut self) -> ProcessExit {
        self.state.events.push_back(Event::Start);
        self.run_rules();
        while self.outcome.is_none() && !self.abandoned {
            let limit = self.state.limit();
            match self.state.poller.wait(limit) {
                Ok(sources) => sources.into_iter().for_each(|source| self.serve(source)),
                Err(error) => {
                    slog::crit!(self.state.log, "cannot wait for events"; "reason" => %error);
                    self.kill_all("events cannot be waited for");
                    self.abandoned = true;
                }
            }
            self.on_timeout();
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
        self.run_rules();
    }

    /// Tells the rules what has happened and does what they say, until there is nothing more of either.
    fn run_rules(&mut self) {
        loop {
            while let Some(action) = self.state.rules.poll_action() {
                self.perform(action);
            }
            let Some(event) = self.state.events.pop_front() else { return };
            let now = self.state.now();
            self.state.rules.handle(now, event);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(key, life) => self.state.start(key, life),
            Action::Stop(life) => self.state.stop(life.number()),
            Action::Kill(life) => self.state.kill(life.number()),
            Action::Forget(key) => self.state.factory.forget(key),
            Action::Report(report) => {
                self.state.report(&report);
                let starting = self.state.phases.phase() == Phase::Starting;
                if self.state.rules.is_leaving(&report, starting) {
                    self.stop(ShutdownRequest::GiveUp, "giving up");
                }
            }
            Action::Ready => {
                self.state.phases.ready();
                let told = self.role.ready(&mut self.state);
                self.check_parent_alive(told);
            }
            Action::Exit(reason) => self.outcome = Some(reason),
            // Nobody asks anything yet.
            Action::Added(..) | Action::Reply(..) => {}
        }
    }

    fn on_signals(&mut self) {
        loop {
            match self.state.signals.read() {
                Ok(Some(signal)) => self.on_signal(signal),
                Ok(None) => return,
                Err(error) => {
                    slog::error!(self.state.log, "signals cannot be read"; "reason" => %error);
                    return;
                }
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGTERM | Signal::SIGINT => self.stop(ShutdownRequest::Terminate, signal.as_str()),
            Signal::SIGQUIT => self.stop(ShutdownRequest::Quit, signal.as_str()),
            Signal::SIGCHLD => self.state.reap_orphans(),
            _ => slog::info!(self.state.log, "signal ignored"; "signal" => signal.as_str()),
        }
    }

    fn stop(&mut self, stop: ShutdownRequest, why: &'static str) {
        let now = self.state.now();
        let step = self.state.phases.stop(now, stop);
        self.step(step, why);
    }

    /// The one place where a phase ends.
    fn step(&mut self, step: PhaseChange, why: &'static str) {
        match step {
            PhaseChange::Unchanged => {}
            PhaseChange::StartDeadline => {
                slog::info!(self.state.log, "draining with a deadline now"; "reason" => why)
            }
            PhaseChange::Drain => {
                slog::info!(self.state.log, "draining"; "reason" => why);
                self.state.listeners.close();
                self.state.events.push_back(Event::Shutdown(ExitReason::Shutdown));
                // The rules wait for what is starting; it has no reason to go on with that.
                for child in self.state.children.ids() {
                    if self.state.children.get_mut(child).is_some_and(|child| !child.ready) {
                        self.state.stop(child);
                    }
                }
            }
            PhaseChange::Kill(cause) => self.kill_all(cause.text()),
            PhaseChange::StopWaiting => self.abandoned = true,
        }
    }

    /// Ends everything below, here and now.
    fn kill_all(&mut self, why: &str) {
        self.state.listeners.close();
        let left = self.left();
        if !left.is_empty() {
            slog::error!(self.state.log, "killed what was left"; "reason" => why, "left" => left);
        }
        for life in self.state.children.ids() {
            self.state.kill(life);
        }
        self.role.kill();
        self.state.events.push_back(Event::Shutdown(ExitReason::Killed));
    }

    /// Everybody below that is known to live, by name and pid.
    fn left(&self) -> String {
        let children = self.state.children.iter();
        let children = children.map(|child| format!("{} ({})", child.identity, child.pid));
        children.chain(self.role.descendants()).collect::<Vec<_>>().join(", ")
    }

    fn check_parent_alive(&mut self, told: bool) {
        if !told {
            let now = self.state.now();
            let step = self.state.phases.orphaned(now);
            self.step(step, "the parent is gone");
        }
    }

    fn on_parent(&mut self) {
        let now = self.state.now();
        let Some(port) = &mut self.state.parent else { return };
        match port.flush().and_then(|()| port.recv(now, &mut self.state.buffer)) {
            Ok(Incoming::Message(Message::Quit, _)) => self.stop(ShutdownRequest::Quit, "told to quit"),
            Ok(Incoming::Message(..) | Incoming::Fragment | Incoming::Empty) => {}
            Ok(Incoming::End) => return self.parent_is_gone("end of file on its port"),
            Err(error) => return self.parent_is_gone(&error.to_string()),
        }
        let told = self.state.update_parent_interest();
        self.check_parent_alive(told);
    }

    fn parent_is_gone(&mut self, why: &str) {
        slog::error!(self.state.log, "lost the parent"; "reason" => why);
        if let Some(port) = self.state.parent.take() {
            self.state.poller.remove(&port);
        }
        self.check_parent_alive(false);
    }

    /// Reads a child's port, and writes what waits for room there.
    fn on_port(&mut self, life: u64, frames: usize) {
        for _ in 0..frames {
            let now = self.state.now();
            let state = &mut self.state;
            let Some(port) = state.children.get_mut(life).and_then(|child| child.port.as_mut()) else {
                return;
            };
            match port.recv(now, &mut state.buffer) {
                Ok(Incoming::Message(message, fds)) => self.on_message(life, message, fds),
                Ok(Incoming::Fragment) => {}
                Ok(Incoming::Empty) => break,
                Ok(Incoming::End) => return state.port_ended(life),
                Err(error) => return state.port_failed(life, &error),
            }
        }
        let Some(port) = self.state.children.get_mut(life).and_then(|child| child.port.as_mut()) else {
            return;
        };
        match port.flush() {
            Ok(()) => self.state.update_child_interest(life),
            Err(error) => self.state.port_failed(life, &error),
        }
    }

    fn on_message(&mut self, life: u64, message: Message, fds: Vec<OwnedFd>) {
        match message {
            Message::Ready => self.on_ready(life),
            Message::Failed { reason } => {
                if let Some(child) = self.state.children.get_mut(life) {
                    child.failed = Some(reason);
                }
            }
            news => self.role.news(&mut self.state, life, news, fds),
        }
    }

    fn on_ready(&mut self, life: u64) {
        let Some(child) = self.state.children.get_mut(life).filter(|child| !child.ready) else { return };
        child.ready = true;
        self.state.events.push_back(Event::Started(child.life));
        if child.is_serving() {
            slog::info!(self.state.log, "child ready"; "child" => %child.identity, "child_pid" => child.pid.as_raw());
            let told = self.role.child_ready(&mut self.state, life);
            self.check_parent_alive(told);
        }
    }

    /// A child's pidfd is readable: it is over, and what it still said comes first.
    fn on_end(&mut self, life: u64) {
        self.on_port(life, LAST_FRAMES);
        let Some(child) = self.state.children.get_mut(life) else { return };
        let status = match child.pidfd.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(ExitReason::Error(format!("how it ended is not known: {error}"))),
        };
        let Some(mut child) = self.state.remove_exited(life) else { return };
        // What it hid from the sweep.
        self.state.reap_orphans();
        if !self.state.phases.may_start() {
            // Everything leaves. It may have heard so (an operator's signal to all) before its turn came.
            child.mark_quit_sent();
        }
        let fatal = status.as_ref().is_ok_and(|status| is_fatal(*status));
        let reason = status.map_or_else(|unknown| unknown, |status| child.reason(status));
        slog::debug!(self.state.log, "child gone"; "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        if fatal && self.state.phases.may_start() {
            self.on_fatal(&child, &reason);
        }
        let told = self.role.child_ended(&mut self.state, &child);
        self.state.events.push_back(Event::Exited(child.life, reason));
        self.check_parent_alive(told);
    }

    /// A child says that it must not be started again, so this whole process is of no use.
    fn on_fatal(&mut self, child: &Child, reason: &ExitReason) {
        self.fatal = true;
        let why = format!("child {} must not be started again: {reason}", child.identity);
        slog::crit!(self.state.log, "giving up: a child must not be started again";
            "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        // The first shutdown gives the reason.
        self.state.events.push_back(Event::Shutdown(ExitReason::Error(why)));
        self.stop(ShutdownRequest::GiveUp, "giving up");
    }

    fn on_timeout(&mut self) {
        for (life, why) in self.state.expired_children() {
            self.state.kill_broken(life, why);
        }
        let now = self.state.now();
        if self.state.rules.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.state.events.push_back(Event::Timeout);
        }
        let step = self.state.phases.timeout(now);
        self.step(step, "");
        self.run_rules();
    }

    fn finish(mut self) -> ProcessExit {
        let killed = self.state.phases.killed().map(|cause| cause.text().to_owned());
        let reason = self.outcome.take().unwrap_or(ExitReason::Killed);
        let exit = match &reason {
            _ if killed.is_some() || self.abandoned => ProcessExit::Failed,
            ExitReason::Shutdown | ExitReason::Normal => ProcessExit::Done,
            _ if self.fatal => ProcessExit::Fatal,
            ExitReason::FailedToStart { .. } => ProcessExit::NotStarted,
            _ => ProcessExit::Failed,
        };
        if self.abandoned {
            slog::error!(self.state.log, "killed processes do not end"; "left" => self.left());
        }
        let reason = killed.unwrap_or_else(|| reason.to_string());
        self.role.finish(&mut self.state, exit, &reason);
        exit
    }
}
