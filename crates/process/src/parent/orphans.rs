//! Reaping of orphans in a child subreaper, such as the first process of a container.
//!
//! When a process exits, the kernel gives its children to the nearest subreaper above it. An exited orphan
//! stays in the process table until it is reaped.

use std::io::ErrorKind;

use impresario_sys::{Pid, exited_child};
use rustix::process::child_subreaper;

/// The most processes that one call reaps, so that it returns to the loop. The next SIGCHLD reaps the others.
const MAX_REAPED: usize = 4096;

/// Whether the kernel makes this process the parent of orphans: it is pid 1, or `PR_SET_CHILD_SUBREAPER` is
/// set.
pub(super) fn is_subreaper() -> bool {
    Pid::this().as_raw() == 1 || child_subreaper().is_ok_and(|subreaper| subreaper.is_some())
}

/// Reaps exited processes until one is a child by `is_child`: its exit status is read from its pidfd. Does
/// not block.
pub(super) fn reap(is_child: impl Fn(Pid) -> bool) {
    for _ in 0..MAX_REAPED {
        match exited_child() {
            Ok(Some(pid)) if !is_child(pid) => {
                let _ = impresario_sys::reap(pid);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}
