//! The event sources of a parent process: signals, the parent's port, children's ports and pidfds, timeouts.

use std::os::fd::OwnedFd;

use impresario_supervision::{Event, ExitReason, Time};
use impresario_sys::Signal;
use impresario_wire::Message;

use super::child::{Child, EXIT_TIMEOUT, is_fatal};
use super::phase::ShutdownRequest;
use super::port::Incoming;
use super::state::ParentState;

/// The most frames that are read from the port of a child that has exited. More than a socket buffer holds.
const MAX_FINAL_FRAMES: usize = 4096;

impl ParentState {
    pub(super) fn on_signals(&mut self) {
        loop {
            match self.signals.read() {
                Ok(Some(signal)) => self.on_signal(signal),
                Ok(None) => return,
                Err(error) => {
                    slog::error!(self.log, "cannot read signals"; "reason" => %error);
                    return;
                }
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGTERM | Signal::SIGINT => self.shut_down(ShutdownRequest::Terminate, signal.as_str()),
            Signal::SIGQUIT => self.shut_down(ShutdownRequest::Quit, signal.as_str()),
            Signal::SIGCHLD => self.reap_orphans(),
            _ => slog::info!(self.log, "signal ignored"; "signal" => signal.as_str()),
        }
    }

    /// The parent's port is readable or writable. Reads one frame; epoll reports the port again if there are
    /// more.
    pub(super) fn on_parent(&mut self) {
        let now = self.now();
        let Some(port) = &mut self.parent else { return };
        match port.flush(now).and_then(|()| port.recv(now, &mut self.buffer)) {
            Ok(Incoming::Message(Message::Quit, _)) => self.shut_down(ShutdownRequest::Quit, "QUIT message"),
            Ok(Incoming::Message(..) | Incoming::Fragment | Incoming::Empty) => {}
            Ok(Incoming::End) => return self.parent_lost("end of file on its port"),
            Err(error) => return self.parent_lost(&error.to_string()),
        }
        let watched = self.update_parent_interest();
        self.check_parent_alive(watched);
    }

    fn parent_lost(&mut self, reason: &str) {
        slog::error!(self.log, "lost the parent process"; "reason" => reason);
        if let Some(port) = self.parent.take() {
            self.poller.remove(&port);
        }
        self.check_parent_alive(false);
    }

    /// A child's port is readable or writable. Reads at most `budget` frames, then writes queued messages.
    pub(super) fn on_port(&mut self, id: u64, budget: usize) {
        for _ in 0..budget {
            let now = self.now();
            let Some(port) = self.children.get_mut(id).and_then(|child| child.port.as_mut()) else { return };
            match port.recv(now, &mut self.buffer) {
                Ok(Incoming::Message(message, fds)) => self.on_message(id, message, fds),
                Ok(Incoming::Fragment) => {}
                Ok(Incoming::Empty) => break,
                Ok(Incoming::End) => return self.port_closed(id),
                Err(error) => return self.port_failed(id, &error),
            }
        }
        let now = self.now();
        let Some(port) = self.children.get_mut(id).and_then(|child| child.port.as_mut()) else { return };
        match port.flush(now) {
            Ok(()) => self.update_child_interest(id),
            Err(error) => self.port_failed(id, &error),
        }
    }

    fn on_message(&mut self, id: u64, message: Message, fds: Vec<OwnedFd>) {
        let Some(child) = self.children.get_mut(id) else { return };
        match message {
            Message::Ready => self.on_ready(id),
            Message::Failed { reason } => child.failure = Some(reason),
            message => {
                let commands = self.role.on_child_message(child, message, fds);
                self.run_commands(commands);
            }
        }
    }

    fn on_ready(&mut self, id: u64) {
        let Some(child) = self.children.get_mut(id).filter(|child| !child.ready) else { return };
        child.ready = true;
        self.events.push_back(Event::Started(child.incarnation));
        if child.is_serving() {
            slog::info!(self.log, "child ready"; "child" => %child.identity, "child_pid" => child.pid.as_raw());
            let commands = self.role.child_ready(child);
            self.run_commands(commands);
        }
    }

    /// A child's pidfd is readable: the child has exited. Frames that it sent before are read first.
    pub(super) fn on_exit(&mut self, id: u64) {
        self.on_port(id, MAX_FINAL_FRAMES);
        let Some(child) = self.children.get_mut(id) else { return };
        let status = match child.pidfd.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(ExitReason::Error(format!("its exit status is unknown: {error}"))),
        };
        let Some(mut child) = self.remove_exited(id) else { return };
        // Reaping stops at an exited child of this process, so orphans behind this one were left.
        self.reap_orphans();
        if !self.phases.may_start() {
            // During a shutdown each child will be asked to stop. An operator's signal to the process group
            // may make this one exit earlier, so its exit with code 0 counts as requested.
            child.mark_quit_sent();
        }
        let fatal = status.as_ref().is_ok_and(|status| is_fatal(*status));
        let reason = status.map_or_else(|unknown| unknown, |status| child.exit_reason(status));
        slog::debug!(self.log, "child exited"; "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        if fatal && self.phases.may_start() {
            self.on_fatal(&child, &reason);
        }
        let commands = self.role.child_exited(&child);
        self.events.push_back(Event::Exited(child.incarnation, reason));
        self.run_commands(commands);
    }

    /// A child exited with `ProcessExit::Fatal`: a restart would fail again, so this process shuts down too.
    fn on_fatal(&mut self, child: &Child, reason: &ExitReason) {
        self.fatal = true;
        slog::crit!(self.log, "giving up: fatal exit of a child";
            "child" => %child.identity, "child_pid" => child.pid.as_raw(), "reason" => %reason);
        let why = format!("fatal exit of child {}: {reason}", child.identity);
        // Before the shutdown below: the rules keep the reason of the first shutdown event.
        self.events.push_back(Event::Shutdown(ExitReason::Error(why)));
        self.shut_down(ShutdownRequest::GiveUp, "giving up");
    }

    /// Handles expired deadlines. Called in every iteration of the loop, whether it timed out or not.
    pub(super) fn on_timeout(&mut self) {
        let now = self.now();
        self.on_parent_timeout(now);
        let due = |child: &Child| child.poll_timeout().is_some_and(|deadline| deadline <= now);
        let ids: Vec<u64> = self.children.iter().filter(|child| due(child)).map(|child| child.id()).collect();
        for id in ids {
            self.on_child_timeout(id, now);
        }
        if self.rules.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.events.push_back(Event::Timeout);
        }
        let change = self.phases.timeout(now);
        self.change_phase(change, "");
        self.run_rules();
    }
    /// A deadline of the parent's port: a retry, or a partial message.
    fn on_parent_timeout(&mut self, now: Time) {
        let Some(port) = &mut self.parent else { return };
        if port.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        if let Err(error) = port.timeout(now) {
            return self.parent_lost(&error.to_string());
        }
        let watched = self.update_parent_interest();
        self.check_parent_alive(watched);
    }

    /// A deadline of a child: its exit after the close of its port, a retry on its port, or a partial message.
    fn on_child_timeout(&mut self, id: u64, now: Time) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.exit_by.is_some_and(|exit_by| exit_by <= now) {
            let reason = format!("closed its port and did not exit within {EXIT_TIMEOUT:?}");
            return self.kill_broken(id, reason);
        }
        match child.port.as_mut().map_or(Ok(()), |port| port.timeout(now)) {
            Ok(()) => self.update_child_interest(id),
            Err(error) => self.port_failed(id, &error),
        }
    }
}
