//! Supervisors of instances that are started on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context};
use impresario_actor::{
    Backoff, ChildContext, ChildKind, DynamicRef, DynamicSupervisor, ExitReason, Instance, Intensity, Pid,
    RequestError, Restart, Shutdown, StartError, Strategy, Supervisor, SupervisorError, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc;

/// What an instance is made from; a clone of the arguments is not the original.
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

/// Workers, and news of each start. `fails` are not needed, `broken` fails.
fn workers() -> (DynamicSupervisor<Job>, Starts) {
    let (tell, starts) = mpsc::unbounded_channel();
    let supervisor = DynamicSupervisor::new(move |env: &ChildContext, job: Job| {
        match job.name {
            "unneeded" => return Err(StartError::Ignore),
            "broken" => return Err("it is broken".into()),
            "bomb" => panic!("it goes off"),
            _ => {}
        }
        let _ = tell.send((job, env.pid()));
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
    (tree.expect("it starts"), name)
}

fn refused<R>(error: RequestError) -> Result<R, SupervisorError> {
    Err(SupervisorError::Refused(error))
}

#[actix_rt::test]
async fn a_start_is_answered() {
    let (supervisor, mut starts) = workers();
    let (_tree, name) = run(supervisor).await;
    let pid = name.start_child(job("a")).await.expect("it starts");
    let (seen, started) = starts.recv().await.expect("it starts");
    assert_eq!((seen, Some(started)), (job("a"), pid.clone()), "the arguments have moved");
    assert_eq!(name.start_child(job("unneeded")).await, Ok(None));
    let broken = RequestError::StartFailed(ExitReason::Error("it is broken".to_owned()));
    assert_eq!(name.start_child(job("broken")).await, refused(broken));
    let bomb = name.start_child(job("bomb")).await;
    assert!(
        matches!(
            &bomb,
            Err(SupervisorError::Refused(RequestError::StartFailed(ExitReason::Panic { message, .. })))
                if message == "it goes off"
        ),
        "{bomb:?}"
    );
    let counts = name.count_children().await.expect("it runs");
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (1, 1, 1, 0));
    assert_eq!(name.which_children().await, Ok(vec![Instance::Running(pid.expect("it runs"))]));
}

#[actix_rt::test]
async fn instances_come_back_from_the_same_arguments() {
    for (restart, reason, back) in [
        (Restart::Permanent, ExitReason::Normal, true),
        (Restart::Transient, ExitReason::Killed, true),
        (Restart::Transient, ExitReason::Shutdown, false),
        (Restart::Temporary, ExitReason::Killed, false),
    ] {
        let (supervisor, mut starts) = workers();
        let (_tree, name) = run(supervisor.restart(restart)).await;
        let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
        starts.recv().await.expect("it starts");
        match &reason {
            ExitReason::Killed => first.kill(),
            ExitReason::Normal => first.actor::<Worker>().expect("it runs").cast(Stop).expect("it runs"),
            reason => first.exit(reason.clone()),
        }
        assert_eq!(first.wait_exit().await, reason);
        if back {
            let (again, second) = starts.recv().await.expect("it starts again");
            assert_eq!((again.name, again.copy), ("a", 1));
            assert_ne!(second, first);
            let listed = name.which_children().await.expect("it runs");
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
async fn too_many_restarts_of_all_together_end_it() {
    let (supervisor, mut starts) = workers();
    let limit = Intensity::new(1, Duration::from_secs(3600));
    let (tree, name) = run(supervisor.restart(Restart::Permanent).intensity(limit).child_id("job")).await;
    let a = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    let b = name.start_child(job("b")).await.expect("it starts").expect("it is needed");
    a.kill();
    for _ in 0..3 {
        starts.recv().await.expect("it starts");
    }
    b.kill();
    let ExitReason::GaveUp { reason, .. } = tree.stopped().await else { panic!("it goes on") };
    assert_eq!(reason.to_string(), "restart limit reached, last failure of child job: killed");
    assert_eq!(name.start_child(job("c")).await, Err(SupervisorError::NotRunning));
}

#[actix_rt::test]
async fn a_backoff_can_be_cut_short() {
    tokio::time::pause();
    let (supervisor, mut starts) = workers();
    let hour = Duration::from_secs(3600);
    let backoff = Backoff { first: hour, max: hour, ..Backoff::default() };
    let (_tree, name) = run(supervisor.restart(Restart::Permanent).backoff(backoff)).await;
    name.start_child(job("a")).await.expect("it starts").expect("it is needed").kill();
    starts.recv().await.expect("it starts");
    let (_, first) = starts.recv().await.expect("it starts again at once");
    first.kill();
    first.wait_exit().await;
    assert_eq!(name.which_children().await, Ok(vec![Instance::Restarting(first.clone())]));
    let second = name.restart_child(&first).await.expect("it starts").expect("it is needed");
    assert_eq!(starts.recv().await.expect("it starts").1, second);
    assert_eq!(name.restart_child(&second).await, refused(RequestError::Running));
    assert_eq!(name.restart_child(&first).await, refused(RequestError::NotFound));
    second.kill();
    second.wait_exit().await;
    assert_eq!(name.terminate_child(&second).await, Ok(()), "it is named by its last life");
    assert_eq!(name.which_children().await, Ok(Vec::new()));
}

#[actix_rt::test]
async fn one_too_many_is_an_error_at_once() {
    let (supervisor, _starts) = workers();
    let (_tree, name) = run(supervisor.max_children(1)).await;
    let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    assert_eq!(name.start_child(job("b")).await, refused(RequestError::MaxChildren(1)));
    assert_eq!(name.terminate_child(&first).await, Ok(()));
    assert!(!first.is_alive());
    assert!(name.start_child(job("c")).await.expect("there is room").is_some());
}

#[actix_rt::test]
async fn instances_are_terminated_by_their_life() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor.restart(Restart::Permanent)).await;
    let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    assert_eq!(name.terminate_child(&first).await, Ok(()));
    assert_eq!(first.wait_exit().await, ExitReason::Shutdown);
    assert_eq!(name.terminate_child(&first).await, Ok(()), "that it is gone is no error");
    let stranger = name.pid().expect("it runs");
    assert_eq!(name.terminate_child(&stranger).await, refused(RequestError::NotFound));
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    assert_eq!(name.terminate_child(&first).await, Err(SupervisorError::NotRunning));
}

#[actix_rt::test]
async fn a_slow_one_is_in_nobodys_way() {
    let (release, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let supervisor = DynamicSupervisor::new_async(move |_, slow: bool| {
        let wait = wait.lock().expect("nobody panics here").take_if(|_| slow);
        async move {
            match wait {
                Some(wait) => wait.await.map_err(|_| "nobody waits")?,
                None => tokio::task::yield_now().await,
            }
            Ok(Worker)
        }
    });
    let name = DynamicRef::new();
    let tree = Supervisor::new(Strategy::OneForOne).child(name.child_spec("workers", supervisor));
    let tree = tree.logger(Logger::root(Discard, o!())).start().await.expect("it starts");
    let mut slow = Box::pin(name.start_child(true));
    assert!(futures::poll!(&mut slow).is_pending());
    assert!(name.start_child(false).await.expect("it starts").is_some());
    assert_eq!(name.which_children().await.expect("it runs").len(), 1, "one that starts is none yet");
    release.send(()).expect("it waits");
    assert!(slow.await.expect("it starts").is_some());
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn it_goes_on_under_other_rules() {
    let (supervisor, _old) = workers();
    let (_tree, name) = run(supervisor.restart(Restart::Permanent)).await;
    let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    let (supervisor, mut starts) = workers();
    let with = supervisor.restart(Restart::Transient).shutdown(Shutdown::Kill).kind(ChildKind::Supervisor);
    assert_eq!(name.replace(with).await, Ok(()));
    let rules = name.child_rules().await.expect("it runs");
    assert_eq!(
        (rules.restart, rules.shutdown, rules.id.as_str()),
        (Restart::Transient, Shutdown::Kill, "workers")
    );
    assert_eq!(name.count_children().await.expect("it runs").supervisors, 1);
    first.kill();
    let (again, second) = starts.recv().await.expect("by the new factory");
    assert_eq!(again.name, "a");
    assert_eq!(name.terminate_child(&second).await, Ok(()));
    assert_eq!(second.wait_exit().await, ExitReason::Killed, "by the new rule");
    let (bad, _) = workers();
    let error = name.replace(bad.max_children(0)).await.expect_err("it cannot be followed");
    assert!(matches!(error, SupervisorError::Refused(RequestError::Spec(_))), "{error}");
}

#[actix_rt::test]
async fn one_whose_arguments_were_not_kept_is_forgotten_and_costs_no_other() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor).await;
    let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    let (supervisor, _starts) = workers();
    // Not one restart would be allowed to fail.
    let with = supervisor.restart(Restart::Permanent).intensity(Intensity::new(1, Duration::from_secs(3600)));
    assert_eq!(name.replace(with).await, Ok(()));
    let second = name.start_child(job("b")).await.expect("it starts").expect("it is needed");
    first.kill();
    first.wait_exit().await;
    assert_eq!(name.which_children().await, Ok(vec![Instance::Running(second)]));
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn it_can_be_told_to_end_for_a_reason() {
    let (supervisor, _starts) = workers();
    let (tree, name) = run(supervisor).await;
    let first = name.start_child(job("a")).await.expect("it starts").expect("it is needed");
    let reason = ExitReason::Error("moved".to_owned());
    assert_eq!(name.stop(reason.clone()).await, Ok(reason.clone()));
    assert_eq!(first.wait_exit().await, ExitReason::Shutdown);
    let ExitReason::GaveUp { reason: last, .. } = tree.stopped().await else { panic!("it goes on") };
    assert_eq!(*last, reason);
}
