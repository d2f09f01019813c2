//! Exits that race with links, monitors, calls and signals on several arbiters.

use std::future::IntoFuture;
use std::time::Duration;

use crate::common::{Child, Observed, Process, Run, child, error, pair, quiet, start};
use actix_rt::Arbiter;
use futures::future::{join_all, maybe_done};
use impresario_actor::{
    CallError, ChildRef, ExitReason, Intensity, Pid, Strategy, Supervisor, TraceKind, Tree,
};
use tokio::sync::{mpsc, oneshot};

const ROUNDS: usize = 100;
const MANY: usize = 1_000;

/// Two actors, each on its own arbiter.
async fn apart(arbiters: &[Arbiter; 2]) -> (Tree, Child, Child) {
    let ((a, a_spec), (b, b_spec)) = (child("a"), child("b"));
    (start([a_spec.on(arbiters[0].handle()), b_spec.on(arbiters[1].handle())]).await, a, b)
}

fn arbiters() -> [Arbiter; 2] {
    [Arbiter::new(), Arbiter::new()]
}

async fn stop(tree: Tree) {
    tree.stop();
    tree.stopped().await;
}

async fn link(from: &Child, to: &Pid) {
    let to = to.clone();
    from.run(move |process, _| process.env.link(&to)).await;
}

#[actix::test]
async fn monitor_during_exit_sends_exactly_one_down() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, mut a, b) = apart(&arbiters).await;
        let dying = b.pid();
        let monitored = dying.clone();
        let monitoring = a.name.call(Run(Box::new(move |process, ctx| {
            process.env.clone().monitor(&monitored, ctx);
        })));
        dying.kill();
        monitoring.await.expect("the actor is running");
        let Observed::Down(pid, reason) = a.observe().await else { panic!("expected a Down") };
        assert_eq!(pid, dying);
        assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProc), "{reason}");
        a.run(|_, _| {}).await;
        assert!(a.observed.try_recv().is_err(), "a second Down");
        stop(tree).await;
    }
}

#[actix::test]
async fn link_during_exit_sends_the_exit_signal() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, a, b) = apart(&arbiters).await;
        let (first, second) = (a.pid(), b.pid());
        let to = second.clone();
        second.exit(error("enough"));
        // The actor may exit before it replies.
        let _ = a.name.call(Run(Box::new(move |process, _| process.env.link(&to)))).await;
        let reason = first.wait_exit().await;
        assert!([error("enough"), ExitReason::NoProc].contains(&reason), "{reason}");
        stop(tree).await;
    }
}

#[actix::test]
async fn unlink_during_exit_stops_the_exit_signal() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, mut a, b) = apart(&arbiters).await;
        let (first, second) = (a.pid(), b.pid());
        link(&a, &second).await;
        a.run(|process, ctx| process.env.clone().trap_exits(ctx)).await;
        let from = second.clone();
        second.kill();
        a.run(move |process, ctx| {
            process.env.unlink(&from);
            process.env.untrap_exits();
            // A signal that was delivered before is queued before this message.
            actix::AsyncContext::notify(ctx, Run(Box::new(|_, _| {})));
        })
        .await;
        second.wait_exit().await;
        a.run(|process, _| assert!(process.env.links().is_empty())).await;
        assert!(first.is_alive());
        // Only a signal that was delivered before the unlink may have been received.
        while let Ok(observed) = a.observed.try_recv() {
            assert_eq!(observed, Observed::Exit(Some(second.clone()), ExitReason::Killed));
        }
        stop(tree).await;
    }
}

#[actix::test]
async fn linked_actors_exiting_together_send_one_down_each() {
    let arbiters = arbiters();
    let (_other, mut watcher, _) = pair().await;
    for _ in 0..ROUNDS {
        let (tree, a, b) = apart(&arbiters).await;
        let (first, second) = (a.pid(), b.pid());
        link(&a, &second).await;
        link(&b, &first).await;
        let both = [first.clone(), second.clone()];
        watcher
            .run(move |process, ctx| both.iter().for_each(|pid| drop(process.env.monitor(pid, ctx))))
            .await;
        first.exit(error("first"));
        second.exit(error("second"));
        let mut ended = Vec::new();
        for _ in 0..2 {
            let Observed::Down(pid, end) = watcher.observe().await else { panic!("expected a Down") };
            assert!([error("first"), error("second")].contains(&end), "{end}");
            ended.push(pid);
        }
        assert!(ended.contains(&first) && ended.contains(&second), "{ended:?}");
        watcher.run(|_, _| {}).await;
        assert!(watcher.observed.try_recv().is_err(), "a third Down");
        stop(tree).await;
    }
}

#[actix::test]
async fn links_work_across_trees() {
    let ((mine, a, _x), (theirs, b, _y)) = (pair().await, pair().await);
    let (first, second) = (a.pid(), b.pid());
    link(&a, &second).await;
    second.exit(error("over there"));
    assert_eq!(first.wait_exit().await, error("over there"));
    // The link shares no names: an exited actor cannot register, and the other tree has none.
    assert!(mine.registry().register("x", &first).is_err() && theirs.registry().registered().is_empty());
}

#[actix::test]
async fn ring_of_links_exits_with_one_reason() {
    let arbiters = arbiters();
    let (children, specs): (Vec<_>, Vec<_>) = (0..10).map(|number| child(&number.to_string())).unzip();
    let specs = specs.into_iter().enumerate().map(|(n, spec)| spec.on(arbiters[n % 2].handle()));
    let _tree = start(specs).await;
    let pids: Vec<Pid> = children.iter().map(Child::pid).collect();
    for (number, child) in children.iter().enumerate() {
        link(child, &pids[(number + 1) % pids.len()]).await;
    }
    pids[3].exit(error("enough"));
    for end in join_all(pids.iter().map(Pid::wait_exit)).await {
        assert_eq!(end, error("enough"));
    }
}

#[actix::test]
async fn thousand_linked_exits_are_trapped_once_each() {
    let (children, mut specs): (Vec<_>, Vec<_>) = (0..MANY).map(|number| child(&number.to_string())).unzip();
    let (mut hub, hub_spec) = child("hub");
    specs.push(hub_spec);
    let _tree = start(specs).await;
    let pids: Vec<Pid> = children.iter().map(Child::pid).collect();
    let all = pids.clone();
    hub.run(move |process, ctx| {
        process.env.clone().trap_exits(ctx);
        for pid in &all {
            process.env.link(pid);
            process.env.link(pid);
        }
        assert_eq!(process.env.links().len(), MANY);
    })
    .await;
    // All of them exit. The hub traps exits and must receive one signal for each.
    pids.iter().for_each(|pid| pid.exit(error("enough")));
    let mut observed = Vec::new();
    for _ in 0..MANY {
        let Observed::Exit(Some(pid), _) = hub.observe().await else { panic!("unexpected event") };
        observed.push(pid.number());
    }
    observed.sort_unstable();
    let mut expected: Vec<u64> = pids.iter().map(Pid::number).collect();
    expected.sort_unstable();
    assert_eq!(observed, expected);
    hub.run(|process, _| assert!(process.env.links().is_empty())).await;
}

#[actix::test]
async fn thousand_monitored_exits_send_one_down_each() {
    let (children, mut specs): (Vec<_>, Vec<_>) = (0..MANY).map(|number| child(&number.to_string())).unzip();
    let (mut hub, hub_spec) = child("hub");
    specs.push(hub_spec);
    let _tree = start(specs).await;
    let pids: Vec<Pid> = children.iter().map(Child::pid).collect();
    let all = pids.clone();
    hub.run(move |process, ctx| {
        // Monitor each twice and remove one of the two.
        for pid in &all {
            let first = process.env.monitor(pid, ctx);
            process.env.monitor(pid, ctx);
            process.env.demonitor(&first);
        }
    })
    .await;
    pids.iter().for_each(Pid::kill);
    join_all(pids.iter().map(Pid::wait_exit)).await;
    let mut observed = Vec::new();
    for _ in 0..MANY {
        let Observed::Down(pid, ExitReason::Killed) = hub.observe().await else { panic!("unexpected event") };
        observed.push(pid);
    }
    observed.sort_unstable_by_key(Pid::number);
    assert_eq!(observed, pids);
    hub.run(|_, _| {}).await;
    assert!(hub.observed.try_recv().is_err(), "an extra Down");
}

#[actix::test]
async fn one_exit_ends_a_thousand_linked_actors() {
    let (children, mut specs): (Vec<_>, Vec<_>) = (0..MANY).map(|number| child(&number.to_string())).unzip();
    let (hub, hub_spec) = child("hub");
    specs.push(hub_spec);
    let _tree = start(specs).await;
    let pids: Vec<Pid> = children.iter().map(Child::pid).collect();
    let all = pids.clone();
    hub.run(move |process, _| all.iter().for_each(|pid| process.env.link(pid))).await;
    hub.pid().exit(error("enough"));
    for end in join_all(pids.iter().map(Pid::wait_exit)).await {
        assert_eq!(end, error("enough"));
    }
}

#[actix::test]
async fn pending_calls_fail_with_the_exit_reason() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, a, _b) = apart(&arbiters).await;
        let target = a.name.actor().expect("the actor is running");
        let nothing = || Run(Box::new(|_, _| {}));
        let call = |_| Box::pin(maybe_done(target.call(nothing()).into_future()));
        let mut calls: Vec<_> = (0..50).map(call).collect();
        for call in &mut calls {
            // The first poll sends the call. It may already have a reply.
            let _ = futures::poll!(call.as_mut());
        }
        target.pid().exit(error("enough"));
        for mut call in calls {
            call.as_mut().await;
            let answer = call.as_mut().take_output().expect("the call has completed");
            assert!([Ok(()), Err(CallError::Exit(error("enough")))].contains(&answer), "{answer:?}");
        }
        target.pid().wait_exit().await;
        assert_eq!(target.call(nothing()).await, Err(CallError::NotAvailable));
        stop(tree).await;
    }
}

/// The actor exits after every message, on its own arbiter, while three threads call it.
#[actix::test]
async fn unhandled_call_with_wait_goes_to_the_next_incarnation() {
    const CALLS: usize = 2_000;
    let (arbiter, name, (observed, _)) = (Arbiter::new(), ChildRef::new(), mpsc::unbounded_channel());
    let spec = name.child_spec("a", move |env| {
        Ok(Process { env: env.clone(), observed: observed.clone(), on_down: None })
    });
    let tree = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(u32::MAX, Duration::from_secs(1)))
        .logger(quiet())
        .child(spec.on(arbiter.handle()));
    let tree = tree.start().await.expect("the start succeeds");
    let callers = [(); 3].map(|()| {
        let name = name.clone();
        std::thread::spawn(move || {
            for _ in 0..CALLS {
                let ends = Run(Box::new(|process, ctx| process.env.clone().exit(ExitReason::Normal, ctx)));
                let answer = futures::executor::block_on(name.call(ends).wait().no_timeout().into_future());
                assert!([Ok(()), Err(CallError::Exit(ExitReason::Normal))].contains(&answer), "{answer:?}");
            }
        })
    });
    for caller in callers {
        tokio::task::spawn_blocking(|| caller.join().expect("no panic")).await.expect("no panic");
    }
    stop(tree).await;
    arbiter.stop();
}

#[actix::test]
async fn stopped_arbiter_sends_down_and_exit_to_other_threads() {
    let arbiters = arbiters();
    let (_tree, a, mut b) = apart(&arbiters).await;
    let (first, second) = (a.pid(), b.pid());
    let monitored = first.clone();
    b.run(move |process, ctx| {
        let env = process.env.clone();
        env.trap_exits(ctx);
        env.monitor(&monitored, ctx);
        env.link(&monitored);
    })
    .await;
    arbiters[0].stop();
    for _ in 0..2 {
        match b.observe().await {
            Observed::Down(pid, reason) | Observed::Exit(Some(pid), reason) => {
                assert_eq!((pid, reason), (first.clone(), ExitReason::Killed));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(second.is_alive());
}

/// The handler blocks until both requests are set, so one poll sees both.
#[actix::test]
async fn first_of_kill_and_stop_decides_the_reason() {
    for killed_first in [true, false] {
        let arbiters = arbiters();
        let (tree, a, _b) = apart(&arbiters).await;
        let (target, (events, mut traced)) = (a.pid(), mpsc::channel(8));
        tree.root().pid().expect("the actor is running").trace(events);
        let ((busy, is_busy), (release, released)) = (oneshot::channel(), std::sync::mpsc::channel::<()>());
        let holds = Run(Box::new(move |_, _| {
            let _ = busy.send(());
            let _ = released.recv();
        }));
        assert!(a.name.cast(holds).is_ok(), "the mailbox has capacity");
        is_busy.await.expect("the actor handles the message");
        if killed_first {
            target.kill();
        }
        tree.stop();
        while traced.recv().await.expect("the trace event arrives").kind != TraceKind::Stops(target.clone()) {
        }
        target.kill();
        drop(release);
        let expected = if killed_first { ExitReason::Killed } else { ExitReason::Shutdown };
        assert_eq!(target.wait_exit().await, expected);
        assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    }
}

/// Each sender waits for its reply before it sends the next message. A lost wake-up would block the test for ever.
#[actix::test]
async fn both_mailboxes_wake_an_idle_actor() {
    let arbiters = arbiters();
    let (tree, a, _b) = apart(&arbiters).await;
    let senders = [true, false, true, false].map(|plain| {
        let target = a.name.actor().expect("the actor is running");
        let addr = target.addr();
        std::thread::spawn(move || {
            for _ in 0..MANY {
                let nothing = Run(Box::new(|_, _| {}));
                if plain {
                    futures::executor::block_on(addr.send(nothing)).expect("the actor is running");
                } else {
                    let call = target.call(nothing).no_timeout().into_future();
                    futures::executor::block_on(call).expect("the actor is running");
                }
            }
        })
    });
    for sender in senders {
        tokio::task::spawn_blocking(|| sender.join().expect("no panic")).await.expect("no panic");
    }
    stop(tree).await;
}
