//! OTP's `gen_server`: a trait with callbacks, the actor that runs them, its context, and handles with typed calls and
//! casts.
//!
//! Everything here is built on public parts of the folders above: an actor, its context and its handles. It does not know
//! supervisors.

pub(crate) mod actor;
pub(crate) mod background;
pub(crate) mod context;
pub(crate) mod reply;
pub(crate) mod server_ref;

use std::collections::VecDeque;
use std::time::Duration;

use actix::Context;
use impresario_supervision::ExitReason;

use crate::cell::ExitSignal;
use crate::context::ChildContext;
use crate::context::monitor::Down;
use crate::context::task_handle::TaskHandle;
use crate::gen_server::background::BackgroundTasks;
use crate::registry::groups::GroupEvent;

/// A server: a state that handles calls and casts one after the other (OTP: `gen_server`).
///
/// Its calls are one type, usually an enum. Each call carries the [`ReplyTo`](crate::ReplyTo) of its reply, so
/// each has a reply type of its own, and the reply can be sent now, later, or from elsewhere. Its casts are
/// another type. [`ServerRef`](crate::ServerRef) starts the server as a child and sends to it.
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
/// A callback stops the server by an `Err` with the reason, which may be [`ExitReason::Normal`]; any error
/// converts by `?` (OTP: `{stop, Reason, State}`). [`terminate`](Self::terminate) follows. A panic in a
/// callback ends the server with [`ExitReason::Panic`], and no callback follows.
///
/// It runs as an actor, [`ServerActor`], with links, monitors, names and limits like any other. Write a plain
/// `actix::Actor` instead when its messages come from another crate, or when most of them need actix's response
/// types.
#[doc(alias = "gen_server")]
pub trait GenServer: Sized + 'static {
    /// Its calls, each with the [`ReplyTo`](crate::ReplyTo) of its reply.
    /// [`Infallible`](std::convert::Infallible) if it has none.
    type Call: Send + 'static;

    /// Its casts. [`Infallible`](std::convert::Infallible) if it has none.
    type Cast: Send + 'static;

    /// The start. The supervisor starts the next child when this, and all it waits for with
    /// [`ServerContext::wait`], is done. Use [`ServerContext::continue_with`] for slow work.
    ///
    /// The factory makes the value before. An error here is a failed start.
    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let _ = ctx;
        Ok(())
    }

    /// Handles a call. The default stops the server, as in OTP.
    fn handle_call(&mut self, call: Self::Call, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        drop(call);
        let _ = ctx;
        Err(ExitReason::Error("call received, but handle_call is not implemented".to_owned()))
    }

    /// Handles a cast. The default stops the server, as in OTP.
    fn handle_cast(&mut self, cast: Self::Cast, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        drop(cast);
        let _ = ctx;
        Err(ExitReason::Error("cast received, but handle_cast is not implemented".to_owned()))
    }

    /// Handles an event that the server has subscribed to. The default logs it.
    fn handle_info(&mut self, info: Info, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        slog::error!(ctx.env().log(), "handle_info is not implemented, dropped {info:?}"; "server" => std::any::type_name::<Self>());
        Ok(())
    }

    /// The last callback: the server exits with this reason. Open calls fail with it.
    ///
    /// Called when the supervisor stops the server, and when a callback returned an error. Not called after a
    /// kill, nor when an exit signal ends the server. Unlike in OTP, not called after a panic: OTP passes the
    /// state from before the callback; here it may be half changed.
    ///
    /// OTP calls it on a stop by the supervisor only if the server traps exits; here always.
    fn terminate(&mut self, reason: &ExitReason, ctx: &mut ServerContext<'_, Self>) {
        let _ = (reason, ctx);
    }
}

/// Messages of a server that are neither calls nor casts (OTP: `handle_info`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Info {
    /// A monitored actor has exited.
    Down(Down),
    /// An exit signal, if the server traps exits.
    Exit(ExitSignal),
    /// No message has arrived for the time of [`ServerContext::timeout`].
    Timeout,
    /// An event of a monitored group.
    Group(GroupEvent),
}

/// The actor that runs a [`GenServer`].
///
/// [`ServerRef`](crate::ServerRef) makes it. Make it directly where an actor is needed, for instance for a
/// [`DynamicRef`](crate::DynamicRef). An `impl Handler<M> for ServerActor<MyServer>` adds a message beside its
/// calls and casts; see [`run`](Self::run).
pub struct ServerActor<S: GenServer> {
    server: S,
    env: ChildContext,
    deferred: Deferred<S>,
    /// The idle timer.
    idle_timeout: Option<TaskHandle>,
    /// The open calls and the timers.
    background: BackgroundTasks,
}

/// A callback that runs later.
type Callback<S> = Box<dyn FnOnce(&mut S, &mut ServerContext<'_, S>) -> Result<(), ExitReason>>;

/// What a callback has deferred.
struct Deferred<S: GenServer> {
    /// The continuations, in the order in which they were given.
    next: VecDeque<Callback<S>>,
    /// The idle timeout that the last callback set.
    timeout: Option<Duration>,
    /// `init` is done, with all that it waits for.
    initialised: bool,
    /// How many continuations have run since the other actors of the arbiter were polled.
    budget_used: u32,
}

/// The operations of a server inside a callback.
pub struct ServerContext<'a, S: GenServer> {
    env: &'a ChildContext,
    ctx: &'a mut Context<ServerActor<S>>,
    deferred: &'a mut Deferred<S>,
    background: &'a BackgroundTasks,
}

/// A future that the actor waits for until its next continuation has run.
struct RunContinuation;
