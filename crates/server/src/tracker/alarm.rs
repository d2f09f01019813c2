//! Alarms at a number of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::Time;

/// The default of [`Alarm::cooldown`].
const COOLDOWN: Duration = Duration::from_secs(5);

/// An alarm that fires when a connection is admitted and at least `threshold` connections count against the limit
/// (Ranch: `alarms`).
///
/// It does not fire again before its cooldown has passed. The default cooldown is 5 s. Without a
/// [function](Self::call) it logs the warning `many connections`.
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
    /// The threshold of the alarm.
    pub threshold: usize,
    /// The number of connections that count against the limit.
    pub active: usize,
}

impl Alarm {
    /// An alarm with this threshold, a cooldown of 5 s and no function.
    pub fn at(threshold: usize) -> Self {
        Self { threshold, cooldown: COOLDOWN, call: None }
    }

    /// Sets the time after a firing in which it does not fire again. With zero each admission above the threshold fires.
    #[must_use]
    pub fn cooldown(self, cooldown: Duration) -> Self {
        Self { cooldown, ..self }
    }

    /// Sets the function that it calls instead of the warning in the log.
    ///
    /// It runs in a task of its own on the acceptor's arbiter. A panic in it ends only that task.
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

/// The alarms of a listener, each with the time at which it last fired.
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

    /// The lowest threshold; `usize::MAX` without alarms.
    pub(crate) fn lowest(&self) -> usize {
        self.0.iter().map(|(alarm, _)| alarm.threshold).min().unwrap_or(usize::MAX)
    }

    /// Fires the alarms that are due at `active` connections, and starts their cooldown.
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

    fn fired(alarms: &mut Alarms, now: Time, active: usize) -> Vec<usize> {
        alarms.fire(now, active).into_iter().map(|fired| fired.report.threshold).collect()
    }

    /// Ranch's `misc_connection_alarms`.
    #[test]
    fn it_fires_from_its_threshold_on_and_then_cools_down() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.lowest(), usize::MAX);
        let long = Duration::from_millis(100);
        let _ = alarms.replace([Alarm::at(2).cooldown(Duration::ZERO), Alarm::at(3).cooldown(long)]);
        assert_eq!(alarms.lowest(), 2);
        assert_eq!(fired(&mut alarms, at(0), 1), []);
        assert_eq!(fired(&mut alarms, at(0), 2), [2]);
        assert_eq!(fired(&mut alarms, at(0), 2), [2], "without a cool-down every connection fires it");
        assert_eq!(fired(&mut alarms, at(10), 3), [2, 3]);
        assert_eq!(fired(&mut alarms, at(109), 4), [2]);
        assert_eq!(fired(&mut alarms, at(110), 4), [2, 3]);
    }

    #[test]
    fn a_replaced_alarm_keeps_the_time_it_last_fired() {
        let mut alarms = Alarms::default();
        let _ = alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(10))]);
        assert_eq!(fired(&mut alarms, at(0), 1), [1]);
        let _ = alarms.replace([Alarm::at(1).cooldown(Duration::from_secs(1)), Alarm::at(5)]);
        assert_eq!(fired(&mut alarms, at(999), 9), [5]);
        assert_eq!(fired(&mut alarms, at(1000), 9), [1]);
    }
}
