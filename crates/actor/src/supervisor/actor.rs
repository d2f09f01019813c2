//! The supervisor actor: passes events to the rules and executes their actions.

use std::any::Any;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, Context, Handler, Message, Running};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildKey, ChildStatus, Event, ExitReason, Incarnation, Reply, RequestId, Strategy, Time,
};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::cell::mailbox::Limit;
use crate::cell::{ExitSignal, Pid, ReportFields, SystemMessage, TraceKind};
use crate::child::events::{EventSender, StartAck};
use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;
use crate::context::task_handle::TaskHandle;
use crate::supervisor::child_table::ChildTable;
use crate::supervisor::report::log;
use crate::supervisor::snapshot::SupervisorSnapshot;

/// Maximum number of children of a dynamic supervisor that a snapshot lists.
const MAX_LISTED: usize = 100;

/// A kind of supervisor: its rules, and how it spawns an incarnation.
pub(crate) trait SupervisorCore: 'static {
    fn handle(&mut self, now: Time, event: Event);
    fn poll_action(&mut self) -> Option<Action>;
    fn poll_timeout(&self) -> Option<Time>;
    fn start(&mut self, key: ChildKey, env: ChildContext, guard: ExitGuard);
    fn forget(&mut self, key: ChildKey);
    /// Stores the entry of the child that a request adds.
    fn added(&mut self, _by: RequestId, _key: ChildKey) {}
    /// Sends a reply to the requester. The sender may have no receiver.
    fn reply(&mut self, _to: RequestId, _reply: Reply, _children: &ChildTable) {}
    /// Its strategy; `None` if its children are independent instances.
    fn strategy(&self) -> Option<Strategy>;
    /// Its children, in start order.
    fn child_statuses(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_>;
}

/// A different seed for each supervisor, so that the jitter of their restarts differs.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A reply of the rules, and the running incarnation that it names.
pub(crate) struct RequestReply {
    pub(crate) reply: Reply,
    pub(crate) pid: Option<Pid>,
}

impl RequestReply {
    pub(crate) fn new(reply: Reply, children: &ChildTable) -> Self {
        let pid = match reply {
            Reply::Started(_, incarnation) => children.pid(incarnation),
            _ => None,
        };
        Self { reply, pid }
    }
}

/// An actor that executes a core.
pub(crate) struct SupervisorActor<P> {
    pub(crate) core: P,
    env: ChildContext,
    pub(crate) children: ChildTable,
    /// The sender of its children. Child events share the queue with all others, so they keep the order of
    /// arrival.
    events: EventSender,
    /// The time of the last read of the clock.
    now: Time,
    /// The only running timer, and when it fires: not later than the next deadline, perhaps earlier.
    timer: Option<(Time, TaskHandle)>,
    /// The next deadline has passed, and its event is queued.
    timeout_queued: bool,
    /// The incarnation of the exit that is being handled, and its fields for the report.
    exited: Option<(Incarnation, ReportFields)>,
    ack: Option<StartAck>,
    ready: bool,
    exiting: bool,
}

impl<P: SupervisorCore> SupervisorActor<P> {
    pub(crate) fn new(core: P, env: ChildContext) -> Self {
        let events = EventSender::new(env.registry().clone(), |_, _| {});
        env.cell().set_snapshot_fn(snapshot_message::<P>);
        Self {
            core,
            env,
            children: ChildTable::default(),
            // No event is handled before it has started.
            events,
            now: Time::START,
            timer: None,
            timeout_queued: false,
            exited: None,
            ack: None,
            ready: false,
            exiting: false,
        }
    }

    pub(crate) fn with_start_ack(mut self, ack: StartAck) -> Self {
        self.ack = Some(ack);
        self
    }

    /// Reads the clock.
    pub(crate) fn now(&mut self) -> Time {
        self.now = Time::from_start(self.env.registry().tree().age());
        self.now
    }

    /// Its children.
    pub(crate) fn snapshot(&mut self) -> SupervisorSnapshot {
        let now = self.now();
        let strategy = self.core.strategy();
        let limit = if strategy.is_some() { usize::MAX } else { MAX_LISTED };
        let mut all = self.core.child_statuses();
        let with_pid = |status: ChildStatus| {
            let pid = status.stage.incarnation().and_then(|incarnation| self.children.pid(incarnation));
            (status, pid)
        };
        let children = all.by_ref().take(limit).map(with_pid).collect();
        let id = self.env.path().rsplit('/').next().unwrap_or_default().to_owned();
        SupervisorSnapshot { id, strategy, now, children, more: all.count() }
    }

    /// The pid of the child with this id, or `None` if there is no such child.
    pub(crate) fn child(&self, id: &rules::ChildId) -> Option<Option<Pid>> {
        let child = self.core.child_statuses().find(|child| child.id == *id)?;
        Some(child.stage.incarnation().and_then(|incarnation| self.children.pid(incarnation)))
    }

    fn trace(&self, incarnation: Incarnation, kind: impl FnOnce(Pid) -> TraceKind) {
        if let Some(cell) = self.children.get(incarnation) {
            self.env.cell().trace(|| kind(Pid::of(cell)));
        }
    }

    fn handle_event(&mut self, event: Event, ctx: &mut Context<Self>) {
        if let Event::Exited(incarnation, _)
        | Event::StartFailed(incarnation, _)
        | Event::Ignored(incarnation) = event
        {
            self.children.remove(incarnation);
        }
        let now = self.now();
        self.core.handle(now, event);
        self.run_actions(ctx);
    }

    /// Executes actions until the rules return none.
    pub(crate) fn run_actions(&mut self, ctx: &mut Context<Self>) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Start(key, incarnation) => {
                    let env = self.env.child(incarnation, self.now);
                    let guard = ExitGuard::new(self.events.clone(), Arc::clone(env.cell()));
                    // If it has exited, its exit event arrives later and removes it.
                    self.children.insert(incarnation, Arc::clone(env.cell()));
                    self.trace(incarnation, TraceKind::Starts);
                    self.core.start(key, env, guard);
                }
                Action::Stop(incarnation) => {
                    self.trace(incarnation, TraceKind::Stops);
                    self.children.stop(incarnation);
                }
                Action::Kill(incarnation) => {
                    self.trace(incarnation, TraceKind::Kills);
                    self.children.kill(incarnation);
                }
                Action::Forget(key) => self.core.forget(key),
                Action::Report(report) => {
                    let exited = self.exited.as_ref();
                    let of_child = exited.filter(|(exited, _)| report.incarnation == Some(*exited));
                    let of_child = of_child.map_or(&[][..], |(_, fields)| fields);
                    log(self.env.log(), &report, of_child, self.ready);
                }
                Action::Ready => {
                    self.ready = true;
                    self.env.cell().trace(|| TraceKind::Started);
                    self.ack.iter().for_each(StartAck::started);
                }
                Action::Added(by, key) => self.core.added(by, key),
                Action::Reply(to, reply) => self.core.reply(to, reply, &self.children),
                Action::Exit(reason) => self.exit(reason, ctx),
            }
        }
        self.arm_timer(ctx);
    }

    fn exit(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        self.env.set_exit_reason(reason);
        self.exiting = true;
        ctx.stop();
    }

    /// Ensures that one timer runs that is not later than the next deadline.
    ///
    /// It cancels a later one, since long backoffs would pile up such timers. An earlier one stays: it serves deadlines
    /// that follow, so a start time-out does not cost each start a new timer.
    fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.core.poll_timeout() else { return };
        let now = self.now();
        if next <= now {
            // Due now, but after the queued events.
            if !std::mem::replace(&mut self.timeout_queued, true) {
                self.events.send(Event::Timeout);
            }
            return;
        }
        match &self.timer {
            Some((at, _)) if *at <= next => return,
            Some((_, later)) => later.cancel(ctx),
            None => {}
        }
        let timer = wrap_future::<_, Self>(sleep(next.saturating_since(now)));
        let timer = timer.map(|(), supervisor: &mut Self, ctx| {
            supervisor.timer = None;
            supervisor.handle_event(Event::Timeout, ctx);
        });
        self.timer = Some((next, TaskHandle::spawn(timer, ctx)));
    }
}

/// A core is `Unpin`: none of its fields is pinned.
impl<P> Unpin for SupervisorActor<P> {}

impl<P: SupervisorCore> Actor for SupervisorActor<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(own) = self.env.pid().actor::<Self>() {
            self.events = EventSender::new(self.env.registry().clone(), move |event, report_fields| {
                drop(own.push(ChildEvent { event, report_fields }, None, Limit::Unbounded));
            });
        }
        // As in OTP: a supervisor exits on a stop of its parent or a kill, and ignores exit signals.
        self.env.clone().trap_exits(ctx);
        self.handle_event(Event::Start, ctx);
    }

    /// A stop request: the children stop first. The rules decide when that is done.
    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if self.env.cell().is_killed() {
            // A kill skips the orderly stop. The destructor of `children` kills them.
            return Running::Continue;
        }
        if !self.exiting {
            let reason = self.env.cell().take_exit_reason().unwrap_or(ExitReason::Shutdown);
            self.handle_event(Event::Shutdown(reason), ctx);
        }
        if self.exiting { Running::Stop } else { Running::Continue }
    }
}

/// An event for the rules, and the fields that the child adds to the report of its exit.
struct ChildEvent {
    event: Event,
    report_fields: ReportFields,
}

impl Message for ChildEvent {
    type Result = ();
}

impl<P: SupervisorCore> Handler<ChildEvent> for SupervisorActor<P> {
    type Result = ();

    fn handle(&mut self, ChildEvent { event, report_fields }: ChildEvent, ctx: &mut Context<Self>) {
        self.timeout_queued &= event != Event::Timeout;
        if let Event::Exited(incarnation, _) = event {
            self.exited = Some((incarnation, report_fields));
        }
        self.handle_event(event, ctx);
        self.exited = None;
    }
}

impl<P: SupervisorCore> Handler<ExitSignal> for SupervisorActor<P> {
    type Result = ();

    /// An exit signal, which it ignores: exits of its children arrive as events.
    fn handle(&mut self, _: ExitSignal, _: &mut Context<Self>) {}
}

/// Makes the system message by which this kind of supervisor reports its children. `reply` is a boxed
/// `oneshot::Sender<SupervisorSnapshot>`.
fn snapshot_message<P: SupervisorCore>(reply: Box<dyn Any + Send>) -> SystemMessage {
    SystemMessage::state_fn::<SupervisorActor<P>>(|supervisor, _| {
        if let Ok(reply) = reply.downcast::<oneshot::Sender<SupervisorSnapshot>>() {
            // An error means that the caller dropped its future. Nothing is left to do.
            let _ = reply.send(supervisor.snapshot());
        }
    })
}

#[cfg(test)]
#[path = "actor_tests.rs"]
mod tests;
