//! Closing what a newborn process must not hold.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The descriptors every process keeps: standard input, output and error.
const STANDARD: [RawFd; 3] = [0, 1, 2];

/// Closes every descriptor of this process except 0, 1, 2 and those in `keep`.
///
/// Meant for one moment: right after a fork, in the child, which owns nothing but what it kept. A value that owns
/// one of the closed descriptors must never be used or dropped afterwards; the child therefore never returns into
/// its parent's frames and leaves by [`exit_now`](crate::exit_now). Costs one system call per gap, so 10 us for
/// 100 descriptors where a loop of `close` over the limit takes milliseconds.
///
/// # Errors
///
/// What `close_range` says; nothing is promised about which descriptors are open then.
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
    // The raw system call, because the C library has a function for it only since glibc 2.34 and not in musl.
    // SAFETY: takes three integers and touches no memory. That no owner of these descriptors lives on is the
    // contract of `close_all_except`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
