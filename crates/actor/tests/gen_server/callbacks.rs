//! Continuations, background work and the idle timeout of a server.

use std::time::Duration;

use crate::probe::{Ctx, Observed, Probe, Tell, error, run, server, server_with};
use futures::FutureExt;
use impresario_actor::{ExitReason, Info, ServerActor};
use tokio::sync::oneshot;

#[actix::test]
async fn continuations_run_before_the_next_message() {
    let mut server = server().await;
    let step = |number| {
        move |probe: &mut Probe, _: &mut Ctx<'_>| {
            probe.observe(Observed::Step(number));
            Ok(())
        }
    };
    server.run_in_server(move |_, ctx| {
        ctx.continue_with(move |_, ctx| {
            ctx.continue_with(step(3));
            Ok(())
        });
        ctx.continue_with(step(1));
        ctx.continue_with(step(2));
        Ok(())
    });
    server.run_in_server(step(4));
    for number in 1..=4 {
        assert_eq!(server.observe().await, Observed::Step(number));
    }
}

#[actix::test]
async fn start_returns_before_continuations_and_messages_follow() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let mut server = server_with(move || {
        let gone = gone.lock().expect("no panic").take()?;
        Some(Box::new(move |_, ctx| {
            ctx.wait(async {}, |probe, (), ctx| {
                probe.observe(Observed::Step(1));
                ctx.continue_with(move |_, ctx| {
                    ctx.wait(gone, |probe, _, _| {
                        probe.observe(Observed::Step(2));
                        Ok(())
                    });
                    Ok(())
                });
                Ok(())
            });
            Ok(())
        }))
    })
    .await;
    assert_eq!(server.observe().await, Observed::Step(1), "the start waits for the future of init");
    server.run_in_server(|probe, _| {
        probe.observe(Observed::Step(3));
        Ok(())
    });
    go.send(()).expect("the receiver is open");
    assert_eq!(server.observe().await, Observed::Step(2));
    assert_eq!(server.observe().await, Observed::Step(3));
}

#[actix::test]
async fn full_system_queue_does_not_delay_continuations() {
    let mut server = server_with(|| {
        Some(Box::new(|_, ctx| {
            let this = ctx.pid().actor::<ServerActor<Probe>>().expect("the actor is running");
            while this.with_state(|_| {}).now_or_never().is_none() {}
            let step = |number| {
                move |probe: &mut Probe, _: &mut Ctx<'_>| {
                    probe.observe(Observed::Step(number));
                    Ok(())
                }
            };
            assert!(ctx.self_ref().cast(Tell(Box::new(step(2)))).is_ok(), "the mailbox has capacity");
            ctx.continue_with(step(1));
            Ok(())
        }))
    })
    .await;
    for number in 1..=2 {
        assert_eq!(server.observe().await, Observed::Step(number));
    }
}

#[actix::test]
async fn endless_continuation_can_be_killed() {
    fn again(_: &mut Probe, ctx: &mut Ctx<'_>) -> Result<(), ExitReason> {
        ctx.continue_with(again);
        Ok(())
    }
    let server = server().await;
    let target = server.name.pid().expect("the actor is running");
    server.run_in_server(again);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    target.kill();
    assert_eq!(target.wait_exit().await, ExitReason::Killed);
}

#[actix::test]
async fn spawned_work_does_not_block_messages() {
    let mut server = server().await;
    let (done, work) = oneshot::channel::<u32>();
    let call = server
        .asks(server.name.call(run(move |_, ctx| {
            ctx.spawn(work, |probe, number, _| {
                probe.kept.remove(0).send(number?);
                Ok(())
            });
            Ok(())
        })))
        .await;
    // The server has replied to another call, sent by `asks`.
    done.send(3).expect("the receiver is open");
    assert_eq!(call.await.expect("no panic"), Ok(3));

    let (never, work) = oneshot::channel::<u32>();
    server.run_in_server(move |_, ctx| {
        let spawned = ctx.spawn(work, |_, _, _| Err(error("cancelled work has run")));
        ctx.cancel(&spawned);
        Ok(())
    });
    server.settled().await;
    drop(never);
    server.run_in_server(|_, ctx| {
        ctx.spawn(async {}, |_, (), _| Err(error("the work failed")));
        Ok(())
    });
    assert_eq!(server.observe().await, Observed::End(error("the work failed")));
}

#[actix::test]
async fn idle_timeout_fires_only_without_messages() {
    tokio::time::pause();
    let mut server = server().await;
    let limit = Duration::from_secs(60);
    let idle = move |_: &mut Probe, ctx: &mut Ctx<'_>| {
        ctx.timeout(limit);
        Ok(())
    };
    server.run_in_server(idle);
    tokio::time::advance(limit / 2).await;
    server.settled().await;
    tokio::time::advance(limit).await;
    server.settled().await;
    assert!(server.observed.try_recv().is_err(), "a message cancels the idle timeout");
    server.run_in_server(idle);
    let before = tokio::time::Instant::now();
    assert_eq!(server.observe().await, Observed::Info(Info::Timeout));
    assert!(before.elapsed() >= limit);
}
