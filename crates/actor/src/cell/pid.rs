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

    /// Tells lives apart while there is a `Pid` of them.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Its number, unique in its [`Registry`](crate::Registry).
    pub fn number(&self) -> u64 {
        self.0.number()
    }

    /// Which of the lives that its supervisor has begun it is.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation()
    }

    /// Whether it has not ended. It may end the next moment.
    #[doc(alias = "is_process_alive")]
    pub fn is_alive(&self) -> bool {
        self.0.exit_reason().is_none()
    }

    /// Why it ended, if it has.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.0.exit_reason()
    }

    /// For how long it has existed.
    pub fn uptime(&self) -> Duration {
        self.0.age()
    }

    /// The address of the actor, if it is an `A` that runs.
    pub fn addr<A: Actor<Context = actix::Context<A>>>(&self) -> Option<Addr<A>> {
        Some(self.0.mailbox::<A>()?.addr())
    }

    /// Sends it an exit signal, as something that is not a process (OTP: `exit/2`).
    ///
    /// If it traps exits, it gets an [`ExitSignal`](crate::ExitSignal). If it does not, `Normal` is ignored and every other reason
    /// ends it at once, without `stopping()`. From an actor, use [`ChildContext::send_exit`](crate::ChildContext::send_exit), which says
    /// whom it is from.
    ///
    /// One that is over does not hear of it; nor does one for which 65,536 signals wait already, since it has no turn.
    pub fn exit(&self, reason: ExitReason) {
        self.0.signal(Signal::Exit { from: None, reason, linked: false });
    }

    /// Ends it at its next turn, as [`ExitReason::Killed`]; it cannot be trapped (OTP: `exit(Pid, kill)`).
    ///
    /// What never yields cannot be killed: it has no next turn.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Waits for its end; at once if it is over, however often it is asked.
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
