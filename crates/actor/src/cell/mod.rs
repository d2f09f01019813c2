//! The state of one actor that other threads touch: pid, control flags, exit signals, system messages, links,
//! monitors, mailbox and exit reason.
//!
//! This file holds the types, which refer to each other. The sibling files hold their functions, by concern. Nothing
//! here knows names, supervisors or the task that runs the actor. Only `panic` and `sync` are imported, so that
//! `tests/loom.rs` can include this folder with the primitives of a model checker.

pub(crate) mod actor_ref;
pub(crate) mod control;
pub(crate) mod exit;
pub(crate) mod links;
pub(crate) mod mailbox;
pub(crate) mod monitors;
pub(crate) mod pid;
pub(crate) mod signals;
pub(crate) mod system_messages;
pub(crate) mod trace;
pub(crate) mod tree_core;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix::{Actor, Message};
use impresario_supervision::{ExitReason, Incarnation};
use slog::Logger;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::cell::mailbox::AnyMailbox;
use crate::cell::tree_core::TreeCore;
use crate::sync::{AtomicU32, AtomicWaker, Mutex};

/// The part of a running actor that other threads touch: control flags, exit signals, system messages, links, monitors.
///
/// `stop`, `kill` and system messages go through `flags`, not through the mailbox, so a full mailbox or a blocked handler
/// does not delay them.
///
/// Invariants:
/// - `SIGNALS` and `SYSTEM_PENDING` change only under the lock of their queues. Each is set if and only if its queue is
///   not empty.
/// - `SUSPENDED`, `STOP_DELIVERED` and `POISONED` are written by the actor's own task only.
/// - No task is woken and no user code runs under the lock of `state`.
pub(crate) struct ActorCell {
    number: u64,
    incarnation: Incarnation,
    tree: Arc<TreeCore>,
    /// When the incarnation started, in nanoseconds since the tree started: half the size of an `Instant`.
    started_at: u64,
    flags: AtomicU32,
    waker: AtomicWaker,
    state: Mutex<State>,
}

/// The parts of a cell that need its lock.
#[derive(Default)]
struct State {
    /// `None` before the actor runs and after its exit.
    mailbox: Option<Arc<dyn AnyMailbox>>,
    /// `None` until the exit. Boxed, since most cells are read while the actor runs.
    exit_reason: Option<Box<ExitReason>>,
    /// `None` until one of its fields is needed, and after the exit.
    cold: Option<Box<ColdState>>,
}

/// What most actors never need, allocated on first use.
#[derive(Default)]
struct ColdState {
    /// The reason that the actor gives for its exit, instead of `Normal` or `Shutdown`.
    exit_reason_override: Option<ExitReason>,
    /// The reason of the first panic in a handler.
    panic: Option<ExitReason>,
    signals: VecDeque<Signal>,
    system_messages: VecDeque<SystemMessage>,
    links: Links,
    /// Set for a supervisor: makes the system message that asks for its children.
    snapshot_fn: Option<SnapshotFn>,
    trace: Option<TraceSink>,
    report_fields: ReportFields,
    /// The registry knows the actor by a name or in a group.
    registered: bool,
}

/// Keys and values that an actor adds to the report of its exit. No key is there twice.
pub(crate) type ReportFields = Vec<(&'static str, String)>;

/// The identity of one incarnation of an actor; a restart makes a new one (OTP: `pid()`).
///
/// It owns nothing: holding a `Pid` keeps no actor running. Two are equal if they are of the same incarnation.
#[derive(Clone)]
#[doc(alias = "process")]
pub struct Pid(Arc<ActorCell>);

/// A signal, handled by the actor's task before its next poll.
pub(crate) enum Signal {
    /// An exit signal and its sender; `linked` if it came over a link.
    Exit { from: Option<Pid>, reason: ExitReason, linked: bool },
    /// A request for a reply, sent when the signal is handled: the poll before has returned then.
    Ping(oneshot::Sender<()>),
}

/// An exit signal, as an actor that traps exits receives it (OTP: `{'EXIT', From, Reason}`).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "EXIT")]
#[non_exhaustive]
pub struct ExitSignal {
    /// The process that exited or sent the signal; `None` if the sender is not a process.
    pub from: Option<Pid>,
    /// The reason of the exit, or the one that the sender gave.
    pub reason: ExitReason,
}

impl Message for ExitSignal {
    type Result = ();
}

/// A message that is handled between two messages of the mailbox, even while the actor is suspended (OTP: `sys`). They
/// are handled in the order of sending.
pub(crate) enum SystemMessage {
    /// Suspends the actor and replies. It has no effect if the caller has dropped its receiver.
    Suspend(oneshot::Sender<()>),
    /// Ends the suspension.
    Resume,
    /// Runs a function on the state: a boxed `StateFn<A>`.
    StateFn(Box<dyn Any + Send>),
}

/// A function that runs on the state of an actor of type `A`.
pub(crate) type StateFn<A> = Box<dyn FnOnce(&mut A, &mut <A as Actor>::Context) + Send>;

/// Makes the system message by which a supervisor of any kind reports its children. The argument is the sender of the
/// reply; its type is known to the supervisor only.
pub(crate) type SnapshotFn = fn(Box<dyn Any + Send>) -> SystemMessage;

/// The links and monitors of one actor, and whether it traps exits.
#[derive(Default)]
pub(crate) struct Links {
    links: BTreeMap<usize, Pid>,
    exit_listeners: BTreeMap<u64, ExitListener>,
    /// The key of the newest exit listener.
    last_key: u64,
    trap_exit: Option<TrapExit>,
    /// The monitors that this actor has on others.
    pub(crate) monitors: Option<Arc<MonitorSet>>,
}

/// Where the reason of an exit is sent.
pub(crate) enum ExitListener {
    /// A future that waits for the exit.
    Future(oneshot::Sender<ExitReason>),
    /// A monitor of another actor, by its key.
    Monitor(Arc<MonitorSet>, u64),
}

/// Takes exit signals to the actor, as messages. The second argument is true for those that came over a link, which
/// ignore the mailbox limit.
pub(crate) type TrapExit = Arc<dyn Fn(ExitSignal, bool) + Send + Sync>;

/// All monitors of one actor, with the exits that it has not handled. One waker serves them all, so many of them cost no
/// more at each poll than one. Bounded by the number of monitors: each has one exit to report.
#[derive(Default)]
pub(crate) struct MonitorSet {
    state: Mutex<MonitorState>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct MonitorState {
    /// The monitors with an exit that was neither handled nor cancelled: the process, and the key of the exit
    /// listener there, once it is known.
    monitors: BTreeMap<u64, (Pid, Option<u64>)>,
    /// The exits to report. A monitor in here may have been cancelled.
    exits: VecDeque<(u64, ExitReason)>,
    /// The key of the newest monitor.
    last: u64,
}

/// Something that a traced actor did or that was done to it (OTP: the events of `sys:trace`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// The traced actor.
    pub pid: Pid,
    /// The time of the event, as the age of the actor.
    pub at: Duration,
    /// What happened.
    pub kind: TraceKind,
    /// How many events before this one were dropped, because the channel was full.
    pub missed: u64,
}

/// What a traced actor did, or what was done to it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TraceKind {
    /// It is about to handle a message of this type.
    Message(&'static str),
    /// It is about to handle a message that came through a plain `Addr`, which hides the type.
    AddrMessage,
    /// It received an exit signal.
    ExitSignal {
        /// The sender, if it is a process.
        from: Option<Pid>,
        /// The reason in the signal.
        reason: ExitReason,
    },
    /// It is ready.
    Started,
    /// It was requested to stop.
    Stop,
    /// It is suspended.
    Suspended,
    /// It is resumed.
    Resumed,
    /// As a supervisor, it starts this child.
    Starts(Pid),
    /// As a supervisor, it requests this child to stop.
    Stops(Pid),
    /// As a supervisor, it kills this child.
    Kills(Pid),
    /// It has exited. This is the last event.
    End(ExitReason),
}

/// Where a trace goes: made from a [`Logger`], or from the sending end of a channel of [`TraceEvent`]s.
///
/// The logger gets a record of level info for each event. The channel's bound is the bound of the trace: an event that
/// does not fit is dropped, and the next one has the number of dropped events.
#[derive(Clone)]
pub struct TraceSink(Arc<Sink>);

enum Sink {
    Logger(Logger),
    Channel { events: Sender<TraceEvent>, missed: AtomicU64 },
}
