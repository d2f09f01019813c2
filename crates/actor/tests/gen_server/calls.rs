//! Calls, casts and exits of a server.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::time::Duration;

use crate::probe::{Ask, Do, Observed, Probe, Tell, error, quiet, run, server, tree};
use actix::{Context, Handler, Message};
use impresario_actor::{
    CallError, CastError, DynamicRef, DynamicSupervisor, ExitReason, GenServer, Info, ReplyTo, Restart,
    ServerActor, ServerRef, Strategy, Supervisor,
};
use tokio::sync::{mpsc, oneshot};

#[actix::test]
async fn each_call_has_its_own_reply_type() {
    let server = server().await;
    assert_eq!(server.name.call(Ask::Value).await, Ok(7));
    assert_eq!(server.name.call(|reply| Ask::Length("four", reply)).await, Ok(4));
    let target =
        server.name.pid().expect("the actor is running").server::<Probe>().expect("the actor is a server");
    assert_eq!(target.call(Ask::Value).timeout(Duration::from_secs(60)).await, Ok(7));
}

#[actix::test]
async fn reply_can_be_sent_later_and_from_another_thread() {
    let server = server().await;
    let call = server.asks(server.name.call(Ask::Keep)).await;
    server.run_in_server(|probe, _| {
        probe.kept.remove(0).send(8);
        Ok(())
    });
    assert_eq!(call.await.expect("no panic"), Ok(8));

    let (away, here) = oneshot::channel();
    let call = server
        .asks(server.name.call(run(move |probe, _| {
            away.send(probe.kept.remove(0)).expect("the test receives");
            Ok(())
        })))
        .await;
    let reply = here.await.expect("the server sends the reply handle");
    assert!(reply.has_caller());
    std::thread::spawn(move || reply.send(9)).join().expect("no panic");
    assert_eq!(call.await.expect("no panic"), Ok(9));
}

#[actix::test]
async fn dropped_reply_handle_fails_the_call_with_no_reply() {
    let server = server().await;
    let at_once = run(|probe, _| {
        probe.kept.clear();
        Ok(())
    });
    assert_eq!(server.name.call(at_once).await, Err(CallError::NoReply));
    let call = server.asks(server.name.call(Ask::Keep)).await;
    server.run_in_server(|probe, _| {
        probe.kept.clear();
        Ok(())
    });
    assert_eq!(call.await.expect("no panic"), Err(CallError::NoReply));
}

#[actix::test]
async fn pending_call_fails_when_the_server_exits() {
    let server = server().await;
    let (away, here) = oneshot::channel();
    let call = server
        .asks(server.name.call(run(move |probe, _| {
            away.send(probe.kept.remove(0)).expect("the test receives");
            Ok(())
        })))
        .await;
    let reply = here.await.expect("the server sends the reply handle");
    server.run_in_server(|_, _| Err(error("enough")));
    // The reply handle still exists, but the server has exited.
    assert_eq!(call.await.expect("no panic"), Err(CallError::Exit(error("enough"))));
    assert!(!reply.has_caller());
    reply.send(1);
}

#[actix::test]
async fn thousand_pending_calls_get_reply_or_exit() {
    let server = server().await;
    let asked = (0..1_000).map(|_| actix_rt::spawn(server.name.call(Ask::Keep).into_future()));
    let mut asked: Vec<_> = asked.collect();
    server.settled().await;
    let (count, counted) = oneshot::channel();
    // Reply to the last 500 in reverse order, then to one more call; the exit fails the others.
    server.run_in_server(|probe, _| {
        let last = probe.kept.split_off(500);
        last.into_iter().rev().for_each(|reply| reply.send(1));
        Ok(())
    });
    for call in asked.split_off(500) {
        assert_eq!(call.await.expect("no panic"), Ok(1));
    }
    let late = server.asks(server.name.call(Ask::Keep)).await;
    server.run_in_server(move |probe, _| {
        assert!(count.send(probe.kept.len()).is_ok());
        probe.kept.remove(500).send(2);
        Ok(())
    });
    assert_eq!((counted.await, late.await.expect("no panic")), (Ok(501), Ok(2)));
    server.run_in_server(|_, _| Err(error("enough")));
    for call in asked {
        assert_eq!(call.await.expect("no panic"), Err(CallError::Exit(error("enough"))));
    }
}

#[actix::test]
async fn has_caller_is_false_after_timeout() {
    tokio::time::pause();
    let server = server().await;
    let limit = Duration::from_secs(1);
    let call = server.name.call(Ask::Keep).timeout(limit);
    assert_eq!(call.await, Err(CallError::Timeout(limit)));
    let (wanted, is_wanted) = oneshot::channel();
    server.settled().await;
    server.run_in_server(move |probe, _| {
        wanted.send(probe.kept.remove(0).has_caller()).expect("the test receives");
        Ok(())
    });
    assert_eq!(is_wanted.await, Ok(false));
}

#[actix::test]
async fn callback_error_is_the_reason_for_exit_and_terminate() {
    let mut server = server().await;
    let target = server.name.pid().expect("the actor is running");
    server.run_in_server(|probe, ctx| {
        ctx.continue_with(|probe, _| {
            probe.observe(Observed::Step(1));
            Ok(())
        });
        probe.observe(Observed::Step(0));
        "no number".parse::<u32>()?;
        Ok(())
    });
    let text = "no number".parse::<u32>().expect_err("the text is not a number").to_string();
    assert_eq!(server.observe().await, Observed::Step(0));
    assert_eq!(server.observe().await, Observed::End(error(&text)), "the continuation does not run");
    assert_eq!(target.wait_exit().await, error(&text));
}

#[actix::test]
async fn reply_before_a_stop_error_is_delivered() {
    let mut server = server().await;
    let reason = ExitReason::ShutdownWith("done".to_owned());
    let end = reason.clone();
    let call = server.name.call(run(move |probe, _| {
        probe.kept.remove(0).send(1);
        Err(end)
    }));
    assert_eq!(call.await, Ok(1));
    assert_eq!(server.observe().await, Observed::End(reason));
}

#[actix::test]
async fn terminate_runs_on_supervisor_shutdown() {
    let mut server = server().await;
    server.tree.stop();
    assert_eq!(server.observe().await, Observed::End(ExitReason::Shutdown));
}

#[actix::test]
async fn terminate_is_skipped_after_kill_signal_and_panic() {
    for end in 0..3 {
        let mut server = server().await;
        let target = server.name.pid().expect("the actor is running");
        match end {
            0 => target.kill(),
            1 => target.exit(error("enough")),
            _ => server.run_in_server(|_, _| panic!("boo")),
        }
        let reason = target.wait_exit().await;
        match end {
            0 => assert_eq!(reason, ExitReason::Killed),
            1 => assert_eq!(reason, error("enough")),
            _ => assert!(matches!(reason, ExitReason::Panic { message, .. } if message == "boo")),
        }
        server.tree.stop();
        server.tree.stopped().await;
        drop(server.tree);
        assert_eq!(server.observed.recv().await, None, "terminate ran in case {end}");
    }
}

#[actix::test]
async fn handle_info_gets_trapped_exits_and_downs() {
    let (mut server, other) = (server().await, server().await);
    let (target, others) =
        (server.name.pid().expect("the actor is running"), other.name.pid().expect("the actor is running"));
    let pid = others.clone();
    server.run_in_server(move |_, ctx| {
        ctx.trap_exits();
        let monitor = ctx.monitor(&pid);
        ctx.demonitor(&monitor);
        ctx.monitor(&pid);
        Ok(())
    });
    server.settled().await;
    target.exit(error("requested"));
    assert!(
        matches!(server.observe().await, Observed::Info(Info::Exit(exit)) if exit.reason == error("requested"))
    );
    others.kill();
    assert!(
        matches!(server.observe().await, Observed::Info(Info::Down(down)) if down.pid == others && down.reason == ExitReason::Killed)
    );
    server.settled().await;
    assert!(server.observed.try_recv().is_err(), "the removed monitor sends no second Down");
}

#[actix::test]
async fn init_error_fails_the_start() {
    let (name, (notifier, mut observed)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec = name.child_spec("server", move |_| {
        let init: Do = Box::new(|_, _| Err(error("no database")));
        Ok(Probe { observed: notifier.clone(), kept: Vec::new(), init: Some(init) })
    });
    let start = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start().await;
    let reason = start.expect_err("the start fails").to_string();
    assert_eq!(reason, "child server failed to start: no database");
    assert_eq!(observed.recv().await, Some(Observed::End(error("no database"))));
}

#[actix::test]
async fn cast_to_a_full_mailbox_returns_the_message() {
    let (name, (notifier, mut observed)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec = name.child_spec("server", move |_| {
        Ok(Probe { observed: notifier.clone(), kept: Vec::new(), init: None })
    });
    let _tree = tree(spec.mailbox_limit(1)).await;
    let step = |number| {
        let what: Do = Box::new(move |probe, _| {
            probe.observe(Observed::Step(number));
            Ok(())
        });
        Tell(what)
    };
    name.cast(step(1)).expect("the mailbox has capacity");
    let Err(CastError::Full(back)) = name.cast(step(2)) else {
        panic!("the cast to a full mailbox succeeded")
    };
    assert_eq!(observed.recv().await, Some(Observed::Step(1)));
    name.cast(back).expect("the mailbox has capacity again");
    assert_eq!(observed.recv().await, Some(Observed::Step(2)));
}

#[actix::test]
async fn server_ref_reaches_the_restarted_server() {
    let (name, (notifier, _heard)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec = name.child_spec("server", move |_| {
        Ok(Probe { observed: notifier.clone(), kept: Vec::new(), init: None })
    });
    let _tree = tree(spec).await;
    let first = name.pid().expect("the actor is running");
    name.cast(Tell(Box::new(|_, _| panic!("boo")))).expect("the mailbox has capacity");
    first.wait_exit().await;
    assert_eq!(name.call(Ask::Value).wait().await, Ok(7));
    assert_ne!(name.available().await, first);
    assert_eq!(first.server::<Probe>().map(|_| ()), None);
}

/// A server without callbacks.
struct Bare;

impl GenServer for Bare {
    type Call = ReplyTo<()>;
    type Cast = ();
}

/// A server without calls and casts. It handles the actix message [`Add`].
struct Extra(u32);

impl GenServer for Extra {
    type Call = Infallible;
    type Cast = Infallible;
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Add(u32);

impl Handler<Add> for ServerActor<Extra> {
    type Result = u32;

    fn handle(&mut self, Add(number): Add, ctx: &mut Context<Self>) -> u32 {
        let mut sum = 0;
        self.run(ctx, |server, _| {
            server.0 += number;
            sum = server.0;
            Ok(())
        });
        sum
    }
}

#[actix::test]
async fn missing_callback_ends_the_server_as_in_otp() {
    let name = ServerRef::new();
    let _tree = tree(name.child_spec("bare", |_| Ok(Bare)).restart(Restart::Temporary)).await;
    let outcome = name.call(|reply| reply).await;
    // The default `handle_call` drops the reply handle, but the call fails with the exit reason, not with `NoReply`.
    assert_eq!(outcome, Err(CallError::Exit(error("call received, but handle_call is not implemented"))));
    let name = ServerRef::new();
    let _tree = tree(name.child_spec("bare", |_| Ok(Bare)).restart(Restart::Temporary)).await;
    let target = name.pid().expect("the actor is running");
    name.cast(()).expect("the mailbox has capacity");
    assert_eq!(target.wait_exit().await, error("cast received, but handle_cast is not implemented"));
}

#[actix::test]
async fn server_handles_actix_messages_and_runs_as_instance() {
    let name = ServerRef::new();
    let one = tree(name.child_spec("extra", |_| Ok(Extra(1)))).await;
    assert_eq!(name.child().call(Add(2)).await, Ok(3));
    assert_eq!(name.child().call(Add(3)).await, Ok(6));
    one.stop();

    let (sessions, (notifier, mut pids)) = (DynamicRef::new(), mpsc::unbounded_channel());
    let spec = sessions.child_spec(
        "sessions",
        DynamicSupervisor::new(move |env, number| {
            notifier.send(env.pid()).expect("the test receives");
            Ok(ServerActor::new(Extra(number), env))
        }),
    );
    let _tree = tree(spec).await;
    sessions.start(40).expect("the actor is running");
    let pid = pids.recv().await.expect("the start succeeds");
    let server = loop {
        match pid.server::<Extra>() {
            Some(server) => break server,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(server.child().call(Add(2)).await, Ok(42));
}
