//! The identity of one life.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::{Actor, Addr};
use impresario_supervision::{ExitReason, Incarnation};
use tokio::sync::oneshot;

use crate::bonds::ExitListener;
use crate::life::ActorCell;
use crate::signal::Signal;

/// One life of one actor, for ever: a restart makes a new one (OTP: `pid()`).
///
/// It is a name and owns nothing: holding it keeps no actor alive. Two are equal if they are the same life.
#[derive(Clone)]
#[doc(alias = "process")]
pub struct Pid(Arc<ActorCell>);

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

/// Waits for the end of a life, and leaves no trace in it when dropped.
pub(crate) struct ExitFuture {
    cell: Arc<ActorCell>,
    key: u64,
    exit: oneshot::Receiver<ExitReason>,
}

impl ExitFuture {
    /// `None` if the life is over.
    pub(crate) fn new(pid: &Pid) -> Option<Self> {
        let (listener, exit) = oneshot::channel();
        let key =
            pid.cell().with_links(|links| links.add_exit_listener(ExitListener::Future(listener))).ok()?;
        Some(Self { cell: Arc::clone(pid.cell()), key, exit })
    }
}

impl Future for ExitFuture {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let exit = ready!(Pin::new(&mut self.exit).poll(cx));
        // A life says how it ended before it lets go of those who watch it.
        Poll::Ready(exit.unwrap_or_else(|_| self.cell.exit_reason().unwrap_or(ExitReason::NoProc)))
    }
}

impl Drop for ExitFuture {
    fn drop(&mut self) {
        // An error means that it is over, and has forgotten its watchers.
        let _ = self.cell.with_links(|links| links.remove_exit_listener(self.key));
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
