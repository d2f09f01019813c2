//! The actor that runs a server: its callbacks and continuations.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Running};
use impresario_supervision::ExitReason;
use tokio::time::sleep;

use crate::cell::ExitSignal;
use crate::context::ChildContext;
use crate::context::monitor::Down;
use crate::context::task_handle::TaskHandle;
use crate::gen_server::background::BackgroundTasks;
use crate::gen_server::{Deferred, GenServer, Info, RunContinuation, ServerActor, ServerContext};
use crate::registry::groups::GroupEvent;

/// How many continuations a server runs in a row before the other actors of its arbiter are polled.
const TURN_BUDGET: u32 = 256;

impl<S: GenServer> ServerActor<S> {
    /// A server in the incarnation of this context.
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

    /// The number of continuations.
    pub(crate) fn continuations(&self) -> usize {
        self.deferred.next.len()
    }

    /// Runs the next continuation, unless the budget is used up.
    fn run_continuation(&mut self, ctx: &mut Context<Self>) -> Poll<()> {
        if !self.deferred.consume_budget() {
            return Poll::Pending;
        }
        if let Some(next) = self.deferred.next.pop_front() {
            self.run(ctx, next);
        }
        Poll::Ready(())
    }
}

/// A server is `Unpin`: none of its fields is pinned.
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

/// A future that runs after all that `init` waits for. From then on the server handles messages.
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

impl<S: GenServer> ActorFuture<ServerActor<S>> for RunContinuation {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        gen_server: &mut ServerActor<S>,
        ctx: &mut Context<ServerActor<S>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let continued = gen_server.run_continuation(ctx);
        if continued.is_pending() {
            task.waker().wake_by_ref();
        }
        continued
    }
}

impl<S: GenServer> Deferred<S> {
    /// Takes one continuation from the budget; `false` if it is used up, which renews it.
    fn consume_budget(&mut self) -> bool {
        self.budget_used = if self.budget_used == TURN_BUDGET { 0 } else { self.budget_used + 1 };
        self.budget_used > 0
    }
}

impl<S: GenServer> Default for Deferred<S> {
    fn default() -> Self {
        Self { next: VecDeque::new(), timeout: None, initialised: false, budget_used: 0 }
    }
}
