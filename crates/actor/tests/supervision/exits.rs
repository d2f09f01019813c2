//! Every way in which an actor exits: panic, stop, kill, refusal to stop, stopped arbiter.
//!
//! Each case runs on the supervisor's arbiter and on another one. Each exit is reported once, with its reason, and stops
//! nothing else.

use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Running, StreamHandler,
    WrapFuture,
};
use actix_rt::Arbiter;
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, ExitReason, Intensity, StartError, Strategy, Supervisor, TraceKind,
    Tree,
};
use slog::{Discard, Logger, o};

/// Behavior of the actor in each callback.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "()")]
struct Script {
    /// The constructor panics.
    new: bool,
    /// `started()` panics.
    started: bool,
    /// Action of the message handler.
    then: Then,
    /// `stopping()` panics or returns `Running::Continue`.
    stopping: Hook,
    /// `stopped()` panics.
    stopped: bool,
    /// Dropping the actor panics.
    dropped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Then {
    #[default]
    Nothing,
    Panic,
    PanicInFuture,
    PanicInWait,
    PanicInStream,
    PanicInTimer,
    Stop,
    Fail,
    Terminate,
    AwaitForever,
    WaitForever,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Hook {
    #[default]
    Silent,
    Panics,
    Refuses,
}

struct Victim {
    script: Script,
    env: ChildContext,
}

impl Actor for Victim {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        assert!(!self.script.started, "in started");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        assert!(self.script.stopping != Hook::Panics, "in stopping");
        if self.script.stopping == Hook::Refuses { Running::Continue } else { Running::Stop }
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        assert!(!self.script.stopped, "in stopped");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        assert!(!self.script.dropped, "in drop");
    }
}

impl StreamHandler<()> for Victim {
    fn handle(&mut self, (): (), _: &mut Context<Self>) {
        panic!("in stream");
    }
}

impl Handler<Script> for Victim {
    type Result = ();

    fn handle(&mut self, script: Script, ctx: &mut Context<Self>) {
        match script.then {
            Then::Nothing => {}
            Then::Panic => panic!("in handler"),
            Then::PanicInFuture => drop(ctx.spawn(async { panic!("in future") }.into_actor(self))),
            Then::PanicInWait => ctx.wait(async { panic!("in wait") }.into_actor(self)),
            Then::PanicInStream => drop(ctx.add_stream(futures::stream::iter([()]))),
            Then::PanicInTimer => drop(ctx.run_later(Duration::ZERO, |_, _| panic!("in timer"))),
            Then::Stop => ctx.stop(),
            Then::Fail => {
                self.env.set_exit_reason(ExitReason::Error("own reason".into()));
                ctx.stop();
            }
            Then::Terminate => ctx.terminate(),
            Then::AwaitForever => drop(ctx.spawn(std::future::pending().into_actor(self))),
            Then::WaitForever => ctx.wait(std::future::pending().into_actor(self)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Same,
    Other,
}

/// Starts a victim in a tree without restarts, so the tree exits with it. The caller keeps the arbiter, if any.
async fn start(
    script: Script,
    place: Place,
) -> (Result<Tree, StartError>, ChildRef<Victim>, Option<Arbiter>) {
    let victim = ChildRef::new();
    let spec = victim.child_spec("victim", move |env: &ChildContext| {
        assert!(!script.new, "in new");
        Ok(Victim { script, env: env.clone() })
    });
    let arbiter = matches!(place, Place::Other).then(Arbiter::new);
    let spec = match &arbiter {
        Some(arbiter) => spec.on(arbiter.handle()),
        None => spec,
    };
    (tree(spec).start().await, victim, arbiter)
}

fn tree(child: ChildSpec) -> Supervisor {
    Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(0, Duration::from_secs(1)))
        .logger(Logger::root(Discard, o!()))
        .child(child)
}

/// The exit reason that the supervisor receives after the victim handled its one message.
async fn end_of(script: Script, place: Place) -> ExitReason {
    let (tree, victim, _arbiter) = start(script, place).await;
    victim.addr().expect("the actor has started").do_send(script);
    match tree.expect("the start succeeds").stopped().await {
        ExitReason::GaveUp { reason, .. } => *reason,
        other => other,
    }
}

#[track_caller]
fn is_panic(reason: &ExitReason, text: &str) {
    let ExitReason::Panic { message, location } = reason else {
        panic!("expected a panic \"{text}\", got {reason:?}")
    };
    assert_eq!(message, text);
    assert!(location.as_ref().is_some_and(|location| location.contains("exits.rs:")), "{location:?}");
}

const PLACES: [Place; 2] = [Place::Same, Place::Other];

#[actix_rt::test]
async fn panics_are_reported_with_message_and_location() {
    for place in PLACES {
        for (then, text) in [
            (Then::Panic, "in handler"),
            (Then::PanicInFuture, "in future"),
            (Then::PanicInWait, "in wait"),
            (Then::PanicInStream, "in stream"),
            (Then::PanicInTimer, "in timer"),
        ] {
            is_panic(&end_of(Script { then, ..Script::default() }, place).await, text);
        }
    }
}

#[actix_rt::test]
async fn second_panic_in_hooks_or_drop_keeps_the_first_reason() {
    for place in PLACES {
        let bad = Script { then: Then::Panic, stopping: Hook::Panics, stopped: true, ..Script::default() };
        is_panic(&end_of(bad, place).await, "in handler");
        let worse = Script { dropped: true, ..bad };
        is_panic(&end_of(worse, place).await, "in handler");
    }
}

#[actix_rt::test]
async fn panic_while_stopping_is_the_exit_reason() {
    for place in PLACES {
        let stop = Script { then: Then::Stop, ..Script::default() };
        is_panic(&end_of(Script { stopping: Hook::Panics, ..stop }, place).await, "in stopping");
        is_panic(&end_of(Script { stopped: true, ..stop }, place).await, "in stopped");
        is_panic(&end_of(Script { dropped: true, ..stop }, place).await, "in drop");
    }
}

#[actix_rt::test]
async fn self_stop_exits_normal_or_with_the_set_reason() {
    for place in PLACES {
        let end = async |then| end_of(Script { then, ..Script::default() }, place).await;
        assert_eq!(end(Then::Stop).await, ExitReason::Normal);
        assert_eq!(end(Then::Terminate).await, ExitReason::Normal);
        assert_eq!(end(Then::Fail).await, ExitReason::Error("own reason".into()));
    }
}

#[actix_rt::test]
async fn panic_in_new_or_started_fails_the_start() {
    for place in PLACES {
        for (script, text) in [
            (Script { new: true, ..Script::default() }, "in new"),
            (Script { started: true, ..Script::default() }, "in started"),
        ] {
            let (tree, ..) = start(script, place).await;
            let Err(StartError::Failed(ExitReason::FailedToStart { reason, .. })) = tree else {
                panic!("{script:?} {place:?} started")
            };
            is_panic(&reason, text);
        }
    }
}

/// Runs the given function in `started()`. The function stops the actor before it is ready.
struct Early(fn(&mut Context<Self>));

impl Actor for Early {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        (self.0)(ctx);
    }
}

#[actix_rt::test]
async fn exit_before_ready_fails_the_start_without_started_event() {
    let ways: [fn(&mut Context<Early>); 4] = [
        |ctx| ctx.stop(),
        |ctx| ctx.terminate(),
        |ctx| {
            ctx.wait(async {}.into_actor(&Early(|_| {})));
            ctx.stop();
        },
        |ctx| ctx.wait(async {}.into_actor(&Early(|_| {})).map(|(), _, ctx| ctx.stop())),
    ];
    let arbiter = Arbiter::new();
    for (way, place) in ways.into_iter().flat_map(|way| PLACES.map(|place| (way, place))) {
        let (events, mut traced) = tokio::sync::mpsc::channel(8);
        let spec = ChildSpec::actor("early", move |env| {
            env.pid().trace(events.clone());
            Ok(Early(way))
        });
        let spec = if matches!(place, Place::Other) { spec.on(arbiter.handle()) } else { spec };
        let Err(StartError::Failed(ExitReason::FailedToStart { reason, .. })) = tree(spec).start().await
        else {
            panic!("the actor started, {place:?}")
        };
        assert_eq!(*reason, ExitReason::Normal);
        let event = traced.recv().await.map(|event| event.kind);
        assert_eq!(event, Some(TraceKind::End(ExitReason::Normal)), "the exit is the first event");
    }
}

#[actix_rt::test]
async fn stop_ends_idle_and_waiting_actors() {
    for place in PLACES {
        for then in [Then::Nothing, Then::AwaitForever, Then::WaitForever] {
            let script = Script { then, ..Script::default() };
            let (tree, victim, _arbiter) = start(script, place).await;
            victim.addr().expect("the actor has started").do_send(script);
            let tree = tree.expect("the start succeeds");
            tree.stop();
            assert_eq!(tree.stopped().await, ExitReason::Shutdown);
            assert!(!victim.addr().expect("the actor has started").connected());
        }
    }
}

#[actix_rt::test]
async fn kill_ends_actors_that_refuse_to_stop() {
    for place in PLACES {
        for then in [Then::Nothing, Then::AwaitForever, Then::WaitForever] {
            let script = Script { then, stopping: Hook::Refuses, ..Script::default() };
            let (tree, victim, _arbiter) = start(script, place).await;
            let addr = victim.addr().expect("the actor has started");
            addr.do_send(script);
            let tree = tree.expect("the start succeeds");
            tree.kill();
            assert_eq!(tree.stopped().await, ExitReason::Killed);
            // A killed supervisor does not wait for its children, so the exit may come later.
            while addr.connected() {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[actix_rt::test]
async fn refusing_actor_is_killed_after_shutdown_timeout() {
    for place in PLACES {
        let script = Script { stopping: Hook::Refuses, ..Script::default() };
        let victim = ChildRef::new();
        let spec = victim
            .child_spec("victim", move |env: &ChildContext| Ok(Victim { script, env: env.clone() }))
            .shutdown(Duration::from_millis(1));
        let arbiter = matches!(place, Place::Other).then(Arbiter::new);
        let spec = match &arbiter {
            Some(arbiter) => spec.on(arbiter.handle()),
            None => spec,
        };
        let tree = tree(spec).start().await.expect("the start succeeds");
        tree.stop();
        assert_eq!(tree.stopped().await, ExitReason::Shutdown);
        assert!(!victim.addr().expect("the actor has started").connected());
    }
}

#[actix_rt::test]
async fn stopped_arbiter_kills_its_actors() {
    let (tree, _victim, arbiter) = start(Script::default(), Place::Other).await;
    let (tree, arbiter) =
        (tree.expect("the start succeeds"), arbiter.expect("the actor has its own arbiter"));
    arbiter.stop();
    let ExitReason::GaveUp { reason, .. } = tree.stopped().await else { panic!("the tree did not give up") };
    assert_eq!(*reason, ExitReason::Killed);
}

#[actix_rt::test]
async fn start_on_a_stopped_arbiter_fails_with_noproc() {
    let arbiter = Arbiter::new();
    let handle = arbiter.handle();
    arbiter.stop();
    arbiter.join().expect("the arbiter thread ends");
    let spec = ChildSpec::actor("late", |env: &ChildContext| {
        Ok(Victim { script: Script::default(), env: env.clone() })
    });
    let Err(StartError::Failed(ExitReason::FailedToStart { reason, .. })) =
        tree(spec.on(handle)).start().await
    else {
        panic!("the actor started")
    };
    assert_eq!(*reason, ExitReason::NoProc);
}
