//! Registered names and groups, over restarts and exits.

use std::future::Future;
use std::sync::{Arc, Mutex};

use crate::common::{Child, Observed, Process, child, quiet, start};
use actix::{Actor, Context};
use actix_rt::Arbiter;
use futures::task::{ArcWake, waker};
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, ExitReason, GroupChange, NameError, Pid, Registry, Restart,
    StartError, Strategy, Supervisor, Tree,
};
use tokio::sync::mpsc;

struct Named;

impl Actor for Named {
    type Context = Context<Self>;
}

fn named(id: &str) -> (ChildRef<Named>, ChildSpec) {
    let name = ChildRef::new();
    let spec = name.child_spec(id, |_| Ok(Named)).registered("room");
    (name, spec)
}

#[actix::test]
async fn registered_name_follows_restarts() {
    let (notifier, mut seen) = mpsc::unbounded_channel();
    let name = ChildRef::new();
    let spec = name.child_spec("room", move |env| {
        let own = env.registry().whereis("room");
        notifier.send(own == Some(env.pid())).expect("the test receives");
        Ok(Named)
    });
    let tree = start([spec.registered("room")]).await;
    let first = name.pid().expect("the actor is running");
    assert_eq!(tree.registry().whereis("room"), Some(first.clone()));
    first.kill();
    first.wait_exit().await;
    assert_ne!(tree.registry().whereis("room"), Some(first));
    let second = name.available().await;
    assert_eq!(tree.registry().whereis_actor::<Named>("room"), Some(second));
    for _ in 0..2 {
        assert_eq!(seen.recv().await, Some(true), "the name is registered before the factory runs");
    }
}

#[actix::test]
async fn taken_name_fails_the_start_and_names_the_owner() {
    let ((first, first_spec), (second, second_spec)) = (named("a"), named("b"));
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(first_spec).child(second_spec);
    let reason = tree.start().await.expect_err("the name is taken").to_string();
    assert!(
        reason
            .starts_with("child b failed to start: cannot be registered as \"room\": the name belongs to <"),
        "{reason}"
    );
    assert_eq!((first.pid(), second.pid()), (None, None));
}

#[actix::test]
async fn failed_start_releases_the_name() {
    for answer in [Err(StartError::Ignore), Err("no".into()), Ok(())] {
        let fails = answer != Err(StartError::Ignore);
        let spec = ChildSpec::actor("room", move |_| match &answer {
            Ok(()) => panic!("boo"),
            Err(error) => Err::<Named, _>(error.clone()),
        });
        let (witness, witness_spec) = child("witness");
        let tree = start([witness_spec]).await;
        let outcome = tree.root().start_child(spec.registered("room")).await;
        assert_eq!(outcome.is_err(), fails);
        assert_eq!(tree.registry().registered(), [""; 0]);
        tree.registry().register("room", &witness.pid()).expect("the name is free");
    }
}

#[actix::test]
async fn supervisor_is_registered_until_it_exits() {
    let nested = Supervisor::new(Strategy::OneForOne).child_spec("nested").registered("top");
    let tree = start([nested]).await;
    let pid = tree.registry().whereis("top").expect("the actor is running");
    tree.stop();
    tree.stopped().await;
    assert_eq!(pid.exit_reason(), Some(ExitReason::Shutdown));
    assert_eq!(tree.registry().whereis("top"), None);
}

#[actix::test]
async fn whereis_actor_of_another_type_is_none() {
    let (_, spec) = named("a");
    let tree = start([spec]).await;
    assert!(tree.registry().whereis_actor::<Named>("room").is_some());
    assert!(tree.registry().whereis_actor::<Process>("room").is_none());
    assert!(tree.registry().whereis_actor::<Named>("kitchen").is_none());
    assert!(
        tree.registry().whereis("room").is_some_and(|pid| pid.is_alive()),
        "whereis_actor does not stop the actor"
    );
}

async fn three() -> (Tree, [Child; 3]) {
    let ((a, a_spec), (b, b_spec), (c, c_spec)) = (child("a"), child("b"), child("c"));
    (start([a_spec, b_spec, c_spec]).await, [a, b, c])
}

async fn observe(child: &mut Child) -> GroupChange {
    match child.observe().await {
        Observed::Group(event) => {
            assert_eq!(&*event.group, "room");
            event.change
        }
        other => panic!("{other:?} is not a group event"),
    }
}

#[actix::test]
async fn join_and_leave_update_the_members() {
    let (tree, [a, b, _]) = three().await;
    let (registry, first, second) = (tree.registry(), a.pid(), b.pid());
    for pid in [&first, &second, &first] {
        registry.join("room", pid).expect("the actor is running");
    }
    assert_eq!(registry.members("room"), [first.clone(), second.clone(), first.clone()]);
    assert_eq!(registry.members_of::<Process>("room").len(), 3);
    assert_eq!(registry.members_of::<Named>("room").len(), 0);
    assert!(registry.leave("room", &first));
    assert_eq!(registry.members("room"), [first.clone(), second.clone()]);
    assert!(registry.leave("room", &first));
    assert!(!registry.leave("room", &first) && !registry.leave("kitchen", &second));
    assert_eq!(
        (registry.members("room"), registry.which_groups()),
        (vec![second.clone()], vec!["room".to_owned()])
    );
    second.kill();
    second.wait_exit().await;
    assert_eq!((registry.members("room"), registry.which_groups()), (vec![], vec![]));
}

#[actix::test]
async fn down_is_delivered_after_name_and_group_are_left() {
    let (tree, [mut a, b, _]) = three().await;
    let (registry, second) = (tree.registry().clone(), b.pid());
    registry.join("room", &second).expect("the actor is running");
    registry.register("host", &second).expect("the actor is running");
    let (pid, registry) = (second.clone(), registry.clone());
    a.run(move |process, ctx| {
        process.on_down =
            Some(Box::new(move || (registry.members("room").len(), registry.registered().len())));
        process.env.clone().monitor(&pid, ctx);
    })
    .await;
    second.kill();
    assert_eq!(a.observe().await, Observed::Counted(0, 0));
}

/// A waker that counts the members of the group and the registered names when the exit is reported.
struct Look {
    registry: Registry,
    seen: Mutex<Option<(usize, usize)>>,
}

impl ArcWake for Look {
    fn wake_by_ref(look: &Arc<Self>) {
        let seen = (look.registry.members("room").len(), look.registry.registered().len());
        *look.seen.lock().expect("no panic") = Some(seen);
    }
}

#[actix::test]
async fn wait_exit_wakes_after_name_and_group_are_left() {
    let (tree, [_, b, _]) = three().await;
    let (registry, second) = (tree.registry().clone(), b.pid());
    registry.join("room", &second).expect("the actor is running");
    registry.register("host", &second).expect("the actor is running");
    let look = Arc::new(Look { registry, seen: Mutex::new(None) });
    let (waker, mut ended) = (waker(Arc::clone(&look)), Box::pin(second.wait_exit()));
    assert!(ended.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    second.kill();
    second.wait_exit().await;
    assert_eq!(*look.seen.lock().expect("no panic"), Some((0, 0)));
}

#[actix::test]
async fn group_monitor_gets_members_then_changes_in_order() {
    let (tree, [mut a, b, c]) = three().await;
    let (registry, second, third) = (tree.registry().clone(), b.pid(), c.pid());
    registry.join("room", &second).expect("the actor is running");
    // The join happens before the monitor's future is polled. It must arrive as the first change.
    let (inside, late) = (registry.clone(), third.clone());
    a.run(move |process, ctx| {
        process.env.clone().monitor_group("room", ctx);
        inside.join("room", &late).expect("the actor is running");
    })
    .await;
    registry.join("room", &a.pid()).expect("the actor is running");
    registry.join("kitchen", &third).expect("the actor is running");
    third.kill();
    third.wait_exit().await;
    registry.leave("room", &second);
    let expected = [
        GroupChange::Members(vec![second.clone()]),
        GroupChange::Joined(third.clone()),
        GroupChange::Joined(a.pid()),
        GroupChange::Left(third),
        GroupChange::Left(second),
    ];
    for change in expected {
        assert_eq!(observe(&mut a).await, change);
    }
}

#[actix::test]
async fn demonitored_group_sends_no_events() {
    let (tree, [mut a, b, _]) = three().await;
    let (registry, second) = (tree.registry().clone(), b.pid());
    a.run(move |process, ctx| {
        let monitor = process.env.clone().monitor_group("room", ctx);
        registry.join("room", &second).expect("the actor is running");
        process.env.clone().demonitor_group(&monitor, ctx);
    })
    .await;
    a.run(|_, _| {}).await;
    assert!(a.observed.try_recv().is_err());
}

#[actix::test]
async fn suspended_actor_gets_group_events_after_resume() {
    let (tree, [mut a, b, _]) = three().await;
    let (registry, second) = (tree.registry().clone(), b.pid());
    a.run(|process, ctx| {
        process.env.clone().monitor_group("room", ctx);
    })
    .await;
    assert_eq!(observe(&mut a).await, GroupChange::Members(vec![]));
    a.pid().suspend().await.expect("the actor is running");
    registry.join("room", &second).expect("the actor is running");
    b.run(|_, _| {}).await;
    assert!(a.observed.try_recv().is_err(), "a suspended actor gets no event");
    a.pid().resume();
    assert_eq!(observe(&mut a).await, GroupChange::Joined(second));
}

/// A registry is notified only when actors of its own tree exit, so it would keep an entry of another tree for ever.
#[actix::test]
async fn pid_of_another_tree_is_refused_by_names_and_groups() {
    let ((tree, _), (other, [unrelated, ..])) = (three().await, three().await);
    let (here, pid) = (tree.registry(), unrelated.pid());
    assert_eq!(here.register("host", &pid), Err(NameError::OtherTree));
    assert_eq!(here.join("room", &pid), Err(NameError::OtherTree));
    other.registry().join("room", &pid).expect("the actor is in this tree");
    assert!(here.registered().is_empty() && here.members("room").is_empty() && !here.leave("room", &pid));
}

/// Actors on two other arbiters join and exit. The monitor gets one `Left` for each `Joined`.
#[actix::test]
async fn joins_and_exits_on_two_arbiters_balance() {
    const LIVES: usize = 200;
    let arbiters = [Arbiter::new(), Arbiter::new()];
    let (mut listener, listener_spec) = child("listener");
    let specs = (0..LIVES).map(|number| {
        let arbiter = &arbiters[number % arbiters.len()];
        let joins = |env: &ChildContext| {
            env.registry().join("room", &env.pid())?;
            Ok(Named)
        };
        let spec = ChildSpec::actor(format!("member {number}"), joins);
        spec.restart(Restart::Temporary).on(arbiter.handle())
    });
    let tree = start([listener_spec]).await;
    listener
        .run(|process, ctx| {
            process.env.clone().monitor_group("room", ctx);
        })
        .await;
    for spec in specs {
        tree.root().start_child(spec).await.expect("the start succeeds");
    }
    let registry: Registry = tree.registry().clone();
    let members = registry.members("room");
    assert_eq!(members.len(), LIVES);
    members.iter().for_each(Pid::kill);
    assert_eq!(observe(&mut listener).await, GroupChange::Members(vec![]));
    let mut present = Vec::new();
    for _ in 0..2 * LIVES {
        match observe(&mut listener).await {
            GroupChange::Joined(pid) => present.push(pid),
            GroupChange::Left(pid) => {
                assert!(!pid.is_alive());
                let index = present.iter().position(|member| *member == pid).expect("the member had joined");
                present.remove(index);
            }
            other => panic!("{other:?} after the first event"),
        }
    }
    assert_eq!((present, registry.members("room")), (vec![], vec![]));
    assert!(arbiters.iter().all(Arbiter::stop));
}

/// Tries to register until `own` or the other competitor has the name. Returns whether `own` has it.
fn fight(registry: &Registry, own: &Pid, dead: &Pid) -> bool {
    loop {
        if registry.register("room", own).is_ok() {
            return true;
        }
        if registry.whereis("room").is_some_and(|holder| holder != *dead) {
            return false;
        }
        std::thread::yield_now();
    }
}

#[actix::test]
async fn two_claims_of_a_released_name_have_one_winner() {
    let arbiter = Arbiter::new();
    for _ in 0..50 {
        let ((a, a_spec), (b, b_spec), (c, c_spec)) = (child("a"), child("b"), child("c"));
        let tree = start([a_spec.on(arbiter.handle()), b_spec, c_spec]).await;
        let (registry, holder) = (tree.registry().clone(), a.pid());
        registry.register("room", &holder).expect("the name is free");
        let fighters = [b.pid(), c.pid()].map(|own| {
            let (registry, holder) = (registry.clone(), holder.clone());
            std::thread::spawn(move || fight(&registry, &own, &holder))
        });
        holder.kill();
        let won = fighters.map(|fighter| fighter.join().expect("no panic"));
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = if won[0] { b.pid() } else { c.pid() };
        holder.wait_exit().await;
        assert_eq!(
            registry.whereis("room"),
            Some(winner),
            "the exit of the first holder keeps the new entry"
        );
        tree.stop();
        tree.stopped().await;
    }
    arbiter.stop();
}
