//! How long a client may take while it is its turn: rules without a clock.

use std::time::Duration;

use tokio::time::Instant;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The client is to send the head of a request, the first one or one that it has begun.
    Head {
        /// Something of it is there.
        begun: bool,
    },
    /// There was an answer, and nothing was sent since.
    Idle,
    /// The service, or what the service waits for.
    Busy,
    /// The client is to read: the kernel takes no more of what was written.
    Stalled,
}

/// How long each may last; `None` means for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

/// How long they may last at most once the connection is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastLimits {
    /// The rest of a head that has begun.
    pub(crate) head: Duration,
    /// Silence: a request may be under way that we have not seen.
    pub(crate) idle: Duration,
}

/// The present phase of one connection, and when it has lasted too long.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    limits: Limits,
    last: LastLimits,
    phase: Phase,
    /// What has changed when the phase began anew: a counter of the caller's.
    mark: usize,
    since: Instant,
    leaving: Option<Instant>,
}

impl Pace {
    /// Nothing was received yet.
    pub(crate) fn new(now: Instant, limits: Limits, last: LastLimits) -> Self {
        Self { limits, last, phase: Phase::Head { begun: false }, mark: 0, since: now, leaving: None }
    }

    /// Takes other last limits from here on.
    pub(crate) fn set_last(&mut self, last: LastLimits) {
        self.last = last;
    }

    /// Says what it is now. The clock is asked only if that is news.
    pub(crate) fn observe(&mut self, phase: Phase, mark: usize, now: impl FnOnce() -> Instant) {
        if phase == self.phase && mark == self.mark {
            return;
        }
        // Who connects has one time for the first head, whenever it begins.
        let first = Phase::Head { begun: false };
        if !(self.phase == first && mark == self.mark && phase == (Phase::Head { begun: true })) {
            self.since = now();
        }
        (self.phase, self.mark) = (phase, mark);
    }

    /// The connection is to end when what was begun is done.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.leaving.get_or_insert(now);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the phase will have lasted too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (limit, last) = match self.phase {
            Phase::Head { begun: true } => (self.limits.head, Some(self.last.head)),
            Phase::Head { begun: false } => (self.limits.head, Some(self.last.idle)),
            Phase::Idle => (self.limits.idle, Some(self.last.idle)),
            Phase::Busy => (None, None),
            Phase::Stalled => (self.limits.write, None),
        };
        // A deadline beyond all time is none.
        let usual = limit.and_then(|limit| self.since.checked_add(limit));
        let last = self.leaving.zip(last).and_then(|(left, last)| left.max(self.since).checked_add(last));
        usual.into_iter().chain(last).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Phase = Phase::Head { begun: true };
    const NOTHING: Phase = Phase::Head { begun: false };

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn pace(start: Instant) -> Pace {
        let limits = Limits { head: Some(seconds(30)), idle: Some(seconds(60)), write: Some(seconds(40)) };
        Pace::new(start, limits, LastLimits { head: seconds(2), idle: seconds(1) })
    }

    #[test]
    fn the_first_head_has_one_time_from_the_beginning() {
        let start = Instant::now();
        let mut pace = pace(start);
        assert_eq!(pace.deadline(), Some(start + seconds(30)));
        pace.observe(HEAD, 0, || start + seconds(29));
        assert_eq!(pace.deadline(), Some(start + seconds(30)));
    }

    #[test]
    fn later_heads_have_theirs_from_their_first_byte() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.observe(Phase::Idle, 1, || start + seconds(1));
        assert_eq!(pace.deadline(), Some(start + seconds(61)));
        pace.observe(HEAD, 1, || start + seconds(50));
        assert_eq!(pace.deadline(), Some(start + seconds(80)));
        // Byte by byte buys no time.
        pace.observe(HEAD, 1, || start + seconds(79));
        assert_eq!(pace.deadline(), Some(start + seconds(80)));
    }

    #[test]
    fn each_answer_begins_the_idle_time_anew_and_the_service_has_none() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.observe(Phase::Idle, 1, || start);
        pace.observe(Phase::Idle, 2, || start + seconds(10));
        assert_eq!(pace.deadline(), Some(start + seconds(70)));
        pace.observe(Phase::Busy, 2, || start + seconds(20));
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn whoever_reads_a_little_is_waited_for() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.observe(Phase::Stalled, 5, || start + seconds(1));
        assert_eq!(pace.deadline(), Some(start + seconds(41)));
        pace.observe(Phase::Stalled, 6, || start + seconds(30));
        assert_eq!(pace.deadline(), Some(start + seconds(70)));
        pace.leave(start + seconds(31));
        assert_eq!(pace.deadline(), Some(start + seconds(70)), "an answer that is read is not cut short");
    }

    #[test]
    fn who_leaves_waits_a_little_for_silence_and_for_heads_and_never_for_the_service() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.leave(start + seconds(3));
        pace.leave(start + seconds(4));
        assert!(pace.is_leaving());
        assert_eq!(pace.deadline(), Some(start + seconds(4)));
        pace.observe(HEAD, 0, || start + seconds(3));
        assert_eq!(pace.deadline(), Some(start + seconds(5)));
        pace.observe(Phase::Busy, 0, || start + seconds(5));
        assert_eq!(pace.deadline(), None);
        pace.observe(Phase::Idle, 1, || start + seconds(9));
        assert_eq!(pace.deadline(), Some(start + seconds(10)));
    }

    #[test]
    fn leaving_never_gives_more_time_than_there_was() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.leave(start + seconds(29) + seconds(1) / 2);
        assert_eq!(pace.deadline(), Some(start + seconds(30)));
    }

    #[test]
    fn no_limit_is_no_deadline_but_when_leaving() {
        let start = Instant::now();
        let limits = Limits { head: None, idle: None, write: None };
        let mut pace = Pace::new(start, limits, LastLimits { head: seconds(2), idle: seconds(1) });
        for phase in [NOTHING, HEAD, Phase::Idle, Phase::Stalled] {
            pace.observe(phase, 0, || start);
            assert_eq!(pace.deadline(), None);
        }
        pace.leave(start);
        pace.observe(Phase::Idle, 0, || start);
        assert_eq!(pace.deadline(), Some(start + seconds(1)));
    }
}
