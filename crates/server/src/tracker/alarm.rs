//! Alarms when connections are many.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::Time;

/// How long an alarm is quiet after it has rung, if nothing else is said.
const COOLDOWN: Duration = Duration::from_secs(5);

/// Calls when a connection comes in and there are at least so many, then is quiet for a while (Ranch: `alarms`).
///
/// Without a function of its own it is a warning in the log.
#[derive(Clone)]
pub struct Alarm {
    threshold: usize,
    cooldown: Duration,
    call: Option<Arc<Call>>,
}

type Call = dyn Fn(AlarmReport) + Send + Sync;

/// What an alarm says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmReport {
    /// From how many connections on it rings.
    pub threshold: usize,
    /// How many there are.
    pub active: usize,
}

impl Alarm {
    /// An alarm from so many connections on, quiet for 5 s after it has rung.
    pub fn at(threshold: usize) -> Self {
        Self { threshold, cooldown: COOLDOWN, call: None }
    }

    /// How long it is quiet after it has rung. With zero every connection rings it.
    #[must_use]
    pub fn cooldown(self, cooldown: Duration) -> Self {
        Self { cooldown, ..self }
    }

    /// What it calls, in a task of its own: it may take its time, and its panic is nobody else's.
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

/// The alarms of a listener, and when each has rung.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Vec<(Alarm, Option<Time>)>);

/// An alarm that fires.
pub(crate) struct FiredAlarm {
    pub(crate) report: AlarmReport,
    pub(crate) call: Option<Arc<Call>>,
}

impl Alarms {
    /// Replaces all alarms. An alarm with the threshold of a former one keeps the time at which that one fired.
    ///
    /// Returns the former alarms. A caller that holds a lock drops them after the unlock: their functions may own values
    /// with a destructor that uses the listener.
    #[must_use = "dropped after the unlock"]
    pub(crate) fn replace(&mut self, alarms: impl IntoIterator<Item = Alarm>) -> Self {
        let old = std::mem::take(&mut self.0);
        let fired_at = |threshold| {
            old.iter().find(|(alarm, _)| alarm.threshold == threshold).and_then(|(_, fired_at)| *fired_at)
        };
        self.0 = alarms
            .into_iter()
            .map(|alarm| (fired_at(alarm.threshold), alarm))
            .map(|(fired_at, a)| (a, fired_at))
            .collect();
        Self(old)
    }

    /// Adds an alarm. It keeps the time at which an alarm with the same threshold fired.
    pub(crate) fn add(&mut self, alarm: Alarm) {
        let same = |other: &&(Alarm, _)| other.0.threshold == alarm.threshold;
        let fired_at = self.0.iter().find(same).and_then(|(_, fired_at)| *fired_at);
        self.0.push((alarm, fired_at));
    }

    /// From how many connections on there is something to do.
    pub(crate) fn lowest(&self) -> usize {
        self.0.iter().map(|(alarm, _)| alarm.threshold).min().unwrap_or(usize::MAX)
    }

    /// A connection has come in, and now there are so many. Those that ring are quiet from here on.
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
        let _ = alarms.replace([Alarm::at(2).cooldown(Duration::ZERO), Alarm::at(3).cooldown(long)]);
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
        let _ = alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(10))]);
        assert_eq!(rung(&mut alarms, at(0), 1), [1]);
        let _ = alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(1)), Alarm::at(5)]);
        assert_eq!(rung(&mut alarms, at(999), 9), [5]);
        assert_eq!(rung(&mut alarms, at(1000), 9), [1]);
    }
}
