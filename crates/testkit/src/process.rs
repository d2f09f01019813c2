//! A process named by a descriptor, whoever its parent is.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::limits::DEADLINE;
use crate::procfs;

/// A process whose exit can be waited for. It counts as gone once it is a zombie: the parent it ends up with (pid 1
/// of a container) may never wait for it.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    descriptor: OwnedFd,
}

impl Process {
    /// Names the process that has this pid now, or `None` when there is none.
    #[must_use]
    pub fn open(pid: u32) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        Some(Self { pid, descriptor: pidfd_open(raw, PidfdFlags::empty()).ok()? })
    }

    /// The pid it had when it was named.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it is gone and has been waited for.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.descriptor, signal)?)
    }

    /// Sends SIGSTOP and waits until it has stopped. The signal alone stops one of its threads at once, and the others
    /// only when that one has been scheduled.
    ///
    /// # Panics
    ///
    /// When it is gone, or does not stop.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP).unwrap_or_else(|error| panic!("cannot freeze {}: {error}", self.pid));
        let end = Instant::now() + DEADLINE;
        while procfs::is_frozen(self.pid) != Some(true) {
            assert!(Instant::now() < end, "{} does not stop", self.pid);
            thread::yield_now();
        }
    }

    /// Waits for the exit, at most this long.
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

/// Waits until all of them are gone, at most this long altogether; returns the pids of those that are not.
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
    fn an_exit_is_seen_without_a_wait() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat runs");
        let process = Process::open(child.id()).expect("it runs");
        assert!(!process.exits_within(Duration::from_millis(1)));
        assert_eq!(all_exit(&[process], Duration::ZERO), [child.id()]);

        let process = Process::open(child.id()).expect("it runs");
        process.signal(Signal::KILL).expect("it can be killed");
        assert!(process.exits_within(crate::limits::DEADLINE), "a zombie counts as gone");
        child.wait().expect("it is ours");
        assert!(Process::open(child.id()).is_none());
    }
}
