//! Corners in which a life was once told, ended or heard of in the wrong way.

use std::time::Duration;

use crate::common::{Heard, child, pair, quiet, start};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use actix_rt::Arbiter;
use impresario_actor::{
    CallError, ChildContext, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, GenServer,
    ReplyTo, Restart, ServerContext, ServerRef, Shutdown, StartError, Strategy, Supervisor, SupervisorError,
    SupervisorRef, TraceEvent, TraceKind,
};
use slog::{Drain, Logger, o};
use tokio::sync::{mpsc, oneshot};

/// Panics when it is dropped, unless that is because of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bomb goes off");
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
async fn messages_that_panic_when_they_are_dropped_abort_nothing() {
    let name = ChildRef::new();
    let spec = name.child_spec("victim", |_| Ok(Victim));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("it starts");
    let (first, addr) = (name.pid().expect("it lives"), name.addr().expect("it lives"));
    first.kill();
    for _ in 0..3 {
        addr.do_send(Post(Bomb));
    }
    assert_eq!(first.wait_exit().await, ExitReason::Killed);
    name.available().await;
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix::test]
async fn refused_arguments_that_panic_when_they_are_dropped_cost_no_other_instance() {
    let name = DynamicRef::new();
    let supervisor = DynamicSupervisor::new(|_, bomb: Bomb| {
        std::mem::forget(bomb);
        Ok(Victim)
    });
    let tree = Supervisor::new(Strategy::OneForOne)
        .logger(quiet())
        .child(name.child_spec("victims", supervisor.max_children(1)))
        .start();
    let _tree = tree.await.expect("it starts");
    let first = name.start_child(Bomb).await.expect("there is room").expect("it is needed");
    assert!(matches!(name.start_child(Bomb).await, Err(SupervisorError::Refused(_))));
    assert!(first.is_alive());
}

#[actix::test]
async fn who_stops_is_not_suspended() {
    let (tree, _, _) = pair().await;
    let root = tree.root().pid().expect("it runs");
    tree.stop();
    assert!(root.suspend().await.is_err(), "it ends instead");
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix::test]
async fn a_trapped_exit_comes_after_what_was_said_before() {
    let (_tree, mut a, b) = pair().await;
    let (other, results) = (b.pid(), 300);
    let to = other.clone();
    a.run(move |process, ctx| {
        process.env.clone().trap_exits(ctx);
        process.env.link(&to);
    })
    .await;
    let boss = a.name.actor().expect("it lives");
    b.run(move |process, ctx| {
        for _ in 0..results {
            boss.cast(crate::common::Run(Box::new(|process, _| {
                let own = process.env.pid();
                let _ = process.heard.send(Heard::Down(own, ExitReason::Normal));
            })))
            .expect("there is room");
        }
        process.env.clone().exit(ExitReason::Shutdown, ctx);
    })
    .await;
    for _ in 0..results {
        assert!(matches!(a.hears().await, Heard::Down(..)));
    }
    assert_eq!(a.hears().await, Heard::Exit(Some(other), ExitReason::Shutdown));
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
async fn all_continuations_of_init_run_before_the_first_message() {
    let name = ServerRef::new();
    let spec = name.child_spec("server", |_| Ok(Continues::default()));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let _tree = tree.await.expect("it starts");
    assert_eq!(name.call(|who| who).await, Ok(200));
}

#[actix::test]
async fn a_supervisor_of_whatever_a_spec_starts() {
    let name = DynamicRef::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let subtrees = DynamicSupervisor::from_specs(move |_, id: &'static str| {
        let (child, spec) = child(id);
        let _ = tell.send(child);
        Ok(Supervisor::new(Strategy::OneForOne).child(spec).child_spec(id))
    });
    let tree = Supervisor::new(Strategy::OneForOne)
        .logger(quiet())
        .child(name.child_spec("subtrees", subtrees.shutdown(Shutdown::Infinity)))
        .start();
    let tree = tree.await.expect("it starts");
    let subtree = name.start_child("worker").await.expect("it starts").expect("it is needed");
    let worker = told.recv().await.expect("it was made");
    worker.run(|_, _| {}).await;
    let life = worker.pid();
    name.terminate_child(&subtree).await.expect("it is there");
    assert!(!life.is_alive(), "what is in it goes with it");

    let ignored: DynamicRef<()> = DynamicRef::new();
    let spec: ChildSpec =
        ignored.child_spec("ignored", DynamicSupervisor::from_specs(|_, ()| Err(StartError::Ignore)));
    tree.root().start_child(spec).await.expect("it starts");
    assert_eq!(ignored.start_child(()).await, Ok(None));
}

/// Never gets to the end of its first turn by itself.
struct Eager(ChildContext);

impl Actor for Eager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Again);
        let own = self.0.pid().actor::<Self>().expect("it lives");
        assert!(own.cast(Again).is_ok(), "there is room");
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
async fn a_start_is_over_before_what_waits_is_done() {
    tokio::time::pause();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(8);
    let spec = ChildSpec::actor("eager", move |env| {
        env.pid().trace(events.clone());
        Ok(Eager(env.clone()))
    });
    let spec = spec.start_timeout(Duration::from_secs(1));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("it is ready when started() is done");
    assert_eq!(traced.recv().await.map(|event| event.kind), Some(TraceKind::Started), "and nothing before");
    tree.kill();
    tree.stopped().await;
}

#[actix::test]
async fn a_full_or_busy_supervisor_says_so() {
    tokio::time::pause();
    let (root, workers) = (SupervisorRef::new(), DynamicRef::<u32>::new());
    let specs = [
        root.child_spec("static", |_| Ok(Supervisor::new(Strategy::OneForOne))),
        workers.child_spec("dynamic", DynamicSupervisor::new(|_, _| Ok(Victim))),
    ];
    let _tree = start(specs.map(|spec| spec.mailbox_limit(2))).await;
    for pid in [root.pid(), workers.pid()] {
        pid.expect("it runs").suspend().await.expect("it has time");
    }
    let mut asked: Vec<_> = (0..2).map(|_| Box::pin(root.count_children())).collect();
    for waits in &mut asked {
        assert!(futures::poll!(waits).is_pending());
    }
    assert_eq!(root.count_children().await, Err(SupervisorError::Busy));
    assert_eq!((workers.start(1), workers.start(2), workers.start(3)), (Ok(()), Ok(()), Err(3)));
    assert_eq!(workers.start_child(4).await, Err(SupervisorError::Busy));
    // What goes past the queue finds it at home, unless it has no time at all.
    assert!(matches!(root.child_pid("x").await, Err(SupervisorError::Refused(_))));
    for pid in [root.pid(), workers.pid()] {
        pid.expect("it runs").resume();
    }
    for answer in asked {
        assert!(answer.await.is_ok(), "who was accepted is answered");
    }
    assert_eq!(workers.count_children().await.map(|counts| counts.active), Ok(2));

    let making = SupervisorRef::new();
    let never = making.child_spec_async("making", async |_| std::future::pending().await);
    assert!(futures::poll!(Box::pin(root.start_child(never))).is_pending());
    assert_eq!(
        making.child_pid("x").await,
        Err(SupervisorError::NotRunning),
        "nobody lives before the factory is done"
    );
}

#[actix::test]
async fn a_start_that_nobody_waits_for_any_more_leaves_no_tree() {
    let (tell, mut pids) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor_async("slow", move |env: ChildContext| {
        let _ = tell.send(env.pid());
        std::future::pending::<Result<Victim, StartError>>()
    });
    let mut start = Box::pin(Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start());
    assert!(futures::poll!(&mut start).is_pending());
    let slow = pids.recv().await.expect("it is begun");
    drop(start);
    assert_eq!(slow.wait_exit().await, ExitReason::Killed);
}

#[actix::test]
async fn a_tree_whose_arbiter_goes_has_ended_as_killed() {
    let (arbiter, (tell, told)) = (Arbiter::new(), oneshot::channel());
    arbiter.spawn(async move {
        let (_, spec) = child("a");
        assert!(tell.send(start([spec]).await).is_ok());
    });
    let tree = told.await.expect("it starts");
    arbiter.stop();
    assert_eq!(tree.stopped().await, ExitReason::Killed);
}

/// Cannot write anything.
struct Broken;

impl Drain for Broken {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        panic!("the disk is full")
    }
}

#[actix::test]
async fn a_log_that_cannot_be_written_ends_no_supervisor() {
    let name = ChildRef::new();
    let spec = name.child_spec("victim", |_| Ok(Victim));
    let broken = Logger::root(Broken.fuse(), o!());
    let tree = Supervisor::new(Strategy::OneForOne).logger(broken).child(spec).start();
    let tree = tree.await.expect("it starts");
    let first = name.pid().expect("it lives");
    first.kill();
    first.wait_exit().await;
    assert_ne!(name.available().await.pid(), &first);
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

/// Panics when told to, and says what it is asked.
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
        // What waits is in the way of nobody who has panicked.
        ctx.wait(actix::fut::wrap_future(std::future::pending::<()>()));
        if panic.stop_first {
            ctx.stop();
        }
        panic!("as told");
    }
}

#[actix::test]
async fn who_has_panicked_in_a_handler_is_asked_nothing_more() {
    for (stop_first, plain) in [(false, false), (false, true), (true, false), (true, true)] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let name = ChildRef::new();
        let spec = name.child_spec("asked", move |_| Ok(Asked(tell.clone())));
        let _tree = start([spec.restart(Restart::Temporary)]).await;
        let life = name.pid().expect("it lives");
        if plain {
            name.addr().expect("it lives").do_send(Panic { stop_first });
        } else {
            name.cast(Panic { stop_first }).expect("there is room");
        }
        let reason = life.wait_exit().await;
        assert!(matches!(&reason, ExitReason::Panic { message, .. } if message == "as told"), "{reason}");
        assert!(told.try_recv().is_err(), "{stop_first} {plain}");
    }
}

/// Does something when it is dropped.
struct Last(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|last| last());
    }
}

#[actix::test]
async fn nothing_takes_the_place_of_a_panic_in_a_handler() {
    let arbiter = Arbiter::new();
    for (elsewhere, panics) in [(false, false), (false, true), (true, false), (true, true)] {
        let (victim, mut spec) = child("victim");
        if elsewhere {
            spec = spec.on(arbiter.handle());
        }
        let _tree = start([spec]).await;
        let life = victim.pid();
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
            // It is dropped after the handler, and before the actor.
            ctx.cancel_future(work);
            panic!("first");
        })));
        let answer = call.await;
        let reason = life.wait_exit().await;
        assert!(matches!(&reason, ExitReason::Panic { message, .. } if message == "first"), "{reason}");
        assert_eq!(answer, Err(CallError::Exit(reason)));
    }
}

/// Says that it is there.
fn says() -> crate::common::Run {
    crate::common::Run(Box::new(|process, _| {
        let own = process.env.pid();
        let _ = process.heard.send(Heard::Down(own, ExitReason::Normal));
    }))
}

#[actix::test]
async fn nothing_that_waits_is_handled_after_a_panic() {
    let arbiter = Arbiter::new();
    for case in 0..8 {
        let [elsewhere, plain, in_wait] = [1, 2, 4].map(|bit| case & bit != 0);
        let (mut victim, mut spec) = child("victim");
        if elsewhere {
            spec = spec.on(arbiter.handle());
        }
        let _tree = start([spec]).await;
        let (life, own) = (victim.pid(), victim.name.actor().expect("it lives"));
        let addr = own.addr();
        let send = move |message| match plain {
            true => addr.do_send(message),
            false => assert!(own.cast(message).is_ok(), "there is room"),
        };
        // All of it waits when the panic comes.
        let all = crate::common::Run(Box::new(move |_, _| {
            send(crate::common::Run(Box::new(move |_, ctx| {
                ctx.notify(says());
                if in_wait {
                    return ctx.wait(actix::fut::wrap_future(async { panic!("as told") }));
                }
                ctx.wait(actix::fut::wrap_future(async {}));
                panic!("as told")
            })));
            send(says());
            send(says());
        }));
        assert!(victim.name.cast(all).is_ok(), "there is room");
        let reason = life.wait_exit().await;
        assert!(matches!(reason, ExitReason::Panic { .. }), "{reason}");
        assert!(victim.heard.try_recv().is_err(), "case {case}");
    }
}
