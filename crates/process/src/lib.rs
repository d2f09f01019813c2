//! Supervision of processes: the rules of `impresario-supervision`, run with `fork` and `waitid`.
//!
//! * [`Main`]: the root process. It holds the listening sockets, forks its children, and restarts them.
//! * [`ProcessInit`]: a kind of process that does work: `prefork`, `setup`, [`ProcessStart`].
//! * [`PoolSpec`]: how many workers the prototype of an app forks, and by which rules it restarts them.
//!
//! Main and prototypes run the same loop on one thread: epoll, a signalfd, a pidfd and a port for each child,
//! and the timeouts of the rules. A process that forks never starts a second thread.
//!
//! # When main dies
//!
//! * Every child sets `PR_SET_PDEATHSIG` to `SIGKILL`. The death of main kills prototypes and routers, and
//!   the death of a prototype kills its workers.
//! * The port to the parent reports end of file; a prototype then kills what is left below it.
//! * Not covered: subprocesses that user code starts. They outlive main if user code does not end them.
//!
//! This crate does not know async runtimes, actors, connections or HTTP.

mod child_init;
mod error_chain;
mod exit;
mod frame_socket;
mod identity;
mod listen_fds;
mod logging;
mod open_files;
mod parent;
mod process_init;
mod roles;
mod rules;

pub use exit::ProcessExit;
pub use identity::ProcessIdentity;
pub use impresario_wire::Role;
pub use listen_fds::ListenFd;
pub use logging::ProcessLogger;
pub use process_init::{BoxError, Prefork, ProcessContext, ProcessInit, ProcessStart};
pub use roles::main::{Main, RunError, SHUTDOWN_TIMEOUT};
pub use rules::pool::PoolSpec;
