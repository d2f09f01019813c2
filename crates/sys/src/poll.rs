//! Waiting for one descriptor (`ppoll`).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Blocks until a read of `fd` would not block, at most `timeout`; `None` waits without a limit. Returns whether it is
/// readable. End of file and errors of the descriptor count as readable.
///
/// # Errors
///
/// `EINTR` when a signal handler ran.
#[doc(alias = "poll")]
pub fn wait_readable(fd: impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    wait(fd, PollFlags::IN, timeout)
}

/// Blocks until a write to `fd` would not block, at most `timeout`; `None` waits without a limit. Returns whether it is
/// writable. Errors of the descriptor count as writable.
///
/// # Errors
///
/// `EINTR` when a signal handler ran.
#[doc(alias = "poll")]
pub fn wait_writable(fd: impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    wait(fd, PollFlags::OUT, timeout)
}

fn wait(fd: impl AsFd, events: PollFlags, timeout: Option<Duration>) -> io::Result<bool> {
    // A duration beyond the range of `timespec` is no limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    Ok(poll(&mut [PollFd::new(&fd, events)], timeout.as_ref())? > 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn readiness_follows_the_bytes_in_the_buffer() {
        let (mut one, mut other) = UnixStream::pair().expect("free descriptors");
        assert!(wait_writable(&one, None).expect("no signal handler"));
        assert!(!wait_readable(&other, Some(Duration::ZERO)).expect("no signal handler"));
        one.write_all(b"x").expect("the buffer is empty");
        assert!(wait_readable(&other, None).expect("no signal handler"));
        other.read_exact(&mut [0]).expect("one byte was sent");
        drop(one);
        assert!(wait_readable(&other, Some(Duration::MAX)).expect("no signal handler"), "end of file");
    }
}
