//! Corners in which a life was once told, ended or heard of in the wrong way.

mod common;

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use common::{Heard, child, pair, quiet};
use impresario_actor::{
    AdminError, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, GenServer, ReplyTo,
    ServerContext, ServerRef, Shutdown, Strategy, Supervisor,
};
use tokio::sync::mpsc;

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
    assert_eq!(first.ended().await, ExitReason::Killed);
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
    assert!(matches!(name.start_child(Bomb).await, Err(AdminError::Refused(_))));
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
            boss.cast(common::Run(Box::new(|process, _| {
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
    let subtrees = DynamicSupervisor::of_specs(move |_, id: &'static str| {
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
    let spec: ChildSpec = ignored.child_spec(
        "ignored",
        DynamicSupervisor::of_specs(|_, ()| Err(impresario_actor::StartError::Ignore)),
    );
    tree.root().start_child(spec).await.expect("it starts");
    assert_eq!(ignored.start_child(()).await, Ok(None));
}

#[actix::test]
async fn a_start_is_over_before_what_waits_is_done() {
    tokio::time::pause();
    /// Never gets to the end of its first turn by itself.
    struct Busy;
    impl Actor for Busy {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            ctx.notify(Again);
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Again;
    impl Handler<Again> for Busy {
        type Result = ();
        fn handle(&mut self, _: Again, ctx: &mut Context<Self>) {
            ctx.notify(Again);
        }
    }
    let spec = ChildSpec::actor("busy", |_| Ok(Busy)).start_timeout(Duration::from_secs(1));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("it is ready when started() is done");
    tree.kill();
    tree.stopped().await;
}
