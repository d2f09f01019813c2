//! Where actix bites, and what is done about it: the claims of the book's chapter on actix that no other test makes.

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

/// Answered by a future that is no part of the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct Escape;

impl Handler<Escape> for Plain {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Escape, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async { panic!("outside of the actor") })
    }
}

/// Answered by a future of the actor.
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

/// Sends itself this many messages, each through an address of its own, and counts those that are taken.
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
    (tree.child(plain).child(silent).start().await.expect("it starts"), name)
}

#[actix::test]
async fn a_response_future_that_panics_is_no_reply_and_the_actor_lives() {
    let (_tree, name) = start().await;
    let life = name.actor().expect("it lives");
    assert_eq!(life.call(Escape).await, Err(CallError::NoReply), "not five seconds of waiting");
    assert_eq!(life.call(Ask).await, Ok(7));
}

#[actix::test]
async fn a_stop_drains_nothing_and_who_waits_is_told() {
    let (_tree, name) = start().await;
    let life = name.actor().expect("it lives");
    let (_late, answer) = oneshot::channel();
    let mut begun = Box::pin(life.call(Late(answer)).into_future());
    assert!(futures::poll!(&mut begun).is_pending());
    life.cast(Stop).expect("there is room");
    let mut queued = Box::pin(life.call(Ask).into_future());
    assert!(futures::poll!(&mut queued).is_pending());
    assert_eq!(begun.await, Err(CallError::Exit(ExitReason::Normal)));
    assert_eq!(queued.await, Err(CallError::Exit(ExitReason::Normal)));
}

#[actix::test]
async fn an_actor_that_nobody_can_reach_lives_on() {
    let (tree, _) = start().await;
    tokio::task::yield_now().await;
    let seen = tree.tree().await;
    assert_eq!(seen.find("silent").map(|child| child.state), Some(NodeState::Running));
}

#[actix::test]
async fn the_address_of_a_life_that_is_over_leads_nowhere() {
    let (_tree, name) = start().await;
    let life = name.actor().expect("it lives");
    let before = life.addr();
    assert!(before.connected() && before == life.addr());
    life.pid().kill();
    life.pid().wait_exit().await;
    assert!(!before.connected() && !life.addr().connected());
    assert!(life.pid().addr::<Plain>().is_none());
    assert!(life.addr().send(Ask).await.is_err());
}

#[actix::test]
async fn the_capacity_of_an_addr_is_soft() {
    let (_tree, name) = start().await;
    let life = name.actor().expect("it lives");
    // actix's capacity is 16, and a fresh clone of the address has one more.
    assert_eq!(life.call(Flood(100)).await, Ok(100));
}
