//! What the user implements for a process that forks no children.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use impresario_sys::{Pid, SeqPacket};
use impresario_wire::{PortPolicy, Role};
use slog::Logger;

use crate::exit::ProcessExit;
use crate::identity::ProcessIdentity;
use crate::listen_fds::ListenFd;

/// A kind of process that forks no children: a router, a worker. In NGINX Unit: `nxt_process_init_t`.
///
/// Three steps run for each start: [`prefork`](Self::prefork) in the parent, [`setup`](Self::setup) in the
/// child, then the [`ProcessStart`] that `setup` returned.
///
/// The parent keeps this value and each child gets a copy by `fork`. `prefork` changes the parent's value, so
/// the next child sees the change; what a child changes is seen by no other process.
///
/// The value must not own descriptors. The child closes every descriptor that `prefork` or `listeners` does
/// not name, also one that this value still holds.
pub trait ProcessInit: Send {
    /// The role of the process. [`Role`] decides which messages it may send and receive.
    fn role(&self) -> Role;

    /// The names of the listeners that the process inherits. The default is none.
    ///
    /// Called in main before the first fork, and in the child after each. A panic in the child is a
    /// failed start.
    fn listeners(&self) -> Vec<String> {
        Vec::new()
    }

    /// Creates the descriptors of one child, in the parent, immediately before each fork.
    ///
    /// # Errors
    ///
    /// The start has failed; the rules of the parent decide what follows. The same after a panic.
    fn prefork(&mut self, child: &ProcessIdentity) -> io::Result<Prefork> {
        let _ = child;
        Ok(Prefork::default())
    }

    /// Prepares the process, in the child, on a new thread. All that may fail belongs here.
    ///
    /// `Ok` means ready: the child sends READY to its parent and then calls the [`ProcessStart`].
    ///
    /// # Errors
    ///
    /// The child sends the reason to its parent and exits with [`ProcessExit::NotStarted`].
    fn setup(self: Box<Self>, context: ProcessContext) -> Result<ProcessStart, BoxError>;
}

/// The work of a ready process; the process exits when it returns. It runs on the thread of
/// [`ProcessInit::setup`].
pub type ProcessStart = Box<dyn FnOnce() -> ProcessExit>;

/// Any error. Logs and reports print it with its sources.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The descriptors that the parent creates for one child before the fork.
#[derive(Debug, Default)]
pub struct Prefork {
    /// Descriptors for the child, in the order of [`ProcessContext::inherited`]. The parent closes its
    /// copies.
    pub inherit: Vec<OwnedFd>,
    /// The router's end of a port to the child. It is sent to main, and from there to routers, when the child
    /// is ready.
    pub router_port: Option<OwnedFd>,
}

/// What a child process starts with.
///
/// Only these descriptors and 0, 1, 2 are open. Every signal has its default action, except `SIGPIPE`, which
/// is ignored; no signal is blocked. `PR_SET_PDEATHSIG` is `SIGKILL`: the kernel kills the process when its
/// parent dies.
pub struct ProcessContext {
    /// The identity of the process.
    pub identity: ProcessIdentity,
    /// The port to the parent, non-blocking. QUIT arrives here. End of file means that the parent has exited.
    pub parent: SeqPacket,
    /// The role and pid of the parent, and the messages that either side may send on `parent`.
    pub policy: PortPolicy,
    /// The parent's pid.
    pub parent_pid: Pid,
    /// The descriptors of [`Prefork::inherit`].
    pub inherited: Vec<OwnedFd>,
    /// The listeners that [`ProcessInit::listeners`] named.
    pub listeners: Vec<ListenFd>,
    /// The logger of the process.
    pub log: Logger,
}

impl fmt::Debug for ProcessContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessContext")
            .field("identity", &self.identity)
            .field("parent_pid", &self.parent_pid)
            .field("inherited", &self.inherited)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}
