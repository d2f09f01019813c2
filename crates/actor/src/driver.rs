//! The supervisor actor: moves events to the rules and does what they say.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildKey, ChildStatus, Event, ExitReason, Incarnation, Reply, RequestId, Strategy, Time,
};

use crate::census::{Census, inspect};
use crate::lives::Lives;
use crate::notify::{Notices, Notify, StartAck};
use crate::report::log;
use crate::trace::TraceKind;
use crate::{ChildContext, ExitSignal, Pid};

/// How many children of a dynamic supervisor are listed in a tree, of any number that it may have.
const LISTED: usize = 100;

/// A kind of supervisor: its rules, and how it begins a life.
pub(crate) trait Plan: 'static {
    fn handle(&mut self, now: Time, event: Event);
    fn poll_action(&mut self) -> Option<Action>;
    fn poll_timeout(&self) -> Option<Time>;
    fn start(&mut self, key: ChildKey, env: ChildContext, notify: Notify);
    fn forget(&mut self, key: ChildKey);
    /// The child that a request adds has this entry.
    fn added(&mut self, _by: RequestId, _key: ChildKey) {}
    /// Hands an answer to whoever asked. Who does not care is not known here.
    fn answer(&mut self, _to: RequestId, _reply: Reply, _lives: &Lives) {}
    /// How it restarts; `None` if its children are independent instances.
    fn strategy(&self) -> Option<Strategy>;
    /// Its children, in start order.
    fn census(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_>;
}

/// Another number for each supervisor, so that the jitter of their restarts differs.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// What the rules say to somebody who asked, and who lives as the life that they name.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) pid: Option<Pid>,
}

impl Answer {
    pub(crate) fn new(reply: Reply, lives: &Lives) -> Self {
        let pid = match reply {
            Reply::Started(_, life) => lives.pid(life),
            _ => None,
        };
        Self { reply, pid }
    }
}

/// Plays a plan as an actor.
pub(crate) struct Driver<P> {
    pub(crate) plan: P,
    env: ChildContext,
    pub(crate) lives: Lives,
    /// How it hears of its children: in the same queue as of everything else, so in the order in which it happened.
    notices: Notices,
    /// What the clock of the system said when it was looked at last.
    now: Time,
    /// The timer that is running, if any; it may be earlier than needed, never later.
    armed: Option<Time>,
    /// The next deadline is over, and news of it is on its way.
    due: bool,
    ack: Option<StartAck>,
    ready: bool,
    over: bool,
}

impl<P: Plan> Driver<P> {
    pub(crate) fn new(plan: P, env: ChildContext) -> Self {
        env.life().set_inspect(inspect::<P>);
        Self {
            plan,
            env,
            lives: Lives::default(),
            // Nothing happens before it has started.
            notices: Notices::new(drop),
            now: Time::START,
            armed: None,
            due: false,
            ack: None,
            ready: false,
            over: false,
        }
    }

    pub(crate) fn acknowledge_by(mut self, ack: StartAck) -> Self {
        self.ack = Some(ack);
        self
    }

    /// Looks at the clock.
    pub(crate) fn now(&mut self) -> Time {
        self.now = Time::from_start(self.env.system().age());
        self.now
    }

    /// What it supervises.
    pub(crate) fn census(&mut self) -> Census {
        let now = self.now();
        let strategy = self.plan.strategy();
        let limit = if strategy.is_some() { usize::MAX } else { LISTED };
        let mut all = self.plan.census();
        let with_life = |status: ChildStatus| {
            let life = status.stage.life().and_then(|life| self.lives.get(life));
            (status, life.cloned())
        };
        let children = all.by_ref().take(limit).map(with_life).collect();
        let id = self.env.path().rsplit('/').next().unwrap_or_default().to_owned();
        Census { id, strategy, now, children, more: all.count() }
    }

    /// The life of the child with this id, or `None` if there is no such child.
    pub(crate) fn child(&self, id: &rules::ChildId) -> Option<Option<Pid>> {
        let child = self.plan.census().find(|child| child.id == *id)?;
        Some(child.stage.life().and_then(|life| self.lives.pid(life)))
    }

    fn trace(&self, of: Incarnation, what: impl FnOnce(Pid) -> TraceKind) {
        if let Some(life) = self.lives.get(of) {
            self.env.life().trace(|| what(Pid::of(life)));
        }
    }

    fn feed(&mut self, event: Event, ctx: &mut Context<Self>) {
        if let Event::Exited(life, _) | Event::StartFailed(life, _) | Event::Ignored(life) = event {
            self.lives.remove(life);
        }
        let now = self.now();
        self.plan.handle(now, event);
        self.play(ctx);
    }

    /// Does what the rules say, until they say nothing more.
    pub(crate) fn play(&mut self, ctx: &mut Context<Self>) {
        while let Some(action) = self.plan.poll_action() {
            match action {
                Action::Start(key, life) => {
                    let env = self.env.child(life, self.now);
                    let notify = Notify::new(self.notices.clone(), Arc::clone(env.life()));
                    // Its end, which takes it out again, is heard later in any case.
                    self.lives.insert(life, Arc::clone(env.life()));
                    self.trace(life, TraceKind::Starts);
                    self.plan.start(key, env, notify);
                }
                Action::Stop(life) => {
                    self.trace(life, TraceKind::Stops);
                    self.lives.stop(life);
                }
                Action::Kill(life) => {
                    self.trace(life, TraceKind::Kills);
                    self.lives.kill(life);
                }
                Action::Forget(key) => self.plan.forget(key),
                Action::Report(report) => log(self.env.log(), &report, self.ready),
                Action::Ready => {
                    self.ready = true;
                    self.env.life().trace(|| TraceKind::Started);
                    self.ack.iter().for_each(StartAck::started);
                }
                Action::Added(by, key) => self.plan.added(by, key),
                Action::Reply(to, reply) => self.plan.answer(to, reply, &self.lives),
                Action::Exit(reason) => self.exit(reason, ctx),
            }
        }
        self.arm(ctx);
    }

    fn exit(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        self.env.set_exit_reason(reason);
        self.over = true;
        ctx.stop();
    }

    /// Sees to it that a timer runs that is not later than the next deadline.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.plan.poll_timeout() else { return };
        let now = self.now();
        if next <= now {
            // Now, but after what has happened already.
            if !std::mem::replace(&mut self.due, true) {
                self.notices.send(Event::Timeout);
            }
            return;
        }
        if self.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        self.armed = Some(next);
        ctx.run_later(next.saturating_since(now), move |driver, ctx| {
            if driver.armed == Some(next) {
                driver.armed = None;
            }
            driver.feed(Event::Timeout, ctx);
        });
    }
}

/// A plan is moved freely: nothing in here is ever pinned.
impl<P> Unpin for Driver<P> {}

impl<P: Plan> Actor for Driver<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(own) = self.env.pid().actor::<Self>() {
            self.notices = Notices::new(move |event| own.post(Happened(event)));
        }
        // As in OTP: a supervisor ends when its parent says so, or when it is killed.
        self.env.clone().trap_exits(ctx);
        self.feed(Event::Start, ctx);
    }

    /// Told to stop: take the children down first. The rules say when that is done.
    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if self.env.life().is_killed() {
            // There is no time to do anything in order.
            return Running::Continue;
        }
        if !self.over {
            let reason = self.env.life().take_reason().unwrap_or(ExitReason::Shutdown);
            self.feed(Event::Shutdown(reason), ctx);
        }
        if self.over { Running::Stop } else { Running::Continue }
    }
}

/// Something has happened that the rules are to know.
struct Happened(Event);

impl Message for Happened {
    type Result = ();
}

impl<P: Plan> Handler<Happened> for Driver<P> {
    type Result = ();

    fn handle(&mut self, Happened(event): Happened, ctx: &mut Context<Self>) {
        self.due &= event != Event::Timeout;
        self.feed(event, ctx);
    }
}

impl<P: Plan> Handler<ExitSignal> for Driver<P> {
    type Result = ();

    /// Of somebody it does not know, and ignored: its children it hears of in another way.
    fn handle(&mut self, _: ExitSignal, _: &mut Context<Self>) {}
}
