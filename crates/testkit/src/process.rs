//! A process that is known by a pidfd, child or not.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::limits::DEADLINE;
use crate::procfs;

/// A process to signal and to wait for. A zombie counts as exited: its parent, such as pid 1 of a container,
/// may never call `wait`.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    descriptor: OwnedFd,
}

impl Process {
    /// Opens the process that has this pid now. Returns `None` if there is none.
    #[must_use]
    pub fn open(pid: u32) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        Some(Self { pid, descriptor: pidfd_open(raw, PidfdFlags::empty()).ok()? })
    }

    /// The pid at the time of [`open`](Self::open).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal with `pidfd_send_signal`.
    ///
    /// # Errors
    ///
    /// `ESRCH` if its parent has waited for it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.descriptor, signal)?)
    }

    /// Sends `SIGSTOP` and waits until all threads have stopped. The signal stops one thread immediately, the
    /// others when they are next scheduled.
    ///
    /// # Panics
    ///
    /// If it has exited, or does not stop within [`DEADLINE`].
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP).unwrap_or_else(|error| panic!("cannot stop {}: {error}", self.pid));
        let end = Instant::now() + DEADLINE;
        while procfs::is_frozen(self.pid) != Some(true) {
            assert!(Instant::now() < end, "{} does not stop", self.pid);
            thread::yield_now();
        }
    }

    /// Returns whether it exits within `limit`.
    #[must_use]
    pub fn exits_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
            let mut interest = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match poll(&mut interest, Some(&timeout)) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(error) => panic!("cannot poll the pidfd of {}: {error}", self.pid),
            }
        }
    }
}

/// Waits until all processes have exited, for at most `limit` in total. Returns the pids of the others.
#[must_use]
pub fn all_exit(processes: &[Process], limit: Duration) -> Vec<u32> {
    let end = Instant::now() + limit;
    let mut left = Vec::new();
    for process in processes {
        if !process.exits_within(end.saturating_duration_since(Instant::now())) {
            left.push(process.pid);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn exit_of_a_zombie_is_seen_without_wait() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat runs");
        let process = Process::open(child.id()).expect("the process runs");
        assert!(!process.exits_within(Duration::from_millis(1)));
        assert_eq!(all_exit(&[process], Duration::ZERO), [child.id()]);

        let process = Process::open(child.id()).expect("the process runs");
        process.signal(Signal::KILL).expect("SIGKILL can be sent");
        assert!(process.exits_within(crate::limits::DEADLINE), "a zombie counts as exited");
        child.wait().expect("the child can be waited for");
        assert!(Process::open(child.id()).is_none());
    }
}
