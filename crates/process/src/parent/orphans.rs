//! What the first process of a container owes to the dead: their children become its own, and each that ends stays
//! in the table of processes until it is waited for.

use impresario_sys::Pid;
use nix::errno::Errno;
use nix::sys::prctl::get_child_subreaper;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// How many are waited for at once. The next end of any process brings the rest.
const MAX_PER_SWEEP: usize = 4096;

/// Whether the kernel gives orphans to this process.
pub(crate) fn is_subreaper() -> bool {
    Pid::this().as_raw() == 1 || get_child_subreaper().unwrap_or(false)
}

/// Waits for ended processes up to the first one that is `ours`: how that one ended is read from its pidfd.
pub(crate) fn reap(ours: impl Fn(Pid) -> bool) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    for _ in 0..MAX_PER_SWEEP {
        let look = waitid(Id::All, ended | WaitPidFlag::WNOWAIT);
        match look.as_ref().map(WaitStatus::pid) {
            Ok(Some(pid)) if !ours(pid) => {
                let _ = waitid(Id::Pid(pid), ended);
            }
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
