//! Alarms at a number of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::Time;

/// Default cooldown of an alarm.
const COOLDOWN: Duration = Duration::from_secs(5);

/// Calls a function when a connection arrives and at least `threshold` exist, then is silent for its cooldown
/// (Ranch: `alarms`).
///
/// Without a function it logs a warning.
#[derive(Clone)]
pub struct Alarm {
    threshold: usize,
    cooldown: Duration,
    call: Option<Arc<Call>>,
}

type Call = dyn Fn(AlarmReport) + Send + Sync;

/// The argument of an alarm's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmReport {
    /// Number of connections from which it fires.
    pub threshold: usize,
    /// Present number of connections.
    pub active: usize,
}

impl Alarm {
    /// An alarm from this many connections on, with a cooldown of 5 s.
    pub fn at(threshold: usize) -> Self {
        Self { threshold, cooldown: COOLDOWN, call: None }
    }

    /// Sets the cooldown. With zero every connection fires it.
    #[must_use]
    pub fn cooldown(self, cooldown: Duration) -> Self {
        Self { cooldown, ..self }
    }

    /// Sets its function. It runs in a task of its own: it may take time, and its panic ends only that task.
    #[must_use]
    pub fn call(self, call: impl Fn(AlarmReport) + Send + Sync + 'static) -> Self {
        Self { call: Some(Arc::new(call)), ..self }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("threshold", &self.threshold)
            .field("cooldown", &self.cooldown)
            .finish_non_exhaustive()
    }
}

/// The alarms of a listener, and when each fired last.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Vec<(Alarm, Option<Time>)>);

/// An alarm that fires.
pub(crate) struct FiredAlarm {
    pub(crate) report: AlarmReport,
    pub(crate) call: Option<Arc<Call>>,
}

impl Alarms {
    /// Replaces the alarms. An alarm with a known threshold keeps the rest of its cooldown.
    pub(crate) fn replace(&mut self, alarms: impl IntoIterator<Item = Alarm>) {
        let old = std::mem::take(&mut self.0);
        let fired_at = |threshold| {
            old.iter().find(|(alarm, _)| alarm.threshold == threshold).and_then(|(_, fired_at)| *fired_at)
        };
        self.0 = alarms
            .into_iter()
            .map(|alarm| (fired_at(alarm.threshold), alarm))
            .map(|(fired_at, a)| (a, fired_at))
            .collect();
    }

    /// Adds an alarm.
    pub(crate) fn add(&mut self, alarm: Alarm) {
        let former: Vec<Alarm> = self.0.iter().map(|(alarm, _)| alarm.clone()).collect();
        self.replace(former.into_iter().chain([alarm]));
    }

    /// The lowest threshold.
    pub(crate) fn lowest(&self) -> usize {
        self.0.iter().map(|(alarm, _)| alarm.threshold).min().unwrap_or(usize::MAX)
    }

    /// A connection has arrived; returns the alarms that fire. Their cooldown begins now.
    pub(crate) fn fire(&mut self, now: Time, active: usize) -> Vec<FiredAlarm> {
        let due = |alarm: &Alarm, fired_at: Option<Time>| {
            active >= alarm.threshold
                && fired_at.is_none_or(|fired_at| now.saturating_since(fired_at) >= alarm.cooldown)
        };
        let mut fired = Vec::new();
        for (alarm, fired_at) in &mut self.0 {
            if due(alarm, *fired_at) {
                *fired_at = Some(now);
                let report = AlarmReport { threshold: alarm.threshold, active };
                fired.push(FiredAlarm { report, call: alarm.call.clone() });
            }
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    fn rung(alarms: &mut Alarms, now: Time, active: usize) -> Vec<usize> {
        alarms.fire(now, active).into_iter().map(|ring| ring.report.threshold).collect()
    }

    /// Ranch's `misc_connection_alarms`.
    #[test]
    fn it_rings_from_its_threshold_on_and_then_cools_down() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.lowest(), usize::MAX);
        let long = Duration::from_millis(100);
        alarms.replace([Alarm::at(2).cooldown(Duration::ZERO), Alarm::at(3).cooldown(long)]);
        assert_eq!(alarms.lowest(), 2);
        assert_eq!(rung(&mut alarms, at(0), 1), []);
        assert_eq!(rung(&mut alarms, at(0), 2), [2]);
        assert_eq!(rung(&mut alarms, at(0), 2), [2], "without a cool-down every connection fire_alarms");
        assert_eq!(rung(&mut alarms, at(10), 3), [2, 3]);
        assert_eq!(rung(&mut alarms, at(109), 4), [2]);
        assert_eq!(rung(&mut alarms, at(110), 4), [2, 3]);
    }

    #[test]
    fn a_change_counts_the_time_that_has_passed() {
        let mut alarms = Alarms::default();
        alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(10))]);
        assert_eq!(rung(&mut alarms, at(0), 1), [1]);
        alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(1)), Alarm::at(5)]);
        assert_eq!(rung(&mut alarms, at(999), 9), [5]);
        assert_eq!(rung(&mut alarms, at(1000), 9), [1]);
    }
}
