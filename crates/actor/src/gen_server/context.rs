//! What a server can do in a callback.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorFuture, ActorFutureExt, AsyncContext, Context};
use impresario_supervision::ExitReason;

use crate::cell::{Pid, SystemMessage};
use crate::context::ChildContext;
use crate::context::destination::Destination;
use crate::context::group_monitor::GroupMonitor;
use crate::context::monitor::Monitor;
use crate::context::task_handle::TaskHandle;
use crate::context::timer::{Timer, once, repeated};
use crate::gen_server::background::BackgroundTasks;
use crate::gen_server::server_ref::ServerRef;
use crate::gen_server::{Deferred, GenServer, RunContinuation, ServerActor, ServerContext};

impl<'a, S: GenServer> ServerContext<'a, S> {
    pub(super) fn new(
        env: &'a ChildContext,
        ctx: &'a mut Context<ServerActor<S>>,
        deferred: &'a mut Deferred<S>,
        background: &'a BackgroundTasks,
    ) -> Self {
        Self { env, ctx, deferred, background }
    }

    /// The context of the incarnation: names, links, logger, registry.
    pub fn env(&self) -> &ChildContext {
        self.env
    }

    /// The pid of the server.
    #[doc(alias = "self")]
    pub fn pid(&self) -> Pid {
        self.env.pid()
    }

    /// A reference to this incarnation of the server; after a restart it is closed.
    pub fn self_ref(&self) -> ServerRef<S> {
        // The mailbox of an exited actor accepts nothing.
        self.pid().server().unwrap_or_default()
    }

    /// The actix context of the actor that runs the server, for everything that this type does not offer.
    pub fn actix(&mut self) -> &mut Context<ServerActor<S>> {
        self.ctx
    }

    /// Runs a callback before the next message (OTP: `{continue, Term}`, `handle_continue`).
    ///
    /// From [`init`](GenServer::init) it runs after the start: the supervisor does not wait for it, and no
    /// message comes before it. Several run in the order of their calls.
    #[doc(alias = "handle_continue")]
    pub fn continue_with(
        &mut self,
        next: impl FnOnce(&mut S, &mut ServerContext<'_, S>) -> Result<(), ExitReason> + 'static,
    ) {
        self.deferred.next.push_back(Box::new(next));
        if self.deferred.initialised {
            self.ctx.wait(RunContinuation);
        } else {
            // System messages are handled after the start and before the first message. One serves all
            // continuations.
            if self.deferred.next.len() == 1 {
                let run_continuation = |server: &mut ServerActor<S>, ctx: &mut Context<ServerActor<S>>| {
                    (0..server.continuations()).for_each(|_| ctx.wait(RunContinuation));
                };
                self.env
                    .cell()
                    .push_front_system_message(SystemMessage::state_fn::<ServerActor<S>>(run_continuation));
            }
        }
    }

    /// Runs a future beside the messages, and then a callback with its result. Both are dropped when the server
    /// exits.
    pub fn spawn<F>(
        &mut self,
        future: F,
        then: impl FnOnce(&mut S, F::Output, &mut ServerContext<'_, S>) -> Result<(), ExitReason> + 'static,
    ) -> TaskHandle
    where
        F: Future + 'static,
    {
        TaskHandle::spawn(and_then(future, then), self.ctx)
    }

    /// Runs a future, and then a callback with its result; no message is handled meanwhile.
    ///
    /// In [`init`](GenServer::init), the start waits for it too.
    pub fn wait<F>(
        &mut self,
        future: F,
        then: impl FnOnce(&mut S, F::Output, &mut ServerContext<'_, S>) -> Result<(), ExitReason> + 'static,
    ) where
        F: Future + 'static,
    {
        self.ctx.wait(and_then(future, then));
    }

    /// Cancels a spawned future: its callback does not run any more, even if the future is done.
    pub fn cancel(&mut self, task: &TaskHandle) {
        task.cancel(self.ctx);
    }

    /// Sends [`Info::Timeout`](crate::Info::Timeout) to this server when no message arrives for this long (OTP:
    /// the timeout in the result of a callback).
    ///
    /// Any message cancels it, so it detects idle time. For a deadline, use a [`Timer`].
    pub fn timeout(&mut self, limit: Duration) {
        self.deferred.timeout = Some(limit);
    }

    /// Delivers one `Down` when another actor exits; see [`ChildContext::monitor`].
    pub fn monitor(&mut self, pid: &Pid) -> Monitor {
        self.env.monitor(pid, self.ctx)
    }

    /// Removes a monitor; see [`ChildContext::demonitor`].
    pub fn demonitor(&mut self, monitor: &Monitor) {
        self.env.demonitor(monitor);
    }

    /// From now on the server gets exit signals as messages and does not exit; see
    /// [`ChildContext::trap_exits`].
    pub fn trap_exits(&mut self) {
        self.env.trap_exits(self.ctx);
    }

    /// Delivers the members of a group, and then every join and leave; see [`ChildContext::monitor_group`].
    pub fn monitor_group(&mut self, group: &str) -> GroupMonitor {
        self.env.monitor_group(group, self.ctx)
    }

    /// Sends a message after a delay; see [`ChildContext::send_after`].
    pub fn send_after<M: Send + 'static>(
        &mut self,
        delay: Duration,
        to: impl Destination<M> + 'static,
        message: M,
    ) -> Timer {
        self.start_timer(delay, to, |_| message)
    }

    /// Sends a message repeatedly; see [`ChildContext::send_interval`].
    pub fn send_interval<M: Clone + Send + 'static>(
        &mut self,
        period: Duration,
        to: impl Destination<M> + 'static,
        message: M,
    ) -> Timer {
        let (timer, task) = repeated(period, to, message);
        self.background.run(task, self.ctx);
        timer
    }

    /// Sends a message that carries its timer; see [`ChildContext::start_timer`].
    pub fn start_timer<M: Send + 'static>(
        &mut self,
        delay: Duration,
        to: impl Destination<M> + 'static,
        message: impl FnOnce(Timer) -> M + 'static,
    ) -> Timer {
        let (timer, task) = once(delay, to, message);
        self.background.run(task, self.ctx);
        timer
    }
}

fn and_then<S: GenServer, F: Future + 'static>(
    future: F,
    then: impl FnOnce(&mut S, F::Output, &mut ServerContext<'_, S>) -> Result<(), ExitReason> + 'static,
) -> impl ActorFuture<ServerActor<S>, Output = ()> + 'static {
    wrap_future::<_, ServerActor<S>>(future).map(
        move |output, gen_server: &mut ServerActor<S>, ctx: &mut Context<ServerActor<S>>| {
            gen_server.run(ctx, |server, ctx| then(server, output, ctx));
        },
    )
}

impl<S: GenServer> fmt::Debug for ServerContext<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerContext<{}>({})", std::any::type_name::<S>(), self.pid())
    }
}
