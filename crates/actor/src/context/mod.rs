//! What user code gets: [`ChildContext`] with links, monitors, group monitors and timers.
//!
//! This folder calls into the cell and the registry. It does not know how an actor is started, and which handles lead to
//! it.

pub(crate) mod destination;
pub(crate) mod event_delivery;
pub(crate) mod group_monitor;
pub(crate) mod monitor;
pub(crate) mod task_handle;
pub(crate) mod timer;

use std::fmt;
use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler};
use impresario_supervision::{ChildId, ExitReason, Incarnation, Time};
use slog::Logger;

use crate::cell::{ActorCell, ExitSignal, Pid, Signal};
use crate::registry::Registry;
use crate::registry::arbiters::ArbiterState;

/// What one life of a child gets from its supervisor: who it is, and what a process can do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChildContext {
    scope: Arc<SupervisorScope>,
    cell: Arc<ActorCell>,
    /// How many messages may wait for this life.
    mailbox_limit: usize,
}

/// What all children of a supervisor have in common.
struct SupervisorScope {
    /// The registry of the tree.
    registry: Registry,
    /// The logger of the tree, without the path in it.
    base: Logger,
    log: Logger,
    /// Where in the tree the supervisor is: ids from the root, with slashes.
    path: String,
    /// The arbiter of the supervisor, where its children are too unless they are placed.
    arbiter: Arc<ArbiterState>,
}

impl fmt::Debug for SupervisorScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorScope").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How many messages may wait for an actor unless its spec says otherwise.
const DEFAULT_MAILBOX_LIMIT: usize = 65_536;

impl ChildContext {
    /// What a root is born with.
    pub(crate) fn root(log: Logger) -> Self {
        let registry = Registry::new();
        let cell = ActorCell::new(Arc::clone(registry.tree()), Incarnation::ROOT, Time::START);
        let arbiter = registry.arbiters().current();
        let scope = SupervisorScope { registry, base: log.clone(), log, path: String::new(), arbiter };
        Self { scope: Arc::new(scope), cell, mailbox_limit: DEFAULT_MAILBOX_LIMIT }
    }

    /// What a new life of a child is born with, and when.
    pub(crate) fn child(&self, incarnation: Incarnation, now: Time) -> Self {
        let cell = ActorCell::new(Arc::clone(self.cell.tree()), incarnation, now);
        Self { scope: Arc::clone(&self.scope), cell, mailbox_limit: DEFAULT_MAILBOX_LIMIT }
    }

    /// The same life, as that of a supervisor one step further down, perhaps with a logger of its own.
    pub(crate) fn supervisor(&self, id: &ChildId, log: Option<Logger>) -> Self {
        let path = match self.path() {
            "" => id.to_string(),
            path => format!("{path}/{id}"),
        };
        let base = log.unwrap_or_else(|| self.scope.base.clone());
        let log = base.new(slog::o!("supervisor" => path.clone()));
        let registry = self.system().clone();
        let scope = SupervisorScope { registry, base, log, path, arbiter: self.arbiter() };
        Self { scope: Arc::new(scope), cell: Arc::clone(&self.cell), mailbox_limit: self.mailbox_limit }
    }

    /// The same life, with another limit for its messages.
    pub(crate) fn with_mailbox_limit(self, mailbox_limit: usize) -> Self {
        Self { mailbox_limit, ..self }
    }

    pub(crate) fn mailbox_limit(&self) -> usize {
        self.mailbox_limit
    }

    /// Where the supervisor is in the tree.
    pub(crate) fn path(&self) -> &str {
        &self.scope.path
    }

    /// The arbiter that this runs on.
    pub(crate) fn arbiter(&self) -> Arc<ArbiterState> {
        let arbiter = &self.scope.arbiter;
        if arbiter.is_current() { Arc::clone(arbiter) } else { self.system().arbiters().current() }
    }

    pub(crate) fn cell(&self) -> &Arc<ActorCell> {
        &self.cell
    }

    /// The logger of the supervisor.
    pub fn log(&self) -> &Logger {
        &self.scope.log
    }

    /// Who this life is.
    #[doc(alias = "self")]
    pub fn pid(&self) -> Pid {
        Pid::of(&self.cell)
    }

    /// The names of the tree.
    pub fn system(&self) -> &Registry {
        &self.scope.registry
    }

    /// Says why this life is about to end; call `ctx.stop()` afterwards.
    ///
    /// Without it a life that stops by itself ends as [`ExitReason::Normal`], and one that was told to as
    /// [`ExitReason::Shutdown`] (OTP: the reason in `{stop, Reason, State}`).
    pub fn set_exit_reason(&self, reason: ExitReason) {
        self.cell.set_exit_reason(reason);
    }

    /// Ends this life for a reason, when what it is doing returns (OTP: `exit/1`, `{stop, Reason, State}`).
    #[doc(alias = "stop")]
    pub fn exit<A: Actor<Context = Context<A>>>(&self, reason: ExitReason, ctx: &mut Context<A>) {
        self.set_exit_reason(reason);
        ctx.stop();
    }

    /// Sends another life an exit signal from this one (OTP: `exit/2`); see [`Pid::exit`].
    ///
    /// One that is sent to oneself is not ignored, even if it is `Normal`.
    pub fn send_exit(&self, to: &Pid, reason: ExitReason) {
        to.cell().signal(Signal::Exit { from: Some(self.pid()), reason, linked: false });
    }

    /// Links this life and another: when one ends, the other gets an exit signal with the reason (OTP: `link/1`).
    ///
    /// Two lives are linked once at most. If the other is over, the signal is [`ExitReason::NoProc`].
    pub fn link(&self, to: &Pid) {
        self.cell.link(to);
    }

    /// Takes a link back, from both ends (OTP: `unlink/1`). A signal that it has sent and that has not been dealt with is
    /// dropped; an [`ExitSignal`] that is in the mailbox already is not.
    pub fn unlink(&self, from: &Pid) {
        self.cell.unlink(from);
    }

    /// Those this life is linked to.
    pub fn links(&self) -> Vec<Pid> {
        self.cell.with_links(|links| links.iter().cloned().collect()).unwrap_or_default()
    }

    /// From now on, exit signals become messages (OTP: `process_flag(trap_exit, true)`).
    ///
    /// What the supervisor says is none: being told to stop is `stopping()`, and a kill cannot be trapped. What comes over a
    /// link goes past the limit of the queue; what a stranger sends is dropped when the queue is full. The context is that
    /// of the actor itself: it says which messages the actor handles.
    #[doc(alias = "process_flag")]
    pub fn trap_exits<A>(&self, _: &Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<ExitSignal>,
    {
        // By the queue of its messages: what its sender said before stays before.
        let Some(own) = self.pid().actor::<A>() else { return };
        let trap_exit = Arc::new(move |exit, linked| match linked {
            true => own.push_unbounded(exit),
            // Nobody could be told that it is full.
            false => drop(own.cast(exit)),
        });
        // An error means that the life is over.
        let _ = self.cell.with_links(|links| links.set_trap_exit(Some(trap_exit)));
    }

    /// From now on, exit signals end this life again.
    pub fn untrap_exits(&self) {
        let _ = self.cell.with_links(|links| links.set_trap_exit(None));
    }
}
