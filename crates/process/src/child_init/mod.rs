//! The child side of a fork, from the first instruction to the user's code.
//!
//! [`ChildInit`] is what the child takes from its parent. It detaches the child from the parent and runs the
//! continuation [`ChildMain`], which `roles/` provides. This folder may not know the loop of a parent
//! process, nor what main and prototypes do.

pub(crate) mod child_factory;
mod leaf;
pub(crate) mod panic;
pub(crate) mod process_kind;
pub(crate) mod status_port;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use impresario_supervision::ExitReason;
use impresario_sys::{
    Pid, SeqPacket, Signal, close_all_except, exit_now, reset_signals, set_parent_death_signal,
};
use impresario_wire::{Message, PortPolicy};

use self::panic::catch_panic;
use self::process_kind::ProcessKind;
use self::status_port::send_blocking;
use crate::exit::ProcessExit;
use crate::identity::ProcessIdentity;
use crate::listen_fds::ListenFds;
use crate::logging::LoggerFactory;

/// What a child process runs after it has detached from its parent.
pub(crate) type ChildMain = fn(ChildInit) -> ProcessExit;

/// Everything that a child process takes from its parent.
pub(crate) struct ChildInit {
    pub(crate) identity: ProcessIdentity,
    pub(crate) kind: ProcessKind,
    /// The child's end of the port to the parent.
    pub(crate) port: SeqPacket,
    pub(crate) policy: PortPolicy,
    pub(crate) parent_pid: Pid,
    pub(crate) inherited: Vec<OwnedFd>,
    /// All listening sockets of the parent; after detaching, those that `kind` names.
    pub(crate) listen_fds: ListenFds,
    pub(crate) logging: LoggerFactory,
    /// Whether the child becomes the leader of a process group. Children of main do, for two reasons: Ctrl-C
    /// in a terminal then reaches main only, and one signal can reach all processes of an app.
    pub(crate) new_process_group: bool,
}

impl ChildInit {
    /// Runs the child process. It ends with `_exit` and never returns or unwinds into the parent's stack
    /// frames.
    pub(crate) fn run_and_exit(self, child_main: ChildMain) -> ! {
        let exit = catch_panic(|| self.run(child_main)).unwrap_or(ProcessExit::Panicked);
        exit_now(exit.code());
    }

    fn run(mut self, child_main: ChildMain) -> ProcessExit {
        match self.detach_from_parent() {
            Ok(()) => child_main(self),
            Err(error) => {
                send_blocking(&self.port, &Message::failed(error));
                ProcessExit::NotStarted
            }
        }
    }

    /// Gives up the parent's descriptors, signal mask and process group, and sets the parent death signal.
    fn detach_from_parent(&mut self) -> Result<(), ChildInitError> {
        let names = catch_panic(|| self.kind.listeners()).map_err(ChildInitError::Listeners)?;
        self.listen_fds.retain(&names);
        // First of the system calls: a copy of another child's port would hide the end of file from its peer.
        let inherited = self.inherited.iter().map(AsFd::as_fd);
        let keep: Vec<BorrowedFd<'_>> =
            inherited.chain(self.listen_fds.fds()).chain([self.port.as_fd()]).collect();
        close_all_except(&keep).map_err(ChildInitError::Close)?;
        reset_signals().map_err(ChildInitError::Signals)?;
        if self.new_process_group {
            rustix::process::setpgid(None, None).map_err(|error| ChildInitError::Group(error.into()))?;
        }
        // Last: a change of credentials clears PR_SET_PDEATHSIG.
        set_parent_death_signal(Signal::SIGKILL, self.parent_pid).map_err(ChildInitError::Parent)
    }
}

/// Why a child process failed before it reached the user's `setup`.
#[derive(Debug, thiserror::Error)]
enum ChildInitError {
    #[error("listeners() {0}")]
    Listeners(ExitReason),
    #[error("cannot close inherited descriptors: {0}")]
    Close(#[source] io::Error),
    #[error("cannot reset signals: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot create a process group: {0}")]
    Group(#[source] io::Error),
    #[error("cannot set the parent death signal: {0}")]
    Parent(#[source] io::Error),
    #[error("cannot duplicate the port to the parent: {0}; look at the limit on open files")]
    Port(#[source] io::Error),
    #[error("cannot start a thread: {0}; look at the limit on processes")]
    Thread(#[source] io::Error),
}
