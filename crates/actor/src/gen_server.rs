//! The server of OTP: one value, asked and told one thing after the other.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Message, Running};
use impresario_supervision::ExitReason;
use tokio::time::sleep;

use crate::beside::BackgroundTasks;
use crate::reply::{CallMessage, PendingReply, ReplyTo};
use crate::server_context::{Deferred, ServerContext};
use crate::{ChildContext, Down, ExitSignal, GroupEvent, TaskHandle};

/// A server: a value that is asked and told things, one after the other (OTP: `gen_server`).
///
/// What it can be asked is one type, usually an enum, and each question carries the [`ReplyTo`] of its own answer; so
/// every question has an answer of its own type, and the answer can be given now, later, or by somebody else. What it can
/// be told is another type. [`ServerRef`](crate::ServerRef) starts it as a child and reaches it.
///
/// ```
/// use impresario_actor::{ExitReason, GenServer, ReplyTo, ServerContext};
///
/// struct Counter(u64);
///
/// enum Ask {
///     Value(ReplyTo<u64>),
///     Divide(u64, ReplyTo<Option<u64>>),
/// }
///
/// enum Tell {
///     Add(u64),
/// }
///
/// impl GenServer for Counter {
///     type Call = Ask;
///     type Cast = Tell;
///
///     fn handle_call(&mut self, ask: Ask, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
///         match ask {
///             Ask::Value(reply) => reply.send(self.0),
///             Ask::Divide(by, reply) => reply.send(self.0.checked_div(by)),
///         }
///         Ok(())
///     }
///
///     fn handle_cast(&mut self, tell: Tell, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
///         match tell {
///             Tell::Add(number) => self.0 += number,
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// Every callback ends the server by an `Err` with the reason, be it [`ExitReason::Normal`]; any error becomes one by
/// `?` (OTP: `{stop, Reason, State}`). [`terminate`](Self::terminate) follows. A panic in a callback ends it too, as
/// [`ExitReason::Panic`], and nothing follows.
///
/// It is no other kind of process: an actor, [`ServerActor`], with links, monitors, names and limits like any other. Write a plain
/// `actix::Actor` instead when its messages come from code that is not yours, or when most of them want actix's own
/// response types.
#[doc(alias = "gen_server")]
pub trait GenServer: Sized + 'static {
    /// What it can be asked, each question with the [`ReplyTo`] of its answer. [`Infallible`](std::convert::Infallible) if
    /// it cannot be asked anything.
    type Call: Send + 'static;

    /// What it can be told. [`Infallible`](std::convert::Infallible) if nothing.
    type Cast: Send + 'static;

    /// It begins to live; what the supervisor starts next waits until this is done, and whatever it waits for by
    /// [`ServerContext::wait`]. Leave what takes time to [`ServerContext::continue_with`].
    ///
    /// The value itself is made before, by the factory. An error here is a failed start.
    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let _ = ctx;
        Ok(())
    }

    /// It is asked something. Without this callback it ends, as an OTP server does.
    fn handle_call(&mut self, call: Self::Call, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        drop(call);
        let _ = ctx;
        Err(ExitReason::Error("it was called, but has no handle_call".to_owned()))
    }

    /// It is told something. Without this callback it ends, as an OTP server does.
    fn handle_cast(&mut self, cast: Self::Cast, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        drop(cast);
        let _ = ctx;
        Err(ExitReason::Error("it was cast to, but has no handle_cast".to_owned()))
    }

    /// Something happened that it asked to hear of. Without this callback it is logged, and nothing follows.
    fn handle_info(&mut self, info: Info, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        slog::error!(ctx.env().log(), "no handle_info for {info:?}"; "server" => std::any::type_name::<Self>());
        Ok(())
    }

    /// The last callback: the server ends for this reason. Questions that are not answered by now fail with it.
    ///
    /// Called when its supervisor stops it, and when a callback gave an error. Not after a kill, nor when an exit signal
    /// ends it that it does not trap: nobody asks it then. And, unlike OTP, not after a panic. There, the state that
    /// `terminate` gets is the one from before the callback; here it may be half changed, and nobody may look at it.
    ///
    /// OTP calls it on a stop by the supervisor only if the server traps exits; here it needs not.
    fn terminate(&mut self, reason: &ExitReason, ctx: &mut ServerContext<'_, Self>) {
        let _ = (reason, ctx);
    }
}

/// What a server hears that is neither a call nor a cast (OTP: `handle_info`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Info {
    /// A life that it monitors has ended.
    Down(Down),
    /// An exit signal, because it traps exits.
    Exit(ExitSignal),
    /// Nothing else happened for as long as it said by [`ServerContext::timeout`].
    Timeout,
    /// News of a group that it monitors.
    Group(GroupEvent),
}

/// The actor that runs a [`GenServer`].
///
/// [`ServerRef`](crate::ServerRef) makes it. It is made by hand where an actor is asked for, as by
/// [`DynamicRef`](crate::DynamicRef). An `impl Handler<M> for ServerActor<MyServer>` gives a server a message of yours beside its
/// calls and casts; see [`run`](Self::run).
pub struct ServerActor<S: GenServer> {
    server: S,
    env: ChildContext,
    deferred: Deferred<S>,
    /// What fires when nothing else happens.
    idle_timeout: Option<TaskHandle>,
    /// The answers that others wait for, and the timers.
    background: BackgroundTasks,
}

impl<S: GenServer> ServerActor<S> {
    /// A server, in the life that `env` belongs to.
    pub fn new(server: S, env: &ChildContext) -> Self {
        Self {
            server,
            env: env.clone(),
            deferred: Deferred::default(),
            idle_timeout: None,
            background: BackgroundTasks::default(),
        }
    }

    /// Runs a callback of the server. An error ends it.
    pub fn run(
        &mut self,
        ctx: &mut Context<Self>,
        callback: impl FnOnce(&mut S, &mut ServerContext<'_, S>) -> Result<(), ExitReason>,
    ) {
        if let Some(idle_timeout) = self.idle_timeout.take() {
            idle_timeout.cancel(ctx);
        }
        let mut context = ServerContext::new(&self.env, ctx, &mut self.deferred, &self.background);
        if let Err(reason) = callback(&mut self.server, &mut context) {
            return self.env.exit(reason, ctx);
        }
        if let Some(limit) = self.deferred.timeout.take() {
            self.arm_idle_timeout(limit, ctx);
        }
    }

    fn arm_idle_timeout(&mut self, limit: Duration, ctx: &mut Context<Self>) {
        let idle_timeout = wrap_future::<_, Self>(sleep(limit));
        let idle_timeout =
            idle_timeout.map(|(), gen_server: &mut Self, ctx| gen_server.info(Info::Timeout, ctx));
        self.idle_timeout = Some(TaskHandle::spawn(idle_timeout, ctx));
    }

    fn info(&mut self, info: Info, ctx: &mut Context<Self>) {
        self.run(ctx, |server, ctx| server.handle_info(info, ctx));
    }

    /// How many callbacks come next.
    pub(crate) fn continuations(&self) -> usize {
        self.deferred.next.len()
    }

    /// Runs what comes next, unless others should have their turn first.
    pub(crate) fn run_continuation(&mut self, ctx: &mut Context<Self>) -> Poll<()> {
        if !self.deferred.consume_budget() {
            return Poll::Pending;
        }
        if let Some(next) = self.deferred.next.pop_front() {
            self.run(ctx, next);
        }
        Poll::Ready(())
    }
}

/// A server is moved freely: nothing in here is ever pinned.
impl<S: GenServer> Unpin for ServerActor<S> {}

impl<S: GenServer> Actor for ServerActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // The last future that is waited for runs first: this one after all that `init` waits for.
        ctx.wait(Initialised);
        self.run(ctx, S::init);
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        let reason = self.env.cell().pending_exit_reason();
        let mut context = ServerContext::new(&self.env, ctx, &mut self.deferred, &self.background);
        self.server.terminate(&reason, &mut context);
        Running::Stop
    }
}

/// From here on the server takes messages.
struct Initialised;

impl<S: GenServer> ActorFuture<ServerActor<S>> for Initialised {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        gen_server: &mut ServerActor<S>,
        _: &mut Context<ServerActor<S>>,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        gen_server.deferred.initialised = true;
        Poll::Ready(())
    }
}

impl<S: GenServer, T: Send + 'static> Handler<CallMessage<S::Call, T>> for ServerActor<S> {
    type Result = PendingReply<T>;

    fn handle(&mut self, message: CallMessage<S::Call, T>, ctx: &mut Context<Self>) -> PendingReply<T> {
        let (reply_to, pending) = ReplyTo::new(self.background.clone());
        self.run(ctx, |server, ctx| server.handle_call(message.with(reply_to), ctx));
        pending
    }
}

/// Something that a server is told.
pub(crate) struct CastMessage<C>(pub(crate) C);

impl<C> Message for CastMessage<C> {
    type Result = ();
}

impl<S: GenServer> Handler<CastMessage<S::Cast>> for ServerActor<S> {
    type Result = ();

    fn handle(&mut self, CastMessage(cast): CastMessage<S::Cast>, ctx: &mut Context<Self>) {
        self.run(ctx, |server, ctx| server.handle_cast(cast, ctx));
    }
}

impl<S: GenServer> Handler<Down> for ServerActor<S> {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.info(Info::Down(down), ctx);
    }
}

impl<S: GenServer> Handler<ExitSignal> for ServerActor<S> {
    type Result = ();

    fn handle(&mut self, exit: ExitSignal, ctx: &mut Context<Self>) {
        self.info(Info::Exit(exit), ctx);
    }
}

impl<S: GenServer> Handler<GroupEvent> for ServerActor<S> {
    type Result = ();

    fn handle(&mut self, event: GroupEvent, ctx: &mut Context<Self>) {
        self.info(Info::Group(event), ctx);
    }
}

impl<S: GenServer> fmt::Debug for ServerActor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerActor<{}>({})", std::any::type_name::<S>(), self.env.pid())
    }
}
