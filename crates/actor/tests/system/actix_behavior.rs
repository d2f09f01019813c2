//! Claims of the book's chapter on actix that no other test checks.

use std::future::IntoFuture;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use impresario_actor::{
    CallError, ChildRef, ChildSpec, ExitReason, NodeState, Restart, Strategy, Supervisor, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::oneshot;

struct Plain;

impl Actor for Plain {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Ask;

impl Handler<Ask> for Plain {
    type Result = u32;

    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
        7
    }
}

/// Replied by a future outside of the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct Escape;

impl Handler<Escape> for Plain {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Escape, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async { panic!("outside of the actor") })
    }
}

/// Replied by a future of the actor.
#[derive(Message)]
#[rtype(result = "u32")]
struct Late(oneshot::Receiver<u32>);

impl Handler<Late> for Plain {
    type Result = actix::ResponseActFuture<Self, u32>;

    fn handle(&mut self, Late(answer): Late, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move { answer.await.unwrap_or_default() }.into_actor(self))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Plain {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// Sends this many messages to itself, each through a new address. The reply is the number of accepted ones.
#[derive(Message)]
#[rtype(result = "usize")]
struct Flood(usize);

impl Handler<Flood> for Plain {
    type Result = usize;

    fn handle(&mut self, Flood(messages): Flood, ctx: &mut Context<Self>) -> usize {
        (0..messages).filter(|_| ctx.address().try_send(Stop).is_ok()).count()
    }
}

async fn start() -> (Tree, ChildRef<Plain>) {
    let name = ChildRef::new();
    let plain = name.child_spec("plain", |_| Ok(Plain)).restart(Restart::Temporary);
    let silent = ChildSpec::actor("silent", |_| Ok(Plain));
    let tree = Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!()));
    (tree.child(plain).child(silent).start().await.expect("the start succeeds"), name)
}

#[actix::test]
async fn panic_in_a_response_future_gives_no_reply() {
    let (_tree, name) = start().await;
    let target = name.actor().expect("the actor is running");
    assert_eq!(
        target.call(Escape).await,
        Err(CallError::NoReply),
        "the call fails without waiting for its timeout of 5 s"
    );
    assert_eq!(target.call(Ask).await, Ok(7));
}

#[actix::test]
async fn stop_fails_pending_and_queued_calls() {
    let (_tree, name) = start().await;
    let target = name.actor().expect("the actor is running");
    let (_late, answer) = oneshot::channel();
    let mut begun = Box::pin(target.call(Late(answer)).into_future());
    assert!(futures::poll!(&mut begun).is_pending());
    target.cast(Stop).expect("the mailbox has capacity");
    let mut queued = Box::pin(target.call(Ask).into_future());
    assert!(futures::poll!(&mut queued).is_pending());
    assert_eq!(begun.await, Err(CallError::Exit(ExitReason::Normal)));
    assert_eq!(queued.await, Err(CallError::Exit(ExitReason::Normal)));
}

#[actix::test]
async fn actor_without_references_keeps_running() {
    let (tree, _) = start().await;
    tokio::task::yield_now().await;
    let seen = tree.tree().await;
    assert_eq!(seen.find("silent").map(|child| child.state), Some(NodeState::Running));
}

#[actix::test]
async fn addr_of_an_exited_actor_is_disconnected() {
    let (_tree, name) = start().await;
    let target = name.actor().expect("the actor is running");
    let before = target.addr();
    assert!(before.connected() && before == target.addr());
    target.pid().kill();
    target.pid().wait_exit().await;
    assert!(!before.connected() && !target.addr().connected());
    assert!(target.pid().addr::<Plain>().is_none());
    assert!(target.addr().send(Ask).await.is_err());
}

#[actix::test]
async fn actix_addr_capacity_is_exceeded_by_clones() {
    let (_tree, name) = start().await;
    let target = name.actor().expect("the actor is running");
    // actix's capacity is 16, and each clone of the address adds one.
    assert_eq!(target.call(Flood(100)).await, Ok(100));
}
