//! The kernel with owned descriptors: what processes need from Linux and std does not offer.
//!
//! Three types to know:
//!
//! * [`SeqPacket`]: a socket that carries whole frames, descriptors, and the sender's pid as the kernel knows it.
//! * [`PidFd`]: a process named by a descriptor, so that its pid is never mistaken for another's.
//! * [`SignalFd`]: signals as something to read.
//!
//! This is the only crate with `unsafe`: one system call a function, descriptors owned on the way in and out.
//! It deliberately knows no frame, no child, no loop, no policy.

mod close;
mod fork;
mod listen_fds;
mod pidfd;
mod seqpacket;
mod signal;

pub use close::close_all_except;
pub use fork::{Fork, ForkError, ForkedChild, exit_now, fork};
pub use listen_fds::{ListenFdsError, listen_fds};
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
pub use pidfd::{ExitStatus, PidFd};
pub use seqpacket::{MAX_FDS, Received, SeqPacket};
pub use signal::{SignalFd, reset_signals, set_parent_death_signal};
