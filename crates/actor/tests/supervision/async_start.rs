//! Async factories: every way in which a start ends before the actor exists.
//!
//! Each case runs on the supervisor's arbiter and on another one. Each exit is reported once, with its reason, after the
//! factory's future is dropped.

use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::Arbiter;
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, ExitReason, Pid, RequestError, Restart, Shutdown, StartError,
    Strategy, Supervisor, SupervisorError, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::{mpsc, oneshot};

struct Slow;

impl Actor for Slow {
    type Context = Context<Self>;
}

/// Behavior of the factory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    PanicAtOnce,
    PanicLater,
    Fail,
    Ignore,
    Succeed,
    /// Never completes. `true`: its drop panics.
    Hang(bool),
}

/// Sends a message when the factory's future is dropped. `true`: the drop panics afterwards.
struct Gone(mpsc::UnboundedSender<()>, bool);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
        assert!(!self.1, "in drop");
    }
}

async fn play(script: Script, gone: Gone) -> Result<Slow, StartError> {
    let _gone = gone;
    tokio::task::yield_now().await;
    match script {
        Script::PanicAtOnce => unreachable!("the factory panics before this future exists"),
        Script::PanicLater => panic!("later"),
        Script::Fail => Err("no database".into()),
        Script::Ignore => Err(StartError::Ignore),
        Script::Succeed => Ok(Slow),
        Script::Hang(_) => std::future::pending().await,
    }
}

/// A tree and the one child that is being started in it.
struct Start {
    tree: Tree,
    name: ChildRef<Slow>,
    pids: mpsc::UnboundedReceiver<Pid>,
    gone: mpsc::UnboundedReceiver<()>,
    arbiter: Option<Arbiter>,
    answer: oneshot::Receiver<Result<Option<Pid>, SupervisorError>>,
}

const PLACES: [bool; 2] = [false, true];

async fn start(script: Script, elsewhere: bool, adapt: impl FnOnce(ChildSpec) -> ChildSpec) -> Start {
    let tree = Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!())).start().await;
    let tree = tree.expect("the start succeeds");
    let (name, (pid, pids), (drops, gone)) =
        (ChildRef::new(), mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let spec = name.child_spec_async("slow", move |env: ChildContext| {
        assert!(script != Script::PanicAtOnce, "at once");
        let _ = pid.send(env.pid());
        play(script, Gone(drops.clone(), script == Script::Hang(true)))
    });
    let arbiter = elsewhere.then(Arbiter::new);
    let spec = match &arbiter {
        Some(arbiter) => spec.on(arbiter.handle()),
        None => spec,
    };
    let (root, spec) = (tree.root().clone(), adapt(spec.shutdown(Shutdown::Infinity)));
    let (answered, answer) = oneshot::channel();
    actix_rt::spawn(async move { answered.send(root.start_child(spec).await) });
    Start { tree, name, pids, gone, arbiter, answer }
}

impl Start {
    async fn pid(&mut self) -> Pid {
        self.pids.recv().await.expect("the factory runs")
    }

    /// The reason of the failed start.
    ///
    /// Checks that `pid` exits with the same reason and that the future was dropped once.
    async fn failure(mut self, pid: Option<Pid>) -> ExitReason {
        let answer = self.answer.await.expect("the supervisor replies");
        let Err(SupervisorError::Refused(RequestError::StartFailed(reason))) = answer else {
            panic!("{answer:?}")
        };
        if let Some(pid) = pid {
            assert_eq!(pid.wait_exit().await, reason);
            assert_eq!(self.gone.recv().await, Some(()));
            assert!(self.gone.try_recv().is_err(), "the future is dropped once");
        }
        assert!(self.name.pid().is_none(), "no actor was started");
        self.tree.stop();
        assert_eq!(self.tree.stopped().await, ExitReason::Shutdown);
        reason
    }
}

#[track_caller]
fn is_panic(reason: &ExitReason, text: &str) {
    let ExitReason::Panic { message, location } = reason else {
        panic!("expected a panic \"{text}\", got {reason:?}")
    };
    assert_eq!(message, text);
    assert!(location.as_ref().is_some_and(|location| location.contains("async_start.rs:")), "{location:?}");
}

#[actix_rt::test]
async fn factory_panic_fails_the_start() {
    for place in PLACES {
        let start_at_once = start(Script::PanicAtOnce, place, |spec| spec).await;
        is_panic(&start_at_once.failure(None).await, "at once");
        let mut start = start(Script::PanicLater, place, |spec| spec).await;
        let pid = start.pid().await;
        is_panic(&start.failure(Some(pid)).await, "later");
    }
}

#[actix_rt::test]
async fn factory_error_fails_the_start() {
    for place in PLACES {
        let mut start = start(Script::Fail, place, |spec| spec).await;
        let pid = start.pid().await;
        assert_eq!(start.failure(Some(pid)).await, ExitReason::Error("no database".to_owned()));
    }
}

#[actix_rt::test]
async fn ignore_from_the_factory_leaves_no_child() {
    for place in PLACES {
        let mut start = start(Script::Ignore, place, |spec| spec).await;
        let pid = start.pid().await;
        assert_eq!(start.answer.await.expect("the supervisor replies"), Ok(None));
        assert_eq!(pid.wait_exit().await, ExitReason::Normal);
        assert_eq!(start.tree.root().count_children().await.expect("the actor is running").active, 0);
    }
}

#[actix_rt::test]
async fn ok_from_the_factory_starts_the_actor() {
    for place in PLACES {
        let mut start = start(Script::Succeed, place, |spec| spec).await;
        let pid = start.pid().await;
        assert_eq!(start.answer.await.expect("the supervisor replies"), Ok(Some(pid.clone())));
        assert_eq!(start.gone.recv().await, Some(()));
        assert_eq!(start.name.pid(), Some(pid.clone()));
        start.tree.stop();
        assert_eq!(start.tree.stopped().await, ExitReason::Shutdown);
        assert_eq!(pid.wait_exit().await, ExitReason::Shutdown);
    }
}

#[actix_rt::test]
async fn kill_drops_the_factory_future_even_if_drop_panics() {
    for place in PLACES {
        for bomb in [false, true] {
            let mut start = start(Script::Hang(bomb), place, |spec| spec).await;
            let pid = start.pid().await;
            pid.kill();
            assert_eq!(start.failure(Some(pid)).await, ExitReason::Killed);
        }
    }
}

#[actix_rt::test]
async fn exit_signal_ends_the_factory_unless_normal() {
    for place in PLACES {
        let mut start = start(Script::Hang(false), place, |spec| spec).await;
        let (pid, reason) = (start.pid().await, ExitReason::Error("over".to_owned()));
        pid.exit(ExitReason::Normal);
        pid.exit(reason.clone());
        assert_eq!(start.failure(Some(pid)).await, reason);
    }
}

#[actix_rt::test]
async fn link_made_in_the_factory_ends_the_start() {
    for place in PLACES {
        let mut other = start(Script::Hang(false), place, |spec| spec).await;
        let to = other.pid().await;
        let (mut start, linked) = {
            let (notifier, linked) = oneshot::channel();
            let notifier = std::sync::Mutex::new(Some(notifier));
            let to = to.clone();
            let spec = ChildSpec::actor_async("linked", move |env: ChildContext| {
                env.link(&to);
                if let Some(notifier) = notifier.lock().expect("the lock is not poisoned").take() {
                    let _ = notifier.send(env.pid());
                }
                std::future::pending::<Result<Slow, StartError>>()
            });
            (start(Script::Succeed, place, |_| spec).await, linked)
        };
        let linked = linked.await.expect("the factory runs");
        to.kill();
        assert_eq!(linked.wait_exit().await, ExitReason::Killed);
        assert!(start.pids.try_recv().is_err());
        assert_eq!(start.failure(None).await, ExitReason::Killed);
        assert_eq!(other.failure(Some(to)).await, ExitReason::Killed);
    }
}

#[actix_rt::test]
async fn start_timeout_kills_the_factory() {
    for place in PLACES {
        let limit = Duration::from_millis(1);
        let mut start = start(Script::Hang(false), place, |spec| spec.start_timeout(limit)).await;
        let pid = start.pid().await;
        let answer = start.answer.await.expect("the supervisor replies");
        assert_eq!(
            answer,
            Err(SupervisorError::Refused(RequestError::StartFailed(ExitReason::StartTimeout)))
        );
        assert_eq!(pid.wait_exit().await, ExitReason::Killed, "a start timeout kills the factory");
    }
}

#[actix_rt::test]
async fn shutdown_stops_a_hanging_start_after_the_timeout() {
    tokio::time::pause();
    for place in PLACES {
        let mut start = start(Script::Hang(false), place, |spec| spec).await;
        let pid = start.pid().await;
        start.tree.stop();
        assert_eq!(start.tree.stopped().await, ExitReason::Shutdown);
        assert_eq!(pid.wait_exit().await, ExitReason::Shutdown);
        assert_eq!(start.gone.recv().await, Some(()));
        let answer = start.answer.await.expect("the supervisor replies");
        assert_eq!(answer, Err(SupervisorError::Refused(RequestError::ShuttingDown)));
    }
}

#[actix_rt::test]
async fn killing_the_tree_kills_the_factory() {
    for place in PLACES {
        let mut start = start(Script::Hang(false), place, |spec| spec).await;
        let pid = start.pid().await;
        start.tree.kill();
        assert_eq!(start.tree.stopped().await, ExitReason::Killed);
        assert_eq!(pid.wait_exit().await, ExitReason::Killed);
        assert_eq!(start.gone.recv().await, Some(()));
    }
}

#[actix_rt::test]
async fn stopped_arbiter_kills_the_factory() {
    let mut start = start(Script::Hang(false), true, |spec| spec).await;
    let pid = start.pid().await;
    start.arbiter.take().expect("the actor has its own arbiter").stop();
    assert_eq!(start.failure(Some(pid)).await, ExitReason::Killed);
}

#[actix_rt::test]
async fn restart_waits_for_the_async_factory() {
    let (name, (permit, permits)) = (ChildRef::<Slow>::new(), mpsc::unbounded_channel::<()>());
    let permits = std::sync::Arc::new(tokio::sync::Mutex::new(permits));
    let spec = name.child_spec_async("slow", move |_| {
        let permits = permits.clone();
        async move {
            permits.lock().await.recv().await;
            Ok(Slow)
        }
    });
    permit.send(()).expect("the factory waits for it");
    let tree = Supervisor::new(Strategy::OneForOne)
        .logger(Logger::root(Discard, o!()))
        .child(spec.restart(Restart::Transient))
        .start()
        .await
        .expect("the start succeeds");
    let first = name.pid().expect("the actor is running");
    first.kill();
    first.wait_exit().await;
    // The supervisor serves requests between restarts, so it replies after the permit arrives.
    let (root, asked) = (tree.root().clone(), tree.root().which_children());
    permit.send(()).expect("the factory waits for it");
    let next = name.available().await;
    assert_ne!(next.pid(), &first);
    assert_eq!(asked.await.expect("the actor is running").len(), 1);
    root.stop(ExitReason::ShutdownWith("done".to_owned())).await.expect("the actor is running");
    assert_eq!(tree.stopped().await, ExitReason::ShutdownWith("done".to_owned()));
}

#[actix_rt::test]
async fn async_factory_starts_a_supervisor_or_fails() {
    let name = impresario_actor::SupervisorRef::new();
    let nested = name.child_spec_async("nested", async |_| {
        tokio::task::yield_now().await;
        Ok(Supervisor::new(Strategy::OneForOne).child(ChildSpec::actor("slow", |_| Ok(Slow))))
    });
    let tree = Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!())).child(nested);
    let tree = tree.start().await.expect("the start succeeds");
    assert_eq!(name.count_children().await.expect("the actor is running").active, 1);
    let failing = ChildSpec::supervisor_async("failing", async |_| Err("no configuration".into()));
    let refused = tree.root().start_child(failing).await;
    let reason = ExitReason::Error("no configuration".to_owned());
    assert_eq!(refused, Err(SupervisorError::Refused(RequestError::StartFailed(reason))));
}
