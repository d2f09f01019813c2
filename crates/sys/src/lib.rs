//! Linux system calls that std does not offer, with owned descriptors.
//!
//! The main types:
//!
//! * [`SeqPacket`]: a socket that carries datagrams, descriptors, and the sender's pid from the kernel. [`classify`]
//!   tells a driver what a failed send or receive means.
//! * [`PidFd`]: a descriptor of a process. Unlike a pid it never refers to another process later.
//! * [`SignalFd`]: signals that are read from a descriptor.
//!
//! This is the only crate with `unsafe`: each block makes one call. Functions return owned descriptors.
//!
//! It has no frames, supervision, event loop or policy.

mod classify;
mod close;
mod fork;
mod listen_fds;
mod pidfd;
mod poll;
mod reap;
mod seqpacket;
mod signal;

pub use classify::{ErrorClass, classify};
pub use close::close_all_except;
pub use fork::{Fork, ForkError, ForkedChild, exit_now, fork};
pub use listen_fds::{ListenFdsError, listen_fds};
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
pub use pidfd::{ExitStatus, PidFd};
pub use poll::{wait_readable, wait_writable};
pub use reap::{exited_child, reap};
pub use seqpacket::{MAX_FDS, Received, SeqPacket};
pub use signal::{SignalFd, reset_signals, set_parent_death_signal};
