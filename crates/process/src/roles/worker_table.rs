//! What main knows of the workers below its prototypes: who they are, and the router's ends of their ports.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use impresario_supervision::Incarnation;
use impresario_sys::{PidFd, Signal};
use impresario_wire::Message;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The most workers main keeps ports for.
pub(crate) const MAX_WORKERS: usize = 1024;

/// One worker that is ready.
#[derive(Debug)]
pub(crate) struct WorkerEntry {
    pub(crate) process: u32,
    pub(crate) app: String,
    pub(crate) slot: u32,
    /// The router's end of the port to it, kept for every router to come; none if the app has no router.
    port: Option<Rc<OwnedFd>>,
    pidfd: Rc<PidFd>,
    /// The life of the prototype that told us.
    owner: Incarnation,
}

impl WorkerEntry {
    pub(crate) fn new(
        owner: Incarnation,
        process: u32,
        app: String,
        slot: u32,
        mut fds: Vec<OwnedFd>,
    ) -> Option<Self> {
        let pidfd = Rc::new(PidFd::from(fds.pop()?));
        Some(Self { process, app, slot, port: fds.pop().map(Rc::new), pidfd, owner })
    }

    /// What a router is told of this worker; nothing if there is no port to it.
    pub(crate) fn news(&self) -> Option<(Message, Vec<Rc<dyn AsFd>>)> {
        let port = Rc::clone(self.port.as_ref()?);
        let message = Message::NewPort { process: self.process, app: self.app.clone(), slot: self.slot };
        Some((message, vec![port, Rc::clone(&self.pidfd) as Rc<dyn AsFd>]))
    }
}

/// All workers that are ready, and those whose prototype is gone and who have not ended yet.
#[derive(Debug, Default)]
pub(crate) struct WorkerTable {
    live: Vec<WorkerEntry>,
    orphans: Vec<WorkerEntry>,
}

impl WorkerTable {
    /// Adds a worker. `None` when there are [`MAX_ROUTES`] already.
    pub(crate) fn add(&mut self, route: WorkerEntry) -> Option<&WorkerEntry> {
        self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
        self.remove(route.owner, route.process);
        if self.live.len() + self.orphans.len() >= MAX_WORKERS {
            return None;
        }
        self.live.push(route);
        self.live.last()
    }

    /// Forgets a worker that its prototype says is gone; whether it was known.
    pub(crate) fn remove(&mut self, owner: Incarnation, process: u32) -> bool {
        let before = self.live.len();
        self.live.retain(|route| route.owner != owner || route.process != process);
        self.live.len() < before
    }

    /// A prototype is gone: its workers are killed (they should be dying already) and, from now on, only waited for.
    pub(crate) fn remove_owner(&mut self, owner: Incarnation) -> Vec<u32> {
        let gone: Vec<WorkerEntry> = self.live.extract_if(.., |route| route.owner == owner).collect();
        let processes = gone.iter().map(|route| route.process).collect();
        self.orphans.extend(gone);
        self.kill_orphans();
        processes
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &WorkerEntry> {
        self.live.iter()
    }

    /// Ends everybody.
    pub(crate) fn kill(&mut self) {
        self.orphans.append(&mut self.live);
        self.kill_orphans();
    }

    fn kill_orphans(&mut self) {
        self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
        for orphan in &self.orphans {
            // It fails only for a process that has just ended.
            let _ = orphan.pidfd.send_signal(Signal::SIGKILL);
        }
    }

    /// Waits until everybody has ended; who has not after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> &[WorkerEntry] {
        self.orphans.append(&mut self.live);
        let begin = Instant::now();
        loop {
            self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
            let Some(left) = limit.checked_sub(begin.elapsed()) else { return &self.orphans };
            let Some(first) = self.orphans.first() else { return &self.orphans };
            wait_for(&first.pidfd, left);
        }
    }
}

/// Whether the process has ended. If its prototype died and left it to this process, it is buried here.
fn has_exited(pidfd: &PidFd) -> bool {
    let over = wait_for(pidfd, Duration::ZERO);
    if over {
        // It fails for whom somebody else buries.
        let _ = pidfd.try_wait();
    }
    over
}

/// Whether the process is over within this time. What cannot be asked counts as over: there is nothing to wait for.
pub(crate) fn wait_for(pidfd: &PidFd, limit: Duration) -> bool {
    // Rounded up, so that the last millisecond is not spun away.
    let timeout = PollTimeout::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) | Err(Errno::EINTR) => false,
        Ok(_) | Err(_) => true,
    }
}

#[cfg(test)]
#[path = "worker_table_tests.rs"]
mod tests;
