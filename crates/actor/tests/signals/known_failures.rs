//! What goes or went wrong in other actor frameworks, as they or their users tell it; here it must not.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Heard, Process, Run, child, error, pair, quiet, start};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use futures::future::join_all;
use impresario_actor::{
    CallError, CastError, ChildContext, ChildRef, ChildSpec, ExitReason, GroupChange, Intensity, Pid,
    Restart, Strategy, Supervisor, SupervisorRef, Tree,
};
use tokio::sync::{mpsc, watch};

/// Says when it begins and when it has ended; ends when it may.
struct Life {
    id: usize,
    env: ChildContext,
    journal: mpsc::UnboundedSender<String>,
    may_end: watch::Receiver<bool>,
}

impl Actor for Life {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        let _ = self.journal.send(format!("+{}", self.id));
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if *self.may_end.borrow() {
            return Running::Stop;
        }
        let mut may_end = self.may_end.clone();
        let permitted = async move { may_end.wait_for(|may| *may).await.is_ok() };
        ctx.spawn(actix::ActorFutureExt::map(permitted.into_actor(self), |_, _, ctx| ctx.stop()));
        Running::Continue
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.journal.send(format!("-{}", self.id));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Life {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("boo");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct End(ExitReason);

impl Handler<End> for Life {
    type Result = ();

    fn handle(&mut self, End(reason): End, ctx: &mut Context<Self>) {
        self.env.clone().exit(reason, ctx);
    }
}

struct Lives {
    tree: Tree,
    names: Vec<ChildRef<Life>>,
    journal: mpsc::UnboundedReceiver<String>,
    /// Whether the third may end when it is asked to.
    may_end: watch::Sender<bool>,
}

impl Lives {
    async fn start(count: usize, strategy: Strategy, intensity: Intensity) -> Self {
        let ((tell, journal), (may_end, permit)) = (mpsc::unbounded_channel(), watch::channel(true));
        let (_always, always) = watch::channel(true);
        let (mut names, mut tree) =
            (Vec::new(), Supervisor::new(strategy).intensity(intensity).logger(quiet()));
        for id in 1..=count {
            let (name, journal) = (ChildRef::new(), tell.clone());
            let may_end = if id == 3 { permit.clone() } else { always.clone() };
            tree = tree.child(name.child_spec(id.to_string(), move |env| {
                Ok(Life { id, env: env.clone(), journal: journal.clone(), may_end: may_end.clone() })
            }));
            names.push(name);
        }
        let mut lives = Self { tree: tree.start().await.expect("it starts"), names, journal, may_end };
        for id in 1..=count {
            lives.expect(&format!("+{id}")).await;
        }
        lives
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.journal.recv().await.as_deref(), Some(line));
    }

    fn pid(&self, id: usize) -> Pid {
        self.names[id - 1].pid().expect("it lives")
    }
}

/// kameo: one_for_all restarts in the order of a hash map, and starts a new child while the old one still stops.
#[actix::test]
async fn a_group_restart_has_an_order_and_no_overlap() {
    let mut lives = Lives::start(6, Strategy::OneForAll, Intensity::default()).await;
    lives.may_end.send(false).expect("it listens");
    lives.names[1].cast(Panic).expect("there is room");
    for line in ["-2", "-6", "-5", "-4"] {
        lives.expect(line).await;
    }
    lives_on(&lives.pid(1)).await;
    assert!(lives.journal.try_recv().is_err(), "nothing happens while the third still stops");
    lives.may_end.send(true).expect("it listens");
    for line in ["-3", "-1", "+1", "+2", "+3", "+4", "+5", "+6"] {
        lives.expect(line).await;
    }
}

/// Gives everybody the time to do what they should not, and this one to end.
async fn lives_on(pid: &Pid) {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(pid.is_alive());
}

/// kameo: the restart count falls only after a quiet time, so a slow trickle of failures is too much some day.
#[actix::test]
async fn failures_that_are_long_past_do_not_count() {
    tokio::time::pause();
    let period = Duration::from_millis(500);
    let mut lives = Lives::start(1, Strategy::OneForOne, Intensity::new(3, period)).await;
    for _ in 0..50 {
        tokio::time::advance(Duration::from_millis(400)).await;
        lives.names[0].cast(Panic).expect("there is room");
        lives.expect("-1").await;
        lives.expect("+1").await;
    }
}

/// joerl: one_for_all starts children again without stopping the old ones, which also outlive their supervisor.
#[actix::test]
async fn nobody_outlives_its_successor_or_its_supervisor() {
    let lives = Lives::start(3, Strategy::OneForAll, Intensity::default()).await;
    let before: Vec<Pid> = (1..=3).map(|id| lives.pid(id)).collect();
    before[0].kill();
    let reasons = join_all(before.iter().map(Pid::wait_exit)).await;
    assert_eq!(reasons, [ExitReason::Killed, ExitReason::Shutdown, ExitReason::Shutdown]);
    let after = join_all(lives.names.iter().map(ChildRef::available)).await;
    lives.tree.kill();
    assert_eq!(lives.tree.stopped().await, ExitReason::Killed);
    for life in after {
        assert_eq!(life.pid().wait_exit().await, ExitReason::Killed);
    }
}

/// joerl: a child that ends normally is never started again, permanent or not.
#[actix::test]
async fn a_permanent_child_that_ends_normally_is_started_again() {
    let mut lives = Lives::start(1, Strategy::OneForOne, Intensity::default()).await;
    let first = lives.pid(1);
    lives.names[0].cast(End(ExitReason::Normal)).expect("there is room");
    assert_eq!(first.wait_exit().await, ExitReason::Normal);
    lives.expect("-1").await;
    lives.expect("+1").await;
}

/// ractor: the default supervisor dies with its child, so one failure takes down the whole tree.
#[actix::test]
async fn a_supervisor_survives_its_children() {
    let lives = Lives::start(2, Strategy::OneForOne, Intensity::default()).await;
    let other = lives.pid(2);
    let first = lives.pid(1);
    first.kill();
    first.wait_exit().await;
    lives.names[0].call(End(ExitReason::Normal)).wait().await.expect("there is a next life");
    assert!(other.is_alive());
    assert_eq!(lives.tree.root().which_children().await.expect("it runs").len(), 2);
}

/// ractor: a drained actor says yes to messages that it then drops. kameo: a restart loses what was in the mailbox.
#[actix::test]
async fn what_was_accepted_is_handled_or_its_sender_is_told() {
    let (_tree, a, _b) = pair().await;
    let life = a.name.actor().expect("it lives");
    let counted = Arc::new(Mutex::new(0));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let counted = Arc::clone(&counted);
            actix_rt::spawn(
                life.call(Run(Box::new(move |_, _| {
                    assert!(number != 10, "boo");
                    *counted.lock().expect("no panic") += 1;
                })))
                .into_future(),
            )
        })
        .collect();
    let mut answered = 0;
    for call in calls {
        match call.await.expect("no panic") {
            Ok(()) => answered += 1,
            Err(CallError::Exit(ExitReason::Panic { message, .. })) => assert_eq!(message, "boo"),
            // It was over before this one was sent.
            Err(reason) => assert_eq!(reason, CallError::NotAvailable),
        }
    }
    assert_eq!((answered, *counted.lock().expect("no panic")), (10, 10));
}

/// ractor: a wait for the end of an actor loses wakeups when several wait, or when one of them gives up.
#[actix::test]
async fn everybody_who_waits_for_an_end_hears_of_it() {
    let (_tree, a, _b) = pair().await;
    let pid = a.pid();
    let waiting: Vec<_> = (0..100).map(|_| actix_rt::spawn(pid.wait_exit())).collect();
    let elsewhere = pid.wait_exit();
    let thread = std::thread::spawn(move || futures::executor::block_on(elsewhere));
    tokio::task::yield_now().await;
    waiting.iter().step_by(2).for_each(|wait| wait.abort());
    pid.exit(error("enough"));
    for wait in waiting.into_iter().skip(1).step_by(2) {
        assert_eq!(wait.await.expect("it waits"), error("enough"));
    }
    let there = tokio::task::spawn_blocking(|| thread.join().expect("no panic")).await;
    assert_eq!(there.expect("no panic"), error("enough"));
    assert_eq!((pid.wait_exit().await, pid.wait_exit().await), (error("enough"), error("enough")));
}

/// An actor whose start never comes to an end.
struct Endless;

impl Actor for Endless {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.wait(std::future::pending::<()>().into_actor(self));
    }
}

/// ractor: a start that is cancelled leaves its name taken for ever.
#[actix::test]
async fn a_start_that_is_given_up_leaves_no_name() {
    tokio::time::pause();
    let (_a, a_spec) = child("a");
    let tree = start([a_spec]).await;
    let endless = ChildSpec::actor("endless", |_| Ok(Endless)).registered("room");
    let endless = endless.start_timeout(Duration::from_secs(1)).restart(Restart::Temporary);
    let outcome = tree.root().start_child(endless).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(tree.system().registered(), [""; 0]);
    let (_b, b_spec) = child("b");
    tree.root().start_child(b_spec.registered("room")).await.expect("the name is free");
}

/// ractor: a reference of the wrong type kills its target with the first message.
#[actix::test]
async fn a_reference_of_the_wrong_type_cannot_be_had() {
    let (_tree, a, _b) = pair().await;
    assert!(a.pid().actor::<Endless>().is_none() && a.pid().addr::<Endless>().is_none());
    assert!(a.pid().actor::<Process>().is_some() && a.pid().is_alive());
}

/// ractor: an output port is dead after one lag of its reader.
#[actix::test]
async fn who_lags_behind_a_group_catches_up() {
    const MANY: usize = 10_000;
    let (tree, mut a, b) = pair().await;
    let (system, pid) = (tree.system(), b.pid());
    a.run(|process, ctx| {
        process.env.clone().monitor_group("room", ctx);
    })
    .await;
    assert!(matches!(a.hears().await, Heard::Group(event) if event.change == GroupChange::Members(vec![])));
    a.pid().suspend().await.expect("it lives");
    for _ in 0..MANY {
        system.join("room", &pid).expect("it lives");
    }
    system.leave("room", &pid);
    a.pid().resume();
    let mut known = None;
    let at_last = loop {
        let Heard::Group(event) = a.hears().await else { panic!("it hears of the group") };
        match (event.change, &mut known) {
            (GroupChange::Members(members), known) => *known = Some(members.len()),
            (GroupChange::Joined(_), Some(count)) => *count += 1,
            (GroupChange::Left(_), Some(count)) => break *count - 1,
            (change, None) => panic!("{change:?} before it knows the members"),
        }
    };
    assert_eq!(at_last, system.members("room").len());
    assert!(system.leave("room", &pid));
    assert!(matches!(a.hears().await, Heard::Group(event) if event.change == GroupChange::Left(pid)));
}

/// Sends itself messages while it starts.
struct Eager(mpsc::UnboundedSender<bool>, ChildContext);

#[derive(Message)]
#[rtype(result = "()")]
struct Nudge;

impl Actor for Eager {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        let own = self.1.pid().actor::<Self>().expect("it lives");
        for _ in 0..3 {
            let _ = self.0.send(own.cast(Nudge).is_ok());
        }
    }
}

impl Handler<Nudge> for Eager {
    type Result = ();

    fn handle(&mut self, _: Nudge, _: &mut Context<Self>) {}
}

/// kameo: an actor with a small mailbox that sends itself something at its start waits for itself.
#[actix::test]
async fn a_small_mailbox_is_no_deadlock_at_start() {
    let (tell, mut sent) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor("eager", move |env| Ok(Eager(tell.clone(), env.clone())));
    let _tree = start([spec.mailbox_limit(1)]).await;
    for expected in [true, false, false] {
        assert_eq!(sent.recv().await, Some(expected), "one finds room, the others are told");
    }
}

/// kameo: who asks its supervisor something while it is stopped, and waits for the answer, waits for ever.
#[actix::test]
async fn a_question_to_the_supervisor_in_a_stop_delays_it_by_its_time_out_at_most() {
    struct Asking(SupervisorRef);
    impl Actor for Asking {
        type Context = Context<Self>;
        fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
            let root = self.0.clone();
            let ask = async move { root.which_children().await.map(drop) };
            ctx.wait(actix::ActorFutureExt::map(ask.into_actor(self), |_, _, ctx: &mut Context<Self>| {
                ctx.terminate();
            }));
            Running::Continue
        }
    }
    tokio::time::pause();
    let (root, top) = (SupervisorRef::new(), Supervisor::new(Strategy::OneForOne));
    let asked = root.clone();
    let nested = root.child_spec("nested", move |_| {
        let asked = asked.clone();
        let asking = ChildSpec::actor("asking", move |_| Ok(Asking(asked.clone())));
        Ok(Supervisor::new(Strategy::OneForOne).child(asking.shutdown(Duration::from_secs(60))))
    });
    let tree = top.logger(quiet()).child(nested).start().await.expect("it starts");
    let begin = tokio::time::Instant::now();
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    assert!(begin.elapsed() <= Duration::from_secs(61));
}

/// acton, before its version 9: why an actor panicked was never told. In all others: where it did is not.
#[actix::test]
async fn a_panic_is_told_with_its_text_and_its_place() {
    let lives = Lives::start(1, Strategy::OneForOne, Intensity::default()).await;
    let first = lives.pid(1);
    lives.names[0].cast(Panic).expect("there is room");
    let ExitReason::Panic { message, location } = first.wait_exit().await else { panic!("it panics") };
    assert_eq!(message, "boo");
    assert!(location.is_some_and(|location| location.contains("peers.rs:")));
}

/// actix: every clone of an address has room for one more message, and `do_send` knows no limit.
#[actix::test]
async fn the_limit_of_a_queue_is_hard() {
    let (a, spec) = child("a");
    let _tree = start([spec.mailbox_limit(4)]).await;
    let clones: Vec<_> = (0..20).map(|_| a.name.actor().expect("it lives")).collect();
    let accepted = clones.iter().map(|clone| clone.clone().cast(Run(Box::new(|_, _| {}))));
    let accepted: Vec<bool> = accepted.map(|outcome| !matches!(outcome, Err(CastError::Full(_)))).collect();
    assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 4);
}

/// actix: after a panic in a future that an actor waits for, the actor is gone for good and its process looks healthy.
#[actix::test]
async fn a_panic_in_a_future_is_a_restart() {
    let (heard, _) = mpsc::unbounded_channel();
    let name = ChildRef::new();
    let spec = name
        .child_spec("a", move |env| Ok(Process { env: env.clone(), heard: heard.clone(), on_down: None }));
    let _tree = start([spec]).await;
    for _ in 0..2 {
        let first = name.pid().expect("it lives");
        let panics = Run(Box::new(|process, ctx| {
            ctx.wait(async { panic!("boo") }.into_actor(process));
        }));
        name.cast(panics).expect("there is room");
        assert!(matches!(first.wait_exit().await, ExitReason::Panic { .. }));
        assert_eq!(name.call(Run(Box::new(|_, _| {}))).wait().await, Ok(()));
    }
}

/// actix: an actor whose last address is dropped is gone.
#[actix::test]
async fn an_actor_that_nobody_knows_lives() {
    let (tell, mut pids) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor("eager", move |env| {
        tell.send(env.pid()).expect("the test waits");
        Ok(Eager(mpsc::unbounded_channel().0, env.clone()))
    });
    let _tree = start([spec]).await;
    lives_on(&pids.recv().await.expect("it starts")).await;
}

/// speare: panics are caught by nobody. xtra: nobody hears of them.
#[actix::test]
async fn a_panic_reaches_those_who_watch() {
    let (_tree, mut a, b) = pair().await;
    let pid = b.pid();
    let monitored = pid.clone();
    a.run(move |process, ctx| {
        process.env.clone().monitor(&monitored, ctx);
    })
    .await;
    b.name.cast(Run(Box::new(|_, _| panic!("boo")))).expect("there is room");
    let Heard::Down(who, ExitReason::Panic { message, .. }) = a.hears().await else {
        panic!("it hears of a panic")
    };
    assert_eq!((who, message.as_str()), (pid, "boo"));
}
