//! Signals: how they are queued, and what an exit signal does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;

use impresario_supervision::ExitReason;

use crate::cell::control::SIGNALS;
use crate::cell::{ActorCell, Pid, Signal};
use crate::sync::lock;

/// How many signals may be queued for an actor; one more unsolicited exit signal is dropped.
const MAX_SIGNALS: usize = 65_536;

impl Signal {
    /// Whether a sender may send any number of these. Every other signal has a sender that waits for a reply or has exited,
    /// so their number is bounded.
    pub(crate) fn is_unsolicited(&self) -> bool {
        matches!(self, Self::Exit { linked: false, .. })
    }
}

impl ActorCell {
    /// Queues a signal and wakes the task. It is dropped if the actor has exited; an unsolicited one also if
    /// `MAX_SIGNALS` are queued.
    pub(crate) fn signal(&self, signal: Signal) {
        self.enqueue(SIGNALS, |cold| {
            let admitted = !signal.is_unsolicited() || cold.signals.len() < MAX_SIGNALS;
            if admitted {
                cold.signals.push_back(signal);
            }
            admitted
        });
    }

    /// Queues the exit signal of a link: its other end has exited. The link is removed under the same lock,
    /// so a link that was removed before sends none.
    pub(crate) fn linked_exit(&self, from: &Pid, reason: &ExitReason) {
        self.enqueue(SIGNALS, |cold| {
            let linked = cold.links.remove(from);
            if linked {
                let (from, reason) = (Some(from.clone()), reason.clone());
                cold.signals.push_back(Signal::Exit { from, reason, linked });
            }
            linked
        });
    }

    /// Takes all queued signals, in the order of sending.
    pub(crate) fn take_signals(&self) -> VecDeque<Signal> {
        let mut state = lock(&self.state);
        self.flags.fetch_and(!SIGNALS, Ordering::AcqRel);
        state.cold.as_mut().map(|cold| std::mem::take(&mut cold.signals)).unwrap_or_default()
    }
}

/// What an exit signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitAction {
    /// Nothing.
    Ignore,
    /// It becomes a message.
    Deliver,
    /// It ends the actor with the signal's reason.
    Terminate,
}

/// OTP's rule for exit signals; `own` is one that the actor sent to itself. A kill is no exit signal: it cannot be
/// trapped, and is a control flag.
pub(crate) fn exit_action(traps: bool, own: bool, reason: &ExitReason) -> ExitAction {
    match (traps, reason) {
        (true, _) => ExitAction::Deliver,
        (false, ExitReason::Normal) if !own => ExitAction::Ignore,
        (false, _) => ExitAction::Terminate,
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit { from, reason, linked } => f
                .debug_struct("Exit")
                .field("from", from)
                .field("reason", reason)
                .field("linked", linked)
                .finish(),
            Self::Ping(_) => f.write_str("Ping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_signals_follow_otp() {
        let error = ExitReason::Error("x".to_owned());
        assert_eq!(exit_action(false, false, &ExitReason::Normal), ExitAction::Ignore);
        assert_eq!(exit_action(false, true, &ExitReason::Normal), ExitAction::Terminate);
        for reason in [ExitReason::Shutdown, ExitReason::Killed, ExitReason::NoProc, error] {
            assert_eq!(exit_action(false, false, &reason), ExitAction::Terminate);
            assert_eq!(exit_action(true, false, &reason), ExitAction::Deliver);
        }
        assert_eq!(exit_action(true, false, &ExitReason::Normal), ExitAction::Deliver);
    }
}
