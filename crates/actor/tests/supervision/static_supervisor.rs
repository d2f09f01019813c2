//! [`Supervisor`] with a fixed list of children: order, strategies, restart limits, reports, requests and replacement.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, Intensity, RequestError,
    Restart, Shutdown, StartError, Strategy, Supervisor, SupervisorError,
};
use slog::{Drain, Logger, OwnedKVList, Record, o};
use tokio::sync::mpsc;

/// Sender of the event lines that a [`Reader`] receives in order.
#[derive(Clone)]
struct Journal {
    tx: mpsc::UnboundedSender<String>,
}

struct Reader(mpsc::UnboundedReceiver<String>);

fn journal() -> (Journal, Reader) {
    let (tx, rx) = mpsc::unbounded_channel();
    (Journal { tx }, Reader(rx))
}

impl Journal {
    fn note(&self, line: impl Into<String>) {
        let _ = self.tx.send(line.into());
    }

    /// A logger that writes each record as a line: the message, then the values of `child` and `reason`.
    fn logger(&self) -> Logger {
        Logger::root(Lines(Mutex::new(self.clone())).ignore_res(), o!())
    }
}

impl Reader {
    async fn next(&mut self) -> String {
        self.0.recv().await.expect("the journal is open")
    }

    async fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.next().await, *line);
        }
    }
}

struct Lines(Mutex<Journal>);

impl Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        struct Pick(String);
        impl slog::Serializer for Pick {
            fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
                if key == "child" || key == "reason" {
                    self.0 = format!(" {value}") + &self.0;
                }
                Ok(())
            }
        }
        let mut pick = Pick(String::new());
        let _ = slog::KV::serialize(&record.kv(), record, &mut pick);
        self.0.lock().expect("the lock is not poisoned").note(format!("{}{}", record.msg(), pick.0));
        Ok(())
    }
}

struct Probe {
    name: &'static str,
    journal: Journal,
    env: ChildContext,
}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Panic,
    PanicInFuture,
    Stop,
    Fail,
    Hang,
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.journal.note(format!("+{}", self.name));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.journal.note(format!("-{}", self.name));
    }
}

impl Handler<Do> for Probe {
    type Result = ();

    fn handle(&mut self, message: Do, ctx: &mut Context<Self>) {
        match message {
            Do::Panic => panic!("boom"),
            Do::PanicInFuture => drop(ctx.spawn(async { panic!("later") }.into_actor(self))),
            Do::Stop => ctx.stop(),
            Do::Fail => {
                self.env.set_exit_reason(ExitReason::Error("own".into()));
                ctx.stop();
            }
            Do::Hang => ctx.wait(std::future::pending::<()>().into_actor(self)),
        }
    }
}

fn probe(name: &'static str, journal: &Journal) -> (ChildRef<Probe>, ChildSpec) {
    let (child, journal) = (ChildRef::new(), journal.clone());
    let spec = child.child_spec(name, move |env: &ChildContext| {
        Ok(Probe { name, journal: journal.clone(), env: env.clone() })
    });
    (child, spec)
}

fn tree(journal: &Journal) -> Supervisor {
    let intensity = Intensity::new(10, Duration::from_secs(60));
    Supervisor::new(Strategy::OneForOne).intensity(intensity).logger(journal.logger())
}

fn send(child: &ChildRef<Probe>, message: Do) {
    child.addr().expect("the actor has started").do_send(message);
}

#[actix_rt::test]
async fn children_start_in_order_and_stop_in_reverse() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let (_, b) = probe("b", &journal);
    let root = tree(&journal).child(a).child(b).start().await.expect("both children start");
    root.stop();
    assert_eq!(root.stopped().await, ExitReason::Shutdown);
    lines.expect(&["+a", "+b", "-b", "-a"]).await;
}

#[actix_rt::test]
async fn each_exit_is_logged_with_its_reason() {
    let (journal, mut lines) = journal();
    let (a, spec) = probe("a", &journal);
    let root = tree(&journal).child(spec).start().await.expect("the start succeeds");
    lines.expect(&["+a"]).await;
    for (message, reason) in [
        (Do::Panic, "panicked at "),
        (Do::PanicInFuture, "panicked at "),
        (Do::Stop, "normal"),
        (Do::Fail, "own"),
    ] {
        send(&a, message);
        lines.expect(&["-a"]).await;
        let report = lines.next().await;
        assert!(report.starts_with(&format!("child terminated a {reason}")), "{report}");
        if reason.starts_with("panicked") {
            assert!(report.contains("static_supervisor.rs:"), "the location is missing: {report}");
        }
        lines.expect(&["+a"]).await;
    }
    root.kill();
    assert_eq!(root.stopped().await, ExitReason::Killed);
    lines.expect(&["-a"]).await;
}

#[actix_rt::test]
async fn rest_for_one_restarts_later_siblings() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let (b, b_spec) = probe("b", &journal);
    let (_, c) = probe("c", &journal);
    let group = Supervisor::new(Strategy::RestForOne).child(a).child(b_spec).child(c);
    let root = tree(&journal).child(group.child_spec("group")).start().await.expect("all children start");
    send(&b, Do::Stop);
    lines.expect(&["+a", "+b", "+c", "-b", "child terminated b normal", "-c", "+b", "+c"]).await;
    root.stop();
    root.stopped().await;
    lines.expect(&["-c", "-b", "-a"]).await;
}

#[actix_rt::test]
async fn failed_first_start_stops_earlier_children() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let bad = ChildSpec::actor("b", |_| -> Result<Probe, StartError> { Err("no disk".into()) });
    let error = tree(&journal).child(a).child(bad).start().await.expect_err("child b fails to start");
    assert_eq!(error.to_string(), "child b failed to start: no disk");
    lines.expect(&["+a", "child failed to start b no disk", "-a"]).await;
}

#[actix_rt::test]
async fn panic_while_starting_fails_the_tree_start() {
    struct Bad;
    impl Actor for Bad {
        type Context = Context<Self>;
        fn started(&mut self, _: &mut Context<Self>) {
            panic!("cannot begin");
        }
    }
    let (journal, _lines) = journal();
    let error =
        tree(&journal).child(ChildSpec::actor("b", |_| Ok(Bad))).start().await.expect_err("the start fails");
    assert!(error.to_string().contains("cannot begin"), "{error}");
    let error = tree(&journal)
        .child(ChildSpec::actor("b", |_| -> Result<Bad, StartError> { panic!("no value") }))
        .start()
        .await
        .expect_err("the start fails");
    assert!(error.to_string().contains("no value"), "{error}");
}

#[actix_rt::test]
async fn restart_limit_ends_the_tree() {
    let (journal, mut lines) = journal();
    let (a, spec) = probe("a", &journal);
    let root = tree(&journal).intensity(Intensity::new(0, Duration::from_secs(1))).child(spec);
    let root = root.start().await.expect("the start succeeds");
    send(&a, Do::Fail);
    let reason = root.stopped().await;
    assert_eq!(reason.to_string(), "restart limit reached, last failure of child a: own");
    lines.expect(&["+a", "-a", "child terminated a own", "restart limit reached a own"]).await;
}

#[actix_rt::test]
async fn child_that_does_not_stop_is_killed() {
    struct Stubborn;
    impl Actor for Stubborn {
        type Context = Context<Self>;
        fn stopping(&mut self, _: &mut Context<Self>) -> Running {
            Running::Continue
        }
    }
    tokio::time::pause();
    let (journal, mut lines) = journal();
    let stubborn = ChildSpec::actor("s", |_| Ok(Stubborn)).shutdown(Duration::from_secs(3600));
    let (h, hanging) = probe("h", &journal);
    let root = tree(&journal).child(stubborn).child(hanging).start().await.expect("both children start");
    send(&h, Do::Hang);
    root.stop();
    assert_eq!(root.stopped().await, ExitReason::Shutdown);
    lines.expect(&["+h", "-h", "child did not shut down cleanly s killed"]).await;
}

#[actix_rt::test]
async fn killing_the_supervisor_kills_its_children() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let nested = Supervisor::new(Strategy::OneForOne).child(a).child_spec("nested").shutdown(Shutdown::Kill);
    let root = tree(&journal).child(nested).start().await.expect("all children start");
    lines.expect(&["+a"]).await;
    root.kill();
    root.stopped().await;
    lines.expect(&["-a"]).await;
}

#[actix_rt::test]
async fn dynamic_children_start_on_request_and_stop_with_tree() {
    let (journal, mut lines) = journal();
    let workers = DynamicRef::<(&'static str, ExitReason)>::new();
    assert!(
        workers.start(("early", ExitReason::Normal)).is_err(),
        "a supervisor that is not running returns the arguments"
    );
    let log = journal.clone();
    let supervisor = DynamicSupervisor::new(move |env: &ChildContext, (name, reason)| {
        if reason == ExitReason::NoProc {
            return Err(StartError::Ignore);
        }
        env.set_exit_reason(reason);
        Ok(Probe { name, journal: log.clone(), env: env.clone() })
    });
    let root = tree(&journal)
        .child(workers.child_spec("workers", supervisor))
        .start()
        .await
        .expect("the start succeeds");
    for name in ["x", "y"] {
        workers.start((name, ExitReason::Normal)).expect("the child exists");
    }
    workers.start(("never", ExitReason::NoProc)).expect("the child exists");
    lines.expect(&["+x", "+y"]).await;
    root.stop();
    root.stopped().await;
    let mut ends = [lines.next().await, lines.next().await];
    ends.sort();
    assert_eq!(ends, ["-x", "-y"]);
    assert!(workers.start(("late", ExitReason::Normal)).is_err());
}

#[actix_rt::test]
async fn transient_child_is_not_restarted_after_normal_exit() {
    let (journal, mut lines) = journal();
    let (a, spec) = probe("a", &journal);
    let root =
        tree(&journal).child(spec.restart(Restart::Transient)).start().await.expect("the start succeeds");
    send(&a, Do::Stop);
    lines.expect(&["+a", "-a"]).await;
    root.stop();
    assert_eq!(root.stopped().await, ExitReason::Shutdown);
}

#[actix_rt::test]
async fn two_trees_have_separate_pids_and_names() {
    let (journal, _lines) = journal();
    let ((a, a_spec), (b, b_spec)) = (probe("same", &journal), probe("same", &journal));
    let first = tree(&journal).child(a_spec).start().await.expect("the start succeeds");
    let second = tree(&journal).child(b_spec).start().await.expect("the start succeeds");
    let (a_pid, b_pid) = (a.pid().expect("the actor is running"), b.pid().expect("the actor is running"));
    assert_eq!(a_pid.number(), b_pid.number(), "each tree numbers its own pids");
    assert_ne!(a_pid, b_pid);
    first.registry().register("name", &a_pid).expect("the name is free");
    assert_eq!(second.registry().whereis("name"), None);
    second.registry().register("name", &b_pid).expect("the name is free in the other tree");
    assert!(second.tree().await.find("same").is_some_and(|child| child.pid.as_ref() == Some(&b_pid)));
    first.stop();
    first.stopped().await;
    assert!(!a.addr().expect("the actor has started").connected());
    assert!(b.addr().expect("the actor has started").connected());
    second.stop();
    second.stopped().await;
}

#[actix_rt::test]
async fn child_may_hold_values_that_are_not_send() {
    struct Local(Rc<RefCell<u32>>);
    impl Actor for Local {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            *self.0.borrow_mut() += 1;
            ctx.notify_later(Tick, Duration::ZERO);
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Tick;
    impl Handler<Tick> for Local {
        type Result = ();
        fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
            ctx.stop();
        }
    }
    let seen = Arc::new(Mutex::new(0));
    let spec = ChildSpec::actor("local", move |_| {
        *seen.lock().expect("the lock is not poisoned") += 1;
        Ok(Local(Rc::default()))
    });
    let (journal, mut lines) = journal();
    let root = tree(&journal).child(spec).start().await.expect("it starts");
    lines.expect(&["child terminated local normal"]).await;
    root.stop();
    root.stopped().await;
}

#[actix_rt::test]
async fn running_supervisor_starts_terminates_and_deletes_children() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let (b, b_spec) = probe("b", &journal);
    let tree = tree(&journal).child(a).start().await.expect("the start succeeds");
    let root = tree.root();
    assert!(root.start_child(b_spec.clone()).await.expect("the start succeeds").is_some());
    let twice = root.start_child(b_spec).await.expect_err("the child is running");
    assert_eq!(twice.to_string(), "a child with this id is already running");
    assert_eq!(
        root.terminate_child("c").await.expect_err("no such child exists").to_string(),
        "no such child"
    );
    root.terminate_child("b").await.expect("the child exists");
    assert!(!b.addr().expect("the actor has started").connected());
    root.restart_child("b").await.expect("the child is stopped");
    assert!(
        b.addr().expect("the actor has started").connected(),
        "the reference reaches the restarted actor"
    );
    let ids: Vec<String> =
        root.which_children().await.expect("the actor is running").iter().map(|c| c.id.to_string()).collect();
    assert_eq!(ids, ["b", "a"]);
    root.terminate_child("a").await.expect("the child exists");
    root.delete_child("a").await.expect("the child is stopped");
    let counts = root.count_children().await.expect("the actor is running");
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (1, 1, 1, 0));
    tree.stop();
    tree.stopped().await;
    lines.expect(&["+a", "+b", "-b", "+b", "-a", "-b"]).await;
    assert_eq!(root.count_children().await, Err(SupervisorError::NotRunning));
}

#[actix_rt::test]
async fn replace_applies_new_specs_to_a_running_supervisor() {
    let (journal, mut lines) = journal();
    let ((_, a), (b, b_spec), (_, c)) = (probe("a", &journal), probe("b", &journal), probe("c", &journal));
    let tree = tree(&journal).child(a).child(b_spec.clone()).start().await.expect("the start succeeds");
    let root = tree.root();
    let with = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(9, Duration::from_secs(1)))
        .child(c)
        .child(b_spec.restart(Restart::Transient).shutdown(Shutdown::Kill));
    root.replace(with.clone()).await.expect("the specs are valid");
    let rules = root.child_rules("b").await.expect("the child exists");
    assert_eq!((rules.restart, rules.shutdown), (Restart::Transient, Shutdown::Kill));
    assert_eq!(root.child_rules("d").await, Err(SupervisorError::Refused(RequestError::NotFound)));
    let ids: Vec<String> = root
        .which_children()
        .await
        .expect("the actor is running")
        .iter()
        .map(|child| child.id.to_string())
        .collect();
    assert_eq!(ids, ["a", "b", "c"], "a child without a spec comes last");
    root.restart_child("c").await.expect("the child is stopped");
    send(&b, Do::Stop);
    lines.expect(&["+a", "+b", "+c", "-b"]).await;
    root.restart_child("b").await.expect("the child is transient and stopped");
    let twice = with.child(ChildSpec::actor("b", |_| Err::<Probe, _>("never".into())));
    let error = root.replace(twice).await.expect_err("the id is not unique");
    assert!(error.to_string().contains('b'), "{error}");
    tree.stop();
    tree.stopped().await;
    lines.expect(&["+b", "-a", "-b", "-c"]).await;
}

#[actix_rt::test]
async fn suspended_supervisor_stops_and_ignores_exit_signals() {
    let (journal, mut lines) = journal();
    let (_, a) = probe("a", &journal);
    let tree = tree(&journal).child(a).start().await.expect("the start succeeds");
    let pid = tree.root().pid().expect("the actor is running");
    pid.exit(ExitReason::Error("not linked".into()));
    pid.suspend().await.expect("the actor is running");
    tree.stop();
    assert_eq!(tree.stopped().await, ExitReason::Shutdown);
    lines.expect(&["+a", "-a"]).await;
}

#[actix_rt::test]
async fn events_of_a_suspended_supervisor_are_handled_in_order() {
    let (journal, mut lines) = journal();
    let (a, spec) = probe("a", &journal);
    let tree =
        tree(&journal).child(spec.restart(Restart::Transient)).start().await.expect("the start succeeds");
    let (root, pid) = (tree.root(), tree.root().pid().expect("the actor is running"));
    let target = a.pid().expect("the actor is running");
    pid.suspend().await.expect("the actor is running");
    let mut before = Box::pin(root.restart_child("a"));
    assert!(futures::poll!(&mut before).is_pending());
    send(&a, Do::Stop);
    assert_eq!(target.wait_exit().await, ExitReason::Normal);
    let mut after = Box::pin(root.restart_child("a"));
    assert!(futures::poll!(&mut after).is_pending());
    pid.resume();
    assert_eq!(before.await, Err(SupervisorError::Refused(RequestError::Running)));
    assert!(after.await.expect("the child is stopped").is_some());
    lines.expect(&["+a", "-a", "+a"]).await;
}
