//! The loop of a parent process: events go to the rules, their actions become forks, messages and signals.

use impresario_supervision::{Action, Event, ExitReason};

use super::phase::{Phase, PhaseChange, ShutdownRequest};
use super::poller::Source;
use super::state::ParentState;
use crate::exit::ProcessExit;

/// The most frames that one iteration of the loop reads from one port, so that no child delays the other
/// sources.
const FRAME_BUDGET: usize = 64;

impl ParentState {
    /// Starts the children and runs until no child is left, or until killed processes are not waited for any
    /// longer.
    pub(crate) fn run(mut self) -> ProcessExit {
        self.events.push_back(Event::Start);
        self.run_rules();
        while self.outcome.is_none() && !self.stop_waiting {
            let timeout = self.poll_timeout();
            match self.poller.wait(timeout) {
                Ok(sources) => sources.into_iter().for_each(|source| self.dispatch(source)),
                Err(error) => {
                    slog::crit!(self.log, "cannot wait for events"; "reason" => %error);
                    self.kill_all("cannot wait for events");
                    self.stop_waiting = true;
                }
            }
            self.on_timeout();
        }
        self.finish()
    }

    fn dispatch(&mut self, source: Source) {
        match source {
            Source::Signals => self.on_signals(),
            Source::Parent => self.on_parent(),
            Source::Port(id) => self.on_port(id, FRAME_BUDGET),
            Source::Process(id) => self.on_exit(id),
        }
        self.run_rules();
    }

    /// Hands the queued events to the rules and performs their actions, until there is no event and no action
    /// left.
    pub(super) fn run_rules(&mut self) {
        loop {
            while let Some(action) = self.rules.poll_action() {
                self.perform(action);
            }
            let Some(event) = self.events.pop_front() else { return };
            let now = self.now();
            self.rules.handle(now, event);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(key, incarnation) => self.start_child(key, incarnation),
            Action::Stop(incarnation) => self.stop_child(incarnation.number()),
            Action::Kill(incarnation) => self.kill_child(incarnation.number()),
            Action::Forget(key) => self.factory.forget(key),
            Action::Report(report) => {
                self.report(&report);
                let starting = self.phases.phase() == Phase::Starting;
                if self.rules.is_shutting_down(&report, starting) {
                    self.shut_down(ShutdownRequest::GiveUp, "giving up");
                }
            }
            Action::Ready => {
                self.phases.ready();
                let commands = self.role.ready(&self.log);
                self.run_commands(commands);
            }
            Action::Exit(reason) => self.outcome = Some(reason),
            // Replies to requests, such as an added child. This crate makes no requests.
            Action::Added(..) | Action::Reply(..) => {}
        }
    }

    pub(super) fn shut_down(&mut self, request: ShutdownRequest, reason: &'static str) {
        let now = self.now();
        let change = self.phases.shut_down(now, request);
        self.change_phase(change, reason);
    }

    /// Carries out what a phase change requires.
    pub(super) fn change_phase(&mut self, change: PhaseChange, reason: &'static str) {
        match change {
            PhaseChange::Unchanged => {}
            PhaseChange::StartDeadline => slog::info!(self.log, "drain deadline set"; "reason" => reason),
            PhaseChange::Drain => {
                slog::info!(self.log, "draining"; "reason" => reason);
                self.listen_fds.close();
                self.events.push_back(Event::Shutdown(ExitReason::Shutdown));
                // The rules wait until a start in progress is complete. Stopping the child now shortens that.
                for id in self.children.ids() {
                    if self.children.get_mut(id).is_some_and(|child| !child.ready) {
                        self.stop_child(id);
                    }
                }
            }
            PhaseChange::Kill(cause) => self.kill_all(cause.text()),
            PhaseChange::StopWaiting => self.stop_waiting = true,
        }
    }

    /// Closes the listeners and sends SIGKILL to every known process below this one.
    fn kill_all(&mut self, reason: &str) {
        self.listen_fds.close();
        let remaining = self.remaining();
        if !remaining.is_empty() {
            slog::error!(self.log, "killed remaining processes"; "reason" => reason, "remaining" => remaining);
        }
        for id in self.children.ids() {
            self.kill_child(id);
        }
        self.role.kill_descendants();
        self.events.push_back(Event::Shutdown(ExitReason::Killed));
    }

    /// Name and pid of every process below this one that is known and has not exited.
    fn remaining(&self) -> String {
        let children = self.children.iter();
        let children = children.map(|child| format!("{} ({})", child.identity, child.pid));
        children.chain(self.role.descendants()).collect::<Vec<_>>().join(", ")
    }

    /// Kills everything below this process if its parent could not be reached.
    pub(super) fn check_parent_alive(&mut self, alive: bool) {
        if !alive {
            let now = self.now();
            let change = self.phases.orphaned(now);
            self.change_phase(change, "the parent has exited");
        }
    }

    fn finish(mut self) -> ProcessExit {
        let killed = self.phases.killed().map(|cause| cause.text().to_owned());
        let reason = self.outcome.take().unwrap_or(ExitReason::Killed);
        let exit = match &reason {
            _ if killed.is_some() || self.stop_waiting => ProcessExit::Failed,
            ExitReason::Shutdown | ExitReason::Normal => ProcessExit::Done,
            _ if self.fatal => ProcessExit::Fatal,
            ExitReason::FailedToStart { .. } => ProcessExit::NotStarted,
            _ => ProcessExit::Failed,
        };
        if self.stop_waiting {
            slog::error!(self.log, "killed processes have not exited"; "remaining" => self.remaining());
        }
        let reason = killed.unwrap_or_else(|| reason.to_string());
        if let Some(message) = self.role.finish(&self.log, exit, &reason) {
            // If it cannot be sent, the parent still reads the exit code.
            self.send_to_parent(&message, Vec::new());
        }
        exit
    }
}
