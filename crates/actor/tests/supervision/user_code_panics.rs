//! Panics in user code that runs inside a supervisor: `clone` and destructors of arguments, destructors of factories.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Context};
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, Intensity, RequestError,
    Restart, Strategy, Supervisor, SupervisorError, SupervisorRef, Tree,
};
use slog::{Discard, Logger, o};

struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

/// Arguments with a `clone` that panics while the switch is on.
struct Uncloneable(Arc<AtomicBool>);

impl Clone for Uncloneable {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "clone panic");
        Self(Arc::clone(&self.0))
    }
}

/// A value with a destructor that panics, except while its thread panics already: that would abort the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "drop panic");
    }
}

/// A worker with a factory that owns a [`Bomb`].
fn spec_with_bomb(id: &'static str) -> ChildSpec {
    let bomb = Bomb;
    ChildSpec::actor(id, move |_| {
        let _ = &bomb;
        Ok(Worker)
    })
}

/// A tree that exits when one of its children exits abnormally.
async fn start(child: ChildSpec) -> Tree {
    Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(0, Duration::from_secs(1)))
        .logger(Logger::root(Discard, o!()))
        .child(child)
        .start()
        .await
        .expect("the tree starts")
}

fn is_clone_panic(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Panic { message, .. } if message == "clone panic")
}

#[actix_rt::test]
async fn clone_panic_at_a_restart_counts_as_failed_start() {
    let (instances, switch) = (DynamicRef::new(), Arc::new(AtomicBool::new(false)));
    let supervisor = DynamicSupervisor::new(|_: &ChildContext, _: Uncloneable| Ok(Worker))
        .restart(Restart::Permanent)
        .intensity(Intensity::new(3, Duration::from_secs(3600)));
    let tree = start(instances.child_spec("workers", supervisor)).await;
    let pid = instances
        .start_child(Uncloneable(Arc::clone(&switch)))
        .await
        .expect("it starts")
        .expect("it is kept");
    switch.store(true, Ordering::SeqCst);
    let supervisor = instances.pid().expect("it runs");
    pid.kill();
    // The restart and its retries fail, until the limit is reached.
    let exit = supervisor.wait_exit().await;
    assert!(matches!(&exit, ExitReason::GaveUp { reason, .. } if is_clone_panic(reason)), "{exit}");
    tree.stopped().await;
}

/// Arguments with a destructor that counts, then panics.
struct CountedBomb(Arc<AtomicUsize>);

impl Drop for CountedBomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("drop panic");
    }
}

#[actix_rt::test]
async fn killed_supervisor_drops_all_arguments_although_each_panics() {
    let (instances, dropped) = (DynamicRef::new(), Arc::new(AtomicUsize::new(0)));
    let supervisor = DynamicSupervisor::new(|_: &ChildContext, bomb: Arc<CountedBomb>| {
        // The last owner is the record of the supervisor.
        drop(bomb);
        Ok(Worker)
    });
    let _tree = start(instances.child_spec("workers", supervisor.restart(Restart::Permanent))).await;
    for _ in 0..3 {
        instances.start_child(Arc::new(CountedBomb(Arc::clone(&dropped)))).await.expect("it starts");
    }
    let supervisor = instances.pid().expect("it runs");
    supervisor.kill();
    assert_eq!(supervisor.wait_exit().await, ExitReason::Killed);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[actix_rt::test]
async fn replaced_factory_that_panics_when_dropped_is_survived() {
    let instances = DynamicRef::new();
    let with_bomb = || {
        let bomb = Bomb;
        DynamicSupervisor::new(move |_: &ChildContext, (): ()| {
            let _ = &bomb;
            Ok(Worker)
        })
    };
    let specs = instances.clone();
    // The spec of the parent must not be an owner of the factory.
    let child = specs.child_spec_async("workers", move |_| {
        let supervisor = with_bomb();
        async { Ok(supervisor) }
    });
    let tree = start(child).await;
    let before = instances.pid();
    instances.replace(with_bomb().restart(Restart::Temporary)).await.expect("it is replaced");
    assert_eq!((instances.pid(), instances.count_children().await.is_ok()), (before.clone(), true));
    // The limit of auto-shutdown: a permanent child may not be significant.
    let refused = instances.replace(with_bomb().restart(Restart::Permanent).significant()).await;
    assert!(matches!(refused, Err(SupervisorError::Refused(RequestError::Spec(_)))), "{refused:?}");
    let supervisor = before.expect("it runs");
    tree.stop();
    assert_eq!(supervisor.wait_exit().await, ExitReason::Shutdown);
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn spec_of_an_instance_that_panics_when_dropped_is_survived() {
    let instances = DynamicRef::new();
    let supervisor = DynamicSupervisor::from_specs(|_, (): ()| Ok(spec_with_bomb("worker")));
    let tree = start(instances.child_spec("workers", supervisor)).await;
    let pid = instances.start_child(()).await.expect("it starts").expect("it is kept");
    assert!(pid.is_alive());
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn deleted_specs_that_panic_when_dropped_are_survived() {
    let nested = SupervisorRef::new();
    let child = nested.child_spec("nested", |_| {
        let keeper = ChildRef::<Worker>::new().child_spec("keeper", |_| Ok(Worker));
        Ok(Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!())).child(keeper))
    });
    let tree = start(child).await;
    let before = nested.pid();
    nested.start_child(spec_with_bomb("a")).await.expect("it starts");
    let refused = nested.start_child(spec_with_bomb("a")).await;
    assert!(matches!(refused, Err(SupervisorError::Refused(RequestError::AlreadyStarted(_)))), "{refused:?}");
    nested.terminate_child("a").await.expect("it stops");
    nested.delete_child("a").await.expect("it is deleted");
    for _ in 0..2 {
        let specs =
            Supervisor::new(Strategy::OneForOne).child(spec_with_bomb("b")).child(spec_with_bomb("c"));
        nested.replace(specs).await.expect("the specs are replaced");
    }
    assert_eq!(nested.pid(), before.clone(), "the supervisor has not been restarted");
    let supervisor = before.expect("it runs");
    tree.stop();
    assert_eq!(supervisor.wait_exit().await, ExitReason::Shutdown);
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
}
