//! What happens at the same moment, on several arbiters: ends, links, monitors, calls.

use std::future::IntoFuture;
use std::time::Duration;

use crate::common::{Child, Heard, Process, Run, child, error, pair, quiet, start};
use actix_rt::Arbiter;
use futures::future::{join_all, maybe_done};
use impresario_actor::{
    CallError, ChildRef, ExitReason, Intensity, Pid, Strategy, Supervisor, TraceKind, Tree,
};
use tokio::sync::{mpsc, oneshot};

const ROUNDS: usize = 100;
const MANY: usize = 1_000;

/// Two lives, each on an arbiter of its own.
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
async fn a_monitor_of_one_that_dies_at_the_same_time_is_answered_once() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, mut a, b) = apart(&arbiters).await;
        let dying = b.pid();
        let monitored = dying.clone();
        let monitoring = a.name.call(Run(Box::new(move |process, ctx| {
            process.env.clone().monitor(&monitored, ctx);
        })));
        dying.kill();
        monitoring.await.expect("it lives");
        let Heard::Down(pid, reason) = a.hears().await else { panic!("it hears of the end") };
        assert_eq!(pid, dying);
        assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProc), "{reason}");
        a.run(|_, _| {}).await;
        assert!(a.heard.try_recv().is_err(), "twice");
        stop(tree).await;
    }
}

#[actix::test]
async fn a_link_made_while_the_other_dies_is_an_exit_signal_all_the_same() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, a, b) = apart(&arbiters).await;
        let (first, second) = (a.pid(), b.pid());
        let to = second.clone();
        second.exit(error("enough"));
        // It may end before it answers.
        let _ = a.name.call(Run(Box::new(move |process, _| process.env.link(&to)))).await;
        let reason = first.wait_exit().await;
        assert!([error("enough"), ExitReason::NoProc].contains(&reason), "{reason}");
        stop(tree).await;
    }
}

#[actix::test]
async fn after_an_unlink_no_exit_signal_comes() {
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
            // What was delivered before is a message, and stands before this.
            actix::AsyncContext::notify(ctx, Run(Box::new(|_, _| {})));
        })
        .await;
        second.wait_exit().await;
        a.run(|process, _| assert!(process.env.links().is_empty())).await;
        assert!(first.is_alive());
        // A signal that was there before the unlink is all that may have been heard.
        while let Ok(heard) = a.heard.try_recv() {
            assert_eq!(heard, Heard::Exit(Some(second.clone()), ExitReason::Killed));
        }
        stop(tree).await;
    }
}

#[actix::test]
async fn two_that_are_linked_and_end_at_once_end_once() {
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
            let Heard::Down(pid, end) = watcher.hears().await else { panic!("it monitors only") };
            assert!([error("first"), error("second")].contains(&end), "{end}");
            ended.push(pid);
        }
        assert!(ended.contains(&first) && ended.contains(&second), "{ended:?}");
        watcher.run(|_, _| {}).await;
        assert!(watcher.heard.try_recv().is_err(), "once more");
        stop(tree).await;
    }
}

#[actix::test]
async fn links_reach_over_trees() {
    let ((mine, a, _x), (theirs, b, _y)) = (pair().await, pair().await);
    let (first, second) = (a.pid(), b.pid());
    link(&a, &second).await;
    second.exit(error("over there"));
    assert_eq!(first.wait_exit().await, error("over there"));
    // The trees themselves do not see each other.
    assert!(mine.system().register("x", &first).is_err() && theirs.system().registered().is_empty());
}

#[actix::test]
async fn a_circle_of_links_falls_as_one() {
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
async fn a_thousand_links_fall_at_once() {
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
    // All of them end, and the one that traps hears of each once.
    pids.iter().for_each(|pid| pid.exit(error("enough")));
    let mut heard = Vec::new();
    for _ in 0..MANY {
        let Heard::Exit(Some(pid), _) = hub.hears().await else { panic!("it hears of an end") };
        heard.push(pid.number());
    }
    heard.sort_unstable();
    let mut expected: Vec<u64> = pids.iter().map(Pid::number).collect();
    expected.sort_unstable();
    assert_eq!(heard, expected);
    hub.run(|process, _| assert!(process.env.links().is_empty())).await;
}

#[actix::test]
async fn a_thousand_ends_are_heard_once_each() {
    let (children, mut specs): (Vec<_>, Vec<_>) = (0..MANY).map(|number| child(&number.to_string())).unzip();
    let (mut hub, hub_spec) = child("hub");
    specs.push(hub_spec);
    let _tree = start(specs).await;
    let pids: Vec<Pid> = children.iter().map(Child::pid).collect();
    let all = pids.clone();
    hub.run(move |process, ctx| {
        // Each of them twice, and one of the two is taken back.
        for pid in &all {
            let first = process.env.monitor(pid, ctx);
            process.env.monitor(pid, ctx);
            process.env.demonitor(&first);
        }
    })
    .await;
    pids.iter().for_each(Pid::kill);
    join_all(pids.iter().map(Pid::wait_exit)).await;
    let mut heard = Vec::new();
    for _ in 0..MANY {
        let Heard::Down(pid, ExitReason::Killed) = hub.hears().await else { panic!("it hears of an end") };
        heard.push(pid);
    }
    heard.sort_unstable_by_key(Pid::number);
    assert_eq!(heard, pids);
    hub.run(|_, _| {}).await;
    assert!(hub.heard.try_recv().is_err(), "and of no other");
}

#[actix::test]
async fn one_end_takes_a_thousand_along() {
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
async fn every_call_that_waits_at_the_end_is_told_why() {
    let arbiters = arbiters();
    for _ in 0..ROUNDS {
        let (tree, a, _b) = apart(&arbiters).await;
        let life = a.name.actor().expect("it lives");
        let nothing = || Run(Box::new(|_, _| {}));
        let call = |_| Box::pin(maybe_done(life.call(nothing()).into_future()));
        let mut calls: Vec<_> = (0..50).map(call).collect();
        for call in &mut calls {
            // It is sent now, and perhaps answered.
            let _ = futures::poll!(call.as_mut());
        }
        life.pid().exit(error("enough"));
        for mut call in calls {
            call.as_mut().await;
            let answer = call.as_mut().take_output().expect("it is done");
            assert!([Ok(()), Err(CallError::Exit(error("enough")))].contains(&answer), "{answer:?}");
        }
        life.pid().wait_exit().await;
        assert_eq!(life.call(nothing()).await, Err(CallError::NotAvailable));
        stop(tree).await;
    }
}

/// It ends with every message, on an arbiter of its own, while others call.
#[actix::test]
async fn a_call_that_waits_goes_to_the_next_life_if_the_last_has_not_seen_it() {
    const CALLS: usize = 2_000;
    let (arbiter, name, (heard, _)) = (Arbiter::new(), ChildRef::new(), mpsc::unbounded_channel());
    let spec = name
        .child_spec("a", move |env| Ok(Process { env: env.clone(), heard: heard.clone(), on_down: None }));
    let tree = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(u32::MAX, Duration::from_secs(1)))
        .logger(quiet())
        .child(spec.on(arbiter.handle()));
    let tree = tree.start().await.expect("it starts");
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
async fn an_arbiter_that_goes_tells_those_elsewhere() {
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
        match b.hears().await {
            Heard::Down(pid, reason) | Heard::Exit(Some(pid), reason) => {
                assert_eq!((pid, reason), (first.clone(), ExitReason::Killed));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(second.is_alive());
}

/// It hears of both at once, since it has no turn before.
#[actix::test]
async fn of_a_kill_and_a_stop_the_first_counts() {
    for killed_first in [true, false] {
        let arbiters = arbiters();
        let (tree, a, _b) = apart(&arbiters).await;
        let (life, (events, mut traced)) = (a.pid(), mpsc::channel(8));
        tree.root().pid().expect("it runs").trace(events);
        let ((busy, is_busy), (release, released)) = (oneshot::channel(), std::sync::mpsc::channel::<()>());
        let holds = Run(Box::new(move |_, _| {
            let _ = busy.send(());
            let _ = released.recv();
        }));
        assert!(a.name.cast(holds).is_ok(), "there is room");
        is_busy.await.expect("it handles it");
        if killed_first {
            life.kill();
        }
        tree.stop();
        while traced.recv().await.expect("it is told").kind != TraceKind::Stops(life.clone()) {}
        life.kill();
        drop(release);
        let expected = if killed_first { ExitReason::Killed } else { ExitReason::Shutdown };
        assert_eq!(life.wait_exit().await, expected);
        assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    }
}

/// Whoever waits for each answer would wait for ever if a wake-up were lost.
#[actix::test]
async fn both_queues_wake_an_actor_that_has_nothing_to_do() {
    let arbiters = arbiters();
    let (tree, a, _b) = apart(&arbiters).await;
    let senders = [true, false, true, false].map(|plain| {
        let life = a.name.actor().expect("it lives");
        let addr = life.addr();
        std::thread::spawn(move || {
            for _ in 0..MANY {
                let nothing = Run(Box::new(|_, _| {}));
                if plain {
                    futures::executor::block_on(addr.send(nothing)).expect("it lives");
                } else {
                    let call = life.call(nothing).no_timeout().into_future();
                    futures::executor::block_on(call).expect("it lives");
                }
            }
        })
    });
    for sender in senders {
        tokio::task::spawn_blocking(|| sender.join().expect("no panic")).await.expect("no panic");
    }
    stop(tree).await;
}
