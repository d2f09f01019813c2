//! Supervisor reports as slog records: level, message and fields.

use std::fmt;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use impresario_actor::{
    Backoff, ChildContext, ChildRef, ChildSpec, ExitReason, Intensity, Restart, StartError, Strategy,
    Supervisor,
};
use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer, o};
use tokio::sync::mpsc;

struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

/// Level, message and fields of a record, the fields in their order.
type Line = (Level, String, Vec<(String, String)>);

struct Lines(mpsc::UnboundedSender<Line>);

impl Drain for Lines {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, tree: &OwnedKVList) -> Result<(), Never> {
        let mut fields = Fields(Vec::new());
        record.kv().serialize(record, &mut fields).expect("serialization succeeds");
        tree.serialize(record, &mut fields).expect("serialization succeeds");
        let _ = self.0.send((record.level(), record.msg().to_string(), fields.0));
        Ok(())
    }
}

struct Fields(Vec<(String, String)>);

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn text(fields: &[(String, String)]) -> String {
    fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[actix_rt::test]
async fn reports_carry_reason_child_and_restart_fields() {
    let (notifier, mut lines) = mpsc::unbounded_channel();
    let worker = ChildRef::new();
    let spec = worker.child_spec("db", |_| Ok(Worker)).restart(Restart::Transient);
    let tree = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(1, Duration::from_secs(3600)))
        .logger(Logger::root(Lines(notifier).fuse(), o!()))
        .child(spec)
        .start()
        .await
        .expect("the start succeeds");
    for _ in 0..2 {
        let target = worker.available().await.pid().clone();
        target.exit(ExitReason::Error("no disk".to_owned()));
        target.wait_exit().await;
    }
    tree.stopped().await;
    let expected = [
        (Level::Error, "child terminated", 1),
        (Level::Error, "child terminated", 2),
        (Level::Critical, "restart limit reached", 2),
    ];
    for (level, message, incarnation) in expected {
        let (found, said, fields) = lines.recv().await.expect("it is reported");
        assert_eq!((found, said.as_str()), (level, message));
        let rest = "restart=transient shutdown=5s kind=worker supervisor=root";
        let expected = format!("reason=no disk child=db incarnation={incarnation} {rest}");
        assert_eq!(text(&fields), expected);
    }
}

#[actix_rt::test]
async fn failed_first_start_is_logged_at_debug_level() {
    let (notifier, mut lines) = mpsc::unbounded_channel();
    let spec = ChildRef::<Worker>::new().child_spec_async("db", async |_| Err("no disk".into()));
    let tree =
        Supervisor::new(Strategy::OneForOne).logger(Logger::root(Lines(notifier).fuse(), o!())).child(spec);
    let Err(StartError::Failed(reason)) = tree.start().await else { panic!("the tree started") };
    assert_eq!(reason.to_string(), "child db failed to start: no disk");
    let (level, message, _) = lines.recv().await.expect("it is reported");
    assert_eq!((level, message.as_str()), (Level::Debug, "child failed to start"));
}

/// Sets fields of its report when it is dropped.
struct Labelled(ChildContext);

impl Actor for Labelled {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(wrap_future(async { panic!("no disk") }));
    }
}

impl Drop for Labelled {
    fn drop(&mut self) {
        self.0.set_report_field("peer", "old");
        self.0.set_report_field("peer", "10.0.0.1:4242");
        self.0.set_report_field("child", "a key that the report has");
    }
}

#[actix_rt::test]
async fn fields_that_an_actor_sets_when_dropped_are_in_its_report() {
    let (notifier, mut lines) = mpsc::unbounded_channel();
    let spec = ChildSpec::actor("db", |env| Ok(Labelled(env.clone()))).restart(Restart::Temporary);
    let _tree = Supervisor::new(Strategy::OneForOne)
        .logger(Logger::root(Lines(notifier).fuse(), o!()))
        .child(spec)
        .start()
        .await
        .expect("the start succeeds");
    let (_, message, fields) = lines.recv().await.expect("it is reported");
    assert_eq!(message, "child terminated");
    let values = |key: &str| {
        let with_key = fields.iter().filter(|(existing, _)| existing == key);
        with_key.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(values("peer"), ["10.0.0.1:4242"]);
    assert_eq!(values("child"), ["db"]);
}

#[actix_rt::test]
async fn delayed_restart_is_a_line_with_delay_and_attempt() {
    tokio::time::pause();
    let (notifier, mut lines) = mpsc::unbounded_channel();
    let worker = ChildRef::new();
    let delay = Duration::from_millis(40);
    let backoff = Backoff { first: delay, max: delay, ..Backoff::default() };
    let spec = worker.child_spec("db", |_| Ok(Worker)).backoff(backoff);
    let _tree = Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(3, Duration::from_secs(1)))
        .logger(Logger::root(Lines(notifier).fuse(), o!()))
        .child(spec)
        .start()
        .await
        .expect("the start succeeds");
    // The first restart of a row is immediate.
    for _ in 0..2 {
        worker.available().await.pid().kill();
        let (_, message, fields) = lines.recv().await.expect("it is reported");
        assert_eq!(message, "child terminated");
        assert!(!text(&fields).contains("attempt"), "{fields:?}");
    }
    let (level, message, fields) = lines.recv().await.expect("the delay is logged");
    assert_eq!((level, message.as_str()), (Level::Info, "restarting in 40 ms (attempt 2)"));
    assert_eq!(text(&fields), "child=db restarting_in=40ms attempt=2 supervisor=root");
}
