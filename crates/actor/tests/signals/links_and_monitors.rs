//! Links, monitors, exit signals, names and calls between actors on one arbiter.

use std::future::IntoFuture;
use std::time::Duration;

use crate::common::{Observed, Process, Run, child, error, pair, quiet, start};
use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::Arbiter;
use impresario_actor::{
    CallError, CastError, ChildRef, ExitReason, NameError, Strategy, Supervisor, SysError,
};
use tokio::sync::{mpsc, oneshot};

/// A call that replies with the number that this channel delivers.
#[derive(Message)]
#[rtype(result = "u32")]
struct Answer(oneshot::Receiver<u32>);

impl Handler<Answer> for Process {
    type Result = actix::ResponseActFuture<Self, u32>;

    fn handle(&mut self, Answer(answer): Answer, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async move { answer.await.unwrap_or_default() }.into_actor(self))
    }
}

#[actix::test]
async fn monitor_sends_one_down_and_noproc_after_exit() {
    let (_tree, mut a, b) = pair().await;
    let (other, reason) = (b.pid(), error("enough"));
    let monitored = other.clone();
    a.run(move |process, ctx| {
        process.env.clone().monitor(&monitored, ctx);
    })
    .await;
    other.exit(reason.clone());
    assert_eq!(a.observe().await, Observed::Down(other.clone(), reason.clone()));
    assert_eq!(other.wait_exit().await, reason);
    assert_eq!(other.wait_exit().await, reason, "wait_exit can be called again");

    let late = other.clone();
    a.run(move |process, ctx| {
        process.env.clone().monitor(&late, ctx);
    })
    .await;
    assert_eq!(a.observe().await, Observed::Down(other, ExitReason::NoProc));
}

#[actix::test]
async fn demonitor_after_exit_drops_the_down() {
    let (_tree, mut a, b) = pair().await;
    let other = b.pid();
    let monitored = other.clone();
    // The actor exits before the monitor is removed. The removed monitor still sends no `Down`.
    a.run(move |process, ctx| {
        let env = process.env.clone();
        let first = env.monitor(&monitored, ctx);
        env.monitor(&monitored, ctx);
        monitored.kill();
        env.demonitor(&first);
    })
    .await;
    assert_eq!(a.observe().await, Observed::Down(other, ExitReason::Killed));
    a.name.call(Run(Box::new(|_, _| {}))).await.expect("the actor is running");
    assert!(a.observed.try_recv().is_err(), "the removed monitor sent a Down");
}

#[actix::test]
async fn linked_actor_exits_with_the_same_reason() {
    let (_tree, a, b) = pair().await;
    let (first, second) = (a.pid(), b.pid());
    let to = second.clone();
    a.run(move |process, _| process.env.link(&to)).await;
    second.exit(error("enough"));
    assert_eq!(first.wait_exit().await, error("enough"));
}

#[actix::test]
async fn normal_exit_leaves_linked_actors_running() {
    let (_tree, a, b) = pair().await;
    let to = b.pid();
    a.run(move |process, _| process.env.link(&to)).await;
    b.run(|process, ctx| process.env.clone().exit(ExitReason::Normal, ctx)).await;
    assert_eq!(b.name.pid(), None);
    a.run(|process, _| assert!(process.env.links().is_empty(), "the exit removes the link")).await;
}

#[actix::test]
async fn trapped_exits_arrive_as_messages_except_kill() {
    let (_tree, mut a, b) = pair().await;
    let (first, second) = (a.pid(), b.pid());
    let to = second.clone();
    a.run(move |process, ctx| {
        process.env.clone().trap_exits(ctx);
        process.env.link(&to);
    })
    .await;
    first.exit(ExitReason::Normal);
    assert_eq!(a.observe().await, Observed::Exit(None, ExitReason::Normal));
    second.kill();
    assert_eq!(a.observe().await, Observed::Exit(Some(second.clone()), ExitReason::Killed));
    // A link to an exited actor sends an exit signal with `NoProc`.
    a.run(move |process, _| process.env.link(&second)).await;
    assert!(matches!(a.observe().await, Observed::Exit(Some(_), ExitReason::NoProc)));
    first.kill();
    assert_eq!(first.wait_exit().await, ExitReason::Killed, "a kill cannot be trapped");
}

/// The loop of 70,000 signals does not await, so the actor on the same thread takes none of them meanwhile.
#[actix::test]
async fn unlinked_exit_signals_are_limited_to_65536() {
    let (mut a, spec) = child("a");
    let _tree = start([spec.mailbox_limit(100_000)]).await;
    a.run(|process, ctx| process.env.clone().trap_exits(ctx)).await;
    (0..70_000).for_each(|_| a.pid().exit(ExitReason::Normal));
    a.run(|_, _| {}).await;
    // The queue is empty again, so this signal is accepted and comes last.
    a.pid().exit(ExitReason::Shutdown);
    let mut observed = 0;
    while a.observe().await != Observed::Exit(None, ExitReason::Shutdown) {
        observed += 1;
    }
    assert_eq!(observed, 65_536, "the signal queue holds 65,536");
}

#[actix::test]
async fn full_mailbox_takes_linked_exits_and_drops_unlinked() {
    let ((mut a, spec), (b, b_spec)) = (child("a"), child("b"));
    let _tree = start([spec.mailbox_limit(2), b_spec]).await;
    let (target, other) = (a.pid(), b.pid());
    a.run(move |process, ctx| {
        process.env.clone().trap_exits(ctx);
        process.env.link(&other);
    })
    .await;
    target.suspend().await.expect("the child exists");
    for _ in 0..3 {
        target.exit(ExitReason::Normal);
    }
    let other = b.pid();
    other.kill();
    other.wait_exit().await;
    target.resume();
    let observed = [a.observe().await, a.observe().await, a.observe().await];
    let unrelated = observed.iter().filter(|observed| matches!(observed, Observed::Exit(None, _))).count();
    assert_eq!(unrelated, 2, "{observed:?}");
    assert!(matches!(&observed[2], Observed::Exit(Some(_), ExitReason::Killed)), "{observed:?}");
}

#[actix::test]
async fn exit_after_unlink_sends_no_signal() {
    let (_tree, a, b) = pair().await;
    let (first, second) = (a.pid(), b.pid());
    let to = second.clone();
    a.run(move |process, _| {
        process.env.link(&to);
        process.env.unlink(&to);
        to.kill();
    })
    .await;
    second.wait_exit().await;
    a.run(|_, _| {}).await;
    assert!(first.is_alive());
}

#[actix::test]
async fn normal_signal_is_ignored_unless_sent_to_self() {
    let (_tree, a, _b) = pair().await;
    let first = a.pid();
    first.exit(ExitReason::Normal);
    a.run(|_, _| {}).await;
    assert!(first.is_alive());
    a.run(|process, _| process.env.send_exit(&process.env.pid(), ExitReason::Normal)).await;
    assert_eq!(first.wait_exit().await, ExitReason::Normal);
}

#[actix::test]
async fn name_is_free_when_down_arrives() {
    let (tree, mut a, b) = pair().await;
    let (first, second) = (a.pid(), b.pid());
    let system = tree.registry().clone();
    system.register("room", &second).expect("the name is free");
    system.register("room", &second).expect("the actor already has the name");
    assert_eq!(system.register("room", &first), Err(NameError::Taken(second.clone())));
    assert_eq!(system.whereis("room"), Some(second.clone()));
    let monitored = second.clone();
    a.run(move |process, ctx| {
        process.env.clone().monitor(&monitored, ctx);
    })
    .await;
    second.kill();
    a.observe().await;
    assert_eq!(system.registered(), [""; 0]);
    assert_eq!(system.register("room", &second), Err(NameError::NotAlive));
    system.register("room", &first).expect("the name is free again");
    assert!(system.unregister("room") && !system.unregister("room"));
}

#[actix::test]
async fn call_fails_with_the_exit_reason() {
    let (_tree, a, b) = pair().await;
    let (_never, answer) = oneshot::channel();
    let (target, victim) = (a.pid(), a.name.actor().expect("the actor is running"));
    let call = actix_rt::spawn(victim.call(Answer(answer)).into_future());
    b.run(|_, _| {}).await;
    target.exit(error("enough"));
    assert_eq!(call.await.expect("no panic"), Err(CallError::Exit(error("enough"))));
    assert_eq!(a.name.call(Run(Box::new(|_, _| {}))).await, Err(CallError::NotAvailable));
    assert!(matches!(a.name.cast(Run(Box::new(|_, _| {}))), Err(CastError::NotAvailable(_))));

    let call = b.name.call(Run(Box::new(|_, _| panic!("boo"))));
    assert!(
        matches!(call.await, Err(CallError::Exit(ExitReason::Panic { message, .. })) if message == "boo")
    );
}

#[actix::test]
async fn call_times_out_and_its_late_reply_is_dropped() {
    tokio::time::pause();
    let (_tree, a, _b) = pair().await;
    let (late, answer) = oneshot::channel();
    let limit = Duration::from_secs(60);
    assert_eq!(a.name.call(Answer(answer)).timeout(limit).await, Err(CallError::Timeout(limit)));
    late.send(1).ok();
    let (now, answer) = oneshot::channel();
    now.send(2).expect("the receiver is open");
    assert_eq!(a.name.call(Answer(answer)).await, Ok(2));
}

#[actix::test]
async fn call_with_wait_reaches_the_restarted_actor() {
    let (observed, _) = mpsc::unbounded_channel();
    let name = ChildRef::new();
    let spec = name.child_spec("a", move |env| {
        Ok(Process { env: env.clone(), observed: observed.clone(), on_down: None })
    });
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start();
    let tree = tree.await.expect("the start succeeds");
    let first = name.pid().expect("the actor is running");
    tree.root().terminate_child("a").await.expect("the child exists");
    assert_eq!(name.call(Run(Box::new(|_, _| {}))).await, Err(CallError::NotAvailable));
    let call = actix_rt::spawn(name.call(Run(Box::new(|_, _| {}))).wait().into_future());
    tokio::task::yield_now().await;
    tree.root().restart_child("a").await.expect("the start succeeds");
    assert_eq!(call.await.expect("no panic"), Ok(()));
    let second = name.pid().expect("the actor is restarted");
    assert_ne!(first, second);
    assert!(first.incarnation() < second.incarnation());
}

#[actix::test]
async fn cast_and_call_to_a_full_mailbox_return_full() {
    let (a, spec) = child("a");
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec.mailbox_limit(2)).start();
    let _tree = tree.await.expect("the start succeeds");
    let nothing = || Run(Box::new(|_, _| {}));
    // The actor runs on this thread, so it is not polled before this test awaits.
    a.name.cast(nothing()).expect("the mailbox has capacity");
    a.name.cast(nothing()).expect("the mailbox has capacity");
    assert!(matches!(a.name.cast(nothing()), Err(CastError::Full(_))));
    assert_eq!(a.name.call(nothing()).await, Err(CallError::Full));
    tokio::task::yield_now().await;
    assert_eq!(a.name.call(nothing()).await, Ok(()));
}

#[actix::test]
async fn self_sending_actor_yields_to_others() {
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Again;
    impl Handler<Again> for Process {
        type Result = ();
        fn handle(&mut self, _: Again, ctx: &mut Context<Self>) {
            ctx.address().do_send(Again);
        }
    }
    let (_tree, a, b) = pair().await;
    a.name.cast(Again).expect("the mailbox has capacity");
    b.run(|_, _| {}).await;
    let target = a.pid();
    target.kill();
    assert_eq!(target.wait_exit().await, ExitReason::Killed);

    // The same for an actor that always has another future to poll.
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Notify;
    impl Handler<Notify> for Process {
        type Result = ();
        fn handle(&mut self, _: Notify, ctx: &mut Context<Self>) {
            ctx.notify(Notify);
        }
    }
    b.name.cast(Notify).expect("the mailbox has capacity");
    let target = b.pid();
    tokio::task::yield_now().await;
    target.kill();
    assert_eq!(target.wait_exit().await, ExitReason::Killed);
}

#[actix::test]
async fn suspended_actor_handles_nothing_until_resume_or_kill() {
    let (_tree, a, b) = pair().await;
    let target = a.pid();
    assert!(target.suspend().await.is_ok() && target.suspend().await.is_ok());
    let mut call = actix_rt::spawn(a.name.call(Run(Box::new(|_, _| {}))).into_future());
    b.run(|_, _| {}).await;
    assert!(futures::poll!(&mut call).is_pending(), "a suspended actor handles no message");
    target.resume();
    assert_eq!(call.await.expect("no panic"), Ok(()));
    assert!(target.suspend().await.is_ok());
    target.kill();
    assert_eq!(target.wait_exit().await, ExitReason::Killed);
    assert_eq!(target.suspend().await, Err(SysError::NotAlive(ExitReason::Killed)));
}

/// In one poll of the actor, a future removes the monitors while their events are pending.
#[actix::test]
async fn demonitor_drops_events_pending_in_the_same_poll() {
    let (arbiter, (mut a, a_spec), (b, b_spec)) = (Arbiter::new(), child("a"), child("b"));
    let tree = start([a_spec, b_spec.on(arbiter.handle())]).await;
    let (system, other) = (tree.registry().clone(), b.pid());
    let (go, gone) = oneshot::channel::<()>();
    let monitored = other.clone();
    a.run(move |process, ctx| {
        let env = process.env.clone();
        let monitors = std::rc::Rc::new(std::cell::OnceCell::new());
        let taken = std::rc::Rc::clone(&monitors);
        let take_back = gone.into_actor(process).map(move |_, process: &mut Process, ctx| {
            let (monitor, group) = taken.get().expect("the monitors are set");
            process.env.demonitor(monitor);
            process.env.clone().demonitor_group(group, ctx);
        });
        ctx.spawn(take_back);
        monitors
            .set((env.monitor(&monitored, ctx), env.monitor_group("room", ctx)))
            .expect("the cell is empty");
    })
    .await;
    assert!(matches!(a.observe().await, Observed::Group(_)), "the first event lists the members");
    // The actor is not polled before this test awaits. The monitored actor runs on another thread.
    system.join("room", &other).expect("the actor is running");
    go.send(()).expect("the receiver is open");
    other.kill();
    while other.is_alive() {
        std::thread::yield_now();
    }
    a.run(|_, _| {}).await;
    a.run(|_, _| {}).await;
    assert!(a.observed.try_recv().is_err());
    arbiter.stop();
}
