//! Timers: `send_after`, `start_timer`, `send_interval` and `cancel`, on tokio's paused clock.

use std::time::Duration;

use crate::common::{Child, Process, child, pair, start};
use actix::{AsyncContext, Context, Handler, Message};
use impresario_actor::{
    ChildContext, ChildRef, ExitReason, GenServer, ServerContext, ServerRef, Strategy, Supervisor, Timer,
    Tree,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, pause};

const SECOND: Duration = Duration::from_secs(1);

/// Reports each message and the time since its start.
struct Clock(mpsc::UnboundedSender<(Fired, Duration)>, Instant);

#[derive(Clone, Debug, PartialEq, Message)]
#[rtype(result = "()")]
enum Fired {
    Word(&'static str),
    Of(Timer),
}

impl actix::Actor for Clock {
    type Context = Context<Self>;
}

impl Handler<Fired> for Clock {
    type Result = ();

    fn handle(&mut self, delivered: Fired, _: &mut Context<Self>) {
        let _ = self.0.send((delivered, self.1.elapsed()));
    }
}

struct World {
    _tree: Tree,
    clock: ChildRef<Clock>,
    delivered: mpsc::UnboundedReceiver<(Fired, Duration)>,
    setter: Child,
}

impl World {
    /// Pauses the clock. It advances only when all tasks are idle.
    async fn new() -> Self {
        let ((setter, setter_spec), clock, (notifier, delivered)) =
            (child("setter"), ChildRef::new(), mpsc::unbounded_channel());
        pause();
        let begin = Instant::now();
        let spec = clock.child_spec("clock", move |_| Ok(Clock(notifier.clone(), begin)));
        Self { _tree: start([setter_spec, spec]).await, clock, delivered, setter }
    }

    async fn set<T: Send + 'static>(
        &self,
        set: impl FnOnce(&ChildContext, &mut Context<Process>) -> T + Send + 'static,
    ) -> T {
        let (notifier, mut delivered) = mpsc::channel(1);
        self.setter
            .run(move |process, ctx| {
                let outcome = set(&process.env, ctx);
                assert!(notifier.try_send(outcome).is_ok());
            })
            .await;
        delivered.recv().await.expect("the closure has run")
    }

    async fn word(&self, word: &'static str, seconds: u32) -> Timer {
        let to = self.clock.clone();
        self.set(move |env, ctx| env.send_after(SECOND * seconds, to, Fired::Word(word), ctx)).await
    }

    /// The next message and the second of its arrival.
    async fn next(&mut self) -> (Fired, u64) {
        let (delivered, when) = self.delivered.recv().await.expect("the message arrives");
        (delivered, when.as_secs())
    }

    /// Polls the other tasks of this thread 8 times.
    async fn settle(&self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
}

/// Rounded to seconds: tokio's timers have a resolution of 1 ms.
fn seconds(left: Option<Duration>) -> Option<u64> {
    left.map(|left| (left + SECOND / 2).as_secs())
}

#[actix::test]
async fn timers_fire_in_order_of_their_deadlines() {
    let mut world = World::new().await;
    for (word, seconds) in [("third", 3), ("first", 1), ("second", 2), ("now", 0)] {
        world.word(word, seconds).await;
    }
    for (second, word) in ["now", "first", "second", "third"].into_iter().enumerate() {
        assert_eq!(world.next().await, (Fired::Word(word), second as u64));
    }
}

#[actix::test]
async fn cancel_returns_remaining_time_or_none_if_fired() {
    let mut world = World::new().await;
    let (early, late) = (world.word("early", 1).await, world.word("late", 3).await);
    assert_eq!(seconds(early.remaining()), Some(1));
    assert_eq!(world.next().await, (Fired::Word("early"), 1));
    assert_eq!((early.remaining(), early.cancel()), (None, None));
    assert_eq!(seconds(late.cancel()), Some(2));
    assert_eq!((late.remaining(), late.cancel()), (None, None), "a second cancel returns None");
    advance(SECOND * 10).await;
    world.settle().await;
    assert!(world.delivered.try_recv().is_err());
}

#[actix::test]
async fn timer_is_cancelled_when_its_owner_exits() {
    let mut world = World::new().await;
    let timer = world.word("never", 1).await;
    let setter = world.setter.pid();
    setter.kill();
    setter.wait_exit().await;
    assert_eq!((timer.remaining(), timer.cancel()), (None, None));
    advance(SECOND * 10).await;
    world.settle().await;
    assert!(world.delivered.try_recv().is_err());
}

#[actix::test]
async fn timer_to_a_child_ref_reaches_the_restarted_actor() {
    let mut world = World::new().await;
    let first = world.clock.actor().expect("the actor is running");
    let to_life = first.clone();
    world.word("slot", 2).await;
    world.set(move |env, ctx| drop(env.send_after(SECOND, to_life, Fired::Word("actor"), ctx))).await;
    first.pid().kill();
    first.pid().wait_exit().await;
    world.clock.available().await;
    assert_eq!(world.next().await, (Fired::Word("slot"), 2), "the message to the exited actor is dropped");
}

#[actix::test]
async fn start_timer_passes_the_timer_to_the_message() {
    let mut world = World::new().await;
    let to = world.clock.clone();
    let (old, new) = world
        .set(move |env, ctx| {
            let old = env.start_timer(SECOND, to.clone(), Fired::Of, ctx);
            (old, env.start_timer(SECOND * 2, to, Fired::Of, ctx))
        })
        .await;
    assert_ne!(old, new);
    assert_eq!(world.next().await, (Fired::Of(old), 1));
    assert_eq!(world.next().await, (Fired::Of(new), 2));
}

#[actix::test]
async fn interval_repeats_until_cancelled() {
    let mut world = World::new().await;
    let to = world.clock.clone();
    let timer = world.set(move |env, ctx| env.send_interval(SECOND * 2, to, Fired::Word("tick"), ctx)).await;
    for second in [2, 4, 6] {
        assert_eq!(world.next().await, (Fired::Word("tick"), second));
    }
    advance(SECOND).await;
    assert_eq!(seconds(timer.cancel()), Some(1));
    advance(SECOND * 10).await;
    world.settle().await;
    assert!(world.delivered.try_recv().is_err());
}

#[actix::test]
async fn interval_skips_ticks_missed_while_suspended() {
    let mut world = World::new().await;
    let to = world.clock.clone();
    world.set(move |env, ctx| drop(env.send_interval(SECOND * 2, to, Fired::Word("tick"), ctx))).await;
    // Timers are tasks of the actor that sets them, so they are not polled while it is suspended.
    let setter = world.setter.pid();
    setter.suspend().await.expect("the actor is running");
    advance(SECOND * 7).await;
    world.settle().await;
    assert!(world.delivered.try_recv().is_err());
    setter.resume();
    assert_eq!(world.next().await, (Fired::Word("tick"), 7));
    assert_eq!(world.next().await, (Fired::Word("tick"), 8));
    assert_eq!(world.next().await, (Fired::Word("tick"), 10));
}

#[actix::test]
async fn max_delay_and_zero_period_are_accepted() {
    let mut world = World::new().await;
    let to = world.clock.clone();
    let never = world.set(move |env, ctx| env.send_after(Duration::MAX, to, Fired::Word("never"), ctx)).await;
    assert!(never.remaining().is_some_and(|left| left > SECOND * 1_000_000));
    let to = world.clock.clone();
    let timer =
        world.set(move |env, ctx| env.send_interval(Duration::ZERO, to, Fired::Word("tick"), ctx)).await;
    for _ in 0..3 {
        assert_eq!(world.next().await.0, Fired::Word("tick"));
    }
    assert!(timer.cancel().is_some() && never.cancel().is_some());
}

/// A server that sends casts to itself by timers.
struct Ticker(u32, mpsc::UnboundedSender<u32>);

impl GenServer for Ticker {
    type Call = std::convert::Infallible;
    type Cast = u32;

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        ctx.send_interval(SECOND, ctx.self_ref(), 1);
        Ok(())
    }

    fn handle_cast(&mut self, number: u32, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        self.0 += number;
        self.1.send(self.0)?;
        if self.0 == 3 {
            ctx.send_after(SECOND / 2, ctx.self_ref(), 10);
        }
        Ok(())
    }
}

#[actix::test]
async fn server_timers_send_casts_to_itself() {
    let ((notifier, mut delivered), name) = (mpsc::unbounded_channel(), ServerRef::new());
    pause();
    let spec = name.child_spec("ticker", move |_| Ok(Ticker(0, notifier.clone())));
    let _tree = start([spec]).await;
    for expected in [1, 2, 3, 13, 14] {
        assert_eq!(delivered.recv().await, Some(expected));
    }
}

/// Another thread cancels the timer while it fires. Exactly one of the two must happen.
#[actix::test]
async fn timer_cancelled_on_another_thread_does_not_fire() {
    let (notifier, mut delivered) = mpsc::unbounded_channel();
    let name = ChildRef::new();
    let spec = name.child_spec("clock", move |_| Ok(Clock(notifier.clone(), Instant::now())));
    let (setter, setter_spec) = child("setter");
    let tree =
        Supervisor::new(Strategy::OneForOne).logger(crate::common::quiet()).child(spec).child(setter_spec);
    let _tree = tree.start().await.expect("the start succeeds");
    for round in 0..200_u64 {
        let (hand_over, mut timers) = mpsc::channel(1);
        let to = name.clone();
        let canceller = std::thread::spawn(move || {
            let timer: Timer = timers.blocking_recv().expect("the timer is set");
            for _ in 0..round % 8 {
                std::thread::yield_now();
            }
            timer.cancel().is_some()
        });
        setter
            .run(move |process, ctx| {
                let timer =
                    process.env.send_after(Duration::from_micros(round * 10), to, Fired::Word("x"), ctx);
                assert!(hand_over.try_send(timer).is_ok());
            })
            .await;
        let cancelled =
            tokio::task::spawn_blocking(|| canceller.join().expect("no panic")).await.expect("no panic");
        if cancelled {
            // When the setter replies, a message that its timer sent is already delivered.
            setter.run(|_, _| {}).await;
            assert!(delivered.try_recv().is_err(), "a cancelled timer has fired");
        } else {
            assert_eq!(delivered.recv().await.map(|(delivered, _)| delivered), Some(Fired::Word("x")));
        }
    }
}

#[actix::test]
async fn run_later_of_actix_fires_in_the_actor() {
    pause();
    let (_tree, mut a, b) = pair().await;
    let pid = b.pid();
    a.run(move |process, ctx| {
        let env = process.env.clone();
        ctx.run_later(SECOND, move |_, ctx| {
            env.monitor(&pid, ctx);
        });
    })
    .await;
    b.pid().kill();
    assert!(matches!(a.observe().await, crate::common::Observed::Down(_, ExitReason::NoProc)));
}
