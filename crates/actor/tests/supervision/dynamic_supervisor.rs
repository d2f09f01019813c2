//! [`DynamicSupervisor`]: start, restart, limits, replacement and stop of instances.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context};
use impresario_actor::{
    Backoff, ChildContext, ChildKind, DynamicRef, DynamicSupervisor, ExitReason, Instance, Intensity, Pid,
    RequestError, Restart, Shutdown, StartError, Strategy, Supervisor, SupervisorError, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc;

/// Arguments of an instance. `clone` increments `copy`, so a test sees whether the original or a clone was used.
#[derive(Debug, PartialEq)]
struct Job {
    name: &'static str,
    copy: u32,
}

impl Clone for Job {
    fn clone(&self) -> Self {
        Self { name: self.name, copy: self.copy + 1 }
    }
}

struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

type Starts = mpsc::UnboundedReceiver<(Job, Pid)>;

fn job(name: &'static str) -> Job {
    Job { name, copy: 0 }
}

/// A supervisor of [`Worker`]s, and a channel of the started ones.
///
/// Job `unneeded` returns `StartError::Ignore`, `broken` returns an error, `bomb` panics.
fn workers() -> (DynamicSupervisor<Job>, Starts) {
    let (notifier, starts) = mpsc::unbounded_channel();
    let supervisor = DynamicSupervisor::new(move |env: &ChildContext, job: Job| {
        match job.name {
            "unneeded" => return Err(StartError::Ignore),
            "broken" => return Err("factory error".into()),
            "bomb" => panic!("factory panic"),
            _ => {}
        }
        let _ = notifier.send((job, env.pid()));
        Ok(Worker)
    });
    (supervisor, starts)
}

async fn run(supervisor: DynamicSupervisor<Job>) -> (Tree, DynamicRef<Job>) {
    let name = DynamicRef::new();
    let tree = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(0, Duration::from_secs(1)))
        .logger(Logger::root(Discard, o!()))
        .child(name.child_spec("workers", supervisor))
        .start()
        .await;
    (tree.expect("the start succeeds"), name)
}

fn refused<R>(error: RequestError) -> Result<R, SupervisorError> {
    Err(SupervisorError::Refused(error))
}

#[actix_rt::test]
async fn start_child_returns_pid_none_error_or_panic() {
    let (supervisor, mut starts) = workers();
    let (_tree, name) = run(supervisor).await;
    let pid = name.start_child(job("a")).await.expect("the start succeeds");
    let (seen, started) = starts.recv().await.expect("the start succeeds");
    assert_eq!((seen, Some(started)), (job("a"), pid.clone()), "the factory gets the original arguments");
    assert_eq!(name.start_child(job("unneeded")).await, Ok(None));
    let broken = RequestError::StartFailed(ExitReason::Error("factory error".to_owned()));
    assert_eq!(name.start_child(job("broken")).await, refused(broken));
    let bomb = name.start_child(job("bomb")).await;
    assert!(
        matches!(
            &bomb,
            Err(SupervisorError::Refused(RequestError::StartFailed(ExitReason::Panic { message, .. })))
                if message == "factory panic"
        ),
        "{bomb:?}"
    );
    let counts = name.count_children().await.expect("the actor is running");
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (1, 1, 1, 0));
    assert_eq!(name.which_children().await, Ok(vec![Instance::Running(pid.expect("the actor is running"))]));
}

#[actix_rt::test]
async fn restart_policy_restarts_instances_with_their_arguments() {
    for (restart, reason, back) in [
        (Restart::Permanent, ExitReason::Normal, true),
        (Restart::Transient, ExitReason::Killed, true),
        (Restart::Transient, ExitReason::Shutdown, false),
        (Restart::Temporary, ExitReason::Killed, false),
    ] {
        let (supervisor, mut starts) = workers();
        let (_tree, name) = run(supervisor.restart(restart)).await;
        let first = name
            .start_child(job("a"))
            .await
            .expect("the start succeeds")
            .expect("the factory returns an actor");
        starts.recv().await.expect("the start succeeds");
        match &reason {
            ExitReason::Killed => first.kill(),
            ExitReason::Normal => first
                .actor::<Worker>()
                .expect("the actor is running")
                .cast(Stop)
                .expect("the actor is running"),
            reason => first.exit(reason.clone()),
        }
        assert_eq!(first.wait_exit().await, reason);
        if back {
            let (again, second) = starts.recv().await.expect("the instance is restarted");
            assert_eq!((again.name, again.copy), ("a", 1));
            assert_ne!(second, first);
            let listed = name.which_children().await.expect("the actor is running");
            assert_eq!(listed.iter().map(Instance::pid).collect::<Vec<_>>(), [&second]);
        } else {
            assert_eq!(name.which_children().await, Ok(Vec::new()));
            assert!(starts.try_recv().is_err());
        }
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Stop;

impl actix::Handler<Stop> for Worker {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        actix::ActorContext::stop(ctx);
    }
}

#[actix_rt::test]
async fn restarts_of_all_instances_share_one_limit() {
    let (supervisor, mut starts) = workers();
    let limit = Intensity::new(1, Duration::from_secs(3600));
    let (tree, name) = run(supervisor.restart(Restart::Permanent).intensity(limit).child_id("job")).await;
    let a =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    let b =
        name.start_child(job("b")).await.expect("the start succeeds").expect("the factory returns an actor");
    a.kill();
    for _ in 0..3 {
        starts.recv().await.expect("the start succeeds");
    }
    b.kill();
    let ExitReason::GaveUp { reason, .. } = tree.stopped().await else { panic!("the tree did not give up") };
    assert_eq!(reason.to_string(), "restart limit reached, last failure of child job: killed");
    assert_eq!(name.start_child(job("c")).await, Err(SupervisorError::NotRunning));
}

#[actix_rt::test]
async fn restart_child_ends_a_backoff_early() {
    tokio::time::pause();
    let (supervisor, mut starts) = workers();
    let hour = Duration::from_secs(3600);
    let backoff = Backoff { first: hour, max: hour, ..Backoff::default() };
    let (_tree, name) = run(supervisor.restart(Restart::Permanent).backoff(backoff)).await;
    name.start_child(job("a"))
        .await
        .expect("the start succeeds")
        .expect("the factory returns an actor")
        .kill();
    starts.recv().await.expect("the start succeeds");
    let (_, first) = starts.recv().await.expect("the first restart is immediate");
    first.kill();
    first.wait_exit().await;
    assert_eq!(name.which_children().await, Ok(vec![Instance::Restarting(first.clone())]));
    let second =
        name.restart_child(&first).await.expect("the start succeeds").expect("the factory returns an actor");
    assert_eq!(starts.recv().await.expect("the start succeeds").1, second);
    assert_eq!(name.restart_child(&second).await, refused(RequestError::Running));
    assert_eq!(name.restart_child(&first).await, refused(RequestError::NotFound));
    second.kill();
    second.wait_exit().await;
    assert_eq!(name.terminate_child(&second).await, Ok(()), "a stopped instance is found by its last pid");
    assert_eq!(name.which_children().await, Ok(Vec::new()));
}

#[actix_rt::test]
async fn start_above_max_children_is_refused() {
    let (supervisor, _starts) = workers();
    let (_tree, name) = run(supervisor.max_children(1)).await;
    let first =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    assert_eq!(name.start_child(job("b")).await, refused(RequestError::MaxChildren(1)));
    assert_eq!(name.terminate_child(&first).await, Ok(()));
    assert!(!first.is_alive());
    assert!(name.start_child(job("c")).await.expect("the limit is not reached").is_some());
}

#[actix_rt::test]
async fn terminate_child_by_pid_stops_the_instance() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor.restart(Restart::Permanent)).await;
    let first =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    assert_eq!(name.terminate_child(&first).await, Ok(()));
    assert_eq!(first.wait_exit().await, ExitReason::Shutdown);
    assert_eq!(name.terminate_child(&first).await, Ok(()), "an instance that has exited is no error");
    let unrelated = name.pid().expect("the actor is running");
    assert_eq!(name.terminate_child(&unrelated).await, refused(RequestError::NotFound));
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    assert_eq!(name.terminate_child(&first).await, Err(SupervisorError::NotRunning));
}

#[actix_rt::test]
async fn slow_start_does_not_delay_other_instances() {
    let (release, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let supervisor = DynamicSupervisor::new_async(move |_, slow: bool| {
        let wait = wait.lock().expect("the lock is not poisoned").take_if(|_| slow);
        async move {
            match wait {
                Some(wait) => wait.await.map_err(|_| "the sender was dropped")?,
                None => tokio::task::yield_now().await,
            }
            Ok(Worker)
        }
    });
    let name = DynamicRef::new();
    let tree = Supervisor::new(Strategy::OneForOne).child(name.child_spec("workers", supervisor));
    let tree = tree.logger(Logger::root(Discard, o!())).start().await.expect("the start succeeds");
    let mut slow = Box::pin(name.start_child(true));
    assert!(futures::poll!(&mut slow).is_pending());
    assert!(name.start_child(false).await.expect("the start succeeds").is_some());
    assert_eq!(
        name.which_children().await.expect("the actor is running").len(),
        1,
        "a starting instance is not listed"
    );
    release.send(()).expect("the receiver is open");
    assert!(slow.await.expect("the start succeeds").is_some());
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn replace_applies_new_rules_to_running_instances() {
    let (supervisor, _old) = workers();
    let (_tree, name) = run(supervisor.restart(Restart::Permanent)).await;
    let first =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    let (supervisor, mut starts) = workers();
    let with = supervisor.restart(Restart::Transient).shutdown(Shutdown::Kill).kind(ChildKind::Supervisor);
    assert_eq!(name.replace(with).await, Ok(()));
    let rules = name.child_rules().await.expect("the actor is running");
    assert_eq!(
        (rules.restart, rules.shutdown, rules.id.as_str()),
        (Restart::Transient, Shutdown::Kill, "workers")
    );
    assert_eq!(name.count_children().await.expect("the actor is running").supervisors, 1);
    first.kill();
    let (again, second) = starts.recv().await.expect("the new factory starts it");
    assert_eq!(again.name, "a");
    assert_eq!(name.terminate_child(&second).await, Ok(()));
    assert_eq!(second.wait_exit().await, ExitReason::Killed, "the new shutdown rule applies");
    let (bad, _) = workers();
    let error = name.replace(bad.max_children(0)).await.expect_err("the specs are invalid");
    assert!(matches!(error, SupervisorError::Refused(RequestError::Spec(_))), "{error}");
}

#[actix_rt::test]
async fn instance_without_kept_arguments_is_dropped_on_exit() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor).await;
    let first =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    let (supervisor, _starts) = workers();
    // One restart attempt is allowed: a second one would end the supervisor.
    let with = supervisor.restart(Restart::Permanent).intensity(Intensity::new(1, Duration::from_secs(3600)));
    assert_eq!(name.replace(with).await, Ok(()));
    let second =
        name.start_child(job("b")).await.expect("the start succeeds").expect("the factory returns an actor");
    first.kill();
    first.wait_exit().await;
    assert_eq!(name.which_children().await, Ok(vec![Instance::Running(second)]));
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn stop_with_a_reason_ends_the_supervisor_with_it() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor).await;
    let first =
        name.start_child(job("a")).await.expect("the start succeeds").expect("the factory returns an actor");
    let reason = ExitReason::Error("moved".to_owned());
    assert_eq!(name.stop(reason.clone()).await, Ok(reason.clone()));
    assert_eq!(first.wait_exit().await, ExitReason::Shutdown);
    let ExitReason::GaveUp { reason: last, .. } = tree.stopped().await else {
        panic!("the tree did not give up")
    };
    assert_eq!(*last, reason);
}

/// Arguments with a `clone` that panics on request.
struct Fragile {
    panics: bool,
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.panics, "clone refused");
        Self { panics: self.panics }
    }
}

struct Idle;

impl actix::Actor for Idle {
    type Context = actix::Context<Self>;
}

#[actix_rt::test]
async fn a_panic_in_clone_fails_only_that_start() {
    let supervisor = DynamicSupervisor::new(|_: &_, _: Fragile| Ok(Idle)).restart(Restart::Transient);
    let name = DynamicRef::new();
    let tree = Supervisor::new(Strategy::OneForOne).child(name.child_spec("jobs", supervisor)).start().await;
    let tree = tree.expect("the start succeeds");
    let other = name.start_child(Fragile { panics: false }).await;
    let other = other.expect("the start succeeds").expect("the factory returns an actor");
    let supervisor = name.pid();
    let refused = name.start_child(Fragile { panics: true }).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("clone refused")));
    assert!(other.is_alive(), "another instance exited");
    assert_eq!(name.pid(), supervisor, "the supervisor was restarted");
    tree.stop();
    tree.stopped().await;
}
