//! The workers below the prototypes, as main knows them: their pidfds, and the router's ends of their ports.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use impresario_supervision::Incarnation;
use impresario_sys::{PidFd, Signal};
use impresario_wire::{Message, Role};

use crate::parent::child::wait_exit;
use crate::parent::port::MAX_WORKERS;

/// The most workers of dead prototypes that have not exited yet: the workers of a whole tree.
///
/// They are killed already, and exit within milliseconds. They do not count as workers: a restarted prototype
/// would be refused its workers while the old ones exit.
const MAX_ORPHANS: usize = MAX_WORKERS;

/// One worker that is ready.
#[derive(Debug)]
pub(super) struct WorkerEntry {
    pub(super) process: u32,
    app: String,
    slot: u32,
    /// The router's end of the port to the worker, kept for each router that starts later; `None` if the app
    /// has no router.
    port: Option<Rc<OwnedFd>>,
    pidfd: Rc<PidFd>,
    /// The incarnation of the prototype that reported the worker.
    owner: Incarnation,
}

impl WorkerEntry {
    /// The last descriptor is the pidfd, the one before it the port. `None` without descriptors.
    pub(super) fn new(
        owner: Incarnation,
        process: u32,
        app: String,
        slot: u32,
        mut fds: Vec<OwnedFd>,
    ) -> Option<Self> {
        let pidfd = Rc::new(PidFd::from(fds.pop()?));
        Some(Self { process, app, slot, port: fds.pop().map(Rc::new), pidfd, owner })
    }

    /// The message that announces the worker to a router; `None` if there is no port to the worker.
    pub(super) fn new_port(&self) -> Option<(Message, Vec<Rc<dyn AsFd>>)> {
        let port = Rc::clone(self.port.as_ref()?);
        let message = Message::NewPort { process: self.process, app: self.app.clone(), slot: self.slot };
        Some((message, vec![port, Rc::clone(&self.pidfd) as Rc<dyn AsFd>]))
    }

    /// The name of the worker in log lines: that of its `ProcessIdentity`.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.app, Role::Worker, self.slot)
    }
}

/// All workers that are ready, and the workers of dead prototypes that have not exited yet.
#[derive(Debug, Default)]
pub(super) struct WorkerTable {
    workers: Vec<WorkerEntry>,
    orphans: Vec<WorkerEntry>,
}

impl WorkerTable {
    /// Adds a worker. `None` if there are [`MAX_WORKERS`] already, or more than [`MAX_ORPHANS`] orphans.
    pub(super) fn add(&mut self, worker: WorkerEntry) -> Option<&WorkerEntry> {
        self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
        self.remove(worker.owner, worker.process);
        if self.workers.len() >= MAX_WORKERS || self.orphans.len() > MAX_ORPHANS {
            return None;
        }
        self.workers.push(worker);
        self.workers.last()
    }

    /// Removes a worker that its prototype reported as exited. False if it is unknown.
    pub(super) fn remove(&mut self, owner: Incarnation, process: u32) -> bool {
        let before = self.workers.len();
        self.workers.retain(|worker| worker.owner != owner || worker.process != process);
        self.workers.len() < before
    }

    /// A prototype has exited: makes its workers orphans, sends them SIGKILL and returns their pids.
    ///
    /// The kernel kills them too, by `PR_SET_PDEATHSIG`.
    pub(super) fn remove_owner(&mut self, owner: Incarnation) -> Vec<u32> {
        let removed: Vec<WorkerEntry> = self.workers.extract_if(.., |worker| worker.owner == owner).collect();
        let processes = removed.iter().map(|worker| worker.process).collect();
        self.orphans.extend(removed);
        self.kill_orphans();
        processes
    }

    /// The workers, without orphans.
    pub(super) fn workers(&self) -> impl Iterator<Item = &WorkerEntry> {
        self.workers.iter()
    }

    /// Sends SIGKILL to all workers. They are orphans from then on.
    pub(super) fn kill(&mut self) {
        self.orphans.append(&mut self.workers);
        self.kill_orphans();
    }

    fn kill_orphans(&mut self) {
        self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
        for orphan in &self.orphans {
            // It fails only for a process that has exited in the meantime.
            let _ = orphan.pidfd.send_signal(Signal::SIGKILL);
        }
    }

    /// Waits until all workers and orphans have exited. Blocks for at most `timeout`; returns those that have
    /// not exited.
    pub(super) fn wait(&mut self, timeout: Duration) -> &[WorkerEntry] {
        self.orphans.append(&mut self.workers);
        let begin = Instant::now();
        loop {
            self.orphans.retain(|orphan| !has_exited(&orphan.pidfd));
            let Some(remaining) = timeout.checked_sub(begin.elapsed()) else { return &self.orphans };
            let Some(first) = self.orphans.first() else { return &self.orphans };
            wait_exit(&first.pidfd, remaining);
        }
    }
}

/// Whether a process has exited. Reaps it if the kernel has made it a child of this process.
fn has_exited(pidfd: &PidFd) -> bool {
    let exited = wait_exit(pidfd, Duration::ZERO);
    if exited {
        // ECHILD if the process is a child of another one.
        let _ = pidfd.try_wait();
    }
    exited
}

#[cfg(test)]
#[path = "worker_table_tests.rs"]
mod tests;
