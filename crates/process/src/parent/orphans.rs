//! Reaping of orphans in a child subreaper, such as the first process of a container.
//!
//! When a process exits, the kernel gives its children to the nearest subreaper above it. An exited orphan
//! stays in the process table until it is reaped.

use impresario_sys::Pid;
use nix::errno::Errno;
use nix::sys::prctl::get_child_subreaper;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// The most processes that one call reaps, so that it returns to the loop. The next SIGCHLD reaps the others.
const MAX_REAPED: usize = 4096;

/// Whether the kernel makes this process the parent of orphans: it is pid 1, or `PR_SET_CHILD_SUBREAPER` is
/// set.
pub(super) fn is_subreaper() -> bool {
    Pid::this().as_raw() == 1 || get_child_subreaper().unwrap_or(false)
}

/// Reaps exited processes until one is a child by `is_child`: its exit status is read from its pidfd. Does
/// not block.
pub(super) fn reap(is_child: impl Fn(Pid) -> bool) {
    let exited = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    for _ in 0..MAX_REAPED {
        let next = waitid(Id::All, exited | WaitPidFlag::WNOWAIT);
        match next.as_ref().map(WaitStatus::pid) {
            Ok(Some(pid)) if !is_child(pid) => {
                let _ = waitid(Id::Pid(pid), exited);
            }
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
