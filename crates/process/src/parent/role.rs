//! The trait by which main and a prototype differ.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use impresario_wire::{Message, Role};
use slog::Logger;

use super::child::Child;
use crate::exit::ProcessExit;

/// What main and a prototype do differently. The methods change only the role's own data and return commands,
/// which the caller carries out in order.
pub(crate) trait ParentRole {
    /// Called once, when all children have been ready.
    fn ready(&mut self, log: &Logger) -> Vec<Command>;

    /// A child became ready and was not asked to stop before that.
    fn child_ready(&mut self, child: &mut Child) -> Vec<Command>;

    /// A child has exited.
    fn child_exited(&mut self, child: &Child) -> Vec<Command>;

    /// A child sent a message that is not about its own start.
    fn on_child_message(&mut self, child: &Child, message: Message, fds: Vec<OwnedFd>) -> Vec<Command>;

    /// Name and pid of each known process below the children.
    fn descendants(&self) -> Vec<String>;

    /// Sends SIGKILL to each known process below the children.
    fn kill_descendants(&mut self);

    /// Called once, after the loop. Returns the message to the parent, if there is one to send.
    fn finish(&mut self, log: &Logger, exit: ProcessExit, reason: &str) -> Option<Message>;
}

/// What a [`ParentRole`] asks its process to do.
pub(crate) enum Command {
    SendToParent(Message, Vec<Rc<dyn AsFd>>),
    /// To the child with this id.
    SendToChild(u64, Message, Vec<Rc<dyn AsFd>>),
    /// To each ready child of this role, also one that was asked to stop.
    SendToRole(Role, Message, Vec<Rc<dyn AsFd>>),
    /// Kills the child with this id, for this reason.
    KillBroken(u64, String),
}
