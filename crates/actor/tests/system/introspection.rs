//! Introspection of a running tree: state, suspend, traces, the tree snapshot and the watchdog.

use std::sync::mpsc as blocking;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use impresario_actor::{
    Backoff, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, Intensity, NodeState, Strategy,
    Subtree, Supervisor, SupervisorError, SupervisorRef, SysError, TraceEvent, TraceKind, Tree, Watchdog,
};
use slog::{Discard, Logger, o};
use tokio::sync::{mpsc, oneshot};

#[derive(Default)]
struct Counter {
    count: u32,
    shy: bool,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert!(!self.shy, "Debug of a shy counter");
        write!(f, "Counter {}", self.count)
    }
}

impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Add(u32);

impl Handler<Add> for Counter {
    type Result = u32;

    fn handle(&mut self, Add(more): Add, _: &mut Context<Self>) -> u32 {
        self.count += more;
        self.count
    }
}

/// The actor waits for this channel and handles nothing else meanwhile.
#[derive(Message)]
#[rtype(result = "()")]
struct WaitFor(oneshot::Receiver<()>);

impl Handler<WaitFor> for Counter {
    type Result = ();

    fn handle(&mut self, WaitFor(event): WaitFor, ctx: &mut Context<Self>) {
        ctx.wait(async { drop(event.await) }.into_actor(self));
    }
}

/// Blocks the actor's thread until the sender sends or is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Block(blocking::Receiver<()>);

impl Handler<Block> for Counter {
    type Result = ();

    fn handle(&mut self, Block(until): Block, _: &mut Context<Self>) {
        let _ = until.recv();
    }
}

/// Panics when it is handled and when it is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "drop of a bomb");
    }
}

impl Handler<Bomb> for Counter {
    type Result = ();

    fn handle(&mut self, _: Bomb, _: &mut Context<Self>) {
        panic!("handler of a bomb");
    }
}

fn quiet() -> Logger {
    Logger::root(Discard, o!())
}

fn counter(id: &str) -> (ChildRef<Counter>, ChildSpec) {
    let name = ChildRef::new();
    let spec = name.child_spec(id, |_| Ok(Counter::default()));
    (name, spec)
}

async fn start(supervisor: Supervisor) -> Tree {
    supervisor.logger(quiet()).start().await.expect("the start succeeds")
}

async fn one() -> (Tree, ChildRef<Counter>) {
    let (name, spec) = counter("counter");
    (start(Supervisor::new(Strategy::OneForOne).child(spec)).await, name)
}

#[actix::test]
async fn suspended_actor_state_can_be_read_and_replaced() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    assert_eq!(actor.call(Add(2)).await, Ok(2));
    actor.pid().suspend().await.expect("the actor handles system messages");
    assert!(actor.pid().is_suspended());
    assert_eq!(actor.state_text().await.as_deref(), Ok("Counter 2"));
    assert_eq!(actor.with_state(|state| state.count * 10).await, Ok(20));
    let old = actor
        .replace_state(Counter { count: 40, shy: false })
        .await
        .expect("the actor handles system messages");
    assert_eq!(old.count, 2);
    actor.cast(Add(1)).expect("the mailbox has capacity");
    actor.cast(Add(1)).expect("the mailbox has capacity");
    assert_eq!(actor.pid().queued(), 2);
    actor.pid().resume();
    assert_eq!(actor.call(Add(0)).await, Ok(42));
    assert_eq!(actor.pid().queued(), 0);
    assert!(!actor.pid().is_suspended());
}

#[actix::test]
async fn debug_panic_fails_state_text_and_keeps_the_actor() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    actor.with_state(|state| state.shy = true).await.expect("the actor handles system messages");
    let shown = actor.state_text().await;
    assert!(matches!(shown, Err(SysError::Panic(ExitReason::Panic { .. }))), "{shown:?}");
    assert!(actor.pid().is_alive());

    let done = actor.with_state(|_| panic!("boo")).await;
    let panicked =
        |reason: &ExitReason| matches!(reason, ExitReason::Panic { message, .. } if message == "boo");
    assert!(matches!(&done, Err(SysError::NotAlive(reason)) if panicked(reason)), "{done:?}");
    assert!(panicked(&actor.pid().wait_exit().await));
    assert!(matches!(actor.with_state(|_| ()).await, Err(SysError::NotAlive(_))));
}

#[actix::test]
async fn suspend_that_timed_out_has_no_late_effect() {
    tokio::time::pause();
    let (_tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    let (free, wait) = oneshot::channel();
    actor.call(WaitFor(wait)).await.expect("the actor is running");
    assert_eq!(actor.pid().suspend().await, Err(SysError::Timeout(Duration::from_secs(5))));
    // The resume comes before the actor handles this suspend.
    let pid = actor.pid().clone();
    let suspend = actix_rt::spawn(async move { pid.suspend().await });
    tokio::task::yield_now().await;
    actor.pid().resume();
    drop(free);
    assert_eq!(suspend.await.expect("no panic"), Ok(()));
    assert_eq!(actor.call(Add(1)).await, Ok(1));
}

#[actix::test]
async fn system_message_above_the_limit_returns_busy() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    let (_never, wait) = oneshot::channel();
    actor.call(WaitFor(wait)).await.expect("the actor is running");
    let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(actor.with_state(|_| ()))).collect();
    for asked in &mut waiting {
        assert!(futures::poll!(asked).is_pending());
    }
    assert_eq!(actor.with_state(|_| ()).await, Err(SysError::Busy));
    actor.pid().kill();
    for asked in waiting {
        assert_eq!(
            asked.await,
            Err(SysError::NotAlive(ExitReason::Killed)),
            "a pending request fails with the exit reason"
        );
    }
}

#[actix::test]
async fn trace_events_arrive_in_order() {
    let (tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    let pid = actor.pid().clone();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(100);
    pid.trace(events);
    actor.call(Add(1)).await.expect("the actor is running");
    actor.addr().send(Add(1)).await.expect("the actor is running");
    pid.exit(ExitReason::Normal);
    pid.suspend().await.expect("the actor handles system messages");
    pid.resume();
    actor.call(Add(1)).await.expect("the actor is running");
    tree.stop();
    tree.stopped().await;
    let mut all = Vec::new();
    while let Some(event) = traced.recv().await {
        assert_eq!((&event.pid, event.missed), (&pid, 0));
        all.push(event.kind.to_string());
    }
    let expected = [
        "message system::introspection::Add",
        "message by address",
        "exit signal: normal",
        "suspended",
        "resumed",
        "message system::introspection::Add",
        "stop requested",
        "exited: shutdown",
    ];
    assert_eq!(all, expected);
}

#[actix::test]
async fn full_trace_channel_counts_missed_events() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    let (events, mut traced) = mpsc::channel::<TraceEvent>(1);
    actor.pid().trace(events);
    for _ in 0..3 {
        actor.call(Add(1)).await.expect("the actor is running");
    }
    assert_eq!(traced.recv().await.map(|event| event.missed), Some(0));
    actor.call(Add(1)).await.expect("the actor is running");
    assert_eq!(traced.recv().await.map(|event| event.missed), Some(2));
    actor.pid().trace_off();
    actor.call(Add(1)).await.expect("the actor is running");
    assert_eq!(traced.recv().await, None, "trace_off closes the channel");
}

#[actix::test]
async fn supervisor_trace_shows_child_starts_and_stops() {
    let (tree, name) = one().await;
    let root = tree.root();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(100);
    root.pid().expect("the actor is running").trace(events);
    let first = name.pid().expect("the actor is running");
    root.terminate_child("counter").await.expect("the child exists");
    root.restart_child("counter").await.expect("the child is stopped");
    let second = root.child_pid("counter").await.expect("the child exists");
    assert_eq!(second, name.pid());
    tree.kill();
    tree.stopped().await;
    let mut all = Vec::new();
    while let Some(event) = traced.recv().await {
        if !matches!(event.kind, TraceKind::Message(_)) {
            all.push(event.kind);
        }
    }
    let second = second.expect("the actor is running");
    assert_eq!(all, [TraceKind::Stops(first), TraceKind::Starts(second), TraceKind::End(ExitReason::Killed)]);
    assert_eq!(root.child_pid("counter").await, Err(SupervisorError::NotRunning));
}

#[actix::test]
async fn queued_message_whose_drop_panics_keeps_the_exit() {
    let (tree, name) = one().await;
    let actor = name.actor().expect("the actor is running");
    actor.pid().suspend().await.expect("the actor handles system messages");
    for _ in 0..3 {
        actor.cast(Bomb).expect("the mailbox has capacity");
    }
    actor.pid().kill();
    assert_eq!(actor.pid().wait_exit().await, ExitReason::Killed);
    let next = name.available().await;
    assert_eq!(next.call(Add(1)).await, Ok(1), "the actor is restarted");
    tree.stop();
    tree.stopped().await;
}

#[actix::test]
async fn tree_snapshot_shows_all_nodes() {
    tokio::time::pause();
    let ((a, a_spec), (_, b_spec)) = (counter("a"), counter("b"));
    let sessions = DynamicRef::new();
    let spec = sessions.child_spec("sessions", DynamicSupervisor::new(|_, ()| Ok(Counter::default())));
    let second = Duration::from_secs(1);
    let backoff = Backoff { first: 7 * second, max: 60 * second, jitter: 0.0, ..Backoff::default() };
    let nested = Supervisor::new(Strategy::RestForOne)
        .intensity(Intensity::new(10, Duration::from_secs(60)))
        .child(a_spec.backoff(backoff))
        .child(b_spec);
    let ignored = ChildSpec::actor("not-needed", |_| Err::<Counter, _>(impresario_actor::StartError::Ignore));
    let tree =
        Supervisor::new(Strategy::OneForOne).child(nested.child_spec("nested")).child(spec).child(ignored);
    let tree = start(tree).await;
    for _ in 0..102 {
        sessions.start(()).expect("the child exists");
    }
    // The first restart is immediate, the second waits 7 s for its backoff.
    for _ in 0..2 {
        let target = a.available().await;
        target.pid().kill();
        target.pid().wait_exit().await;
    }
    let seen = tree.tree().await;
    let text = seen.to_string();
    let head = [
        "root <0> one_for_one running, 0 s",
        "├─ nested <1> rest_for_one running, 0 s",
        "│  ├─ a restarting in 7000 ms, restarts 1",
        "│  └─ b down, restarts 1",
        "├─ sessions <4> dynamic running, 0 s",
        "│  ├─ sessions <6> running, 0 s",
    ];
    assert!(text.starts_with(&head.join("\n")), "{text}");
    assert!(text.ends_with("│  └─ (and 2 more)\n└─ not-needed down\n"), "{text}");
    assert_eq!(text.lines().count(), head.len() + 99 + 2);
    let Some(Subtree::Children { children, .. }) =
        &seen.find("sessions").expect("the snapshot lists it").below
    else {
        panic!("{text}")
    };
    let numbers: Vec<u64> = children.iter().filter_map(|child| Some(child.pid.as_ref()?.number())).collect();
    assert!(numbers.len() == 100 && numbers.is_sorted(), "the oldest come first: {numbers:?}");
    let b = seen.find("b").expect("the snapshot lists it");
    assert_eq!((b.state, &b.pid, b.uptime, b.restarts), (NodeState::Down, &None, None, 1));
    tokio::time::advance(7 * second).await;
    a.available().await;
    assert!(!tree.tree().await.to_string().contains("restarting in"));
    tree.stop();
    tree.stopped().await;
    assert_eq!(tree.tree().await.to_string(), "root down\n");
}

#[actix::test]
async fn tree_snapshot_marks_stuck_supervisor_and_shows_the_rest() {
    tokio::time::pause();
    let arbiter = actix_rt::Arbiter::new();
    let ((_, a), (b, b_spec), (_, c)) = (counter("a"), counter("b"), counter("c"));
    let stuck_ref = SupervisorRef::new();
    let stuck = Supervisor::new(Strategy::OneForOne).child(b_spec);
    let stuck = stuck_ref.child_spec("stuck", move |_| Ok(stuck.clone())).on(arbiter.handle());
    let still = Supervisor::new(Strategy::OneForAll).child(c).child_spec("still");
    let tree = start(Supervisor::new(Strategy::OneForOne).child(a).child(stuck).child(still)).await;
    let root = tree.root();
    let still = root.child_pid("still").await.expect("the child exists").expect("the actor is running");
    still.suspend().await.expect("the actor handles system messages");
    root.pid().expect("the actor is running").suspend().await.expect("the actor handles system messages");
    let (free, until) = blocking::channel();
    b.cast(Block(until)).expect("the mailbox has capacity");
    // From the moment at which `b` takes the message, its arbiter is blocked.
    while b.pid().is_some_and(|pid| pid.queued() > 0) {
        tokio::task::yield_now().await;
    }
    let seen = root.tree().await.expect("the actor is running");
    assert_eq!(seen.state, NodeState::Suspended);
    assert!(matches!(seen.find("stuck").and_then(|node| node.below.as_ref()), Some(Subtree::NoAnswer)));
    let (still, c) =
        (seen.find("still").expect("the snapshot lists it"), seen.find("c").expect("the snapshot lists it"));
    assert_eq!((still.state, c.state), (NodeState::Suspended, NodeState::Running));
    let text = seen.to_string();
    assert!(text.contains("(no answer)"), "{text}");
    assert_eq!(
        stuck_ref.child_pid("b").await,
        Err(SupervisorError::Busy),
        "the supervisor is running, but its thread is blocked"
    );
    drop(free);
    while tree.tree().await.find("b").is_none() {}
}

#[actix::test]
async fn watchdog_reports_a_stall_once_and_its_end() {
    let arbiter = actix_rt::Arbiter::new();
    let (name, spec) = counter("counter");
    let tree = start(Supervisor::new(Strategy::OneForOne)).await;
    let (notifier, mut stalls) = mpsc::unbounded_channel();
    let limit = Duration::from_millis(20);
    let report = move |stall: &impresario_actor::Stall| drop(notifier.send(stall.clone()));
    let watchdog = Watchdog::start(tree.registry(), limit, report).expect("the watchdog thread starts");
    tree.root().start_child(spec.on(arbiter.handle())).await.expect("the start succeeds");
    let pid = name.pid().expect("the actor is running");
    let (free, until) = blocking::channel();
    name.cast(Block(until)).expect("the mailbox has capacity");
    // On a loaded machine another arbiter may exceed the limit, too.
    let held = loop {
        let stall = stalls.recv().await.expect("the watchdog is running");
        if stall.blocked_by.as_ref() == Some(&pid) {
            break stall;
        }
    };
    assert!(!held.over && held.duration >= limit, "{held}");
    assert!(held.to_string().contains("a system::introspection::Counter"), "{held}");
    drop(free);
    let over = loop {
        let stall = stalls.recv().await.expect("the watchdog is running");
        if stall.blocked_by.as_ref() == Some(&pid) {
            break stall;
        }
    };
    assert!(over.over, "a second report of the same stall: {over}");
    assert!(over.duration >= held.duration);
    drop(watchdog);
    while stalls.recv().await.is_some() {}
    tree.stop();
    tree.stopped().await;
}

/// The test keeps a `ChildContext`, which keeps the arbiter's state in the registry after the arbiter has stopped.
#[actix::test]
async fn watchdog_ends_the_stall_of_a_stopped_arbiter() {
    let (arbiter, (notifier, mut envs)) = (actix_rt::Arbiter::new(), mpsc::unbounded_channel());
    let name = ChildRef::new();
    let spec = name.child_spec("counter", move |env| {
        let _ = notifier.send(env.clone());
        Ok(Counter::default())
    });
    let nested = Supervisor::new(Strategy::OneForOne).child(spec).child_spec("nested");
    let tree = start(Supervisor::new(Strategy::OneForOne).child(nested.on(arbiter.handle()))).await;
    let (pid, env) =
        (name.pid().expect("the actor is running"), envs.recv().await.expect("the factory has run"));
    let (notifier, mut stalls) = mpsc::unbounded_channel();
    let report = move |stall: &impresario_actor::Stall| drop(notifier.send(stall.clone()));
    let limit = Duration::from_millis(20);
    let _watchdog = Watchdog::start(tree.registry(), limit, report).expect("the watchdog thread starts");
    let (free, until) = blocking::channel();
    name.cast(Block(until)).expect("the mailbox has capacity");
    for over in [false, true] {
        let stall = loop {
            let stall = stalls.recv().await.expect("the watchdog is running");
            if stall.blocked_by.as_ref() == Some(&pid) {
                break stall;
            }
        };
        assert_eq!(stall.over, over);
        // A stopped arbiter never runs the probe that the watchdog has sent to it.
        arbiter.stop();
        if !over {
            free.send(()).expect("the receiver is open");
        }
    }
    drop(env);
}

#[actix::test]
async fn watchdog_names_the_factory_that_blocks() {
    let arbiter = actix_rt::Arbiter::new();
    let tree = start(Supervisor::new(Strategy::OneForOne)).await;
    // The watchdog checks only arbiters with an actor.
    let idle = ChildSpec::actor("idle", |_| Ok(Counter::default())).on(arbiter.handle());
    tree.root().start_child(idle).await.expect("the start succeeds");
    let (notifier, mut stalls) = mpsc::unbounded_channel();
    let report = move |stall: &impresario_actor::Stall| drop(notifier.send(stall.clone()));
    let _watchdog = Watchdog::start(tree.registry(), Duration::from_millis(20), report)
        .expect("the watchdog thread starts");
    let (free, until) = blocking::channel::<()>();
    let until = std::sync::Mutex::new(until);
    let slow = ChildSpec::actor("slow", move |_| {
        let _ = until.lock().expect("no panic").recv();
        Ok(Counter::default())
    });
    let root = tree.root().clone();
    let start = actix_rt::spawn(async move { root.start_child(slow.on(arbiter.handle())).await });
    let stall = loop {
        let stall = stalls.recv().await.expect("the watchdog is running");
        if stall.arbiter.starts_with("actix-rt") {
            break stall;
        }
    };
    drop(free);
    start.await.expect("no panic").expect("the start succeeds");
    assert!(stall.to_string().contains("a system::introspection::Counter"), "{stall}");
}
