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

/// A server: a value that is asked and told things, one after the other (OTP: `gen_server`).
///
/// What it can be asked is one type, usually an enum, and each question carries the [`ReplyTo`](crate::ReplyTo) of its own answer; so
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
    /// What it can be asked, each question with the [`ReplyTo`](crate::ReplyTo) of its answer. [`Infallible`](std::convert::Infallible) if
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

/// What a server can do in a callback.
pub struct ServerContext<'a, S: GenServer> {
    env: &'a ChildContext,
    ctx: &'a mut Context<ServerActor<S>>,
    deferred: &'a mut Deferred<S>,
    background: &'a BackgroundTasks,
}

/// A future that the actor waits for until its next continuation has run.
struct RunContinuation;
