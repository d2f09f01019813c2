//! What a parent process does with a child: start, stop, kill, remove; and the reports of the rules.

use impresario_supervision::{ChildKey, Event, ExitReason, Incarnation, Report, ReportKind};
use impresario_sys::Pid;
use impresario_wire::{Message, Role};

use super::child::Child;
use super::orphans;
use super::phase::Phase;
use super::port::Port;
use super::state::ParentState;

impl ParentState {
    /// Forks a child. During a shutdown it does not, and the start fails with [`ExitReason::Shutdown`].
    pub(super) fn start_child(&mut self, key: ChildKey, incarnation: Incarnation) {
        let failed = if self.phases.may_start() {
            self.fork(key, incarnation).err().map(|error| ExitReason::Error(error.to_string()))
        } else {
            Some(ExitReason::Shutdown)
        };
        self.events.extend(failed.map(|reason| Event::StartFailed(incarnation, reason)));
    }

    /// Asks a child to stop: a QUIT message, once. In [`Phase::Killing`] it is killed instead.
    ///
    /// A leaf that is not ready also gets SIGTERM: it has no work to finish, and its `setup` does not read
    /// the port. A prototype always reads its port.
    pub(super) fn stop_child(&mut self, id: u64) {
        let killing = self.phases.phase() == Phase::Killing;
        let now = self.now();
        let Some(child) = self.children.get_mut(id) else { return };
        if killing {
            child.kill();
        } else if child.mark_quit_sent() {
            let reads_port = child.ready || child.identity.role == Role::Prototype;
            let send = |port: &mut Port| port.send(now, &Message::Quit, Vec::new()).is_ok();
            let sent = child.port.as_mut().is_some_and(send);
            if !sent || !reads_port {
                child.terminate();
            }
            self.update_child_interest(id);
        }
    }

    pub(super) fn kill_child(&mut self, id: u64) {
        if let Some(child) = self.children.get_mut(id) {
            child.kill();
        }
    }

    /// Kills a child that violated the protocol of its port, and records the reason as its exit reason.
    pub(super) fn kill_broken(&mut self, id: u64, reason: String) {
        self.close_port(id);
        if let Some(child) = self.children.get_mut(id) {
            child.exit_by = None;
            slog::error!(self.log, "child killed";
                "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => &reason);
            child.kill_broken(reason);
        }
    }

    /// Removes a child that has exited from the table and from the poller.
    pub(super) fn remove_exited(&mut self, id: u64) -> Option<Child> {
        let child = self.children.remove_exited(id)?;
        self.poller.remove(&*child.pidfd);
        if let Some(port) = &child.port {
            self.poller.remove(port);
        }
        Some(child)
    }

    /// Reaps exited processes that are not children of this process but were given to it by the kernel.
    pub(super) fn reap_orphans(&self) {
        if self.is_subreaper {
            orphans::reap(|pid| self.children.iter().any(|child| child.pid == pid));
        }
    }

    /// Logs a report of the rules.
    pub(super) fn report(&self, report: &Report) {
        let (name, pid) = report.incarnation.and_then(|incarnation| self.children.name(incarnation)).unzip();
        let child = name.unwrap_or_else(|| report.child.to_string());
        let pid = pid.map(Pid::as_raw);
        let fields =
            slog::o!("child" => child.clone(), "child_pid" => pid, "reason" => report.reason.to_string());
        let log = self.log.new(fields);
        let message = report.kind.message();
        match report.kind {
            ReportKind::GaveUp => slog::crit!(log, "{message}"),
            _ => slog::error!(log, "{message}"),
        }
        if let Some(restart) = report.delayed_restart {
            slog::info!(self.log, "{restart}"; "child" => &child);
        }
    }
}
