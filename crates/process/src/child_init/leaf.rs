//! A child process that forks no children: `setup` and the process start.

use std::thread;

use impresario_sys::SeqPacket;
use impresario_wire::Message;

use super::panic::catch_panic;
use super::process_kind::ProcessKind;
use super::status_port::send_blocking;
use super::{ChildInit, ChildInitError};
use crate::error_chain::error_chain;
use crate::exit::ProcessExit;
use crate::logging::ProcessLogger;
use crate::process_init::ProcessContext;

impl ChildInit {
    /// Runs the user's code on a second thread and waits for it.
    ///
    /// A new thread has its own hash keys and random numbers and no thread-local runtime of the parent. The
    /// first thread must stay: `PR_SET_PDEATHSIG` belongs to the thread that set it.
    pub(crate) fn run_leaf(self) -> ProcessExit {
        // The user's code owns the port and may close it early. With this copy the parent reads end of file
        // only when the process exits; otherwise it would kill the process EXIT_TIMEOUT after the close. The
        // copy also sends the reason of a panic.
        let status_port = match self.port.try_clone() {
            Ok(status_port) => status_port,
            Err(error) => {
                send_blocking(&self.port, &Message::failed(ChildInitError::Port(error)));
                return ProcessExit::NotStarted;
            }
        };
        let builder = thread::Builder::new().name(self.identity.to_string());
        let run = || catch_panic(|| self.run_user_code(&status_port));
        thread::scope(|scope| match builder.spawn_scoped(scope, run).map(thread::ScopedJoinHandle::join) {
            Ok(Ok(Ok(exit))) => exit,
            Ok(Ok(Err(panic))) => {
                send_blocking(&status_port, &Message::failed(panic));
                ProcessExit::Panicked
            }
            Ok(Err(_)) => ProcessExit::Panicked,
            Err(error) => {
                send_blocking(&status_port, &Message::failed(ChildInitError::Thread(error)));
                ProcessExit::NotStarted
            }
        })
    }

    fn run_user_code(self, status_port: &SeqPacket) -> ProcessExit {
        let ProcessKind::Leaf(init) = self.kind else { return ProcessExit::NotStarted };
        let ProcessLogger { log, guard } = (self.logging)(&self.identity);
        let context = ProcessContext {
            identity: self.identity,
            parent: self.port,
            policy: self.policy,
            parent_pid: self.parent_pid,
            inherited: self.inherited,
            listeners: self.listen_fds.into_vec(),
            log,
        };
        let exit = match init.setup(context) {
            Ok(start) if send_blocking(status_port, &Message::Ready) => start(),
            // READY was not sent: the parent has exited, or its port took no frame for SEND_TIMEOUT.
            Ok(_) => ProcessExit::Failed,
            Err(error) => {
                send_blocking(status_port, &Message::failed(error_chain(&*error)));
                ProcessExit::NotStarted
            }
        };
        drop(guard);
        exit
    }
}
