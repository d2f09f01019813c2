//! The supervision tree, one level further: processes. It plays the rules of `impresario-supervision` on fork and
//! wait.
//!
//! Three types to know:
//!
//! * [`Main`]: the root process. It keeps the listeners, forks its children, and starts them again.
//! * [`Leaf`]: a kind of process that does work; its life is `prefork`, `setup`, and a body.
//! * [`Pool`]: how many workers an app's prototype forks, and what is done about them.
//!
//! Main and prototypes run the same loop: one thread, epoll, signals as a descriptor, a pidfd and a port for each
//! child, and a time-out where the rules name one. This crate deliberately knows no async runtime, no actor, no
//! connection and no HTTP, and it never starts a thread in a process that forks.

mod child_init;
mod exit;
mod identity;
mod listen_fds;
mod open_files;
mod parent;
mod process_init;
mod roles;
mod rules;

pub use exit::ProcessExit;
pub use identity::{ProcessIdentity, ProcessLogger};
pub use impresario_wire::Role;
pub use listen_fds::ListenFd;
pub use process_init::{BoxError, Prefork, ProcessContext, ProcessInit, ProcessStart};
pub use roles::main::{Main, RunError, SHUTDOWN_TIMEOUT};
pub use rules::pool::PoolSpec;
