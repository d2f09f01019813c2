//! The supervisor actor: moves events to the rules and does what they say.

use std::any::Any;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildKey, ChildStatus, Event, ExitReason, Incarnation, Reply, RequestId, Strategy, Time,
};
use tokio::sync::oneshot;

use crate::cell::{ExitSignal, Pid, SystemMessage, TraceKind};
use crate::child::events::{EventSender, StartAck};
use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;
use crate::supervisor::child_table::ChildTable;
use crate::supervisor::report::log;
use crate::supervisor::snapshot::SupervisorSnapshot;

/// How many children of a dynamic supervisor are listed in a tree, of any number that it may have.
const MAX_LISTED: usize = 100;

/// A kind of supervisor: its rules, and how it begins a life.
pub(crate) trait SupervisorCore: 'static {
    fn handle(&mut self, now: Time, event: Event);
    fn poll_action(&mut self) -> Option<Action>;
    fn poll_timeout(&self) -> Option<Time>;
    fn start(&mut self, key: ChildKey, env: ChildContext, guard: ExitGuard);
    fn forget(&mut self, key: ChildKey);
    /// The child that a request adds has this entry.
    fn added(&mut self, _by: RequestId, _key: ChildKey) {}
    /// Hands an answer to whoever asked. Who does not care is not known here.
    fn reply(&mut self, _to: RequestId, _reply: Reply, _children: &ChildTable) {}
    /// How it restarts; `None` if its children are independent instances.
    fn strategy(&self) -> Option<Strategy>;
    /// Its children, in start order.
    fn child_statuses(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_>;
}

/// Another number for each supervisor, so that the jitter of their restarts differs.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// What the rules say to somebody who asked, and who lives as the life that they name.
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

/// Plays a plan as an actor.
pub(crate) struct SupervisorActor<P> {
    pub(crate) core: P,
    env: ChildContext,
    pub(crate) children: ChildTable,
    /// How it hears of its children: in the same queue as of everything else, so in the order in which it happened.
    events: EventSender,
    /// What the clock of the system said when it was looked at last.
    now: Time,
    /// The timer that is running, if any; it may be earlier than needed, never later.
    armed: Option<Time>,
    /// The next deadline is over, and news of it is on its way.
    timeout_queued: bool,
    ack: Option<StartAck>,
    ready: bool,
    exiting: bool,
}

impl<P: SupervisorCore> SupervisorActor<P> {
    pub(crate) fn new(core: P, env: ChildContext) -> Self {
        let events = EventSender::new(env.system().clone(), drop);
        env.cell().set_snapshot_fn(snapshot_message::<P>);
        Self {
            core,
            env,
            children: ChildTable::default(),
            // Nothing happens before it has started.
            events,
            now: Time::START,
            armed: None,
            timeout_queued: false,
            ack: None,
            ready: false,
            exiting: false,
        }
    }

    pub(crate) fn with_start_ack(mut self, ack: StartAck) -> Self {
        self.ack = Some(ack);
        self
    }

    /// Looks at the clock.
    pub(crate) fn now(&mut self) -> Time {
        self.now = Time::from_start(self.env.system().tree().age());
        self.now
    }

    /// What it supervises.
    pub(crate) fn snapshot(&mut self) -> SupervisorSnapshot {
        let now = self.now();
        let strategy = self.core.strategy();
        let limit = if strategy.is_some() { usize::MAX } else { MAX_LISTED };
        let mut all = self.core.child_statuses();
        let with_pid = |status: ChildStatus| {
            let pid = status.stage.life().and_then(|incarnation| self.children.pid(incarnation));
            (status, pid)
        };
        let children = all.by_ref().take(limit).map(with_pid).collect();
        let id = self.env.path().rsplit('/').next().unwrap_or_default().to_owned();
        SupervisorSnapshot { id, strategy, now, children, more: all.count() }
    }

    /// The life of the child with this id, or `None` if there is no such child.
    pub(crate) fn child(&self, id: &rules::ChildId) -> Option<Option<Pid>> {
        let child = self.core.child_statuses().find(|child| child.id == *id)?;
        Some(child.stage.life().and_then(|incarnation| self.children.pid(incarnation)))
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

    /// Does what the rules say, until they say nothing more.
    pub(crate) fn run_actions(&mut self, ctx: &mut Context<Self>) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Start(key, incarnation) => {
                    let env = self.env.child(incarnation, self.now);
                    let guard = ExitGuard::new(self.events.clone(), Arc::clone(env.cell()));
                    // Its end, which takes it out again, is heard later in any case.
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
                Action::Report(report) => log(self.env.log(), &report, self.ready),
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

    /// Sees to it that a timer runs that is not later than the next deadline.
    fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.core.poll_timeout() else { return };
        let now = self.now();
        if next <= now {
            // Now, but after what has happened already.
            if !std::mem::replace(&mut self.timeout_queued, true) {
                self.events.send(Event::Timeout);
            }
            return;
        }
        if self.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        self.armed = Some(next);
        ctx.run_later(next.saturating_since(now), move |supervisor, ctx| {
            if supervisor.armed == Some(next) {
                supervisor.armed = None;
            }
            supervisor.handle_event(Event::Timeout, ctx);
        });
    }
}

/// A plan is moved freely: nothing in here is ever pinned.
impl<P> Unpin for SupervisorActor<P> {}

impl<P: SupervisorCore> Actor for SupervisorActor<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(own) = self.env.pid().actor::<Self>() {
            self.events = EventSender::new(self.env.system().clone(), move |event| {
                own.push_unbounded(ChildEvent(event))
            });
        }
        // As in OTP: a supervisor ends when its parent says so, or when it is killed.
        self.env.clone().trap_exits(ctx);
        self.handle_event(Event::Start, ctx);
    }

    /// Told to stop: take the children down first. The rules say when that is done.
    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if self.env.cell().is_killed() {
            // There is no time to do anything in order.
            return Running::Continue;
        }
        if !self.exiting {
            let reason = self.env.cell().take_exit_reason().unwrap_or(ExitReason::Shutdown);
            self.handle_event(Event::Shutdown(reason), ctx);
        }
        if self.exiting { Running::Stop } else { Running::Continue }
    }
}

/// Something has happened that the rules are to know.
struct ChildEvent(Event);

impl Message for ChildEvent {
    type Result = ();
}

impl<P: SupervisorCore> Handler<ChildEvent> for SupervisorActor<P> {
    type Result = ();

    fn handle(&mut self, ChildEvent(event): ChildEvent, ctx: &mut Context<Self>) {
        self.timeout_queued &= event != Event::Timeout;
        self.handle_event(event, ctx);
    }
}

impl<P: SupervisorCore> Handler<ExitSignal> for SupervisorActor<P> {
    type Result = ();

    /// Of somebody it does not know, and ignored: its children it hears of in another way.
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
