//! The fork of a child.

use std::io::{self, Write};

use impresario_supervision::{ChildKey, Incarnation};
use impresario_sys::{Fork, ForkError, Pid, SeqPacket, fork};
use impresario_wire::{PortPolicy, PortPolicyError, Role};

use super::child::{Child, wait_exit};
use super::phase::KILL_WAIT;
use super::poller::Source;
use super::port::Port;
use super::state::ParentState;
use crate::child_init::ChildInit;
use crate::child_init::child_factory::PreforkError;
use crate::process_init::Prefork;

/// Why a child could not be forked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Prefork(#[from] PreforkError),
    #[error("cannot create a port: {0}")]
    Port(#[source] io::Error),
    #[error(transparent)]
    Policy(#[from] PortPolicyError),
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("cannot watch the child: {0}")]
    Watch(#[source] io::Error),
}

impl ParentState {
    /// Forks a child and watches its pidfd and its port. Does not return in the child.
    pub(super) fn fork(&mut self, key: ChildKey, incarnation: Incarnation) -> Result<(), StartError> {
        let slot = self.rules.slot_of(key);
        let (identity, Prefork { inherit, router_port }) = self.factory.prefork(key, slot)?;
        let parent_policy = PortPolicy::new(self.me.role, identity.role)?;
        let child_policy = PortPolicy::new(identity.role, self.me.role)?;
        let (parent_end, child_end) = SeqPacket::pair().map_err(StartError::Port)?;
        // Unflushed output would be copied into the child and written twice.
        let _ = io::stdout().flush();
        let parent_pid = Pid::this();
        match fork()? {
            Fork::Child => ChildInit {
                identity,
                kind: self.factory.take_kind(slot),
                port: child_end,
                policy: child_policy.with_peer_pid(parent_pid.as_raw().unsigned_abs()),
                parent_pid,
                inherited: inherit,
                listen_fds: std::mem::take(&mut self.listen_fds),
                logging: self.factory.logging.clone(),
                new_process_group: self.me.role == Role::Main,
            }
            .run_and_exit(self.factory.child_main),
            Fork::Parent(forked) => {
                let policy = parent_policy.with_peer_pid(forked.pid.as_raw().unsigned_abs());
                let mut child = Child::new(incarnation, identity, forked, Port::new(parent_end, policy));
                child.router_port = router_port;
                self.watch(&child).map_err(|error| {
                    kill_and_reap(&mut child);
                    StartError::Watch(error)
                })?;
                slog::debug!(self.log, "child started"; "child" => %child.identity, "child_pid" => child.pid.as_raw());
                self.children.insert(child);
                Ok(())
            }
        }
    }

    fn watch(&self, child: &Child) -> io::Result<()> {
        let id = child.id();
        self.poller.add(&*child.pidfd, Source::Process(id))?;
        child.port.iter().try_for_each(|port| self.poller.add(port, Source::Port(id)))
    }
}

/// Kills a child that is not in the table, and reaps it. Blocks for at most [`KILL_WAIT`].
fn kill_and_reap(child: &mut Child) {
    child.kill();
    wait_exit(&child.pidfd, KILL_WAIT);
    let _ = child.pidfd.try_wait();
}
