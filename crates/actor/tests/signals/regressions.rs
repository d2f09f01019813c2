//! Regression tests: cases in which start, exit, delivery or reporting was once wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{Observed, child, pair, quiet, start};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use actix_rt::Arbiter;
use impresario_actor::{
    CallError, ChildContext, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, GenServer,
    ReplyTo, Restart, ServerContext, ServerRef, Shutdown, StartError, Strategy, Supervisor, SupervisorError,
    SupervisorRef, TraceEvent, TraceKind,
};
use slog::{Drain, Logger, o};
use tokio::sync::{mpsc, oneshot};

/// Its drop panics, unless the thread is already panicking (a second panic would abort).
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "drop of a bomb");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Post(Bomb);

struct Victim;

impl Actor for Victim {
    type Context = Context<Self>;
}

impl Handler<Post> for Victim {
    type Result = ();

    fn handle(&mut self, post: Post, _: &mut Context<Self>) {
        std::mem::forget(post.0);
    }
}

#[actix::test]
async fn message_whose_drop_panics_does_not_abort() {
    let name = ChildRef::new();
    let spec = name.child_spec("victim", |_| Ok(Victim));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("the start succeeds");
    let (first, addr) =
        (name.pid().expect("the actor is running"), name.addr().expect("the actor is running"));
    first.kill();
    for _ in 0..3 {
        addr.do_send(Post(Bomb));
    }
    assert_eq!(first.wait_exit().await, ExitReason::Killed);
    name.available().await;
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

/// Its drop sends the next one, until the address is closed or `LAST` are dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Resend(Addr<Victim>, Arc<AtomicUsize>);

const LAST: usize = 200_000;

impl Drop for Resend {
    fn drop(&mut self) {
        if self.1.fetch_add(1, Ordering::Relaxed) < LAST && self.0.connected() {
            self.0.do_send(Self(self.0.clone(), Arc::clone(&self.1)));
        }
    }
}

impl Handler<Resend> for Victim {
    type Result = ();

    fn handle(&mut self, _: Resend, _: &mut Context<Self>) {}
}

#[actix::test]
async fn exit_drops_a_bounded_number_of_messages() {
    let name = ChildRef::new();
    let tree = start([name.child_spec("victim", |_| Ok(Victim)).restart(Restart::Temporary)]).await;
    let actor = name.actor().expect("the actor is running");
    let dropped = Arc::<AtomicUsize>::default();
    actor.pid().kill();
    actor.addr().do_send(Resend(actor.addr(), Arc::clone(&dropped)));
    assert_eq!(actor.pid().wait_exit().await, ExitReason::Killed);
    let dropped = dropped.load(Ordering::Relaxed);
    assert!(dropped < LAST, "{dropped} messages were dropped before the exit");
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix::test]
async fn refused_arguments_whose_drop_panics_stop_no_instance() {
    let name = DynamicRef::new();
    let supervisor = DynamicSupervisor::new(|_, bomb: Bomb| {
        std::mem::forget(bomb);
        Ok(Victim)
    });
    let tree = Supervisor::new(Strategy::OneForOne)
        .logger(quiet())
        .child(name.child_spec("victims", supervisor.max_children(1)))
        .start();
    let _tree = tree.await.expect("the start succeeds");
    let first = name
        .start_child(Bomb)
        .await
        .expect("the limit is not reached")
        .expect("the factory returns an actor");
    assert!(matches!(name.start_child(Bomb).await, Err(SupervisorError::Refused(_))));
    assert!(first.is_alive());
}

#[actix::test]
async fn suspend_of_a_stopping_supervisor_fails() {
    let (tree, _, _) = pair().await;
    let root = tree.root().pid().expect("the actor is running");
    tree.stop();
    assert!(root.suspend().await.is_err(), "the supervisor exits instead");
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix::test]
async fn trapped_exit_arrives_after_earlier_messages() {
    let (_tree, mut a, b) = pair().await;
    let (other, results) = (b.pid(), 300);
    let to = other.clone();
    a.run(move |process, ctx| {
        process.env.clone().trap_exits(ctx);
        process.env.link(&to);
    })
    .await;
    let boss = a.name.actor().expect("the actor is running");
    b.run(move |process, ctx| {
        for _ in 0..results {
            boss.cast(crate::common::Run(Box::new(|process, _| {
                let own = process.env.pid();
                let _ = process.observed.send(Observed::Down(own, ExitReason::Normal));
            })))
            .expect("the mailbox has capacity");
        }
        process.env.clone().exit(ExitReason::Shutdown, ctx);
    })
    .await;
    for _ in 0..results {
        assert!(matches!(a.observe().await, Observed::Down(..)));
    }
    assert_eq!(a.observe().await, Observed::Exit(Some(other), ExitReason::Shutdown));
}

#[derive(Default)]
struct Continues(u32);

impl GenServer for Continues {
    type Call = ReplyTo<u32>;
    type Cast = ();

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        for _ in 0..200 {
            ctx.continue_with(|server, _| {
                server.0 += 1;
                Ok(())
            });
        }
        Ok(())
    }

    fn handle_call(&mut self, who: ReplyTo<u32>, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        who.send(self.0);
        Ok(())
    }
}

#[actix::test]
async fn init_continuations_run_before_the_first_message() {
    let name = ServerRef::new();
    let spec = name.child_spec("server", |_| Ok(Continues::default()));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let _tree = tree.await.expect("the start succeeds");
    assert_eq!(name.call(|who| who).await, Ok(200));
}

#[actix::test]
async fn dynamic_supervisor_from_specs_starts_subtrees() {
    let name = DynamicRef::new();
    let (notifier, mut started) = mpsc::unbounded_channel();
    let subtrees = DynamicSupervisor::from_specs(move |_, id: &'static str| {
        let (child, spec) = child(id);
        let _ = notifier.send(child);
        Ok(Supervisor::new(Strategy::OneForOne).child(spec).child_spec(id))
    });
    let tree = Supervisor::new(Strategy::OneForOne)
        .logger(quiet())
        .child(name.child_spec("subtrees", subtrees.shutdown(Shutdown::Infinity)))
        .start();
    let tree = tree.await.expect("the start succeeds");
    let subtree =
        name.start_child("worker").await.expect("the start succeeds").expect("the factory returns an actor");
    let worker = started.recv().await.expect("the factory has run");
    worker.run(|_, _| {}).await;
    let target = worker.pid();
    name.terminate_child(&subtree).await.expect("the child exists");
    assert!(!target.is_alive(), "the worker exits with its supervisor");

    let ignored: DynamicRef<()> = DynamicRef::new();
    let spec: ChildSpec =
        ignored.child_spec("ignored", DynamicSupervisor::from_specs(|_, ()| Err(StartError::Ignore)));
    tree.root().start_child(spec).await.expect("the start succeeds");
    assert_eq!(ignored.start_child(()).await, Ok(None));
}

/// Sends a new message to itself in each handler, so its first poll never ends by itself.
struct Eager(ChildContext);

impl Actor for Eager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Again);
        let own = self.0.pid().actor::<Self>().expect("the actor is running");
        assert!(own.cast(Again).is_ok(), "the mailbox has capacity");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Again;

impl Handler<Again> for Eager {
    type Result = ();

    fn handle(&mut self, _: Again, ctx: &mut Context<Self>) {
        self.0.pid().trace_off();
        ctx.notify(Again);
    }
}

#[actix::test]
async fn child_is_started_before_queued_messages_are_handled() {
    tokio::time::pause();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(8);
    let spec = ChildSpec::actor("eager", move |env| {
        env.pid().trace(events.clone());
        Ok(Eager(env.clone()))
    });
    let spec = spec.start_timeout(Duration::from_secs(1));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("the child is ready after started()");
    assert_eq!(
        traced.recv().await.map(|event| event.kind),
        Some(TraceKind::Started),
        "no event before the start"
    );
    tree.kill();
    tree.stopped().await;
}

#[actix::test]
async fn full_supervisor_queue_returns_busy() {
    tokio::time::pause();
    let (root, workers) = (SupervisorRef::new(), DynamicRef::<u32>::new());
    let specs = [
        root.child_spec("static", |_| Ok(Supervisor::new(Strategy::OneForOne))),
        workers.child_spec("dynamic", DynamicSupervisor::new(|_, _| Ok(Victim))),
    ];
    let _tree = start(specs.map(|spec| spec.mailbox_limit(2))).await;
    for pid in [root.pid(), workers.pid()] {
        pid.expect("the actor is running").suspend().await.expect("the actor handles system messages");
    }
    let mut asked: Vec<_> = (0..2).map(|_| Box::pin(root.count_children())).collect();
    for waits in &mut asked {
        assert!(futures::poll!(waits).is_pending());
    }
    assert_eq!(root.count_children().await, Err(SupervisorError::Busy));
    assert_eq!((workers.start(1), workers.start(2), workers.start(3)), (Ok(()), Ok(()), Err(3)));
    assert_eq!(workers.start_child(4).await, Err(SupervisorError::Busy));
    // `child_pid` bypasses the mailbox, so a suspended supervisor replies to it.
    assert!(matches!(root.child_pid("x").await, Err(SupervisorError::Refused(_))));
    for pid in [root.pid(), workers.pid()] {
        pid.expect("the actor is running").resume();
    }
    for answer in asked {
        assert!(answer.await.is_ok(), "an accepted call gets its reply");
    }
    assert_eq!(workers.count_children().await.map(|counts| counts.active), Ok(2));

    let making = SupervisorRef::new();
    let never = making.child_spec_async("making", async |_| std::future::pending().await);
    assert!(futures::poll!(Box::pin(root.start_child(never))).is_pending());
    assert_eq!(
        making.child_pid("x").await,
        Err(SupervisorError::NotRunning),
        "the supervisor exists only after its factory returns"
    );
}

#[actix::test]
async fn dropped_start_future_kills_the_tree() {
    let (notifier, mut pids) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor_async("slow", move |env: ChildContext| {
        let _ = notifier.send(env.pid());
        std::future::pending::<Result<Victim, StartError>>()
    });
    let mut start = Box::pin(Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start());
    assert!(futures::poll!(&mut start).is_pending());
    let slow = pids.recv().await.expect("the factory has started");
    drop(start);
    assert_eq!(slow.wait_exit().await, ExitReason::Killed);
}

#[actix::test]
async fn tree_on_a_stopped_arbiter_exits_as_killed() {
    let (arbiter, (notifier, started)) = (Arbiter::new(), oneshot::channel());
    arbiter.spawn(async move {
        let (_, spec) = child("a");
        assert!(notifier.send(start([spec]).await).is_ok());
    });
    let tree = started.await.expect("the start succeeds");
    arbiter.stop();
    assert_eq!(tree.stopped().await, ExitReason::Killed);
}

/// A drain that panics in `log`.
struct Broken;

impl Drain for Broken {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        panic!("the disk is full")
    }
}

#[actix::test]
async fn panicking_log_drain_does_not_end_the_supervisor() {
    let name = ChildRef::new();
    let spec = name.child_spec("victim", |_| Ok(Victim));
    let broken = Logger::root(Broken.fuse(), o!());
    let tree = Supervisor::new(Strategy::OneForOne).logger(broken).child(spec).start();
    let tree = tree.await.expect("the start succeeds");
    let first = name.pid().expect("the actor is running");
    first.kill();
    first.wait_exit().await;
    assert_ne!(name.available().await.pid(), &first);
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

/// Panics on [`Panic`] and reports each call of a hook.
struct Asked(mpsc::UnboundedSender<&'static str>);

impl Actor for Asked {
    type Context = Context<Self>;

    fn stopping(&mut self, _: &mut Context<Self>) -> actix::Running {
        self.0.send("stopping").ok();
        actix::Running::Stop
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.0.send("stopped").ok();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic {
    stop_first: bool,
}

impl Handler<Panic> for Asked {
    type Result = ();

    fn handle(&mut self, panic: Panic, ctx: &mut Context<Self>) {
        // A future in `wait` must not delay the exit after a panic.
        ctx.wait(actix::fut::wrap_future(std::future::pending::<()>()));
        if panic.stop_first {
            ctx.stop();
        }
        panic!("requested panic");
    }
}

#[actix::test]
async fn no_hook_runs_after_a_handler_panic() {
    for (stop_first, plain) in [(false, false), (false, true), (true, false), (true, true)] {
        let (notifier, mut started) = mpsc::unbounded_channel();
        let name = ChildRef::new();
        let spec = name.child_spec("asked", move |_| Ok(Asked(notifier.clone())));
        let _tree = start([spec.restart(Restart::Temporary)]).await;
        let target = name.pid().expect("the actor is running");
        if plain {
            name.addr().expect("the actor is running").do_send(Panic { stop_first });
        } else {
            name.cast(Panic { stop_first }).expect("the mailbox has capacity");
        }
        let reason = target.wait_exit().await;
        assert!(
            matches!(&reason, ExitReason::Panic { message, .. } if message == "requested panic"),
            "{reason}"
        );
        assert!(started.try_recv().is_err(), "{stop_first} {plain}");
    }
}

/// Runs the closure when it is dropped.
struct Last(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|last| last());
    }
}

#[actix::test]
async fn handler_panic_reason_is_not_replaced() {
    let arbiter = Arbiter::new();
    for (elsewhere, panics) in [(false, false), (false, true), (true, false), (true, true)] {
        let (victim, mut spec) = child("victim");
        if elsewhere {
            spec = spec.on(arbiter.handle());
        }
        let _tree = start([spec]).await;
        let target = victim.pid();
        let call = victim.name.call(crate::common::Run(Box::new(move |process, ctx| {
            let env = process.env.clone();
            let last = Last(Some(Box::new(move || match panics {
                true => panic!("second"),
                false => env.set_exit_reason(ExitReason::Normal),
            })));
            let work = ctx.spawn(actix::fut::wrap_future(async move {
                let _last = last;
                std::future::pending::<()>().await;
            }));
            // The cancelled future is dropped after the handler returns and before the actor is dropped.
            ctx.cancel_future(work);
            panic!("first");
        })));
        let answer = call.await;
        let reason = target.wait_exit().await;
        assert!(matches!(&reason, ExitReason::Panic { message, .. } if message == "first"), "{reason}");
        assert_eq!(answer, Err(CallError::Exit(reason)));
    }
}

/// A message that reports its own handling.
fn says() -> crate::common::Run {
    crate::common::Run(Box::new(|process, _| {
        let own = process.env.pid();
        let _ = process.observed.send(Observed::Down(own, ExitReason::Normal));
    }))
}

#[actix::test]
async fn queued_messages_are_not_handled_after_a_panic() {
    let arbiter = Arbiter::new();
    for case in 0..8 {
        let [elsewhere, plain, in_wait] = [1, 2, 4].map(|bit| case & bit != 0);
        let (mut victim, mut spec) = child("victim");
        if elsewhere {
            spec = spec.on(arbiter.handle());
        }
        let _tree = start([spec]).await;
        let (target, own) = (victim.pid(), victim.name.actor().expect("the actor is running"));
        let addr = own.addr();
        let send = move |message| match plain {
            true => addr.do_send(message),
            false => assert!(own.cast(message).is_ok(), "the mailbox has capacity"),
        };
        // All of these messages are queued when the panic happens.
        let all = crate::common::Run(Box::new(move |_, _| {
            send(crate::common::Run(Box::new(move |_, ctx| {
                ctx.notify(says());
                if in_wait {
                    return ctx.wait(actix::fut::wrap_future(async { panic!("requested panic") }));
                }
                ctx.wait(actix::fut::wrap_future(async {}));
                panic!("requested panic")
            })));
            send(says());
            send(says());
        }));
        assert!(victim.name.cast(all).is_ok(), "the mailbox has capacity");
        let reason = target.wait_exit().await;
        assert!(matches!(reason, ExitReason::Panic { .. }), "{reason}");
        assert!(victim.observed.try_recv().is_err(), "case {case}");
    }
}
