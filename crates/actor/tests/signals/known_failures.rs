//! Failures reported for other actor frameworks (named at each test). They must not happen here.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Observed, Process, Run, child, error, pair, quiet, start};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use futures::future::join_all;
use impresario_actor::{
    CallError, CastError, ChildContext, ChildRef, ChildSpec, ExitReason, GroupChange, Intensity, Pid,
    Restart, Strategy, Supervisor, SupervisorRef, Tree,
};
use tokio::sync::{mpsc, watch};

/// Writes `+id` when it starts and `-id` when it is dropped. It stops only when `may_end` is true.
struct Journaled {
    id: usize,
    env: ChildContext,
    journal: mpsc::UnboundedSender<String>,
    may_end: watch::Receiver<bool>,
}

impl Actor for Journaled {
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

impl Drop for Journaled {
    fn drop(&mut self) {
        let _ = self.journal.send(format!("-{}", self.id));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Journaled {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("boo");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct End(ExitReason);

impl Handler<End> for Journaled {
    type Result = ();

    fn handle(&mut self, End(reason): End, ctx: &mut Context<Self>) {
        self.env.clone().exit(reason, ctx);
    }
}

struct Fixture {
    tree: Tree,
    names: Vec<ChildRef<Journaled>>,
    journal: mpsc::UnboundedReceiver<String>,
    /// Whether the third actor obeys a stop.
    may_end: watch::Sender<bool>,
}

impl Fixture {
    async fn start(count: usize, strategy: Strategy, intensity: Intensity) -> Self {
        let ((notifier, journal), (may_end, permit)) = (mpsc::unbounded_channel(), watch::channel(true));
        let (_always, always) = watch::channel(true);
        let (mut names, mut tree) =
            (Vec::new(), Supervisor::new(strategy).intensity(intensity).logger(quiet()));
        for id in 1..=count {
            let (name, journal) = (ChildRef::new(), notifier.clone());
            let may_end = if id == 3 { permit.clone() } else { always.clone() };
            tree = tree.child(name.child_spec(id.to_string(), move |env| {
                Ok(Journaled { id, env: env.clone(), journal: journal.clone(), may_end: may_end.clone() })
            }));
            names.push(name);
        }
        let mut fixture =
            Self { tree: tree.start().await.expect("the start succeeds"), names, journal, may_end };
        for id in 1..=count {
            fixture.expect(&format!("+{id}")).await;
        }
        fixture
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.journal.recv().await.as_deref(), Some(line));
    }

    fn pid(&self, id: usize) -> Pid {
        self.names[id - 1].pid().expect("the actor is running")
    }
}

/// kameo: one_for_all restarts in hash map order and starts a new child while the old one is still stopping.
#[actix::test]
async fn one_for_all_restarts_in_order_without_overlap() {
    let mut fixture = Fixture::start(6, Strategy::OneForAll, Intensity::default()).await;
    fixture.may_end.send(false).expect("the actor watches the channel");
    fixture.names[1].cast(Panic).expect("the mailbox has capacity");
    for line in ["-2", "-6", "-5", "-4"] {
        fixture.expect(line).await;
    }
    stays_alive(&fixture.pid(1)).await;
    assert!(fixture.journal.try_recv().is_err(), "no restart before the third has stopped");
    fixture.may_end.send(true).expect("the actor watches the channel");
    for line in ["-3", "-1", "+1", "+2", "+3", "+4", "+5", "+6"] {
        fixture.expect(line).await;
    }
}

/// Yields 100 times, so that other tasks run, then checks that the actor is still running.
async fn stays_alive(pid: &Pid) {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(pid.is_alive());
}

/// kameo: the restart count is reset only after a quiet period, so rare failures reach the limit in the end.
#[actix::test]
async fn failures_older_than_the_period_do_not_count() {
    tokio::time::pause();
    let period = Duration::from_millis(500);
    let mut fixture = Fixture::start(1, Strategy::OneForOne, Intensity::new(3, period)).await;
    for _ in 0..50 {
        tokio::time::advance(Duration::from_millis(400)).await;
        fixture.names[0].cast(Panic).expect("the mailbox has capacity");
        fixture.expect("-1").await;
        fixture.expect("+1").await;
    }
}

/// joerl: one_for_all restarts children without stopping the old ones, which also outlive their supervisor.
#[actix::test]
async fn old_children_exit_before_restart_and_with_the_tree() {
    let fixture = Fixture::start(3, Strategy::OneForAll, Intensity::default()).await;
    let before: Vec<Pid> = (1..=3).map(|id| fixture.pid(id)).collect();
    before[0].kill();
    let reasons = join_all(before.iter().map(Pid::wait_exit)).await;
    assert_eq!(reasons, [ExitReason::Killed, ExitReason::Shutdown, ExitReason::Shutdown]);
    let after = join_all(fixture.names.iter().map(ChildRef::available)).await;
    fixture.tree.kill();
    assert_eq!(fixture.tree.stopped().await, ExitReason::Killed);
    for target in after {
        assert_eq!(target.pid().wait_exit().await, ExitReason::Killed);
    }
}

/// joerl: a child that exits normally is never restarted, not even a permanent one.
#[actix::test]
async fn permanent_child_is_restarted_after_normal_exit() {
    let mut fixture = Fixture::start(1, Strategy::OneForOne, Intensity::default()).await;
    let first = fixture.pid(1);
    fixture.names[0].cast(End(ExitReason::Normal)).expect("the mailbox has capacity");
    assert_eq!(first.wait_exit().await, ExitReason::Normal);
    fixture.expect("-1").await;
    fixture.expect("+1").await;
}

/// ractor: the default supervisor exits with its child, so one failure ends the whole tree.
#[actix::test]
async fn supervisor_survives_child_exits() {
    let fixture = Fixture::start(2, Strategy::OneForOne, Intensity::default()).await;
    let other = fixture.pid(2);
    let first = fixture.pid(1);
    first.kill();
    first.wait_exit().await;
    fixture.names[0].call(End(ExitReason::Normal)).wait().await.expect("the actor is restarted");
    assert!(other.is_alive());
    assert_eq!(fixture.tree.root().which_children().await.expect("the actor is running").len(), 2);
}

/// ractor: a draining actor accepts messages and then drops them. kameo: a restart drops the mailbox.
#[actix::test]
async fn accepted_call_is_handled_or_fails_with_exit() {
    let (_tree, a, _b) = pair().await;
    let target = a.name.actor().expect("the actor is running");
    let counted = Arc::new(Mutex::new(0));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let counted = Arc::clone(&counted);
            actix_rt::spawn(
                target
                    .call(Run(Box::new(move |_, _| {
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
            // The actor had exited before this call was sent.
            Err(reason) => assert_eq!(reason, CallError::NotAvailable),
        }
    }
    assert_eq!((answered, *counted.lock().expect("no panic")), (10, 10));
}

/// ractor: waiting for an actor's exit loses wake-ups with several waiters, or when one of them is dropped.
#[actix::test]
async fn all_wait_exit_futures_resolve_with_the_reason() {
    let (_tree, a, _b) = pair().await;
    let pid = a.pid();
    let waiting: Vec<_> = (0..100).map(|_| actix_rt::spawn(pid.wait_exit())).collect();
    let elsewhere = pid.wait_exit();
    let thread = std::thread::spawn(move || futures::executor::block_on(elsewhere));
    tokio::task::yield_now().await;
    waiting.iter().step_by(2).for_each(|wait| wait.abort());
    pid.exit(error("enough"));
    for wait in waiting.into_iter().skip(1).step_by(2) {
        assert_eq!(wait.await.expect("the receiver is open"), error("enough"));
    }
    let there = tokio::task::spawn_blocking(|| thread.join().expect("no panic")).await;
    assert_eq!(there.expect("no panic"), error("enough"));
    assert_eq!((pid.wait_exit().await, pid.wait_exit().await), (error("enough"), error("enough")));
}

/// An actor that never becomes ready: `started()` waits for ever.
struct Endless;

impl Actor for Endless {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.wait(std::future::pending::<()>().into_actor(self));
    }
}

/// ractor: a cancelled start never releases its name.
#[actix::test]
async fn timed_out_start_releases_the_name() {
    tokio::time::pause();
    let (_a, a_spec) = child("a");
    let tree = start([a_spec]).await;
    let endless = ChildSpec::actor("endless", |_| Ok(Endless)).registered("room");
    let endless = endless.start_timeout(Duration::from_secs(1)).restart(Restart::Temporary);
    let outcome = tree.root().start_child(endless).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(tree.registry().registered(), [""; 0]);
    let (_b, b_spec) = child("b");
    tree.root().start_child(b_spec.registered("room")).await.expect("the name is free");
}

/// ractor: a reference of the wrong type ends its target with the first message.
#[actix::test]
async fn actor_reference_of_another_type_is_none() {
    let (_tree, a, _b) = pair().await;
    assert!(a.pid().actor::<Endless>().is_none() && a.pid().addr::<Endless>().is_none());
    assert!(a.pid().actor::<Process>().is_some() && a.pid().is_alive());
}

/// ractor: an output port stops delivering after its reader has lagged once.
#[actix::test]
async fn lagging_group_monitor_gets_the_full_state() {
    const MANY: usize = 10_000;
    let (tree, mut a, b) = pair().await;
    let (system, pid) = (tree.registry(), b.pid());
    a.run(|process, ctx| {
        process.env.clone().monitor_group("room", ctx);
    })
    .await;
    assert!(
        matches!(a.observe().await, Observed::Group(event) if event.change == GroupChange::Members(vec![]))
    );
    a.pid().suspend().await.expect("the actor is running");
    for _ in 0..MANY {
        system.join("room", &pid).expect("the actor is running");
    }
    system.leave("room", &pid);
    a.pid().resume();
    let mut known = None;
    let at_last = loop {
        let Observed::Group(event) = a.observe().await else { panic!("expected a group event") };
        match (event.change, &mut known) {
            (GroupChange::Members(members), known) => *known = Some(members.len()),
            (GroupChange::Joined(_), Some(count)) => *count += 1,
            (GroupChange::Left(_), Some(count)) => break *count - 1,
            (change, None) => panic!("{change:?} before the members"),
        }
    };
    assert_eq!(at_last, system.members("room").len());
    assert!(system.leave("room", &pid));
    assert!(matches!(a.observe().await, Observed::Group(event) if event.change == GroupChange::Left(pid)));
}

/// Sends three messages to itself in `started()`.
struct Eager(mpsc::UnboundedSender<bool>, ChildContext);

#[derive(Message)]
#[rtype(result = "()")]
struct Nudge;

impl Actor for Eager {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        let own = self.1.pid().actor::<Self>().expect("the actor is running");
        for _ in 0..3 {
            let _ = self.0.send(own.cast(Nudge).is_ok());
        }
    }
}

impl Handler<Nudge> for Eager {
    type Result = ();

    fn handle(&mut self, _: Nudge, _: &mut Context<Self>) {}
}

/// kameo: an actor that sends messages to itself at its start blocks when its mailbox is full.
#[actix::test]
async fn self_casts_into_a_full_mailbox_return_full() {
    let (notifier, mut sent) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor("eager", move |env| Ok(Eager(notifier.clone(), env.clone())));
    let _tree = start([spec.mailbox_limit(1)]).await;
    for expected in [true, false, false] {
        assert_eq!(sent.recv().await, Some(expected), "one cast is accepted, the others return Full");
    }
}

/// kameo: a child that calls its supervisor while it is being stopped waits for ever.
#[actix::test]
async fn call_to_a_stopping_supervisor_delays_at_most_the_timeout() {
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
    let tree = top.logger(quiet()).child(nested).start().await.expect("the start succeeds");
    let begin = tokio::time::Instant::now();
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    assert!(begin.elapsed() <= Duration::from_secs(61));
}

/// acton before version 9: the panic message is not reported. All the others: the panic location is not.
#[actix::test]
async fn panic_reason_has_message_and_location() {
    let fixture = Fixture::start(1, Strategy::OneForOne, Intensity::default()).await;
    let first = fixture.pid(1);
    fixture.names[0].cast(Panic).expect("the mailbox has capacity");
    let ExitReason::Panic { message, location } = first.wait_exit().await else { panic!("expected a panic") };
    assert_eq!(message, "boo");
    assert!(location.is_some_and(|location| location.contains("known_failures.rs:")));
}

/// actix: each clone of an address adds capacity for one message, and `do_send` ignores the limit.
#[actix::test]
async fn mailbox_limit_holds_for_all_clones() {
    let (a, spec) = child("a");
    let _tree = start([spec.mailbox_limit(4)]).await;
    let clones: Vec<_> = (0..20).map(|_| a.name.actor().expect("the actor is running")).collect();
    let accepted = clones.iter().map(|clone| clone.clone().cast(Run(Box::new(|_, _| {}))));
    let accepted: Vec<bool> = accepted.map(|outcome| !matches!(outcome, Err(CastError::Full(_)))).collect();
    assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 4);
}

/// actix: after a panic in a future that an actor waits for, the actor has exited and is not restarted.
#[actix::test]
async fn panic_in_a_wait_future_restarts_the_actor() {
    let (observed, _) = mpsc::unbounded_channel();
    let name = ChildRef::new();
    let spec = name.child_spec("a", move |env| {
        Ok(Process { env: env.clone(), observed: observed.clone(), on_down: None })
    });
    let _tree = start([spec]).await;
    for _ in 0..2 {
        let first = name.pid().expect("the actor is running");
        let panics = Run(Box::new(|process, ctx| {
            ctx.wait(async { panic!("boo") }.into_actor(process));
        }));
        name.cast(panics).expect("the mailbox has capacity");
        assert!(matches!(first.wait_exit().await, ExitReason::Panic { .. }));
        assert_eq!(name.call(Run(Box::new(|_, _| {}))).wait().await, Ok(()));
    }
}

/// actix: an actor exits when its last address is dropped.
#[actix::test]
async fn actor_without_addresses_keeps_running() {
    let (notifier, mut pids) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor("eager", move |env| {
        notifier.send(env.pid()).expect("the test receives");
        Ok(Eager(mpsc::unbounded_channel().0, env.clone()))
    });
    let _tree = start([spec]).await;
    stays_alive(&pids.recv().await.expect("the start succeeds")).await;
}

/// speare: panics are not caught. xtra: panics are not reported.
#[actix::test]
async fn monitor_gets_down_with_the_panic() {
    let (_tree, mut a, b) = pair().await;
    let pid = b.pid();
    let monitored = pid.clone();
    a.run(move |process, ctx| {
        process.env.clone().monitor(&monitored, ctx);
    })
    .await;
    b.name.cast(Run(Box::new(|_, _| panic!("boo")))).expect("the mailbox has capacity");
    let Observed::Down(who, ExitReason::Panic { message, .. }) = a.observe().await else {
        panic!("expected a Down with a panic")
    };
    assert_eq!((who, message.as_str()), (pid, "boo"));
}
