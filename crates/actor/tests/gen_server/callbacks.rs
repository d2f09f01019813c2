//! Servers: what is done before the next message, beside it, and when none comes.

use std::time::Duration;

use crate::probe::{Ctx, Heard, Probe, Tell, error, run, server, server_with};
use futures::FutureExt;
use impresario_actor::{ExitReason, Info, ServerActor};
use tokio::sync::oneshot;

#[actix::test]
async fn what_is_to_continue_comes_before_the_next_message() {
    let mut server = server().await;
    let step = |number| {
        move |probe: &mut Probe, _: &mut Ctx<'_>| {
            probe.hears(Heard::Step(number));
            Ok(())
        }
    };
    server.tell(move |_, ctx| {
        ctx.continue_with(move |_, ctx| {
            ctx.continue_with(step(3));
            Ok(())
        });
        ctx.continue_with(step(1));
        ctx.continue_with(step(2));
        Ok(())
    });
    server.tell(step(4));
    for number in 1..=4 {
        assert_eq!(server.hears().await, Heard::Step(number));
    }
}

#[actix::test]
async fn a_start_does_not_wait_for_what_continues_and_no_message_overtakes_it() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let mut server = server_with(move || {
        let gone = gone.lock().expect("no panic").take()?;
        Some(Box::new(move |_, ctx| {
            ctx.wait(async {}, |probe, (), ctx| {
                probe.hears(Heard::Step(1));
                ctx.continue_with(move |_, ctx| {
                    ctx.wait(gone, |probe, _, _| {
                        probe.hears(Heard::Step(2));
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
    assert_eq!(server.hears().await, Heard::Step(1), "the start has waited for this");
    server.tell(|probe, _| {
        probe.hears(Heard::Step(3));
        Ok(())
    });
    go.send(()).expect("it waits");
    assert_eq!(server.hears().await, Heard::Step(2));
    assert_eq!(server.hears().await, Heard::Step(3));
}

#[actix::test]
async fn what_continues_after_the_start_is_not_held_up_by_what_others_ask_of_it() {
    let mut server = server_with(|| {
        Some(Box::new(|_, ctx| {
            let this = ctx.pid().actor::<ServerActor<Probe>>().expect("it lives");
            while this.with_state(|_| {}).now_or_never().is_none() {}
            let step = |number| {
                move |probe: &mut Probe, _: &mut Ctx<'_>| {
                    probe.hears(Heard::Step(number));
                    Ok(())
                }
            };
            assert!(ctx.self_ref().cast(Tell(Box::new(step(2)))).is_ok(), "there is room");
            ctx.continue_with(step(1));
            Ok(())
        }))
    })
    .await;
    for number in 1..=2 {
        assert_eq!(server.hears().await, Heard::Step(number));
    }
}

#[actix::test]
async fn one_that_continues_without_end_can_be_killed() {
    fn again(_: &mut Probe, ctx: &mut Ctx<'_>) -> Result<(), ExitReason> {
        ctx.continue_with(again);
        Ok(())
    }
    let server = server().await;
    let life = server.name.pid().expect("it lives");
    server.tell(again);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    life.kill();
    assert_eq!(life.wait_exit().await, ExitReason::Killed);
}

#[actix::test]
async fn work_beside_the_messages_does_not_stop_them() {
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
    // It has answered another question by now.
    done.send(3).expect("it waits");
    assert_eq!(call.await.expect("no panic"), Ok(3));

    let (never, work) = oneshot::channel::<u32>();
    server.tell(move |_, ctx| {
        let spawned = ctx.spawn(work, |_, _, _| Err(error("cancelled work goes on")));
        ctx.cancel(&spawned);
        Ok(())
    });
    server.settled().await;
    drop(never);
    server.tell(|_, ctx| {
        ctx.spawn(async {}, |_, (), _| Err(error("the work failed")));
        Ok(())
    });
    assert_eq!(server.hears().await, Heard::End(error("the work failed")));
}

#[actix::test]
async fn only_an_idle_server_times_out() {
    tokio::time::pause();
    let mut server = server().await;
    let limit = Duration::from_secs(60);
    let idle = move |_: &mut Probe, ctx: &mut Ctx<'_>| {
        ctx.timeout(limit);
        Ok(())
    };
    server.tell(idle);
    tokio::time::advance(limit / 2).await;
    server.settled().await;
    tokio::time::advance(limit).await;
    server.settled().await;
    assert!(server.heard.try_recv().is_err(), "a message has cancelled it");
    server.tell(idle);
    let before = tokio::time::Instant::now();
    assert_eq!(server.hears().await, Heard::Info(Info::Timeout));
    assert!(before.elapsed() >= limit);
}
