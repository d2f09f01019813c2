//! Monitors: hearing of the end of another life.

use actix::dev::MessageResponse;
use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Context, Handler, Message};
use impresario_supervision::ExitReason;

use crate::pid::Watch;
use crate::{Pid, Work};

/// What an actor hears when a life that it monitors has ended (OTP: `{'DOWN', Ref, process, Pid, Reason}`).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "DOWN")]
#[non_exhaustive]
pub struct Down {
    /// Whose end it is.
    pub pid: Pid,
    /// Why; [`ExitReason::NoProc`] if it was over before it was monitored.
    pub reason: ExitReason,
}

impl Message for Down {
    type Result = ();
}

/// One monitor, to be taken back with [`Env::demonitor`](crate::Env::demonitor).
#[derive(Debug)]
pub struct Monitor {
    pub(crate) hearing: Work,
}

/// See [`Env::monitor`](crate::Env::monitor).
pub(crate) fn monitor<A>(pid: &Pid, ctx: &mut Context<A>) -> Monitor
where
    A: Actor<Context = Context<A>> + Handler<Down>,
{
    let (watch, pid) = (Watch::begin(pid), pid.clone());
    let end = async move {
        match watch {
            Some(watch) => watch.await,
            None => ExitReason::NoProc,
        }
    };
    let hear = wrap_future::<_, A>(end).map(move |reason, actor, ctx| {
        actor.handle(Down { pid, reason }, ctx).handle(ctx, None);
    });
    Monitor { hearing: Work::spawn(hear, ctx) }
}
