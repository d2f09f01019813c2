//! The examples of the book's chapters on calls, links and monitors, as tests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use impresario_actor::{
    CallError, ChildContext, ChildRef, ChildSpec, Down, ExitReason, ExitSignal, GenServer, GroupChange, Info,
    Pid, ReplyTo, Restart, ServerContext, ServerRef, Strategy, Supervisor,
};
use slog::{Discard, Logger, o};
use tokio::sync::{mpsc, oneshot};

type AnyError = Box<dyn std::error::Error>;

fn supervisor() -> Supervisor {
    Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!()))
}

// ANCHOR: server
/// Counts things by name.
#[derive(Default)]
struct Tally(HashMap<String, u64>);

/// The calls. Each variant carries the reply handle, which has the type of the reply.
enum Ask {
    Total(ReplyTo<u64>),
    Count(String, ReplyTo<Option<u64>>),
}

/// The casts.
enum Tell {
    Add(String, u64),
    Line(String),
}

impl GenServer for Tally {
    type Call = Ask;
    type Cast = Tell;

    fn handle_call(&mut self, ask: Ask, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        match ask {
            Ask::Total(reply) => reply.send(self.0.values().sum()),
            Ask::Count(name, reply) => reply.send(self.0.get(&name).copied()),
        }
        Ok(())
    }

    fn handle_cast(&mut self, tell: Tell, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let (name, count) = match tell {
            Tell::Add(name, count) => (name, count),
            Tell::Line(line) => (line.clone(), line.parse()?),
        };
        *self.0.entry(name).or_default() += count;
        Ok(())
    }
}
// ANCHOR_END: server

// ANCHOR: calls
async fn count() -> Result<(), AnyError> {
    let tally = ServerRef::<Tally>::new();
    let tree = supervisor().child(tally.child_spec("tally", |_| Ok(Tally::default()))).start().await?;

    tally.cast(Tell::Add("apples".to_owned(), 3))?;
    tally.cast(Tell::Line("4".to_owned()))?;
    assert_eq!(tally.call(Ask::Total).await?, 7);
    assert_eq!(tally.call(|reply| Ask::Count("pears".to_owned(), reply)).await?, None);

    // An error ends the server with its text as the reason. The restarted server is empty.
    let target = tally.pid().ok_or("the server is not running")?;
    tally.cast(Tell::Line("four".to_owned()))?;
    assert_eq!(target.wait_exit().await.to_string(), "invalid digit found in string");
    assert_eq!(tally.call(Ask::Total).timeout(Duration::from_secs(1)).wait().await?, 0);
    tree.stop();
    Ok(())
}
// ANCHOR_END: calls

#[actix::test]
async fn server_counts_and_restarts_empty() {
    count().await.expect("the counts are right");
}

// ANCHOR: later
/// Caches slow lookups. Concurrent calls for one key share one lookup.
struct Cache {
    known: HashMap<u32, String>,
    waiting: HashMap<u32, Vec<ReplyTo<String>>>,
}

struct Lookup(u32, ReplyTo<String>);

impl GenServer for Cache {
    type Call = Lookup;
    type Cast = Infallible;

    fn handle_call(
        &mut self,
        Lookup(key, reply): Lookup,
        ctx: &mut ServerContext<'_, Self>,
    ) -> Result<(), ExitReason> {
        if let Some(text) = self.known.get(&key) {
            reply.send(text.clone());
            return Ok(());
        }
        let waiting = self.waiting.entry(key).or_default();
        waiting.push(reply);
        if waiting.len() == 1 {
            // The server handles other messages while the lookup runs.
            ctx.spawn(look_up(key), move |cache, text, _| {
                let text = text?;
                for reply in cache.waiting.remove(&key).unwrap_or_default() {
                    reply.send(text.clone());
                }
                cache.known.insert(key, text);
                Ok(())
            });
        }
        Ok(())
    }
}
// ANCHOR_END: later

async fn look_up(key: u32) -> Result<String, std::io::Error> {
    tokio::task::yield_now().await;
    if key == 0 { Err(std::io::Error::other("there is no 0")) } else { Ok(format!("<{key}>")) }
}

#[actix::test]
async fn cache_replies_after_background_lookup() {
    let cache = ServerRef::new();
    let spec = cache.child_spec("cache", |_| Ok(Cache { known: HashMap::new(), waiting: HashMap::new() }));
    let _tree = supervisor().child(spec).start().await.expect("the start succeeds");
    let ask = |key| {
        let cache = cache.clone();
        async move { cache.call(move |reply| Lookup(key, reply)).await }
    };
    let (one, two, again) = tokio::join!(ask(1), ask(2), ask(1));
    assert_eq!((one.as_deref(), two.as_deref()), (Ok("<1>"), Ok("<2>")));
    assert_eq!(one, again);
    assert_eq!(ask(0).await, Err(CallError::Exit(ExitReason::Error("there is no 0".to_owned()))));
}

// ANCHOR: timers
/// Raises the alarm when no message arrives for one minute.
struct Watchdog {
    alarm: Option<oneshot::Sender<()>>,
}

enum Dog {
    SignOfLife,
    Bark,
}

const MINUTE: Duration = Duration::from_secs(60);

impl GenServer for Watchdog {
    type Call = Infallible;
    type Cast = Dog;

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        ctx.continue_with(|_, ctx| {
            ctx.send_after(10 * MINUTE, ctx.self_ref(), Dog::Bark);
            ctx.timeout(MINUTE);
            Ok(())
        });
        Ok(())
    }

    fn handle_cast(&mut self, dog: Dog, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        match dog {
            Dog::SignOfLife => ctx.timeout(MINUTE),
            Dog::Bark => return Err(ExitReason::ShutdownWith("ten minutes are enough".to_owned())),
        }
        Ok(())
    }

    fn handle_info(&mut self, info: Info, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        if let (Info::Timeout, Some(alarm)) = (info, self.alarm.take()) {
            let _ = alarm.send(());
        }
        Ok(())
    }
}
// ANCHOR_END: timers

#[actix::test]
async fn watchdog_fires_after_idle_timeout() {
    tokio::time::pause();
    let (alarm, observed) = oneshot::channel();
    let alarm = std::sync::Mutex::new(Some(alarm));
    let dog = ServerRef::new();
    let spec = dog.child_spec("dog", move |_| Ok(Watchdog { alarm: alarm.lock().expect("no panic").take() }));
    let spec = spec.restart(Restart::Transient);
    let _tree = supervisor().child(spec).start().await.expect("the start succeeds");
    let target = dog.pid().expect("the actor is running");
    let begin = tokio::time::Instant::now();
    for _ in 0..3 {
        dog.cast(Dog::SignOfLife).expect("the mailbox has capacity");
        tokio::task::yield_now().await;
        tokio::time::advance(MINUTE / 2).await;
    }
    observed.await.expect("the watchdog fires");
    assert!(begin.elapsed() >= 2 * MINUTE);
    assert_eq!(target.wait_exit().await, ExitReason::ShutdownWith("ten minutes are enough".to_owned()));
}

// ANCHOR: monitor
/// Keeps a seat for each guest and clears it when the guest has exited.
struct Host {
    env: ChildContext,
    seats: HashMap<Pid, u32>,
    cleared: mpsc::UnboundedSender<u32>,
}

impl Actor for Host {
    type Context = Context<Self>;
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Seat(Pid, u32);

impl Handler<Seat> for Host {
    type Result = ();

    fn handle(&mut self, Seat(guest, seat): Seat, ctx: &mut Context<Self>) {
        self.env.monitor(&guest, ctx);
        self.seats.insert(guest, seat);
    }
}

impl Handler<Down> for Host {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        if let Some(seat) = self.seats.remove(&down.pid) {
            let _ = self.cleared.send(seat);
        }
    }
}
// ANCHOR_END: monitor

// ANCHOR: link
/// One of two linked actors. An abnormal exit of one ends the other.
struct Half {
    env: ChildContext,
    other: Option<Pid>,
    /// Traps exits: receives the exit of the other half as a message instead of exiting.
    traps: bool,
    observed: mpsc::UnboundedSender<ExitReason>,
}

impl Actor for Half {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.traps {
            self.env.trap_exits(ctx);
        }
        if let Some(other) = &self.other {
            self.env.link(other);
        }
    }
}

impl Handler<ExitSignal> for Half {
    type Result = ();

    fn handle(&mut self, exit: ExitSignal, _: &mut Context<Self>) {
        let _ = self.observed.send(exit.reason);
    }
}
// ANCHOR_END: link

#[actix::test]
async fn down_clears_the_seat_and_links_end_both_halves() {
    let (cleared, mut seats) = mpsc::unbounded_channel();
    let (host, first, second) = (ChildRef::new(), ChildRef::new(), ChildRef::new());
    let (observed, _nothing) = mpsc::unbounded_channel();
    let half = observed.clone();
    let tree = supervisor()
        .child(host.child_spec("host", move |env| {
            Ok(Host { env: env.clone(), seats: HashMap::new(), cleared: cleared.clone() })
        }))
        .child(
            first
                .child_spec("first", move |env| {
                    Ok(Half { env: env.clone(), other: None, traps: false, observed: half.clone() })
                })
                .restart(Restart::Temporary),
        );
    let tree = tree.start().await.expect("the start succeeds");
    let other = first.pid();
    let spec = second.child_spec("second", move |env| {
        Ok(Half { env: env.clone(), other: other.clone(), traps: false, observed: observed.clone() })
    });
    tree.root().start_child(spec.restart(Restart::Temporary)).await.expect("the start succeeds");
    let (one, two) =
        (first.pid().expect("the actor is running"), second.pid().expect("the actor is running"));
    host.call(Seat(two.clone(), 12)).await.expect("the actor is running");
    one.kill();
    assert_eq!((two.wait_exit().await, seats.recv().await), (ExitReason::Killed, Some(12)));

    let (observed, mut observe) = mpsc::unbounded_channel();
    let other = Some(two);
    let spec = ChildSpec::actor("third", move |env| {
        Ok(Half { env: env.clone(), other: other.clone(), traps: true, observed: observed.clone() })
    });
    tree.root().start_child(spec).await.expect("the start succeeds");
    assert_eq!(observe.recv().await, Some(ExitReason::NoProc));
}

// ANCHOR: groups
/// Counts the members of the group `workers`.
struct Crew(usize, mpsc::UnboundedSender<usize>);

impl GenServer for Crew {
    type Call = Infallible;
    type Cast = Infallible;

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        ctx.monitor_group("workers");
        Ok(())
    }

    fn handle_info(&mut self, info: Info, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        if let Info::Group(event) = info {
            match event.change {
                GroupChange::Members(members) => self.0 = members.len(),
                GroupChange::Joined(_) => self.0 += 1,
                GroupChange::Left(_) => self.0 -= 1,
            }
        }
        self.1.send(self.0)?;
        Ok(())
    }
}

/// Joins the group in the factory, so each incarnation joins.
fn worker(id: &str) -> ChildSpec {
    ChildSpec::actor(id, |env| {
        env.registry().join("workers", &env.pid())?;
        Ok(Worker)
    })
}
// ANCHOR_END: groups

struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

// ANCHOR: names
async fn by_name() -> Result<(), AnyError> {
    let tally = ServerRef::new().child_spec("tally", |_| Ok(Tally::default()));
    let tree = supervisor().child(tally.registered("tally")).start().await?;

    let tally = tree.registry().whereis_server::<Tally>("tally").ok_or("the name is not registered")?;
    assert_eq!(tally.call(Ask::Total).await?, 0);
    Ok(())
}
// ANCHOR_END: names

#[actix::test]
async fn group_monitor_counts_workers_and_whereis_finds_names() {
    let (notifier, mut counts) = mpsc::unbounded_channel();
    let crew = ServerRef::new();
    let spec = crew.child_spec("crew", move |_| Ok(Crew(0, notifier.clone())));
    let tree = supervisor().child(spec).child(worker("a")).child(worker("b"));
    let tree = tree.start().await.expect("the start succeeds");
    tree.registry().members("workers")[0].kill();
    for expected in [0, 1, 2, 1, 2] {
        assert_eq!(counts.recv().await, Some(expected), "one exits, and its next incarnation joins");
    }
    by_name().await.expect("the server is found");
}
