//! Servers: what they are asked and told, and how they end.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::time::Duration;

use crate::probe::{Ask, Do, Heard, Probe, Tell, error, quiet, run, server, tree};
use actix::{Context, Handler, Message};
use impresario_actor::{
    CallError, CastError, DynamicRef, DynamicSupervisor, ExitReason, GenServer, Info, ReplyTo, Restart,
    ServerActor, ServerRef, Strategy, Supervisor,
};
use tokio::sync::{mpsc, oneshot};

#[actix::test]
async fn every_question_has_an_answer_of_its_own_type() {
    let server = server().await;
    assert_eq!(server.name.call(Ask::Value).await, Ok(7));
    assert_eq!(server.name.call(|reply| Ask::Length("four", reply)).await, Ok(4));
    let life = server.name.pid().expect("it lives").server::<Probe>().expect("it is one");
    assert_eq!(life.call(Ask::Value).timeout(Duration::from_secs(60)).await, Ok(7));
}

#[actix::test]
async fn an_answer_can_come_later_and_from_elsewhere() {
    let server = server().await;
    let call = server.asks(server.name.call(Ask::Keep)).await;
    server.tell(|probe, _| {
        probe.kept.remove(0).send(8);
        Ok(())
    });
    assert_eq!(call.await.expect("no panic"), Ok(8));

    let (away, here) = oneshot::channel();
    let call = server
        .asks(server.name.call(run(move |probe, _| {
            away.send(probe.kept.remove(0)).expect("the test waits");
            Ok(())
        })))
        .await;
    let reply = here.await.expect("the server sends it");
    assert!(reply.has_caller());
    std::thread::spawn(move || reply.send(9)).join().expect("no panic");
    assert_eq!(call.await.expect("no panic"), Ok(9));
}

#[actix::test]
async fn a_question_that_is_dropped_has_no_reply() {
    let server = server().await;
    let at_once = run(|probe, _| {
        probe.kept.clear();
        Ok(())
    });
    assert_eq!(server.name.call(at_once).await, Err(CallError::NoReply));
    let call = server.asks(server.name.call(Ask::Keep)).await;
    server.tell(|probe, _| {
        probe.kept.clear();
        Ok(())
    });
    assert_eq!(call.await.expect("no panic"), Err(CallError::NoReply));
}

#[actix::test]
async fn nobody_waits_for_ever_for_a_server_that_ended() {
    let server = server().await;
    let (away, here) = oneshot::channel();
    let call = server
        .asks(server.name.call(run(move |probe, _| {
            away.send(probe.kept.remove(0)).expect("the test waits");
            Ok(())
        })))
        .await;
    let reply = here.await.expect("the server sends it");
    server.tell(|_, _| Err(error("enough")));
    // The way back is still there, but the server is not.
    assert_eq!(call.await.expect("no panic"), Err(CallError::Exit(error("enough"))));
    assert!(!reply.has_caller());
    reply.send(1);
}

#[actix::test]
async fn a_thousand_questions_can_be_open_at_once() {
    let server = server().await;
    let asked = (0..1_000).map(|_| actix_rt::spawn(server.name.call(Ask::Keep).into_future()));
    let mut asked: Vec<_> = asked.collect();
    server.settled().await;
    let (count, counted) = oneshot::channel();
    // The last half, the latest first; then some more; and it ends.
    server.tell(|probe, _| {
        let last = probe.kept.split_off(500);
        last.into_iter().rev().for_each(|reply| reply.send(1));
        Ok(())
    });
    for call in asked.split_off(500) {
        assert_eq!(call.await.expect("no panic"), Ok(1));
    }
    let late = server.asks(server.name.call(Ask::Keep)).await;
    server.tell(move |probe, _| {
        assert!(count.send(probe.kept.len()).is_ok());
        probe.kept.remove(500).send(2);
        Ok(())
    });
    assert_eq!((counted.await, late.await.expect("no panic")), (Ok(501), Ok(2)));
    server.tell(|_, _| Err(error("enough")));
    for call in asked {
        assert_eq!(call.await.expect("no panic"), Err(CallError::Exit(error("enough"))));
    }
}

#[actix::test]
async fn who_gave_up_is_not_wanted_any_more() {
    tokio::time::pause();
    let server = server().await;
    let limit = Duration::from_secs(1);
    let call = server.name.call(Ask::Keep).timeout(limit);
    assert_eq!(call.await, Err(CallError::Timeout(limit)));
    let (wanted, is_wanted) = oneshot::channel();
    server.settled().await;
    server.tell(move |probe, _| {
        wanted.send(probe.kept.remove(0).has_caller()).expect("the test waits");
        Ok(())
    });
    assert_eq!(is_wanted.await, Ok(false));
}

#[actix::test]
async fn an_error_is_the_reason_of_the_end_and_of_terminate() {
    let mut server = server().await;
    let life = server.name.pid().expect("it lives");
    server.tell(|probe, ctx| {
        ctx.continue_with(|probe, _| {
            probe.hears(Heard::Step(1));
            Ok(())
        });
        probe.hears(Heard::Step(0));
        "no number".parse::<u32>()?;
        Ok(())
    });
    let text = "no number".parse::<u32>().expect_err("it is none").to_string();
    assert_eq!(server.hears().await, Heard::Step(0));
    assert_eq!(server.hears().await, Heard::End(error(&text)), "nothing comes between");
    assert_eq!(life.wait_exit().await, error(&text));
}

#[actix::test]
async fn a_stop_can_be_answered_first() {
    let mut server = server().await;
    let reason = ExitReason::ShutdownWith("done".to_owned());
    let end = reason.clone();
    let call = server.name.call(run(move |probe, _| {
        probe.kept.remove(0).send(1);
        Err(end)
    }));
    assert_eq!(call.await, Ok(1));
    assert_eq!(server.hears().await, Heard::End(reason));
}

#[actix::test]
async fn terminate_hears_of_a_stop_by_the_supervisor() {
    let mut server = server().await;
    server.tree.stop();
    assert_eq!(server.hears().await, Heard::End(ExitReason::Shutdown));
}

#[actix::test]
async fn terminate_is_not_run_after_a_kill_a_signal_or_a_panic() {
    for end in 0..3 {
        let mut server = server().await;
        let life = server.name.pid().expect("it lives");
        match end {
            0 => life.kill(),
            1 => life.exit(error("enough")),
            _ => server.tell(|_, _| panic!("boo")),
        }
        let reason = life.wait_exit().await;
        match end {
            0 => assert_eq!(reason, ExitReason::Killed),
            1 => assert_eq!(reason, error("enough")),
            _ => assert!(matches!(reason, ExitReason::Panic { message, .. } if message == "boo")),
        }
        server.tree.stop();
        server.tree.stopped().await;
        drop(server.tree);
        assert_eq!(server.heard.recv().await, None, "nothing was heard after {end}");
    }
}

#[actix::test]
async fn who_traps_exits_hears_of_them_and_of_downs() {
    let (mut server, other) = (server().await, server().await);
    let (life, others) = (server.name.pid().expect("it lives"), other.name.pid().expect("it lives"));
    let pid = others.clone();
    server.tell(move |_, ctx| {
        ctx.trap_exits();
        let monitor = ctx.monitor(&pid);
        ctx.demonitor(&monitor);
        ctx.monitor(&pid);
        Ok(())
    });
    server.settled().await;
    life.exit(error("told"));
    assert!(matches!(server.hears().await, Heard::Info(Info::Exit(exit)) if exit.reason == error("told")));
    others.kill();
    assert!(
        matches!(server.hears().await, Heard::Info(Info::Down(down)) if down.pid == others && down.reason == ExitReason::Killed)
    );
    server.settled().await;
    assert!(server.heard.try_recv().is_err(), "the other monitor was taken back");
}

#[actix::test]
async fn an_error_in_init_is_a_failed_start() {
    let (name, (tell, mut heard)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec = name.child_spec("server", move |_| {
        let init: Do = Box::new(|_, _| Err(error("no database")));
        Ok(Probe { heard: tell.clone(), kept: Vec::new(), init: Some(init) })
    });
    let start = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(spec).start().await;
    let reason = start.expect_err("it cannot start").to_string();
    assert_eq!(reason, "child server failed to start: no database");
    assert_eq!(heard.recv().await, Some(Heard::End(error("no database"))));
}

#[actix::test]
async fn a_full_queue_gives_the_message_back() {
    let (name, (tell, mut heard)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec =
        name.child_spec("server", move |_| Ok(Probe { heard: tell.clone(), kept: Vec::new(), init: None }));
    let _tree = tree(spec.mailbox_limit(1)).await;
    let step = |number| {
        let what: Do = Box::new(move |probe, _| {
            probe.hears(Heard::Step(number));
            Ok(())
        });
        Tell(what)
    };
    name.cast(step(1)).expect("there is room");
    let Err(CastError::Full(back)) = name.cast(step(2)) else { panic!("there is no room") };
    assert_eq!(heard.recv().await, Some(Heard::Step(1)));
    name.cast(back).expect("there is room again");
    assert_eq!(heard.recv().await, Some(Heard::Step(2)));
}

#[actix::test]
async fn a_restart_leads_to_a_new_server() {
    let (name, (tell, _heard)) = (ServerRef::<Probe>::new(), mpsc::unbounded_channel());
    let spec =
        name.child_spec("server", move |_| Ok(Probe { heard: tell.clone(), kept: Vec::new(), init: None }));
    let _tree = tree(spec).await;
    let first = name.pid().expect("it lives");
    name.cast(Tell(Box::new(|_, _| panic!("boo")))).expect("there is room");
    first.wait_exit().await;
    assert_eq!(name.call(Ask::Value).wait().await, Ok(7));
    assert_ne!(name.available().await, first);
    assert_eq!(first.server::<Probe>().map(|_| ()), None);
}

/// It has only what it must.
struct Bare;

impl GenServer for Bare {
    type Call = ReplyTo<()>;
    type Cast = ();
}

/// It can be told nothing, and has a message of its own.
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
async fn a_missing_callback_ends_a_server_as_in_otp() {
    let name = ServerRef::new();
    let _tree = tree(name.child_spec("bare", |_| Ok(Bare)).restart(Restart::Temporary)).await;
    let outcome = name.call(|reply| reply).await;
    // The question is dropped, and that it ends is seen a moment later.
    assert_eq!(outcome, Err(CallError::Exit(error("it was called, but has no handle_call"))));
    let name = ServerRef::new();
    let _tree = tree(name.child_spec("bare", |_| Ok(Bare)).restart(Restart::Temporary)).await;
    let life = name.pid().expect("it lives");
    name.cast(()).expect("there is room");
    assert_eq!(life.wait_exit().await, error("it was cast to, but has no handle_cast"));
}

#[actix::test]
async fn a_server_can_have_messages_of_its_own_and_be_dynamic() {
    let name = ServerRef::new();
    let one = tree(name.child_spec("extra", |_| Ok(Extra(1)))).await;
    assert_eq!(name.child().call(Add(2)).await, Ok(3));
    assert_eq!(name.child().call(Add(3)).await, Ok(6));
    one.stop();

    let (sessions, (tell, mut pids)) = (DynamicRef::new(), mpsc::unbounded_channel());
    let spec = sessions.child_spec(
        "sessions",
        DynamicSupervisor::new(move |env, number| {
            tell.send(env.pid()).expect("the test waits");
            Ok(ServerActor::new(Extra(number), env))
        }),
    );
    let _tree = tree(spec).await;
    sessions.start(40).expect("it runs");
    let pid = pids.recv().await.expect("it starts");
    let server = loop {
        match pid.server::<Extra>() {
            Some(server) => break server,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(server.child().call(Add(2)).await, Ok(42));
}
