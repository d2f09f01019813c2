//! How connections end.

use std::sync::atomic::{AtomicU64, Ordering};

/// How connections ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ends {
    /// Served to the end, or given away.
    pub completed: u64,
    /// By the peer's doing: it reset, was silent for too long, or sent what is no such protocol.
    pub lost: u64,
    /// By an error of what serves them.
    pub failed: u64,
    /// By a panic of what serves them, or a kill.
    pub crashed: u64,
    /// Cut off: still there when the deadline of a drain had passed.
    pub stopped: u64,
}

/// One connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Lost,
    Failed,
    Crashed,
    Stopped,
}

/// Counts ends.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; 5]);

impl Tally {
    pub(crate) fn add(&self, end: End) {
        if let Some(counter) = self.0.get(end as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn ends(&self) -> Ends {
        let [completed, lost, failed, crashed, stopped] =
            self.0.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        Ends { completed, lost, failed, crashed, stopped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_counter() {
        let tally = Tally::default();
        let all = [End::Completed, End::Lost, End::Failed, End::Crashed, End::Stopped];
        for (times, end) in (1..).zip(all) {
            (0..times).for_each(|_| tally.add(end));
        }
        assert_eq!(tally.ends(), Ends { completed: 1, lost: 2, failed: 3, crashed: 4, stopped: 5 });
    }
}
