//! How long to wait for the peer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for a deadline that moves all the time: it is left to fire, and only then set anew for the deadline that
/// holds by then. So a deadline that moves away, as with each sign of life of a peer, costs nothing.
///
/// It belongs to the arbiter on which it was first polled. For those who write protocols; [`IdleTimeout`] is the usual case.
#[derive(Debug, Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// A timer that is not set. It takes no memory until it is polled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the task that polled it last is woken by this deadline, without another poll.
    pub fn is_set_by(&self, deadline: Instant) -> bool {
        self.0.as_ref().is_some_and(|timer| timer.deadline() <= deadline && !timer.is_elapsed())
    }

    /// Ready when the deadline has passed; until then the task is woken by that time, or earlier for nothing. Where there
    /// is no actix `System`, hence no clock, it is never ready.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.0.is_none() && Handle::try_current().is_err() {
            return Poll::Pending;
        }
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            // It was set for a deadline that has moved.
            timer.as_mut().reset(deadline);
        }
    }
}

/// How long to wait for a peer, from whenever it is waited for anew: a limit to its silence that costs no work for a
/// timer each time it says something.
#[derive(Default)]
pub struct IdleTimeout {
    limit: Option<Duration>,
    /// Since when the peer is waited for.
    since: Option<Instant>,
    timer: LazyTimer,
}

impl IdleTimeout {
    /// With this limit; `None` means as long as it takes.
    pub fn new(limit: impl Into<Option<Duration>>) -> Self {
        Self { limit: limit.into(), ..Self::default() }
    }

    /// The limit.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// The peer has done something: when it must be waited for next, its time begins anew.
    pub fn reset(&mut self) {
        self.since = None;
    }

    /// Forgets the timer, which belongs to the arbiter that made it.
    pub(crate) fn deregister(&mut self) {
        *self = Self::new(self.limit);
    }

    /// To be called when the peer must be waited for; ready when it had its time.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let since = *self.since.get_or_insert_with(Instant::now);
        // A deadline beyond all time is none.
        since.checked_add(limit).map_or(Poll::Pending, |deadline| self.timer.poll(cx, deadline))
    }
}

impl fmt::Debug for IdleTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::time::{advance, pause};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    /// More than the timer's grain of a millisecond.
    const MOMENT: Duration = Duration::from_millis(5);

    fn poll(timeout: &mut IdleTimeout) -> Poll<()> {
        timeout.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn on_virtual_time(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            pause();
            test.await;
        });
    }

    #[test]
    fn it_ends_after_its_limit() {
        on_virtual_time(async {
            let mut timeout = IdleTimeout::new(LIMIT);
            assert!(poll(&mut timeout).is_pending());
            advance(LIMIT - MOMENT).await;
            assert!(poll(&mut timeout).is_pending());
            advance(2 * MOMENT).await;
            assert!(poll(&mut timeout).is_ready());
            // Whoever goes on after that begins anew.
            timeout.reset();
            assert!(poll(&mut timeout).is_pending());
        });
    }

    #[test]
    fn it_counts_from_when_the_peer_was_waited_for_again() {
        on_virtual_time(async {
            let mut timeout = IdleTimeout::new(LIMIT);
            assert!(poll(&mut timeout).is_pending());
            advance(LIMIT / 2).await;
            timeout.reset();
            // We are at work; the peer is not waited for.
            advance(LIMIT).await;
            assert!(poll(&mut timeout).is_pending());
            advance(LIMIT - MOMENT).await;
            assert!(poll(&mut timeout).is_pending());
            advance(2 * MOMENT).await;
            assert!(poll(&mut timeout).is_ready());
        });
    }

    #[test]
    fn without_a_limit_it_is_endless_and_so_is_one_beyond_all_time() {
        on_virtual_time(async {
            for limit in [None, Some(Duration::MAX)] {
                let mut timeout = IdleTimeout::new(limit);
                assert!(poll(&mut timeout).is_pending());
                advance(Duration::from_secs(1_000_000)).await;
                assert!(poll(&mut timeout).is_pending());
            }
        });
    }
}
