//! The public functions of a pid.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use impresario_supervision::{ExitReason, Incarnation};

use crate::cell::exit::ExitFuture;
use crate::cell::{ActorCell, Pid, Signal};

impl Pid {
    pub(crate) fn of(cell: &Arc<ActorCell>) -> Self {
        Self(Arc::clone(cell))
    }

    pub(crate) fn cell(&self) -> &Arc<ActorCell> {
        &self.0
    }

    /// Distinguishes incarnations while a `Pid` of them exists.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Its number, unique in its [`Registry`](crate::Registry).
    pub fn number(&self) -> u64 {
        self.0.number()
    }

    /// Its incarnation: the number of this start by its supervisor.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation()
    }

    /// Whether it has not exited. It may exit immediately afterwards.
    #[doc(alias = "is_process_alive")]
    pub fn is_alive(&self) -> bool {
        self.0.exit_reason().is_none()
    }

    /// The exit reason, if it has exited.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.0.exit_reason()
    }

    /// The time since its start.
    pub fn uptime(&self) -> Duration {
        self.0.age()
    }

    /// The address of the actor, if it runs and is an `A`.
    pub fn addr<A: Actor<Context = actix::Context<A>>>(&self) -> Option<Addr<A>> {
        Some(self.0.mailbox::<A>()?.addr())
    }

    /// Sends it an exit signal, as something that is not a process (OTP: `exit/2`).
    ///
    /// An actor that traps exits gets an [`ExitSignal`](crate::ExitSignal). Otherwise `Normal` is ignored, and
    /// every other reason ends the actor at its next poll, without `stopping()`. From an actor, use
    /// [`ChildContext::send_exit`](crate::ChildContext::send_exit), which names the sender.
    ///
    /// The signal is dropped if the actor has exited, or if 65,536 signals are queued for it.
    pub fn exit(&self, reason: ExitReason) {
        self.0.signal(Signal::Exit { from: None, reason, linked: false });
    }

    /// Ends the actor at its next poll, with [`ExitReason::Killed`]; it cannot be trapped (OTP: `exit(Pid,
    /// kill)`).
    ///
    /// An actor that never yields cannot be killed: it has no next poll.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Waits for the exit. Completes immediately if it has exited. Can be called any number of times.
    pub fn wait_exit(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        let (exit, cell) = (ExitFuture::new(self), Arc::clone(&self.0));
        async move {
            match exit {
                Some(exit) => exit.await,
                None => cell.exit_reason().unwrap_or(ExitReason::NoProc),
            }
        }
    }
}

impl PartialEq for Pid {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pid {}

impl Hash for Pid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.number())
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({})", self.number())
    }
}
