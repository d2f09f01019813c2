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

use crate::bonds::Watcher;
use crate::life::Life;
use crate::signal::Signal;

/// One life of one actor, for ever: a restart makes a new one (OTP: `pid()`).
///
/// It is a name and owns nothing: holding it keeps no actor alive. Two are equal if they are the same life.
#[derive(Clone)]
#[doc(alias = "process")]
pub struct Pid(Arc<Life>);

impl Pid {
    pub(crate) fn of(life: &Arc<Life>) -> Self {
        Self(Arc::clone(life))
    }

    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.0
    }

    /// Tells lives apart while there is a `Pid` of them.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Its number, unique in its [`System`](crate::System).
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
        self.0.end_reason().is_none()
    }

    /// Why it ended, if it has.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.0.end_reason()
    }

    /// For how long it has existed.
    pub fn uptime(&self) -> Duration {
        self.0.age()
    }

    /// The address of the actor, if it is an `A` that runs.
    pub fn addr<A: Actor<Context = actix::Context<A>>>(&self) -> Option<Addr<A>> {
        Some(self.0.door::<A>()?.addr())
    }

    /// Sends it an exit signal, as something that is not a process (OTP: `exit/2`).
    ///
    /// If it traps exits, it gets an [`Exit`](crate::Exit). If it does not, `Normal` is ignored and every other reason
    /// ends it at once, without `stopping()`. From an actor, use [`Env::send_exit`](crate::Env::send_exit), which says
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
        let (watch, life) = (Watch::begin(self), Arc::clone(&self.0));
        async move {
            match watch {
                Some(watch) => watch.await,
                None => life.end_reason().unwrap_or(ExitReason::NoProc),
            }
        }
    }
}

/// Waits for the end of a life, and leaves no trace in it when dropped.
pub(crate) struct Watch {
    life: Arc<Life>,
    key: u64,
    end: oneshot::Receiver<ExitReason>,
}

impl Watch {
    /// `None` if the life is over.
    pub(crate) fn begin(pid: &Pid) -> Option<Self> {
        let (watcher, end) = oneshot::channel();
        let key = pid.life().with_bonds(|bonds| bonds.watch(Watcher::Once(watcher))).ok()?;
        Some(Self { life: Arc::clone(pid.life()), key, end })
    }
}

impl Future for Watch {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let end = ready!(Pin::new(&mut self.end).poll(cx));
        // A life says how it ended before it lets go of those who watch it.
        Poll::Ready(end.unwrap_or_else(|_| self.life.end_reason().unwrap_or(ExitReason::NoProc)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // An error means that it is over, and has forgotten its watchers.
        let _ = self.life.with_bonds(|bonds| bonds.unwatch(self.key));
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
