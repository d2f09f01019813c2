//! How long to wait for the peer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long to wait for the peer, without work for a timer each time it answers: the timer is left to fire, and is only
/// then set anew for the time that the peer has left.
#[derive(Default)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    /// Since when the peer is waited for.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None, timer: None }
    }

    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// The peer has done something.
    pub(crate) fn reset(&mut self) {
        self.since = None;
    }

    /// Forgets the timer, which belongs to the arbiter that made it.
    pub(crate) fn park(&mut self) {
        *self = Self::new(self.limit);
    }

    /// To be called when the peer must be waited for; ready when it had its time.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let since = *self.since.get_or_insert_with(Instant::now);
        // A deadline beyond all time is none.
        let Some(deadline) = since.checked_add(limit) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Patience {
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

    fn poll(patience: &mut Patience) -> Poll<()> {
        patience.poll(&mut Context::from_waker(Waker::noop()))
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
            let mut patience = Patience::new(Some(LIMIT));
            assert!(poll(&mut patience).is_pending());
            advance(LIMIT - MOMENT).await;
            assert!(poll(&mut patience).is_pending());
            advance(2 * MOMENT).await;
            assert!(poll(&mut patience).is_ready());
            // Whoever goes on after that begins anew.
            patience.reset();
            assert!(poll(&mut patience).is_pending());
        });
    }

    #[test]
    fn it_counts_from_when_the_peer_was_waited_for_again() {
        on_virtual_time(async {
            let mut patience = Patience::new(Some(LIMIT));
            assert!(poll(&mut patience).is_pending());
            advance(LIMIT / 2).await;
            patience.reset();
            // We are at work; the peer is not waited for.
            advance(LIMIT).await;
            assert!(poll(&mut patience).is_pending());
            advance(LIMIT - MOMENT).await;
            assert!(poll(&mut patience).is_pending());
            advance(2 * MOMENT).await;
            assert!(poll(&mut patience).is_ready());
        });
    }

    #[test]
    fn without_a_limit_it_is_endless_and_so_is_one_beyond_all_time() {
        on_virtual_time(async {
            for limit in [None, Some(Duration::MAX)] {
                let mut patience = Patience::new(limit);
                assert!(poll(&mut patience).is_pending());
                advance(Duration::from_secs(1_000_000)).await;
                assert!(poll(&mut patience).is_pending());
            }
        });
    }
}
