//! Timeouts of one connection: rules without a clock, and the one timer that applies them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use impresario_server::{Draining, LazyTimer};
use tokio::time::Instant;

use crate::settings::{DrainLimits, PhaseLimits};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For the head of a request: the first one, or a later one that has begun.
    Head {
        /// At least one byte of it was read.
        begun: bool,
    },
    /// For the first byte of the next request, after at least one response.
    Idle,
    /// For the service, or for a request body that the service reads.
    Busy,
    /// For the client to read: the kernel accepts no more bytes, or all responses wait for a flow-control window.
    Stalled,
}

/// The phase of one connection, since when it lasts, and its deadline. It has no clock: callers pass the time.
#[derive(Clone, Debug)]
struct PhaseTimeouts {
    limits: PhaseLimits,
    drain_limits: DrainLimits,
    phase: Phase,
    /// A counter of the caller. A new value restarts the phase.
    progress: usize,
    since: Instant,
    /// When the drain of this connection began.
    draining: Option<Instant>,
}

impl PhaseTimeouts {
    /// Starts in the phase of the first head, without a byte of it.
    fn new(now: Instant, limits: PhaseLimits, drain_limits: DrainLimits) -> Self {
        let phase = Phase::Head { begun: false };
        Self { limits, drain_limits, phase, progress: 0, since: now, draining: None }
    }

    /// Sets phase and progress. `now` is called only if one of them has changed, because reading the clock costs more.
    fn set_phase(&mut self, phase: Phase, progress: usize, now: impl FnOnce() -> Instant) {
        if phase == self.phase && progress == self.progress {
            return;
        }
        // The limit of the first head counts from the connect, so its first byte does not restart it.
        let first = Phase::Head { begun: false };
        let first_byte =
            self.phase == first && progress == self.progress && phase == (Phase::Head { begun: true });
        if !first_byte {
            self.since = now();
        }
        (self.phase, self.progress) = (phase, progress);
    }

    /// Applies the drain limits from `now` on. Later calls change nothing.
    fn begin_drain(&mut self, now: Instant) {
        self.draining.get_or_insert(now);
    }

    /// When the phase expires. `None`: never.
    fn deadline(&self) -> Option<Instant> {
        let (limit, drain_limit) = match self.phase {
            Phase::Head { begun: true } => (self.limits.head, Some(self.drain_limits.head)),
            Phase::Head { begun: false } => (self.limits.head, Some(self.drain_limits.idle)),
            Phase::Idle => (self.limits.idle, Some(self.drain_limits.idle)),
            Phase::Busy => (None, None),
            Phase::Stalled => (self.limits.write, None),
        };
        // A deadline that `Instant` cannot represent is no deadline.
        let usual = limit.and_then(|limit| self.since.checked_add(limit));
        let drain = self.draining.zip(drain_limit);
        let drain = drain.and_then(|(begun, limit)| begun.max(self.since).checked_add(limit));
        usual.into_iter().chain(drain).min()
    }
}

/// The timer of one connection and its wait for the drain of the listener.
///
/// hyper's timers are not used: they are rearmed for each request, which costs a tenth of a small request. This timer is
/// rearmed when it has fired, and when an earlier deadline comes up.
#[derive(Debug)]
pub(crate) struct DeadlineWatch {
    timeouts: PhaseTimeouts,
    timer: LazyTimer,
    /// The waker that the timer has. While it stays the same, the timer need not be polled.
    waker: Option<Waker>,
    draining: Draining,
    drain_reported: bool,
}

/// What [`DeadlineWatch::poll`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchEvent {
    /// The listener drains. Returned once.
    Drain,
    /// This phase has expired.
    TimedOut(Phase),
}

impl DeadlineWatch {
    /// The limit of the first head counts from here.
    pub(crate) fn new(limits: PhaseLimits, drain_limits: DrainLimits, draining: Draining) -> Self {
        let timeouts = PhaseTimeouts::new(Instant::now(), limits, drain_limits);
        Self { timeouts, timer: LazyTimer::new(), waker: None, draining, drain_reported: false }
    }

    pub(crate) fn set_drain_limits(&mut self, drain_limits: DrainLimits) {
        self.timeouts.drain_limits = drain_limits;
    }

    /// Applies the drain limits although the listener does not drain.
    pub(crate) fn begin_drain(&mut self) {
        self.timeouts.begin_drain(Instant::now());
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.timeouts.draining.is_some()
    }

    /// Sets what the connection waits for, then waits for the next event.
    ///
    /// `progress` is a counter of the caller. A new value restarts the phase.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, phase: Phase, progress: usize) -> Poll<WatchEvent> {
        self.timeouts.set_phase(phase, progress, Instant::now);
        if !self.drain_reported && Pin::new(&mut self.draining).poll(cx).is_ready() {
            self.drain_reported = true;
            self.timeouts.begin_drain(Instant::now());
            return Poll::Ready(WatchEvent::Drain);
        }
        let Some(deadline) = self.timeouts.deadline() else { return Poll::Pending };
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_known && self.timer.is_set_by(deadline) {
            return Poll::Pending;
        }
        // The timer keeps this waker until it fires.
        let polled = self.timer.poll(cx, deadline);
        self.waker = polled.is_pending().then(|| cx.waker().clone());
        polled.map(|()| WatchEvent::TimedOut(self.timeouts.phase))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HEAD: Phase = Phase::Head { begun: true };
    const NO_BYTE: Phase = Phase::Head { begun: false };

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn timeouts(start: Instant) -> PhaseTimeouts {
        let limits =
            PhaseLimits { head: Some(seconds(30)), idle: Some(seconds(60)), write: Some(seconds(40)) };
        PhaseTimeouts::new(start, limits, DrainLimits { head: seconds(2), idle: seconds(1) })
    }

    #[test]
    fn the_first_head_is_limited_from_the_connect() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        assert_eq!(timeouts.deadline(), Some(start + seconds(30)));
        timeouts.set_phase(HEAD, 0, || start + seconds(29));
        assert_eq!(timeouts.deadline(), Some(start + seconds(30)));
    }

    #[test]
    fn later_heads_are_limited_from_their_first_byte() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        timeouts.set_phase(Phase::Idle, 1, || start + seconds(1));
        assert_eq!(timeouts.deadline(), Some(start + seconds(61)));
        timeouts.set_phase(HEAD, 1, || start + seconds(50));
        assert_eq!(timeouts.deadline(), Some(start + seconds(80)));
        // Further bytes do not restart the limit.
        timeouts.set_phase(HEAD, 1, || start + seconds(79));
        assert_eq!(timeouts.deadline(), Some(start + seconds(80)));
    }

    #[test]
    fn each_response_restarts_idle_and_busy_has_no_deadline() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        timeouts.set_phase(Phase::Idle, 1, || start);
        timeouts.set_phase(Phase::Idle, 2, || start + seconds(10));
        assert_eq!(timeouts.deadline(), Some(start + seconds(70)));
        timeouts.set_phase(Phase::Busy, 2, || start + seconds(20));
        assert_eq!(timeouts.deadline(), None);
    }

    #[test]
    fn progress_restarts_the_limit_of_a_stalled_write() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        timeouts.set_phase(Phase::Stalled, 5, || start + seconds(1));
        assert_eq!(timeouts.deadline(), Some(start + seconds(41)));
        timeouts.set_phase(Phase::Stalled, 6, || start + seconds(30));
        assert_eq!(timeouts.deadline(), Some(start + seconds(70)));
        timeouts.begin_drain(start + seconds(31));
        assert_eq!(
            timeouts.deadline(),
            Some(start + seconds(70)),
            "a drain does not shorten the limit of a write"
        );
    }

    #[test]
    fn drain_limits_apply_to_idle_and_heads_but_not_to_busy() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        timeouts.begin_drain(start + seconds(3));
        timeouts.begin_drain(start + seconds(4));
        assert!(timeouts.draining.is_some());
        assert_eq!(timeouts.deadline(), Some(start + seconds(4)));
        timeouts.set_phase(HEAD, 0, || start + seconds(3));
        assert_eq!(timeouts.deadline(), Some(start + seconds(5)));
        timeouts.set_phase(Phase::Busy, 0, || start + seconds(5));
        assert_eq!(timeouts.deadline(), None);
        timeouts.set_phase(Phase::Idle, 1, || start + seconds(9));
        assert_eq!(timeouts.deadline(), Some(start + seconds(10)));
    }

    #[test]
    fn a_drain_never_extends_a_deadline() {
        let start = Instant::now();
        let mut timeouts = timeouts(start);
        timeouts.begin_drain(start + seconds(29) + seconds(1) / 2);
        assert_eq!(timeouts.deadline(), Some(start + seconds(30)));
    }

    #[test]
    fn without_limits_only_a_drain_sets_a_deadline() {
        let start = Instant::now();
        let limits = PhaseLimits { head: None, idle: None, write: None };
        let mut timeouts =
            PhaseTimeouts::new(start, limits, DrainLimits { head: seconds(2), idle: seconds(1) });
        for phase in [NO_BYTE, HEAD, Phase::Idle, Phase::Stalled] {
            timeouts.set_phase(phase, 0, || start);
            assert_eq!(timeouts.deadline(), None);
        }
        timeouts.begin_drain(start);
        timeouts.set_phase(Phase::Idle, 0, || start);
        assert_eq!(timeouts.deadline(), Some(start + seconds(1)));
    }
}
