//! What can be asked of a running tree: state, traces, a picture of it all, and who holds an arbiter.

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
        assert!(!self.shy, "it does not show itself");
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

/// Has the actor wait for this before anything else.
#[derive(Message)]
#[rtype(result = "()")]
struct WaitFor(oneshot::Receiver<()>);

impl Handler<WaitFor> for Counter {
    type Result = ();

    fn handle(&mut self, WaitFor(event): WaitFor, ctx: &mut Context<Self>) {
        ctx.wait(async { drop(event.await) }.into_actor(self));
    }
}

/// Blocks the thread of the actor until the other end is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Block(blocking::Receiver<()>);

impl Handler<Block> for Counter {
    type Result = ();

    fn handle(&mut self, Block(until): Block, _: &mut Context<Self>) {
        let _ = until.recv();
    }
}

/// Panics when it is handled, and when it is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a message that nobody wants");
    }
}

impl Handler<Bomb> for Counter {
    type Result = ();

    fn handle(&mut self, _: Bomb, _: &mut Context<Self>) {
        panic!("a message that nobody can handle");
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
    supervisor.logger(quiet()).start().await.expect("it starts")
}

async fn one() -> (Tree, ChildRef<Counter>) {
    let (name, spec) = counter("counter");
    (start(Supervisor::new(Strategy::OneForOne).child(spec)).await, name)
}

#[actix::test]
async fn state_can_be_seen_and_replaced_even_while_it_is_suspended() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    assert_eq!(actor.call(Add(2)).await, Ok(2));
    actor.pid().suspend().await.expect("it has time");
    assert!(actor.pid().is_suspended());
    assert_eq!(actor.state_text().await.as_deref(), Ok("Counter 2"));
    assert_eq!(actor.with_state(|state| state.count * 10).await, Ok(20));
    let old = actor.replace_state(Counter { count: 40, shy: false }).await.expect("it has time");
    assert_eq!(old.count, 2);
    actor.cast(Add(1)).expect("there is room");
    actor.cast(Add(1)).expect("there is room");
    assert_eq!(actor.pid().queued(), 2);
    actor.pid().resume();
    assert_eq!(actor.call(Add(0)).await, Ok(42));
    assert_eq!(actor.pid().queued(), 0);
    assert!(!actor.pid().is_suspended());
}

#[actix::test]
async fn a_state_that_does_not_show_itself_costs_nobody_a_life() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    actor.with_state(|state| state.shy = true).await.expect("it has time");
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
async fn who_has_no_time_is_not_suspended_later() {
    tokio::time::pause();
    let (_tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    let (free, wait) = oneshot::channel();
    actor.call(WaitFor(wait)).await.expect("it lives");
    assert_eq!(actor.pid().suspend().await, Err(SysError::Timeout(Duration::from_secs(5))));
    // This one is resumed before it has come to it.
    let pid = actor.pid().clone();
    let suspend = actix_rt::spawn(async move { pid.suspend().await });
    tokio::task::yield_now().await;
    actor.pid().resume();
    drop(free);
    assert_eq!(suspend.await.expect("no panic"), Ok(()));
    assert_eq!(actor.call(Add(1)).await, Ok(1));
}

#[actix::test]
async fn too_many_who_wait_are_refused() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    let (_never, wait) = oneshot::channel();
    actor.call(WaitFor(wait)).await.expect("it lives");
    let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(actor.with_state(|_| ()))).collect();
    for asked in &mut waiting {
        assert!(futures::poll!(asked).is_pending());
    }
    assert_eq!(actor.with_state(|_| ()).await, Err(SysError::Busy));
    actor.pid().kill();
    for asked in waiting {
        assert_eq!(asked.await, Err(SysError::NotAlive(ExitReason::Killed)), "who waits gets an answer");
    }
}

#[actix::test]
async fn a_trace_tells_all_in_order() {
    let (tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    let pid = actor.pid().clone();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(100);
    pid.trace(events);
    actor.call(Add(1)).await.expect("it lives");
    actor.addr().send(Add(1)).await.expect("it lives");
    pid.exit(ExitReason::Normal);
    pid.suspend().await.expect("it has time");
    pid.resume();
    actor.call(Add(1)).await.expect("it lives");
    tree.stop();
    tree.stopped().await;
    let mut all = Vec::new();
    while let Some(event) = traced.recv().await {
        assert_eq!((&event.pid, event.missed), (&pid, 0));
        all.push(event.kind.to_string());
    }
    let expected = [
        "message sys::Add",
        "message by address",
        "exit signal: normal",
        "suspended",
        "resumed",
        "message sys::Add",
        "told to stop",
        "end: shutdown",
    ];
    assert_eq!(all, expected);
}

#[actix::test]
async fn what_a_trace_cannot_take_is_counted() {
    let (_tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    let (events, mut traced) = mpsc::channel::<TraceEvent>(1);
    actor.pid().trace(events);
    for _ in 0..3 {
        actor.call(Add(1)).await.expect("it lives");
    }
    assert_eq!(traced.recv().await.map(|event| event.missed), Some(0));
    actor.call(Add(1)).await.expect("it lives");
    assert_eq!(traced.recv().await.map(|event| event.missed), Some(2));
    actor.pid().trace_off();
    actor.call(Add(1)).await.expect("it lives");
    assert_eq!(traced.recv().await, None, "nobody traces any more");
}

#[actix::test]
async fn a_traced_supervisor_tells_whom_it_starts_and_stops() {
    let (tree, name) = one().await;
    let root = tree.root();
    let (events, mut traced) = mpsc::channel::<TraceEvent>(100);
    root.pid().expect("it runs").trace(events);
    let first = name.pid().expect("it lives");
    root.terminate_child("counter").await.expect("it is there");
    root.restart_child("counter").await.expect("it is down");
    let second = root.child_pid("counter").await.expect("there is such a child");
    assert_eq!(second, name.pid());
    tree.kill();
    tree.stopped().await;
    let mut all = Vec::new();
    while let Some(event) = traced.recv().await {
        if !matches!(event.kind, TraceKind::Message(_)) {
            all.push(event.kind);
        }
    }
    let second = second.expect("it lives");
    assert_eq!(all, [TraceKind::Stops(first), TraceKind::Starts(second), TraceKind::End(ExitReason::Killed)]);
    assert_eq!(root.child_pid("counter").await, Err(SupervisorError::NotRunning));
}

#[actix::test]
async fn a_message_that_panics_when_it_is_dropped_hides_no_end() {
    let (tree, name) = one().await;
    let actor = name.actor().expect("it lives");
    actor.pid().suspend().await.expect("it has time");
    for _ in 0..3 {
        actor.cast(Bomb).expect("there is room");
    }
    actor.pid().kill();
    assert_eq!(actor.pid().wait_exit().await, ExitReason::Killed);
    let next = name.available().await;
    assert_eq!(next.call(Add(1)).await, Ok(1), "it is started again");
    tree.stop();
    tree.stopped().await;
}

#[actix::test]
async fn a_tree_is_seen_with_all_that_is_in_it() {
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
        sessions.start(()).expect("it is there");
    }
    // The first restart is immediate, the second waits.
    for _ in 0..2 {
        let life = a.available().await;
        life.pid().kill();
        life.pid().wait_exit().await;
    }
    let seen = tree.tree().await;
    let text = seen.to_string();
    let head = [
        "root <0> one_for_one running, 0 s",
        "├─ nested <1> rest_for_one running, 0 s",
        "│  ├─ a waits 7000 ms for its backoff, restarts 1",
        "│  └─ b down, restarts 1",
        "├─ sessions <4> dynamic running, 0 s",
        "│  ├─ sessions <6> running, 0 s",
    ];
    assert!(text.starts_with(&head.join("\n")), "{text}");
    assert!(text.ends_with("│  └─ (and 2 more)\n└─ not-needed down\n"), "{text}");
    assert_eq!(text.lines().count(), head.len() + 99 + 2);
    let Some(Subtree::Children { children, .. }) = &seen.find("sessions").expect("it is shown").below else {
        panic!("{text}")
    };
    let born: Vec<u64> = children.iter().filter_map(|child| Some(child.pid.as_ref()?.number())).collect();
    assert!(born.len() == 100 && born.is_sorted(), "the oldest come first: {born:?}");
    let b = seen.find("b").expect("it is shown");
    assert_eq!((b.state, &b.pid, b.uptime, b.restarts), (NodeState::Down, &None, None, 1));
    tokio::time::advance(7 * second).await;
    a.available().await;
    assert!(!tree.tree().await.to_string().contains("backoff"));
    tree.stop();
    tree.stopped().await;
    assert_eq!(tree.tree().await.to_string(), "root down\n");
}

#[actix::test]
async fn what_is_suspended_or_stuck_does_not_hide_the_rest() {
    tokio::time::pause();
    let arbiter = actix_rt::Arbiter::new();
    let ((_, a), (b, b_spec), (_, c)) = (counter("a"), counter("b"), counter("c"));
    let stuck_ref = SupervisorRef::new();
    let stuck = Supervisor::new(Strategy::OneForOne).child(b_spec);
    let stuck = stuck_ref.child_spec("stuck", move |_| Ok(stuck.clone())).on(arbiter.handle());
    let still = Supervisor::new(Strategy::OneForAll).child(c).child_spec("still");
    let tree = start(Supervisor::new(Strategy::OneForOne).child(a).child(stuck).child(still)).await;
    let root = tree.root();
    let still = root.child_pid("still").await.expect("there is such a child").expect("it lives");
    still.suspend().await.expect("it has time");
    root.pid().expect("it runs").suspend().await.expect("it has time");
    let (free, until) = blocking::channel();
    b.cast(Block(until)).expect("there is room");
    let seen = root.tree().await.expect("it runs");
    assert_eq!(seen.state, NodeState::Suspended);
    assert!(matches!(seen.find("stuck").and_then(|node| node.below.as_ref()), Some(Subtree::NoAnswer)));
    let (still, c) = (seen.find("still").expect("it is shown"), seen.find("c").expect("it is shown"));
    assert_eq!((still.state, c.state), (NodeState::Suspended, NodeState::Running));
    let text = seen.to_string();
    assert!(text.contains("(no answer)"), "{text}");
    assert_eq!(stuck_ref.child_pid("b").await, Err(SupervisorError::Busy), "it runs, but has no time");
    drop(free);
    while tree.tree().await.find("b").is_none() {}
}

#[actix::test]
async fn who_holds_an_arbiter_is_reported_once_and_when_it_is_over() {
    let arbiter = actix_rt::Arbiter::new();
    let (name, spec) = counter("counter");
    let tree = start(Supervisor::new(Strategy::OneForOne)).await;
    let (tell, mut stalls) = mpsc::unbounded_channel();
    let limit = Duration::from_millis(20);
    let report = move |stall: &impresario_actor::Stall| drop(tell.send(stall.clone()));
    let watchdog = Watchdog::start(tree.system(), limit, report).expect("there can be a thread");
    tree.root().start_child(spec.on(arbiter.handle())).await.expect("it starts");
    let pid = name.pid().expect("it lives");
    let (free, until) = blocking::channel();
    name.cast(Block(until)).expect("there is room");
    // Another arbiter may stand still, too, on a busy machine.
    let held = loop {
        let stall = stalls.recv().await.expect("somebody watches");
        if stall.blocked_by.as_ref() == Some(&pid) {
            break stall;
        }
    };
    assert!(!held.over && held.duration >= limit, "{held}");
    assert!(held.to_string().contains("a sys::Counter"), "{held}");
    drop(free);
    let over = loop {
        let stall = stalls.recv().await.expect("somebody watches");
        if stall.blocked_by.as_ref() == Some(&pid) {
            break stall;
        }
    };
    assert!(over.over, "it was reported once: {over}");
    assert!(over.duration >= held.duration);
    drop(watchdog);
    while stalls.recv().await.is_some() {}
    tree.stop();
    tree.stopped().await;
}

/// An `Env` that somebody keeps keeps its arbiter known, also when that is gone.
#[actix::test]
async fn an_arbiter_that_is_gone_does_not_stand_still() {
    let (arbiter, (tell, mut envs)) = (actix_rt::Arbiter::new(), mpsc::unbounded_channel());
    let name = ChildRef::new();
    let spec = name.child_spec("counter", move |env| {
        let _ = tell.send(env.clone());
        Ok(Counter::default())
    });
    let nested = Supervisor::new(Strategy::OneForOne).child(spec).child_spec("nested");
    let tree = start(Supervisor::new(Strategy::OneForOne).child(nested.on(arbiter.handle()))).await;
    let (pid, env) = (name.pid().expect("it lives"), envs.recv().await.expect("it was made"));
    let (tell, mut stalls) = mpsc::unbounded_channel();
    let report = move |stall: &impresario_actor::Stall| drop(tell.send(stall.clone()));
    let limit = Duration::from_millis(20);
    let _watchdog = Watchdog::start(tree.system(), limit, report).expect("there can be a thread");
    let (free, until) = blocking::channel();
    name.cast(Block(until)).expect("there is room");
    for over in [false, true] {
        let stall = loop {
            let stall = stalls.recv().await.expect("somebody watches");
            if stall.blocked_by.as_ref() == Some(&pid) {
                break stall;
            }
        };
        assert_eq!(stall.over, over);
        // What it was asked to do to show that it does something is never done.
        arbiter.stop();
        if !over {
            free.send(()).expect("it waits");
        }
    }
    drop(env);
}

#[actix::test]
async fn a_factory_that_holds_its_arbiter_is_known() {
    let arbiter = actix_rt::Arbiter::new();
    let tree = start(Supervisor::new(Strategy::OneForOne)).await;
    // Somebody lives there, so it is watched.
    let idle = ChildSpec::actor("idle", |_| Ok(Counter::default())).on(arbiter.handle());
    tree.root().start_child(idle).await.expect("it starts");
    let (tell, mut stalls) = mpsc::unbounded_channel();
    let report = move |stall: &impresario_actor::Stall| drop(tell.send(stall.clone()));
    let _watchdog = Watchdog::start(tree.system(), Duration::from_millis(20), report).expect("a thread");
    let (free, until) = blocking::channel::<()>();
    let until = std::sync::Mutex::new(until);
    let slow = ChildSpec::actor("slow", move |_| {
        let _ = until.lock().expect("no panic").recv();
        Ok(Counter::default())
    });
    let root = tree.root().clone();
    let start = actix_rt::spawn(async move { root.start_child(slow.on(arbiter.handle())).await });
    let stall = loop {
        let stall = stalls.recv().await.expect("somebody watches");
        if stall.arbiter.starts_with("actix-rt") {
            break stall;
        }
    };
    drop(free);
    start.await.expect("no panic").expect("it starts");
    assert!(stall.to_string().contains("a sys::Counter"), "{stall}");
}
