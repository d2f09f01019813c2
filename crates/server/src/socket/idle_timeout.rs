//! Timeouts for deadlines that move often.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for a deadline that moves often. It fires at the old deadline and is rearmed only then. So moving
/// the deadline costs no timer operation.
///
/// It belongs to the arbiter on which it was first polled. Meant for implementations of protocols;
/// [`IdleTimeout`] is the usual case.
#[derive(Debug, Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// A timer that is not set. It allocates at its first poll.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the last polling task is woken by this deadline without another poll.
    pub fn is_set_by(&self, deadline: Instant) -> bool {
        self.0.as_ref().is_some_and(|timer| timer.deadline() <= deadline && !timer.is_elapsed())
    }

    /// Ready when the deadline has passed. Until then the task is woken at the deadline or, spuriously,
    /// earlier. Without an actix `System` there is no clock, and it is never ready.
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

/// Idle timeout of a connection. `reset` only clears a field; the timer is rearmed at the next `poll` that
/// finds the peer idle, so a busy connection costs no timer operations. `None` disables it. Resolution: 1 ms
/// (tokio's timer).
#[derive(Default)]
pub struct IdleTimeout {
    limit: Option<Duration>,
    /// Start of the present wait.
    since: Option<Instant>,
    timer: LazyTimer,
}

impl IdleTimeout {
    /// With this limit; `None` disables it.
    pub fn new(limit: impl Into<Option<Duration>>) -> Self {
        Self { limit: limit.into(), ..Self::default() }
    }

    /// The limit.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// The peer was active: the next wait starts again.
    pub fn reset(&mut self) {
        self.since = None;
    }

    /// Drops the timer, which belongs to the arbiter that made it.
    pub(crate) fn deregister(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Call it while waiting for the peer; ready when the limit has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let since = *self.since.get_or_insert_with(Instant::now);
        // A deadline beyond the range of `Instant` is none.
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
    /// More than the resolution of the timer, 1 ms.
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
            // The next wait starts again after that.
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
            // This side is working; the peer is not waited for.
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
