//! Sending on the ports of a parent process, and what a port error leads to.

use std::os::fd::AsFd;
use std::rc::Rc;

use impresario_wire::Message;

use super::child::EXIT_TIMEOUT;
use super::poller::Source;
use super::port::PortError;
use super::role::Command;
use super::state::ParentState;

impl ParentState {
    /// Carries out the commands of the role, in order.
    pub(super) fn run_commands(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::SendToParent(message, fds) => {
                    let sent = self.send_to_parent(&message, fds);
                    self.check_parent_alive(sent);
                }
                Command::SendToChild(id, message, fds) => self.send_to_child(id, &message, fds),
                Command::SendToRole(role, message, fds) => {
                    let receives =
                        self.children.iter().filter(|child| child.identity.role == role && child.ready);
                    let ids: Vec<u64> = receives.map(|child| child.id()).collect();
                    for id in ids {
                        self.send_to_child(id, &message, fds.clone());
                    }
                }
                Command::KillBroken(id, reason) => self.kill_broken(id, reason),
            }
        }
    }

    /// Sends a message to a child, or queues it. On an error the child is killed, or it is exiting already.
    fn send_to_child(&mut self, id: u64, message: &Message, fds: Vec<Rc<dyn AsFd>>) {
        let now = self.now();
        let Some(port) = self.children.get_mut(id).and_then(|child| child.port.as_mut()) else { return };
        match port.send(now, message, fds) {
            Ok(()) => self.update_child_interest(id),
            Err(error) => self.port_failed(id, &error),
        }
    }

    /// Sends a message to the parent, or queues it. False if that is impossible.
    pub(super) fn send_to_parent(&mut self, message: &Message, fds: Vec<Rc<dyn AsFd>>) -> bool {
        let now = self.now();
        let Some(port) = &mut self.parent else { return false };
        if let Err(error) = port.send(now, message, fds) {
            slog::error!(self.log, "cannot send to the parent"; "reason" => %error);
            return false;
        }
        self.update_parent_interest()
    }

    /// Asks epoll for EPOLLOUT on the parent's port while messages wait there for a full socket. False if epoll refuses.
    pub(super) fn update_parent_interest(&mut self) -> bool {
        let Some(port) = &mut self.parent else { return false };
        let change = port.write_interest();
        change.is_none_or(|on| self.poller.set_write_interest(&*port, Source::Parent, on).is_ok())
    }

    /// Asks epoll for EPOLLOUT on a child's port while messages wait there for a full socket.
    pub(super) fn update_child_interest(&mut self, id: u64) {
        let Some(port) = self.children.get_mut(id).and_then(|child| child.port.as_mut()) else { return };
        if let Some(on) = port.write_interest()
            && let Err(error) = self.poller.set_write_interest(&*port, Source::Port(id), on)
        {
            self.kill_broken(id, format!("cannot watch its port: {error}"));
        }
    }

    /// Handles an error on a child's port.
    ///
    /// If the child has closed it, the child is probably exiting, and its pidfd reports the status. Every other
    /// error kills the child. Passing errors do not get here: [`Port`](super::port::Port) repeats the send.
    pub(super) fn port_failed(&mut self, id: u64, error: &PortError) {
        if error.is_closed() {
            self.port_closed(id);
        } else {
            self.kill_broken(id, error.to_string());
        }
    }

    /// A child has closed its port: it must exit within [`EXIT_TIMEOUT`].
    pub(super) fn port_closed(&mut self, id: u64) {
        self.close_port(id);
        let exit_by = self.now() + EXIT_TIMEOUT;
        if let Some(child) = self.children.get_mut(id) {
            child.exit_by = Some(exit_by);
        }
    }

    pub(super) fn close_port(&mut self, id: u64) {
        if let Some(port) = self.children.get_mut(id).and_then(|child| child.port.take()) {
            self.poller.remove(&port);
        }
    }
}
