//! What main does besides the loop: the table of all workers, and its announcements to routers.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use impresario_wire::{Message, Role};
use slog::Logger;

use super::worker_table::{WorkerEntry, WorkerTable};
use crate::exit::ProcessExit;
use crate::parent::child::Child;
use crate::parent::phase::KILL_WAIT;
use crate::parent::port::MAX_WORKERS;
use crate::parent::role::{Command, ParentRole};

/// Called once, when all children of main have been ready.
pub(super) type OnReady = Box<dyn FnOnce(&Logger)>;

/// The role of main: it keeps the table of all workers and announces them to routers.
pub(super) struct MainRole {
    workers: WorkerTable,
    on_ready: Option<OnReady>,
}

impl MainRole {
    pub(super) fn new(on_ready: Option<OnReady>) -> Self {
        Self { workers: WorkerTable::default(), on_ready }
    }
}

impl ParentRole for MainRole {
    fn ready(&mut self, log: &Logger) -> Vec<Command> {
        if let Some(on_ready) = self.on_ready.take() {
            on_ready(log);
        }
        Vec::new()
    }

    /// Announces all workers to a new router.
    fn child_ready(&mut self, child: &mut Child) -> Vec<Command> {
        if child.identity.role != Role::Router {
            return Vec::new();
        }
        let id = child.id();
        let announcements = self.workers.workers().filter_map(WorkerEntry::new_port);
        announcements.map(|(message, fds)| Command::SendToChild(id, message, fds)).collect()
    }

    fn child_exited(&mut self, child: &Child) -> Vec<Command> {
        let removed = self.workers.remove_owner(child.incarnation).into_iter();
        removed.map(|process| to_routers(Message::RemovePort { process }, Vec::new())).collect()
    }

    fn on_child_message(&mut self, child: &Child, message: Message, fds: Vec<OwnedFd>) -> Vec<Command> {
        let owner = child.incarnation;
        match message {
            Message::NewPort { process, app, slot } => {
                // The decoder has checked the number of descriptors, so there is a pidfd.
                let Some(worker) = WorkerEntry::new(owner, process, app, slot, fds) else {
                    return Vec::new();
                };
                let Some(worker) = self.workers.add(worker) else {
                    let reason = format!("it has workers beyond the {MAX_WORKERS} that main keeps");
                    return vec![Command::KillBroken(child.id(), reason)];
                };
                worker.new_port().map(|(message, fds)| to_routers(message, fds)).into_iter().collect()
            }
            Message::RemovePort { process } if self.workers.remove(owner, process) => {
                vec![to_routers(Message::RemovePort { process }, Vec::new())]
            }
            // An unknown worker. The port policy rejects all other messages.
            _ => Vec::new(),
        }
    }

    fn descendants(&self) -> Vec<String> {
        self.workers.workers().map(|worker| format!("{} ({})", worker.name(), worker.process)).collect()
    }

    fn kill_descendants(&mut self) {
        self.workers.kill();
    }

    fn finish(&mut self, log: &Logger, exit: ProcessExit, reason: &str) -> Option<Message> {
        for worker in self.workers.wait(KILL_WAIT) {
            slog::error!(log, "killed process has not exited"; "child" => worker.name(), "child_pid" => worker.process);
        }
        if exit == ProcessExit::Done {
            slog::info!(log, "shutdown complete");
        } else {
            slog::crit!(log, "exiting"; "reason" => reason, "code" => exit.code());
        }
        None
    }
}

/// A message to all routers. A draining router receives it too: its open connections may need the replacement
/// of a worker that has exited.
fn to_routers(message: Message, fds: Vec<Rc<dyn AsFd>>) -> Command {
    Command::SendToRole(Role::Router, message, fds)
}
