//! Timers: messages that are sent later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::context::ChildContext;
use crate::context::destination::Destination;
use crate::sync::{AtomicWaker, Mutex, lock};

/// Longest delay; a longer one counts as this. A hundred years.
const MAX_DELAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Shortest period; a shorter one counts as this.
const MIN_PERIOD: Duration = Duration::from_millis(1);

/// A timer that sends a message, once or repeatedly (OTP: `TimerRef`).
///
/// It belongs to the actor that set it, and ends with that actor. Dropping the handle does not cancel it.
/// Clones are equal and refer to the same timer. See [`ChildContext::send_after`].
#[derive(Clone)]
#[doc(alias = "TimerRef")]
pub struct Timer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The next time at which it fires; `None` if it does not.
    deadline: Mutex<Option<Instant>>,
    waker: AtomicWaker,
}

impl Timer {
    /// Cancels the timer. Returns the time that was left; `None` if it has fired, or if the actor that set it
    /// has exited (OTP: `erlang:cancel_timer/1`).
    ///
    /// The message is not sent afterwards. A message that was sent before may still be in the queue. Where that
    /// matters, use [`ChildContext::start_timer`] and compare.
    #[doc(alias = "cancel_timer")]
    pub fn cancel(&self) -> Option<Duration> {
        let deadline = lock(&self.0.deadline).take()?;
        self.0.waker.wake();
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// The time until it fires; `None` as for [`cancel`](Self::cancel) (OTP: `erlang:read_timer/1`).
    #[doc(alias = "read_timer")]
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = *lock(&self.0.deadline);
        deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn new(delay: Duration) -> (Self, Instant) {
        let deadline = Instant::now() + delay.min(MAX_DELAY);
        (Self(Arc::new(Shared { deadline: Mutex::new(Some(deadline)), waker: AtomicWaker::new() })), deadline)
    }

    /// Whether it fires now; false if it was cancelled. A periodic timer stays set.
    fn fires(&self, period: Option<Duration>) -> Option<Option<Instant>> {
        let mut deadline = lock(&self.0.deadline);
        let previous = (*deadline)?;
        *deadline = period.map(|period| next(previous, Instant::now(), period));
        Some(*deadline)
    }
}

/// The first instant after now that is a whole number of periods after `was`.
fn next(previous: Instant, now: Instant, period: Duration) -> Instant {
    let elapsed = now.saturating_duration_since(previous).as_nanos() % period.as_nanos();
    // The rest of a division by the period is shorter than the period.
    now + period.saturating_sub(Duration::from_nanos(u64::try_from(elapsed).unwrap_or(0)))
}

/// Waits for a timer, then sends its message.
struct TimerTask {
    timer: Timer,
    sleep: Pin<Box<Sleep>>,
    period: Option<Duration>,
    send: Box<dyn FnMut()>,
}

impl TimerTask {
    fn new(timer: Timer, deadline: Instant, period: Option<Duration>, send: Box<dyn FnMut()>) -> Self {
        Self { timer, sleep: Box::pin(sleep_until(deadline)), period, send }
    }
}

impl Future for TimerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.timer.0.waker.register(cx.waker());
        loop {
            if this.timer.remaining().is_none() {
                return Poll::Ready(());
            }
            ready!(this.sleep.as_mut().poll(cx));
            let Some(next) = this.timer.fires(this.period) else { return Poll::Ready(()) };
            (this.send)();
            match next {
                Some(next) => this.sleep.as_mut().reset(next),
                None => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for TimerTask {
    /// The actor that set the timer has exited, or the timer is done.
    fn drop(&mut self) {
        *lock(&self.timer.0.deadline) = None;
    }
}

/// # Timers
///
/// For delayed or repeated calls of the actor's own methods, actix has `ctx.run_later`, `ctx.notify_later` and
/// `ctx.run_interval`. These timers send to any destination, report whether a cancellation came in time, and
/// can be compared. They end with the actor that sets them. They do not run while it is suspended or waits in
/// `ctx.wait`; they fire when it continues.
impl ChildContext {
    /// Sends a message after this delay (OTP: `erlang:send_after/3`).
    pub fn send_after<A, M>(
        &self,
        delay: Duration,
        to: impl Destination<M> + 'static,
        message: M,
        ctx: &mut Context<A>,
    ) -> Timer
    where
        A: Actor<Context = Context<A>>,
        M: Send + 'static,
    {
        self.start_timer(delay, to, |_| message, ctx)
    }

    /// Sends a message that carries its timer, after this delay (OTP: `erlang:start_timer/3`).
    ///
    /// So the receiver recognizes the message of a timer that was cancelled or replaced too late: it differs
    /// from the [`Timer`] that the receiver keeps.
    pub fn start_timer<A, M>(
        &self,
        delay: Duration,
        to: impl Destination<M> + 'static,
        message: impl FnOnce(Timer) -> M + 'static,
        ctx: &mut Context<A>,
    ) -> Timer
    where
        A: Actor<Context = Context<A>>,
        M: Send + 'static,
    {
        let (timer, task) = once(delay, to, message);
        ctx.spawn(wrap_future::<_, A>(task));
        timer
    }

    /// Sends a message repeatedly, first after one period (OTP: `timer:send_interval/3`).
    ///
    /// Missed ticks are skipped, so messages never come in a burst. A period below 1 ms counts as 1 ms.
    pub fn send_interval<A, M>(
        &self,
        period: Duration,
        to: impl Destination<M> + 'static,
        message: M,
        ctx: &mut Context<A>,
    ) -> Timer
    where
        A: Actor<Context = Context<A>>,
        M: Clone + Send + 'static,
    {
        let (timer, task) = repeated(period, to, message);
        ctx.spawn(wrap_future::<_, A>(task));
        timer
    }
}

/// A timer that fires once, and the future that runs it.
pub(crate) fn once<M>(
    delay: Duration,
    to: impl Destination<M> + 'static,
    message: impl FnOnce(Timer) -> M + 'static,
) -> (Timer, impl Future<Output = ()> + 'static) {
    let (timer, deadline) = Timer::new(delay);
    let mut message = Some((timer.clone(), message));
    let send = move || {
        if let Some((timer, message)) = message.take() {
            to.deliver(message(timer));
        }
    };
    (timer.clone(), TimerTask::new(timer, deadline, None, Box::new(send)))
}

/// A timer that fires repeatedly, and the future that runs it.
pub(crate) fn repeated<M: Clone + 'static>(
    period: Duration,
    to: impl Destination<M> + 'static,
    message: M,
) -> (Timer, impl Future<Output = ()> + 'static) {
    let period = period.clamp(MIN_PERIOD, MAX_DELAY);
    let (timer, deadline) = Timer::new(period);
    let send = move || to.deliver(message.clone());
    (timer.clone(), TimerTask::new(timer, deadline, Some(period), Box::new(send)))
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Timer {}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.remaining()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_skipped() {
        let (start, period) = (Instant::now(), Duration::from_secs(10));
        let after = |seconds| start + Duration::from_secs(seconds);
        for (now, expected) in [(0, 10), (3, 10), (9, 10), (10, 20), (35, 40)] {
            assert_eq!(next(start, after(now), period), after(expected), "at {now} s");
        }
    }

    #[test]
    fn one_that_is_taken_back_does_not_fire() {
        let (timer, deadline) = Timer::new(Duration::ZERO);
        assert!(timer.fires(Some(MIN_PERIOD)).flatten().is_some_and(|next| next > deadline));
        assert!(timer.cancel().is_some());
        assert_eq!((timer.fires(Some(MIN_PERIOD)), timer.fires(None)), (None, None));
        let (once, _) = Timer::new(Duration::ZERO);
        assert_eq!((once.fires(None), once.fires(None)), (Some(None), None));
    }
}
