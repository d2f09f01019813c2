//! What user code gets: [`ChildContext`] with links, monitors, group monitors and timers.
//!
//! This folder calls the cell and the registry. It does not know how an actor is started, nor which handles
//! refer to it.

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

use crate::cell::mailbox::Limit;
use crate::cell::{ActorCell, ExitSignal, Pid, Signal};
use crate::registry::Registry;
use crate::registry::arbiters::ArbiterState;

/// Context of one incarnation of a child: pid, path, logger, and the process operations (link, trap exits,
/// names, groups). Clone is two reference-count increments.
#[derive(Clone, Debug)]
pub struct ChildContext {
    scope: Arc<SupervisorScope>,
    cell: Arc<ActorCell>,
    /// The mailbox limit of this incarnation.
    mailbox_limit: usize,
}

/// What all children of a supervisor have in common.
struct SupervisorScope {
    /// The registry of the tree.
    registry: Registry,
    /// The logger of the tree, without the path in it.
    base: Logger,
    log: Logger,
    /// The path of the supervisor in the tree: ids from the root, separated by slashes.
    path: String,
    /// The arbiter of the supervisor, and of its children unless their spec names another.
    arbiter: Arc<ArbiterState>,
}

impl fmt::Debug for SupervisorScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorScope").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Default limit of a mailbox, in messages.
const DEFAULT_MAILBOX_LIMIT: usize = 65_536;

impl ChildContext {
    /// The context of a root.
    pub(crate) fn root(log: Logger) -> Self {
        let registry = Registry::new();
        let cell = ActorCell::new(Arc::clone(registry.tree()), Incarnation::ROOT, Time::START);
        let arbiter = registry.arbiters().current();
        let scope = SupervisorScope { registry, base: log.clone(), log, path: String::new(), arbiter };
        Self { scope: Arc::new(scope), cell, mailbox_limit: DEFAULT_MAILBOX_LIMIT }
    }

    /// The context of a new incarnation, and its start time.
    pub(crate) fn child(&self, incarnation: Incarnation, now: Time) -> Self {
        let cell = ActorCell::new(Arc::clone(self.cell.tree()), incarnation, now);
        Self { scope: Arc::clone(&self.scope), cell, mailbox_limit: DEFAULT_MAILBOX_LIMIT }
    }

    /// The context of the same incarnation as a supervisor one level further down; `log` replaces the logger.
    pub(crate) fn supervisor(&self, id: &ChildId, log: Option<Logger>) -> Self {
        let path = match self.path() {
            "" => id.to_string(),
            path => format!("{path}/{id}"),
        };
        let base = log.unwrap_or_else(|| self.scope.base.clone());
        let log = base.new(slog::o!("supervisor" => path.clone()));
        let registry = self.registry().clone();
        let scope = SupervisorScope { registry, base, log, path, arbiter: self.arbiter() };
        Self { scope: Arc::new(scope), cell: Arc::clone(&self.cell), mailbox_limit: self.mailbox_limit }
    }

    /// The context of the same incarnation, with another mailbox limit.
    pub(crate) fn with_mailbox_limit(self, mailbox_limit: usize) -> Self {
        Self { mailbox_limit, ..self }
    }

    pub(crate) fn mailbox_limit(&self) -> usize {
        self.mailbox_limit
    }

    /// The path of the supervisor in the tree.
    pub(crate) fn path(&self) -> &str {
        &self.scope.path
    }

    /// The arbiter of the caller.
    pub(crate) fn arbiter(&self) -> Arc<ArbiterState> {
        let arbiter = &self.scope.arbiter;
        if arbiter.is_current() { Arc::clone(arbiter) } else { self.registry().arbiters().current() }
    }

    pub(crate) fn cell(&self) -> &Arc<ActorCell> {
        &self.cell
    }

    /// The logger of the supervisor.
    pub fn log(&self) -> &Logger {
        &self.scope.log
    }

    /// The pid of this incarnation.
    #[doc(alias = "self")]
    pub fn pid(&self) -> Pid {
        Pid::of(&self.cell)
    }

    /// The names and groups of the tree.
    pub fn registry(&self) -> &Registry {
        &self.scope.registry
    }

    /// Sets the reason of an exit that follows; call `ctx.stop()` afterwards.
    ///
    /// Without it, an actor that stops by itself exits with [`ExitReason::Normal`], and one with a stop request
    /// exits with [`ExitReason::Shutdown`] (OTP: the reason in `{stop, Reason, State}`).
    pub fn set_exit_reason(&self, reason: ExitReason) {
        self.cell.set_exit_reason(reason);
    }

    /// Sets a field of the supervisor's report about the exit of this actor, if there is one, or replaces its value
    /// (OTP: `proc_lib:set_label/1`). A key that the report has itself is not printed twice.
    ///
    /// It allocates. Where actors are many and reports are rare, call it in the destructor of the actor: that runs
    /// before the report, also after a panic.
    #[doc(alias = "set_label")]
    pub fn set_report_field(&self, key: &'static str, value: impl Into<String>) {
        self.cell.set_report_field(key, value.into());
    }

    /// Ends this actor with a reason as soon as its current poll returns (OTP: `exit/1`, `{stop, Reason,
    /// State}`).
    #[doc(alias = "stop")]
    pub fn exit<A: Actor<Context = Context<A>>>(&self, reason: ExitReason, ctx: &mut Context<A>) {
        self.set_exit_reason(reason);
        ctx.stop();
    }

    /// Sends an exit signal from this actor to another (OTP: `exit/2`); see [`Pid::exit`].
    ///
    /// A signal to itself is not ignored, even if it is `Normal`.
    pub fn send_exit(&self, to: &Pid, reason: ExitReason) {
        to.cell().signal(Signal::Exit { from: Some(self.pid()), reason, linked: false });
    }

    /// Links this actor and another: when one exits, the other gets an exit signal with the reason (OTP:
    /// `link/1`).
    ///
    /// Two actors have at most one link. If the other has exited, the signal is [`ExitReason::NoProc`].
    pub fn link(&self, to: &Pid) {
        self.cell.link(to);
    }

    /// Removes a link on both ends (OTP: `unlink/1`). A signal of the link that was not handled is dropped; an
    /// [`ExitSignal`] that is in the mailbox already is not.
    pub fn unlink(&self, from: &Pid) {
        self.cell.unlink(from);
    }

    /// The actors that this one is linked to.
    pub fn links(&self) -> Vec<Pid> {
        self.cell.with_links(|links| links.iter().cloned().collect()).unwrap_or_default()
    }

    /// From now on, exit signals become messages (OTP: `process_flag(trap_exit, true)`).
    ///
    /// A stop by the supervisor is not an exit signal: it calls `stopping()`. A kill cannot be trapped. A
    /// signal over a link goes past the limit of the queue. A signal of an actor that is not linked is dropped
    /// when the queue is full. The argument is the context of the actor itself; its type names the messages
    /// that the actor handles.
    #[doc(alias = "process_flag")]
    pub fn trap_exits<A>(&self, _: &Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<ExitSignal>,
    {
        // Through the queue of its messages: they keep their order with earlier messages of the sender.
        let Some(own) = self.pid().actor::<A>() else { return };
        let trap_exit = Arc::new(move |exit, linked| match linked {
            // An error means that the actor has exited.
            true => drop(own.push(exit, None, Limit::Unbounded)),
            // Dropped if the mailbox is full: the sender of an exit signal gets no reply.
            false => drop(own.cast(exit)),
        });
        // An error means that the actor has exited.
        let _ = self.cell.with_links(|links| links.set_trap_exit(Some(trap_exit)));
    }

    /// From now on, exit signals end this actor again.
    pub fn untrap_exits(&self) {
        let _ = self.cell.with_links(|links| links.set_trap_exit(None));
    }
}
