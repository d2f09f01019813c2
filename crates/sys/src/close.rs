//! Closing the descriptors that a forked child has inherited and must not hold.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The descriptors that each process keeps: standard input, output and error.
const STANDARD: [RawFd; 3] = [0, 1, 2];

/// Closes every descriptor of this process except 0, 1, 2 and those in `keep`.
///
/// Call it in a child, right after the fork. A value that owns one of the closed descriptors must not be used or dropped
/// afterwards: its number may refer to another file by then. The child therefore never returns into the stack frames of
/// its parent, and leaves by [`exit_now`](crate::exit_now).
///
/// Costs one `close_range` per gap between the kept descriptors.
///
/// # Errors
///
/// The error of `close_range`. It is not specified which descriptors are open then.
#[doc(alias = "close_range")]
pub fn close_all_except(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).chain(STANDARD).collect();
    kept.sort_unstable();
    kept.dedup();
    let mut next = 0;
    for fd in kept {
        if fd > next {
            close_range(next as u32, fd as u32 - 1)?;
        }
        next = fd + 1;
    }
    close_range(next as u32, u32::MAX)
}

/// Closes the descriptors `first..=last`.
fn close_range(first: u32, last: u32) -> io::Result<()> {
    // The raw system call: glibc has a wrapper only since 2.34, musl has none.
    // SAFETY: takes three integers and touches no memory. By the contract of `close_all_except`, no owner of these
    // descriptors is used or dropped afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
